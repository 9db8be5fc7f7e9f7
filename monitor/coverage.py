"""Interval arithmetic of coverage: what of an account's life was read, and which holes are left. Pure.

An account's intervals tile [registered, last check) without a hole. The newest ones are its *tail*: the last READ
interval and whatever failed after it. Every outcome of a check replaces the tail and leaves the rest alone.
Intervals are half-open, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.model import Cause, CoverageKind, Interval, Verdict

UNREACHABLE = frozenset({Cause.NOT_FOUND, Cause.PERMISSION, Cause.CREDENTIAL, Cause.SCHEMA_DRIFT, Cause.CONFIGURATION})
LEAST = timedelta(milliseconds=1)  # a stretch that shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """What the platform no longer gives back, as a check tells it. A start of None means "from what was read last".

    `from_start`: the checks before this one showed nothing at all, and were perhaps wrong: it begins where it says,
    whatever they were taken to have read; without a start, where the stretch that they read begins.
    """

    start: datetime | None
    end: datetime
    cause: Cause
    from_start: bool = False


def after_read(
    tail: Sequence[Interval],
    *,
    begin: datetime,
    now: datetime,
    hole: Hole | None = None,
) -> tuple[Interval, ...]:
    """Return the tail after a walk that met what was known: everything up to `now` is read, the failures are closed.

    `begin` is the account's registration, for a first read. A hole is always left visible, and always followed by a
    READ interval: a gap at the end would be taken for a failure that the next read closes.
    """
    first = tail[0] if tail and tail[0].kind is CoverageKind.READ else None
    start = first.start if first else (tail[0].start if tail else begin)
    now = max(now, start)
    if hole is None:
        return (Interval(kind=CoverageKind.READ, start=start, end=now),)
    lost_from, lost_to = _place(hole, start=start, checked=first.end if first else start, now=now)
    pieces = (
        Interval(kind=CoverageKind.READ, start=start, end=lost_from),
        Interval(kind=CoverageKind.GAP, start=lost_from, end=lost_to, cause=hole.cause),
        Interval(kind=CoverageKind.READ, start=lost_to, end=max(now, lost_to + LEAST)),
    )
    return tuple(piece for piece in pieces if piece.start < piece.end)


def _place(hole: Hole, *, start: datetime, checked: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return where a hole lies: after the last check, as a rule, for up to then all was read.

    When all of it bears times of before that, the posts appeared later than they say: it lies where they say. Where
    that is no stretch of this tail at all, it is named at the last check.
    """
    read_to = start if hole.from_start else checked
    begin, end = max(read_to, hole.start or read_to), min(hole.end, now)
    if begin < end:
        return begin, end
    begin, end = max(start, hole.start or checked), min(hole.end, checked)
    return (begin, end) if begin < end else (checked, checked + LEAST)


def after_failure(tail: Sequence[Interval], *, begin: datetime, now: datetime, cause: Cause) -> tuple[Interval, ...]:
    """Return the tail after a failed check: the time since the last interval's end is not read, for this cause."""
    kind = CoverageKind.UNREACHABLE if cause in UNREACHABLE else CoverageKind.GAP
    last = tail[-1] if tail else None
    if last is not None and last.kind is kind and last.cause is cause:
        return (*tail[:-1], replace(last, end=max(now, last.end)))
    start = last.end if last else begin
    if start >= now:
        # Two checks within one instant: the failure must still show.
        now = start + timedelta(microseconds=1)
    return (*tail, Interval(kind=kind, start=start, end=now, cause=cause))


def up_to(
    intervals: Sequence[Interval],
    *,
    begin: datetime,
    now: datetime,
    patience: timedelta,
    due: datetime | None = None,
) -> tuple[Interval, ...]:
    """Return the intervals completed to `now`: unchecked time is a gap as soon as it exceeds `patience`.

    Before the first check the cause is NOT_YET_READ. After a failure it goes on, for the same cause: the next check
    waits on purpose. After a read it is RATE_LIMIT until the next check is `due` (the platform allows no more calls),
    and STOPPED where that is past, too: nobody was reading.
    """
    end = intervals[-1].end if intervals else begin
    if end >= now:
        return tuple(intervals)
    if intervals and intervals[-1].kind is not CoverageKind.READ:
        return (*intervals[:-1], replace(intervals[-1], end=now))
    if intervals and now - end <= patience:
        return tuple(intervals)
    waits = due is not None and due - end > patience and now - due <= patience
    cause = (Cause.RATE_LIMIT if waits else Cause.STOPPED) if intervals else Cause.NOT_YET_READ
    return (*intervals, Interval(kind=CoverageKind.GAP, start=end, end=now, cause=cause))


def within(intervals: Sequence[Interval], start: datetime, end: datetime) -> tuple[Interval, ...]:
    """Return the parts of the intervals that lie in [start, end)."""
    cut = (replace(i, start=max(i.start, start), end=min(i.end, end)) for i in intervals)
    return tuple(i for i in cut if i.start < i.end)


def gaps(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    return tuple(i for i in intervals if i.kind is not CoverageKind.READ)


def covered(intervals: Sequence[Interval]) -> float:
    """Return the share of the intervals' time that was read, 0 to 1; 0 when there is no time at all."""
    whole = sum((i.length for i in intervals), timedelta())
    read = sum((i.length for i in intervals if i.kind is CoverageKind.READ), timedelta())
    return read / whole if whole else 0.0


def verdict(intervals: Sequence[Interval]) -> Verdict:
    """Return the verdict over a stretch: blind when none of it was read, or when a full day up to its end was not."""
    if not any(i.kind is CoverageKind.READ for i in intervals):
        return Verdict.BLIND
    blind_for = timedelta()
    for interval in reversed(intervals):
        if interval.kind is CoverageKind.READ:
            break
        blind_for += interval.length
    if blind_for >= timedelta(days=1):
        return Verdict.BLIND
    return Verdict.GAPS if gaps(intervals) else Verdict.FULL
