"""A fictional week and month, for the digest and the monthly letter of `pantau mail preview`."""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.compose import compose_digest, compose_monthly
from alerts.envelope import Envelope
from alerts.samples import ACCOUNTS, AGENCY, HEAD, NOW, Sample, delivery_of
from monitor.model import (
    MALAYSIA,
    AlertKind,
    AlertState,
    CanaryOutcome,
    Cause,
    CoverageKind,
    Interval,
    Language,
    Resolution,
    Severity,
    Verdict,
)
from monitor.reports import AccountWeek, AlertLine, CanaryDay, MonthReport, RuleCount, WeekReport

WEEK, MONTH = "2026-W47", "2026-10"
MONDAY = datetime(2026, 11, 16, tzinfo=MALAYSIA)
OCTOBER = datetime(2026, 10, 1, tzinfo=MALAYSIA)
GAP = Interval(
    kind=CoverageKind.GAP,
    start=MONDAY + timedelta(days=2, hours=9),
    end=MONDAY + timedelta(days=2, hours=15),
    cause=Cause.UNAVAILABLE,
)


def samples() -> tuple[Sample, ...]:
    """Return the weekly digest and the monthly letter."""
    return (
        Sample(name="digest", template="digest", compose=_digest),
        Sample(name="monthly", template="monthly", compose=_monthly),
    )


def _digest(language: Language, envelope: Envelope) -> bytes:
    delivery = delivery_of("digest", language, "keselamatan@jdn.example.my", "digest", envelope, period=WEEK)
    return compose_digest(week(), delivery, envelope, now=NOW)


def _monthly(language: Language, envelope: Envelope) -> bytes:
    return compose_monthly(
        month(), delivery_of("monthly", language, HEAD, "monthly", envelope, period=MONTH), envelope, now=NOW
    )


def week() -> WeekReport:
    """A week with alerts in every state, an account with a gap and one that cannot be read."""
    return WeekReport(
        week=WEEK,
        start=MONDAY,
        end=MONDAY + timedelta(weeks=1),
        agencies=(AGENCY,),
        accounts=_accounts(),
        posts_read=214,
        alerts=_lines(MONDAY),
        still_open=(_line(118, Severity.MEDIUM, "4", MONDAY - timedelta(days=3), AlertState.ACKNOWLEDGED),),
        rules=(
            _count("mampu-2009/3c/marking", "Penandaan dokumen terperingkat", "Classification marking", "3c", 2),
            _count("mampu-2009/4/phone", "Nombor telefon peribadi", "A private telephone number", "4", 3),
        ),
        alerts_per_week=tuple((f"2026-W{40 + n}", {"3c": n % 3, "4": 1 + n % 2, "3b": n // 6}) for n in range(8)),
        mails_accepted=9,
        mails_waiting=0,
        mails_dead=0,
        rule_set="0123456789abcdef0123456789abcdef",
        canary=tuple(_canary(day) for day in range(7)),
        chain_head="4c1d0f7be2a95836",
    )


def month() -> MonthReport:
    """The month of one agency."""
    return MonthReport(
        month=MONTH,
        start=OCTOBER,
        end=datetime(2026, 11, 1, tzinfo=MALAYSIA),
        agency=AGENCY,
        accounts=_accounts(),
        alerts=_lines(OCTOBER),
        still_open=(),
    )


def _accounts() -> tuple[AccountWeek, ...]:
    return (
        AccountWeek(account=ACCOUNTS["x"], verdict=Verdict.FULL, covered=1.0, gaps=(), posts=120),
        AccountWeek(account=ACCOUNTS["facebook"], verdict=Verdict.GAPS, covered=0.96, gaps=(GAP,), posts=81),
        AccountWeek(account=ACCOUNTS["myspace"], verdict=Verdict.FULL, covered=1.0, gaps=(), posts=1, degraded=True),
        AccountWeek(account=ACCOUNTS["rss"], verdict=Verdict.FULL, covered=1.0, gaps=(), posts=12),
    )


def _lines(begin: datetime) -> tuple[AlertLine, ...]:
    return (
        _line(121, Severity.HIGH, "3c", begin + timedelta(days=1, hours=10), AlertState.RESOLVED),
        _line(122, Severity.CRITICAL, "3b", begin + timedelta(days=2, hours=2), AlertState.ACKNOWLEDGED),
        _line(123, Severity.MEDIUM, "4", begin + timedelta(days=4, hours=9), AlertState.OPEN),
    )


def _line(number: int, severity: Severity, clause: str, opened: datetime, state: AlertState) -> AlertLine:
    resolved = state is AlertState.RESOLVED
    answered = opened + timedelta(hours=1) if state is not AlertState.OPEN else None
    return AlertLine(
        case=f"PTU-2026-{number:06d}",
        kind=AlertKind.POST,
        agency=AGENCY.code,
        platform="x",
        account=ACCOUNTS["x"].handle,
        severity=severity,
        state=state,
        clauses=(clause,),
        rules=(f"mampu-2009/{clause}/sample",),
        opened_at=opened,
        first_mail_at=opened + timedelta(minutes=1),
        acknowledged_at=answered,
        resolved_at=opened + timedelta(hours=3) if resolved else None,
        resolution=Resolution.POST_REMOVED if resolved else None,
        deadline=opened + timedelta(days=3) if state is AlertState.ACKNOWLEDGED else None,
    )


def _count(rule: str, ms: str, en: str, clause: str, findings: int) -> RuleCount:
    return RuleCount(
        rule=rule, title_ms=ms, title_en=en, clause=clause, severity=Severity.HIGH, findings=findings, shadow=False
    )


def _canary(day: int) -> CanaryDay:
    began = MONDAY + timedelta(days=day, hours=7, minutes=30)
    return CanaryDay(
        day=began.date(),
        outcome=CanaryOutcome.ARRIVED,
        began_at=began,
        evaluated_ms=3.0,
        accepted_at=began + timedelta(seconds=2),
    )
