"""When to look again. Pure: takes what happened and `now`, returns a time; the store writes it down.

The promise is `max_interval`: a healthy account is never looked at less often. The platform's own "retry at" outranks
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.settings import Polling

HEADROOM = 0.1  # of the longest interval: for waiting in line, and for the call
PROFILE_EVERY = timedelta(hours=24)  # X bills each profile read; a first look is taken at registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check of an account brought. `failures` counts the failed checks in a row, this one included."""

    new_posts: int = 0
    failures: int = 0
    retry_at: datetime | None = None


def next_interval(previous: timedelta, outcome: Outcome, polling: Polling) -> timedelta:
    """Return how long to wait: shortest after news, doubling through silence and failures, never over the promise."""
    if outcome.new_posts or not previous:
        return polling.min_interval
    return min(previous * 2, polling.max_interval)


def next_check(previous: timedelta, outcome: Outcome, now: datetime, polling: Polling) -> datetime:
    """Return when an account is due again; never before the platform's own `retry_at`.

    An account at the longest interval is due a little earlier: to be claimed and read takes time as well, and the
    promise is about when it has been read.
    """
    wait = next_interval(previous, outcome, polling)
    due = now + (wait - HEADROOM * wait if wait == polling.max_interval else wait)
    return max(due, outcome.retry_at) if outcome.retry_at else due
