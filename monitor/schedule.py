"""When to look again. Pure: takes what happened and `now`, returns a time; the store writes it down.

The promise is `max_interval`: a healthy account is never looked at less often. The platform's own "retry at" outranks
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.budget import PRIOR, Pace, spread
from monitor.settings import Polling

HEADROOM = 0.1  # of the longest interval: for waiting in line, and for the call
PROFILE_EVERY = timedelta(hours=24)  # X bills each profile read; a first look is taken at registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check of an account brought. `failures` counts the failed checks in a row, this one included.

    `limited`: the budget was used up, and the account had no part in it: it comes next when there is one again.
    """

    new_posts: int = 0
    failures: int = 0
    limited: bool = False
    retry_at: datetime | None = None


def usual_pace(rates: Sequence[float], polling: Polling) -> Pace:
    """Return the pace where no budget of calls is known: as many reads as one each `typical_interval` would be."""
    return spread(
        rates,
        per_second=len(rates) / polling.typical.total_seconds(),
        shortest=polling.min_interval,
        longest=punctual(polling),
    )


def punctual(polling: Polling) -> timedelta:
    """Return the longest wait that keeps the promise: to be claimed and read takes time as well."""
    return max(polling.min_interval, (1 - HEADROOM) * polling.max_interval)


def next_interval(
    previous: timedelta, outcome: Outcome, polling: Polling, pace: Pace | None = None, rate: float | None = None
) -> timedelta:
    """Return how long to wait: short after news, doubling through silence up to the account's own interval.

    That one goes by its posting `rate` and by the `pace`, which the budget sets; it is over the promise only where the
    budget does not suffice for it. A failure doubles up to the longest interval. `previous` is 0 before a first check.
    """
    pace = pace or usual_pace((PRIOR,), polling)
    if outcome.limited:
        return max(previous, polling.min_interval)
    if outcome.failures:
        return min(max(previous * 2, polling.min_interval), max(pace.longest, punctual(polling)))
    usual, soonest = pace.interval(rate or PRIOR), pace.after_news(rate or PRIOR)
    if outcome.new_posts or not previous:
        return min(soonest, usual)
    return min(max(previous * 2, soonest), usual)


def next_check(interval: timedelta, outcome: Outcome, now: datetime) -> datetime:
    """Return when an account is due again; never before the platform's own `retry_at`."""
    if outcome.retry_at is None:
        return now + interval
    return outcome.retry_at if outcome.limited and outcome.retry_at > now else max(now + interval, outcome.retry_at)
