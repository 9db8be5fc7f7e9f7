"""How LinkedIn says no, and what that is for us: by its codes, else by the status of its answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import requests

from connectors import http
from connectors.base import (
    AccountNotFound,
    ConnectorError,
    ConnectorMisconfigured,
    CredentialRefused,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
    Unavailable,
)
from connectors.linkedin.posts import CHANGED
from connectors.payload import string

NEW_TOKEN = (
    "let the pages' administrator consent again, and put the new token into connectors.linkedin.access_token_file"  # noqa: S105 (a remedy)
)
ROLE = (
    "the token's member must be an administrator of the page, and the app needs r_organization_social and "
    "rw_organization_admin (Community Management API)"
)
VERSION = "set connectors.linkedin.version to a month that LinkedIn still serves, such as that of half a year ago"
RATE = "the budget of calls is used up; Pantau goes on when it is free again"
LATER = "LinkedIn has a passing fault; it is tried again"
Verdict = tuple[type[ConnectorError], str]
CODES: Mapping[str, Verdict] = {
    "INVALID_ACCESS_TOKEN": (CredentialRefused, f"the access token is refused; {NEW_TOKEN}"),
    "EXPIRED_ACCESS_TOKEN": (CredentialRefused, f"the access token has ended (they last 60 days); {NEW_TOKEN}"),
    "REVOKED_ACCESS_TOKEN": (CredentialRefused, f"the consent was withdrawn; {NEW_TOKEN}"),
    "EMPTY_ACCESS_TOKEN": (CredentialRefused, f"no access token arrived; {NEW_TOKEN}"),
    "ACCESS_DENIED": (PermissionMissing, f"the token may not read this; {ROLE}"),
    "NONEXISTENT_VERSION": (ConnectorMisconfigured, f"LinkedIn serves this version no more; {VERSION}"),
    "VERSION_MISSING": (ConnectorMisconfigured, f"LinkedIn wants a version; {VERSION}"),
    "INVALID_VERSION": (ConnectorMisconfigured, f"LinkedIn knows no such version; {VERSION}"),
    "TOO_MANY_REQUESTS": (RateLimited, RATE),
    "RESOURCE_NOT_FOUND": (AccountNotFound, "no such page or post; correct the handle in the register"),
}
STATUSES: Mapping[int, Verdict] = {
    401: CODES["INVALID_ACCESS_TOKEN"],
    403: CODES["ACCESS_DENIED"],
    404: CODES["RESOURCE_NOT_FOUND"],
    426: CODES["NONEXISTENT_VERSION"],
    429: (RateLimited, RATE),
    999: (Unavailable, "LinkedIn turns this server away for now; it is tried again"),
}


class Refused(Exception):  # leaves no connector
    """What LinkedIn said against it, with what it is for the caller."""

    def __init__(self, status: int, code: str, error: ConnectorError) -> None:
        super().__init__(code or str(status))
        self.status = status
        self.code = code
        self.error = error


def refusal(answer: requests.Response, now: datetime, *, what: str) -> Refused:
    try:
        content = http.json_body(answer, what=what)
    except (SchemaDrift, Unavailable):
        content = None
    told = content if isinstance(content, Mapping) else {}
    code, status = string(told, "code"), answer.status_code
    kind, sentence = CODES.get(code) or _by_status(status)
    retry_at = None
    if issubclass(kind, RateLimited):
        retry_at = http.retry_after(answer.headers, now) or _end_of_day(string(told, "message"), now)
    label = code if re.fullmatch(r"[A-Z_]{3,40}", code) else f"HTTP {status}"
    known = code if re.fullmatch(r"[A-Z_]{3,40}", code) else ""
    return Refused(status, known, kind(f"{what}: {sentence} ({label})", retry_at=retry_at))


def _by_status(status: int) -> Verdict:
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:
        return Unavailable, LATER
    return SchemaDrift, f"LinkedIn did not understand the question; {CHANGED}"


def _end_of_day(message: str, now: datetime) -> datetime | None:
    """Return midnight UTC, where LinkedIn says that a day's calls are used up."""
    if not re.search(r"\bday\b", message, re.IGNORECASE):
        return None
    return (now.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
