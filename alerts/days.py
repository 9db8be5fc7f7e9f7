"""What share of each day of the week was read of each account. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.model import Language, Verdict
from monitor.reports import AccountWeek, WeekReport

DAY = timedelta(days=1)
SHORT_DAYS = {Language.MS: "Isn Sel Rab Kha Jum Sab Ahd", Language.EN: "Mon Tue Wed Thu Fri Sat Sun"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """An account's seven days: the share read of each, 0 to 1; None for a day on which it was not to be read."""

    account: str
    agency: str
    whole: bool
    shares: tuple[float | None, ...]


def days_of(report: WeekReport) -> list[Days]:
    """Return every account's days, the worst first."""
    return [_days(week, report) for week in worst_first(report.accounts)]


def worst_first(weeks: Sequence[AccountWeek]) -> list[AccountWeek]:
    """Return the accounts, blind ones first, then by what was read of them."""
    order = {Verdict.BLIND: 0, Verdict.GAPS: 1, Verdict.FULL: 2}
    return sorted(weeks, key=lambda week: (order[week.verdict], week.covered, week.account.label))


def _days(week: AccountWeek, report: WeekReport) -> Days:
    begin = max(report.start, week.account.registered_at or report.start)
    never_read = not week.gaps and week.covered == 0
    shares = []
    for number in range(7):
        first, last = max(begin, report.start + number * DAY), min(report.until, report.start + (number + 1) * DAY)
        shares.append((0.0 if never_read else _share(week, first, last)) if first < last else None)
    whole = week.verdict is Verdict.FULL
    return Days(account=week.account.label, agency=week.account.agency, whole=whole, shares=tuple(shares))


def _share(week: AccountWeek, first: datetime, last: datetime) -> float:
    lost = sum((max(timedelta(), min(gap.end, last) - max(gap.start, first)) for gap in week.gaps), timedelta())
    return 1 - lost / (last - first)


def percent(share: float | None) -> str:
    """Return whole percent that never round a hole away, nor a little into nothing."""
    if share is None:
        return "–"
    if 0 < share < 0.01:
        return "<1"
    return str(int(100 * share + 1e-9)) if share < 1 else "100"


def day_names(report: WeekReport, language: Language) -> list[tuple[str, str]]:
    """Return ("Isn", "16"), ("Sel", "17"), … for the week's days."""
    names = SHORT_DAYS[language].split()
    return [(name, str((report.start + number * DAY).day)) for number, name in enumerate(names)]
