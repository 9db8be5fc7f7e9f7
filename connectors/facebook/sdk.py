"""The Graph API asked through facebook-sdk 3.1.0, of which this is the only user.

The SDK is unmaintained since 2018: it knows no version after 3.1, no proof of the app's secret, no headers and no
cursors, and it lets a network's errors through raw. It is built anew for each call, around a recorder that keeps the
answer, so that what it drops (headers, status) is still at hand. The token travels in the query string: no error here
keeps its cause, which would hold the address, nor repeats anything a server said.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import facebook
import requests

from connectors import http
from connectors.base import (
    ConnectorMisconfigured,
    CredentialRefused,
    RateLimited,
    SchemaDrift,
    Unavailable,
)
from connectors.configured import GRAPH_VERSION
from connectors.graph.budget import Budget, retry_at
from connectors.graph.refusals import NEW_TOKEN, Refused, is_too_much, lacks_way, parse_refusal, refused
from connectors.graph.settings import GraphSettings
from connectors.remembered import Belief
from monitor.model import Json
from monitor.settings import Network

ORIGIN = "https://graph.facebook.com"  # what the SDK writes into every address
IDS_PER_CALL = 50
TRIES_WITHOUT = 3  # calls for many objects that are asked again without the bad one
TOKEN = "facebook: the token"  # noqa: S105 (what is asked for)

Question = Callable[[Any], Any]  # takes the SDK's GraphAPI, returns its answer


class Sdk:
    """Asks with one token. Thread-safe: the session, the budget and a belief are all that is shared."""

    def __init__(self, settings: GraphSettings, network: Network) -> None:
        self._token = settings.access_token.reveal().strip()
        self._version = settings.api_version.strip()
        self._timeout = network.timeout.total_seconds()
        self._session = _open_session(self._token, settings.app_secret.reveal().strip(), settings.base_url, network)
        self.budget = Budget()
        self.singly = Belief()  # the server does not know how to read many objects in one call

    def ask(self, question: Question, now: datetime, *, what: str, page: str = "") -> Any:
        """Make one call. Raises ConnectorError."""
        try:
            return self.attempt(question, now, what=what, page=page)
        except Refused as error:
            raise error.error from None

    def attempt(self, question: Question, now: datetime, *, what: str, page: str = "") -> Any:
        """Make one call. Raises Refused for what the API says itself, ConnectorError for everything else."""
        self.budget.admit(page, now)
        recorder = _Recorder(self._session)
        graph = self._graph(recorder)
        try:
            result = question(graph)
        except facebook.GraphAPIError as error:
            raise _refused(recorder.answer, error.result, now, what=what) from None
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise _broken(recorder.answer, error, now, what=what) from None
        finally:
            if recorder.answer is not None:
                self.budget.note(recorder.answer.headers, page, now)
        if recorder.answer is not None and recorder.answer.status_code >= 400:
            raise _refused(recorder.answer, result, now, what=what)
        return result if recorder.answer is None else http.without_halves(result, http.utf8(recorder.answer))

    def objects(
        self, ids: Sequence[str], fields: str, now: datetime, *, what: str, tries: int = TRIES_WITHOUT
    ) -> Mapping[str, Json]:
        """Read objects by id in one call. What is not in the answer is to be read alone: one bad id spoils the call.

        An answer that names the bad one is asked again without it. Raises ConnectorError.
        """
        if self.singly.holds(now):
            return {}
        try:
            found = self.attempt(lambda graph: graph.get_objects(ids, fields=fields), now, what=what)
        except Refused as error:
            passing = isinstance(error.error, RateLimited | CredentialRefused | Unavailable)
            if passing and not (is_too_much(error.refusal) or lacks_way(error.refusal)):
                raise error.error from None
            if error.refusal.code is None:
                self.singly.take(now)
            good = [one for one in ids if one not in error.refusal.message]
            if tries and good and len(good) < len(ids):
                return self.objects(good, fields, now, what=what, tries=tries - 1)
            return {}
        except SchemaDrift:
            return {}
        items = found.items() if isinstance(found, Mapping) else ()
        return {key: item for key, item in items if isinstance(item, Mapping) and item.get("id")}

    def debug_token(self, now: datetime) -> object:
        """Return what the API tells of the token. Raises ConnectorError: not every token may look at itself."""
        asked = {"input_token": self._token}
        return self.ask(lambda graph: graph.request(f"{graph.version}/debug_token", dict(asked)), now, what=TOKEN)

    def _graph(self, recorder: _Recorder) -> Any:
        if not self._token:
            raise ConnectorMisconfigured(f"connectors.facebook.access_token: is not set; {NEW_TOKEN}")
        if not re.fullmatch(GRAPH_VERSION, self._version):
            raise ConnectorMisconfigured('connectors.facebook.api_version: is not a version such as "v26.0"')
        graph = facebook.GraphAPI(self._token, timeout=self._timeout, session=recorder)
        graph.version = f"v{self._version.removeprefix('v')}"  # the SDK's own check refuses everything after 3.1
        return graph


class _Recorder:
    """What the SDK takes for a session: one call goes through ours, and its answer is kept for headers and status.

    JSON is marked as JSON: the SDK goes by the content type, which the Graph API has also called text/javascript, and
    trips over an answer that has none.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.answer: requests.Response | None = None

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        self.answer = self._session.request(method, url, **options)
        is_json = self.answer.content.lstrip()[:1] in {b"{", b"["}
        self.answer.headers["Content-Type"] = "application/json" if is_json else "text/html"
        return self.answer


def _open_session(token: str, app_secret: str, base_url: str, network: Network) -> requests.Session:
    session = http.open_session(base_url=base_url, network=network, replaces=(ORIGIN,), credential=True)
    if app_secret:
        proof = hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        session.params = {"appsecret_proof": proof}
    return session


def _refused(answer: requests.Response | None, result: object, now: datetime, *, what: str) -> Refused:
    status = answer.status_code if answer is not None else 0
    headers = answer.headers if answer is not None else {}
    return refused(parse_refusal(result, status=status), what=what, retry_at=retry_at(headers, now))


def _broken(answer: requests.Response | None, error: Exception, now: datetime, *, what: str) -> Exception:
    """Say what an answer is that the SDK could not take apart: never there, refused by its status, or cut short."""
    if answer is None and isinstance(error, requests.RequestException):
        return http.failure(error, what=what)
    if answer is not None and answer.status_code >= 400:
        return _refused(answer, None, now, what=what)
    if isinstance(error, requests.JSONDecodeError):
        return Unavailable(f"{what}: the answer was cut short; it is tried again")
    return SchemaDrift(f"{what}: the answer is not what the Graph API sends; base_url may lead elsewhere")
