"""The settings that a person wants to verify, as `pantau check` prints them."""

from __future__ import annotations

import re
from email.utils import parseaddr

from monitor.settings import Settings
from monitor.settings.values import shown_duration


def summary(settings: Settings) -> list[tuple[str, str]]:
    """Return the settings a person wants to verify, resolved; secrets only as "set" or "not set"."""
    mail = settings.mail
    where = str(mail.folder) if mail.transport == "folder" else f"{mail.host}:{mail.port} ({mail.security})"
    database = re.sub(r"//([^:/@]+):[^@]*@", r"//\1:…@", settings.database.url)
    return [
        ("configuration", str(settings.source)),
        ("register", str(settings.register_folder)),
        ("rules", str(settings.rules_folder)),
        ("database.url", database),
        ("mail", f"{mail.transport}: {where}"),
        ("mail.sender", mail.sender),
        ("mail.password", "set" if mail.password else "not set"),
        ("digest.recipients", ", ".join(settings.digest.recipients) or "nobody"),
        ("operators.recipients", ", ".join(settings.operators.recipients) or "nobody"),
        ("canary", _canary_line(settings)),
        ("deadman.url", "set" if settings.deadman.url else "not set"),
        (
            "polling",
            f"{shown_duration(settings.polling.min_interval)} to {shown_duration(settings.polling.max_interval)}",
        ),
        ("web.listen", settings.web.listen),
        ("web.public_url", settings.web.public_url or "not set: mails carry no link to answer by"),
        ("sentry.dsn", "set" if settings.sentry.dsn else "not set"),
        *((key, str(path)) for key, path in sorted(settings.files.items())),
    ]


def _canary_line(settings: Settings) -> str:
    canary = settings.canary
    to = canary.recipient or parseaddr(settings.mail.sender)[1]
    return f"every day at {canary.at:%H:%M} to {to}" if canary.enabled else "off"
