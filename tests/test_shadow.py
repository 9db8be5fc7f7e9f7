"""A shadow rule: what it finds is counted where the security team reads it, and alerts nobody."""

from __future__ import annotations

from archive import ArchiveMaker, marking
from builders import NOW, WEEK_START, finding
from test_digest import letter

from monitor.model import Severity
from monitor.store.listings import list_alerts
from monitor.store.reports import week_report


def test_what_a_shadow_rule_finds_is_in_the_weekly_digest_and_opens_no_alert(db):
    make = ArchiveMaker(db)
    at = WEEK_START.replace(hour=9)
    make.post("SULIT minit", at=at, found=(marking(shadow=True),))
    make.post("slot gacor", at=at, found=(finding("mampu-2009/3a/gambling", Severity.HIGH),))
    report = week_report(
        db,
        week="2026-W47",
        start=WEEK_START,
        end=NOW,
        now=NOW,
        patience=NOW - WEEK_START,
        degraded=(),
        rule_set="r",
    )
    counts = {one.rule: (one.findings, one.shadow) for one in report.rules}
    assert counts == {"mampu-2009/3a/gambling": (1, False), "mampu-2009/3c/marking": (1, True)}
    assert [one.rules for one in list_alerts(db)] == [("mampu-2009/3a/gambling",)]
    lines = [line for line in letter(report).text.splitlines() if "mampu-2009/3c/marking" in line]
    assert ["peraturan percubaan" in line for line in lines] == [True]
