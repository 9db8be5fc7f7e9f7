"""Posts, their versions and tombstones, saved together with what the rules found and where the reading stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, and_, exists, func, insert, or_, select, update

from monitor.model import Account, AlertKind, Disclosure, Finding, Json, MediaKind, Post, Removal, Severity
from monitor.rules.history import text_key
from monitor.schedule import REREAD_SOONEST, next_reread
from monitor.store import alerts, life
from monitor.store.accounts import Claimed, Ended, ReadEnd, finish_reads, hold, keep
from monitor.store.database import Database
from monitor.store.tables import alert, evaluation, media, post, post_version

READABLE = frozenset({MediaKind.PICTURE, MediaKind.DOCUMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A new or changed post with its verdict. `error` says that the rules could not check it."""

    post: Post
    findings: tuple[Finding, ...] = ()
    error: str = ""
    back_catalogue: bool = False


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
    with db.read() as connection:
        known = _known(connection, account_id, list(latest))
        return [one for one in latest.values() if _is_news(connection, one, known.get(one.native_id))]


def _is_news(connection: Connection, one: Post, known: RowMapping | None) -> bool:
    if known is None or known["deleted_at"] is not None:
        return True
    if known["content_hash"] == one.content_hash:
        return False
    return one.own is None or not _is_poorer(connection, one, one.own, known)


def _is_poorer(connection: Connection, one: Post, own: Json, known: RowMapping) -> bool:
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


def _known(connection: Connection, account_id: int, native_ids: Sequence[str]) -> Mapping[str, RowMapping]:
    found: dict[str, RowMapping] = {}
    for begin in range(0, len(native_ids), 500):  # SQLite's limit of variables, with room
        part = native_ids[begin : begin + 500]
        rows = connection.execute(select(post).where(post.c.account_id == account_id, post.c.native_id.in_(part)))
        found |= {row["native_id"]: row for row in rows.mappings()}
    return found


def save_page(
    db: Database,
    claimed: Claimed,
    judged: Sequence[Judged],
    *,
    rule_set: str,
    now: datetime,
    reread_window: timedelta,
    reread_soonest: timedelta = REREAD_SOONEST,
    end: ReadEnd | None,
    held_until: datetime | None = None,
) -> Saved:
    """Commit posts, versions, findings, alerts, and with the last page coverage, cursor and next check, as one.

    A walk that goes on keeps its account for itself, `held_until`. Raises LeaseLostError when another worker has the
    account; then nothing is written.
    """
    saved = Saved()
    with db.write() as connection:
        hold(connection, claimed)
        known = _known(connection, claimed.account.id, [j.post.native_id for j in judged])
        for one in judged:
            row = known.get(one.post.native_id)
            reread_at = next_reread(one.post.published_at, now, reread_window, soonest=reread_soonest)
            _save_post(connection, claimed.account, one, row, rule_set, now, reread_at, saved)
        if held_until is not None and end is None:
            keep(connection, claimed, until=held_until)
        if end is not None:
            finish_reads(connection, [Ended(claimed=claimed, end=end, now=now)])
    return saved


def _save_post(
    connection: Connection,
    holder: Account,
    judged: Judged,
    known: RowMapping | None,
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
        # Rows beside the statement, not in it: SQLAlchemy then builds nothing for each row.
        post_id = connection.execute(insert(post).returning(post.c.id), facts).scalar_one()
        saved.new += 1
    else:
        post_id = known["id"]
        if known["content_hash"] == one.content_hash:
            # It was believed deleted and is back: the tombstone goes, the versions stay.
            connection.execute(update(post).where(post.c.id == post_id).values(deleted_at=None, reread_at=reread_at))
            life.doubt_removals(connection, [post_id], now=now)
            return
        number = known["versions"] + 1
        back_catalogue = known["back_catalogue"] and one.edited_at is None
        values = {"content_hash": one.content_hash, "versions": number, "url": one.url, "deleted_at": None}
        connection.execute(update(post).where(post.c.id == post_id).values(reread_at=reread_at, **values))
        saved.edited += 1
    version_id = _save_version(connection, post_id, number, one, now)
    alert_id = alerts.alert_for_post(
        connection,
        holder=holder,
        post_id=post_id,
        native_id=one.native_id,
        findings=judged.findings,
        back_catalogue=back_catalogue,
        now=now,
    )
    alerts.save_findings(
        connection, judged.findings, post_version_id=version_id, alert_id=alert_id, rule_set=rule_set, now=now
    )
    record_evaluation(connection, version_id, "text", rule_set, now, judged.error, holder, post_id)
    if known is not None:
        life.doubt_removals(connection, [post_id], now=now)
    if alert_id is not None:
        saved.alerts.add(alert_id)


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
    version_id: int = connection.execute(insert(post_version).returning(post_version.c.id), facts).scalar_one()
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
    return version_id


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
    connection.execute(insert(evaluation), facts)
    if error:
        alerts.open_alert(
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


def to_reread(
    db: Database, account_id: int, *, now: datetime, window: timedelta, limit: int, everything: bool = False
) -> list[str]:
    """Return native ids of recent posts to look at again for edits and deletions, the longest due first.

    `everything` does not wait for the due time, but leaves out what this very check has just stored.
    """
    horizon = now - window
    seen_live = and_(post.c.first_seen_at >= horizon, post.c.back_catalogue.is_(False))
    due = post.c.first_seen_at < now if everything else post.c.reread_at <= now
    reported = and_(alert.c.post_id == post.c.id, alert.c.removal == Removal.REPORTED.value)
    query = (
        select(post.c.native_id)
        .where(post.c.account_id == account_id, post.c.deleted_at.is_(None), due)
        .where(or_(post.c.published_at >= horizon, seen_live, exists().where(reported)))
        .order_by(post.c.reread_at, post.c.id)
        .limit(limit)
    )
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def newest_ids(db: Database, account_id: int, native_ids: Sequence[str]) -> dict[str, str]:
    """Return under which id the platform served the newest version of a post, for those where that is another one."""
    found: dict[str, str] = {}
    served_as = post_version.c.raw["id"].as_string()
    newest = and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions)
    with db.read() as connection:
        for begin in range(0, len(native_ids), 500):
            part = native_ids[begin : begin + 500]
            query = select(post.c.native_id, served_as).join(post_version, newest)
            rows = connection.execute(query.where(post.c.account_id == account_id, post.c.native_id.in_(part)))
            found |= {native_id: one for native_id, one in rows if one and one != native_id}
    return found


def published_at(db: Database, account_id: int, native_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each of these posts of an account was published."""
    found: dict[str, datetime] = {}
    with db.read() as connection:
        for begin in range(0, len(native_ids), 500):
            query = select(post.c.native_id, post.c.published_at).where(post.c.account_id == account_id)
            rows = connection.execute(query.where(post.c.native_id.in_(native_ids[begin : begin + 500])))
            found |= {row.native_id: row.published_at for row in rows}
    return found


def mark_reread(
    db: Database,
    claimed: Claimed,
    seen: Sequence[str],
    missing: Sequence[str],
    *,
    now: datetime,
    window: timedelta,
    soonest: timedelta = REREAD_SOONEST,
) -> int:
    """Write the outcome of reading posts again: the next look for those present, a tombstone for those gone.

    Returns how many were newly found deleted. Versions and findings stay: a tombstone hides no evidence.
    """
    with db.write() as connection:
        hold(connection, claimed)
        mine = post.c.account_id == claimed.account.id
        rows = _known(connection, claimed.account.id, list(seen))
        awaited = life.awaiting_removal(connection, [row["id"] for row in rows.values()])
        for row in rows.values():
            again = next_reread(row["published_at"], now, window, soonest=soonest)
            if row["id"] in awaited:
                again = min(again or now + life.REMOVAL_GRACE, now + life.REMOVAL_GRACE)
            connection.execute(update(post).where(post.c.id == row["id"]).values(reread_at=again))
        life.doubt_removals(connection, [row["id"] for row in rows.values()], now=now)
        deleted = 0
        for begin in range(0, len(missing), 500):
            part = missing[begin : begin + 500]
            gone = and_(mine, post.c.native_id.in_(part), post.c.deleted_at.is_(None))
            buried = update(post).where(gone).values(deleted_at=now, reread_at=None).returning(post.c.id)
            ids = list(connection.execute(buried).scalars())
            life.confirm_removals(connection, ids, now=now)
            deleted += len(ids)
    return deleted
