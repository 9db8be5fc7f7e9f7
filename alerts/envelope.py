"""What every mail has in common, out of the settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from alerts import smime
from monitor.settings import Settings


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
