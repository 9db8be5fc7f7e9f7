"""A week as a security team sees one: many agencies, holes, overdue cases, silences, a dead credential, lost mails."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from builders import WEEK_START, account, account_week, agency, alert_line, week_report

from monitor.budget import Forecast
from monitor.model import (
    Account,
    AlertKind,
    AlertState,
    CanaryOutcome,
    Cause,
    CoverageKind,
    Interval,
    Removal,
    Resolution,
    Severity,
    Silence,
    Verdict,
)
from monitor.reports import AccountWeek, AlertLine, CanaryDay, Change, RuleCount, ShutPlatform, WeekReport

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = WEEK_START + 7 * DAY + 8 * HOUR
OFFICES = (
    ("KKM", "Kementerian Kesihatan Malaysia"),
    ("KPM", "Kementerian Pendidikan Malaysia"),
    ("JPJ", "Jabatan Pengangkutan Jalan Malaysia"),
    ("JPN", "Jabatan Pendaftaran Negara"),
    ("MBPJ", "Majlis Bandaraya Petaling Jaya"),
    ("SUKKDH", "Pejabat Setiausaha Kerajaan Negeri Kedah"),
    ("LHDN", "Lembaga Hasil Dalam Negeri Malaysia"),
    ("PERKESO", "Pertubuhan Keselamatan Sosial"),
    ("MDKT", "Majlis Daerah Kuala Terengganu Selatan dan Kawasan Pesisir"),
)
PLATFORMS = ("x", "facebook", "rss", "x", "facebook", "myspace")
CLAUSES = (("3c",), ("4",), ("3a",), ("3b",), ("3c", "4"), ("3a",))
RULES = (
    ("mampu-2009/3c/classification-marking", "Penandaan dokumen terperingkat", "Classification marking", "3c"),
    ("mampu-2009/4/mykad", "Nombor MyKad orang awam", "MyKad numbers of the public", "4"),
    ("mampu-2009/3a/gambling", "Perjudian dalam talian", "Online gambling", "3a"),
    ("mampu-2009/3b/hijack-crypto", "Tanda akaun dirampas: mata wang kripto", "Signs of a hijack: crypto tokens", "3b"),
)


def gap(begin: float, end: float, cause: Cause = Cause.RATE_LIMIT) -> Interval:
    """Return a hole of the week, in hours from its Monday 00:00 on."""
    return Interval(kind=CoverageKind.GAP, start=WEEK_START + begin * HOUR, end=WEEK_START + end * HOUR, cause=cause)


def busy_week(accounts: int = 34, alerts: int = 21) -> WeekReport:
    weeks = tuple(_account_week(number) for number in range(accounts))
    lines = tuple(_alert(number, weeks[number * 7 % accounts].account) for number in range(alerts))
    older = tuple(
        replace(
            alert_line(f"PTU-2026-{900 + n:06d}", opened_at=WEEK_START - (2 + n) * DAY),
            agency=weeks[n].account.agency,
            platform=weeks[n].account.platform,
            account=weeks[n].account.handle,
            steps=4,
        )
        for n in range(max(2, alerts // 10))
    )
    return week_report(
        agencies=tuple(replace(agency(code), name=name) for code, name in OFFICES),
        accounts=weeks,
        posts_read=accounts * 27,
        alerts=lines,
        still_open=older,
        rules=_rules(),
        alerts_per_week=tuple(
            (f"2026-W{n}", {"3a": n % 5 + 1, "3b": n % 2, "3c": n % 4, "4": (n * 7) % 6}) for n in range(40, 48)
        ),
        mails_accepted=73,
        mails_waiting=2,
        mails_uncertain=1,
        mails_dead=1,
        mails_bounced=1,
        oldest_waiting_at=MONDAY - 3 * HOUR,
        as_of=MONDAY,
        silences=(_silence(),),
        changes=_changes(),
        shut=(
            ShutPlatform(platform="facebook", cause=Cause.CREDENTIAL, since=MONDAY - 31 * HOUR, retry_at=None),
            ShutPlatform(platform="x", cause=Cause.RATE_LIMIT, since=MONDAY - HOUR, retry_at=MONDAY + 2 * HOUR),
        ),
        forecasts=(
            Forecast(platform="youtube", name="units a day", limit=417, needed=120, accounts=30),
            Forecast(
                platform="x",
                name="dollars",
                limit=500,
                needed=790,
                spent=410,
                accounts=420,
                ends_at=MONDAY + 5 * DAY,
                resets_at=MONDAY + 9 * DAY,
            ),
            Forecast(platform="facebook", name="credential", ends_at=MONDAY + 11 * DAY),
        ),
        canary=tuple(_proof(n) for n in range(7)),
        media_waiting=4,
        media_unreadable={"the document needs a password": 3, "the picture has too many pixels": 1},
        chain_head=f"18734:{'9f3a61c20d' * 6}4e7b",
        reopened=(replace(older[0], round=1, reopened_for="the post is still there", state=AlertState.OPEN),),
        unconfirmed=(
            replace(older[1], state=AlertState.RESOLVED, resolution=Resolution.POST_REMOVED, removal=Removal.REPORTED),
        ),
    )


def _account_week(number: int) -> AccountWeek:
    code = OFFICES[number % len(OFFICES)][0]
    one: Account = account(
        f"{code.lower()}_rasmi{number // 9 or ''}", PLATFORMS[number % 6], agency=code, id=number + 1
    )
    if number % 17 == 3:
        return account_week(Verdict.BLIND, gap(20, 168, Cause.NOT_FOUND), account=one, covered=20 / 168)
    if number % 5 == 1:
        holes = (gap(30, 41.5), gap(77, 78), gap(100, 103, Cause.UNAVAILABLE), gap(130, 131, Cause.STOPPED))
        return account_week(Verdict.GAPS, *holes[: number % 4 + 1], account=one, covered=0.90 + number % 7 / 100)
    return account_week(account=one, degraded=one.platform == "myspace")


def _alert(number: int, of: Account) -> AlertLine:
    opened = WEEK_START + (number * 7.3 % 150) * HOUR
    state = (AlertState.OPEN, AlertState.RESOLVED, AlertState.ACKNOWLEDGED, AlertState.RESOLVED)[number % 4]
    kind = AlertKind.BLIND if number % 9 == 8 else AlertKind.POST
    answered = opened + (number % 6 + 0.4) * HOUR if state is not AlertState.OPEN else None
    suppressed = number % 10 == 5
    return alert_line(
        f"PTU-2026-{1000 + number:06d}",
        kind=kind,
        agency=of.agency,
        platform=of.platform,
        account=of.handle,
        severity=Severity(2 + number % 3),
        state=AlertState.SUPPRESSED if suppressed else state,
        clauses=() if kind is AlertKind.BLIND else CLAUSES[number % 6],
        rules=() if kind is AlertKind.BLIND else (RULES[number % 4][0],),
        opened_at=opened,
        first_mail_at=None if suppressed else opened + timedelta(minutes=1 + number % 3),
        acknowledged_at=answered,
        resolved_at=answered + 5 * HOUR if answered and state is AlertState.RESOLVED and not suppressed else None,
        resolution=tuple(Resolution)[number % 4] if state is AlertState.RESOLVED else None,
        deadline=opened + (3 + number % 3 * 2) * DAY if state is AlertState.ACKNOWLEDGED else None,
        steps=number % 4 if state is AlertState.OPEN else 1,
        silence_id=1 if suppressed else None,
    )


def _rules() -> tuple[RuleCount, ...]:
    found = [(11, 0, 6, 1), (7, 0, 4, 0), (5, 2, 3, 2), (1, 0, 0, 0)]
    live = tuple(
        rule_count(rule, ms, en, clause, findings=n, low=low, resolved=done, false_alarms=wrong)
        for (rule, ms, en, clause), (n, low, done, wrong) in zip(RULES, found, strict=True)
    )
    return (
        *live,
        rule_count("mampu-2009/3b/unusual-night-link", "Pautan asing pada waktu malam", "A strange link at night", "3b",
                   findings=4, shadow=True),
        rule_count("mampu-2009/4/signs-of-inside-talk", "Tanda hal dalaman", "Signs of inside talk", "4",
                   findings=31, low=31, severity=Severity.LOW),
        rule_count("mampu-2009/3a/signs-of-private-selling", "Tanda jualan peribadi", "Signs of private selling", "3a",
                   findings=12, low=12, severity=Severity.LOW),
    )  # fmt: skip


def rule_count(
    rule: str, ms: str = "Penandaan", en: str = "Marking", clause: str = "3c", **changes: object
) -> RuleCount:
    facts = {"title_ms": ms, "title_en": en, "clause": clause, "severity": Severity.HIGH, "findings": 7}
    return RuleCount(rule=rule, **{**facts, "shadow": False, **changes})  # type: ignore[arg-type]


def _silence() -> Silence:
    return Silence(
        id=1,
        author="Nurul Huda (ICTSO)",
        reason="Kempen derma darah: nombor telefon rasmi diulang setiap hari, telah disemak",
        created_at=WEEK_START,
        expires_at=MONDAY + 14 * DAY,
        rule="mampu-2009/4/private-phone",
        account_id=1,
    )


def _changes() -> tuple[Change, ...]:
    def at(hours: float) -> datetime:
        return WEEK_START + hours * HOUR

    return (
        Change(
            at=at(33),
            event="register changed",
            actor="pantau",
            facts={
                "accounts added": {f"x/baharu{n}": {"agency": "KKM"} for n in range(5)},
                "agencies changed": {"KPM": {}},
            },
        ),
        Change(
            at=at(82),
            event="rule set changed",
            actor="pantau",
            facts={"old": "ab" * 32, "new": "0123" * 16, "rules": 75, "changed": {"mampu-2009/4/mykad": [[1], [2]]}},
        ),
    )


def _proof(number: int) -> CanaryDay:
    began = WEEK_START + number * DAY + 7.5 * HOUR
    outcome = CanaryOutcome.MISSING if number == 4 else CanaryOutcome.ARRIVED
    accepted = None if number == 4 else began + timedelta(seconds=3 + number)
    return CanaryDay(day=began.date(), outcome=outcome, began_at=began, accepted_at=accepted)
