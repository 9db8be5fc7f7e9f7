"""Alert → mail. Pure: the same alert, delivery and time are always the same bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parseaddr

from alerts import charts, monthly, smime, weekly
from alerts.attachments import csv_files
from alerts.case_words import case_words, group_words, progress_words
from alerts.envelope import Envelope
from alerts.letterhead import letterhead, nobody_in_particular, office
from alerts.message import Attachment, letter_bytes, mail_message
from alerts.policy import mail_domain
from alerts.rendering import Letter, fill_in, render
from monitor.escalation import Role
from monitor.model import (
    Alert,
    Delivery,
    Language,
    Severity,
)
from monitor.reports import MonthReport, WeekReport

CHART_CID = "pantau-carta"
MAP_CID = "pantau-liputan"
URGENT_TEMPLATES = frozenset({"alert", "reminder", "escalation", "reopened", "profile"})


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
    words = case_words(alert, delivery, envelope, now)
    language = delivery.language
    letter = fill_in(delivery.template, language, {**words, **progress_words(alert, delivery, told, next_to, now)})
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
    letter = render("group", delivery.language, group_words(ordered, delivery, envelope, now))
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
        **letterhead(language, envelope, now),
        **weekly.words(report, language),
        "chart": pictures.get(CHART_CID, ""),
        "map": pictures.get(MAP_CID, ""),
        "unfinished": now < report.end,
        "salutation": nobody_in_particular(language),
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
        **letterhead(language, envelope, now),
        **office(report.agency, recipient, language),
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
    words = {**letterhead(Language.MS, envelope, now), "sender": parseaddr(envelope.sender)[1]}
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
