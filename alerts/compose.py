"""Alert → mail. Pure: the same alert, delivery and time are always the same bytes.

Of a post's text only what `monitor.disclosure` allows is ever handed to a template; names pass `one_line`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import quote, urlsplit

from alerts import charts, monthly, smime, steps, weekly, wording
from alerts.attachments import csv_files
from alerts.message import Attachment, letter_bytes, mail_message
from alerts.policy import mail_domain
from alerts.rendering import Letter, fill_in, render
from monitor import budget, links
from monitor.budget import Forecast
from monitor.disclosure import excerpt, level_of, name_shown, one_line, profile_changes
from monitor.escalation import Role
from monitor.model import (
    Agency,
    Alert,
    AlertKind,
    AlertState,
    Delivery,
    Disclosure,
    Finding,
    Language,
    MediaKind,
    Post,
    Severity,
)
from monitor.reports import MonthReport, WeekReport
from monitor.settings import Settings

CHART_CID = "pantau-carta"
MAP_CID = "pantau-liputan"
NAME_LIMIT = 80  # code points of an account's name in a mail; some feeds are named by long addresses
LINK_LIMIT = 1000
GROUP_ROWS = 50  # cases of a grouped mail; what is beyond is counted, and stands in the console
TOLD_ROWS = 12  # of those who were told before, the latest
SHORT_NAME = 50  # characters of an account's name in a short message, which has 160 in all
URGENT_TEMPLATES = frozenset({"alert", "reminder", "escalation", "reopened", "profile"})
NOTHING_TO_ANSWER = frozenset({"recovery", "canary", "out_of_band"})
TECHNICAL_STEPS = frozenset({"operators", "security-team"})  # a head is told the cause, not the library's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every mail has in common. `public_url` is where the console is seen from outside; empty: nowhere.

    `link_key` signs the links by which an alert is answered; without it mails carry none. Mails to recipients with a
    certificate are encrypted; `encrypted_excerpt` lets such a mail show a masked excerpt where a rule allows none.
    """

    sender: str
    slogans: tuple[str, ...]
    post_link: bool
    public_url: str
    link_key: str = field(default="", repr=False)
    certificates: smime.Certificates = field(default_factory=smime.Certificates, repr=False)
    encrypted_excerpt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that fired, as a mail names it: without a word of what it matched."""

    title: str
    severity: str
    places: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenClause:
    """A clause with all that may break it. `en` is empty in a Malay mail."""

    name: str
    instrument: str
    ms: str
    en: str
    breaches: tuple[Breach, ...]


def envelope_of(settings: Settings, *, link_key: str = "") -> Envelope:
    return Envelope(
        sender=settings.mail.sender,
        slogans=settings.letter.slogans,
        post_link=settings.mail.post_link,
        public_url=settings.web.public_url.rstrip("/"),
        link_key=link_key,
        certificates=smime.read_certificates(settings.mail.certificates),
        encrypted_excerpt=settings.mail.encrypted_excerpt == "masked",
    )


def compose_alert(
    alert: Alert,
    delivery: Delivery,
    envelope: Envelope,
    *,
    now: datetime,
    told: Iterable[tuple[datetime, str]] = (),
    next_to: Iterable[Role] = (),
) -> bytes:
    """Return the mail that tells this recipient of the alert, in the words of `delivery.template`.

    Templates: alert, reminder, escalation, reopened, profile, blind, recovery, credential, dead_letter, evaluation,
    canary, out_of_band. `told`: when which address was told before; `next_to`: who is told at `alert.next_action_at`.
    Raises jinja2.TemplateError.
    """
    words = _words(alert, delivery, envelope, now)
    language = delivery.language
    letter = fill_in(delivery.template, language, {**words, **_progress(alert, told, next_to, language, now)})
    urgent = alert.severity >= Severity.HIGH and delivery.template in URGENT_TEMPLATES
    headers = [("Importance", "high")] if urgent else []
    return _mail(letter.folded(), delivery, envelope, now=now, outside=alert.case, headers=headers)


def compose_group(alerts: Sequence[Alert], delivery: Delivery, envelope: Envelope, *, now: datetime) -> bytes:
    """Return one mail about several alerts of one agency: a row a case, the gravest first, and no word of a post.

    Raises jinja2.TemplateError. ValueError for no alerts at all.
    """
    if not alerts:
        raise ValueError("a grouped mail is about at least one alert")
    ordered = sorted(alerts, key=lambda one: (-one.severity, one.id))
    letter = render("group", delivery.language, _group_words(ordered, delivery, envelope, now))
    headers = [("Importance", "high")] if ordered[0].severity >= Severity.HIGH else []
    outside = f"{ordered[0].case} +{len(ordered) - 1}" if len(ordered) > 1 else ordered[0].case
    return _mail(letter.folded(), delivery, envelope, now=now, outside=outside, headers=headers)


def compose_period(report: WeekReport | MonthReport, delivery: Delivery, envelope: Envelope, *, now: datetime) -> bytes:
    """Return the mail about a stretch of time: the weekly digest, or the monthly letter."""
    if isinstance(report, MonthReport):
        return compose_monthly(report, delivery, envelope, now=now)
    return compose_digest(report, delivery, envelope, now=now)


def compose_digest(report: WeekReport, delivery: Delivery, envelope: Envelope, *, now: datetime) -> bytes:
    """Return the weekly digest with its charts as inline pictures, and its rows as CSV files."""
    pictures = week_pictures(report, delivery.language)
    letter = digest_letter(
        report, delivery.language, envelope, pictures={name: f"cid:{name}" for name in pictures}, now=now
    )
    headers = [("List-Id", f"Pantau <digest.pantau.{mail_domain(envelope.sender)}>")]
    files = csv_files(report)
    outside = f"Pantau {delivery.period}".rstrip()
    return _mail(
        letter.folded(),
        delivery,
        envelope,
        now=now,
        outside=outside,
        headers=headers,
        pictures=pictures,
        attachments=files,
    )


def week_pictures(report: WeekReport, language: Language) -> dict[str, bytes]:
    """Return the digest's charts by name, of what there is to draw."""
    drawn = {}
    if any(sum(counts.values()) for _, counts in report.alerts_per_week):
        drawn[CHART_CID] = charts.week_chart(report, language)
    if report.accounts:
        drawn[MAP_CID] = charts.coverage_map(report, language)
    return drawn


def digest_letter(
    report: WeekReport, language: Language, envelope: Envelope, *, pictures: Mapping[str, str], now: datetime
) -> Letter:
    """Return the digest's texts; `pictures` are the charts' addresses, `now` tells a week that still runs."""
    words = {
        **_letterhead(language, envelope, now),
        **weekly.words(report, language),
        "chart": pictures.get(CHART_CID, ""),
        "map": pictures.get(MAP_CID, ""),
        "unfinished": now < report.end,
        "salutation": _nobody_in_particular(language),
        "console": envelope.public_url,
    }
    return _tidy(render("digest", language, words))


def compose_monthly(report: MonthReport, delivery: Delivery, envelope: Envelope, *, now: datetime) -> bytes:
    letter = monthly_letter(report, delivery.language, envelope, recipient=delivery.recipient, now=now)
    return _mail(letter.folded(), delivery, envelope, now=now, outside=f"Pantau {delivery.period}".rstrip())


def monthly_letter(
    report: MonthReport, language: Language, envelope: Envelope, *, recipient: str, now: datetime
) -> Letter:
    """Return the month's letter to an agency; to its head by name, to anyone else in general."""
    words = {
        **_letterhead(language, envelope, now),
        **_office(report.agency, recipient, language),
        **monthly.words(report, language),
        "unfinished": now < report.end,
    }
    return _tidy(render("monthly", language, words))


def _tidy(letter: Letter) -> Letter:
    """Return the letter with no more than one empty line between two parts of its text."""
    return replace(letter, text=re.sub(r"\n{3,}", "\n\n", letter.text))


def compose_test(recipient: str, envelope: Envelope, *, now: datetime) -> tuple[str, bytes]:
    """Return (Message-ID, mail) of a mail that proves the way to `recipient`, in both languages."""
    identity = hashlib.sha256(f"test\0{recipient}\0{now.isoformat()}".encode()).hexdigest()[:32]
    message_id = f"<pantau.{identity}@{mail_domain(envelope.sender)}>"
    words = {**_letterhead(Language.MS, envelope, now), "sender": parseaddr(envelope.sender)[1]}
    letter = render("test", Language.MS, words).folded()
    mail = mail_message(letter, sender=envelope.sender, recipient=recipient, message_id=message_id, now=now)
    return message_id, smime.sealed(mail, envelope.certificates.of(recipient, now), outside="Pantau")


def _mail(
    letter: Letter,
    delivery: Delivery,
    envelope: Envelope,
    *,
    now: datetime,
    outside: str,
    headers: Sequence[tuple[str, str]] = (),
    pictures: Mapping[str, bytes] | None = None,
    attachments: Sequence[Attachment] = (),
) -> bytes:
    """Return the mail's bytes; encrypted, with `outside` for its subject, when the recipient has a certificate."""
    certificates = envelope.certificates.of(delivery.recipient, now)
    if letter.html and not (certificates or pictures or attachments):
        return letter_bytes(
            letter,
            sender=envelope.sender,
            recipient=delivery.recipient,
            message_id=delivery.message_id,
            now=now,
            headers=headers,
        )
    mail = mail_message(
        letter,
        sender=envelope.sender,
        recipient=delivery.recipient,
        message_id=delivery.message_id,
        now=now,
        headers=headers,
        pictures=pictures,
        attachments=attachments,
    )
    return smime.sealed(mail, certificates, outside=outside)


def _letterhead(language: Language, envelope: Envelope, now: datetime) -> dict[str, object]:
    """Return the words that every letter has."""
    return {
        "today": wording.date(now, language),
        "written_at": wording.moment(now, language),
        "slogans": tuple(one_line(slogan) for slogan in envelope.slogans),
    }


def _words(alert: Alert, delivery: Delivery, envelope: Envelope, now: datetime) -> dict[str, object]:
    language = delivery.language
    cause, remedy = wording.cause(alert.cause, language)
    platform, sentence = _technical(alert, language)
    sealed = envelope.encrypted_excerpt and bool(envelope.certificates.of(delivery.recipient, now))
    answer = answer_link(alert, delivery, envelope, now)
    return {
        **_letterhead(language, envelope, now),
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
        "console": "" if answer and _is_contact(alert.agency, delivery.recipient) else _console(alert.case, envelope),
        "answer": answer,
    }


def answer_link(alert: Alert, delivery: Delivery, envelope: Envelope, now: datetime) -> str:
    """Return where this recipient answers the alert; empty when nothing is left to answer, or there is nowhere to."""
    if delivery.template in NOTHING_TO_ANSWER:
        return ""
    return links.answer_url(envelope.public_url, envelope.link_key, alert, delivery.recipient, now)


def _progress(
    alert: Alert, told: Iterable[tuple[datetime, str]], next_to: Iterable[Role], language: Language, now: datetime
) -> dict[str, object]:
    """Return who was told so far, why the case is open again, and what comes next."""
    before = sorted(told)
    roles = tuple(next_to)
    upcoming = alert.next_action_at if alert.state is AlertState.OPEN else None
    return {
        "told": tuple((wording.moment(at, language), one_line(who)) for at, who in before[-TOLD_ROWS:]),
        "told_since": wording.moment(before[0][0] if before else alert.opened_at, language),
        "round": alert.round,
        "reopened_why": wording.reopened(alert.reopened_for, language),
        "next_step_at": wording.moment(upcoming, language) if upcoming and upcoming > now else "",
        "next_step_to": wording.roles((role for role in roles if role is not Role.HEAD), language),
        "next_reminds": Role.HEAD in roles,
    }


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


def _group_words(alerts: Sequence[Alert], delivery: Delivery, envelope: Envelope, now: datetime) -> dict[str, object]:
    language, worst = delivery.language, alerts[0].severity
    rows = [_case_row(one, delivery, envelope, now) for one in alerts[:GROUP_ROWS]]
    accounts = {one.account.id or one.account.label for one in alerts if one.account is not None}
    return {
        **_letterhead(language, envelope, now),
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
        what=wording.clause_names(refs, language) or wording.KINDS[language][alert.kind],
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


def _is_contact(agency: Agency | None, address: str) -> bool:
    """Say whether the address is one of the agency's: its people have the page to answer, and seldom the console."""
    people = agency.contacts if agency else None
    known = (people.head_email, people.deputy_email, people.ictso_email, people.comms_email) if people else ()
    return address.casefold() in {one.casefold() for one in known if one}


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
    return _office(alert.agency, delivery.recipient, delivery.language)


def _office(agency: Agency | None, recipient: str, language: Language) -> dict[str, object]:
    """Return salutation and address lines: the head's as the register has them, for anyone else the general ones."""
    head = agency.contacts if agency else None
    if agency is None or head is None or recipient.casefold() != head.head_email.casefold():
        return {"salutation": _nobody_in_particular(language), "address_lines": (), "to_agency": False}
    lines = [one_line(part) for part in (head.head_name, head.head_title, agency.name)]
    salutation = one_line(head.head_salutation).rstrip(",") or _nobody_in_particular(language)
    return {"salutation": salutation, "address_lines": tuple(filter(None, lines)), "to_agency": True}


def _nobody_in_particular(language: Language) -> str:
    return "Tuan/Puan" if language is Language.MS else "Sir/Madam"


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


def post_link(post: Post | None) -> str:
    """Return the post's public address, when it is one that a browser opens harmlessly."""
    if post is None or len(post.url) > LINK_LIMIT:
        return ""
    url = quote(one_line(post.url, limit=LINK_LIMIT + 1), safe="!#$%&'()*+,/:;=?@[]~")
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.hostname else ""


def allowed_excerpt(alert: Alert, *, sealed: bool = False) -> str:
    """Return what the disclosure level lets through of the post's text; empty for a match outside the text."""
    if alert.post is None or not any(finding.field == "text" for finding in alert.findings):
        return ""
    return excerpt(alert.post.text, alert.findings, alert.disclosure, sealed=sealed) or ""


def broken_clauses(alert: Alert, language: Language) -> tuple[BrokenClause, ...]:
    """Return the alert's findings by clause, in the circular's order; a rule is named once with all its places."""
    by_clause: dict[tuple[str, str], list[Finding]] = {}
    for finding in alert.findings:
        by_clause.setdefault((finding.clause.instrument, finding.clause.ref), []).append(finding)
    return tuple(
        BrokenClause(
            name=wording.clause_name(ref),
            instrument=wording.instrument(instrument, language),
            ms=one_line(found[0].clause.ms, limit=600),
            en=one_line(found[0].clause.en, limit=600) if language is Language.EN else "",
            breaches=_breaches(found, alert.post, language),
        )
        for (instrument, ref), found in sorted(by_clause.items())
    )


def _breaches(findings: Sequence[Finding], post: Post | None, language: Language) -> tuple[Breach, ...]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    strongest_first = sorted(by_rule.values(), key=lambda found: -max(f.severity for f in found))
    return tuple(
        Breach(
            title=one_line(found[0].title_ms if language is Language.MS else found[0].title_en),
            severity=wording.SEVERITIES[language][max(f.severity for f in found)],
            places=wording.listed([_place(f.field, post, language) for f in found], language),
        )
        for found in strongest_first
    )


def _place(field: str, post: Post | None, language: Language) -> str:
    """Return "dalam gambar 1" for "picture:0": counted as a reader counts, among the post's pictures."""
    kind, _, position = field.partition(":")
    words = wording.PLACES[language].get(kind)
    if words is None:
        return one_line(field)
    if not position.isdigit():
        return words
    number = int(position)
    media = post.media if post else ()
    if number < len(media) and media[number].kind in set(MediaKind):
        return f"{words} {sum(one.kind.value == kind for one in media[: number + 1])}"
    return f"{words} {number + 1}"
