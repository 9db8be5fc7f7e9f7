"""Agencies, accounts, posts and findings for the tests, with everything filled in that a test does not care about."""

from __future__ import annotations

from datetime import UTC, datetime

from monitor.model import (
    Account,
    Agency,
    AgencyKind,
    Clause,
    Contacts,
    Disclosure,
    Finding,
    Language,
    Post,
    Severity,
    State,
)

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


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
