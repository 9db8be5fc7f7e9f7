"""How servers like Mastodon say no, and how much of their budget is left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import requests

from connectors import http
from connectors.base import (
    AccountNotFound,
    Allowance,
    ConnectorError,
    CredentialRefused,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
)
from connectors.mastodon.posts import CHANGED

RESET = "X-RateLimit-Reset"
SUSPENDED = "the server has suspended the account, and shows none of its posts"


class ServerLimited(RateLimited):
    """One server's own limit; accounts on other servers go on."""

    whole_platform = False


class AccountHidden(PermissionMissing):
    """The server knows the account and shows its posts to nobody."""


SIGNED_IN = (
    "the server shows this to signed-in readers only; read it through another server (connectors.mastodon.base_url), "
    "or with an access_token of an account there"
)
STATUSES: Mapping[int, tuple[type[ConnectorError], str]] = {
    400: (SchemaDrift, f"the server does not understand the question; {CHANGED}"),
    401: (PermissionMissing, SIGNED_IN),
    403: (PermissionMissing, SIGNED_IN),
    406: (SchemaDrift, f"the server does not understand the question; {CHANGED}"),
    410: (AccountNotFound, "was deleted by its owner or its server; retire it in the register"),
    422: (SchemaDrift, f"the server does not understand the question; {CHANGED}"),
}
NEW_TOKEN = "the token is refused; make another one in the server's settings (Development), with the scope read"  # noqa: S105


def refusal(response: requests.Response, *, what: str, now: datetime, alone: bool, token: bool) -> ConnectorError:
    """Return our error for an answer that is no success. `alone`: all accounts are read from this one server."""
    status = response.status_code
    if status == requests.codes.too_many_requests:
        kind = RateLimited if alone else ServerLimited
        return kind(
            f"{what}: the server asks for patience (HTTP {status})", retry_at=http.reset(response.headers, RESET, now)
        )
    if status == requests.codes.unauthorized and token:
        return CredentialRefused(f"{what}: {NEW_TOKEN} (HTTP {status})")
    known = STATUSES.get(status)
    if known is not None:
        return known[0](f"{what}: {known[1]} (HTTP {status})")
    return http.refusal(response, what=what, now=now) or SchemaDrift(f"{what}: HTTP {status} is no answer; {CHANGED}")


def parse_allowance(headers: Mapping[str, str], server: str, now: datetime) -> Allowance | None:
    """Read X-RateLimit-*: 300 calls in five minutes on most servers. None where they do not say."""
    told = [headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining")]
    resets_at = http.reset(headers, RESET, now)
    if resets_at is None or not all(one.isascii() and one.isdigit() and len(one) < 10 for one in told):
        return None
    return Allowance(name=f"calls to {server}", limit=float(told[0]), remaining=float(told[1]), resets_at=resets_at)
