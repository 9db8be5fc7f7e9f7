"""Working time of an agency's state: pure arithmetic on the calendar that the `holidays` package knows.

Weekends differ between states and have changed over the years; `is_working_day` knows both (its `.weekend` does not).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from monitor.escalation import Escalation
from monitor.model import MALAYSIA, State

LONGEST_BREAK_DAYS = 60  # a calendar without a working day for so long is wrong: then every day counts


@lru_cache(maxsize=len(State))
def _calendar(state: State) -> Any:
    import holidays

    return holidays.country_holidays("MY", subdiv=state.value)


def is_working_day(day: date, state: State, policy: Escalation) -> bool:
    """Say whether offices in the state work on that day; the policy's own list outranks the calendar."""
    if any(one.day == day and (not one.states or state in one.states) for one in policy.days_worked):
        return True
    if any(one.day == day and (not one.states or state in one.states) for one in policy.days_off):
        return False
    return bool(_calendar(state).is_working_day(day))


def after_working_time(start: datetime, delay: timedelta, *, state: State, policy: Escalation) -> datetime:
    """Return the moment at which `delay` of working time has passed since `start`; inside working hours.

    A delay that ends just at closing time ends there. Without delay: `start`, or the next opening.
    """

    def works(day: date) -> bool:
        return is_working_day(day, state, policy)

    local = start.astimezone(MALAYSIA)
    left = delay
    day = local.date()
    for _ in range(LONGEST_BREAK_DAYS + int(delay / _length(policy)) * 3):
        if works(day):
            opening, closing = _at(day, policy.hours_from), _at(day, policy.hours_to)
            begin = max(local, opening)
            if begin < closing and begin + left <= closing:
                return (begin + left).astimezone(start.tzinfo)
            left -= max(timedelta(), closing - begin)
        day += timedelta(days=1)
    return start + delay


def next_working_moment(start: datetime, *, state: State, policy: Escalation) -> datetime:
    """Return `start` when offices work then, else their next opening."""
    return after_working_time(start, timedelta(), state=state, policy=policy)


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, tzinfo=MALAYSIA)


def _length(policy: Escalation) -> timedelta:
    day = date(2026, 1, 1)
    return _at(day, policy.hours_to) - _at(day, policy.hours_from)
