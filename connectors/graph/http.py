"""The Graph API asked over our own session, for those of Meta's platforms that have no SDK here.

The token travels in the query string: no message here repeats an address, nor anything a server said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote

import requests

from connectors import http
from connectors.base import (
    Allowance,
    ConnectorMisconfigured,
    CredentialRefused,
    RateLimited,
    SchemaDrift,
    Unavailable,
)
from connectors.configured import GRAPH_VERSION
from connectors.graph.answers import UNTOLD, describe_token, end_of_token
from connectors.graph.budget import Budget, retry_at
from connectors.graph.refusals import Dialect, Refusal, Refused, is_too_much, lacks_way, parse_refusal, refused
from connectors.graph.settings import GraphSettings
from connectors.owners import must_answer
from connectors.payload import identifier
from connectors.portions import portions
from connectors.remembered import Belief
from monitor.model import Json
from monitor.settings import Network

IDS_PER_CALL = 50


class GraphHttp:
    """Asks one of Meta's platforms with one token. Thread-safe: session and budget are all that is shared."""

    gone: ClassVar[Json] = {}  # stands for an object that is not there any more

    def __init__(self, dialect: Dialect, settings: GraphSettings, network: Network) -> None:
        self.dialect = dialect
        self.token = settings.access_token.reveal().strip()
        self._version = settings.api_version.strip()
        self._base_url = settings.base_url.strip().rstrip("/")
        self._session = http.open_session(base_url=self._base_url, network=network, credential=True)
        self._credential = _credential(self.token, settings.app_secret.reveal().strip())
        self._budget = Budget(dialect)
        self._singly = Belief()  # the server does not know how to read many objects in one call

    def ask(self, path: str, asked: Mapping[str, str], now: datetime, *, what: str, holder: str = "") -> Json:
        """Make one call and return the object that was answered. Raises ConnectorError."""
        try:
            return self.attempt(path, asked, now, what=what, holder=holder)
        except Refused as refused:
            raise refused.error from None

    def attempt(self, path: str, asked: Mapping[str, str], now: datetime, *, what: str, holder: str = "") -> Json:
        """As `ask`, but what the API says itself against it is Refused."""
        url = f"{self._base_url}/{self._usable_version()}/{path}"
        self._budget.admit(holder, now)
        try:
            answer = self._session.get(url, params={**asked, **self._credential})
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        self._budget.note(answer.headers, holder, now)
        return self._read(answer, now, what=what)

    def expires_at(self) -> datetime | None:
        """Return when the token ends; None: it has no end, or the API does not tell. Raises ConnectorError."""
        try:
            return end_of_token(self._debug_token(datetime.now(UTC)))
        except UNTOLD:
            return None

    def describe_token(self, now: datetime) -> str:
        """Return a sentence on the token, which an earlier call has proved. Raises ConnectorError."""
        try:
            return describe_token(self._debug_token(now), now, self.dialect)
        except UNTOLD:
            return f"{self.dialect.platform}: the token is accepted; {self.dialect.name} does not say until when"

    def _debug_token(self, now: datetime) -> Json:
        return self.ask("debug_token", {"input_token": self.token}, now, what=f"{self.dialect.platform}: the token")

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what the last answers said of the app's budgets."""
        return self._budget.allowances()

    def objects(self, ids: Sequence[str], fields: str, now: datetime, *, what: str) -> Iterator[tuple[str, Json]]:
        """Yield objects by id, 50 a call; those that are gone as `gone`, and nothing for those left undecided.

        One bad id spoils a call: a call that is refused is halved until the bad ones are alone. Raises ConnectorError.
        """
        for part in portions(ids, IDS_PER_CALL):
            yield from self._objects(part, fields, now, what=what)

    def at_once(self, ids: Sequence[str], fields: str, now: datetime, *, what: str) -> Mapping[str, Json] | None:
        """Return objects by id in one call for each 50; None where one was refused, which tells nothing of any."""
        found: dict[str, Json] = {}
        for part in portions(ids, IDS_PER_CALL):
            some = None if self._singly.holds(now) else self._many(part, fields, now, what=what)
            if some is None:
                return None
            found |= some
        return found

    def _objects(self, ids: Sequence[str], fields: str, now: datetime, *, what: str) -> Iterator[tuple[str, Json]]:
        if len(ids) == 1 or self._singly.holds(now):
            for one in ids:
                item = self._alone(one, fields, now, what=what)
                if item is not None:
                    yield one, item
            return
        found = self._many(ids, fields, now, what=what)
        if found is None and not self._singly.holds(now):
            half = len(ids) // 2
            yield from self._objects(ids[:half], fields, now, what=what)
            yield from self._objects(ids[half:], fields, now, what=what)
            return
        yield from (found or {}).items()
        for one in ids:  # an answer may leave out what it does not show
            if found is None or one not in found:
                yield from self._objects([one], fields, now, what=what)

    def _many(self, ids: Sequence[str], fields: str, now: datetime, *, what: str) -> Mapping[str, Json] | None:
        """Read objects in one call; None where the call as a whole was refused."""
        try:
            found = self.attempt("", {"ids": ",".join(ids), "fields": fields}, now, what=what)
        except Refused as refused:
            self._pass_on(refused)
            if refused.refusal.code is None:
                self._singly.take(now)
            return None
        except SchemaDrift:  # a page of HTML where the real API has an answer: this server reads them one by one
            self._singly.take(now)
            return None
        items = {one: found.get(one) for one in ids}
        shown = {one: item for one, item in items.items() if isinstance(item, Mapping) and item.get("id")}
        for one, item in shown.items():
            must_answer(what, [one], [identifier(item)])
        return shown

    def _alone(self, one: str, fields: str, now: datetime, *, what: str) -> Json | None:
        """Read one object; None when the answer does not decide whether it is there."""
        try:
            item = self.attempt(quote(one, safe=""), {"fields": fields}, now, what=what)
        except Refused as refused:
            if refused.refusal.code is not None and is_gone(refused.refusal):
                return self.gone
            self._pass_on(refused)
            return None
        must_answer(what, [one], [identifier(item)])
        return item if item.get("id") else None

    def _pass_on(self, refused: Refused) -> None:
        """Raise what would befall every other call as well."""
        passing = isinstance(refused.error, RateLimited | CredentialRefused | Unavailable | ConnectorMisconfigured)
        if passing and not (is_too_much(refused.refusal) or lacks_way(refused.refusal)):
            raise refused.error from None

    def _usable_version(self) -> str:
        section = f"connectors.{self.dialect.platform}"
        if not self.token:
            raise ConnectorMisconfigured(f"{section}.access_token: is not set; {self.dialect.new_token}")
        if not re.fullmatch(GRAPH_VERSION, self._version):
            raise ConnectorMisconfigured(f'{section}.api_version: is not a version such as "v26.0"')
        return f"v{self._version.removeprefix('v')}"

    def _read(self, answer: requests.Response, now: datetime, *, what: str) -> Json:
        if answer.status_code >= 400:
            raise self._refused(answer, _json_or_none(answer), now, what=what)
        content = http.json_body(answer, what=what)
        if not isinstance(content, Mapping):
            raise SchemaDrift(f"{what}: the answer is no object; base_url may lead elsewhere")
        if isinstance(content.get("error"), Mapping):
            raise self._refused(answer, content, now, what=what)
        return content

    def _refused(self, answer: requests.Response, result: object, now: datetime, *, what: str) -> Refused:
        refusal = parse_refusal(result, status=answer.status_code)
        return refused(refusal, self.dialect, what=what, retry_at=retry_at(answer.headers, now))


def is_gone(refusal: Refusal) -> bool:
    """Say whether the API tells that an object is not there; a lost permission can look the same."""
    words = refusal.message.lower()
    return refusal.code == 803 or (refusal.code == 100 and (refusal.subcode == 33 or "does not exist" in words))


def _credential(token: str, app_secret: str) -> Mapping[str, str]:
    if not app_secret:
        return {"access_token": token}
    proof = hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    return {"access_token": token, "appsecret_proof": proof}


def _json_or_none(answer: requests.Response) -> object:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
