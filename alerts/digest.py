"""The weekly digest: which week is due, and the digest as files. Weeks are ISO weeks by the Malaysian calendar."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from email.utils import parseaddr

from alerts.compose import compose_digest, compose_monthly, digest_letter, monthly_letter, week_pictures
from alerts.envelope import Envelope
from alerts.policy import mail_domain
from monitor.model import MALAYSIA, Delivery, Language
from monitor.reports import MonthReport, WeekReport
from monitor.settings import WEEKDAYS, Digest, Settings

WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFiles:
    """The digest as it would be sent, and as a page that needs nothing beside it."""

    text: str
    html: str
    mail: bytes


def iso_week(text: str) -> tuple[datetime, datetime]:
    """Return the week's first moment and the next week's: "2026-W47" → Mondays 00:00, Malaysian time.

    Raises ValueError that says how a week is written.
    """
    match = re.fullmatch(r"(\d{4})-W(\d{2})", text)
    if match is None:
        raise ValueError(f"'{text[:40]}' is not a week; write the year and the ISO week, such as 2026-W47")
    try:
        start = datetime.fromisocalendar(int(match[1]), int(match[2]), 1).replace(tzinfo=MALAYSIA)
        return start, start + WEEK
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}': there is no such week; a year has the weeks W01 to W52 or W53") from None


def week_of(at: datetime) -> str:
    """Return the ISO week of a moment, in Malaysian time."""
    year, week, _ = at.astimezone(MALAYSIA).isocalendar()
    return f"{year:04d}-W{week:02d}"


def due_week(now: datetime, digest: Digest, *, not_before: datetime) -> str | None:
    """Return the newest complete week whose digest is due by `now`; None when it ended before `not_before`.

    Until this week's hour has come that is the week before last: a daemon that was down at the hour still sends it.
    Which digests were sent already is the outbox's to know.
    """
    local = now.astimezone(MALAYSIA)
    monday = datetime.combine(local.date() - timedelta(days=local.weekday()), time(), tzinfo=MALAYSIA)
    day = monday + timedelta(days=WEEKDAYS.index(digest.weekday))
    hour = datetime.combine(day.date(), digest.at.replace(tzinfo=None), tzinfo=MALAYSIA)
    end = monday if local >= hour else monday - WEEK
    return week_of(end - WEEK) if end > not_before else None


def digest_html(report: WeekReport, language: Language, envelope: Envelope, *, now: datetime) -> str:
    """Return the digest as one page with its charts inside."""
    drawn = week_pictures(report, language)
    inside = {name: f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}" for name, png in drawn.items()}
    return digest_letter(report, language, envelope, pictures=inside, now=now).html


def digest_files(report: WeekReport, settings: Settings, envelope: Envelope, *, now: datetime) -> DigestFiles:
    """Return the digest as it would go to its first recipient, without writing down that it went."""
    recipient = next(iter(settings.digest.recipients), parseaddr(envelope.sender)[1])
    language = Language(settings.digest.language)
    preview = _preview("digest", report.week, recipient, language, envelope, now)
    return DigestFiles(
        text=digest_letter(report, language, envelope, pictures={}, now=now).text,
        html=digest_html(report, language, envelope, now=now),
        mail=compose_digest(report, preview, envelope, now=now),
    )


def letter_files(report: MonthReport, envelope: Envelope, *, now: datetime) -> DigestFiles:
    """Return the month's letter as it would go to the agency, without writing down that it went."""
    people, language = report.agency.contacts, report.agency.language
    addresses = (people.head_email, people.deputy_email, people.ictso_email, parseaddr(envelope.sender)[1])
    recipient = next(one for one in addresses if one)
    letter = monthly_letter(report, language, envelope, recipient=recipient, now=now)
    preview = _preview("monthly", report.month, recipient, language, envelope, now)
    return DigestFiles(text=letter.text, html=letter.html, mail=compose_monthly(report, preview, envelope, now=now))


def _preview(
    template: str, period: str, recipient: str, language: Language, envelope: Envelope, now: datetime
) -> Delivery:
    identity = hashlib.sha256(f"preview\0{template}\0{period}\0{now.isoformat()}".encode()).hexdigest()[:32]
    return Delivery(
        id=0,
        fence=0,
        alert_id=None,
        period=period,
        step=template,
        template=template,
        recipient=recipient,
        language=language,
        message_id=f"<pantau.{identity}@{mail_domain(envelope.sender)}>",
        attempts=0,
        rendered=None,
    )
