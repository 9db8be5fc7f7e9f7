"""Alert → the words that the templates of its mails are filled with. Pure.

Of a post's text only what `monitor.disclosure` allows is ever among them; names pass `one_line`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from alerts import steps, wording
from alerts.breaches import allowed_excerpt, broken_clauses, post_link
from alerts.envelope import Envelope
from alerts.letterhead import letterhead, office
from monitor import budget, links
from monitor.budget import Forecast
from monitor.disclosure import level_of, name_shown, one_line, profile_changes
from monitor.escalation import Role
from monitor.model import (
    Agency,
    Alert,
    AlertKind,
    AlertState,
    Delivery,
    Disclosure,
    Language,
    Severity,
)

NAME_LIMIT = 80  # code points of an account's name in a mail; some feeds are named by long addresses
GROUP_ROWS = 50  # cases of a grouped mail; what is beyond is counted, and stands in the console
TOLD_ROWS = 12  # of those who were told before, the latest
SHORT_NAME = 50  # characters of an account's name in a short message, which has 160 in all
NOTHING_TO_ANSWER = frozenset({"recovery", "canary", "out_of_band"})
TECHNICAL_STEPS = frozenset({"operators", "security-team"})  # a head is told the cause, not the library's words


def case_words(alert: Alert, delivery: Delivery, envelope: Envelope, now: datetime) -> dict[str, object]:
    language = delivery.language
    cause, remedy = wording.cause(alert.cause, language)
    platform, sentence = _technical(alert, language)
    sealed = envelope.encrypted_excerpt and bool(envelope.certificates.of(delivery.recipient, now))
    answer = answer_link(alert, delivery, envelope, now)
    return {
        **letterhead(language, envelope, now),
        **_addressee(alert, delivery),
        **_post_words(alert, language, envelope, sealed=sealed),
        **_platform_steps([alert], language),
        "case": alert.case,
        "what": wording.KINDS[language][alert.kind],
        "matter": wording.matter(alert.kind, (f.clause.ref for f in alert.findings), language),
        "changes": _profile_lines(alert, language),
        "short_account": _short(_account_name(alert) or platform),
        "kind": alert.kind.value,
        "account": _account_name(alert),
        "agency": _agency_name(alert),
        "platform": platform,
        "urgent": alert.severity >= Severity.HIGH,
        "severity": wording.SEVERITIES[language][alert.severity],
        "severity_class": alert.severity.label,
        "opened_at": wording.moment(alert.opened_at, language),
        "since": wording.moment(alert.since, language) if alert.since else "",
        "blind_for": wording.span(now - alert.since, language) if alert.since else "",
        "recovered_at": wording.moment(alert.recovered_at, language) if alert.recovered_at else "",
        "lasted": _lasted(alert, language),
        "cause": cause,
        "remedy": remedy,
        "clause_5": wording.CLAUSE_5,
        "detail": sentence if _role(delivery.step) in TECHNICAL_STEPS else "",
        **_forecast_words(alert, language),
        **_refused(alert, envelope),
        **_missing(alert, delivery),
        "console": "" if answer and _roles_of(alert.agency, delivery.recipient) else _console(alert.case, envelope),
        "answer": answer,
    }


def progress_words(
    alert: Alert, delivery: Delivery, told: Iterable[tuple[datetime, str]], next_to: Iterable[Role], now: datetime
) -> dict[str, object]:
    """Return who was told so far, why the case is open again, and what comes next."""
    language, before = delivery.language, sorted(told)
    reminded = {Role.HEAD, *_roles_of(alert.agency, delivery.recipient)}  # who reads this is not told of himself
    others = [role for role in next_to if role not in reminded]
    upcoming = alert.next_action_at if alert.state is AlertState.OPEN else None
    return {
        "told": tuple((wording.moment(at, language), one_line(who)) for at, who in before[-TOLD_ROWS:]),
        "told_since": wording.moment(before[0][0] if before else alert.opened_at, language),
        "round": alert.round,
        "reopened_why": wording.reopened(alert.reopened_for, language),
        "next_step_at": wording.moment(upcoming, language) if upcoming and upcoming > now else "",
        "next_step_to": wording.roles(others, language),
        "next_reminds": bool(reminded.intersection(next_to)),
    }


def answer_link(alert: Alert, delivery: Delivery, envelope: Envelope, now: datetime) -> str:
    """Return where this recipient answers the alert; empty when nothing is left to answer, or there is nowhere to."""
    if delivery.template in NOTHING_TO_ANSWER:
        return ""
    return links.answer_url(envelope.public_url, envelope.link_key, alert, delivery.recipient, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLine:
    """What an account changed about itself: "Nama", "“Jabatan Digital” → “Shib”"."""

    part: str
    words: str


def _profile_lines(alert: Alert, language: Language) -> tuple[ProfileLine, ...]:
    """Return what changed of an account's profile. The names are public; what a hijacker wrote is made harmless."""
    if alert.kind is not AlertKind.PROFILE:
        return ()
    changed = "telah berubah" if language is Language.MS else "has changed"
    lines = []
    for part, *names in profile_changes(alert.detail):
        before, after = (name_shown(name, alert.disclosure, limit=NAME_LIMIT) for name in names)
        words = f"“{before}” → “{after}”" if before or after else changed
        lines.append(ProfileLine(part=wording.PROFILE_PARTS[language][part], words=words))
    return tuple(lines) or (ProfileLine(part=wording.PROFILE_PARTS[language]["name"], words=changed),)


def _platform_steps(alerts: Sequence[Alert], language: Language) -> dict[str, object]:
    """Return what to do on the platform of these alerts; in general words when they are of several."""
    platforms = {one.account.platform for one in alerts if one.account is not None}
    platform = platforms.pop() if len(platforms) == 1 else ""
    return {
        "maybe_hijacked": any(one.kind is AlertKind.PROFILE or "3b" in one.clauses for one in alerts),
        "unpublish": steps.unpublish(platform, language),
        "lock": steps.lock(platform, language),
    }


def _short(name: str) -> str:
    """Return a name as every telephone shows it: plain ASCII, and short enough for one message with the rest."""
    plain = name.encode("ascii", "replace").decode("ascii")
    return plain if len(plain) <= SHORT_NAME else plain[: SHORT_NAME - 3] + "..."


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A case of a grouped mail."""

    case: str
    what: str
    severity: str
    account: str
    at: str
    link: str
    answer: str
    console: str


def group_words(alerts: Sequence[Alert], delivery: Delivery, envelope: Envelope, now: datetime) -> dict[str, object]:
    language, worst = delivery.language, alerts[0].severity
    rows = [_case_row(one, delivery, envelope, now) for one in alerts[:GROUP_ROWS]]
    accounts = {one.account.id or one.account.label for one in alerts if one.account is not None}
    return {
        **letterhead(language, envelope, now),
        **_addressee(alerts[0], delivery),
        **_platform_steps(alerts, language),
        "count": len(alerts),
        "rows": rows,
        "rest": [one.case for one in alerts[GROUP_ROWS:]],
        "agency": _agency_name(alerts[0]),
        "account": _account_name(alerts[0]) if len(accounts) == 1 else "",
        "urgent": worst >= Severity.HIGH,
        "severity": wording.SEVERITIES[language][worst],
        "severity_class": worst.label,
        "can_answer": any(row.answer for row in rows),
        "console": f"{envelope.public_url}/alerts" if envelope.public_url else "",
    }


def _case_row(alert: Alert, delivery: Delivery, envelope: Envelope, now: datetime) -> CaseRow:
    language = delivery.language
    refs = [finding.clause.ref for finding in alert.findings]
    return CaseRow(
        case=alert.case,
        what=wording.paragraphs(refs, language) or wording.KINDS[language][alert.kind],
        severity=wording.SEVERITIES[language][alert.severity],
        account=_account_name(alert),
        at=wording.short(alert.post.published_at if alert.post else alert.opened_at),
        link=post_link(alert.post) if envelope.post_link else "",
        answer=answer_link(alert, delivery, envelope, now),
        console=_console(alert.case, envelope),
    )


def _role(step: str) -> str:
    """Return whom a step is for: "operators" for "operators", "operators-2" and "round-2-operators"."""
    return re.sub(r"^round-\d+-|-\d+$", "", step)


def _missing(alert: Alert, delivery: Delivery) -> dict[str, object]:
    """Return whether those who stand in are told that the agency, or its head, has no mail address."""
    concerned = alert.kind in {AlertKind.POST, AlertKind.PROFILE} and _role(delivery.step) in TECHNICAL_STEPS
    who = alert.agency.contacts if alert.agency else None
    others = bool(who and (who.deputy_email or who.ictso_email or who.comms_email))
    headless = who is None or not who.head_email
    return {"no_contact": concerned and headless and not others, "no_head": concerned and headless and others}


def _roles_of(agency: Agency | None, address: str) -> frozenset[Role]:
    """Return what the address is in the agency: its people have the page to answer, and seldom the console."""
    people = agency.contacts if agency else None
    if people is None or not address:
        return frozenset()
    of_role = {
        Role.HEAD: people.head_email,
        Role.DEPUTY: people.deputy_email,
        Role.ICTSO: people.ictso_email,
        Role.COMMS: people.comms_email,
    }
    return frozenset(role for role, known in of_role.items() if known.casefold() == address.casefold())


def _console(case: str, envelope: Envelope) -> str:
    return f"{envelope.public_url}/alerts/{quote(case)}" if envelope.public_url else ""


def _refused(alert: Alert, envelope: Envelope) -> dict[str, object]:
    """Return what a refused mail was about, whom it did not reach, and the mail server's words."""
    detail = one_line(alert.detail, limit=400) if alert.kind is AlertKind.DEAD_LETTER else ""
    about, _, rest = detail.partition(" → ")
    recipient, _, reply = rest.partition(": ")
    is_case = about.startswith("PTU-")
    return {
        "refused_about": about,
        "refused_recipient": recipient,
        "refused_reply": reply,
        "refused_console": _console(about, envelope) if is_case else "",
    }


def _addressee(alert: Alert, delivery: Delivery) -> dict[str, object]:
    return office(alert.agency, delivery.recipient, delivery.language)


def _agency_name(alert: Alert) -> str:
    return one_line(alert.agency.name, limit=NAME_LIMIT * 2) if alert.agency else ""


def _account_name(alert: Alert) -> str:
    return one_line(alert.account.label, limit=NAME_LIMIT) if alert.account else ""


def _technical(alert: Alert, language: Language) -> tuple[str, str]:
    """Return the platform's name and the sentence for operators. Nothing in it repeats a post."""
    detail = one_line(alert.detail, limit=400)
    if alert.account is not None:
        platform = alert.account.platform
    elif alert.kind is AlertKind.CREDENTIAL:
        platform, _, detail = detail.partition(": ")
    elif (forecast := _forecast(alert)) is not None:
        platform, detail = forecast.platform, ""
    else:
        platform = ""
    if alert.kind is AlertKind.CANARY_MISSING:
        detail = wording.canary_failure(detail, language)
    if alert.kind is AlertKind.EVALUATION:  # an exception's message may quote the text it choked on; its name does not
        name = re.match(r"[A-Za-z_][\w.]{0,80}", detail)
        detail = name[0] if name else ""
    return one_line(wording.platform(platform, language)), detail


def _forecast(alert: Alert) -> Forecast | None:
    return budget.read(alert.detail) if alert.kind is AlertKind.FORECAST else None


def _forecast_words(alert: Alert, language: Language) -> dict[str, object]:
    """Return how the budget or credential of an alert will last; empty for the other alerts."""
    forecast = _forecast(alert)
    return {
        "forecast": wording.forecast(forecast, language) if forecast else "",
        "ends": forecast is not None and forecast.name == budget.CREDENTIAL,
        "by_the_hour": forecast is not None and forecast.name != budget.CREDENTIAL and forecast.resets_at is None,
    }


def _lasted(alert: Alert, language: Language) -> str:
    if alert.since is None or alert.recovered_at is None:
        return ""
    return wording.span(alert.recovered_at - alert.since, language)


def _post_words(alert: Alert, language: Language, envelope: Envelope, *, sealed: bool) -> dict[str, object]:
    post = alert.post
    return {
        "has_post": post is not None,
        "published_at": wording.moment(post.published_at, language) if post else "",
        "edited_at": wording.moment(post.edited_at, language) if post and post.edited_at else "",
        "link": post_link(post) if envelope.post_link else "",
        "broken_clauses": broken_clauses(alert, language),
        "evidence": post.content_hash if post else "",
        "excerpt": allowed_excerpt(alert, sealed=sealed),
        "masked": min(alert.disclosure, level_of(alert.findings)) is not Disclosure.FULL,
    }
