"""How X says no, and what that is for us: by the status of its answers, and by tweepy's exceptions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import requests
import tweepy

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

# Most particular first; a test fails when tweepy has an exception that is in no row.
FAILURES: Mapping[type[Exception], type[ConnectorError]] = {
    tweepy.Unauthorized: CredentialRefused,
    tweepy.Forbidden: PermissionMissing,
    tweepy.NotFound: AccountNotFound,
    tweepy.TooManyRequests: RateLimited,
    tweepy.BadRequest: SchemaDrift,
    tweepy.TwitterServerError: Unavailable,
    tweepy.HTTPException: Unavailable,  # any other status
    tweepy.TweepyException: SchemaDrift,  # not about an answer: tweepy and Pantau do not fit together
}
STATUSES: Mapping[int, tuple[type[ConnectorError], str]] = {
    401: (
        CredentialRefused,
        "X refuses the bearer token; make a new one and put it into connectors.x.bearer_token_file",
    ),
    402: (RateLimited, "the API's credits are used up; top up in X's developer console"),
    403: (PermissionMissing, "X does not let this app read this"),
    404: (AccountNotFound, "X knows nothing there; correct the handle in the register"),
    429: (RateLimited, "the rate limit is used up; Pantau goes on when it is free again"),
}
APP_REFUSED = ("client-not-enrolled", "unsupported-authentication", "client-forbidden", "usage-capped")


def from_tweepy(error: Exception, *, what: str, now: datetime) -> ConnectorError:
    """Return our error for one of tweepy's. Texts of the platform are left out: they repeat what was asked."""
    response = getattr(error, "response", None)
    if response is not None:
        return from_answer(response, what=what, now=now, kind=_kind_of(error))
    return _kind_of(error)(f"{what}: {type(error).__name__}")


def _kind_of(error: Exception) -> type[ConnectorError]:
    return next((FAILURES[known] for known in type(error).__mro__ if known in FAILURES), Unavailable)


def refuses_names(response: requests.Response | None) -> bool:
    """Say whether X refuses a question for the names in it, as it would once it has only the new ones."""
    if response is None or response.status_code != requests.codes.bad_request:
        return False
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        return False
    errors = payload.get("errors") if isinstance(payload, dict) else None
    told = [one.get("parameters") for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    return any({"expansions", "tweet.fields"} & one.keys() for one in told if isinstance(one, dict))


def from_answer(
    response: requests.Response | None, *, what: str, now: datetime, kind: type[ConnectorError] = SchemaDrift
) -> ConnectorError:
    """Return our error for an answer that is no success, by its status where that says all, else as `kind`."""
    status = response.status_code if response is not None else 0
    if response is not None and status == requests.codes.forbidden and any(m in response.text for m in APP_REFUSED):
        return ConnectorMisconfigured(f"{what}: X refuses this app (HTTP 403); check its plan and project")
    known, sentence = STATUSES.get(status, (Unavailable if status >= 500 else kind, "X answered"))
    headers, retry_at = response.headers if response is not None else {}, None
    if known is RateLimited:
        retry_at = http.reset(headers, "x-rate-limit-reset", now)
    elif known is Unavailable:
        retry_at = http.retry_after(headers, now)
    return known(f"{what}: {sentence} (HTTP {status or 'unknown'})", retry_at=retry_at)
