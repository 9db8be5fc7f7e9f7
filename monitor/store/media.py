"""Pictures and documents that wait to be read, and what was found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select, update

from monitor.model import Account, Finding, MediaKind
from monitor.store import opening, posts
from monitor.store.database import Database
from monitor.store.register import to_account
from monitor.store.tables import account, media, post, post_version

MOST_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A picture or document of a stored post version. `field` is its name for the rules, such as "picture:0"."""

    id: int
    kind: MediaKind
    url: str
    field: str
    attempts: int
    account: Account
    post_id: int
    native_id: str
    post_version_id: int
    published_at: datetime
    language: str
    back_catalogue: bool


def waiting_media(db: Database, *, now: datetime, limit: int) -> list[Waiting]:
    """Return what is due to be read, live posts before the back catalogue, oldest first."""
    query = (
        select(
            media,
            post.c.id.label("post_id"),
            post.c.account_id,
            post.c.native_id,
            post.c.published_at,
            post.c.back_catalogue,
            post_version.c.language,
        )
        .join(post_version, post_version.c.id == media.c.post_version_id)
        .join(post, post.c.id == post_version.c.post_id)
        .where(media.c.state == "waiting", media.c.due_at <= now)
        .order_by(post.c.back_catalogue, media.c.due_at, media.c.id)
        .limit(limit)
    )
    with db.read() as connection:
        rows = connection.execute(query).mappings().all()
        ids = {row["account_id"] for row in rows}
        holders = {
            row["id"]: to_account(row)
            for row in connection.execute(select(account).where(account.c.id.in_(ids))).mappings()
        }
    return [
        Waiting(
            id=row["id"],
            kind=MediaKind(row["kind"]),
            url=row["url"],
            field=f"{row['kind']}:{row['position']}",
            attempts=row["attempts"],
            account=holders[row["account_id"]],
            post_id=row["post_id"],
            native_id=row["native_id"],
            post_version_id=row["post_version_id"],
            published_at=row["published_at"],
            language=row["language"],
            back_catalogue=row["back_catalogue"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits to be read, since when the oldest of it does, and why others could not be read in the last days."""

    waiting: int
    since: datetime | None
    unreadable: Mapping[str, int]


def media_queue(db: Database, *, after: datetime) -> Queue:
    """Return how the reading stands; the unreadable media are those of posts seen since `after`, by reason."""
    seen = media.join(post_version, post_version.c.id == media.c.post_version_id)
    waits = select(func.count(), func.min(post_version.c.seen_at)).select_from(seen).where(media.c.state == "waiting")
    failed = (
        select(media.c.reason, func.count())
        .select_from(seen)
        .where(media.c.state == "unreadable", post_version.c.seen_at >= after)
        .group_by(media.c.reason)
        .order_by(func.count().desc(), media.c.reason)
    )
    with db.read() as connection:
        waiting, since = connection.execute(waits).one()
        reasons = {row[0]: row[1] for row in connection.execute(failed)}
    return Queue(waiting=waiting, since=since, unreadable=reasons)


def save_read(
    db: Database,
    item: Waiting,
    text: str,
    findings: Sequence[Finding],
    *,
    rule_set: str,
    now: datetime,
    error: str = "",
    left_out: str = "",
) -> int | None:
    """Commit the text of a medium and what was found in it; the findings join the post's alert. Returns its id.

    `left_out` says what of the medium was not read; it is kept as the reason.
    """
    with db.write() as connection:
        values = {"state": "read", "text": text, "reason": left_out, "attempts": item.attempts + 1, "due_at": None}
        still = and_(media.c.id == item.id, media.c.state == "waiting")  # no longer when it was purged meanwhile
        connection.execute(update(media).where(still).values(**values))
        alert_id = opening.note_findings(
            connection,
            findings,
            holder=item.account,
            post_id=item.post_id,
            native_id=item.native_id,
            version_id=item.post_version_id,
            back_catalogue=item.back_catalogue,
            rule_set=rule_set,
            now=now,
        )
        posts.record_evaluation(
            connection, item.post_version_id, item.field, rule_set, now, error, item.account, item.post_id
        )
        return alert_id


def save_unreadable(db: Database, item: Waiting, reason: str, *, retry_at: datetime | None) -> None:
    """Record why a medium could not be read; with `retry_at` it stays waiting until the tries are used up."""
    again = retry_at is not None and item.attempts + 1 < MOST_TRIES
    values = {
        "state": "waiting" if again else "unreadable",
        "reason": reason[:300],
        "attempts": item.attempts + 1,
        "due_at": retry_at if again else None,
    }
    with db.write() as connection:
        still = and_(media.c.id == item.id, media.c.state == "waiting")
        connection.execute(update(media).where(still).values(**values))
