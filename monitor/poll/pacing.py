"""How often a platform's accounts are read: by their posting rates, and by what its budgets allow.

What was spent is counted here and written down now and then; what the platform says of its budgets comes with it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector
from connectors.http import Meter
from monitor import budget
from monitor.budget import PRIOR, Grant, Pace, Rate, first_rate, next_rate, spread
from monitor.schedule import punctual, usual_pace
from monitor.settings import Polling
from monitor.store.accounts import Claimed
from monitor.store.budget import (
    CALLS,
    LIVE,
    MONTHLY,
    READS,
    calls_per_read,
    forecasts,
    forget_grants,
    grants,
    is_filling,
    posting_rates,
    published_before,
    save_spending,
    spent_since,
)
from monitor.store.database import Database, explained

log = structlog.get_logger(__name__)

KEPT_FOR = timedelta(minutes=1)  # a plan; rates change by days, budgets by minutes
WRITTEN_EACH = timedelta(seconds=30)
HOUR = timedelta(hours=1)
RATION = 0.1  # second looks for each read while calls are short; `budget.SLOW_DOWN` leaves room for them
LONGEST_FILLING = timedelta(days=2)  # then what is there has to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a platform is read. `spares`: its budgets leave something for a second look at known posts.

    `rations`: only calls are short, and a share of them goes to such looks all the same, or no edit would ever be seen.
    `used_up` says which of the administrator's own limits is reached: nothing is read before `until`.
    """

    pace: Pace
    spares: bool = True
    rations: bool = False
    used_up: str = ""
    until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class _Ledger:
    """What is counted of one platform: totals as they were last written down, and the calls of the last hour."""

    written: dict[str, float] = field(default_factory=dict)
    reads: int = 0
    live: int = 0  # calls for them, without second looks and the past
    looks: int = 0  # second looks while calls are short
    hour: deque[tuple[datetime, float]] = field(default_factory=deque)
    written_at: datetime | None = None

    def calls_last_hour(self, now: datetime, calls: float) -> float:
        """Return the calls since an hour ago; 0 while less than an hour was counted."""
        while self.hour and self.hour[0][0] > now:  # the clock was set back
            self.hour.clear()
        self.hour.append((now, calls))
        while len(self.hour) > 1 and now - self.hour[1][0] >= HOUR:
            self.hour.popleft()
        at, before = self.hour[0]
        return (calls - before) * (HOUR / (now - at)) if now - at >= HOUR else 0.0


class Pacing:
    """The plans of the platforms, and what they spend. Shared by all who check accounts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[str, tuple[datetime, Plan]] = {}
        self._ledgers: dict[str, _Ledger] = {}

    def plan(
        self, db: Database, platform: str, polling: Polling, now: datetime, *, connector: Connector | None = None
    ) -> Plan:
        with self._lock:
            at, plan = self._plans.get(platform, (None, None))
            if at is None or plan is None or abs(now - at) >= KEPT_FOR:
                plan = _plan(db, platform, polling, now, monthly=_monthly(connector))
                self._plans[platform] = (now, plan)
        return plan

    def read(self, platform: str, accounts: int, *, calls: int) -> None:
        """Count accounts that were asked for, and the calls that this took."""
        with self._lock:
            ledger = self._ledgers.setdefault(platform, _Ledger())
            ledger.reads += accounts
            ledger.live += calls

    def may_look(self, platform: str, plan: Plan) -> bool:
        """Say whether known posts may be looked at again now, and count it where such looks are rationed."""
        if plan.spares or not plan.rations:
            return plan.spares
        with self._lock:
            ledger = self._ledgers.setdefault(platform, _Ledger())
            if ledger.looks + 1 > RATION * ledger.reads:
                return False
            ledger.looks += 1
        return True

    def settle(self, db: Database, platform: str, connector: Connector, meter: Meter | None, now: datetime) -> None:
        """Write down what was spent since the last time, and what the platform said of its budgets."""
        with self._lock:
            ledger = self._ledgers.setdefault(platform, _Ledger())
            totals = _totals(connector, meter) | {READS: float(ledger.reads), LIVE: float(ledger.live)}
            spent = {name: total - ledger.written.get(name, 0.0) for name, total in totals.items()}
            if not any(spent.values()):
                return
            told = _told(platform, connector, now, ledger.calls_last_hour(now, totals.get(CALLS, 0.0)))
            try:
                save_spending(db, platform, spent, told, now)
                _keep_monthly(db, platform, _monthly(connector), now)
            except OperationalError as error:  # counted on; written down the next time
                log.warning("what was spent is not written down yet", platform=platform, reason=explained(error))
                return
            ledger.written, ledger.written_at = totals, now

    def is_time(self, platform: str, now: datetime) -> bool:
        """Say whether what was spent should be written down again."""
        ledger = self._ledgers.get(platform)
        return ledger is None or ledger.written_at is None or abs(now - ledger.written_at) >= WRITTEN_EACH


def _plan(db: Database, platform: str, polling: Polling, now: datetime, *, monthly: Mapping[str, float]) -> Plan:
    rates = [PRIOR if rate is None else rate for rate in posting_rates(db, platform)]
    pace = usual_pace(rates, polling)
    cost = calls_per_read(db, platform, now)
    allowed = budget.reads_per_second(grants(db, platform), calls_per_read=cost)
    if allowed is not None and allowed < len(rates) / polling.typical.total_seconds():
        pace = spread(rates, per_second=allowed, shortest=polling.min_interval, longest=punctual(polling), tight=True)
    expected = forecasts(db, now, longest=polling.max_interval, platform=platform)
    short = [one for one in expected if one.name != budget.CREDENTIAL and budget.falls_short(one, now)]
    rations = bool(short) and all(budget.is_calls(one.name) for one in short)
    left = _left(db, platform, monthly, now)
    over = next((f"{name} ({monthly[name]:,.0f})" for name in sorted(left) if left[name] <= 0), "")
    until = min(budget.next_month(now), now + HOUR) if over else None  # an hour: the limit may have been raised
    return Plan(pace=pace, spares=not short, rations=rations, used_up=over, until=until)


def _monthly(connector: Connector | None) -> Mapping[str, float]:
    monthly = getattr(connector, "monthly", None)
    return monthly() if monthly is not None else {}


def _left(db: Database, platform: str, monthly: Mapping[str, float], now: datetime) -> dict[str, float]:
    if not monthly:
        return {}
    spent = spent_since(db, platform, now.replace(day=1))
    return {name: limit - spent.get(name, 0.0) for name, limit in monthly.items()}


def _totals(connector: Connector, meter: Meter | None) -> dict[str, float]:
    spent = getattr(connector, "spent", None)
    calls = {CALLS: float(meter.calls)} if meter is not None else {}
    return {**calls, **(spent() if spent is not None else {})}


def _told(platform: str, connector: Connector, now: datetime, calls_last_hour: float) -> list[Grant]:
    """Return what the platform's last answers said of its budgets; percentages as calls, once those are counted."""
    allowances = getattr(connector, "allowances", None)
    found = []
    for one in allowances() if allowances is not None else ():
        grant = Grant(
            platform=platform,
            name=one.name,
            limit=one.limit,
            remaining=one.remaining,
            resets_at=one.resets_at if one.window is None else now + one.window,
            seen_at=now,
        )
        is_share = one.name == CALLS and one.limit == 100
        known = budget.in_calls(grant, calls_last_hour=calls_last_hour) if is_share else grant
        if known is not None and (one.window is not None or not budget.is_calls(one.name)):
            found.append(known)
    return found


def _keep_monthly(db: Database, platform: str, monthly: Mapping[str, float], now: datetime) -> None:
    left = _left(db, platform, monthly, now)
    at = budget.next_month(now)
    kept = [
        Grant(platform=platform, name=name, limit=monthly[name], remaining=left[name], resets_at=at, seen_at=now)
        for name in monthly
    ]
    if kept:
        save_spending(db, platform, {}, kept, now)
    gone = {grant.name for grant in grants(db, platform)} & MONTHLY - monthly.keys()
    if gone:
        forget_grants(db, platform, gone)


def rate_after(
    db: Database, claimed: Claimed, times: Collection[datetime], now: datetime, *, sliced: bool
) -> Rate | None:
    """Return what is believed of an account's rate after a read whose new posts were published at `times`.

    None: not known yet, since the past that would tell is still being read in slices.
    """
    if claimed.rate is not None:
        return next_rate(claimed.rate, times, since=claimed.last_ok_at, now=now)
    if claimed.cursor is None:
        return None if sliced else first_rate(times, now)
    if is_filling(db, claimed.account.id) and now - (claimed.account.registered_at or now) < LONGEST_FILLING:
        return None
    return first_rate([*published_before(db, claimed.account.id), *times], now)
