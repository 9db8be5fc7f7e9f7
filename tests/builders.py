"""Agencies, accounts, posts and findings for the tests, with everything filled in that a test does not care about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.model import (
    MALAYSIA,
    Account,
    Agency,
    AgencyKind,
    Alert,
    AlertKind,
    AlertState,
    Clause,
    Contacts,
    Delivery,
    Disclosure,
    Finding,
    Interval,
    Language,
    Post,
    Severity,
    State,
    Verdict,
)
from monitor.reports import AccountWeek, AlertLine, WeekReport
from monitor.rules.conditions import parse
from monitor.rules.parts import Part
from monitor.rules.rule import SCOPES, Rule, RuleSet, Status

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
WEEK_START = datetime(2026, 11, 16, tzinfo=MALAYSIA)  # Monday of 2026-W47


def agency(code: str = "JPD", **changes: object) -> Agency:
    people = {
        "head_salutation": "Y.Bhg. Datuk",
        "head_name": "Datuk Aminah binti Osman",
        "head_title": "Ketua Pengarah",
        "head_email": f"ketua@{code.lower()}.example.my",
        "deputy_email": f"timbalan@{code.lower()}.example.my",
        "ictso_email": f"ictso@{code.lower()}.example.my",
    }
    contacts = Contacts(**{**people, **changes})  # type: ignore[arg-type]
    return Agency(
        code=code,
        name=f"Jabatan {code}",
        kind=AgencyKind.DEPARTMENT,
        state=State.PJY,
        language=Language.MS,
        contacts=contacts,
    )


def account(handle: str = "jpd", platform: str = "x", **changes: object) -> Account:
    return Account(**{"agency": "JPD", "platform": platform, "handle": handle, **changes})  # type: ignore[arg-type]


def post(native_id: str = "1", text: str = "Selamat pagi", **changes: object) -> Post:
    facts = {
        "native_id": native_id,
        "url": f"https://x.com/i/status/{native_id}",
        "published_at": NOW,
        "text": text,
        "raw": {"id": native_id, "text": text},
    }
    return Post(**{**facts, **changes})  # type: ignore[arg-type]


def finding(rule: str = "mampu-2009/3c/marking", severity: Severity = Severity.HIGH, **changes: object) -> Finding:
    facts = {
        "rule": rule,
        "rule_version": 1,
        "title_ms": "Penandaan dokumen terperingkat",
        "title_en": "Classification marking",
        "clause": Clause(instrument="mampu-2009", ref="3c", ms="tidak melibatkan …", en="no detailed information"),
        "severity": severity,
        "disclosure": Disclosure.NONE,
        "field": "text",
        "spans": ((0, 5),),
    }
    return Finding(**{**facts, **changes})  # type: ignore[arg-type]


def alert(**changes: object) -> Alert:
    """An open alert on a post of JPD's account, as the store hands it to a mail."""
    facts = {
        "id": 1,
        "case": "PTU-2026-000001",
        "key": "post:1:1:0123456789abcdef",
        "kind": AlertKind.POST,
        "state": AlertState.OPEN,
        "severity": Severity.HIGH,
        "disclosure": Disclosure.NONE,
        "opened_at": NOW,
        "agency": agency(),
        "account": account(),
        "post": post(),
        "findings": (finding(),),
    }
    return Alert(**{**facts, **changes})  # type: ignore[arg-type]


def delivery(**changes: object) -> Delivery:
    facts = {
        "id": 1,
        "fence": 1,
        "alert_id": 1,
        "period": "",
        "step": "first",
        "template": "alert",
        "recipient": "ketua@jpd.example.my",
        "language": Language.MS,
        "message_id": "<pantau.1@pantau.example.my>",
        "attempts": 0,
        "rendered": None,
    }
    return Delivery(**{**facts, **changes})  # type: ignore[arg-type]


def account_week(verdict: Verdict = Verdict.FULL, *gaps: Interval, **changes: object) -> AccountWeek:
    facts = {
        "account": account(),
        "verdict": verdict,
        "covered": {Verdict.FULL: 1.0, Verdict.GAPS: 0.93, Verdict.BLIND: 0.0}[verdict],
        "gaps": gaps,
        "posts": 12,
    }
    return AccountWeek(**{**facts, **changes})  # type: ignore[arg-type]


def alert_line(case: str = "PTU-2026-000001", **changes: object) -> AlertLine:
    facts = {
        "case": case,
        "kind": AlertKind.POST,
        "agency": "JPD",
        "platform": "x",
        "account": "jpd",
        "severity": Severity.HIGH,
        "state": AlertState.OPEN,
        "clauses": ("3c",),
        "rules": ("mampu-2009/3c/marking",),
        "opened_at": WEEK_START + timedelta(days=1),
        "first_mail_at": WEEK_START + timedelta(days=1, minutes=2),
        "acknowledged_at": None,
        "resolved_at": None,
    }
    return AlertLine(**{**facts, **changes})  # type: ignore[arg-type]


def week_report(**changes: object) -> WeekReport:
    """Week 2026-W47, in which one account was read all the time and nothing was found."""
    facts = {
        "week": "2026-W47",
        "start": WEEK_START,
        "end": WEEK_START + timedelta(weeks=1),
        "agencies": (agency(),),
        "accounts": (account_week(),),
        "posts_read": 12,
        "alerts": (),
        "still_open": (),
        "rules": (),
        "alerts_per_week": tuple((f"2026-W{number}", {}) for number in range(40, 48)),
        "mails_accepted": 0,
        "mails_waiting": 0,
        "mails_dead": 0,
        "rule_set": "0123456789abcdef0123456789abcdef",
    }
    return WeekReport(**{**facts, **changes})  # type: ignore[arg-type]


def rule_set(*rules: Rule) -> RuleSet:
    return RuleSet(rules, "test")


def rule(parts: Mapping[str, Part], condition: str, **changes: Any) -> Rule:
    clause = Clause(instrument="guide", ref="1a", ms="tidak mendedahkan", en="no disclosure")
    whole = Rule(
        id="guide/1a/one",
        version=1,
        status=Status.LIVE,
        title_ms="Satu",
        title_en="One",
        clause=clause,
        severity=Severity.MEDIUM,
        disclosure=Disclosure.MASKED,
        scope=frozenset(SCOPES),
        where={},
        parts=parts,
        condition=parse(condition),
        stronger=(),
        weaker=(),
        exceptions=(),
        tests=(),
        file="one.yaml",
    )
    return replace(whole, **changes)


def first_hole(intervals: Sequence[Interval], begin: datetime) -> tuple[datetime, datetime] | None:
    """Return the first stretch after `begin` that no interval covers, or that two cover; None when they tile."""
    expected = begin
    for interval in intervals:
        if interval.start != expected:
            return (min(expected, interval.start), max(expected, interval.start))
        expected = interval.end
    return None
