"""Accounts as work: which are due, who holds them, and what each check brought. The schedule is a column."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from monitor import coverage as intervals
from monitor.model import (
    Account,
    AccountStatus,
    AlertKind,
    Cause,
    CoverageKind,
    Disclosure,
    Interval,
    Profile,
    Severity,
)
from monitor.schedule import PROFILE_EVERY
from monitor.store import alerts, past
from monitor.store.database import Database, insert_if_new
from monitor.store.register import to_account
from monitor.store.tables import account, alert, coverage, credential, profile

Tail = tuple[Interval, ...]
Change = Callable[[Tail], Tail]
ONE_ALERT_IN_ALL = frozenset({Cause.CREDENTIAL, Cause.CONFIGURATION})  # a dead credential, not each of its accounts


class LeaseLostError(Exception):
    """Another worker has taken the account over since; nothing of this check may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An account in this worker's hands, with all a check needs to know. Writes carry `fence`."""

    account: Account
    fence: int
    cursor: dict[str, Any] | None
    interval: timedelta
    failures: int
    failing_since: datetime | None
    profile_at: datetime | None
    last_ok_at: datetime | None
    posting_rate: float | None = None  # posts a day; None: not known yet


def claim_accounts(
    db: Database,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
    platform: str,
    everything: bool = False,
    among: Sequence[int] | None = None,
    exclude: Collection[int] = (),
) -> list[Claimed]:
    """Claim due accounts of a platform, longest overdue first. `everything` takes every active one that it lets us.

    `among` are the ids that may be taken, where not all may; `exclude` are in the caller's hands already.

    An account whose last check lies in the future was written before the clock stepped back: it is due.
    """
    allowed = or_(account.c.retry_at.is_(None), account.c.retry_at <= now)
    due = allowed if everything else or_(account.c.next_check_at <= now, account.c.last_check_at > now)
    query = (
        select(account)
        .where(account.c.status == AccountStatus.ACTIVE.value, _is_free(now), due)
        .where(account.c.platform == platform)
        .order_by(account.c.next_check_at, account.c.id)
        .limit(limit)
    )
    if among is not None:
        query = query.where(account.c.id.in_(among))
    if exclude:
        query = query.where(account.c.id.not_in(exclude))
    return _claim(db, query, now=now, lease=lease)


def claim_these(db: Database, ids: Sequence[int], *, now: datetime, lease: timedelta) -> list[Claimed]:
    """Claim these accounts for something else than their check, as far as nobody holds them."""
    active = account.c.status == AccountStatus.ACTIVE.value
    query = select(account).where(account.c.id.in_(ids), active, _is_free(now)).order_by(account.c.id)
    return _claim(db, query, now=now, lease=lease)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(account.c.leased_until.is_(None), account.c.leased_until <= now, account.c.last_check_at > now)


def _claim(db: Database, query: Select[Any], *, now: datetime, lease: timedelta) -> list[Claimed]:
    with db.write() as connection:
        rows = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
        if rows:
            connection.execute(
                update(account)
                .where(account.c.id.in_([row["id"] for row in rows]))
                .values(fence=account.c.fence + 1, leased_until=now + lease)
            )
    return [
        Claimed(
            account=to_account(row),
            fence=row["fence"] + 1,
            cursor=row["cursor"],
            interval=timedelta(seconds=row["interval_seconds"]),
            failures=row["failures"],
            failing_since=row["failing_since"],
            profile_at=row["profile_at"],
            last_ok_at=row["last_ok_at"],
            posting_rate=row["posting_rate"],
        )
        for row in rows
    ]


def account_ids(db: Database, platform: str) -> list[int]:
    """Return the ids of a platform's active accounts, longest overdue first."""
    mine = (account.c.status == AccountStatus.ACTIVE.value, account.c.platform == platform)
    query = select(account.c.id).where(*mine).order_by(account.c.next_check_at, account.c.id)
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def hold(connection: Connection, claimed: Claimed) -> None:
    """Make sure that the account is still ours, and keep it so for this transaction. Raises LeaseLostError."""
    held = connection.execute(
        select(account.c.id)
        .where(account.c.id == claimed.account.id, account.c.fence == claimed.fence)
        .with_for_update()
    ).first()
    if held is None:
        raise LeaseLostError(claimed.account.label)


def keep(connection: Connection, claimed: Claimed, *, until: datetime) -> None:
    """Hold on to an account that is being read: a long walk may take longer than the lease it began with."""
    mine = and_(account.c.id == claimed.account.id, account.c.fence == claimed.fence)
    connection.execute(update(account).where(mine).values(leased_until=until))


def release(db: Database, claimed: Claimed) -> None:
    """Give an unfinished account back, so that the next round takes it at once."""
    release_all(db, [claimed])


def release_all(db: Database, claimed: Sequence[Claimed]) -> None:
    with db.write() as connection:
        ours = held_of(connection, claimed)
        connection.execute(update(account).where(account.c.id.in_(ours)).values(leased_until=None))


def held_accounts(db: Database, *, now: datetime) -> int:
    """Return how many active accounts another worker holds, or one that died and whose lease still runs."""
    with db.read() as connection:
        held = (account.c.status == AccountStatus.ACTIVE.value, account.c.leased_until > now)
        return int(connection.execute(select(func.count()).select_from(account).where(*held)).scalar_one())


def release_held(db: Database) -> None:
    """End the leases of a process that died: whoever holds a SQLite file's lock is the only one who reads."""
    with db.write() as connection:
        held = account.c.leased_until.is_not(None)
        connection.execute(update(account).where(held).values(leased_until=None, fence=account.c.fence + 1))


def save_profile(db: Database, claimed: Claimed, snapshot: Profile, *, now: datetime) -> bool:
    """Keep a profile snapshot when it differs from the last one. Returns whether it did (False for the first).

    Another name or handle is an alert: hijackers rename an account before they post. A whole pass looks at every
    profile; what it finds as it was yesterday at the most is not written down anew.
    """
    newest = select(profile).where(profile.c.account_id == claimed.account.id).order_by(profile.c.id.desc()).limit(1)
    if claimed.profile_at is not None and timedelta() <= now - claimed.profile_at < PROFILE_EVERY:
        with db.read() as connection:
            known = connection.execute(newest).mappings().first()
        if known is not None and known["content_hash"] == snapshot.content_hash:
            return False
    with db.write() as connection:
        hold(connection, claimed)
        row = connection.execute(newest).mappings().first()
        last = row["content_hash"] if row else None
        if last != snapshot.content_hash:
            connection.execute(
                insert(profile).values(
                    account_id=claimed.account.id,
                    seen_at=now,
                    native_id=snapshot.native_id,
                    name=snapshot.name,
                    handle=snapshot.handle,
                    bio=snapshot.bio,
                    picture_url=snapshot.picture_url,
                    content_hash=snapshot.content_hash,
                )
            )
            if row is not None:
                alerts.alert_for_profile(
                    connection, holder=claimed.account, before=to_profile(row), after=snapshot, now=now
                )
        values = {"profile_at": now, "native_id": snapshot.native_id}
        connection.execute(update(account).where(account.c.id == claimed.account.id).values(**values))
        return last is not None and last != snapshot.content_hash


def to_profile(row: RowMapping) -> Profile:
    return Profile(
        native_id=row["native_id"],
        name=row["name"],
        handle=row["handle"],
        bio=row["bio"],
        picture_url=row["picture_url"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEnd:
    """What the last page of a walk writes besides its posts."""

    cursor: dict[str, Any]
    hole: tuple[datetime | None, datetime, Cause] | None
    interval: timedelta
    next_check_at: datetime
    heals: bool = False  # what earlier walks had lost is read
    posting_rate: float | None = None  # as it is now known; None: as before
    fillable: bool = False  # what was lost can be asked for again
    history: int = 0  # posts of before a first check that are read later


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A check that has read all there was, on its way into the database."""

    claimed: Claimed
    end: ReadEnd
    now: datetime


def finish_reads(connection: Connection, ended: Sequence[Ended]) -> None:
    """Write successful checks: cursor, coverage and the next check, in the caller's transaction with the posts.

    The caller holds the accounts.
    """
    if not ended:
        return
    for one in ended:
        if one.end.heals:
            lost = (coverage.c.account_id == one.claimed.account.id, coverage.c.cause == Cause.BURST.value)
            connection.execute(update(coverage).where(*lost).values(kind=CoverageKind.READ.value, cause=None))
    _save_tails(connection, {one.claimed.account.id: partial(_after_read, one) for one in ended})
    connection.execute(FINISH, [_finished(one) for one in ended])
    for one in ended:
        _note_past(connection, one)
    now = max(one.now for one in ended)
    alerts.recover(connection, account_ids=[one.claimed.account.id for one in ended], now=now)


def _note_past(connection: Connection, one: Ended) -> None:
    holder, end = one.claimed.account, one.end
    if end.heals:
        past.note_found(connection, holder.id)
    if end.fillable and end.hole is not None:
        past.note_lost(connection, holder, start=end.hole[0], end=end.hole[1], now=one.now)
    if end.history and one.claimed.cursor is None:
        past.note_history(connection, holder, posts=end.history, now=one.now)


def _after_read(one: Ended, tail: Tail) -> Tail:
    begin = one.claimed.account.registered_at or one.now
    return intervals.after_read(tail, begin=begin, now=one.now, hole=one.end.hole)


FINISH = (
    update(account)
    .where(account.c.id == bindparam("one"))
    .values(
        cursor=bindparam("at"),
        last_check_at=bindparam("now"),
        last_ok_at=bindparam("now"),
        next_check_at=bindparam("due"),
        interval_seconds=bindparam("seconds"),
        posting_rate=bindparam("rate"),
        failures=0,
        failing_since=None,
        cause=None,
        error="",
        retry_at=None,
        leased_until=None,
    )
)


def _finished(one: Ended) -> dict[str, object]:
    return {
        "one": one.claimed.account.id,
        "at": one.end.cursor,
        "now": one.now,
        "due": one.end.next_check_at,
        "seconds": int(one.end.interval.total_seconds()),
        "rate": one.claimed.posting_rate if one.end.posting_rate is None else one.end.posting_rate,
    }


def held_of(connection: Connection, claimed: Sequence[Claimed]) -> set[int]:
    """Return which accounts are still ours, and keep them so for this transaction."""
    query = select(account.c.id, account.c.fence).where(account.c.id.in_([one.account.id for one in claimed]))
    fences = {row.id: row.fence for row in connection.execute(query.order_by(account.c.id).with_for_update())}
    return {one.account.id for one in claimed if fences.get(one.account.id) == one.fence}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed check on its way into the database; after `blind_after` without a read it is an alert."""

    claimed: Claimed
    cause: Cause
    error: str
    now: datetime
    interval: timedelta
    next_check_at: datetime
    retry_at: datetime | None
    blind_after: timedelta


def save_failure(db: Database, failure: Failure) -> None:
    """Write a failed check: the hole with its cause, the next check, the alert. Raises LeaseLostError."""
    if not save_failures(db, [failure]):
        raise LeaseLostError(failure.claimed.account.label)


def save_failures(db: Database, failures: Sequence[Failure]) -> set[int]:
    """Commit failed checks as one. Returns the ids of the accounts that were still ours."""
    with db.write() as connection:
        held = held_of(connection, [failure.claimed for failure in failures])
        for failure in failures:
            if failure.claimed.account.id in held:
                _save_failure(connection, failure)
    return held


def _save_failure(connection: Connection, failure: Failure) -> None:
    claimed, now, cause = failure.claimed, failure.now, failure.cause
    one = claimed.account
    begin = one.registered_at or now
    since = claimed.failing_since or now
    _save_tail(connection, one.id, partial(intervals.after_failure, begin=begin, now=now, cause=cause))
    connection.execute(
        update(account)
        .where(account.c.id == one.id)
        .values(
            last_check_at=now,
            next_check_at=failure.next_check_at,
            interval_seconds=int(failure.interval.total_seconds()),
            failures=claimed.failures + 1,
            failing_since=since,
            cause=cause.value,
            error=failure.error[:500],
            retry_at=failure.retry_at,
            leased_until=None,
        )
    )
    if now - since >= failure.blind_after and cause not in ONE_ALERT_IN_ALL and not _is_dead(connection, one.platform):
        unread_since = claimed.last_ok_at or begin
        _open_blind(connection, one, since, cause=cause, error=failure.error, unread_since=unread_since, now=now)


def _open_blind(
    connection: Connection,
    one: Account,
    failing_since: datetime,
    *,
    cause: Cause,
    error: str,
    unread_since: datetime,
    now: datetime,
) -> None:
    alerts.open_alert(
        connection,
        dedup_key=f"blind:{one.id}:{failing_since.isoformat()}",
        kind=AlertKind.BLIND,
        severity=Severity.MEDIUM,
        disclosure=Disclosure.NONE,
        agency=one.agency,
        account_id=one.id,
        cause=cause,
        since=unread_since,
        detail=error[:500],
        now=now,
    )


def open_blind_alerts(db: Database, *, now: datetime, blind_after: timedelta) -> int:
    """Alert for accounts that rest by a platform's own word, and were not read for `blind_after`. Returns how many.

    Nobody checks such an account, so that no failed check could find it blind. Where its last check was a good one the
    platform's refusal is written down for it.
    """
    with db.read() as connection:
        if not _resting_blind(connection, now, blind_after):
            return 0
    with db.write() as connection:
        found = _resting_blind(connection, now, blind_after)
        for row in found:
            one = to_account(row)
            begin = one.registered_at or now
            unread_since = row["last_ok_at"] or begin
            since = row["failing_since"] or unread_since
            cause = Cause(row["cause"] or row["shut_cause"])
            error = row["error"] or row["shut_error"]
            if row["failing_since"] is None:
                why = {"failing_since": since, "cause": cause.value, "error": error}
                connection.execute(update(account).where(account.c.id == one.id).values(**why))
            _save_tail(connection, one.id, partial(intervals.after_failure, begin=begin, now=now, cause=cause))
            _open_blind(connection, one, since, cause=cause, error=error, unread_since=unread_since, now=now)
    return len(found)


def _resting_blind(connection: Connection, now: datetime, blind_after: timedelta) -> Sequence[RowMapping]:
    """Return the accounts that rest unread for too long and are not alerted for it, unless the credential is dead."""
    dead = [cause.value for cause in ONE_ALERT_IN_ALL]
    since = func.coalesce(account.c.failing_since, account.c.last_ok_at, account.c.registered_at)
    told = exists().where(
        alert.c.account_id == account.c.id, alert.c.kind == AlertKind.BLIND.value, alert.c.opened_at >= since
    )
    query = (
        select(account, credential.c.cause.label("shut_cause"), credential.c.error.label("shut_error"))
        .outerjoin(credential, credential.c.platform == account.c.platform)
        .where(account.c.status == AccountStatus.ACTIVE.value, since <= now - blind_after, ~told)
        .where(or_(account.c.retry_at > now, credential.c.probe_at > now))
        .where(or_(account.c.cause.is_(None), account.c.cause.not_in(dead)))
        .where(or_(credential.c.cause.is_(None), credential.c.cause.not_in(dead)))
    )
    return connection.execute(query).mappings().all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An account that its platform does not let us read before `retry_at`, and what it said."""

    account: Account
    error: str
    retry_at: datetime


def resting_accounts(db: Database, *, now: datetime) -> list[Resting]:
    """Return the active accounts that nobody may ask yet, by the platform's own word."""
    resting = (account.c.status == AccountStatus.ACTIVE.value, account.c.retry_at > now)
    with db.read() as connection:
        rows = connection.execute(select(account).where(*resting).order_by(account.c.id)).mappings().all()
    return [Resting(account=to_account(row), error=row["error"], retry_at=row["retry_at"]) for row in rows]


def _is_dead(connection: Connection, platform: str) -> bool:
    """Say whether the platform's credential is dead: that is one alert in all, whatever its accounts meet meanwhile."""
    dead = credential.c.cause.in_([cause.value for cause in ONE_ALERT_IN_ALL])
    query = select(credential.c.platform).where(credential.c.platform == platform, dead)
    return connection.execute(query).first() is not None


def _save_tail(connection: Connection, account_id: int, change: Change) -> None:
    _save_tails(connection, {account_id: change})


def _save_tails(connection: Connection, changes: Mapping[int, Change]) -> None:
    """Replace the tail of each account's coverage by what `change` makes of it."""
    tails: dict[int, list[RowMapping]] = {account_id: [] for account_id in changes}
    for row in connection.execute(TAILS, {"ids": list(changes)}).mappings():
        tails[row["account_id"]].append(row)
    changed: list[dict[str, object]] = []
    added: list[dict[str, object]] = []
    surplus: list[int] = []
    for account_id, change in changes.items():
        rows = tails[account_id]
        new = change(tuple(map(to_interval, rows)))
        for row, interval in zip(rows, new, strict=False):
            values = _interval_values(interval)
            if any(row[key] != value for key, value in values.items()):
                changed.append({"row": row["id"], **{f"new_{key}": value for key, value in values.items()}})
        added += [{"account_id": account_id, **_interval_values(interval)} for interval in new[len(rows) :]]
        surplus += [row["id"] for row in rows[len(new) :]]
    if changed:
        connection.execute(CHANGE_INTERVAL, changed)
    if added:
        connection.execute(insert(coverage), added)
    if surplus:
        connection.execute(delete(coverage).where(coverage.c.id.in_(surplus)))


_read = coverage.alias()
_last_read = (
    select(_read.c.start)
    .where(_read.c.account_id == account.c.id, _read.c.kind == CoverageKind.READ.value)
    .order_by(_read.c.start.desc())
    .limit(1)
    .scalar_subquery()
)
BEFORE_ALL = datetime(1900, 1, 1, tzinfo=UTC)
TAILS = (  # the last READ interval of each account, and what failed after it
    select(coverage)
    .join(account, account.c.id == coverage.c.account_id)
    .where(account.c.id.in_(bindparam("ids", expanding=True)))
    .where(coverage.c.start >= func.coalesce(_last_read, literal(BEFORE_ALL, coverage.c.start.type)))
    .order_by(coverage.c.account_id, coverage.c.start)
)
CHANGE_INTERVAL = (
    update(coverage)
    .where(coverage.c.id == bindparam("row"))
    .values({key: bindparam(f"new_{key}") for key in ("kind", "start", "end", "cause")})
)


def _interval_values(interval: Interval) -> dict[str, object]:
    cause = interval.cause.value if interval.cause else None
    return {"kind": interval.kind.value, "start": interval.start, "end": interval.end, "cause": cause}


def to_interval(row: Any) -> Interval:
    cause = Cause(row["cause"]) if row["cause"] else None
    return Interval(kind=CoverageKind(row["kind"]), start=row["start"], end=row["end"], cause=cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A platform whose credential is refused or used up: nobody asks before `probe_at`, then one account does."""

    platform: str
    cause: Cause
    error: str
    since: datetime
    probe_at: datetime
    retry_at: datetime | None


def shut_platforms(db: Database) -> dict[str, Shut]:
    with db.read() as connection:
        rows = connection.execute(select(credential)).mappings().all()
    return {row["platform"]: _to_shut(row) for row in rows}


def _to_shut(row: Any) -> Shut:
    return Shut(
        platform=row["platform"],
        cause=Cause(row["cause"]),
        error=row["error"],
        since=row["since"],
        probe_at=row["probe_at"],
        retry_at=row["retry_at"],
    )


def shut_platform(
    db: Database,
    platform: str,
    *,
    cause: Cause,
    error: str,
    retry_at: datetime | None,
    probe_at: datetime,
    now: datetime,
) -> Shut:
    """Remember that a platform refuses its credential, or that its budget is used up; a dead one is one alert.

    It is dead until an answer proves it good: a rate limit that is met meanwhile changes only when to ask again.
    """
    given = Shut(platform=platform, cause=cause, error=error[:500], since=now, retry_at=retry_at, probe_at=probe_at)
    with db.write() as connection:
        row = connection.execute(select(credential).where(credential.c.platform == platform)).mappings().first()
        standing = given if row is None else _still_shut(_to_shut(row), given)
        if row is None:
            first = insert_if_new(connection, credential)
            connection.execute(first.values(platform=platform, **_shut_values(standing)))
        else:
            same = credential.c.platform == platform
            connection.execute(update(credential).where(same).values(**_shut_values(standing)))
        if cause in ONE_ALERT_IN_ALL:
            alerts.open_alert(
                connection,
                dedup_key=f"credential:{platform}:{standing.since.isoformat()}",
                kind=AlertKind.CREDENTIAL,
                severity=Severity.HIGH,
                disclosure=Disclosure.NONE,
                cause=cause,
                since=standing.since,
                detail=f"{platform}: {error[:400]}",
                now=now,
            )
    return standing


def _still_shut(before: Shut, given: Shut) -> Shut:
    was_dead, is_dead = before.cause in ONE_ALERT_IN_ALL, given.cause in ONE_ALERT_IN_ALL
    if was_dead and not is_dead:
        return replace(before, retry_at=given.retry_at, probe_at=given.probe_at)
    return replace(given, since=before.since) if was_dead == is_dead else given


def _shut_values(shut: Shut) -> dict[str, object]:
    return {
        "cause": shut.cause.value,
        "error": shut.error,
        "since": shut.since,
        "retry_at": shut.retry_at,
        "probe_at": shut.probe_at,
    }


def open_platform(db: Database, platform: str, *, now: datetime) -> None:
    """Remember that a platform answers again."""
    with db.write() as connection:
        connection.execute(delete(credential).where(credential.c.platform == platform))
        alerts.recover(connection, platform=platform, now=now)
