"""What of an account's past is still to be read: stretches that were lost, and the back catalogue. Pure.

Stretches are read from their end down to their start, in slices: what remains of one ends where the last slice came to.
Written as JSON into `account.backfill`; null when nothing is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

VERSION = 1
EARLIEST = datetime(2004, 2, 4, tzinfo=UTC)  # no network that is read here is older
LONGEST_PAUSE = timedelta(hours=6)
STEP = timedelta(seconds=1)  # platforms tell times in whole seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the past, [start, end). `shown` is the gap in the coverage that stands for it; none: back catalogue.

    `left` is how many posts of the back catalogue are still wanted; `vain` how often it ended where nothing proved it.
    `again`: from there down it is to be read once more, for several answers, which may not fit together, have brought
    posts; `looks` how often it was.
    """

    start: datetime
    end: datetime
    shown: tuple[datetime, datetime] | None = None
    left: int | None = None
    vain: int = 0
    again: datetime | None = None
    looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToDo:
    """What is left to read, when to go on, and how often in a row that failed."""

    stretches: tuple[Stretch, ...]
    due: datetime
    failures: int = 0

    @property
    def next(self) -> Stretch:
        """Return what comes first: posts that were lost before those that are a choice."""
        return min(self.stretches, key=lambda one: (one.shown is None, one.end))


def with_gap(
    todo: ToDo | None, *, start: datetime, end: datetime, shown: tuple[datetime, datetime], now: datetime
) -> ToDo:
    """Return what is to be read when a stretch was lost as well."""
    lost = Stretch(
        start=start, end=max(end, start) + STEP, shown=shown
    )  # others of its last second may be lost as well
    return _with(todo, lost, now)


def with_history(todo: ToDo | None, *, end: datetime, posts: int, vain: int, now: datetime) -> ToDo:
    """Return what is to be read when so many posts of before `end` are wanted as well, sought `vain` times so far."""
    return _with(todo, Stretch(start=EARLIEST, end=end, left=posts, vain=vain), now)


def _with(todo: ToDo | None, one: Stretch, now: datetime) -> ToDo:
    """Return the same with another stretch: it waits for no other one, only where the reading itself fails."""
    if todo is None:
        return ToDo(stretches=(one,), due=now)
    return replace(todo, stretches=(*todo.stretches, one), due=todo.due if todo.failures else now)


def without_gaps(todo: ToDo | None) -> ToDo | None:
    """Return what is left when all that was lost has been read by another way."""
    return None if todo is None else _of(todo, tuple(one for one in todo.stretches if one.shown is None))


def after_slice(
    todo: ToDo,
    done: Stretch,
    *,
    reached: datetime,
    posts: int,
    now: datetime,
    pause: timedelta,
    again: datetime | None = None,
) -> ToDo | None:
    """Return what is left after a slice of a stretch: the time it came down to, and how many posts it has shown.

    `again`: in the end it is to be read once more, from there down.
    """
    left = None if done.left is None else done.left - posts
    if left is not None and left <= 0:
        return after_end(todo, done, now=now)
    end = max(min(reached + STEP, done.end), done.start + STEP)  # others of that second may not have been shown
    rest = replace(done, end=end, left=left, again=again)
    others = tuple(one for one in todo.stretches if one != done)
    return ToDo(stretches=(*others, rest), due=now + pause)


def after_end(todo: ToDo, done: Stretch, *, now: datetime) -> ToDo | None:
    """Return what is left when a stretch was read to its end, or cannot be read any further."""
    return _of(replace(todo, due=now, failures=0), tuple(one for one in todo.stretches if one != done))


def after_doubt(todo: ToDo, done: Stretch, *, now: datetime, pause: timedelta) -> ToDo:
    """Return the same after an end that nothing proved: it is walked once more, later."""
    others = tuple(one for one in todo.stretches if one != done)
    again = replace(done, vain=done.vain + 1)
    return ToDo(stretches=(*others, again), due=now + pause * 2**done.vain)


def once_more(todo: ToDo, done: Stretch, *, end: datetime, now: datetime, pause: timedelta) -> ToDo:
    """Return the same after a stretch was walked to its end by answers that may not fit together."""
    others = tuple(one for one in todo.stretches if one != done)
    rest = replace(done, end=end, again=None, looks=done.looks + 1)
    return ToDo(stretches=(*others, rest), due=now + pause)


def after_failure(todo: ToDo, *, now: datetime, pause: timedelta, retry_at: datetime | None) -> ToDo:
    """Return the same with the next try, which comes later with each failure, and never before the platform's word."""
    wait = min(pause * 2 ** min(todo.failures, 16), LONGEST_PAUSE)
    due = max(now + wait, retry_at) if retry_at else now + wait
    return replace(todo, due=due, failures=todo.failures + 1)


def _of(todo: ToDo, stretches: tuple[Stretch, ...]) -> ToDo | None:
    return replace(todo, stretches=stretches) if stretches else None


# ---------------------------------------------------------------- JSON


def to_json(todo: ToDo | None) -> dict[str, Any] | None:
    if todo is None:
        return None
    stretches = [
        {"start": one.start.isoformat(), "end": one.end.isoformat()}
        | ({"shown": [moment.isoformat() for moment in one.shown]} if one.shown else {})
        | ({"left": one.left} if one.left is not None else {})
        | ({"vain": one.vain} if one.vain else {})
        | ({"again": one.again.isoformat()} if one.again else {})
        | ({"looks": one.looks} if one.looks else {})
        for one in todo.stretches
    ]
    return {"v": VERSION, "due": sortable(todo.due), "failures": todo.failures, "stretches": stretches}


def from_json(value: Mapping[str, Any] | None) -> ToDo | None:
    """Read what `to_json` wrote; what another version wrote is nothing to do."""
    if not value or value.get("v") != VERSION:
        return None
    stretches = tuple(
        Stretch(
            start=datetime.fromisoformat(one["start"]),
            end=datetime.fromisoformat(one["end"]),
            shown=_pair(one.get("shown")),
            left=one.get("left"),
            vain=one.get("vain", 0),
            again=datetime.fromisoformat(one["again"]) if one.get("again") else None,
            looks=one.get("looks", 0),
        )
        for one in value["stretches"]
    )
    return ToDo(stretches=stretches, due=datetime.fromisoformat(value["due"]), failures=value["failures"])


def _pair(shown: list[str] | None) -> tuple[datetime, datetime] | None:
    return (datetime.fromisoformat(shown[0]), datetime.fromisoformat(shown[1])) if shown else None


def sortable(moment: datetime) -> str:
    """Return a time as text that sorts as the time does."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
