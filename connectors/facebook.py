"""Facebook Pages through the Graph API: posts, profiles and re-reads, wrapped around facebook-sdk 3.1.0.

The SDK is unmaintained since 2018: it knows no version after 3.1, no proof of the app's secret, no headers and no
cursors, and it lets a network's errors through raw. It is built anew for each call, around a recorder that keeps the
answer, so that what it drops (headers, status) is still at hand. The token travels in the query string: no message here
repeats an address, nor anything a server said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, quote, urlsplit

import facebook
import requests

from connectors import http
from connectors.addresses import facebook_page
from connectors.base import (
    AccountNotFound,
    Capabilities,
    ConnectorError,
    ConnectorMisconfigured,
    CredentialRefused,
    Cursor,
    Gap,
    Page,
    PermissionMissing,
    RateLimited,
    Reread,
    SchemaDrift,
    Unavailable,
)
from monitor.model import Account, Cause, Json, Media, MediaKind, Post, PostKind, Profile
from monitor.settings import Network, Secret

ORIGIN = "https://graph.facebook.com"  # what the SDK writes into every address
POST_FIELDS = (
    "id,message,story,created_time,updated_time,permalink_url,from,full_picture,is_published,is_hidden,status_type,"
    "parent_id,message_tags,attachments{media_type,url,unshimmed_url,title,description,media,subattachments}"
)
PROFILE_FIELDS = "id,name,username,about,description,picture{url}"
BASIC_PROFILE_FIELDS = "id,name,username"
PAGE_SIZE = 100
IDS_PER_CALL = 50
WIDEST_WINDOW = timedelta(days=170)  # since/until may span six months at most
STOP_PERCENT = 95
BUDGET_WINDOW = timedelta(hours=1)  # the Graph API counts calls over a rolling hour
CHANGED = "the Graph API has changed, see connectors.facebook.api_version"
GONE = frozenset({21, 100, 803})  # codes by which one bad id makes a call for many fail
DOCUMENT_SUFFIXES = (".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".rtf", ".csv")
DOCUMENT_TYPES = frozenset({"file", "file_upload", "document"})
OWN_MEDIA = frozenset({"photo", "album", "video", "profile_media", "cover_photo", "new_album", "video_inline"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FacebookSettings:
    access_token: Secret = field(default_factory=Secret)
    app_secret: Secret = field(default_factory=Secret)
    api_version: str = "v26.0"
    base_url: str = ORIGIN


class PageLimited(RateLimited):
    """One page's own budget is used up; the other pages go on."""

    whole_platform = False


# ---------------------------------------------------------------- the account's name


def page_of(account: Account) -> str:
    """Return what the Graph API calls the account: its id where known, else the username. Raises AccountNotFound."""
    if account.native_id:
        return account.native_id
    handle = account.handle.strip().removeprefix("@")
    named = facebook_page(handle) if "/" in handle else handle
    page = named or (facebook_page(account.url) if account.url else None)
    if not page:
        message = f"{account.label}: names no Facebook page; write the page's username or numeric id as the handle"
        raise AccountNotFound(message)
    return quote(page, safe="")


# ---------------------------------------------------------------- payloads


def parse_posts(payload: object) -> tuple[Post, ...]:
    """Return the published posts of one answer of `published_posts`. Raises SchemaDrift."""
    return tuple(parse_post(item) for item in _items(payload) if _is_published(item))


def parse_post(item: object) -> Post:
    """Return one post of the Graph API. Raises SchemaDrift when it has no id or no time."""
    if not isinstance(item, Mapping):
        raise SchemaDrift(f"facebook: a post is not an object; {CHANGED}")
    raw = without_credentials(item)
    native_id = raw.get("id")
    if not isinstance(native_id, str) or not native_id:
        raise SchemaDrift(f"facebook: a post has no id; {CHANGED}")
    published_at = _moment(raw.get("created_time"), f"post {native_id[:64]}: created_time")
    attachments = _attachments(raw)
    updated_at = _moment(raw["updated_time"], "updated_time") if raw.get("updated_time") else published_at
    return Post(
        native_id=native_id,
        url=_string(raw, "permalink_url") or f"https://www.facebook.com/{native_id}",
        published_at=published_at,
        text=_text(raw, attachments),
        kind=PostKind.REPOST if _is_repost(raw, attachments) else PostKind.ORIGINAL,
        # Comments move updated_time as well; the content's hash decides whether there is a new version.
        edited_at=updated_at if updated_at > published_at else None,
        media=_media(raw, attachments),
        links=tuple(dict.fromkeys(filter(None, map(_link, attachments)))),
        raw=raw,
    )


def parse_profile(payload: object, *, handle: str = "") -> Profile:
    """Return what a page says of itself. `handle` serves a page without a username. Raises SchemaDrift."""
    item = without_credentials(payload) if isinstance(payload, Mapping) else {}
    native_id, name = _string(item, "id"), _string(item, "name")
    if not native_id or not name:
        raise SchemaDrift("facebook: a profile has no id or no name; the Graph API has changed")
    about, description = _string(item, "about"), _string(item, "description")
    return Profile(
        native_id=native_id,
        name=name,
        handle=_string(item, "username") or handle,
        bio="\n\n".join(dict.fromkeys(filter(None, (about, description)))),
        picture_url=_string(_inner(_inner(item, "picture"), "data"), "url"),
    )


def without_credentials(value: Any) -> Any:
    """Return JSON without paging (its `next` carries the token), tokens, and characters that no database takes."""
    if isinstance(value, Mapping):
        hidden = {"paging", "access_token", "appsecret_proof"}
        return {_storable(str(k)): without_credentials(v) for k, v in value.items() if k not in hidden}
    if isinstance(value, list):
        return [without_credentials(part) for part in value]
    if isinstance(value, str):
        address = re.fullmatch(r"https?://\S+", value) is not None  # a post may itself publish a token: that one stays
        masked = re.sub(r"(access_token|appsecret_proof|input_token)=[^&#]*", r"\1=", value) if address else value
        return _storable(masked)
    return value


def _storable(text: str) -> str:
    """Replace NUL and lone surrogates one for one, so that offsets into the text stay right."""
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


def _items(payload: object) -> list[Any]:
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if not isinstance(data, list):
        raise SchemaDrift("facebook: an answer has no list of posts (data); the Graph API has changed")
    return data


def _is_published(item: object) -> bool:
    return not isinstance(item, Mapping) or item.get("is_published") is not False


def _moment(value: object, what: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SchemaDrift(f"facebook: {what} is not a time with a zone; the Graph API has changed")
    return moment.astimezone(UTC)


def _inner(item: Json, key: str) -> Json:
    inner = item.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _string(item: Json, key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _attachments(item: Json) -> list[Json]:
    """Return the attachments, each followed by those inside it (an album's pictures)."""
    if item.get("attachments") is None:
        return []
    if not isinstance(_inner(item, "attachments").get("data"), list):
        raise SchemaDrift("facebook: a post's attachments hold no list (data); the Graph API has changed")
    return [part for outer in _listed(item, "attachments") for part in (outer, *_listed(outer, "subattachments"))]


def _listed(item: Json, key: str) -> list[Json]:
    data = _inner(item, key).get("data")
    return [part for part in data if isinstance(part, Mapping)] if isinstance(data, list) else []


def _text(item: Json, attachments: Iterable[Json]) -> str:
    """Join the message (without one, the story) and the words of what is attached, which are published as well."""
    text = _string(item, "message") or _string(item, "story")
    for part in (_string(a, key) for a in attachments for key in ("title", "description")):
        if part and part not in text:  # a lone picture's description repeats the message
            text = f"{text}\n\n{part}" if text else part
    return text


def _is_repost(item: Json, attachments: Iterable[Json]) -> bool:
    """Say whether the post passes on another one. `shared_story` alone is also said of plain links."""
    if item.get("parent_id"):
        return True
    targets = (_target(a) for a in attachments)
    return item.get("status_type") == "shared_story" and any(_is_own_host(target) for target in targets)


def _target(attachment: Json) -> str:
    """Return where an attachment leads, without Facebook's detour and click counter."""
    url = _string(attachment, "unshimmed_url") or _string(attachment, "url")
    try:
        parts = urlsplit(url)
        if parts.path == "/l.php" and _is_own_host(url):
            return _unmarked(parse_qs(parts.query).get("u", [""])[0])
    except ValueError:
        return ""
    return _unmarked(url)


def _unmarked(url: str) -> str:
    """Drop `fbclid`, which is another one at each reading and would look like an edit."""
    return re.sub(r"\?$", "", re.sub(r"([?&])fbclid=[^&#]*(?:&|(?=#|$))", r"\1", url)).rstrip("&")


def _is_own_host(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "facebook.com" or host.endswith(".facebook.com")


def _kind(attachment: Json) -> str:
    return _string(attachment, "media_type") or _string(attachment, "type")


def _link(attachment: Json) -> str:
    target = _target(attachment)
    return "" if _kind(attachment) in OWN_MEDIA and _is_own_host(target) else target


def _is_document(attachment: Json) -> bool:
    try:
        path = urlsplit(_target(attachment)).path.lower()
    except ValueError:
        path = ""
    return _kind(attachment) in DOCUMENT_TYPES or path.endswith(DOCUMENT_SUFFIXES)


def _media(item: Json, attachments: Sequence[Json]) -> tuple[Media, ...]:
    found = [media for attachment in attachments for media in _media_of(attachment)]
    if not any(media.kind is MediaKind.PICTURE for media in found) and _string(item, "full_picture"):
        found.append(Media(kind=MediaKind.PICTURE, url=_string(item, "full_picture")))
    return tuple({media.url: media for media in reversed(found)}.values())[::-1]


def _media_of(attachment: Json) -> Iterator[Media]:
    words = _string(attachment, "description") or _string(attachment, "title")
    picture = _string(_inner(_inner(attachment, "media"), "image"), "src")
    if picture and not _listed(attachment, "subattachments"):  # an album's own picture is its first one again
        yield Media(kind=MediaKind.PICTURE, url=picture, text=words)
    video = _string(_inner(attachment, "media"), "source")
    if video or _kind(attachment).startswith("video"):
        yield Media(kind=MediaKind.VIDEO, url=video or _target(attachment), text=words)
    if _is_document(attachment) and _target(attachment):
        yield Media(kind=MediaKind.DOCUMENT, url=_target(attachment), text=words)


# ---------------------------------------------------------------- refusals


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
        number = f"code {self.code}" if self.code is not None else f"HTTP {self.status}"
        subcode = f"/{self.subcode}" if self.subcode is not None else ""
        return f"{number}{subcode}" + (f", trace {self.trace}" if self.trace else "")


def parse_refusal(result: object, *, status: int) -> Refusal:
    """Read the error object of an answer; anything else is a refusal without a code."""
    error = result.get("error") if isinstance(result, Mapping) else None
    if not isinstance(error, Mapping):
        return Refusal(status=status)
    trace = _string(error, "fbtrace_id")
    return Refusal(
        status=status,
        code=_number(error.get("code")),
        subcode=_number(error.get("error_subcode")),
        transient=error.get("is_transient") is True,
        message=_string(error, "message"),
        trace=trace if re.fullmatch(r"[A-Za-z0-9_-]{8,24}", trace) else "",
    )


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else None


SUBCODES = {
    458: "the app was removed",
    459: "the user must sign in and clear a checkpoint",
    460: "the password was changed",
    463: "it has expired",
    464: "the user is not confirmed",
    467: "it was revoked",
    492: "its user no longer has a role on the page",
}
NEW_TOKEN = "make a new system-user token and put it into connectors.facebook.access_token"  # noqa: S105 (a remedy)
VERSION = "set connectors.facebook.api_version to a version that Facebook still serves"
GRANT = "grant the app pages_read_engagement on the page, or Page Public Content Access"
RATE = "the budget of calls is used up; Pantau goes on when it is free again"
LATER = "Facebook has a passing fault; it is tried again"
DRIFT = (
    "the Graph API did not understand the question; see connectors.facebook.api_version and the changelog of the API"
)

# (codes, error, what it means and what to do); the first that holds the code counts. Source: the Graph API's reference.
CodeTable = tuple[tuple[Container[int | None], type[ConnectorError], str], ...]
RATE_CODES: CodeTable = (
    ((32, 80001), PageLimited, "the page's own " + RATE.removeprefix("the ")),
    ((4, 17, 341, 613), RateLimited, RATE),
    (range(80000, 80100), RateLimited, RATE),
)
CODES: CodeTable = (
    ((1, 2, 960), Unavailable, LATER),
    ((102, 190), CredentialRefused, f"the access token is refused; {NEW_TOKEN}"),
    ((3, 10), PermissionMissing, f"the token may not read this; {GRANT}"),
    (range(200, 300), PermissionMissing, f"the token may not read this; {GRANT}"),
    ((368,), PermissionMissing, "Facebook has blocked the app for now; look at its dashboard"),
    ((12, 2635), ConnectorMisconfigured, f"this version of the API is retired; {VERSION}"),
    ((21,), AccountNotFound, "the page was merged into another one; register that one"),
    ((803,), AccountNotFound, "no page has this name; correct the handle in the register"),
)
STATUSES: Mapping[int, tuple[type[ConnectorError], str]] = {
    401: (CredentialRefused, f"the access token is refused; {NEW_TOKEN}"),
    403: (PermissionMissing, f"the token may not read this; {GRANT}"),
    404: (AccountNotFound, "no such page or post; correct the handle in the register"),
    429: (RateLimited, RATE),
}


def verdict(refusal: Refusal) -> tuple[type[ConnectorError], str]:
    """Return which error a refusal is, and a sentence on what it means and what to do. Pure; the whole table."""
    if (limited := _by_code(refusal, RATE_CODES)) is not None:
        return limited
    if refusal.transient:
        return Unavailable, LATER
    if refusal.code in {100, 2500}:
        return _bad_parameter(refusal) if refusal.code == 100 else _bad_question(refusal)
    return _by_code(refusal, CODES) or _by_status(refusal)


def _by_code(refusal: Refusal, table: CodeTable) -> tuple[type[ConnectorError], str] | None:
    for codes, error, sentence in table:
        if refusal.code in codes:
            why = SUBCODES.get(refusal.subcode or 0) if error is CredentialRefused else None
            return error, f"{sentence} ({why})" if why else sentence
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
        return (
            ConnectorMisconfigured,
            "the proof of the app's secret is refused; correct connectors.facebook.app_secret",
        )
    if refusal.subcode == 33 or "does not exist" in words:
        return (
            AccountNotFound,
            "no such page or post, or it is hidden from the token; correct the handle in the register",
        )
    if "permission" in words or "public content access" in words:
        return PermissionMissing, f"the token may not read this; {GRANT}"
    unknown = re.search(r"nonexisting field \((\w{1,40})\)", refusal.message)
    return SchemaDrift, f"the field {unknown[1]} is gone; {VERSION}" if unknown else DRIFT


def _bad_question(refusal: Refusal) -> tuple[type[ConnectorError], str]:
    words = refusal.message.lower()
    if "path components" in words:
        return ConnectorMisconfigured, f"Facebook knows no such version; {VERSION}"
    if "access token" in words:
        return CredentialRefused, f"the access token is refused; {NEW_TOKEN}"
    return SchemaDrift, DRIFT


def _is_too_much(refusal: Refusal) -> bool:
    return refusal.code == 1 and "reduce the amount of data" in refusal.message.lower()


class _Refused(Exception):  # never leaves this module
    """An error of the Graph API with what it is for the caller."""

    def __init__(self, refusal: Refusal, error: ConnectorError) -> None:
        super().__init__(refusal.label)
        self.refusal = refusal
        self.error = error


# ---------------------------------------------------------------- budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of a budget is used; `regain` is the platform's own estimate, `page` a budget of one page."""

    percent: float
    regain: timedelta | None = None
    page: bool = False


def parse_usage(headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """Read the usage headers of an answer. What cannot be read is no usage: the headers are advice, not data."""
    found = [_usage(table, page=False) for table in _tables(headers.get("x-app-usage"))]
    found += [_usage(table, page=True) for table in _tables(headers.get("x-page-usage"))]
    for business in _tables(headers.get("x-business-use-case-usage")):
        rows = [row for listed in business.values() if isinstance(listed, list) for row in listed]
        found += [_usage(row, page=_string(row, "type").startswith("page")) for row in rows if isinstance(row, Mapping)]
    return tuple(found)


def _tables(header: str | None) -> list[Json]:
    try:
        table = json.loads(header) if header else None
    except (ValueError, RecursionError):
        return []
    return [table] if isinstance(table, Mapping) else []


def _usage(table: Json, *, page: bool) -> Usage:
    shares = [table.get(key) for key in ("call_count", "total_time", "total_cputime")]
    percent = max((float(s) for s in shares if isinstance(s, int | float) and not isinstance(s, bool)), default=0.0)
    minutes = table.get("estimated_time_to_regain_access")
    regain = None
    if isinstance(minutes, int | float) and not isinstance(minutes, bool) and 0 < minutes < 100_000:
        regain = timedelta(minutes=minutes)
    return Usage(percent=percent, regain=regain, page=page)


def free_again(usages: Iterable[Usage], now: datetime) -> datetime | None:
    """Return when the budgets that are all but used up are free again; None while there is room."""
    waits = [u.regain or BUDGET_WINDOW for u in usages if u.percent >= STOP_PERCENT or u.regain]
    return now + max(waits) if waits else None


class _Budget:
    """Until when the app, or one page, rests. Shared by the threads of a connector."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}  # "" is the whole app

    def admit(self, page: str, now: datetime) -> None:
        """Raise RateLimited before a call that the budget has no room for."""
        with self._lock:
            self._until = {key: until for key, until in self._until.items() if until > now}
            whole, own = self._until.get(""), self._until.get(page)
        if whole is not None:
            raise RateLimited(f"facebook: {RATE} (usage at {STOP_PERCENT} % or more)", retry_at=whole)
        if own is not None:
            message = f"facebook: page {page}: its {RATE.removeprefix('the ')} (usage at {STOP_PERCENT} % or more)"
            raise PageLimited(message, retry_at=own)

    def note(self, headers: Mapping[str, str], page: str, now: datetime) -> None:
        usages = parse_usage(headers)
        whole = free_again((u for u in usages if not u.page or not page), now)
        own = free_again((u for u in usages if u.page and page), now)
        with self._lock:
            self._until |= {key: until for key, until in (("", whole), (page, own)) if until is not None}


# ---------------------------------------------------------------- the walk


@dataclass(slots=True, kw_only=True)
class Walk:
    """One pull's way from the newest post to what is known: pure, it is fed answers and says when it ends."""

    begin: Cursor | None
    overlap: timedelta
    back_catalogue: int
    page_limit: int
    now: datetime
    after: str = ""
    limit: int = PAGE_SIZE
    _pages: int = 0
    _posts: int = 0
    _newest: datetime | None = None
    _oldest: datetime | None = None
    _used: set[str] = field(default_factory=set)

    @property
    def known(self) -> datetime | None:
        """When the newest post known before was published; None for a first pull."""
        value = self.begin.get("newest") if self.begin and self.begin.get("v") == 1 else None
        return _moment(value, "the cursor") if value else None

    @property
    def since(self) -> datetime | None:
        return self.known - self.overlap if self.known else None

    def question(self) -> dict[str, str]:
        """Return the parameters of the next call."""
        asked: dict[str, str] = {"fields": POST_FIELDS, "limit": str(self.limit)}
        if self.since is None:
            asked["limit"] = str(max(1, min(self.limit, self.back_catalogue - self._posts)))
        elif self.now - self.since < WIDEST_WINDOW:
            asked["since"] = str(int(self.since.timestamp()))
        return asked | ({"after": self.after} if self.after else {})

    def take(self, payload: object) -> Page:
        """Return the page of one answer, the last one with the new cursor. Raises SchemaDrift."""
        posts = parse_posts(payload)
        times = [_moment(item.get("created_time"), "a post's created_time") for item in _items(payload)]
        self._pages += 1
        self._posts += len(posts)
        self._newest = max([*(post.published_at for post in posts), *filter(None, [self._newest])], default=None)
        self._oldest = min([*times, *filter(None, [self._oldest])], default=None)
        following = _following(payload)
        met = self.since is not None and bool(times) and max(times) < self.since
        complete = not following or not times or met
        cut = following in self._used or self._pages >= self.page_limit or self._is_deep_enough()
        self._used.add(following)
        self.after = following
        if not complete and not cut:
            return Page(posts=posts, cursor=self.begin or {}, last=False)
        return Page(posts=posts, cursor=self._cursor(), last=True, gap=None if complete else self._gap())

    def _is_deep_enough(self) -> bool:
        return self.known is None and self._posts >= self.back_catalogue

    def _cursor(self) -> Cursor:
        """A post dated in the future must not hide those of today."""
        newest = max(filter(None, (self._newest, self.known)), default=None)
        return {"v": 1, "newest": min(newest, self.now).isoformat() if newest else None}

    def _gap(self) -> Gap | None:
        if self._oldest is None or (self.known is not None and self._oldest <= self.known):
            return None
        return Gap(start=self.known, end=min(self._oldest, self.now), cause=Cause.BURST)


def _following(payload: object) -> str:
    """Return the cursor of the next page. `next` only tells that there is one: its address carries the token."""
    paging = _inner(payload, "paging") if isinstance(payload, Mapping) else {}
    after = _string(_inner(paging, "cursors"), "after")
    if paging.get("next") and not after:
        raise SchemaDrift("facebook: a further page has no cursor (paging.cursors.after); the Graph API has changed")
    return after if paging.get("next") else ""


# ---------------------------------------------------------------- the connector


class _Recorder:
    """What the SDK takes for a session: one call goes through ours, and its answer is kept for headers and status."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.answer: requests.Response | None = None

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        self.answer = self._session.request(method, url, **options)
        return self.answer


Question = Callable[[Any], Any]  # takes the SDK's GraphAPI, returns its answer


class FacebookConnector:
    """Reads Facebook Pages with one token. Thread-safe: the session, the budget and nothing else is shared."""

    platform: ClassVar[str] = "facebook"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[FacebookSettings]] = FacebookSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)

    def __init__(
        self,
        settings: FacebookSettings,
        network: Network,
        *,
        page_limit: int = 40,
        overlap: timedelta = timedelta(minutes=10),
        back_catalogue: int = 3200,
    ) -> None:
        self._settings = settings
        self._page_limit = page_limit
        self._overlap = overlap
        self._back_catalogue = back_catalogue
        self._timeout = network.timeout.total_seconds()
        self._token = settings.access_token.reveal().strip()
        self._budget = _Budget()
        self._session = _open_session(settings, network)

    def resolve(self, account: Account) -> Profile:
        """Return the page's profile. Raises ConnectorError."""
        return self._profile(account, datetime.now(UTC))

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why there is none, by account id; 50 pages a call.

        After an error that stops the whole platform the remaining accounts get that error without a call of their own.
        """
        found: dict[int, Profile | ConnectorError] = {}
        stop: ConnectorError | None = None
        for begin in range(0, len(accounts), IDS_PER_CALL):
            for account, result in self._profiles(accounts[begin : begin + IDS_PER_CALL], stop):
                found[account.id] = result
                stop = result if isinstance(result, ConnectorError) and result.whole_platform else stop
        return found

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = Walk(
            begin=cursor,
            overlap=self._overlap,
            back_catalogue=self._back_catalogue,
            page_limit=self._page_limit,
            now=now,
        )
        ended = False
        while not ended:
            page = walk.take(self._published_posts(account, walk, now))
            yield page
            ended = page.last

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 50 a call. A post that is no longer published counts as missing.

        A lost permission can look like missing posts: when none is left, the page itself must still answer.
        Raises ConnectorError.
        """
        posts: list[Post] = []
        missing: set[str] = set()
        for begin in range(0, len(native_ids), IDS_PER_CALL):
            batch = list(dict.fromkeys(native_ids[begin : begin + IDS_PER_CALL]))
            found = self._many(batch, POST_FIELDS, now, what=f"{account.label}: known posts")
            for native_id in batch:
                item = found.get(native_id) or self._post_alone(account, native_id, now)
                if item is None or not _is_published(item):
                    missing.add(native_id)
                else:
                    posts.append(parse_post(item))
        if missing and not posts:
            self._profile(account, now)
        return Reread(posts=tuple(posts), missing=frozenset(missing))

    def check(self) -> str:
        """Return a sentence on the token: valid, until when, for what. Raises ConnectorError."""
        now = datetime.now(UTC)
        try:
            return describe_token(self._debug_token(now), now)
        except (PermissionMissing, AccountNotFound, SchemaDrift):  # not every token may look at itself
            payload = self._ask(lambda graph: graph.get_object("me", fields="id,name"), now, what="facebook: the token")
        return f"facebook: the token is accepted, as {parse_profile(payload).name}; Facebook does not say until when"

    def _debug_token(self, now: datetime) -> object:
        asked = {"input_token": self._token}
        return self._ask(
            lambda graph: graph.request(f"{graph.version}/debug_token", dict(asked)), now, what="facebook: the token"
        )

    def _profile(self, account: Account, now: datetime) -> Profile:
        page, what = page_of(account), f"{account.label}: profile"
        try:
            payload = self._try(lambda graph: graph.get_object(page, fields=PROFILE_FIELDS), now, what=what, page=page)
        except _Refused as refused:
            if refused.refusal.code != 100 or "nonexisting field" not in refused.refusal.message:
                raise refused.error from None
            payload = self._ask(
                lambda graph: graph.get_object(page, fields=BASIC_PROFILE_FIELDS), now, what=what, page=page
            )
        return parse_profile(payload, handle=account.handle)

    def _profiles(
        self, accounts: Sequence[Account], stop: ConnectorError | None
    ) -> Iterator[tuple[Account, Profile | ConnectorError]]:
        now, found = datetime.now(UTC), cast("Mapping[str, Any]", {})
        named = [(account, _page_or_none(account)) for account in accounts]
        try:
            pages = list(dict.fromkeys(page for _, page in named if page))
            found = {} if stop or not pages else self._many(pages, PROFILE_FIELDS, now, what="facebook: profiles")
        except ConnectorError as error:
            yield from ((account, error) for account in accounts)
            return
        for account, page in named:
            result = stop or self._profile_from(account, found.get(page or ""), now)
            stop = result if isinstance(result, ConnectorError) and result.whole_platform else stop
            yield account, result

    def _profile_from(self, account: Account, item: object, now: datetime) -> Profile | ConnectorError:
        try:
            return parse_profile(item, handle=account.handle) if item else self._profile(account, now)
        except ConnectorError as error:
            return error

    def _published_posts(self, account: Account, walk: Walk, now: datetime) -> object:
        """Read one page of posts; where the API finds it too large, a smaller one."""
        page, what = page_of(account), f"{account.label}: posts"
        while True:
            asked = walk.question()
            try:
                return self._try(
                    lambda graph: graph.get_connections(page, "published_posts", **asked),  # noqa: B023 (called at once)
                    now,
                    what=what,
                    page=page,
                )
            except _Refused as refused:
                if not _is_too_much(refused.refusal) or int(asked["limit"]) <= 1:
                    raise refused.error from None
                walk.limit = int(asked["limit"]) // 2

    def _many(self, ids: Sequence[str], fields: str, now: datetime, *, what: str) -> Mapping[str, Any]:
        """Read objects by id in one call; empty when the call fails for one of them, to be read one by one."""
        try:
            found = self._try(lambda graph: graph.get_objects(ids, fields=fields), now, what=what)
        except _Refused as refused:
            if refused.refusal.code in GONE or _is_too_much(refused.refusal):
                return {}
            raise refused.error from None
        if not isinstance(found, Mapping):
            raise SchemaDrift(f"{what}: the answer is not an object by id; the Graph API has changed")
        return found

    def _post_alone(self, account: Account, native_id: str, now: datetime) -> object | None:
        """Read one post by id; None when it is gone."""
        path, page = quote(native_id, safe=""), page_of(account)
        try:
            item: object = self._ask(
                lambda graph: graph.get_object(path, fields=POST_FIELDS),
                now,
                what=f"{account.label}: a known post",
                page=page,
            )
        except AccountNotFound:
            return None
        return item

    def _ask(self, question: Question, now: datetime, *, what: str, page: str = "") -> Any:
        try:
            return self._try(question, now, what=what, page=page)
        except _Refused as refused:
            raise refused.error from None

    def _try(self, question: Question, now: datetime, *, what: str, page: str = "") -> Any:
        """Make one call. Raises _Refused for what the API says itself, ConnectorError for everything else.

        No error here keeps its cause: the SDK's and the network's hold the address, and the address holds the token.
        """
        self._budget.admit(page, now)
        recorder = _Recorder(self._session)
        graph = self._graph(recorder)
        try:
            result = question(graph)
        except facebook.GraphAPIError as error:
            raise _refused(recorder.answer, error.result, now, what=what) from None
        except KeyError:
            raise _unreadable(recorder.answer, what, "has no content type") from None
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise _broken(recorder.answer, error, what) from None
        finally:
            if recorder.answer is not None:
                self._budget.note(recorder.answer.headers, page, now)
        if recorder.answer is not None and recorder.answer.status_code >= 400:
            raise _refused(recorder.answer, result, now, what=what)
        return result

    def _graph(self, recorder: _Recorder) -> Any:
        version = self._settings.api_version.strip()
        if not self._token:
            raise ConnectorMisconfigured(f"connectors.facebook.access_token: is empty; {NEW_TOKEN}")
        if not re.fullmatch(r"v?[0-9]{1,3}\.[0-9]{1,2}", version):
            raise ConnectorMisconfigured('connectors.facebook.api_version: is not a version such as "v26.0"')
        graph = facebook.GraphAPI(self._token, timeout=self._timeout, session=recorder)
        graph.version = f"v{version.removeprefix('v')}"  # the SDK's own check refuses everything after 3.1
        return graph


def _open_session(settings: FacebookSettings, network: Network) -> requests.Session:
    session = http.open_session(base_url=settings.base_url, network=network, replaces=(ORIGIN,), credential=True)
    if settings.app_secret:
        key, token = settings.app_secret.reveal().strip(), settings.access_token.reveal().strip()
        session.params = {"appsecret_proof": hmac.new(key.encode(), token.encode(), hashlib.sha256).hexdigest()}
    return session


def _page_or_none(account: Account) -> str | None:
    try:
        return page_of(account)
    except AccountNotFound:
        return None


def _refused(answer: requests.Response | None, result: object, now: datetime, *, what: str) -> _Refused:
    status = answer.status_code if answer is not None else 0
    headers = answer.headers if answer is not None else {}
    refusal = parse_refusal(result, status=status)
    kind, sentence = verdict(refusal)
    retry_at = None
    if issubclass(kind, RateLimited):
        retry_at = http.retry_after(headers, now) or free_again(parse_usage(headers), now)
    return _Refused(refusal, kind(f"{what}: {sentence} ({refusal.label})", retry_at=retry_at))


def _unreadable(answer: requests.Response | None, what: str, why: str) -> ConnectorError:
    if answer is not None and answer.status_code >= 500:
        return Unavailable(f"{what}: {LATER} (HTTP {answer.status_code})")
    return SchemaDrift(f"{what}: the answer {why}; something stands between, or base_url leads elsewhere")


def _broken(answer: requests.Response | None, error: Exception, what: str) -> ConnectorError:
    """Say what an answer is that the SDK could not take apart: cut short, no JSON at all, or never there."""
    if answer is None and isinstance(error, requests.RequestException):
        return http.failure(error, what=what)
    begins = answer.content.lstrip()[:1] if answer is not None else b""
    if begins in {b"{", b"["} and isinstance(error, requests.JSONDecodeError):
        return Unavailable(f"{what}: the answer was cut short; it is tried again")
    return _unreadable(answer, what, "is not JSON")


def describe_token(payload: object, now: datetime) -> str:
    """Put an answer of debug_token into a sentence. Raises CredentialRefused or SchemaDrift."""
    data = _inner(payload, "data") if isinstance(payload, Mapping) else {}
    if not isinstance(data.get("is_valid"), bool):
        raise SchemaDrift("facebook: debug_token does not say whether the token is valid")
    if not data["is_valid"]:
        why = SUBCODES.get(_number(_inner(data, "error").get("subcode")) or 0, "Facebook does not say why")
        raise CredentialRefused(f"facebook: the access token is refused ({why}); {NEW_TOKEN}")
    ends = [end for key in ("expires_at", "data_access_expires_at") if (end := _number(data.get(key)))]
    until = f"until {datetime.fromtimestamp(min(ends), UTC):%Y-%m-%d %H:%M} UTC" if ends else "without an end"
    days = f", {(datetime.fromtimestamp(min(ends), UTC) - now).days} days" if ends else ""
    listed = data.get("scopes")
    scopes = ", ".join(str(scope)[:60] for scope in listed) if isinstance(listed, list) and listed else "no permission"
    return f"facebook: the token is valid {until}{days}; it grants {scopes}"
