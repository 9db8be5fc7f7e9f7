"""How Google's APIs say no, and how many of a day's units are spent.

Sources: the YouTube Data API's reference on errors and quota; google.rpc.ErrorInfo for what newer front ends answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.base import (
    AccountNotFound,
    Allowance,
    ConnectorError,
    ConnectorMisconfigured,
    CredentialRefused,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
    Unavailable,
)

PACIFIC = ZoneInfo("America/Los_Angeles")  # where Google's day ends
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


def next_day(now: datetime) -> datetime:
    """Return when the units are given anew: the next midnight of Pacific time."""
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), PACIFIC).astimezone(UTC)


class Units:
    """The units of a project's day, as counted here: Google tells them in no header. Shared by a connector's threads.

    The count begins anew with the process; what others spend of the same project shows by Google's refusal alone.
    """

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._day: date | None = None
        self._used = 0
        self._seen_at: datetime | None = None

    def spend(self, now: datetime, *, what: str) -> None:
        """Count a call of one unit. Raises RateLimited before one that the day has no room for."""
        with self._lock:
            self._turn(now)
            if self._used >= self._limit:
                raise RateLimited(f"{what}: {DAY_USED} ({self._limit} counted)", retry_at=next_day(now))
            self._used += 1

    def are_gone(self, now: datetime) -> None:
        """Take Google's word that nothing is left today."""
        with self._lock:
            self._turn(now)
            self._used = self._limit

    def allowances(self) -> tuple[Allowance, ...]:
        with self._lock:
            if self._seen_at is None:
                return ()
            left, at = self._limit - self._used, next_day(self._seen_at)
        return (
            Allowance(name="units a day", limit=self._limit, remaining=left, resets_at=at, window=timedelta(days=1)),
        )

    def _turn(self, now: datetime) -> None:
        self._seen_at = now
        today = now.astimezone(PACIFIC).date()
        if today != self._day:
            self._day, self._used = today, 0
