"""How TikTok says no, and what that is for us: by its codes, else by the status of its answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

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
from connectors.tiktok.posts import CHANGED

CONSENT = "ask the agency for its consent again, and write the new refresh token where the old one was"
LATER = "TikTok has a passing fault; it is tried again"
Verdict = tuple[type[ConnectorError], str]
CODES: Mapping[str, Verdict] = {
    "access_token_invalid": (CredentialRefused, f"the access token is refused; {CONSENT}"),
    "access_token_expired": (CredentialRefused, f"the access token has ended; {CONSENT}"),
    "scope_not_authorized": (PermissionMissing, "the consent lacks a scope; ask for user.info.basic and video.list"),
    "scope_permission_missed": (PermissionMissing, "the consent lacks a scope; ask for user.info.profile as well"),
    "rate_limit_exceeded": (RateLimited, "the budget of calls is used up; Pantau goes on when it is free again"),
    "internal_error": (Unavailable, LATER),
    "timeout": (Unavailable, LATER),
    "invalid_params": (SchemaDrift, f"TikTok did not understand the question; {CHANGED}"),
    "user_not_found": (AccountNotFound, "no such account; it may have been closed"),
}
# What the token's own address answers instead of an envelope (OAuth 2).
GRANT_CODES: Mapping[str, Verdict] = {
    "invalid_grant": (CredentialRefused, f"the refresh token is refused; {CONSENT}"),
    "access_denied": (CredentialRefused, f"the agency has withdrawn its consent; {CONSENT}"),
    "invalid_client": (ConnectorMisconfigured, "correct connectors.tiktok.client_key and client_secret"),
    "unauthorized_client": (ConnectorMisconfigured, "the app may not do this; look at it on developers.tiktok.com"),
    "invalid_request": (SchemaDrift, f"TikTok did not understand the question; {CHANGED}"),
}
STATUSES: Mapping[int, Verdict] = {
    401: CODES["access_token_invalid"],
    403: (PermissionMissing, "the token may not read this; see which scopes the app and the consent have"),
    404: (AccountNotFound, "TikTok knows nothing there; correct the handle in the register"),
    429: CODES["rate_limit_exceeded"],
}


class ConsentEnded(PermissionMissing):
    """One agency's consent is missing or over; the other accounts go on."""


def refusal(answer: requests.Response, told: Verdict | None, code: str, now: datetime, *, what: str) -> ConnectorError:
    kind, sentence = told or _by_status(answer.status_code)
    label = code if re.fullmatch(r"[a-z_]{2,40}", code) else f"HTTP {answer.status_code}"
    retry_at = http.retry_after(answer.headers, now) if issubclass(kind, RateLimited) else None
    return kind(f"{what}: {sentence} ({label})", retry_at=retry_at)


def _by_status(status: int) -> Verdict:
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:
        return Unavailable, LATER
    return SchemaDrift, f"TikTok did not understand the question; {CHANGED}"
