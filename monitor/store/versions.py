"""A post's versions as they were seen, and what became of it since: present, missing, hidden or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select

from monitor.store.database import Database
from monitor.store.tables import account, post, post_version


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVersion:
    number: int
    seen_at: datetime
    edited_at: datetime | None
    text: str
    purged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPost:
    """`standing` is one word: "shown", "missing" (one look did not find it), "hidden" (not for us), "deleted"."""

    platform: str
    account: str
    native_id: str
    url: str
    published_at: datetime
    standing: str
    since: datetime | None
    versions: tuple[SeenVersion, ...]


def seen_posts(db: Database, *, native_id: str = "", post_id: int | None = None) -> list[SeenPost]:
    """Return the posts with a native id (of any platform), or the one with that number, with all their versions."""
    which = post.c.id == post_id if post_id is not None else post.c.native_id == native_id
    query = select(post, account.c.platform, account.c.handle, account.c.url.label("account_url"))
    query = query.join(account, account.c.id == post.c.account_id).where(which).order_by(post.c.id)
    with db.read() as connection:
        rows = connection.execute(query).mappings().all()
        versions = select(post_version).where(post_version.c.post_id.in_([row["id"] for row in rows]))
        seen = connection.execute(versions.order_by(post_version.c.number)).mappings().all()
    return [_post(row, tuple(_version(one) for one in seen if one["post_id"] == row["id"])) for row in rows]


def _post(row: RowMapping, versions: tuple[SeenVersion, ...]) -> SeenPost:
    standing, since = _standing(row)
    return SeenPost(
        platform=row["platform"],
        account=row["handle"] or row["account_url"],
        native_id=row["native_id"],
        url=row["url"],
        published_at=row["published_at"],
        standing=standing,
        since=since,
        versions=versions,
    )


def _standing(row: Mapping[str, Any] | RowMapping) -> tuple[str, datetime | None]:
    for word in ("deleted", "hidden", "missing"):
        if row[f"{word}_at"] is not None:
            return word, row[f"{word}_at"]
    return "shown", None


def _version(row: RowMapping) -> SeenVersion:
    return SeenVersion(
        number=row["number"],
        seen_at=row["seen_at"],
        edited_at=row["edited_at"],
        text=row["text"],
        purged=row["purged_at"] is not None,
    )
