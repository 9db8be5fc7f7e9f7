"""How the AT Protocol's servers say no, and how much of their budget is left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import requests

from connectors import http
from connectors.base import (
    AccountNotFound,
    Allowance,
    ConnectorError,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
    Unavailable,
)
from connectors.bluesky.posts import CHANGED
from connectors.payload import string

RESET = "RateLimit-Reset"
WINDOW = timedelta(minutes=5)  # of the budget of calls


class AccountHidden(PermissionMissing):
    """The account is there, and its posts are shown to nobody: suspended, taken down, deactivated."""


class NoAppView(Exception):  # leaves no connector
    """The server does not know app.bsky.*, or answers it to its own users only: it is a plain PDS."""


class RecordNotFound(Exception):  # leaves no connector
    pass


WRITE = "write the handle (a domain name such as jpd.gov.my) or the DID"
SUSPENDED = "the account is suspended by Bluesky or its host; its posts are shown to nobody"
DEACTIVATED = "its owner has deactivated the account; its posts are shown to nobody"
# What an error's name decides, whatever the status.
ERRORS: Mapping[str, tuple[type[ConnectorError], str]] = {
    "AccountTakedown": (AccountHidden, SUSPENDED),
    "RepoTakendown": (AccountHidden, SUSPENDED),
    "AccountSuspended": (AccountHidden, SUSPENDED),
    "RepoSuspended": (AccountHidden, SUSPENDED),
    "AccountDeactivated": (AccountHidden, DEACTIVATED),
    "RepoDeactivated": (AccountHidden, DEACTIVATED),
    "RepoDesynchronized": (Unavailable, "the host is copying the account's posts; it is tried again"),
    "RepoNotFound": (AccountNotFound, f"this server holds no such account; {WRITE}, and look at base_url"),
    "HandleNotFound": (AccountNotFound, f"no account has this handle; {WRITE}"),
    "ProfileNotFound": (AccountNotFound, f"no such account; {WRITE}"),
    "ActorNotFound": (AccountNotFound, f"no such account; {WRITE}"),
    "BlockedActor": (PermissionMissing, "the account is blocked here"),
    "BlockedByActor": (PermissionMissing, "the account has blocked this reader"),
    "RateLimitExceeded": (RateLimited, "the server asks for patience"),
    "UpstreamFailure": (Unavailable, "the server could not reach the account's host; it is tried again"),
    "UpstreamTimeout": (Unavailable, "the server could not reach the account's host in time; it is tried again"),
}
# Servers before 2025 name none of these, and say it in words. Searched in small letters, never shown.
WORDS: Mapping[str, str] = {
    "profile not found": "ProfileNotFound",
    "could not find repo": "RepoNotFound",
    "unable to resolve handle": "HandleNotFound",
    "could not find user": "RepoNotFound",
    "actor must be a valid": "ProfileNotFound",
}
NO_APPVIEW = frozenset({"MethodNotImplemented", "XRPCNotSupported", "AuthMissing", "AuthenticationRequired"})
NO_SERVICE = "no service configured"  # as a PDS says of every method it has nobody to ask about
NO_RECORD = "could not locate record"


def refusal(response: requests.Response, *, what: str, now: datetime) -> ConnectorError:
    """Return our error for an answer that is no success: by the error's name, else by its words, else by its status."""
    name, words = said(response)
    known = ERRORS.get(name) or next((ERRORS[error] for told, error in WORDS.items() if told in words), None)
    if known is None:
        return _by_status(response, what=what, now=now)
    kind, sentence = known
    retry_at = http.reset(response.headers, RESET, now) if issubclass(kind, RateLimited) else None
    return kind(f"{what}: {sentence}", retry_at=retry_at)


def _by_status(response: requests.Response, *, what: str, now: datetime) -> ConnectorError:
    status = response.status_code
    if status == requests.codes.too_many_requests:
        message = f"{what}: the server asks for patience (HTTP {status})"
        return RateLimited(message, retry_at=http.reset(response.headers, RESET, now))
    if status == requests.codes.bad_request:
        return SchemaDrift(f"{what}: the server does not understand the question (HTTP 400); {CHANGED}")
    return http.refusal(response, what=what, now=now) or SchemaDrift(f"{what}: HTTP {status} is no answer; {CHANGED}")


def said(response: requests.Response) -> tuple[str, str]:
    """Return the name and the words of an error; empty where the answer is none of the protocol's."""
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        return "", ""
    return (string(payload, "error"), string(payload, "message").lower()) if isinstance(payload, Mapping) else ("", "")


def parse_allowance(headers: Mapping[str, str], now: datetime) -> Allowance | None:
    """Read RateLimit-*: 3,000 calls in five minutes at Bluesky's own servers. None where they do not say."""
    told = [headers.get(f"RateLimit-{name}", "") for name in ("Limit", "Remaining")]
    resets_at = http.reset(headers, RESET, now)
    if resets_at is None or not all(one.isascii() and one.isdigit() and len(one) < 10 for one in told):
        return None
    return Allowance(name="calls", limit=float(told[0]), remaining=float(told[1]), resets_at=resets_at, window=WINDOW)
