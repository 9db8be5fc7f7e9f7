"""Signed, expiring links: who holds one may look at one alert and answer it, as the person it was mailed to. Pure.

A link is a capability, so it is never logged. It holds for one round of the alert: a reopened one gets new mails.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadData, Signer, TimestampSigner, URLSafeTimedSerializer

from monitor.model import Alert

PATH = "/a/"
LINK_SALT = "pantau.answer.link"
FORM_SALT = "pantau.answer.form"
TOKEN_LIMIT = 1000
AFTER_AN_ADDRESS = ".,;:!?)>]\"' "  # what mail programs take for the end of an address in plain text


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link stands for: this person may answer this alert, in this round of it."""

    alert_id: int
    round: int
    recipient: str


class ForgedLink(Exception):
    """Not a link of ours, or not whole."""


class ExpiredLink(Exception):
    """A link of ours that is too old. `link` is what it stood for."""

    def __init__(self, link: Link) -> None:
        super().__init__("the link is too old")
        self.link = link


class _Clocked(TimestampSigner):
    """Stamps with the time it is given: the service's clock is not always the machine's."""

    def __init__(self, *arguments: Any, at: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._at = at

    def get_timestamp(self) -> int:
        return self._at


def answer_url(public_url: str, key: str, alert: Alert, recipient: str, now: datetime) -> str:
    """Return the address at which `recipient` answers the alert; empty where no address is seen from outside."""
    if not public_url or not key:
        return ""
    link = Link(alert_id=alert.id, round=alert.round, recipient=recipient)
    return f"{public_url.rstrip('/')}{PATH}{sign(link, key, now=now)}"


def sign(link: Link, key: str, *, now: datetime) -> str:
    return str(_serializer(key, now).dumps([link.alert_id, link.round, link.recipient]))


def read(token: str, key: str, *, now: datetime, lifetime: timedelta) -> Link:
    """Return what a token stands for. Raises ForgedLink and ExpiredLink.

    A token "from the future" was signed before the clock stepped back: it holds. `loads` would refuse it, so the age is
    judged here.
    """
    if not key or len(token) > TOKEN_LIMIT or not token.isascii():
        raise ForgedLink
    try:
        content, stamped = _serializer(key, now).loads(token, return_timestamp=True)
    except BadData:
        raise ForgedLink from None
    match content:
        case [int(alert_id), int(round_), str(recipient)]:
            link = Link(alert_id=alert_id, round=round_, recipient=recipient)
        case _:
            raise ForgedLink
    if now - stamped.astimezone(UTC) > lifetime:
        raise ExpiredLink(link)
    return link


def whole(token: str) -> str:
    """Return a token without what a mail program took for a part of it: the full stop of the sentence it stood in."""
    return token.rstrip(AFTER_AN_ADDRESS)


def form_proof(token: str, seen: str, key: str) -> str:
    """Return what shows that a form was written by us, for this token and for the standing its reader saw."""
    return _form_signer(key).get_signature(f"{token}\n{seen}").decode()


def is_form_proof(proof: str, token: str, seen: str, key: str) -> bool:
    return _form_signer(key).verify_signature(f"{token}\n{seen}".encode(), proof.encode())


def _serializer(key: str, now: datetime) -> URLSafeTimedSerializer:
    options = {"digest_method": hashlib.sha256, "at": int(now.timestamp())}
    return URLSafeTimedSerializer(key, salt=LINK_SALT, signer=_Clocked, signer_kwargs=options)


def _form_signer(key: str) -> Signer:
    return Signer(key, salt=FORM_SALT, digest_method=hashlib.sha256)
