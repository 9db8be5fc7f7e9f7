"""The monthly letter to an agency's head about the own agency: when it is due, and what it says. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

from alerts import wording
from alerts.days import worst_first
from alerts.overdue import is_overdue
from alerts.policy import Policy, message_id
from alerts.weekly import needs_answer, share
from monitor.disclosure import one_line
from monitor.escalation import Escalation
from monitor.model import MALAYSIA, Agency, AlertState, Interval, Language, NewNotification, Resolution, Verdict
from monitor.reports import AccountWeek, AlertLine, MonthReport
from monitor.working_hours import is_working_day

HOUR = time(8, 0)
LEAST_REGISTERED = timedelta(days=1)  # an agency that came later in the month has nothing to be told of yet
ACCOUNTS, GAPS, CASES = 30, 4, 30
NAME_LIMIT = 60
TEMPLATE = "monthly"
OUTCOMES: Mapping[Language, Mapping[Resolution, str]] = {
    Language.MS: {
        Resolution.ACTION_TAKEN: "tindakan telah diambil",
        Resolution.POST_REMOVED: "hantaran telah dipadam",
        Resolution.ACCEPTED: "diterima seadanya",
        Resolution.FALSE_ALARM: "amaran palsu",
    },
    Language.EN: {
        Resolution.ACTION_TAKEN: "action was taken",
        Resolution.POST_REMOVED: "the post was removed",
        Resolution.ACCEPTED: "accepted as it is",
        Resolution.FALSE_ALARM: "false alarm",
    },
}
ENDED_BY_ITSELF = {Language.MS: "selesai dengan sendirinya", Language.EN: "ended by itself"}


# ---------------------------------------------------------------- which month, to whom


def month_of(text: str) -> tuple[datetime, datetime]:
    """Return the month's first moment and the next month's: "2026-11" → the 1st, 00:00, Malaysian time.

    Raises ValueError that says how a month is written.
    """
    match = re.fullmatch(r"(\d{4})-(\d{2})", text)
    if match is None or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[1]) < 9999:
        raise ValueError(f"'{text[:40]}' is not a month; write the year and the month, such as 2026-11")
    start = datetime(int(match[1]), int(match[2]), 1, tzinfo=MALAYSIA)
    return start, _next(start)


def _next(start: datetime) -> datetime:
    return (start + timedelta(days=32)).replace(day=1)


def _before(start: datetime) -> datetime:
    return (start - timedelta(days=1)).replace(day=1)


def period_of(month: str, agency: str) -> str:
    """Return what tells one agency's letter of a month from all others."""
    return f"{month}/{agency}"


def is_letter(period: str) -> bool:
    return "/" in period


def due_month(now: datetime, agency: Agency, policy: Escalation, *, since: datetime) -> str | None:
    """Return the newest complete month whose letter to the agency is due by `now`; None for one too early for it.

    The hour is 08:00 of the month's first working day in the agency's state. Until then it is the month before: a
    daemon that was down at the hour still sends it. `since` is when the agency's first account was registered.
    """
    local = now.astimezone(MALAYSIA)
    this_month = datetime(local.year, local.month, 1, tzinfo=MALAYSIA)
    hour = datetime.combine(first_working_day(this_month.date(), agency, policy), HOUR, tzinfo=MALAYSIA)
    end = this_month if local >= hour else _before(this_month)
    return f"{_before(end):%Y-%m}" if end - since >= LEAST_REGISTERED else None


def first_working_day(first: date, agency: Agency, policy: Escalation) -> date:
    days = (first + timedelta(days=number) for number in range(28))
    return next((day for day in days if is_working_day(day, agency.state, policy)), first)


def plan_letter(month: str, agency: Agency, policy: Policy) -> tuple[NewNotification, ...]:
    """Return the month's letter to the agency: to its head, or to whoever stands in for one without an address.

    The same month and agency always give the same Message-ID, whoever heads it: a new head gets no second letter.
    """
    people = agency.contacts
    recipient = next((one for one in (people.head_email, people.deputy_email, people.ictso_email) if one), "")
    if not recipient:
        return ()
    letter = NewNotification(
        step=TEMPLATE,
        template=TEMPLATE,
        recipient=recipient,
        language=agency.language,
        message_id=message_id(policy, TEMPLATE, month, agency.code.casefold()),
    )
    return (letter,)


# ---------------------------------------------------------------- what it says


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account's month, with its largest holes when it was not wholly read."""

    account: str
    verdict: str
    kind: str
    covered: str
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """An alert with what became of it: never more of it than a `none` mail tells."""

    case: str
    what: str
    account: str
    severity: str
    clauses: str
    opened: str
    outcome: str
    took: str  # until it was resolved; empty while it is not
    overdue: bool


def words(report: MonthReport, language: Language) -> Mapping[str, object]:
    """Return everything the letter's templates name, beside the letterhead."""
    accounts = worst_first(report.accounts)
    holed = [week for week in accounts if week.verdict is not Verdict.FULL]
    blind = sum(week.verdict is Verdict.BLIND for week in accounts)
    at = report.as_of or report.end
    new = sorted(report.alerts, key=lambda one: (not one.unresolved, -one.severity, one.opened_at))
    older = sorted(report.still_open, key=lambda one: one.opened_at)
    return {
        "month": month_name(report, language),
        "agency": one_line(report.agency.name, limit=NAME_LIMIT * 2),
        "accounts": len(accounts),
        "fully": len(accounts) - len(holed),
        "not_fully": len(holed),
        "blind": blind,
        "rows": [_account(week, language) for week in accounts[:ACCOUNTS]],
        "more_rows": max(0, len(accounts) - ACCOUNTS),
        "degraded": sorted({one_line(wording.platform(w.account.platform, language)) for w in accounts if w.degraded}),
        "new_total": len(new),
        "cases": [_case(one, language, at) for one in new[:CASES]],
        "more_cases": max(0, len(new) - CASES),
        "older": [_case(one, language, at) for one in older[:CASES]],
        "more_older": max(0, len(older) - CASES),
        "unresolved_total": sum(one.unresolved for one in new) + len(older),
        "overdue_total": sum(is_overdue(one, at) for one in (*new, *older)),
        **_response(new, language),
        "clause_5": wording.CLAUSE_5,
        "clean": bool(accounts) and not holed and not new and not older and not any(w.degraded for w in accounts),
    }


def month_name(report: MonthReport, language: Language) -> str:
    local = report.start.astimezone(MALAYSIA)
    return f"{wording.MONTHS[language].split()[local.month - 1]} {local.year}"


def _account(week: AccountWeek, language: Language) -> AccountRow:
    largest = sorted(week.gaps, key=lambda gap: -gap.length)
    gaps = [_gap(gap, language) for gap in sorted(largest[:GAPS], key=lambda gap: gap.start)]
    if rest := largest[GAPS:]:
        lost = wording.span(sum((gap.length for gap in rest), timedelta()), language)
        gaps.append(f"{'dan' if language is Language.MS else 'and'} {len(rest)} {_more(language)} ({lost})")
    return AccountRow(
        account=one_line(week.account.label, limit=NAME_LIMIT),
        verdict=wording.VERDICTS[language][week.verdict],
        kind=week.verdict.name.lower(),
        covered=share(week.covered),
        gaps=tuple(gaps),
    )


def _more(language: Language) -> str:
    return "lagi" if language is Language.MS else "more"


def _gap(gap: Interval, language: Language) -> str:
    why, _ = wording.cause(gap.cause, language)
    return f"{wording.short(gap.start)} – {wording.short(gap.end)} ({wording.span(gap.length, language)}): {why}"


def _case(one: AlertLine, language: Language, at: datetime) -> CaseRow:
    return CaseRow(
        case=one.case,
        what=wording.KINDS[language].get(one.kind, one.kind.value),
        account=one_line(f"{one.platform}/{one.account}", limit=NAME_LIMIT).strip("/") or "–",
        severity=wording.SEVERITIES[language][one.severity],
        clauses=wording.clause_names(one.clauses, language),
        opened=wording.short(one.opened_at),
        outcome=_outcome(one, language),
        took=_took(one, language),
        overdue=is_overdue(one, at),
    )


def _took(one: AlertLine, language: Language) -> str:
    if one.state is not AlertState.RESOLVED or one.resolved_at is None:
        return ""
    return wording.span(one.resolved_at - one.opened_at, language)


def _outcome(one: AlertLine, language: Language) -> str:
    if one.state is not AlertState.RESOLVED:
        return wording.STATES[language][one.state]
    return OUTCOMES[language][one.resolution] if one.resolution else ENDED_BY_ITSELF[language]


def _response(alerts: Iterable[AlertLine], language: Language) -> dict[str, object]:
    """Return how the month's alerts were answered: how many of how many, the median time, and the longest."""
    mailed = [one for one in alerts if needs_answer(one)]
    acknowledged = [one.acknowledged_at - one.opened_at for one in mailed if one.acknowledged_at]
    resolved = [one.resolved_at - one.opened_at for one in mailed if one.resolved_at]
    return {
        "mailed_total": len(mailed),
        "acknowledged": (len(acknowledged), *_middle_and_longest(acknowledged, language)),
        "resolved": (len(resolved), *_middle_and_longest(resolved, language)),
    }


def _middle_and_longest(lengths: Collection[timedelta], language: Language) -> Sequence[str]:
    if not lengths:
        return ("–", "–")
    middle = timedelta(seconds=median(length.total_seconds() for length in lengths))
    return wording.span(middle, language), wording.span(max(lengths), language)
