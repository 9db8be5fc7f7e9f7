"""What the weekly digest says, from the week's report: bounded, coverage first, then what waits for somebody. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from alerts import weekly_service, wording
from alerts.days import day_names, days_of, percent, worst_first
from alerts.overdue import is_overdue
from monitor.disclosure import one_line
from monitor.model import AlertKind, AlertState, Interval, Language, Severity, Verdict
from monitor.reports import AccountWeek, AlertLine, WeekReport

# Rows of a list in a mail, so that Gmail, which cuts a mail at 102 KB, shows all of it; the CSV files have the rest.
HOLES, GAPS, DAYS = 15, 3, 8
CASES, AGENCIES = 10, 10
NAME_LIMIT = 60
NO_CLAUSE = "–"
NO_AGENCY = {Language.MS: "(tiada agensi)", Language.EN: "(no agency)"}
AND_MORE = {Language.MS: "dan {number} lagi", Language.EN: "and {number} more"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """An account that was not wholly read, with its largest holes in order."""

    agency: str
    account: str
    verdict: str
    blind: bool
    covered: str
    gaps: tuple[str, ...]
    case: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """An agency's alerts: one number a clause, in the order of the clauses' heads, the same in words, and the whole."""

    agency: str
    counts: tuple[int, ...]
    shares: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An alert as a row: never more of it than a `none` mail tells."""

    case: str
    what: str
    agency: str
    account: str
    severity: str
    clauses: str
    opened: str
    age: str
    told: str
    resolved: str
    state: str
    reopened_for: str
    deadline: str  # of an owner who has not resolved it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long something took, from the alert's opening on: for how many, the middle one, and the slowest."""

    number: int
    middle: str
    worst: str


def words(report: WeekReport, language: Language) -> Mapping[str, object]:
    """Return everything the digest's templates name."""
    names = {agency.code: one_line(agency.name, limit=NAME_LIMIT) for agency in report.agencies}
    verdicts = Counter(week.verdict for week in report.accounts)
    holed = [week for week in worst_first(report.accounts) if week.verdict is not Verdict.FULL]
    return {
        "week": report.week,
        "first_day": wording.date(report.start, language),
        "last_day": wording.date(report.end - timedelta(days=1), language),
        "accounts": len(report.accounts),
        "verdicts": [(wording.VERDICTS[language][v], verdicts[v], v.name.lower()) for v in Verdict],
        "fully": verdicts[Verdict.FULL],
        "not_fully": len(holed),
        "blind": verdicts[Verdict.BLIND],
        "posts_read": report.posts_read,
        "clause_5": wording.CLAUSE_5,
        "holes": [_hole(week, report, names, language) for week in holed[:HOLES]],
        "more_holes": max(0, len(holed) - HOLES),
        "remedies": _remedies(holed[:HOLES], language),
        "silent": [_silent(week, language) for week in report.accounts if week.silent],
        "vanished": [(one_line(w.account.label, limit=NAME_LIMIT), w.vanished) for w in report.accounts if w.vanished],
        **_degraded(report, language),
        **_day_table(report, language),
        **_severities(report, language),
        **_cases(report, names, language),
        **_response(report, language),
        **_tallies(report, names, language),
        "trend": [(week, sum(counts.values()), _shares(counts)) for week, counts in report.alerts_per_week],
        "quiet": quiet(report),
        "clean": quiet(report)
        and bool(report.accounts)
        and not holed
        and not any(week.degraded for week in report.accounts)
        and not any(week.silent or week.vanished for week in report.accounts),
        **weekly_service.words(report, language),
    }


def quiet(report: WeekReport) -> bool:
    """Say whether nothing was found in what was read; whether that proves anything is the coverage's to say."""
    return not report.alerts and not any(rule.findings for rule in report.rules if not rule.shadow)


# ---------------------------------------------------------------- coverage


def _hole(week: AccountWeek, report: WeekReport, names: Mapping[str, str], language: Language) -> Hole:
    largest = sorted(week.gaps, key=lambda gap: -gap.length)
    gaps = [_gap(gap, language) for gap in sorted(largest[:GAPS], key=lambda gap: gap.start)]
    if len(largest) > GAPS:
        rest = sum((gap.length for gap in largest[GAPS:]), timedelta())
        more = AND_MORE[language].format(number=len(largest) - GAPS)
        gaps.append(f"{more} ({wording.span(rest, language)})")
    blind = week.verdict is Verdict.BLIND
    return Hole(
        agency=_agency(week.account.agency, names),
        account=one_line(week.account.label, limit=NAME_LIMIT),
        verdict=wording.VERDICTS[language][week.verdict],
        blind=blind,
        covered=share(week.covered),
        gaps=tuple(gaps),
        case=_blind_case(week, report) if blind else "",
    )


def _silent(week: AccountWeek, language: Language) -> tuple[str, int, str, int, int]:
    """Return the account, for how many days it is silent, since when, and on how many days of how many it was not."""
    silent = week.silent
    assert silent is not None  # asked for only then
    label = one_line(week.account.label, limit=NAME_LIMIT)
    return label, silent.days, wording.date(silent.since, language), silent.active, silent.of


def _remedies(holed: Sequence[AccountWeek], language: Language) -> list[tuple[str, str]]:
    """Return what helps against the causes for which accounts are blind, each once."""
    blind = [week.gaps for week in holed if week.verdict is Verdict.BLIND and week.gaps]
    causes = [max(gaps, key=lambda gap: gap.length).cause for gaps in blind]
    return [wording.cause(cause, language) for cause in dict.fromkeys(causes)]


def _blind_case(week: AccountWeek, report: WeekReport) -> str:
    name = (week.account.platform, week.account.handle or week.account.url)
    lines = (one for one in (*report.alerts, *report.still_open) if one.kind is AlertKind.BLIND)
    return next((one.case for one in lines if (one.platform, one.account) == name), "")


def share(part: float) -> str:
    """Return a percentage that never rounds a hole away, nor a little into nothing."""
    if 0.999 < part < 1:
        return "> 99.9 %"
    if 0 < part < 0.001:
        return "< 0.1 %"
    return f"{100 * part:.1f} %".replace(".0 %", " %")


def _gap(gap: Interval, language: Language) -> str:
    why, _ = wording.cause(gap.cause, language)
    return f"{wording.short(gap.start)} – {wording.short(gap.end)} ({wording.span(gap.length, language)}): {why}"


def _agency(code: str, names: Mapping[str, str]) -> str:
    return names.get(code) or one_line(code, limit=NAME_LIMIT) or "–"


def _degraded(report: WeekReport, language: Language) -> dict[str, object]:
    """Return the dying platforms with their accounts' number: what is read of them is less than a reader sees."""
    counted = Counter(week.account.platform for week in report.accounts if week.degraded)
    return {
        "degraded": [(one_line(wording.platform(name, language)), number) for name, number in sorted(counted.items())]
    }


def _day_table(report: WeekReport, language: Language) -> dict[str, object]:
    """Return the map's numbers for the worst accounts, and how many there are beside them."""
    days = days_of(report)
    holed = [one for one in days if not one.whole]
    rows = [(one_line(one.account, limit=NAME_LIMIT), [percent(part) for part in one.shares]) for one in holed[:DAYS]]
    return {
        "day_names": day_names(report, language),
        "day_rows": rows,
        "more_days": max(0, len(holed) - DAYS),
        "whole_accounts": len(days) - len(holed),
    }


# ---------------------------------------------------------------- alerts


def _severities(report: WeekReport, language: Language) -> dict[str, object]:
    """Return for each severity how many are new, unanswered, in hand, and overdue; and the same in all."""
    everything = [*report.alerts, *report.still_open]
    at = report.as_of or report.end

    def row(which: Callable[[AlertLine], bool]) -> tuple[int, ...]:
        these = [one for one in everything if which(one)]
        return (
            sum(one.opened_at >= report.start for one in these),
            sum(one.state is AlertState.OPEN for one in these),
            sum(one.state is AlertState.ACKNOWLEDGED for one in these),
            sum(is_overdue(one, at) for one in these),
        )

    levels = [level for level in sorted(Severity, reverse=True) if level.alerts or _any_of(everything, level)]
    rows = [
        (wording.SEVERITIES[language][level], row(lambda one, level=level: one.severity is level))  # type: ignore[misc]
        for level in levels
    ]
    total = row(lambda _: True)
    return {
        "severities": rows,
        "severity_total": total,
        "new_total": total[0],
        "unresolved_total": total[1] + total[2],
        "overdue_total": total[3],
    }


def _any_of(lines: Sequence[AlertLine], level: Severity) -> bool:
    return any(one.severity is level for one in lines)


def _cases(report: WeekReport, names: Mapping[str, str], language: Language) -> dict[str, object]:
    """Return what waits for somebody: the overdue ones, those not resolved, and those that came back or may."""
    at = report.as_of or report.end
    unresolved = [one for one in (*report.alerts, *report.still_open) if one.unresolved]
    overdue = [one for one in unresolved if is_overdue(one, at)]
    lists = {
        "overdue": sorted(overdue, key=lambda one: (-one.severity, one.opened_at)),
        "waiting": sorted(
            (one for one in unresolved if not is_overdue(one, at)), key=lambda one: (-one.severity, one.opened_at)
        ),
        "reopened": sorted(report.reopened, key=lambda one: one.opened_at),
        "unconfirmed": list(report.unconfirmed),
    }
    found: dict[str, object] = {}
    for name, lines in lists.items():
        found[name] = [_case(one, names, language, at) for one in lines[:CASES]]
        found[f"more_{name}"] = max(0, len(lines) - CASES)
        found[f"{name}_number"] = len(lines)
    return found


def _case(alert: AlertLine, names: Mapping[str, str], language: Language, now: datetime) -> Case:
    def at(moment: datetime | None) -> str:
        return wording.short(moment) if moment else "–"

    return Case(
        case=alert.case,
        what=wording.KINDS[language].get(alert.kind, alert.kind.value),
        agency=_agency(alert.agency, names),
        account=one_line(f"{alert.platform}/{alert.account}", limit=NAME_LIMIT).strip("/") or "–",
        severity=wording.SEVERITIES[language][alert.severity],
        clauses=wording.clause_names(_heads(alert), language),
        opened=wording.short(alert.opened_at),
        age=wording.span(now - alert.opened_at, language),
        told=at(alert.first_mail_at),
        resolved=at(alert.resolved_at),
        state=wording.STATES[language][alert.state],
        deadline=at(alert.deadline) if alert.state is AlertState.ACKNOWLEDGED else "",
        reopened_for=wording.reopened(alert.reopened_for, language) if alert.round else "",
    )


def _response(report: WeekReport, language: Language) -> dict[str, object]:
    """Return how the week's alerts were answered: how many, the median time from the opening on, and the longest."""
    mailed = [one for one in report.alerts if needs_answer(one)]

    def times(moment: Callable[[AlertLine], datetime | None]) -> Times:
        return _times([at - one.opened_at for one in mailed if (at := moment(one))], language)

    return {
        "mailed_total": len(mailed),
        "told": times(lambda one: one.first_mail_at),
        "acknowledged": times(lambda one: one.acknowledged_at),
        "resolved": times(lambda one: one.resolved_at),
        "unanswered": sum(one.state is AlertState.OPEN for one in mailed),
    }


def needs_answer(one: AlertLine) -> bool:
    """Say whether somebody is asked to answer: not of back catalogues, nor of what a silence covers."""
    silent = one.kind is AlertKind.BACKLOG or one.state is AlertState.SUPPRESSED
    return one.severity.alerts and not silent


def _times(lengths: Sequence[timedelta], language: Language) -> Times:
    if not lengths:
        return Times(number=0, middle="–", worst="–")
    middle = timedelta(seconds=median(length.total_seconds() for length in lengths))
    return Times(number=len(lengths), middle=wording.span(middle, language), worst=wording.span(max(lengths), language))


def _tallies(report: WeekReport, names: Mapping[str, str], language: Language) -> dict[str, object]:
    """Return alerts by agency and clause; an alert on two clauses counts under both and once in the whole."""
    counts: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()
    for alert in report.alerts:
        totals[alert.agency] += 1
        counts.setdefault(alert.agency, Counter()).update(_heads(alert))
    heads = sorted({head for row in counts.values() for head in row}, key=lambda head: (head == NO_CLAUSE, head))
    order = sorted(totals, key=lambda code: (not code, -totals[code], code))
    whole: Counter[str] = sum(counts.values(), Counter())
    rows = [
        Tally(
            agency=_agency(code, names) if code else NO_AGENCY[language],
            counts=tuple(counts[code][head] for head in heads),
            shares=_shares(counts[code]),
            total=totals[code],
        )
        for code in order[:AGENCIES]
    ]
    return {
        "tally_heads": [wording.clause_name(head) for head in heads],
        "tallies": rows,
        "more_tallies": max(0, len(order) - AGENCIES),
        "tally_total": Tally(
            agency="", counts=tuple(whole[head] for head in heads), shares=_shares(whole), total=len(report.alerts)
        ),
    }


def _shares(counts: Mapping[str, int]) -> str:
    """Return "3(c): 2, 4: 1", without the clauses that have none."""
    named = sorted(counts.items(), key=lambda share: (share[0] == NO_CLAUSE, share[0]))
    return ", ".join(f"{wording.clause_name(clause)}: {number}" for clause, number in named if number)


def _heads(alert: AlertLine) -> tuple[str, ...]:
    if alert.clauses:
        return alert.clauses
    return ("5",) if alert.kind is AlertKind.BLIND else (NO_CLAUSE,)  # clause 5: "dipantau sepenuhnya"
