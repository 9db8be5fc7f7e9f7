"""The digest's CSV files: alerts and coverage, for a spreadsheet and for scripts. No text of a post. Pure.

Excel takes a file for UTF-8 only with a mark at its beginning, and runs what begins like a formula.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from alerts.message import Attachment
from alerts.overdue import is_overdue
from monitor.disclosure import one_line
from monitor.model import MALAYSIA
from monitor.reports import AccountWeek, AlertLine, WeekReport

FORMULA_STARTS = frozenset("=+-@|%")
CELL_LIMIT = 300
ALERTS = (
    "case", "kind", "agency", "platform", "account", "severity", "clauses", "rules", "opened", "told", "acknowledged",
    "resolved", "state", "resolution", "overdue", "this_week",
)  # fmt: skip
COVERAGE = ("agency", "platform", "account", "verdict", "covered_percent", "from", "to", "minutes", "cause")


def csv_files(report: WeekReport) -> tuple[Attachment, ...]:
    """Return the week's alerts with those of before that are not resolved, and every account's coverage."""
    lines = [*((one, True) for one in report.alerts), *((one, False) for one in report.still_open)]
    alerts = [_alert(one, report, this_week=new) for one, new in lines]
    coverage = [row for week in report.accounts for row in _account(week)]
    return (
        Attachment(name=f"pantau-{report.week}-alerts.csv", content=_file(ALERTS, alerts)),
        Attachment(name=f"pantau-{report.week}-coverage.csv", content=_file(COVERAGE, coverage)),
    )


def _file(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    written = csv.writer(text, quoting=csv.QUOTE_ALL)
    written.writerow(head)
    written.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def cell(value: str) -> str:
    """Return the value as a spreadsheet shows it: one line, and never a formula, in any width of its characters."""
    line = one_line(value, limit=CELL_LIMIT)
    return f"'{line}" if unicodedata.normalize("NFKC", line)[:1] in FORMULA_STARTS else line


def _alert(one: AlertLine, report: WeekReport, *, this_week: bool) -> Sequence[str]:
    return (
        one.case,
        one.kind.value,
        one.agency,
        one.platform,
        one.account,
        one.severity.label,
        " ".join(one.clauses),
        " ".join(one.rules),
        _at(one.opened_at),
        _at(one.first_mail_at),
        _at(one.acknowledged_at),
        _at(one.resolved_at),
        one.state.value,
        one.resolution.value if one.resolution else "",
        _yes(is_overdue(one, report.as_of or report.end)),
        _yes(this_week),
    )


def _account(week: AccountWeek) -> Iterable[Sequence[str]]:
    """Yield a row for each hole; one without times for an account that has none, or was never read."""
    one = week.account
    known = (one.agency, one.platform, one.handle or one.url, week.verdict.value, f"{100 * week.covered:.3f}")
    if not week.gaps:
        yield (*known, "", "", "", "")
    for gap in week.gaps:
        minutes = f"{gap.length.total_seconds() / 60:.1f}"
        yield (*known, _at(gap.start), _at(gap.end), minutes, gap.cause.value if gap.cause else "")


def _at(moment: datetime | None) -> str:
    """Return "2026-11-16 09:12:05", Malaysian time: what spreadsheets take for a time."""
    return f"{moment.astimezone(MALAYSIA):%Y-%m-%d %H:%M:%S}" if moment else ""


def _yes(so: bool) -> str:
    return "yes" if so else "no"
