"""The one session factory: time-outs, size cap, address guard, and one table from library errors to ours.

Whatever a register, a post or a redirect points to is checked after name resolution, and once more at the address that
was really connected to, before a byte is sent: nothing is asked of loopback or private networks unless the
administrator allowed it, whatever a name server says the second time.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import DecodeError, IncompleteRead, InvalidChunkLength, ProtocolError, ReadTimeoutError
from urllib3.exceptions import SSLError as BrokenTLS
from urllib3.util.url import parse_url

from connectors.base import (
    AccountNotFound,
    AddressRefused,
    ConnectorError,
    ConnectorMisconfigured,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
    Unavailable,
    no_later,
)
from connectors.payload import moment
from connectors.reach import is_admitted
from monitor.settings import IPNetwork, Network

USER_AGENT = "Pantau/0.1 (government social-media monitor)"
CHUNK = 65_536
# A character beyond the first plane is written as two halves in JSON; here one stands alone.
HALF = re.compile(r"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]", re.DOTALL)
LONGEST_BAN = timedelta(days=31)  # of a wait that is meant
WHOLE_BODY = 6  # times network.timeout: a body that drips must not hold a worker for ever


class _Refused(requests.RequestException):
    """Our own refusal, travelling through requests' machinery."""


class _Unresolved(requests.ConnectionError):
    """A host name without an address."""


class _RefusedAddress(Exception):
    """The address that was connected to is not the one that was checked."""


def open_session(
    *, base_url: str = "", network: Network, replaces: Sequence[str] = (), credential: bool = False
) -> requests.Session:
    """Return a session with time-outs, size cap and address guard.

    The origin of `base_url` is the administrator's word and needs no permission; any other address must be public or
    in `network.allow`. Requests to one of the origins `replaces` go to `base_url` instead: libraries hard-code theirs.
    A session with a `credential` goes nowhere but to `base_url`: a redirect elsewhere would take the credential along.
    No retries (the schedule retries) and no proxies from the environment.
    """
    session = _Session()
    session.trust_env = False
    session.headers["User-Agent"] = USER_AGENT
    session.max_redirects = 5
    # Shared by all accounts of a platform, for months: no site may tell us apart, or fill the memory.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = _GuardedAdapter(base_url=base_url, network=network, replaces=replaces, credential=credential)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class Meter:
    """Counts calls. Shared by the sessions of one platform and their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0

    @property
    def calls(self) -> int:
        return self._calls

    def count(self) -> None:
        with self._lock:
            self._calls += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered(Network):
    """A network whose sessions count their calls, those that a redirect leads to included."""

    meter: Meter

    @classmethod
    def of(cls, network: Network, meter: Meter) -> Metered:
        return cls(**{f.name: getattr(network, f.name) for f in fields(network)}, meter=meter)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads; requests itself trips over what is no address with a bare ValueError."""
        try:
            target = super().get_redirect_target(resp)
            urlsplit(target or "")
        except ValueError:
            raise requests.exceptions.InvalidURL("the redirect leads to no address") from None
        return target


def origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def not_public(host: str, address: str) -> str:
    leads = f"{host} leads to {address}, which is" if host != address else f"{host} is"
    return f'{leads} not a public address; [network] allow = ["{address}"] admits it'


@dataclass(frozen=True, slots=True)
class _Gate:
    """Where a session may go: to its own server, and to what is public or admitted."""

    own: tuple[str, str, int] | None
    allow: Sequence[IPNetwork]

    def is_own(self, place: tuple[str, str, int]) -> bool:
        return place == self.own

    def admits(self, address: str) -> bool:
        return is_admitted(address, allow=self.allow)

    def accepts(self, scheme: str, host: str, port: int, peer: str) -> bool:
        return self.is_own((scheme, host.lower().strip("[]"), port)) or self.admits(peer)


def _checked(connection: type[HTTPConnection], gate: _Gate) -> type[HTTPConnection]:
    """Return the connection class with a look at the peer's address before anything is sent.

    It must not know its adapter: urllib3 keeps an idle connection until its pool is gone, and would keep the pool.
    """
    scheme = "https" if issubclass(connection, HTTPSConnection) else "http"

    class Checked(connection):  # type: ignore[misc, valid-type]  # a class made for one adapter
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            peer = str(made.getpeername()[0])
            if not gate.accepts(scheme, self.host, self.port, peer):
                made.close()
                raise _RefusedAddress(not_public(self.host, peer))
            return made

    return Checked


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, *, base_url: str, network: Network, replaces: Sequence[str], credential: bool) -> None:
        self._base_url = base_url.rstrip("/")
        self._network = network
        self._gate = _Gate(origin(self._base_url) if self._base_url else None, network.allow)
        self._replaces = tuple(r.rstrip("/") for r in replaces)
        self._credential = credential
        super().__init__(pool_connections=32, pool_maxsize=32, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        pools: dict[str, type[HTTPConnectionPool]] = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"ConnectionCls": _checked(pool.ConnectionCls, self._gate)})  # type: ignore[arg-type]  # both pools
            for scheme, pool in pools.items()
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = self._rewritten(request.url or "")
        self._guard(request.url)
        if isinstance(self._network, Metered):
            self._network.meter.count()
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._network.timeout.total_seconds()
        wants_stream = kwargs.get("stream", False)
        kwargs["stream"] = True
        try:
            response = super().send(request, *args, **kwargs)
        except _RefusedAddress as error:
            raise _Refused(str(error)) from None
        if not wants_stream:
            self._read_bounded(response)
        return response

    def _rewritten(self, url: str) -> str:
        for old in self._replaces:
            if self._base_url and (url == old or url.startswith((f"{old}/", f"{old}?"))):
                return self._base_url + url.removeprefix(old)
        return url

    def _guard(self, url: str) -> None:
        if self._gate.is_own(origin(url)):
            return
        if self._credential:
            raise _Refused("a redirect would take the credential to another server; correct base_url")
        if urlsplit(url).scheme not in {"http", "https"}:
            raise _Refused("only http and https are read")
        host = parse_url(url).host or ""
        port = origin(url)[2]
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise _Unresolved(
                f"the name {host} cannot be resolved; look at the address, and at the DNS of this machine"
            ) from None
        for *_, address in found:
            if not self._gate.admits(str(address[0])):
                raise _Refused(not_public(host, str(address[0])))

    def _read_bounded(self, response: requests.Response) -> None:
        """Read the body here, so that neither a huge nor an endless answer fills the memory or holds the thread."""
        limit = self._network.max_bytes
        until = time.monotonic() + WHOLE_BODY * self._network.timeout.total_seconds()
        body = bytearray()
        try:
            for piece in _arriving(response):
                body += piece
                if len(body) > limit:
                    raise _Refused(f"the answer is larger than network.max_bytes ({limit})")
                if time.monotonic() > until:
                    raise requests.ReadTimeout("the body does not end")
        finally:
            response.close()
        response._content = bytes(body)  # noqa: SLF001 (what requests' own .content would have stored)
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001 (as above)


def _arriving(response: requests.Response) -> Iterator[bytes]:
    """Yield what has arrived as soon as it is there; requests itself waits for a whole chunk without looking up."""
    try:
        while piece := response.raw.read1(CHUNK, decode_content=True):
            yield piece
    except (ProtocolError, IncompleteRead, InvalidChunkLength) as error:
        raise requests.exceptions.ChunkedEncodingError(error) from None
    except DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from None
    except ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from None
    except BrokenTLS as error:
        raise requests.exceptions.SSLError(error) from None


NO_CONNECTION = "the connection{to} failed: the site is down, or this machine's network or firewall is in the way"

# The nearest class counts; a test fails when requests has an exception that is in no row. "" shows our own sentence.
FAILURES: Mapping[type[requests.RequestException], tuple[type[ConnectorError], str]] = {
    _Refused: (AddressRefused, ""),
    _Unresolved: (Unavailable, ""),
    requests.Timeout: (Unavailable, "no answer in time"),
    requests.exceptions.SSLError: (Unavailable, "the certificate could not be verified"),
    requests.exceptions.ProxyError: (Unavailable, "the proxy failed"),
    requests.TooManyRedirects: (AddressRefused, "too many redirects"),
    requests.exceptions.InvalidURL: (AddressRefused, "the address is not valid"),
    requests.exceptions.InvalidSchema: (AddressRefused, "only http and https are read"),
    requests.exceptions.MissingSchema: (AddressRefused, "the address has no scheme"),
    requests.exceptions.ChunkedEncodingError: (Unavailable, "the answer was cut short"),
    requests.exceptions.ContentDecodingError: (Unavailable, "the answer could not be unpacked"),
    requests.exceptions.JSONDecodeError: (Unavailable, "the answer was cut short or is no JSON"),
    requests.exceptions.InvalidJSONError: (Unavailable, "the answer was cut short or is no JSON"),
    requests.exceptions.InvalidHeader: (ConnectorMisconfigured, "a header of ours is not valid; look for line breaks"),
    requests.exceptions.StreamConsumedError: (Unavailable, "the answer was read twice"),
    requests.exceptions.UnrewindableBodyError: (Unavailable, "the request could not be repeated"),
    requests.exceptions.RetryError: (Unavailable, "the request failed again and again"),
    requests.exceptions.URLRequired: (AddressRefused, "there is no address"),
    requests.HTTPError: (Unavailable, "the site answered with an error"),
    requests.ConnectionError: (Unavailable, NO_CONNECTION),
}


def failure(error: requests.RequestException, *, what: str) -> ConnectorError:
    """Return our error for one of requests', by a table. The message names a host, no more: addresses carry tokens."""
    for known in type(error).__mro__:
        if known in FAILURES:
            kind, sentence = FAILURES[known]
            return kind(f"{what}: {sentence.format(to=_to_host(error)) or error}")
    return Unavailable(f"{what}: the request failed")


def _to_host(error: requests.RequestException) -> str:
    """Return " to <host>", or nothing where requests did not get as far as a request."""
    host = urlsplit(error.request.url or "").hostname if error.request is not None else None
    return f" to {host}" if host else ""


class SiteLimited(RateLimited):
    """One web site's own limit; the other accounts go on."""

    whole_platform = False


def refusal(response: requests.Response, *, what: str, now: datetime) -> ConnectorError | None:
    """Return what a web site's status says against reading on; None for an answer to be read, and for 304."""
    status = response.status_code
    if status < 300 or status == requests.codes.not_modified:
        return None
    retry_at = retry_after(response.headers, now)
    if status == requests.codes.too_many_requests or (status == requests.codes.service_unavailable and retry_at):
        return SiteLimited(f"{what}: the site asks for patience (HTTP {status})", retry_at=retry_at)
    if status in {requests.codes.not_found, requests.codes.gone}:
        return AccountNotFound(f"{what}: is not there (HTTP {status}); correct its address in the register")
    if status in {401, 403, 407, 451}:
        return PermissionMissing(f"{what}: the site does not let Pantau read it (HTTP {status})")
    return Unavailable(f"{what}: the site answered HTTP {status}")


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return when Retry-After (seconds or an HTTP date) lets us come back, a day at most; None without a usable one."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return _believed(now + timedelta(seconds=int(text)), now)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return _believed(at if at.tzinfo else at.replace(tzinfo=UTC), now)


def _believed(at: datetime, now: datetime) -> datetime | None:
    """Return when to come back, unless no server can mean it: a slip of one answer would cost a day of reading."""
    return no_later(at, now) if at - now <= LONGEST_BAN else None


def reset(headers: Mapping[str, str], name: str, now: datetime) -> datetime | None:
    """Return when a budget is full again, a day at most: by its own header (`name`), else by Retry-After.

    Some write the header in seconds since 1970, others as text.
    """
    said = headers.get(name, "").strip()
    at = datetime.fromtimestamp(int(said), UTC) if re.fullmatch(r"[0-9]{9,11}", said) else moment(said)
    believed = None if at is None else _believed(at, now)
    return believed or retry_after(headers, now)


def utf8(response: requests.Response) -> str:
    return response.content.decode("utf-8", errors="replace")


def without_halves(value: Any, text: str) -> Any:
    """Return the JSON of a text with U+FFFD for halves of characters: they can be neither asked for nor stored."""
    return _without_halves(value) if HALF.search(text) else value


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(one) for one in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(one) for key, one in value.items()}
    return value


def json_body(response: requests.Response, *, what: str) -> Any:
    """Return the JSON of an answer. HTML and endless nesting or numbers are SchemaDrift; cut short is Unavailable."""
    text = utf8(response).lstrip("\ufeff")
    try:
        return without_halves(json.loads(text), text)
    except json.JSONDecodeError:
        begins = text.lstrip()[:1]
        if begins in {"{", "["}:
            raise Unavailable(f"{what}: the JSON was cut short") from None
        if not begins:
            raise SchemaDrift(f"{what}: the answer is empty; something between may have swallowed it") from None
        kind = response.headers.get("Content-Type", "no content type")
        found = f"what calls itself {kind} and is none" if "json" in kind.lower() else kind
        raise SchemaDrift(f"{what}: expected JSON, found {found}") from None
    except (RecursionError, ValueError):
        raise SchemaDrift(f"{what}: the JSON is nested too deep, or holds a number too long") from None
