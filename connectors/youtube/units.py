"""How many of a day's units are spent: Google tells it in no header."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.base import Allowance, RateLimited
from connectors.youtube.refusals import DAY_USED

PACIFIC = ZoneInfo("America/Los_Angeles")  # where Google's day ends


def next_day(now: datetime) -> datetime:
    """Return when the units are given anew: the next midnight of Pacific time."""
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), PACIFIC).astimezone(UTC)


class Units:
    """The units of a project's day, as counted here: Google tells them in no header. Shared by a connector's threads.

    The count begins anew with the process; what others spend of the same project shows by Google's refusal alone.
    """

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._day: date | None = None
        self._used = 0
        self._seen_at: datetime | None = None

    def spend(self, now: datetime, *, what: str) -> None:
        """Count a call of one unit. Raises RateLimited before one that the day has no room for."""
        with self._lock:
            self._turn(now)
            if self._used >= self._limit:
                raise RateLimited(f"{what}: {DAY_USED} ({self._limit} counted)", retry_at=next_day(now))
            self._used += 1

    def are_gone(self, now: datetime) -> None:
        """Take Google's word that nothing is left today."""
        with self._lock:
            self._turn(now)
            self._used = self._limit

    def allowances(self) -> tuple[Allowance, ...]:
        with self._lock:
            if self._seen_at is None:
                return ()
            left, at = self._limit - self._used, next_day(self._seen_at)
        return (
            Allowance(name="units a day", limit=self._limit, remaining=left, resets_at=at, window=timedelta(days=1)),
        )

    def _turn(self, now: datetime) -> None:
        self._seen_at = now
        today = now.astimezone(PACIFIC).date()
        if today != self._day:
            self._day, self._used = today, 0
