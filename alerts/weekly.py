"""What the weekly digest says, from the week's report: bounded, with coverage before everything else. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from alerts import wording
from monitor.disclosure import one_line
from monitor.model import AccountWeek, AlertKind, AlertLine, AlertState, Interval, Language, Verdict, WeekReport

ROWS = 60  # rows of a table in a mail; what is beyond is counted, and named in full by the command line
GAPS_SHOWN = 3  # holes of one account; the largest first
NAME_LIMIT = 60
NO_CLAUSE = "–"
NO_AGENCY = {Language.MS: "(tiada agensi)", Language.EN: "(no agency)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """An account that was not wholly read, with its largest holes."""

    agency: str
    account: str
    verdict: str
    blind: bool
    covered: str
    gaps: tuple[str, ...]


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
    told: str
    acknowledged: str
    resolved: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    title: str
    rule: str
    clause: str
    severity: str
    findings: int
    shadow: bool


def words(report: WeekReport, language: Language) -> Mapping[str, object]:
    """Return everything the digest's templates name."""
    names = {agency.code: one_line(agency.name, limit=NAME_LIMIT) for agency in report.agencies}
    verdicts = Counter(week.verdict for week in report.accounts)
    holed = _worst_first(week for week in report.accounts if week.verdict is not Verdict.FULL)
    return {
        "week": report.week,
        "first_day": wording.date(report.start, language),
        "last_day": wording.date(report.end - timedelta(days=1), language),
        "accounts": len(report.accounts),
        "verdicts": [(wording.VERDICTS[language][v], verdicts[v], v.name.lower()) for v in Verdict],
        "fully": verdicts[Verdict.FULL],
        "not_fully": len(holed),
        "posts_read": report.posts_read,
        "clause_5": wording.CLAUSE_5,
        "rule_set": report.rule_set[:12],
        **_cut("holes", [_hole(week, names, language) for week in holed[:ROWS]], len(holed)),
        **_degraded(report),
        **_blind(holed, report, names, language),
        **_tallies(report, names, language),
        **_cases(report, names, language),
        **_response(report, language),
        **_rules(report, language),
        "trend": _trend(report),
        "quiet": quiet(report),
        "clean": quiet(report) and bool(report.accounts) and not holed and not _degraded(report)["degraded"],
        "mails_accepted": report.mails_accepted,
        "mails_waiting": report.mails_waiting,
        "mails_dead": report.mails_dead,
    }


def quiet(report: WeekReport) -> bool:
    """Say whether nothing was found in what was read; whether that proves anything is the coverage's to say."""
    return not report.alerts and not any(rule.findings for rule in report.rules if not rule.shadow)


def _cut(name: str, rows: Sequence[object], total: int) -> dict[str, object]:
    """Return the rows, and how many more there are."""
    return {name: rows[:ROWS], f"more_{name}": max(0, total - ROWS)}


def _worst_first(weeks: Iterable[AccountWeek]) -> list[AccountWeek]:
    return sorted(weeks, key=lambda week: (week.verdict is not Verdict.BLIND, week.covered, week.account.label))


def _hole(week: AccountWeek, names: Mapping[str, str], language: Language) -> Hole:
    largest = sorted(week.gaps, key=lambda gap: -gap.length)
    gaps = [_gap(gap, language) for gap in largest[:GAPS_SHOWN]]
    if len(largest) > GAPS_SHOWN:
        rest = sum((gap.length for gap in largest[GAPS_SHOWN:]), timedelta())
        more = (
            f"dan {len(largest) - GAPS_SHOWN} lagi"
            if language is Language.MS
            else f"and {len(largest) - GAPS_SHOWN} more"
        )
        gaps.append(f"{more} ({wording.span(rest, language)})")
    return Hole(
        agency=_agency(week.account.agency, names),
        account=one_line(week.account.label, limit=NAME_LIMIT),
        verdict=wording.VERDICTS[language][week.verdict],
        blind=week.verdict is Verdict.BLIND,
        covered=share(week.covered),
        gaps=tuple(gaps),
    )


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


def _degraded(report: WeekReport) -> dict[str, object]:
    """Return the dying platforms with their accounts' number: what is read of them is less than a reader sees."""
    counted = Counter(week.account.platform for week in report.accounts if week.degraded)
    return {"degraded": [(one_line(wording.platform(name)), number) for name, number in sorted(counted.items())]}


def _blind(
    holed: Sequence[AccountWeek], report: WeekReport, names: Mapping[str, str], language: Language
) -> dict[str, object]:
    """Return blind accounts with their cause of longest standing and the case that tells of it."""
    cases = {(a.platform, a.account): a.case for a in (*report.still_open, *report.alerts) if a.kind is AlertKind.BLIND}
    rows = []
    blind = [week for week in holed if week.verdict is Verdict.BLIND]
    for week in blind[:ROWS]:
        longest = max(week.gaps, key=lambda gap: gap.length, default=None)
        why, remedy = wording.cause(longest.cause if longest else None, language)
        case = cases.get((week.account.platform, week.account.handle or week.account.url), "")
        label = one_line(week.account.label, limit=NAME_LIMIT)
        rows.append((label, _agency(week.account.agency, names), why, remedy, case))
    return _cut("blind", rows, len(blind))


def _tallies(report: WeekReport, names: Mapping[str, str], language: Language) -> dict[str, object]:
    """Return alerts by agency and clause; an alert on two clauses counts under both and once in the whole."""
    counts: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()
    for alert in report.alerts:
        totals[alert.agency] += 1
        counts.setdefault(alert.agency, Counter()).update(_heads(alert))
    heads = sorted({head for row in counts.values() for head in row}, key=lambda head: (head == NO_CLAUSE, head))
    order = sorted(totals, key=lambda code: (not code, -totals[code], code))
    rows = [
        Tally(
            agency=_agency(code, names) if code else NO_AGENCY[language],
            counts=tuple(counts[code][head] for head in heads),
            shares=_shares(counts[code]),
            total=totals[code],
        )
        for code in order[:ROWS]
    ]
    shown = [wording.clause_name(head) for head in heads]
    return {"tally_heads": shown, "alerts_total": len(report.alerts), **_cut("tallies", rows, len(order))}


def _shares(counts: Mapping[str, int]) -> str:
    """Return "3(c): 2, 4: 1", without the clauses that have none."""
    named = sorted(counts.items(), key=lambda share: (share[0] == NO_CLAUSE, share[0]))
    return ", ".join(f"{wording.clause_name(clause)}: {number}" for clause, number in named if number)


def _heads(alert: AlertLine) -> tuple[str, ...]:
    if alert.clauses:
        return alert.clauses
    return ("5",) if alert.kind is AlertKind.BLIND else (NO_CLAUSE,)  # clause 5: "dipantau sepenuhnya"


def _cases(report: WeekReport, names: Mapping[str, str], language: Language) -> dict[str, object]:
    strongest = sorted(report.alerts, key=lambda alert: (-alert.severity, alert.opened_at))
    oldest = sorted(report.still_open, key=lambda alert: alert.opened_at)
    return {
        **_cut("cases", [_case(alert, names, language) for alert in strongest[:ROWS]], len(strongest)),
        **_cut("still_open", [_case(alert, names, language) for alert in oldest[:ROWS]], len(oldest)),
        "still_open_total": len(oldest),
    }


def _case(alert: AlertLine, names: Mapping[str, str], language: Language) -> Case:
    def at(moment: object) -> str:
        return wording.short(moment) if moment else "–"  # type: ignore[arg-type]  # a datetime or None

    return Case(
        case=alert.case,
        what=wording.KINDS[language][alert.kind],
        agency=_agency(alert.agency, names),
        account=one_line(f"{alert.platform}/{alert.account}", limit=NAME_LIMIT).strip("/") or "–",
        severity=wording.SEVERITIES[language][alert.severity],
        clauses=wording.clause_names(_heads(alert), language),
        opened=wording.short(alert.opened_at),
        told=at(alert.first_mail_at),
        acknowledged=at(alert.acknowledged_at),
        resolved=at(alert.resolved_at),
        state=wording.STATES[language][alert.state],
    )


def _trend(report: WeekReport) -> list[tuple[str, int, str]]:
    """Return the chart's numbers: week, alerts counted under clauses, and each clause's share of them."""
    return [
        (
            week,
            sum(counts.values()),
            _shares(counts),
        )
        for week, counts in report.alerts_per_week
    ]


def _response(report: WeekReport, language: Language) -> dict[str, object]:
    """Return how the week's alerts were answered: numbers, and median times from the opening on."""
    mailed = [alert for alert in report.alerts if alert.severity.alerts and alert.kind is not AlertKind.BACKLOG]
    told = [a.first_mail_at - a.opened_at for a in mailed if a.first_mail_at]
    acknowledged = [a.acknowledged_at - a.opened_at for a in mailed if a.acknowledged_at]
    resolved = [a.resolved_at - a.opened_at for a in mailed if a.resolved_at]

    def middle(times: Sequence[timedelta]) -> str:
        return wording.span(timedelta(seconds=median(t.total_seconds() for t in times)), language) if times else "–"

    return {
        "mailed_total": len(mailed),
        "told": (len(told), middle(told)),
        "acknowledged": (len(acknowledged), middle(acknowledged)),
        "resolved": (len(resolved), middle(resolved)),
        "unanswered": sum(a.state is AlertState.OPEN for a in mailed),
    }


def _rules(report: WeekReport, language: Language) -> dict[str, object]:
    rows = [
        RuleRow(
            title=one_line(rule.title_ms if language is Language.MS else rule.title_en, limit=NAME_LIMIT * 2),
            rule=one_line(rule.rule, limit=NAME_LIMIT),
            clause=wording.clause_name(rule.clause),
            severity=wording.SEVERITIES[language][rule.severity],
            findings=rule.findings,
            shadow=rule.shadow,
        )
        for rule in report.rules[:ROWS]
    ]
    return _cut("rules", rows, len(report.rules))
