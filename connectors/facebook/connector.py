"""The connector of Facebook Pages, and its settings."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import facebook
import requests

from connectors import configured, http
from connectors.addresses import facebook as addresses
from connectors.addresses.parts import named_by
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Allowance,
    Bounds,
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
    Wanted,
)
from connectors.facebook import groups
from connectors.facebook.groups import WIDEST_WINDOW, Asked
from connectors.graph.answers import (
    describe_token,
    end_of_token,
    following,
    has_next,
    items_of,
    time_of,
    without_credentials,
)
from connectors.graph.budget import Budget, free_again, parse_usage
from connectors.graph.refusals import FACEBOOK, NEW_TOKEN, Refusal, is_too_much, lacks_way, parse_refusal, verdict
from connectors.payload import inner, parts, string
from connectors.remembered import Belief
from connectors.walk import Listed, Walk, begin_walk
from monitor.model import Account, Cause, Json, Media, MediaKind, Post, PostKind, Profile
from monitor.settings import Network, Secret

ORIGIN = "https://graph.facebook.com"  # what the SDK writes into every address
USUAL_VERSION = "v26.0"
USERNAME = r"[\w.\-]+"  # or a page's number
POST_FIELDS = (
    "id,message,story,created_time,updated_time,permalink_url,from,full_picture,is_published,is_hidden,status_type,"
    "parent_id,message_tags,attachments{media_type,url,unshimmed_url,title,description,media,subattachments}"
)
PROFILE_FIELDS = "id,name,username,about,description,picture{url}"
BASIC_PROFILE_FIELDS = "id,name,username"
PAGE_SIZE = 100
IDS_PER_CALL = 50
TRIES_WITHOUT = 3  # calls for many objects that are asked again without the bad one
NARROW_WINDOW = timedelta(days=30)
MOST_TRIES = 16  # of one group whose call was refused: enough to single out one page of fifty
FEWEST = 2  # pages that are asked for in one call
SPOILS_FOR = timedelta(days=1)
BATCHED_POSTS = 25  # of a page in a batch; whoever has more new ones is pulled alone
EDGES = ("published_posts", "posts", "feed")  # a page may show itself to a token by the later ones only
GONE_POST: Json = {"is_published": False}
DOCUMENT_SUFFIXES = (".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".rtf", ".csv")
DOCUMENT_TYPES = frozenset({"file", "file_upload", "document"})
OWN_MEDIA = frozenset({"photo", "album", "video", "profile_media", "cover_photo", "new_album", "video_inline"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FacebookSettings:
    access_token: Secret = field(default_factory=Secret)
    app_secret: Secret = field(default_factory=Secret)
    api_version: str = USUAL_VERSION
    base_url: str = ORIGIN

    def problems(self) -> configured.Problems:
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=ORIGIN),
            api_version=configured.graph_version_mistake(self.api_version, usual=USUAL_VERSION),
            access_token=configured.token_mistake(self.access_token),
            app_secret=configured.token_mistake(self.app_secret),
        )


# ---------------------------------------------------------------- the account's name


def page_of(account: Account) -> str:
    """Return what the Graph API calls the account: its id where known, else the username. Raises AccountNotFound."""
    if account.native_id:
        return account.native_id
    page = named_by(account, addresses.handle, usable=USERNAME)
    if not page:
        message = f"{account.label}: names no Facebook page; write the page's username or numeric id as the handle"
        raise AccountNotFound(message)
    return quote(page, safe="")


# ---------------------------------------------------------------- payloads


def parse_posts(payload: object) -> tuple[Post, ...]:
    """Return the published posts of one answer of `published_posts`. Raises SchemaDrift."""
    return tuple(parse_post(item) for item in items_of(payload) if _is_published(item))


def parse_post(item: Json) -> Post:
    """Return one post of the Graph API. Raises SchemaDrift when it has no id or no time."""
    raw = without_credentials(item)
    native_id = raw.get("id")
    if not isinstance(native_id, str) or not native_id:
        raise FACEBOOK.drift("a post has no id")
    published_at = time_of(raw, "created_time")
    attachments = _attachments(raw)
    updated_at = time_of(raw, "updated_time") if raw.get("updated_time") else published_at
    return Post(
        native_id=native_id,
        url=string(raw, "permalink_url") or f"https://www.facebook.com/{native_id}",
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
    native_id, name = string(item, "id"), string(item, "name")
    if not native_id or not name:
        raise FACEBOOK.drift("a profile has no id or no name")
    about, description = string(item, "about"), string(item, "description")
    return Profile(
        native_id=native_id,
        name=name,
        handle=string(item, "username") or handle,
        bio="\n\n".join(dict.fromkeys(filter(None, (about, description)))),
        picture_url=string(inner(inner(item, "picture"), "data"), "url"),
    )


def _is_published(item: Json) -> bool:
    return item.get("is_published") is not False


def _attachments(item: Json) -> list[Json]:
    """Return the attachments, each followed by those inside it (an album's pictures)."""
    if item.get("attachments") is None:
        return []
    if not isinstance(inner(item, "attachments").get("data"), list):
        raise FACEBOOK.drift("a post's attachments hold no list (data)")
    return [
        part
        for outer in parts(item, "attachments", "data")
        for part in (outer, *parts(outer, "subattachments", "data"))
    ]


def _text(item: Json, attachments: Iterable[Json]) -> str:
    """Join the message (without one, the story) and the words of what is attached, which are published as well."""
    text = string(item, "message") or string(item, "story")
    for part in (string(a, key) for a in attachments for key in ("title", "description")):
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
    url = string(attachment, "unshimmed_url") or string(attachment, "url")
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
    return string(attachment, "media_type") or string(attachment, "type")


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
    if not any(media.kind is MediaKind.PICTURE for media in found) and string(item, "full_picture"):
        found.append(Media(kind=MediaKind.PICTURE, url=string(item, "full_picture")))
    return tuple({media.url: media for media in reversed(found)}.values())[::-1]


def _media_of(attachment: Json) -> Iterator[Media]:
    words = string(attachment, "description") or string(attachment, "title")
    picture = string(inner(inner(attachment, "media"), "image"), "src")
    if picture and not parts(attachment, "subattachments", "data"):  # an album's own picture is its first one again
        yield Media(kind=MediaKind.PICTURE, url=picture, text=words)
    video = string(inner(attachment, "media"), "source")
    if video or _kind(attachment).startswith("video"):
        yield Media(kind=MediaKind.VIDEO, url=video or _target(attachment), text=words)
    if _is_document(attachment) and _target(attachment):
        yield Media(kind=MediaKind.DOCUMENT, url=_target(attachment), text=words)


# ---------------------------------------------------------------- the walk


@dataclass(slots=True, kw_only=True)
class Way:
    """A walk along a page's posts, with what the Graph API must be asked for next."""

    walk: Walk
    limit: int = PAGE_SIZE
    only: str = ""  # the page's id, where visitors' posts stand among its own
    _next: Mapping[str, str] = field(default_factory=dict)

    def question(self) -> dict[str, str]:
        """Return the parameters of the next call."""
        asked: dict[str, str] = {"fields": POST_FIELDS, "limit": str(self.limit)}
        left, since = self.walk.left, self.walk.since
        if left is not None:
            asked["limit"] = str(min(self.limit, left) if left > 0 else self.limit)
        elif since is not None and self.walk.now - since < WIDEST_WINDOW:
            asked["since"] = str(int(since.timestamp()))
        return asked | dict(self._next)

    def take(self, payload: object) -> Page:
        """Return the page of one answer. Raises SchemaDrift."""
        self._next = following(payload)
        return self.walk.take(parse_listing(payload, only=self.only))


@dataclass(slots=True, kw_only=True)
class Stretch:
    """A walk through a stretch of a page's past, with what the Graph API must be asked for next.

    A wide window misses posts that a narrow one returns, and may span six months at most: the stretch is read month by
    month; one of years, where a choice of its newest posts is wanted, from its end on without a lower bound.
    """

    start: datetime
    end: datetime
    limit: int = PAGE_SIZE
    only: str = ""
    _until: datetime | None = None  # the end of the window in hand
    _next: Mapping[str, str] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _barren: int = 0
    _hollow: bool = False  # an empty page stood among others: perhaps a passing fault

    def question(self) -> dict[str, str]:
        asked = {
            "fields": POST_FIELDS,
            "limit": str(self.limit),
            "until": str(math.ceil(self._window_end.timestamp()) - 1),
        }
        since = {} if self._is_open else {"since": str(int(self._window_start.timestamp()))}
        return asked | since | dict(self._next)

    @property
    def _window_end(self) -> datetime:
        return self._until or self.end

    @property
    def _window_start(self) -> datetime:
        return max(self.start, self._window_end - NARROW_WINDOW)

    @property
    def _is_open(self) -> bool:
        return self.end - self.start > WIDEST_WINDOW

    def take(self, payload: object) -> Page:
        """Return the page of one answer. Raises SchemaDrift."""
        answer = parse_listing(payload, only=self.only)
        self._next = following(payload)
        self._barren = 0 if answer.ids - self._ids else self._barren + 1
        self._ids |= answer.ids
        posts = tuple(post for post in answer.posts if self.start <= post.published_at < self.end)
        self._hollow |= answer.more and not answer.ids
        is_below = bool(answer.times) and max(answer.times) < self._window_start and not self._is_open
        is_through = (
            not answer.more or is_below or (self._is_open and bool(answer.times) and max(answer.times) < self.start)
        )
        if not is_through and self._barren < 2:
            return Page(posts=posts, cursor={}, last=False)
        if not is_through:
            return Page(posts=posts, cursor={}, last=True, gap=self._rest(answer))
        if self._is_open or self._window_start <= self.start:
            return Page(posts=posts, cursor={}, last=True, gap=self._rest(answer) if self._hollow else None)
        self._until, self._next, self._barren = self._window_start, {}, 0
        return Page(posts=posts, cursor={}, last=False)

    def _rest(self, answer: Listed) -> Gap:
        reached = min([self.end, *answer.times])
        return Gap(start=self.start, end=max(reached, self.start), cause=Cause.BURST)


def parse_listing(payload: object, *, only: str = "") -> Listed:
    """Return one answer of a page's edge, with the posts of `only` alone. Raises SchemaDrift."""
    items = items_of(payload)
    own = (item for item in items if _is_published(item) and _is_from(item, only))
    return Listed(
        posts=tuple(map(parse_post, own)),
        times=tuple(time_of(item, "created_time") for item in items),
        ids=frozenset(string(item, "id") for item in items),
        more=has_next(payload),
    )


def _is_from(item: Json, page: str) -> bool:
    publisher = string(inner(item, "from"), "id")
    return not page or not publisher or publisher == page


# ---------------------------------------------------------------- the connector


class _Refused(Exception):  # never leaves this module
    """An error of the Graph API with what it is for the caller."""

    def __init__(self, refusal: Refusal, error: ConnectorError) -> None:
        super().__init__(refusal.label)
        self.refusal = refusal
        self.error = error


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


class _Undecided(Exception):  # never leaves this module
    """The answer does not say whether a post is there."""


Question = Callable[[Any], Any]  # takes the SDK's GraphAPI, returns its answer


class FacebookConnector:
    """Reads Facebook Pages with one token. Thread-safe: the session, the budget and nothing else is shared."""

    platform: ClassVar[str] = "facebook"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True, slices=True)
    Settings: ClassVar[type[FacebookSettings]] = FacebookSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)
    obtain: ClassVar[str] = (
        "A system user's token of a Business app on developers.facebook.com, in connectors.facebook.access_token_file, "
        "and the app's secret in app_secret_file; pages you do not manage need the feature Page Public Content Access."
    )

    def __init__(
        self,
        settings: FacebookSettings,
        network: Network,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._settings = settings
        self._bounds = bounds
        self._timeout = network.timeout.total_seconds()
        self._token = settings.access_token.reveal().strip()
        self._budget = Budget()
        self._edges: dict[str, str] = {}  # by page: the edge that has answered
        self._spoilers: dict[str, datetime] = {}  # by page: until when it is read alone, having spoilt a call for many
        self._batchless = Belief()  # the server does not know how to answer several questions in one call
        self._singly = Belief()  # the server does not know how to read many objects in one call
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
        way = Way(walk=begin_walk(account, cursor, self._bounds, now, promises=True))
        ended = False
        while not ended:
            page = way.take(self._published_posts(account, way, now))
            yield page
            ended = page.last

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of [start, end), newest first. Raises ConnectorError."""
        way = Stretch(start=start, end=end)
        ended = False
        while not ended:
            page = way.take(self._published_posts(account, way, now))
            yield page
            ended = page.last

    def batches(self, asked: Sequence[tuple[Account, Cursor]], *, now: datetime) -> list[list[Account]]:
        """Return the pages whose newest posts one call each reads."""
        fit = [one for one in asked if self._is_plain(one[0].native_id)]
        alike, unlike = self._groups(fit, now)
        return [[account for account, _ in group] for group in [*alike, *unlike]]

    def _groups(self, asked: Sequence[Asked], now: datetime) -> tuple[list[list[Asked]], list[list[Asked]]]:
        spoilers = {page for page, until in self._spoilers.copy().items() if until > now}
        alike, unlike = groups.groups(
            asked, self._bounds, now, by_themselves=lambda page: self._singly.holds(now) or page in spoilers
        )
        return alike, [] if self._batchless.holds(now) else unlike

    def _is_plain(self, page: str) -> bool:
        return self._edges.get(page, EDGES[0]) == EDGES[0]

    def pull_many(self, asked: Sequence[tuple[Account, Cursor]], *, now: datetime) -> Mapping[int, Page]:
        """Read the newest posts of pages in one call. Whoever is missing is pulled alone. Raises ConnectorError."""
        left, batches = self._groups(asked, now)
        found: dict[int, Page] = {}
        tries = 0
        while left and tries < MOST_TRIES:
            group = left.pop()
            if len(group) > 1 and not self._singly.holds(now):
                tries += 1
                left += self._share(group, now, found)
        for batch in batches:
            found |= self._batch(batch, now)
        return found

    def _share(self, group: list[Asked], now: datetime, found: dict[int, Page]) -> list[list[Asked]]:
        """Make one call for all of them. Returns the parts to try again: one page that refuses spoils the call."""
        fields = groups.fields(group, self._bounds, now, POST_FIELDS)
        ids = [account.native_id for account, _ in group]
        try:
            payload = self._try(lambda graph: graph.get_objects(ids, fields=fields), now, what="facebook: many pages")
        except _Refused as refused:
            return self._without_spoilers(group, refused, now)
        for one in group if isinstance(payload, Mapping) else ():
            if (page := _shared_page(payload, one, self._bounds, now)) is not None:
                found[one[0].id] = page
        return []

    def _without_spoilers(self, group: list[Asked], refused: _Refused, now: datetime) -> list[list[Asked]]:
        if refused.error.whole_platform:
            raise refused.error from None
        if refused.refusal.code is None:
            if lacks_way(refused.refusal):
                self._singly.take(now)
            return []
        named = [] if is_too_much(refused.refusal) else groups.named_in(refused.refusal.message, group)
        if named:
            self._spoilers |= {account.native_id: now + SPOILS_FOR for account, _ in named}
            return [[one for one in group if one not in named]]
        if len(group) == FEWEST and not isinstance(refused.error, Unavailable):
            self._spoilers |= {account.native_id: now + SPOILS_FOR for account, _ in group}
        half = len(group) // 2
        return [group[:half], group[half:]]

    def _batch(self, group: Sequence[Asked], now: datetime) -> Mapping[int, Page]:
        """Put the questions of several pages into one call; each has its own window, answer and budget."""
        asked = [{"method": "GET", "relative_url": self._relative(one, now)} for one in group]
        try:
            answers = self._try(
                lambda graph: graph.request(f"{graph.version}/", post_args={"batch": json.dumps(asked)}),
                now,
                what="facebook: many pages",
            )
        except _Refused as refused:
            if refused.error.whole_platform:
                raise refused.error from None
            if lacks_way(refused.refusal):
                self._batchless.take(now)
            return {}
        if not isinstance(answers, list) or len(answers) != len(group):
            return {}
        pages = ((one[0].id, self._batch_page(answer, one, now)) for one, answer in zip(group, answers, strict=True))
        return {number: page for number, page in pages if page is not None}

    def _relative(self, one: Asked, now: datetime) -> str:
        question = Way(walk=begin_walk(*one, self._bounds, now)).question() | {"limit": str(BATCHED_POSTS)}
        return f"{one[0].native_id}/{EDGES[0]}?{urlencode(question)}"

    def _batch_page(self, answer: object, one: Asked, now: datetime) -> Page | None:
        """Return one page's part of a batch; None when it has to be read alone. Raises what stops all pages."""
        status, headers, payload = groups.batched(answer)
        self._budget.note(headers, one[0].native_id, now)
        if status != requests.codes.ok:
            error, sentence = verdict(refusal := parse_refusal(payload, status=status))
            if error.whole_platform:
                raise error(f"facebook: {sentence} ({refusal.label})", retry_at=free_again(parse_usage(headers), now))
            return None
        try:
            return groups.page_alone(parse_listing(payload), one, self._bounds, now)
        except SchemaDrift:
            return None  # alone it says the same, and in whose name

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 50 a call. Raises ConnectorError."""
        answer = self.reread_many([Wanted(account=account, native_ids=native_ids)], now=now)[account.id]
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    def reread_many(self, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[int, Reread | ConnectorError]:
        """Read known posts of many pages again, 50 a call. A post that is no longer published counts as missing.

        A lost permission, or a server that reads no post by id, can look like missing posts: when none of a page's is
        left, its newest posts must still be readable, and what stands among them is not missing.
        """
        owners = {one: each.account for each in wanted for one in each.native_ids}
        known: dict[str, Json | None] = {}
        failed: dict[int, ConnectorError] = {}
        stop: ConnectorError | None = None
        for part in _parts(list(owners)):
            try:
                if stop is None:
                    known |= self._known_posts(part, owners, now)
                    continue
            except ConnectorError as error:
                stop = error if error.whole_platform else None
                failed |= {owners[one].id: error for one in part}
                continue
            failed |= {owners[one].id: stop for one in part}
        return {each.account.id: failed.get(each.account.id) or self._looked(each, known, now) for each in wanted}

    def _looked(self, wanted: Wanted, known: Mapping[str, Json | None], now: datetime) -> Reread | ConnectorError:
        items = {one: known[one] for one in wanted.native_ids if one in known}
        hidden = frozenset(one for one, item in items.items() if item is None)
        try:
            posts = {one: parse_post(item) for one, item in items.items() if item is not None and _is_published(item)}
            missing = items.keys() - posts.keys() - hidden
            if wanted.native_ids and not posts:
                shown = {post.native_id: post for post in parse_posts(self._newest_posts(wanted.account, now))}
                posts = {one: shown[one] for one in wanted.native_ids if one in shown}
        except ConnectorError as error:
            return error
        seen = posts.keys()
        return Reread(posts=tuple(posts.values()), missing=frozenset(missing - seen), hidden=hidden - seen)

    def check(self) -> str:
        """Return a sentence on the token: valid, until when, for what. Raises ConnectorError."""
        now = datetime.now(UTC)
        try:
            return describe_token(self._debug_token(now), now)
        except (PermissionMissing, AccountNotFound, SchemaDrift):  # not every token may look at itself
            payload = self._ask(lambda graph: graph.get_object("me", fields="id,name"), now, what="facebook: the token")
        return f"facebook: the token is accepted, as {parse_profile(payload).name}; Facebook does not say until when"

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what the last answers said of the app's budget."""
        return self._budget.allowances()

    def expires_at(self) -> datetime | None:
        """Return when the token ends; None: it has no end, or Facebook does not tell. Raises ConnectorError."""
        try:
            return end_of_token(self._debug_token(datetime.now(UTC)))
        except (PermissionMissing, AccountNotFound, SchemaDrift):  # not every token may look at itself
            return None

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
            if refused.refusal.code is None and lacks_way(refused.refusal):
                return self._profile_by_posts(account, now, refused.error)
            if refused.refusal.code != 100 or "nonexisting field" not in refused.refusal.message:
                raise refused.error from None
            payload = self._ask(
                lambda graph: graph.get_object(page, fields=BASIC_PROFILE_FIELDS), now, what=what, page=page
            )
        return parse_profile(payload, handle=account.handle)

    def _profile_by_posts(self, account: Account, now: datetime, refused: ConnectorError) -> Profile:
        """Return id and name as the page's posts give them, for a server that shows no page by itself."""
        publishers = [inner(item, "from") for item in items_of(self._newest_posts(account, now))]
        for one in publishers:
            if string(one, "id") and string(one, "name"):
                return parse_profile(one, handle=account.handle)
        raise refused from None

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

    def _newest_posts(self, account: Account, now: datetime) -> object:
        walk = Walk(begin=None, bounds=Bounds(back_catalogue=PAGE_SIZE, page_limit=1), live_from=now, now=now)
        return self._published_posts(account, Way(walk=walk), now)

    def _published_posts(self, account: Account, way: Way | Stretch, now: datetime) -> object:
        """Read one page of posts, by the first edge that the page has for us."""
        page = page_of(account)
        known = self._edges.pop(page, "")
        refusals: list[ConnectorError] = []
        for edge in (known,) if known else EDGES:
            way.only = account.native_id if edge == "feed" else ""
            try:
                payload = self._edge(account, edge, way, now)
            except _Refused as refused:
                refusals.append(refused.error)
                if not lacks_way(refused.refusal):
                    break
            else:
                self._edges[page] = edge
                return payload
        raise refusals[0] from None

    def _edge(self, account: Account, edge: str, way: Way | Stretch, now: datetime) -> object:
        """Read one page of posts; where the API finds it too large, a smaller one."""
        page, what = page_of(account), f"{account.label}: posts"
        while True:
            asked = way.question()
            try:
                return self._try(
                    lambda graph: graph.get_connections(page, edge, **asked),  # noqa: B023 (called at once)
                    now,
                    what=what,
                    page=page,
                )
            except _Refused as refused:
                if not is_too_much(refused.refusal) or int(asked["limit"]) <= 1:
                    raise
                way.limit = int(asked["limit"]) // 2

    def _many(
        self, ids: Sequence[str], fields: str, now: datetime, *, what: str, tries: int = TRIES_WITHOUT
    ) -> Mapping[str, Json]:
        """Read objects by id in one call. What is not in the answer is to be read alone: one bad id spoils the call.

        An answer that names the bad one is asked again without it.
        """
        if self._singly.holds(now):
            return {}
        try:
            found = self._try(lambda graph: graph.get_objects(ids, fields=fields), now, what=what)
        except _Refused as refused:
            passing = isinstance(refused.error, RateLimited | CredentialRefused | Unavailable)
            if passing and not (is_too_much(refused.refusal) or lacks_way(refused.refusal)):
                raise refused.error from None
            if refused.refusal.code is None:
                self._singly.take(now)
            good = [one for one in ids if one not in refused.refusal.message]
            if tries and good and len(good) < len(ids):
                return self._many(good, fields, now, what=what, tries=tries - 1)
            return {}
        except SchemaDrift:
            return {}
        items = found.items() if isinstance(found, Mapping) else ()
        return {key: item for key, item in items if isinstance(item, Mapping) and item.get("id")}

    def _known_posts(
        self, ids: Sequence[str], owners: Mapping[str, Account], now: datetime
    ) -> Mapping[str, Json | None]:
        """Return known posts as they are now: one that is gone as not published, one withheld from us as None."""
        found = self._many(ids, POST_FIELDS, now, what="facebook: known posts")
        known: dict[str, Json | None] = {}
        for native_id in ids:
            try:
                known[native_id] = found.get(native_id) or self._post_alone(owners[native_id], native_id, now)
            except _Undecided:
                continue
        return known

    def _post_alone(self, account: Account, native_id: str, now: datetime) -> Json | None:
        """Read one post by id; None when the page does not let us see it. Raises _Undecided, and ConnectorError."""
        path, page, what = quote(native_id, safe=""), page_of(account), f"{account.label}: a known post"
        try:
            item = self._try(lambda graph: graph.get_object(path, fields=POST_FIELDS), now, what=what, page=page)
        except _Refused as refused:
            by_the_api = refused.refusal.code is not None
            if isinstance(refused.error, AccountNotFound) and by_the_api:
                return GONE_POST
            if isinstance(refused.error, PermissionMissing) and by_the_api:
                return None
            if isinstance(refused.error, AccountNotFound | PermissionMissing) or lacks_way(refused.refusal):
                raise _Undecided from None
            raise refused.error from None
        if not isinstance(item, Mapping):
            raise SchemaDrift(f"{what}: the answer is no object; {FACEBOOK.changed}")
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
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise _broken(recorder.answer, error, now, what=what) from None
        finally:
            if recorder.answer is not None:
                self._budget.note(recorder.answer.headers, page, now)
        if recorder.answer is not None and recorder.answer.status_code >= 400:
            raise _refused(recorder.answer, result, now, what=what)
        return result

    def _graph(self, recorder: _Recorder) -> Any:
        version = self._settings.api_version.strip()
        if not self._token:
            raise ConnectorMisconfigured(f"connectors.facebook.access_token: is not set; {NEW_TOKEN}")
        if not re.fullmatch(configured.GRAPH_VERSION, version):
            raise ConnectorMisconfigured('connectors.facebook.api_version: is not a version such as "v26.0"')
        graph = facebook.GraphAPI(self._token, timeout=self._timeout, session=recorder)
        graph.version = f"v{version.removeprefix('v')}"  # the SDK's own check refuses everything after 3.1
        return graph


def _shared_page(payload: Json, one: Asked, bounds: Bounds, now: datetime) -> Page | None:
    """Return one page's part of an answer for many; None when it does not prove that all was seen."""
    item = payload.get(one[0].native_id)
    edge = item.get("published_posts") if isinstance(item, Mapping) else None
    if not isinstance(edge, Mapping):
        return None  # an edge without posts is left out, and so may be one that the token must not see
    try:
        return groups.page_shared(parse_listing(edge), one, bounds, now)
    except SchemaDrift:
        return None  # alone it says the same, and in whose name


def _open_session(settings: FacebookSettings, network: Network) -> requests.Session:
    session = http.open_session(base_url=settings.base_url, network=network, replaces=(ORIGIN,), credential=True)
    if settings.app_secret:
        key, token = settings.app_secret.reveal().strip(), settings.access_token.reveal().strip()
        session.params = {"appsecret_proof": hmac.new(key.encode(), token.encode(), hashlib.sha256).hexdigest()}
    return session


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), IDS_PER_CALL):
        yield ids[begin : begin + IDS_PER_CALL]


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


def _broken(answer: requests.Response | None, error: Exception, now: datetime, *, what: str) -> Exception:
    """Say what an answer is that the SDK could not take apart: never there, refused by its status, or cut short."""
    if answer is None and isinstance(error, requests.RequestException):
        return http.failure(error, what=what)
    if answer is not None and answer.status_code >= 400:
        return _refused(answer, None, now, what=what)
    if isinstance(error, requests.JSONDecodeError):
        return Unavailable(f"{what}: the answer was cut short; it is tried again")
    return SchemaDrift(f"{what}: the answer is not what the Graph API sends; base_url may lead elsewhere")
