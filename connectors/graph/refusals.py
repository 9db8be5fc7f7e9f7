"""How the Graph API says no, and what that is for us: `verdict`, by tables. Pure.

Source of the codes: the Graph API's reference on error handling.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime

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
from connectors.payload import number, string


class PageLimited(RateLimited):
    """One page's own budget is used up; the other pages go on."""

    whole_platform = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The Graph API's error, as far as it decides anything. `code` is None when the answer was not the API's."""

    status: int = 0
    code: int | None = None
    subcode: int | None = None
    transient: bool = False
    message: str = ""  # the server's words: they may hold a token, and are only searched, never shown
    trace: str = ""

    @property
    def label(self) -> str:
        code = f"code {self.code}" if self.code is not None else f"HTTP {self.status}"
        subcode = f"/{self.subcode}" if self.subcode is not None else ""
        return f"{code}{subcode}" + (f", trace {self.trace}" if self.trace else "")


WORDS = ("message", "error_user_title", "error_user_msg")


def parse_refusal(result: object, *, status: int) -> Refusal:
    """Read the error object of an answer; anything else is a refusal without a code."""
    error = result.get("error") if isinstance(result, Mapping) else None
    if not isinstance(error, Mapping):
        return Refusal(status=status)
    trace = string(error, "fbtrace_id")
    return Refusal(
        status=status,
        code=number(error.get("code")),
        subcode=number(error.get("error_subcode")),
        transient=error.get("is_transient") is True,
        message=" ".join(filter(None, (string(error, key) for key in WORDS))),
        trace=trace if re.fullmatch(r"[A-Za-z0-9_-]{8,24}", trace) else "",
    )


SUBCODES = {
    458: "the app was removed",
    459: "the user must sign in and clear a checkpoint",
    460: "the password was changed",
    463: "it has expired",
    464: "the user is not confirmed",
    467: "it was revoked",
    492: "its user no longer has a role on the page",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """In whose name the API speaks: one of Meta's platforms, and what its refusals mean to its administrator.

    The sentences of the tables name these fields in braces. `codes` are looked at before those that all share.
    """

    platform: str  # the section of the settings
    name: str
    holder: str  # what an account is there
    new_token: str  # how a new token is made, and what it is written into
    grant: str  # what lets the token read an account that it may not read
    codes: CodeTable = ()

    @property
    def changed(self) -> str:
        return f"the Graph API has changed, see connectors.{self.platform}.api_version"

    def drift(self, what: str) -> SchemaDrift:
        """Return the error for an answer that lacks what every version of the API has shown."""
        return SchemaDrift(f"{self.platform}: {what}; {self.changed}")

    def say(self, sentence: str) -> str:
        version = f"set connectors.{self.platform}.api_version to a version that {self.name} still serves"
        names = {"name": self.name, "platform": self.platform, "holder": self.holder}
        return sentence.format(new_token=self.new_token, grant=self.grant, version=version, **names)


# (codes, error, what it means and what to do); the first that holds the code counts. Source: the Graph API's reference.
CodeTable = tuple[tuple[Container[int | None], type[ConnectorError], str], ...]
FACEBOOK = Dialect(
    platform="facebook",
    name="Facebook",
    holder="page",
    new_token="make a new system-user token and put it into connectors.facebook.access_token_file",  # noqa: S106 (a remedy)
    grant="grant the app pages_read_engagement on the page, or Page Public Content Access",
)
NEW_TOKEN = FACEBOOK.new_token
RATE = "the budget of calls is used up; Pantau goes on when it is free again"
LATER = "{name} has a passing fault; it is tried again"
REFUSED = "the access token is refused; {new_token}"
FORBIDDEN = "the token may not read this; {grant}"
DRIFT = (
    "the Graph API did not understand the question; see connectors.{platform}.api_version and the changelog of the API"
)
RATE_CODES: CodeTable = (
    ((32, 80001), PageLimited, "the {holder}'s own " + RATE.removeprefix("the ")),
    ((4, 17, 341, 613), RateLimited, RATE),
    (range(80000, 80100), RateLimited, RATE),
)
CODES: CodeTable = (
    ((1, 2, 960, -1, -2), Unavailable, LATER),
    ((102, 104, 190), CredentialRefused, REFUSED),
    ((3, 10), PermissionMissing, FORBIDDEN),
    (range(200, 300), PermissionMissing, FORBIDDEN),
    ((368,), PermissionMissing, "{name} has blocked the app for now; look at its dashboard"),
    ((12, 2635), ConnectorMisconfigured, "this version of the API is retired; {version}"),
    ((21,), AccountNotFound, "the {holder} was merged into another one; register that one"),
    ((803,), AccountNotFound, "no {holder} has this name; correct the handle in the register"),
)
STATUSES: Mapping[int, tuple[type[ConnectorError], str]] = {
    401: (CredentialRefused, REFUSED),
    403: (PermissionMissing, FORBIDDEN),
    404: (AccountNotFound, "no such {holder} or post; correct the handle in the register"),
    410: (AccountNotFound, "the {holder} or post is gone; look at it, then correct the handle or retire the account"),
    429: (RateLimited, RATE),
}


def verdict(refusal: Refusal, dialect: Dialect = FACEBOOK) -> tuple[type[ConnectorError], str]:
    """Return which error a refusal is, and a sentence on what it means and what to do. Pure; the whole table."""
    error, sentence = _verdict(refusal, dialect.codes)
    why = SUBCODES.get(refusal.subcode or 0) if error is CredentialRefused else None
    said = dialect.say(sentence)
    return error, f"{said} ({why})" if why else said


class Refused(Exception):  # leaves no connector
    """What the API said itself, with what it is for the caller."""

    def __init__(self, refusal: Refusal, error: ConnectorError) -> None:
        super().__init__(refusal.label)
        self.refusal = refusal
        self.error = error


def refused(refusal: Refusal, dialect: Dialect = FACEBOOK, *, what: str, retry_at: datetime | None) -> Refused:
    """Return a refusal with its error. `retry_at` counts where the budget is used up."""
    kind, sentence = verdict(refusal, dialect)
    message = f"{what}: {sentence} ({refusal.label})"
    return Refused(refusal, kind(message, retry_at=retry_at if issubclass(kind, RateLimited) else None))


def _verdict(refusal: Refusal, own: CodeTable) -> tuple[type[ConnectorError], str]:
    if (told := _by_code(refusal, RATE_CODES) or _by_code(refusal, own)) is not None:
        return told
    if refusal.transient:
        return Unavailable, LATER
    if refusal.code in {100, 2500}:
        return _bad_parameter(refusal) if refusal.code == 100 else _bad_question(refusal)
    return _by_code(refusal, CODES) or _by_status(refusal)


def _by_code(refusal: Refusal, table: CodeTable) -> tuple[type[ConnectorError], str] | None:
    for codes, error, sentence in table:
        if refusal.code in codes:
            return error, sentence
    return None


def _by_status(refusal: Refusal) -> tuple[type[ConnectorError], str]:
    if refusal.status in STATUSES:
        return STATUSES[refusal.status]
    if refusal.status >= 500:
        return Unavailable, LATER
    if refusal.code is None and refusal.status < 400:
        return SchemaDrift, "the answer is not the Graph API's; something stands between, or base_url leads elsewhere"
    return SchemaDrift, DRIFT


def _bad_parameter(refusal: Refusal) -> tuple[type[ConnectorError], str]:
    """Sort code 100, which stands for a parameter, a permission and a thing that is gone."""
    words = refusal.message.lower()
    if "appsecret_proof" in words:
        secret = "connectors.{platform}.app_secret"  # noqa: S105 (a key's name)
        return ConnectorMisconfigured, f"the proof of the app's secret is refused; correct {secret}"
    if "public content access" in words or "pages_read" in words:
        return PermissionMissing, FORBIDDEN
    if refusal.subcode == 33 or any(part in words for part in ("does not exist", "not found", "not be found")):
        return (
            AccountNotFound,
            "no such {holder} or post, or it is hidden from the token; correct the handle in the register",
        )
    if "permission" in words:
        return PermissionMissing, FORBIDDEN
    unknown = re.search(r"nonexisting field \((\w{1,40})\)", refusal.message)
    return SchemaDrift, f"the field {unknown[1]} is gone; {{version}}" if unknown else DRIFT


def _bad_question(refusal: Refusal) -> tuple[type[ConnectorError], str]:
    words = refusal.message.lower()
    if "path components" in words:
        return ConnectorMisconfigured, "{name} knows no such version; {version}"
    if "access token" in words:
        return CredentialRefused, REFUSED
    return SchemaDrift, DRIFT


def lacks_way(refusal: Refusal) -> bool:
    """Say whether the server may not know the way that was asked, so that another way to the same thing is worth it."""
    if refusal.code is None:
        return refusal.status in {400, 404, 405, 410, 501}
    words = refusal.message.lower()
    told = ("nonexisting field", "unsupported get request", "unknown path components")
    return refusal.code in {100, 2500} and (refusal.subcode == 33 or any(part in words for part in told))


def is_too_much(refusal: Refusal) -> bool:
    return refusal.code == 1 and "reduce the amount of data" in refusal.message.lower()
