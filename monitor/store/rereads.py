"""Known posts looked at again: which are due, and what became of them.

Three things are told apart. *Deleted*: two looks, some time apart, did not find the post while the account could be
read: a tombstone. *Hidden*: it is there, but no longer for us. *Unreachable*: nothing was learned; nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, or_, select, update

from monitor.model import AccountStatus, Removal
from monitor.rechecks import Rechecks
from monitor.store import life
from monitor.store.accounts import Claimed, claim_these, hold
from monitor.store.database import Database
from monitor.store.tables import account, alert, post, post_version

T = TypeVar("T")
PART = 500  # SQLite's limit of variables, with room


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look at known posts showed, by native id. What is in none of the three is undecided."""

    asked: Sequence[str]
    present: Collection[str] = ()
    missing: Collection[str] = ()
    hidden: Collection[str] = ()


@dataclass(slots=True, kw_only=True)
class Marked:
    """How many posts were newly found deleted, missing for the first time, and hidden."""

    deleted: int = 0
    doubted: int = 0
    hidden: int = 0


def to_reread(
    db: Database, account_id: int, *, now: datetime, window: timedelta, limit: int, everything: bool = False
) -> list[str]:
    """Return native ids of recent posts to look at again for edits and deletions, the longest due first.

    `everything` does not wait for the due time, but leaves out what this very check has just stored.
    """
    due = post.c.first_seen_at < now if everything else post.c.reread_at <= now
    query = (
        select(post.c.native_id)
        .where(post.c.account_id == account_id, post.c.deleted_at.is_(None), due, _is_watched(now - window))
        .order_by(post.c.reread_at, post.c.id)
        .limit(limit)
    )
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def accounts_with_looks(db: Database, account_ids: Sequence[int]) -> set[int]:
    """Return which of these accounts have posts that are still to be looked at, now or later."""
    found: set[int] = set()
    with db.read() as connection:
        for part in _parts(account_ids):
            planned = select(post.c.account_id).where(post.c.account_id.in_(part), post.c.reread_at.is_not(None))
            found |= set(connection.execute(planned.distinct()).scalars())
    return found


def _is_watched(horizon: datetime) -> ColumnElement[bool]:
    """Say whether a post is recent, in doubt, or said to be removed."""
    seen_live = and_(post.c.first_seen_at >= horizon, post.c.back_catalogue.is_(False))
    reported = and_(alert.c.post_id == post.c.id, alert.c.removal == Removal.REPORTED.value)
    return or_(post.c.published_at >= horizon, seen_live, post.c.missing_at.is_not(None), exists().where(reported))


def claim_rereads(
    db: Database, *, platform: str, now: datetime, lease: timedelta, window: timedelta, limit: int
) -> list[tuple[Claimed, list[str]]]:
    """Claim accounts of a platform with posts that are due to be looked at again, the longest due first.

    At most `limit` posts in all. An account whose last check failed waits until it can be read: what is missing there
    says nothing.
    """
    query = select(post.c.account_id, post.c.native_id).join(account, account.c.id == post.c.account_id)
    free = or_(account.c.leased_until.is_(None), account.c.leased_until <= now)
    query = query.where(*_is_due(platform, now, window), free).order_by(post.c.reread_at, post.c.id).limit(limit)
    wanted: dict[int, list[str]] = {}
    with db.read() as connection:
        for account_id, native_id in connection.execute(query):
            wanted.setdefault(account_id, []).append(native_id)
    claimed = claim_these(db, list(wanted), now=now, lease=lease) if wanted else []
    return [(one, wanted[one.account.id]) for one in claimed]


def due_since(
    db: Database, *, platform: str, now: datetime, window: timedelta, full: int
) -> tuple[int, datetime | None]:
    """Return how many of a platform's posts are due, up to `full`, and since when the first of them is."""
    query = select(post.c.reread_at).join(account, account.c.id == post.c.account_id)
    query = query.where(*_is_due(platform, now, window)).order_by(post.c.reread_at).limit(full)
    with db.read() as connection:
        found = list(connection.execute(query).scalars())
    return len(found), found[0] if found else None


def _is_due(platform: str, now: datetime, window: timedelta) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on a post, and on its account, which can be read."""
    is_open = and_(account.c.platform == platform, account.c.status == AccountStatus.ACTIVE.value)
    return (
        post.c.reread_at <= now,
        post.c.deleted_at.is_(None),
        _is_watched(now - window),
        is_open,
        account.c.cause.is_(None),
    )


def forget_expired(db: Database, *, now: datetime, window: timedelta) -> int:
    """Plan no more looks at posts whose window has ended unseen. Returns how many there were."""
    expired = (post.c.reread_at <= now, ~_is_watched(now - window))
    with db.write() as connection:
        return connection.execute(update(post).where(*expired).values(reread_at=None)).rowcount


def newest_ids(db: Database, account_id: int, native_ids: Sequence[str]) -> dict[str, str]:
    """Return under which id the platform served the newest version of a post, for those where that is another one."""
    found: dict[str, str] = {}
    served_as = post_version.c.raw["id"].as_string()
    newest = and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions)
    with db.read() as connection:
        for part in _parts(native_ids):
            query = select(post.c.native_id, served_as).join(post_version, newest)
            rows = connection.execute(query.where(post.c.account_id == account_id, post.c.native_id.in_(part)))
            found |= {native_id: one for native_id, one in rows if one and one != native_id}
    return found


def published_at(db: Database, account_id: int, native_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each of these posts of an account was published."""
    found: dict[str, datetime] = {}
    with db.read() as connection:
        for part in _parts(native_ids):
            query = select(post.c.native_id, post.c.published_at).where(post.c.account_id == account_id)
            rows = connection.execute(query.where(post.c.native_id.in_(part)))
            found |= {row.native_id: row.published_at for row in rows}
    return found


def mark_reread(db: Database, claimed: Claimed, looked: Looked, *, now: datetime, rechecks: Rechecks) -> Marked:
    """Write the outcome of looking at posts again: the next look, the doubt, the tombstone.

    A missing post becomes a tombstone at a look that comes `rechecks.confirm` after the first one, and after the
    account itself was read since; without a `confirm` the caller has looked twice. Versions and findings stay: a
    tombstone hides no evidence. Raises LeaseLostError.
    """
    with db.write() as connection:
        hold(connection, claimed)
        rows = _rows(connection, claimed, [*looked.asked, *looked.present])
        read_at = connection.execute(select(account.c.last_ok_at).where(account.c.id == claimed.account.id)).scalar()
        marks = _Marks(connection=connection, now=now, rechecks=rechecks, read_at=read_at, rows=rows)
        marks.awaited = life.awaiting_removal(connection, [row["id"] for row in rows.values()])
        return marks.write(looked)


def put_off(db: Database, claimed: Claimed, native_ids: Sequence[str], *, until: datetime) -> None:
    """Leave posts due that could not be looked at, but not at once. Raises LeaseLostError."""
    with db.write() as connection:
        hold(connection, claimed)
        for part in _parts(native_ids):
            mine = (post.c.account_id == claimed.account.id, post.c.native_id.in_(part), post.c.reread_at < until)
            connection.execute(update(post).where(*mine).values(reread_at=until))


@dataclass(slots=True, kw_only=True)
class _Marks:
    """One account's outcome on its way into the database."""

    connection: Connection
    now: datetime
    rechecks: Rechecks
    read_at: datetime | None
    rows: Mapping[str, RowMapping]
    awaited: set[int] = field(default_factory=set)

    def write(self, looked: Looked) -> Marked:
        marked = Marked()
        present, seen = set(looked.present), []
        gone: list[int] = []
        for native_id, row in self.rows.items():
            if native_id in present:
                self._set(row, reread_at=self._again(row), missing_at=None, hidden_at=None)
                seen.append(row["id"])
            elif native_id in looked.missing:
                if self._is_confirmed(row):
                    gone.append(row["id"])
                else:
                    marked.doubted += row["missing_at"] is None
                    self._doubt(row)
            elif native_id in looked.hidden:
                marked.hidden += row["hidden_at"] is None
                hidden_at = row["hidden_at"] or self.now
                self._set(row, reread_at=self._again(row), missing_at=None, hidden_at=hidden_at)
            else:
                self._set(row, reread_at=self._again(row))
        life.doubt_removals(self.connection, seen, now=self.now)
        marked.deleted = self._bury(gone)
        return marked

    def _is_confirmed(self, row: RowMapping) -> bool:
        if not self.rechecks.confirm:
            return True
        since = row["missing_at"]
        waited = since is not None and self.now - since >= self.rechecks.confirm
        return waited and self.read_at is not None and self.read_at > since

    def _doubt(self, row: RowMapping) -> None:
        """Keep the first look; one of the future was written before the clock stepped back."""
        since = row["missing_at"]
        since = self.now if since is None or since > self.now else since
        again = max(since, self.now - self.rechecks.confirm / 2) + self.rechecks.confirm
        self._set(row, reread_at=again, missing_at=since, hidden_at=None)

    def _again(self, row: RowMapping) -> datetime | None:
        again = self.rechecks.after(watched_since(row, self.rechecks.window, row["first_seen_at"]), self.now)
        if row["id"] in self.awaited:
            soon = self.now + life.REMOVAL_GRACE
            again = min(again or soon, soon)
        return again

    def _bury(self, ids: Sequence[int]) -> int:
        for part in _parts(ids):
            buried = {"deleted_at": self.now, "reread_at": None, "hidden_at": None}
            self.connection.execute(update(post).where(post.c.id.in_(part)).values(**buried))
        life.confirm_removals(self.connection, ids, now=self.now)
        return len(ids)

    def _set(self, row: RowMapping, **values: Any) -> None:
        if any(row[key] != value for key, value in values.items()):
            self.connection.execute(update(post).where(post.c.id == row["id"]).values(**values))


def watched_since(row: RowMapping | Mapping[str, Any], window: timedelta, first_seen_at: datetime) -> datetime:
    """Return from when the watch over a post counts: a live one that appeared late is watched from then on."""
    published_at: datetime = row["published_at"]
    is_late = first_seen_at - published_at >= window and not row["back_catalogue"]
    return first_seen_at if is_late else published_at


def _rows(connection: Connection, claimed: Claimed, native_ids: Sequence[str]) -> dict[str, RowMapping]:
    """Return the account's posts with these ids that are not known to be deleted."""
    found: dict[str, RowMapping] = {}
    for part in _parts(list(dict.fromkeys(native_ids))):
        mine = (post.c.account_id == claimed.account.id, post.c.native_id.in_(part), post.c.deleted_at.is_(None))
        found |= {row["native_id"]: row for row in connection.execute(select(post).where(*mine)).mappings()}
    return found


def _parts(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[begin : begin + PART] for begin in range(0, len(items), PART)]
