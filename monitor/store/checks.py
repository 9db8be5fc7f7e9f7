"""What a check of an account brought, read or failed: its cursor, its coverage, its next check, its alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, update

from monitor import coverage as intervals
from monitor.budget import Rate
from monitor.model import Cause, CoverageKind
from monitor.store import opening, past
from monitor.store.accounts import Claimed, LeaseLostError, held_of
from monitor.store.blind import open_blind
from monitor.store.coverage import Tail, save_tail, save_tails
from monitor.store.credentials import ONE_ALERT_IN_ALL, is_dead
from monitor.store.database import Database
from monitor.store.prepared import Prepared
from monitor.store.tables import account, coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEnd:
    """What the last page of a walk writes besides its posts."""

    cursor: dict[str, Any]
    hole: intervals.Hole | None
    interval: timedelta
    next_check_at: datetime
    heals: bool = False  # what earlier walks had lost is read
    rate: Rate | None = None  # as it is now known; None: as before
    fillable: bool = False  # what was lost can be asked for again
    history: int = 0  # posts of before a first check that are read later
    bottom: bool = False  # the first check's listing said that there are none


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
    save_tails(connection, {one.claimed.account.id: partial(_after_read, one) for one in ended})
    _FINISH.run_each(connection, map(_finished, ended))
    for one in ended:
        _note_past(connection, one)
    now = max(one.now for one in ended)
    opening.recover(connection, account_ids=[one.claimed.account.id for one in ended], now=now)


def _note_past(connection: Connection, one: Ended) -> None:
    holder, end = one.claimed.account, one.end
    if end.heals:
        past.note_found(connection, holder.id)
    if end.fillable and end.hole is not None:
        past.note_lost(connection, holder, start=end.hole.start, end=end.hole.end, now=one.now)
    if end.history and one.claimed.cursor is None:
        past.note_history(connection, holder, posts=end.history, bottom=end.bottom, now=one.now)


def _after_read(one: Ended, tail: Tail) -> Tail:
    begin = one.claimed.account.registered_at or one.now
    return intervals.after_read(tail, begin=begin, now=one.now, hole=one.end.hole)


_FINISH = Prepared(
    update(account)
    .where(account.c.id == bindparam("one"))
    .values(
        cursor=bindparam("at"),
        last_check_at=bindparam("now"),
        last_ok_at=bindparam("now"),
        next_check_at=bindparam("due"),
        interval_seconds=bindparam("seconds"),
        posting_rate=bindparam("rate"),
        rate_days=bindparam("rate_days"),
        failures=0,
        failing_since=None,
        cause=None,
        error="",
        retry_at=None,
        leased_until=None,
    )
)


def _finished(one: Ended) -> dict[str, object]:
    rate = one.end.rate or one.claimed.rate
    return {
        "one": one.claimed.account.id,
        "at": one.end.cursor,
        "now": one.now,
        "due": one.end.next_check_at,
        "seconds": int(one.end.interval.total_seconds()),
        "rate": rate and rate.per_day,
        "rate_days": rate and rate.days,
    }


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
    save_tail(connection, one.id, partial(intervals.after_failure, begin=begin, now=now, cause=cause))
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
    if now - since >= failure.blind_after and cause not in ONE_ALERT_IN_ALL and not is_dead(connection, one.platform):
        unread_since = claimed.last_ok_at or begin
        open_blind(connection, one, since, cause=cause, error=failure.error, unread_since=unread_since, now=now)
