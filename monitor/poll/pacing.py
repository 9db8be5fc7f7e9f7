"""How often a platform's accounts are read: by their posting rates, and by what its budget of calls allows."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.budget import PRIOR, Pace, first_rate, next_rate
from monitor.schedule import usual_pace
from monitor.settings import Polling
from monitor.store.accounts import Claimed
from monitor.store.budget import posting_rates, published_before
from monitor.store.database import Database

KEPT_FOR = timedelta(minutes=1)  # a pace; rates change by days, budgets by minutes


@dataclass(frozen=True, slots=True)
class Pacing:
    """The paces of the platforms, each looked up once a minute. Shared by all who check accounts."""

    _paces: dict[str, tuple[datetime, Pace]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, db: Database, platform: str, polling: Polling, now: datetime) -> Pace:
        with self._lock:
            at, pace = self._paces.get(platform, (None, None))
            if at is None or pace is None or abs(now - at) >= KEPT_FOR:
                rates = [PRIOR if rate is None else rate for rate in posting_rates(db, platform)]
                pace = usual_pace(rates, polling)
                self._paces[platform] = (now, pace)
        return pace


def rate_after(db: Database, claimed: Claimed, times: Collection[datetime], now: datetime) -> float:
    """Return an account's posts a day after a read whose new posts were published at `times`."""
    if claimed.posting_rate is None:
        return first_rate([*published_before(db, claimed.account.id), *times], now)
    return next_rate(claimed.posting_rate, times, since=claimed.last_ok_at, now=now)
