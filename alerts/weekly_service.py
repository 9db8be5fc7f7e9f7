"""The digest's second half: how the rules did, what was set aside or changed, and how Pantau itself fares. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import wording
from monitor.budget import falls_short
from monitor.disclosure import one_line
from monitor.model import AlertState, CanaryOutcome, Cause, Json, Language, Silence
from monitor.reports import AlertLine, Change, RuleCount, ShutPlatform, WeekReport

RULES, LOW, SILENCES, SUPPRESSED, CHANGES, REASONS = 15, 10, 10, 20, 15, 8
FORECASTS = 20
TITLE_LIMIT, REASON_LIMIT, FACT_LIMIT = 90, 160, 160
DEAD = frozenset({Cause.CREDENTIAL, Cause.CONFIGURATION})  # until a person does something
LATE_MAIL = timedelta(hours=1)  # a mail that waits longer needs somebody
FAILED = frozenset({CanaryOutcome.MISSING, CanaryOutcome.NOT_FIRED, CanaryOutcome.NOT_RUN})
PROOFS: Mapping[Language, Mapping[CanaryOutcome, str]] = {
    Language.MS: {
        CanaryOutcome.ARRIVED: "sampai",
        CanaryOutcome.LATE: "sampai lewat",
        CanaryOutcome.WAITING: "menunggu",
        CanaryOutcome.MISSING: "tidak sampai",
        CanaryOutcome.NOT_FIRED: "tidak dikesan oleh peraturan",
        CanaryOutcome.NOT_RUN: "tidak dijalankan",
    },
    Language.EN: {
        CanaryOutcome.ARRIVED: "arrived",
        CanaryOutcome.LATE: "arrived late",
        CanaryOutcome.WAITING: "waiting",
        CanaryOutcome.MISSING: "did not arrive",
        CanaryOutcome.NOT_FIRED: "the rules did not fire",
        CanaryOutcome.NOT_RUN: "not run",
    },
}
EVENTS: Mapping[Language, Mapping[str, str]] = {
    Language.MS: {
        "register changed": "daftar agensi dan akaun",
        "rule set changed": "set peraturan",
        "escalation policy changed": "dasar makluman",
        "legal hold begun": "penahanan undang-undang bermula",
        "legal hold ended": "penahanan undang-undang tamat",
        "data purged": "data lama dikosongkan",
    },
    Language.EN: {
        "register changed": "register of agencies and accounts",
        "rule set changed": "rule set",
        "escalation policy changed": "escalation policy",
        "legal hold begun": "legal hold begun",
        "legal hold ended": "legal hold ended",
        "data purged": "old data purged",
    },
}
FACTS_MS = {
    "agencies added": "agensi ditambah",
    "agencies changed": "agensi diubah",
    "accounts added": "akaun ditambah",
    "accounts changed": "akaun diubah",
    "added": "ditambah",
    "removed": "dibuang",
    "changed": "diubah",
    "rules": "bilangan peraturan",
    "reason": "sebab",
    "posts": "hantaran",
    "mails": "e-mel",
    "entries": "catatan audit",
}
NAMES = 3  # of what an entry lists


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """A rule with the number of posts it fired on, and what people said of its alerts."""

    title: str
    rule: str
    clause: str
    severity: str
    findings: int
    low: int
    resolved: int
    false_alarms: int
    wrong: str  # the share of false alarms, empty when nothing was resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """Who wants no mail about what, why and until when; and how many of the week's alerts it covered."""

    number: int
    author: str
    reason: str
    scope: str
    expires: str
    cases: tuple[str, ...]


def words(report: WeekReport, language: Language) -> dict[str, object]:
    return {
        **_rules(report, language),
        **_silences(report, language),
        **_changes(report, language),
        **_platforms(report, language),
        **_mails(report, language),
        **_media(report),
        "rule_set": report.rule_set[:12],
        "chain_head": report.chain_head,
        **_canary(report, language),
    }


# ---------------------------------------------------------------- rules


def _rules(report: WeekReport, language: Language) -> dict[str, object]:
    """Return the rules that alert, those in shadow, and those whose findings were too low for a mail."""
    live = [one for one in report.rules if not one.shadow and (one.findings > one.low or one.resolved)]
    shadow = [one for one in report.rules if one.shadow and one.findings]
    low = sorted((one for one in report.rules if not one.shadow and one.low), key=lambda one: (-one.low, one.rule))
    return {
        "rules": [_rule(one, language) for one in live[:RULES]],
        "more_rules": max(0, len(live) - RULES),
        "shadow": [_rule(one, language) for one in shadow[:RULES]],
        "more_shadow": max(0, len(shadow) - RULES),
        "low": [_rule(one, language) for one in low[:LOW]],
        "more_low": max(0, len(low) - LOW),
    }


def _rule(one: RuleCount, language: Language) -> RuleRow:
    return RuleRow(
        title=one_line(one.title_ms if language is Language.MS else one.title_en, limit=TITLE_LIMIT),
        rule=one_line(one.rule, limit=TITLE_LIMIT),
        clause=wording.clause_name(one.clause),
        severity=wording.SEVERITIES[language][one.severity],
        findings=one.findings,
        low=one.low,
        resolved=one.resolved,
        false_alarms=one.false_alarms,
        wrong=f"{100 * one.false_alarms / one.resolved:.0f} %" if one.resolved else "",
    )


# ---------------------------------------------------------------- silences


def _silences(report: WeekReport, language: Language) -> dict[str, object]:
    """Return the silences with the week's alerts under them; alerts whose silence is gone stand by themselves."""
    suppressed = [one for one in report.alerts if one.state is AlertState.SUPPRESSED]
    known = {one.id for one in report.silences}
    used_first = sorted(report.silences, key=lambda one: (not _under(one, suppressed), one.id))
    return {
        "silences": [_silence(one, suppressed, report, language) for one in used_first[:SILENCES]],
        "more_silences": max(0, len(used_first) - SILENCES),
        "suppressed_total": len(suppressed),
        "suppressed_otherwise": [one.case for one in suppressed if one.silence_id not in known][:SUPPRESSED],
    }


def _under(one: Silence, suppressed: Iterable[AlertLine]) -> tuple[str, ...]:
    return tuple(alert.case for alert in suppressed if alert.silence_id == one.id)


def _silence(one: Silence, suppressed: Iterable[AlertLine], report: WeekReport, language: Language) -> SilenceRow:
    accounts = {week.account.id: week.account.label for week in report.accounts}
    account = "" if one.account_id is None else accounts.get(one.account_id, f"#{one.account_id}")
    cases = _under(one, suppressed)
    return SilenceRow(
        number=len(cases),
        author=one_line(one.author, limit=TITLE_LIMIT),
        reason=one_line(one.reason, limit=REASON_LIMIT),
        scope=one_line(" · ".join(part for part in (account, one.rule) if part), limit=TITLE_LIMIT),
        expires=wording.date(one.expires_at, language),
        cases=cases[:SUPPRESSED],
    )


# ---------------------------------------------------------------- changes


def _changes(report: WeekReport, language: Language) -> dict[str, object]:
    shown = report.changes[-CHANGES:]
    return {
        "changes": [(wording.short(one.at), _event(one, language), _told(one, language)) for one in shown],
        "more_changes": len(report.changes) - len(shown),
    }


def _event(one: Change, language: Language) -> str:
    return EVENTS[language].get(one.event) or one_line(one.event, limit=TITLE_LIMIT)


def _told(one: Change, language: Language) -> str:
    """Return who did it and what came of it: names and numbers, since an entry may hold whole rows."""
    actor = "" if one.actor == "pantau" else one_line(one.actor, limit=TITLE_LIMIT)
    facts = ", ".join(_facts(one.facts, language))
    return one_line("; ".join(part for part in (facts, actor) if part), limit=FACT_LIMIT)


def _facts(facts: Json, language: Language) -> Iterable[str]:
    if "old" in facts and "new" in facts:
        yield f"{_short(facts['old'])} → {_short(facts['new'])}"
    for name, value in sorted(facts.items()):
        if name not in {"old", "new"} and value not in (None, "", 0, [], {}) and not isinstance(value, bool):
            label = name.replace("_", " ")
            yield f"{FACTS_MS.get(label, label) if language is Language.MS else label}: {_names(value)}"


def _names(value: object) -> str:
    """Return a fact in a few words; of a list or table the first names, and how many more there are."""
    if not isinstance(value, list | dict):
        return _short(value)
    names = [str(name) for name in value]
    more = f" (+{len(names) - NAMES})" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more


def _short(value: object) -> str:
    """Return a text as it is, and of a hash its beginning."""
    text = str(value)
    return text[:12] if len(text) >= 32 and text.isalnum() else text or "–"


# ---------------------------------------------------------------- platforms, mails, media


def _platforms(report: WeekReport, language: Language) -> dict[str, object]:
    """Return the credentials that are dead, and the platforms whose budget of reads is used up."""

    def row(one: ShutPlatform) -> tuple[str, str, str, str]:
        cause, remedy = wording.cause(one.cause, language)
        again = wording.short(one.retry_at) if one.retry_at else ""
        since = f"{wording.short(one.since)} ({wording.span(_now(report) - one.since, language)})"
        remedy = remedy if one.cause in DEAD else again
        return one_line(wording.platform(one.platform, language)), since, cause, remedy

    return {
        "dead": [row(one) for one in report.shut if one.cause in DEAD],
        "used_up": [row(one) for one in report.shut if one.cause not in DEAD],
        **_forecasts(report, language),
    }


def _forecasts(report: WeekReport, language: Language) -> dict[str, object]:
    """Return how budgets and credentials will last, those that will not first."""
    now = _now(report)
    found = sorted(report.forecasts, key=lambda one: (not falls_short(one, now), one.key))
    rows = [
        (one_line(wording.platform(one.platform, language)), wording.forecast(one, language), falls_short(one, now))
        for one in found
    ]
    return {"forecasts": rows[:FORECASTS], "short": [row for row in rows[:FORECASTS] if row[2]]}


def _now(report: WeekReport) -> datetime:
    return report.as_of or report.end


def _mails(report: WeekReport, language: Language) -> dict[str, object]:
    waited = _now(report) - report.oldest_waiting_at if report.oldest_waiting_at else timedelta()
    return {
        "mails_accepted": report.mails_accepted,
        "mails_waiting": report.mails_waiting,
        "mails_uncertain": report.mails_uncertain,
        "mails_dead": report.mails_dead,
        "mails_bounced": report.mails_bounced,
        "oldest_waiting": wording.span(waited, language) if report.oldest_waiting_at else "",
        "mails_late": waited > LATE_MAIL,
    }


def _media(report: WeekReport) -> dict[str, object]:
    """Return how many pictures and documents were not read, and the commonest reasons: words of Pantau's own."""
    reasons = sorted(report.media_unreadable.items(), key=lambda reason: (-reason[1], reason[0]))
    return {
        "media_waiting": report.media_waiting,
        "media_unreadable": sum(report.media_unreadable.values()),
        "media_reasons": [(one_line(reason, limit=REASON_LIMIT), number) for reason, number in reasons[:REASONS]],
        "more_reasons": max(0, len(reasons) - REASONS),
    }


def _canary(report: WeekReport, language: Language) -> dict[str, object]:
    """Return the daily tests; a day without one is a failure only in a week in which others ran."""
    off = all(one.outcome is CanaryOutcome.NOT_RUN for one in report.canary)
    failed = [one for one in report.canary if one.outcome in FAILED and not off]
    rows = [
        (
            f"{wording.DAYS[language].split()[one.day.weekday()]} {one.day.day}",
            PROOFS[language][one.outcome],
            "–" if one.seconds is None else wording.seconds(one.seconds, language),
            one.outcome is CanaryOutcome.ARRIVED,
        )
        for one in report.canary
    ]
    return {"canary": [] if off else rows, "canary_off": off and bool(report.canary), "canary_failed": len(failed)}
