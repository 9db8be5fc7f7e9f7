"""Posts, their versions and tombstones, saved together with what the rules found and where the reading stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    func,
    insert,
    select,
    update,
)

from monitor.model import Account, AlertKind, Disclosure, Finding, Json, MediaKind, Post, Severity
from monitor.rechecks import Rechecks
from monitor.rules.history import text_key
from monitor.settings import RECHECK_WAITS
from monitor.store import life, opening
from monitor.store.accounts import Claimed, held_of, hold, keep
from monitor.store.checks import Ended, ReadEnd, finish_reads
from monitor.store.database import Database
from monitor.store.prepared import Prepared, as_new, new_row
from monitor.store.rereads import watched_since
from monitor.store.tables import evaluation, media, post, post_version

UNSEEN: Mapping[str, None] = {"deleted_at": None, "missing_at": None, "hidden_at": None}  # what a sight of a post ends
READABLE = frozenset({MediaKind.PICTURE, MediaKind.DOCUMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A new or changed post with its verdict. `error` says that the rules could not check it."""

    post: Post
    findings: tuple[Finding, ...] = ()
    error: str = ""
    back_catalogue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What the last page of a check brought, and its end, on their way into the database."""

    ended: Ended
    rechecks: Rechecks
    judged: Sequence[Judged] = ()
    rule_set: str = ""


@dataclass(slots=True, kw_only=True)
class Saved:
    """What a page brought, for the summary."""

    new: int = 0
    edited: int = 0
    deleted: int = 0
    alerts: set[int] = field(default_factory=set)

    def add(self, other: Saved) -> None:
        self.new += other.new
        self.edited += other.edited
        self.deleted += other.deleted
        self.alerts |= other.alerts


def unseen(db: Database, account_id: int, posts: Sequence[Post]) -> list[Post]:
    """Return the posts that are new, or whose content differs from the newest stored version; each id once.

    Of one id served twice on a page the later edit counts.
    """
    latest: dict[str, Post] = {}
    for one in posts:
        rival = latest.get(one.native_id)
        if rival is None or (one.edited_at or one.published_at) >= (rival.edited_at or rival.published_at):
            latest[one.native_id] = one
    if not latest:
        return []
    with db.read() as connection, connection.begin():
        known = _known(connection, account_id, list(latest))
        return [one for one in latest.values() if _is_news(connection, one, known.get(one.native_id))]


def _is_news(connection: Connection, one: Post, known: Mapping[str, Any] | None) -> bool:
    if known is None or any(known[mark] is not None for mark in UNSEEN):
        return True
    if known["content_hash"] == one.content_hash:
        return False
    return one.own is None or not _is_poorer(connection, one, one.own, known)


def _is_poorer(connection: Connection, one: Post, own: Json, known: Mapping[str, Any]) -> bool:
    """Say whether a post is the stored version again, served without something that it refers to."""
    newest = and_(post_version.c.post_id == known["id"], post_version.c.number == known["versions"])
    columns = (post_version.c.id, post_version.c.text, post_version.c.raw, post_version.c.purged_at)
    version = connection.execute(select(*columns).where(newest)).mappings().one()
    if version["purged_at"] is not None:
        return True  # there is nothing left to compare a poorer answer with; a whole one has its hash
    stored = select(func.count()).select_from(media).where(media.c.post_version_id == version["id"])
    has_more = len(one.media) > connection.execute(stored).scalar_one()
    has_more |= len(one.text) > len(version["text"]) and one.text.startswith(version["text"])
    return not has_more and all(version["raw"].get(key) == value for key, value in own.items())


def _known(connection: Connection, account_id: int, native_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    rows = KNOWN.rows(connection, {"of": account_id, "ids": native_ids})
    return {row["native_id"]: row for row in rows}


def _of_account(among: ColumnElement[bool]) -> Select[Any]:
    states = (post.c[mark] for mark in UNSEEN)
    columns = (post.c.id, post.c.native_id, post.c.content_hash, post.c.versions, *states)
    return select(*columns, post.c.first_seen_at, post.c.back_catalogue).where(
        post.c.account_id == bindparam("of"), among
    )


_LISTED = func.json_each(bindparam("ids", type_=JSON)).table_valued("value")
KNOWN = Prepared(
    _of_account(post.c.native_id.in_(select(_LISTED.c.value))),
    postgresql=_of_account(post.c.native_id == any_(bindparam("ids", type_=ARRAY(Text)))),
)


def save_page(
    db: Database,
    claimed: Claimed,
    judged: Sequence[Judged],
    *,
    rule_set: str,
    now: datetime,
    reread_window: timedelta,
    reread_waits: Sequence[timedelta] = RECHECK_WAITS,
    end: ReadEnd | None,
    held_until: datetime | None = None,
) -> Saved:
    """Commit posts, versions, findings, alerts, and with the last page coverage, cursor and next check, as one.

    A walk that goes on keeps its account for itself, `held_until`. Raises LeaseLostError when another worker has the
    account; then nothing is written.
    """
    with db.write() as connection:
        hold(connection, claimed)
        rechecks = Rechecks(window=reread_window, waits=reread_waits)
        saved = _save_judged(connection, claimed.account, judged, rule_set, now, rechecks)
        if held_until is not None and end is None:
            keep(connection, claimed, until=held_until)
        if end is not None:
            finish_reads(connection, [Ended(claimed=claimed, end=end, now=now)])
    return saved


def save_checks(db: Database, checks: Sequence[Brought]) -> dict[int, Saved]:
    """Commit checks as one, of each all that it brought. Returns that by account; what another worker has is missing.

    A crash before the commit only reads them again.
    """
    saved: dict[int, Saved] = {}
    with db.write() as connection:
        held = held_of(connection, [one.ended.claimed for one in checks])
        ours = [one for one in checks if one.ended.claimed.account.id in held]
        for one in ours:
            holder, now = one.ended.claimed.account, one.ended.now
            saved[holder.id] = _save_judged(connection, holder, one.judged, one.rule_set, now, one.rechecks)
        finish_reads(connection, [one.ended for one in ours])
    return saved


def _save_judged(
    connection: Connection,
    holder: Account,
    judged: Sequence[Judged],
    rule_set: str,
    now: datetime,
    rechecks: Rechecks,
) -> Saved:
    saved = Saved()
    known = _known(connection, holder.id, [j.post.native_id for j in judged])
    for one in judged:
        row = known.get(one.post.native_id)
        _save_post(connection, holder, one, row, rule_set, now, _reread_at(one, row, now, rechecks), saved)
    return saved


def _reread_at(one: Judged, known: Mapping[str, Any] | None, now: datetime, rechecks: Rechecks) -> datetime | None:
    facts = {"published_at": one.post.published_at, "back_catalogue": one.back_catalogue}
    seen_at = now if known is None else known["first_seen_at"]
    return rechecks.after(watched_since(facts, rechecks.window, seen_at), now)


def _save_post(
    connection: Connection,
    holder: Account,
    judged: Judged,
    known: Mapping[str, Any] | None,
    rule_set: str,
    now: datetime,
    reread_at: datetime | None,
    saved: Saved,
) -> None:
    one = judged.post
    back_catalogue = judged.back_catalogue
    if known is None:
        number = 1
        facts = {
            "account_id": holder.id,
            "native_id": one.native_id,
            "url": one.url,
            "published_at": one.published_at,
            "kind": one.kind.value,
            "first_seen_at": now,
            "back_catalogue": back_catalogue,
            "content_hash": one.content_hash,
            "versions": 1,
            "reread_at": reread_at,
        }
        (post_id,) = _INSERT_POST.run(connection, as_new(facts)).fetchone()
        saved.new += 1
    else:
        post_id = known["id"]
        if known["content_hash"] == one.content_hash:
            # It was believed deleted or hidden, or was in doubt, and is back: that goes, the versions stay.
            connection.execute(update(post).where(post.c.id == post_id).values(reread_at=reread_at, **UNSEEN))
            life.doubt_removals(connection, [post_id], now=now)
            return
        number = known["versions"] + 1
        back_catalogue = known["back_catalogue"] and one.edited_at is None
        values = {"content_hash": one.content_hash, "versions": number, "url": one.url, **UNSEEN}
        connection.execute(update(post).where(post.c.id == post_id).values(reread_at=reread_at, **values))
        saved.edited += 1
    version_id = _save_version(connection, post_id, number, one, now)
    alert_id = opening.note_findings(
        connection,
        judged.findings,
        holder=holder,
        post_id=post_id,
        native_id=one.native_id,
        version_id=version_id,
        back_catalogue=back_catalogue,
        rule_set=rule_set,
        now=now,
    )
    record_evaluation(connection, version_id, "text", rule_set, now, judged.error, holder, post_id)
    if known is not None:
        life.doubt_removals(connection, [post_id], now=now)
    if alert_id is not None:
        saved.alerts.add(alert_id)


_INSERT_POST = Prepared(
    new_row(
        post,
        "account_id",
        "native_id",
        "url",
        "published_at",
        "kind",
        "first_seen_at",
        "back_catalogue",
        "content_hash",
        "versions",
        "reread_at",
    ).returning(post.c.id)
)
_INSERT_VERSION = Prepared(
    new_row(
        post_version,
        "post_id",
        "number",
        "seen_at",
        "edited_at",
        "text",
        "language",
        "links",
        "content_hash",
        "raw",
        "text_key",
    ).returning(post_version.c.id)
)
_INSERT_EVALUATION = Prepared(new_row(evaluation, "post_version_id", "field", "rule_set", "evaluated_at", "error"))


def _save_version(connection: Connection, post_id: int, number: int, one: Post, now: datetime) -> int:
    facts = {
        "post_id": post_id,
        "number": number,
        "seen_at": now,
        "edited_at": one.edited_at,
        "text": one.text,
        "language": one.language,
        "links": list(one.links),
        "content_hash": one.content_hash,
        "raw": dict(one.raw),
        "text_key": text_key(one.text),
    }
    (version_id,) = _INSERT_VERSION.run(connection, as_new(facts)).fetchone()
    if one.media:
        rows = [
            {
                "post_version_id": version_id,
                "position": position,
                "kind": item.kind.value,
                "url": item.url,
                "alt_text": item.text,
                "state": "waiting" if item.kind in READABLE and item.url else "skipped",
                "due_at": now if item.kind in READABLE and item.url else None,
            }
            for position, item in enumerate(one.media)
        ]
        connection.execute(insert(media), rows)
    return int(version_id)


def record_evaluation(
    connection: Connection,
    version_id: int,
    where: str,
    rule_set: str,
    now: datetime,
    error: str,
    holder: Account,
    post_id: int,
) -> None:
    """Note that a text was checked under a rule set; that it could not be checked is itself an alert."""
    facts = {
        "post_version_id": version_id,
        "field": where,
        "rule_set": rule_set,
        "evaluated_at": now,
        "error": error[:2000],
    }
    _INSERT_EVALUATION.run(connection, as_new(facts))
    if error:
        opening.open_alert(
            connection,
            dedup_key=f"evaluation:{rule_set}:{holder.id}",
            kind=AlertKind.EVALUATION,
            severity=Severity.MEDIUM,
            disclosure=Disclosure.NONE,
            agency=holder.agency,
            account_id=holder.id,
            post_id=post_id,
            detail=error.strip().splitlines()[-1][:300],
            now=now,
        )
