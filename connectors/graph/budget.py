"""How much of the Graph API's budget is used, by the headers of its answers, and until when it is left alone.

Source of the headers: the Graph API's reference on rate limits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors import http
from connectors.base import Allowance, RateLimited, no_later
from connectors.graph.refusals import FACEBOOK, RATE, Dialect, PageLimited
from connectors.payload import string
from monitor.model import Json

STOP_PERCENT = 95
BUDGET_WINDOW = timedelta(hours=1)  # the Graph API counts calls over a rolling hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of a budget is used; `regain` is the platform's own estimate, `page` a budget of one page."""

    percent: float
    regain: timedelta | None = None
    page: bool = False


def parse_usage(headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """Read the usage headers of an answer. What cannot be read is no usage: the headers are advice, not data."""
    found = [_usage(table, page=False) for table in _tables(headers.get("x-app-usage"))]
    found += [_usage(table, page=True) for table in _tables(headers.get("x-page-usage"))]
    for business in _tables(headers.get("x-business-use-case-usage")):
        rows = [row for listed in business.values() if isinstance(listed, list) for row in listed]
        found += [_usage(row, page=string(row, "type").startswith("page")) for row in rows if isinstance(row, Mapping)]
    return tuple(found)


def _tables(header: str | None) -> list[Json]:
    try:
        table = json.loads(header) if header else None
    except (ValueError, RecursionError):
        return []
    return [table] if isinstance(table, Mapping) else []


def _usage(table: Json, *, page: bool) -> Usage:
    shares = [table.get(key) for key in ("call_count", "total_time", "total_cputime")]
    percent = max((float(s) for s in shares if isinstance(s, int | float) and not isinstance(s, bool)), default=0.0)
    minutes = table.get("estimated_time_to_regain_access")
    regain = None
    if isinstance(minutes, int | float) and not isinstance(minutes, bool) and 0 < minutes < 100_000:
        regain = timedelta(minutes=minutes)
    return Usage(percent=percent, regain=regain, page=page)


def free_again(usages: Iterable[Usage], now: datetime) -> datetime | None:
    """Return when the budgets that are all but used up are free again; None while there is room."""
    waits = [u.regain or BUDGET_WINDOW for u in usages if u.percent >= STOP_PERCENT or u.regain]
    return no_later(now + max(waits), now) if waits else None


def retry_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return when a call that was refused may be made again, as far as its answer's headers say."""
    return http.retry_after(headers, now) or free_again(parse_usage(headers), now)


class Budget:
    """Until when the app, or one page, rests. Shared by the threads of a connector."""

    def __init__(self, dialect: Dialect = FACEBOOK) -> None:
        self._dialect = dialect
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}  # "" is the whole app
        self._told: tuple[Allowance, ...] = ()

    def admit(self, page: str, now: datetime) -> None:
        """Raise RateLimited before a call that the budget has no room for."""
        with self._lock:
            self._until = {key: until for key, until in self._until.items() if until > now}
            whole, own = self._until.get(""), self._until.get(page)
        if whole is not None:
            raise RateLimited(f"{self._dialect.platform}: {RATE} (usage at {STOP_PERCENT} % or more)", retry_at=whole)
        if own is not None:
            named = f"{self._dialect.platform}: {self._dialect.holder} {page}"
            message = f"{named}: its {RATE.removeprefix('the ')} (usage at {STOP_PERCENT} % or more)"
            raise PageLimited(message, retry_at=own)

    def note(self, headers: Mapping[str, str], page: str, now: datetime) -> None:
        usages = parse_usage(headers)
        whole = free_again((u for u in usages if not u.page or not page), now)
        own = free_again((u for u in usages if u.page and page), now)
        app = [u for u in usages if not u.page]
        with self._lock:
            self._told = allowances_of(app, now) if app else self._told
            self._until |= {key: until for key, until in (("", whole), (page, own)) if until is not None}

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what the last answer that spoke of it left of the app's budget."""
        with self._lock:
            return self._told


def allowances_of(usages: Sequence[Usage], now: datetime) -> tuple[Allowance, ...]:
    """Return the tightest of the budgets as an allowance in percent: the API names no numbers of calls."""
    tightest = max(usages, key=lambda usage: usage.percent)
    resets_at = now + (tightest.regain or BUDGET_WINDOW)
    left = max(0.0, 100 - tightest.percent)
    return (Allowance(name="calls", limit=100, remaining=left, resets_at=resets_at, window=BUDGET_WINDOW),)
