"""The connector of X, and its settings."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import requests
import tweepy

from connectors import addresses, configured, http
from connectors.base import (
    BOUNDS,
    POST_BOUND,
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
    no_later,
)
from connectors.x.billing import Bill
from monitor.model import Account, Cause, Json, Media, MediaKind, Post, PostKind, Profile
from monitor.settings import Network, Secret

USUAL = "https://api.x.com"
ORIGINS = ("https://api.twitter.com", "https://api.x.com")  # what tweepy hard-codes, then and now
T = TypeVar("T")
EPOCH_MS = 1_288_834_974_657  # a snowflake id counts milliseconds from here
FIRST_SNOWFLAKE = 1 << 40
SETTLED = timedelta(minutes=15)  # until then an id may still appear below the newest one
LOOKED_IN_VAIN = timedelta(days=1)  # until a newest post that X no longer shows is taken for gone; it costs nothing
AHEAD = timedelta(minutes=5)  # how far another clock may be before ours
PAGE_SIZE = 100
BARREN = 2  # pages in a row that show nothing new: a server that never ends its list
FIRST_TIME = datetime(2010, 11, 6, tzinfo=UTC)  # X takes no start_time from before
JUST_NOW = timedelta(seconds=15)  # nor an end_time of the last ten seconds
DEPTH = 3200  # posts of a timeline that X gives back
TWEET_FIELDS = [
    "id",
    "text",
    "created_at",
    "edit_history_tweet_ids",
    "note_tweet",
    "referenced_tweets",
    "attachments",
    "entities",
    "lang",
    "in_reply_to_user_id",
]
EXPANSIONS = [
    "attachments.media_keys",
    "attachments.poll_ids",
    "referenced_tweets.id",
    "referenced_tweets.id.attachments.media_keys",
]
MEDIA_FIELDS = ["media_key", "type", "url", "preview_image_url", "alt_text", "variants"]
POST_PARAMETERS: Mapping[str, Any] = {
    "tweet_fields": TWEET_FIELDS,
    "expansions": EXPANSIONS,
    "media_fields": MEDIA_FIELDS,
    "poll_fields": ["options"],
}
# The same in the words of X's document 2.167 (July 2026), for a server that refuses the old ones. tweepy knows none of
# them, so the fields travel with the session.
RENAMED_PARAMETERS: Mapping[str, Any] = {
    **{key: value for key, value in POST_PARAMETERS.items() if key not in {"tweet_fields", "expansions"}},
    "expansions": ["attachments.media_keys", "attachments.poll_ids", "referenced_posts"],
}
RENAMED_FIELDS: Mapping[str, str] = {"post.fields": "id,text,created_at,note_post,attachments,entities,lang"}
REPOSTS = frozenset({"retweeted", "reposted"})
SHOWN_INSIDE = REPOSTS | {"quoted"}  # references whose text is part of the post; what a reply answers is not
OWN = ("id", "text", "note_tweet", "note_post")  # an edit has an id of its own
USER_FIELDS = ["id", "name", "username", "description", "profile_image_url", "verified", "protected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XSettings:
    bearer_token: Secret = field(default_factory=Secret)
    base_url: str = USUAL
    monthly_posts: int = 0  # posts that may be read in a calendar month; 0: no limit of ours
    monthly_budget: int = 0  # dollars that X may bill in a calendar month; 0: no limit of ours

    def problems(self) -> configured.Problems:
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=USUAL),
            bearer_token=configured.token_mistake(self.bearer_token),
        )


class XConnector:
    platform: ClassVar[str] = "x"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True, slices=True)
    Settings: ClassVar[type[XSettings]] = XSettings
    credentials: ClassVar[tuple[str, ...]] = ("bearer_token",)
    obtain: ClassVar[str] = (
        "The app-only bearer token of an app on developer.x.com (pay per use or Basic), in "
        "connectors.x.bearer_token_file; no permission of the agencies."
    )

    def __init__(
        self,
        settings: XSettings,
        network: Network,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._token = settings.bearer_token
        self._bounds = bounds
        self._client = tweepy.Client(
            bearer_token=self._token.reveal() or None, return_type=requests.Response, wait_on_rate_limit=False
        )
        session = http.open_session(base_url=settings.base_url, network=network, replaces=ORIGINS, credential=True)
        session.hooks["response"].append(self._keep)
        self._bill = Bill()
        self._monthly = {"posts": float(settings.monthly_posts), "dollars": float(settings.monthly_budget)}
        self._answers = threading.local()  # `last` is a thread's last answer
        self._client.session = session
        self._parameters = POST_PARAMETERS  # until X refuses them

    def resolve(self, account: Account) -> Profile:
        found = self.resolve_many([account])[account.id]
        if isinstance(found, ConnectorError):
            raise found
        return found

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why it has none, by account id; 100 a call. Raises ConnectorError."""
        answers: dict[int, Profile | ConnectorError] = {}
        for part in _parts([a for a in accounts if a.native_id]):
            payload = self._users("ids", "id", [a.native_id for a in part])
            answers |= _profiles(payload, {a.native_id: a for a in part}, "id")
        named, unusable = _named([a for a in accounts if not a.native_id])
        for part in _parts(named):
            payload = self._users("usernames", "username", [_username(a) for a in part])
            answers |= _profiles(payload, {_username(a).casefold(): a for a in part}, "username")
        return answers | unusable

    def _users(self, many: str, one: str, names: Sequence[str]) -> Json:
        """Look users up in one call; where the server has only the single look-up, one by one."""
        try:
            asked: dict[str, Any] = {many: list(names), "user_fields": USER_FIELDS}
            return self._ask("x: profiles", self._client.get_users, now=datetime.now(UTC), **asked)
        except AccountNotFound:  # a look-up of many answers 200 for unknown names: it is the path that is not there
            found: dict[str, list[Json]] = {"data": [], "errors": []}
            for name in names:
                answer = self._user(one, name)
                user = answer.get("data")
                found["data"] += [user] if isinstance(user, dict) else _list(answer, "data")
                found["errors"] += _list(answer, "errors")
            return found

    def _user(self, one: str, name: str) -> Json:
        try:
            asked: dict[str, Any] = {one: name, "user_fields": USER_FIELDS}
            return self._ask(f"x/{name}", self._client.get_user, now=datetime.now(UTC), **asked)
        except AccountNotFound:
            return {}

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        if not account.native_id:
            account = replace(account, native_id=self.resolve(account).native_id)
        walk = Walk(
            start=dict(cursor) if cursor and not _is_ahead(str(cursor.get("newest_id", "")), now) else {},
            account=account,
            overlap=self._bounds.overlap,
            page_limit=self._bounds.page_limit,
            back_catalogue=self._bounds.back_catalogue,
            live_from=(account.registered_at or now) - self._bounds.live_window,
            now=now,
        )
        page = walk.take(self._timeline(account, walk.bounds, None, now))
        yield page
        while not page.last:
            page = walk.take(self._timeline(account, walk.bounds, walk.token, now))
            yield page

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of [start, end), newest first. Raises ConnectorError.

        X gives back the newest 3,200 posts of a timeline, and says nothing of it where a stretch lies deeper: only a
        post from below the stretch proves that it was read to its end.
        """
        if not account.native_id:
            account = replace(account, native_id=self.resolve(account).native_id)
        bounds = _between(start, end, now)
        token, seen, barren, oldest, hollow = None, set[str](), 0, end, False
        while True:
            payload = self._timeline(account, bounds, token, now)
            posts, following = parse_timeline(payload), _object(payload, "meta").get("next_token")
            ids = {item["id"] for item in _items(payload)}
            barren = 0 if ids - seen else barren + 1
            seen |= ids
            reached = min(map(_listed_at, posts), default=None)
            oldest = min(filter(None, (oldest, reached)))
            token = following if isinstance(following, str) and following and barren < BARREN else None
            hollow |= token is not None and not ids  # an empty page among others: perhaps a passing fault
            if token is not None:
                yield Page(posts=posts, cursor={}, last=False, reached=reached)
                continue
            proven = not (following or hollow) and end <= now - JUST_NOW and self._reaches_below(account, start, now)
            gap = None if proven else Gap(start=start, end=max(oldest, start), cause=Cause.BURST)
            yield Page(posts=posts, cursor={}, last=True, gap=gap, reached=reached)
            return

    def _reaches_below(self, account: Account, start: datetime, now: datetime) -> bool:
        """Say whether X gives back anything from before `start`; before its own beginning there is nothing."""
        if start < FIRST_TIME:
            return True
        payload = self._timeline(account, {"end_time": _in_seconds(start), "max_results": "5"}, None, now)
        return bool(_items(payload))

    def _timeline(self, account: Account, bounds: Mapping[str, str], token: str | None, now: datetime) -> Json:
        payload = self._ask_for_posts(
            account.label,
            self._client.get_users_tweets,
            account.native_id,
            pagination_token=token,
            now=now,
            **{"max_results": PAGE_SIZE, **bounds},
        )
        if "data" not in payload and "meta" not in payload:
            raise _withheld(payload, account)
        if not payload.get("data") and _object(payload, "meta").get("result_count") and not payload.get("errors"):
            raise SchemaDrift(f"{account.label}: X counts posts in its answer, but there are none in it")
        return payload

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 100 a call, and the newest version of edited ones. Raises ConnectorError."""
        answer = self.reread_many([Wanted(account=account, native_ids=native_ids)], now=now)[account.id]
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    def reread_many(self, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[int, Reread | ConnectorError]:
        """Read known posts of many accounts again, 100 a call, and the newest version of edited ones.

        An edited post is asked for by its first and its newest known id: X may know one of them alone.
        """
        known = _Known()
        ids = dict.fromkeys(one for each in wanted for one in _asked(each))
        try:
            for part in _parts(list(ids)):
                self._look_up(known, part, now)
            for part in _parts(sorted(known.edited)):
                self._look_up(known, part, now)
        except AccountNotFound:  # no look-up by id on this server: the timeline shows the newest ones as they are
            return {each.account.id: self._from_timeline(each, now) for each in wanted}
        return {each.account.id: _reread(each, known) for each in wanted}

    def _look_up(self, known: _Known, ids: Sequence[str], now: datetime) -> None:
        """Note the posts with these ids as they are now. Raises AccountNotFound where the server has no such look-up.

        After an error that stops the whole platform nothing more is asked.
        """
        if known.stop is not None:
            known.fail(ids, known.stop)
            return
        try:
            payload = self._tweets(ids, now)
            known.note(payload)
        except AccountNotFound:
            raise
        except ConnectorError as error:
            known.fail(ids, error)

    def _from_timeline(self, wanted: Wanted, now: datetime) -> Reread | ConnectorError:
        try:
            shown = self._shown(wanted.account, now)
        except ConnectorError as error:
            return error
        return Reread(posts=tuple(shown[one] for one in wanted.native_ids if one in shown))

    def _shown(self, account: Account, now: datetime) -> Mapping[str, Post]:
        return {post.native_id: post for post in parse_timeline(self._timeline(account, {}, None, now))}

    def _tweets(self, ids: Sequence[str], now: datetime) -> Json:
        return self._ask_for_posts("x: known posts", self._client.get_tweets, list(ids), now=now)

    def check(self) -> str:
        """Return a sentence on the token. Raises ConnectorError."""
        payload = self._ask("x: the bearer token", self._client.get_users, usernames=["X"], now=datetime.now(UTC))
        return "x: the bearer token is accepted" + ("" if _list(payload, "data") else ", but X shows no account to it")

    def _ask_for_posts(
        self, what: str, call: Callable[..., requests.Response], *args: Any, now: datetime, **more: Any
    ) -> Json:
        """Ask with what is to be shown of a post: where X refuses the old names, with the new ones from then on.

        Raises ConnectorError.
        """
        parameters = self._parameters
        try:
            return self._ask(what, call, *args, now=now, **parameters, **more)
        except SchemaDrift:
            if parameters is RENAMED_PARAMETERS or not _refuses_names(self._answers.last):
                raise
        self._client.session.params = dict(RENAMED_FIELDS)
        self._parameters = RENAMED_PARAMETERS
        return self._ask(what, call, *args, now=now, **RENAMED_PARAMETERS, **more)

    def _ask(
        self,
        what: str,
        call: Callable[..., requests.Response],
        *args: Any,
        now: datetime,
        **parameters: Any,
    ) -> Json:
        """Make one call and return its JSON object. Raises ConnectorError by the table below."""
        if not self._token:
            raise ConnectorMisconfigured(
                "connectors.x.bearer_token_file: is not set; write the app's bearer token into a file and name it there"
            )
        self._answers.last = None
        try:
            response = call(*args, **parameters)
        except tweepy.TweepyException as error:
            raise from_tweepy(error, what=what, now=now) from None
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        except (
            AttributeError,
            TypeError,
            ValueError,
            RecursionError,
        ):  # tweepy trips over an error's body before it raises
            raise from_answer(self._answers.last, what=what, now=now) from None
        payload = http.json_body(response, what=what)
        if not isinstance(payload, dict) or not ({"data", "meta", "errors"} & payload.keys()):
            raise SchemaDrift(f"{what}: the answer has neither data nor meta nor errors")
        self._bill.count(payload)
        return payload

    def _keep(self, response: requests.Response, **_: Any) -> None:
        self._answers.last = response
        self._bill.note(urlsplit(response.url).path, response.headers, datetime.now(UTC))

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what the last answers said of the app's calls, each way of reading by itself."""
        return self._bill.allowances()

    def spent(self) -> Mapping[str, float]:
        """Return what X has billed since this was built: posts, and dollars."""
        return self._bill.spent()

    def monthly(self) -> Mapping[str, float]:
        """Return what the administrator lets it spend in a month."""
        return {name: limit for name, limit in self._monthly.items() if limit}


@dataclass(slots=True)
class _Known:
    """What look-ups by id have shown so far, of all accounts."""

    posts: dict[str, Post] = field(default_factory=dict)  # by native id, as they are now
    missing: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    edited: dict[str, str] = field(default_factory=dict)  # id of a newer version than was shown → native id
    failed: dict[str, ConnectorError] = field(default_factory=dict)
    stop: ConnectorError | None = None

    def note(self, payload: Json) -> None:
        """Raises SchemaDrift."""
        self.posts |= {post.native_id: post for post in parse_timeline(payload)}
        self.missing |= _missing(payload)
        self.hidden |= _hidden(payload)
        histories = {item["id"]: _history(item) for item in _items(payload)}
        self.edited |= {one[-1]: one[0] for one in histories.values() if one[-1] not in histories}

    def fail(self, ids: Sequence[str], error: ConnectorError) -> None:
        self.failed |= {self.edited.get(one, one): error for one in ids}
        self.stop = error if error.whole_platform else None


def _asked(wanted: Wanted) -> list[str]:
    return [*wanted.native_ids, *(wanted.newest[one] for one in wanted.native_ids if one in wanted.newest)]


def _reread(wanted: Wanted, known: _Known) -> Reread | ConnectorError:
    """Return what the look-ups say of one account's posts, or why they say nothing."""
    failure = next((known.failed[one] for one in _asked(wanted) if one in known.failed), None)
    if failure is not None:
        return failure
    newest = {one: wanted.newest.get(one, one) for one in wanted.native_ids}
    posts = {one: known.posts[one] for one in newest if one in known.posts}
    missing = frozenset(one for one in newest if {one, newest[one]} <= known.missing) - posts.keys()
    hidden = frozenset(one for one in newest if {one, newest[one]} & known.hidden) - posts.keys()
    return Reread(posts=tuple(posts.values()), missing=missing, hidden=hidden)


@dataclass(slots=True, kw_only=True)
class Walk:
    """One pull's way from the newest post to what is known: pure, it is fed answers and says when it ends."""

    start: Mapping[str, Any]
    account: Account
    overlap: timedelta
    page_limit: int
    back_catalogue: int
    live_from: datetime  # older posts are back catalogue: how many of them are read is a choice
    now: datetime
    token: str | None = None
    _pages: int = 0
    _barren: int = 0  # pages in a row that showed nothing new: the walk gets nowhere
    _newest: str = ""
    _newest_at: datetime | None = None
    _reached: datetime | None = None
    _is_back_catalogue: bool = False  # the last page with posts lay in it as a whole
    _ids: set[str] = field(default_factory=set)

    @property
    def bounds(self) -> Mapping[str, str]:
        return since(self.start, overlap=self.overlap)

    def take(self, payload: Json) -> Page:
        """Return the page of one answer, the last one with the new cursor. Raises SchemaDrift."""
        posts = parse_timeline(payload)
        ids = [item["id"] for item in _items(payload)]
        self._pages += 1
        self._barren = 0 if set(ids) - self._ids else self._barren + 1
        self._ids |= set(ids)
        self._newest = max([self._newest, *(one for one in ids if not _is_ahead(one, self.now))], key=_as_number)
        self._newest_at = max([*(post.published_at for post in posts), *filter(None, [self._newest_at])], default=None)
        self._reached = min([*map(_listed_at, posts), *filter(None, [self._reached])], default=None)
        if posts:
            self._is_back_catalogue = max(post.published_at for post in posts) < self.live_from
        token = _object(payload, "meta").get("next_token")
        self.token = token if isinstance(token, str) and token else None
        hollow = self._pages > 1 and not ids  # a page was promised and nothing came: perhaps a passing fault
        ended = (self.token is None and len(self._ids) < DEPTH and not hollow) or self._met(ids, posts)
        complete = ended or self._is_deep_enough()
        cut = self.token is None or self._barren > 1 or self._pages >= self.page_limit or len(self._ids) >= POST_BOUND
        if not complete and not cut:
            return Page(posts=posts, cursor=self.start, last=False)
        gap = None if complete else self._gap()
        heals = ended and self._begins_below_the_lost()
        return Page(posts=posts, cursor=self._with_lost(gap, heals=heals), last=True, gap=gap, heals=heals)

    def _with_lost(self, gap: Gap | None, *, heals: bool) -> Cursor:
        """Return the cursor, which remembers the newest id known before posts were lost, until they are read."""
        lost = self.start.get("lost_after", self.start.get("newest_id", "") if gap else None)
        kept = {key: value for key, value in self._cursor().items() if key != "lost_after"}
        return kept if lost is None or heals else {**kept, "lost_after": lost}

    def _begins_below_the_lost(self) -> bool:
        lost, bound = self.start.get("lost_after"), self.bounds.get("since_id")
        return lost is not None and (not self.bounds or 0 < _as_number(bound or "") <= _as_number(str(lost)))

    def _met(self, ids: Sequence[str], posts: Sequence[Post]) -> bool:
        """Say whether a whole page lies below the bound: a server may not honour it."""
        bounds = self.bounds
        if not ids or not bounds:
            return False
        if "since_id" in bounds:
            return max(map(_as_number, ids)) <= _as_number(bounds["since_id"])
        return max(post.published_at for post in posts) < datetime.fromisoformat(bounds["start_time"])

    def _is_deep_enough(self) -> bool:
        return not self.bounds and self._is_back_catalogue and len(self._ids) >= self.back_catalogue

    def _cursor(self) -> Cursor:
        newest = max(self._newest, str(self.start.get("newest_id", "")), key=_as_number)
        if newest == self.start.get("newest_id", ""):
            # An empty answer to a look back shows not even the newest post: gone, or the answer was a fault.
            patience = self.overlap if self._ids else max(self.overlap, LOOKED_IN_VAIN)
            looked_back = newest and is_settled(self.start, now=self.now, overlap=patience)
            return {"v": 1, **self.start} | ({"settled": True} if looked_back else {})
        newest_at = min(self._newest_at, self.now).isoformat() if self._newest_at else self.start.get("newest_at")
        return {"v": 1, "newest_id": newest, "newest_at": newest_at, "found_at": self.now.isoformat()}

    def _gap(self) -> Gap | None:
        """Name what lies between the known and the oldest post reached; None when the walk came so far.

        By ids, where something is known: a post may bear a time of long before it appeared.
        """
        reached = self._reached or self.now
        oldest = min(map(_as_number, self._ids), default=0)
        if 0 < oldest <= _as_number(str(self.start.get("newest_id", ""))) or (
            not self.bounds and self._is_back_catalogue
        ):
            return None
        known = self.start.get("newest_at")
        begin = datetime.fromisoformat(known) if known else self.account.registered_at
        return Gap(start=begin if begin and begin < reached else None, end=reached, cause=Cause.BURST)


def _listed_at(post: Post) -> datetime:
    """Return where a post stands in its timeline, which goes by ids: an edit has one of its own."""
    return post.edited_at or post.published_at


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


def _refuses_names(response: requests.Response | None) -> bool:
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
    retry_at = _reset(response, now) if known is RateLimited else None
    if known is Unavailable and response is not None:
        retry_at = http.retry_after(response.headers, now)
    return known(f"{what}: {sentence} (HTTP {status or 'unknown'})", retry_at=retry_at)


def _reset(response: requests.Response | None, now: datetime) -> datetime | None:
    headers = response.headers if response is not None else {}
    seconds = str(headers.get("x-rate-limit-reset", ""))
    if re.fullmatch(r"\d{9,11}", seconds):
        return no_later(datetime.fromtimestamp(int(seconds), UTC), now)
    return http.retry_after(headers, now)


def since(cursor: Mapping[str, Any], *, overlap: timedelta) -> dict[str, str]:
    """Return the lower bound of a timeline read: nothing at first, then since_id (or start_time for ids of no date).

    While an id may still appear below the newest one, a stretch before it is read again; once more after that, however
    long the pause was; later it costs nothing.
    """
    newest = str(cursor.get("newest_id", ""))
    if not newest or cursor.get("v") != 1:
        return {}
    if cursor.get("settled"):
        return {"since_id": newest}
    if _as_number(newest) >= FIRST_SNOWFLAKE:
        back = int(overlap.total_seconds() * 1000) << 22
        return {"since_id": str(max(1, _as_number(newest) - back))}
    if cursor.get("newest_at"):
        at = datetime.fromisoformat(cursor["newest_at"]) - overlap
        return {"start_time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"since_id": newest}


def is_settled(cursor: Mapping[str, Any], *, now: datetime, overlap: timedelta) -> bool:
    """Say whether the newest post was found so long ago that no id appears below it any more."""
    found_at = cursor.get("found_at")
    return bool(found_at) and abs(now - datetime.fromisoformat(str(found_at))) >= max(SETTLED, overlap)


def _between(start: datetime, end: datetime, now: datetime) -> Mapping[str, str]:
    """Return the bounds of a stretch as X takes them: whole seconds, none from before its time or just now."""
    until = min(end, now - JUST_NOW)
    begin = min(start, until - timedelta(seconds=1))
    bounds = {"end_time": _in_seconds(until)}
    return bounds if begin < FIRST_TIME else {"start_time": _in_seconds(begin), **bounds}


def _in_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), 100):
        yield items[begin : begin + 100]


def _as_number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,25}", text) else 0


def _is_ahead(native_id: str, now: datetime) -> bool:
    """Say whether an id is one of the future: as the newest it would hide everything that comes before its time."""
    latest = int((now + AHEAD).timestamp() * 1000) - EPOCH_MS
    return _as_number(native_id) >> 22 > latest


def _username(account: Account) -> str:
    handle = account.handle.strip() or account.url
    if "/" in handle:
        named = addresses.match(handle)
        return named[1] if named and named[0] == "x" else ""
    return handle.removeprefix("@")


def _named(accounts: Sequence[Account]) -> tuple[list[Account], dict[int, Profile | ConnectorError]]:
    """Part accounts from those whose handle X would refuse: one of them fails the call for a hundred."""
    named = [a for a in accounts if re.fullmatch(r"[A-Za-z0-9_]{1,15}", _username(a))]
    unusable: dict[int, Profile | ConnectorError] = {
        a.id: AccountNotFound(f"{a.label}: is no X username (1 to 15 of A-Z, 0-9, _); correct the handle")
        for a in accounts
        if a not in named
    }
    return named, unusable


# ---------------------------------------------------------------- payloads


def _list(payload: Json, key: str) -> list[Json]:
    """Return a list of objects; absent is empty. Raises SchemaDrift for anything else."""
    value = payload.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise SchemaDrift(f"x: '{key}' is no list of objects")
    return value


def _object(payload: Json, key: str) -> Json:
    """Return an object; absent is empty. Raises SchemaDrift for anything else."""
    value = payload.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SchemaDrift(f"x: '{key}' is no object")
    return value


def _items(payload: Json) -> list[Json]:
    items = _list(payload, "data")
    for item in items:
        if not isinstance(item.get("id"), str) or not isinstance(item.get("text"), str):
            raise SchemaDrift("x: a post without id or text")
    return items


def _spelling(item: Json, old: str, new: str) -> str:
    """Return the name a field goes by: X renamed tweet to post between July and August 2026."""
    return old if item.get(old) is not None else new


def _history(item: Json) -> list[str]:
    """Return the ids of a post's versions, oldest first."""
    history = item.get(_spelling(item, "edit_history_tweet_ids", "edit_history_post_ids"))
    if history is None:
        return [item["id"]]
    if not isinstance(history, list) or not history or not all(isinstance(one, str) for one in history):
        raise SchemaDrift("x: a post's edit history is no list of ids")
    return sorted(history, key=_as_number)


def _missing(payload: Json) -> set[str]:
    """Return the ids that X says do not exist; one it may not show is not missing."""
    return {_named_in(error) for error in _list(payload, "errors") if _is_not_found(error)} - {""}


def _hidden(payload: Json) -> set[str]:
    """Return the ids of what is there, but not for us: of a protected or suspended account, or withheld."""
    return {_named_in(error) for error in _list(payload, "errors") if not _is_not_found(error)} - {""}


def _is_not_found(error: Json) -> bool:
    """Say whether a thing does not exist: a suspended user has the same type, with another title."""
    return str(error.get("type", "")).endswith("resource-not-found") and error.get("title") != "Forbidden"


def _named_in(error: Json) -> str:
    return str(error.get("resource_id") or error.get("value") or "")


def _withheld(payload: Json, account: Account) -> ConnectorError:
    """Return why an answer has errors instead of posts."""
    if any(_is_not_found(error) for error in _list(payload, "errors")):
        return AccountNotFound(f"{account.label}: X knows no such account any more; correct the register")
    return PermissionMissing(f"{account.label}: suspended or protected; X does not show it")


def _profiles(payload: Json, asked: Mapping[str, Account], key: str) -> dict[int, Profile | ConnectorError]:
    found = {str(user.get(key, "")).casefold(): user for user in _list(payload, "data")}
    denied = {_named_in(e).casefold() for e in _list(payload, "errors") if not _is_not_found(e)}
    answers: dict[int, Profile | ConnectorError] = {}
    for name, account in asked.items():
        if name in found:
            answers[account.id] = parse_profile(found[name])
        elif name in denied:
            answers[account.id] = PermissionMissing(f"{account.label}: suspended or protected; X does not show it")
        else:
            answers[account.id] = AccountNotFound(f"{account.label}: X knows no such account; check the handle")
    return answers


def parse_profile(user: Mapping[str, Any]) -> Profile:
    """Map a user object. Raises SchemaDrift without id or username."""
    if not user.get("id") or not user.get("username"):
        raise SchemaDrift("x: a user without id or username")
    return Profile(
        native_id=str(user["id"]),
        name=str(user.get("name", "")),
        handle=str(user["username"]),
        bio=str(user.get("description") or ""),
        picture_url=str(user.get("profile_image_url") or ""),
    )


def parse_timeline(payload: Json) -> tuple[Post, ...]:
    """Map an answer of posts, newest version of each. Raises SchemaDrift on posts without id, text or time."""
    if not isinstance(payload, dict) or not ({"data", "meta", "errors"} & payload.keys()):
        raise SchemaDrift("x: an answer without posts, meta or errors")
    included = _object(payload, "includes")
    known = {str(one.get("media_key") or one.get("id")): one for one in _included(included)}
    newest: dict[str, Post] = {}
    for item in sorted(_items(payload), key=lambda i: _as_number(i["id"])):
        post = parse_post(item, known)
        newest[post.native_id] = post
    return tuple(newest.values())


def _included(included: Json) -> list[Json]:
    """Return media, polls and posts that others of the answer refer to; a key or id is one of its kind only."""
    posts = _list(included, _spelling(included, "tweets", "posts"))
    return [*posts, *_list(included, "media"), *_list(included, "polls")]


def parse_post(item: Json, known: Mapping[str, Json]) -> Post:
    """Map one post; `known` is what the answer includes, by id or media key. Raises SchemaDrift."""
    first = _history(item)[0]
    created = _time(item.get("created_at"), item["id"])
    is_edited = item["id"] != first
    kind = _kind(item)
    shown = _reposted(item, known) if kind is PostKind.REPOST else item
    return Post(
        native_id=first,
        url=f"https://x.com/i/status/{item['id']}",
        published_at=_time(None, first, default=created) if is_edited else created,
        edited_at=created if is_edited else None,
        text=_text(shown, known),
        kind=kind,
        language=str(item.get("lang") or ""),
        media=tuple(_media(one) for one in _attached(shown, "media_keys", known)),
        links=tuple(dict.fromkeys((*_links(item), *_links(shown)))),
        raw=dict(item),
        own={key: item[key] for key in OWN if key in item} if _lacks(item, shown, known) else None,
    )


def _lacks(item: Json, shown: Json, known: Mapping[str, Json]) -> bool:
    """Say whether the answer leaves out a post, picture or poll that belongs to what a reader sees."""
    attached = _object(shown, "attachments")
    lists = [keys for keys in (attached.get("media_keys"), attached.get("poll_ids")) if isinstance(keys, list)]
    inside = [one.get("id") for one in _references(item) if one.get("type") in SHOWN_INSIDE]
    return any(str(one) not in known for one in [*inside, *(key for keys in lists for key in keys)])


def _attached(item: Json, key: str, known: Mapping[str, Json]) -> list[Json]:
    keys = _object(item, "attachments").get(key)
    return [known[str(one)] for one in (keys if isinstance(keys, list) else ()) if str(one) in known]


def _text(item: Json, known: Mapping[str, Json]) -> str:
    """Return a post's whole text: the long one where there is one, the choices of a poll, and what it quotes."""
    polls = _attached(item, "poll_ids", known)
    choices = [str(choice.get("label") or "") for poll in polls for choice in _list(poll, "options")]
    quoted = [known.get(str(one.get("id"))) for one in _references(item) if one.get("type") == "quoted"]
    return "\n\n".join(["\n".join([_own_text(item), *choices]), *(_own_text(one) for one in quoted if one)])


def _own_text(item: Json) -> str:
    """Return a post's own words. X writes `&`, `<` and `>` as HTML does, and nothing else."""
    note = _object(item, _spelling(item, "note_tweet", "note_post"))
    text = str(note.get("text") or item.get("text") or "")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _references(item: Json) -> list[Json]:
    return _list(item, _spelling(item, "referenced_tweets", "referenced_posts"))


def _reposted(item: Json, known: Mapping[str, Json]) -> Json:
    """Return the post that is passed on: the repost's own text is cut off."""
    ids = [str(one.get("id")) for one in _references(item) if one.get("type") in REPOSTS]
    return next((known[one] for one in ids if one in known), item)


def _kind(item: Json) -> PostKind:
    kinds = {str(one.get("type")) for one in _references(item)}
    if kinds & REPOSTS:
        return PostKind.REPOST
    if "quoted" in kinds:
        return PostKind.QUOTE
    return PostKind.REPLY if "replied_to" in kinds or item.get("in_reply_to_user_id") else PostKind.ORIGINAL


def _time(text: object, native_id: str, default: datetime | None = None) -> datetime:
    """Return when a post was made, by its own word, else by its id. Raises SchemaDrift when neither says so."""
    number = _as_number(native_id)
    try:
        if isinstance(text, str):
            said = datetime.fromisoformat(text)
            return said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=UTC)
        if number >= FIRST_SNOWFLAKE:
            return datetime.fromtimestamp(((number >> 22) + EPOCH_MS) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise SchemaDrift("x: a post whose created_at is no time") from None
    if default is None:
        raise SchemaDrift("x: a post without created_at")
    return default


def _media(item: Json) -> Media:
    alt = str(item.get("alt_text") or "")
    if item.get("type") == "photo":
        return Media(kind=MediaKind.PICTURE, url=str(item.get("url") or ""), text=alt)
    return Media(kind=MediaKind.VIDEO, url=str(item.get("preview_image_url") or ""), text=alt)


def _links(item: Json) -> tuple[str, ...]:
    note = _object(item, _spelling(item, "note_tweet", "note_post"))
    urls = [*_list(_object(item, "entities"), "urls"), *_list(_object(note, "entities"), "urls")]
    found = (u.get("unwound_url") or u.get("expanded_url") or u.get("url") for u in urls)
    return tuple(dict.fromkeys(str(u) for u in found if u))
