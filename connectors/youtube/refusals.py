"""How Google's APIs say no, and what that is for us: by their reasons, else by the status of their answers. Pure.

Sources: the YouTube Data API's reference on errors and quota; google.rpc.ErrorInfo for what newer front ends answer.
"""

from __future__ import annotations

from collections.abc import Mapping

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

NEW_KEY = "make a new API key in the Google Cloud console and put it into connectors.youtube.api_key_file"
ENABLE = "enable the YouTube Data API v3 in the Google Cloud project that the key belongs to"
RESTRICTED = "the key's restrictions do not admit Pantau; admit this server's address and the YouTube Data API v3"
DAY_USED = "the day's units are used up; they are given anew at midnight Pacific time"
PACE = "too many calls at once; Pantau goes on when there is room again"
LATER = "Google has a passing fault; it is tried again"
CLOSED = "YouTube does not show it: closed, suspended or private"
DRIFT = "the API did not understand the question; see connectors.youtube.base_url and the API's revision history"
Verdict = tuple[type[ConnectorError], str]
DAY_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded"})
REASONS: Mapping[str, Verdict] = {
    **dict.fromkeys(DAY_REASONS, (RateLimited, DAY_USED)),
    **dict.fromkeys(["rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"], (RateLimited, PACE)),
    **dict.fromkeys(
        ["keyInvalid", "keyExpired", "API_KEY_INVALID", "API_KEY_EXPIRED", "authError", "required"],
        (CredentialRefused, f"the API key is refused; {NEW_KEY}"),
    ),
    "dailyLimitExceededUnreg": (CredentialRefused, f"no API key arrived; {NEW_KEY}"),
    **dict.fromkeys(["accessNotConfigured", "SERVICE_DISABLED"], (ConnectorMisconfigured, ENABLE)),
    **dict.fromkeys(
        [
            "ipRefererBlocked",
            "API_KEY_SERVICE_BLOCKED",
            "API_KEY_HTTP_REFERRER_BLOCKED",
            "API_KEY_IP_ADDRESS_BLOCKED",
            "API_KEY_ANDROID_APP_BLOCKED",
            "API_KEY_IOS_APP_BLOCKED",
        ],
        (ConnectorMisconfigured, RESTRICTED),
    ),
    **dict.fromkeys(
        ["playlistNotFound", "channelNotFound", "videoNotFound", "notFound"],
        (AccountNotFound, "YouTube knows nothing there; correct the channel in the register"),
    ),
    **dict.fromkeys(
        ["channelClosed", "channelSuspended", "channelForbidden", "playlistItemsNotAccessible", "forbidden"],
        (PermissionMissing, CLOSED),
    ),
    **dict.fromkeys(
        ["backendError", "internalError", "SERVICE_UNAVAILABLE", "processingFailure"], (Unavailable, LATER)
    ),
    "invalidPageToken": (Unavailable, "the list changed while it was read; it is read again"),
}
STATUSES: Mapping[int, Verdict] = {
    401: REASONS["keyInvalid"],
    403: REASONS["forbidden"],
    404: REASONS["notFound"],
    429: REASONS["rateLimitExceeded"],
}


def reasons_of(payload: object) -> tuple[str, ...]:
    """Return the reasons that an answer's error names, the most particular first; none when it is no error of Google's.

    `details` tell an invalid key from a bad request, which `errors` do not.
    """
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if not isinstance(error, Mapping):
        return ()
    listed = [part for key in ("details", "errors") for part in _list(error.get(key))]
    return tuple(str(part["reason"])[:60] for part in listed if isinstance(part, Mapping) and part.get("reason"))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def verdict(reasons: tuple[str, ...], status: int) -> Verdict:
    """Return which error an answer is, and a sentence on what it means and what to do. Pure; the whole table."""
    for reason in reasons:
        if reason in REASONS:
            return REASONS[reason]
    if status in STATUSES:
        return STATUSES[status]
    return (Unavailable, LATER) if status >= 500 else (SchemaDrift, DRIFT)
