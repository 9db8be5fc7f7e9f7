"""What no single key shows to be wrong: settings that contradict each other, or cannot work."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit

from monitor.problems import Problem
from monitor.settings import Settings
from monitor.settings.values import is_loopback, is_mail_address

LEAST_BYTES = 100_000
LONGEST_DAYS_KEPT = 36_500
LEAST_DAYS_KEPT = 35  # a rule may look back 31 days for the same text, and a month's letter tells of its audit entries


def contradictions(settings: Settings) -> list[Problem]:
    """Return every one of them."""
    found = [*_mail_contradictions(settings), *_mailbox_contradictions(settings), *_other_contradictions(settings)]
    return [Problem(file=str(settings.source), place=place, message=message) for place, message in found]


def _mail_contradictions(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    mail = settings.mail
    if mail.transport == "smtp" and not mail.host:
        found.append(("mail.host", 'is needed for transport "smtp"'))
    if mail.transport == "smtp" and mail.security == "none" and mail.host and not is_loopback(mail.host):
        found.append(("mail.security", f'"none" would send in clear to {mail.host}; use "starttls" or "tls"'))
    if not is_mail_address(parseaddr(mail.sender)[1]):
        found.append(("mail.sender", f"'{mail.sender}' holds no mail address; write \"Pantau <pantau@agensi.gov.my>\""))
    if mail.host and not re.fullmatch(r"[\w.-]+|\[?[0-9A-Fa-f:]+\]?", mail.host):
        found.append(("mail.host", f"'{mail.host}': expected the server's name alone; the port goes into mail.port"))
    if mail.ca_file is not None and not mail.ca_file.is_file():
        found.append(("mail.ca_file", f"{mail.ca_file}: is no file; write the authority's certificate (PEM) there"))
    if mail.encrypted_excerpt != "none" and mail.certificates is None:
        found.append(("mail.encrypted_excerpt", "needs mail.certificates: mails are encrypted for nobody so far"))
    if not 0 < mail.port < 65536:
        found.append(("mail.port", "is outside 1 to 65535"))
    for key, addresses in (
        ("digest.recipients", settings.digest.recipients),
        ("operators.recipients", settings.operators.recipients),
        ("canary.recipient", (settings.canary.recipient,) if settings.canary.recipient else ()),
    ):
        found += [(key, f"'{a}' is not a mail address") for a in addresses if not is_mail_address(a)]
    return found


def _mailbox_contradictions(settings: Settings) -> list[tuple[str, str]]:
    box = settings.mailbox
    if not box.host:
        wanted = [key for key in ("journal", "username") if getattr(box, key)]
        return [("mailbox.host", f"is needed for mailbox.{wanted[0]}")] if wanted else []
    found: list[tuple[str, str]] = []
    if box.security == "none" and not is_loopback(box.host):
        found.append(("mailbox.security", f'"none" would sign in in clear at {box.host}; use "tls" or "starttls"'))
    if not box.username or not box.password:
        found.append(("mailbox.username", "and mailbox.password are needed to sign in"))
    if box.ca_file is not None and not box.ca_file.is_file():
        found.append(("mailbox.ca_file", f"{box.ca_file}: is no file; write the authority's certificate (PEM) there"))
    if not 0 < box.port < 65536:
        found.append(("mailbox.port", "is outside 1 to 65535"))
    for key, name in (("mailbox.journal", box.journal), ("mailbox.bounces", box.bounces)):
        if not name.isascii():
            found.append((key, f"'{name}': write the name as the server lists it, in plain ASCII (modified UTF-7)"))
    return found


def _other_contradictions(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    polling, web = settings.polling, settings.web
    if wrong := _database_mistake(settings.database.url):
        found.append(("database.url", wrong))
    if polling.min_interval > polling.max_interval:
        found.append(("polling.min_interval", "is longer than polling.max_interval"))
    if not polling.min_interval <= polling.typical <= max(polling.min_interval, polling.max_interval):
        found.append(("polling.typical_interval", "lies between polling.min_interval and polling.max_interval"))
    if polling.overlap < timedelta(minutes=2):
        found.append(("polling.overlap", "is at least 2m: posts appear late and out of order"))
    found += _retention_mistakes(settings)
    if settings.network.max_bytes < LEAST_BYTES:
        found.append(("network.max_bytes", f"is at least {LEAST_BYTES}: a page of posts must fit"))
    if polling.workers < 1:
        found.append(("polling.workers", "is at least 1"))
    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}", web.listen) or web.port > 65535:
        found.append(("web.listen", f"'{web.listen}': expected host:port, such as \"127.0.0.1:8080\""))
    if (called := settings.deadman.url.reveal()) and not re.match(r"https?://[^\s/?#]+", called):
        found.append(("deadman.url", "expected an address that begins with https://"))
    if web.public_url and (wrong := _public_url_mistake(web.public_url)):
        found.append(("web.public_url", wrong))
    return found


def _public_url_mistake(url: str) -> str:
    """Return what is wrong with the address of the console: the links of mails are made from it, and are a right."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 (reading it is what checks it)
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        return "expected an address that begins with https://"
    if parts.query or parts.fragment or parts.username is not None:
        return "expected an address alone, without user, ? or #"
    if parts.scheme == "http" and not is_loopback(host):
        return "the links of mails, by which alerts are answered, must not travel in clear; use https://"
    return ""


def _retention_mistakes(settings: Settings) -> list[tuple[str, str]]:
    kept = settings.retention
    words = f"is at least {LEAST_DAYS_KEPT}, or 0 to keep them for good"
    days = {"retention.post_days": kept.post_days, "retention.audit_days": kept.audit_days}
    found = [(key, words) for key, number in days.items() if 0 < number < LEAST_DAYS_KEPT]
    if kept.post_days and settings.polling.recheck_window.days >= kept.post_days:
        found.append(("retention.post_days", "is not longer than polling.recheck_window"))
    if max(dataclasses.astuple(kept)) > LONGEST_DAYS_KEPT:
        found.append(("retention", f"holds more than {LONGEST_DAYS_KEPT} days; 0 keeps for good"))
    return found


def _database_mistake(url: str) -> str:
    """Return what is wrong with a database's address; it may hold a password, so it is not repeated."""
    if re.fullmatch(r"sqlite:///[^?]*[^/?:]", url) and not url.endswith(":memory:"):
        return ""
    if re.match(r"postgres(ql)?(\+psycopg)?://", url):
        try:
            urlsplit(url).port  # noqa: B018 (reading it is what checks it)
        except ValueError:
            return "has a port that is no number from 0 to 65535"
        return ""
    return 'expected "sqlite:///var/pantau.db" or "postgresql://user@host/pantau"'
