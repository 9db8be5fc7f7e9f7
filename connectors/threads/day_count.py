"""The calls of a rolling day, which Threads limits without telling."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta

from connectors.base import Allowance, RateLimited, no_later

DAY = timedelta(days=1)


class DayCount:
    """Counts the calls of a rolling day, which Threads limits without telling. A restart begins anew. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._calls: deque[datetime] = deque()

    def count(self, now: datetime) -> None:
        """Note a call. Raises RateLimited before one too many."""
        with self._lock:
            while self._calls and self._calls[0] <= now - DAY:
                self._calls.popleft()
            if len(self._calls) >= self._limit:
                message = f"threads: {self._limit} calls for others' profiles were made in 24 hours, which is the limit"
                raise RateLimited(message, retry_at=no_later(self._calls[0] + DAY, now))
            self._calls.append(now)

    def allowances(self) -> tuple[Allowance, ...]:
        with self._lock:
            if not self._calls:
                return ()
            left, resets_at = self._limit - len(self._calls), self._calls[0] + DAY
        name = "units a day"  # so called, it sets the pace
        return (Allowance(name=name, limit=self._limit, remaining=left, resets_at=resets_at, window=DAY),)
