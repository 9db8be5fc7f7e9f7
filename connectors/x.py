"""X (Twitter) by its API v2, through tweepy: user timelines, profiles, and posts read again by id.

Facts: api.x.com documents as gathered in the design's platforms.md. Timelines page newest first; an empty poll costs
nothing under pay-per-use, a post read again does; an edit is a new id in the post's edit history.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import requests
import tweepy

from connectors import http
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
from monitor.model import Account, Cause, Media, MediaKind, Post, PostKind, Profile
from monitor.settings import Network, Secret

ORIGINS = ("https://api.twitter.com", "https://api.x.com")  # what tweepy hard-codes, then and now
EPOCH_MS = 1_288_834_974_657  # a snowflake id counts milliseconds from here
FIRST_SNOWFLAKE = 1 << 40
SETTLED = timedelta(minutes=15)  # until then an id may still appear below the newest one
PAGE_SIZE = 100
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
EXPANSIONS = ["attachments.media_keys", "referenced_tweets.id"]
MEDIA_FIELDS = ["media_key", "type", "url", "preview_image_url", "alt_text", "variants"]
USER_FIELDS = ["id", "name", "username", "description", "profile_image_url", "verified", "protected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XSettings:
    bearer_token: Secret = Secret()  # noqa: RUF009 (immutable)
    base_url: str = "https://api.x.com"


class XConnector:
    platform: ClassVar[str] = "x"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[XSettings]] = XSettings

    def __init__(
        self,
        settings: XSettings,
        network: Network,
        *,
        page_limit: int = 40,
        overlap: timedelta = timedelta(minutes=10),
        back_catalogue: int = 3200,
    ) -> None:
        self._token = settings.bearer_token
        self._page_limit = page_limit
        self._overlap = overlap
        self._back_catalogue = back_catalogue
        self._client = tweepy.Client(
            bearer_token=self._token.reveal() or None, return_type=requests.Response, wait_on_rate_limit=False
        )
        self._client.session = http.open_session(base_url=settings.base_url, network=network, replaces=ORIGINS)

    def resolve(self, account: Account) -> Profile:
        found = self.resolve_many([account])[account.id]
        if isinstance(found, ConnectorError):
            raise found
        return found

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why it has none, by account id; 100 a call. Raises ConnectorError."""
        answers: dict[int, Profile | ConnectorError] = {}
        known = [a for a in accounts if a.native_id]
        by_name = [a for a in accounts if not a.native_id]
        for part in _parts(known):
            payload = self._ask(
                "profiles", lambda p=part: self._client.get_users(ids=[a.native_id for a in p], user_fields=USER_FIELDS)
            )
            answers |= _users(payload, part, lambda a: a.native_id, "id")
        for part in _parts(by_name):
            payload = self._ask(
                "profiles",
                lambda p=part: self._client.get_users(usernames=[a.handle for a in p], user_fields=USER_FIELDS),
            )
            answers |= _users(payload, part, lambda a: a.handle, "username")
        return answers

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        start = dict(cursor or {})
        bounds = since(start, now=now, overlap=self._overlap)
        pages = self._page_limit if cursor else max(1, -(-self._back_catalogue // PAGE_SIZE))
        token: str | None = None
        seen_tokens: set[str] = set()
        newest, oldest = start.get("newest_id", ""), None
        newest_at = start.get("newest_at")
        for number in range(1, pages + 1):
            payload = self._timeline(account, bounds, token)
            posts = parse_timeline(payload)
            for one in _ids_of(payload):
                newest = max(newest, one, key=_as_number)
            oldest = (
                min([p.published_at for p in posts], default=oldest)
                if oldest is None
                else min([oldest, *(p.published_at for p in posts)])
            )
            newest_at = max(
                [p.published_at.isoformat() for p in posts] + ([newest_at] if newest_at else []), default=None
            )
            token = (payload.get("meta") or {}).get("next_token")
            ended = not token or token in seen_tokens
            if token:
                seen_tokens.add(token)
            if not ended and number < pages:
                yield Page(posts=posts, cursor=start, last=False)
                continue
            gap = None
            if not ended and oldest is not None:
                gap = _gap(start, account, oldest)
            yield Page(posts=posts, cursor=_moved(start, newest, newest_at, now), last=True, gap=gap)
            return

    def _timeline(self, account: Account, bounds: Mapping[str, Any], token: str | None) -> Mapping[str, Any]:
        return self._ask(
            account.label,
            lambda: self._client.get_users_tweets(
                account.native_id,
                max_results=PAGE_SIZE,
                pagination_token=token,
                tweet_fields=TWEET_FIELDS,
                expansions=EXPANSIONS,
                media_fields=MEDIA_FIELDS,
                **bounds,
            ),
        )

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:  # noqa: ARG002 (protocol)
        posts: dict[str, Post] = {}
        missing: set[str] = set()
        for part in _parts(native_ids):
            payload = self._tweets(account, part)
            missing |= _missing(payload)
            later = {p["id"]: _history(p)[-1] for p in _items(payload) if _history(p)[-1] != p["id"]}
            posts |= {p.native_id: p for p in parse_timeline(payload)}
            for edits in _parts(list(later.values())):
                posts |= {p.native_id: p for p in parse_timeline(self._tweets(account, edits))}
        return Reread(posts=tuple(posts.values()), missing=frozenset(missing - posts.keys()))

    def _tweets(self, account: Account, ids: Sequence[str]) -> Mapping[str, Any]:
        return self._ask(
            account.label,
            lambda: self._client.get_tweets(
                list(ids), tweet_fields=TWEET_FIELDS, expansions=EXPANSIONS, media_fields=MEDIA_FIELDS
            ),
        )

    def check(self) -> str:
        payload = self._ask("check", lambda: self._client.get_users(usernames=["X"], user_fields=["id"]))
        return "the bearer token is accepted" if _list(payload, "data") else "the bearer token is accepted, with errors"

    def _ask(self, what: str, call: Callable[[], requests.Response]) -> Mapping[str, Any]:
        """Make one call and return its JSON object. Raises ConnectorError by the table below."""
        if not self._token:
            raise ConnectorMisconfigured(
                "connectors.x.bearer_token_file: is not set; write the app's bearer token into a file and name it there"
            )
        try:
            response = call()
        except tweepy.TweepyException as error:
            raise from_tweepy(error, what=what) from None
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        payload = http.json_body(response, what=what)
        if not isinstance(payload, dict) or not ({"data", "meta", "errors"} & payload.keys()):
            raise SchemaDrift(f"{what}: the answer has neither data nor meta nor errors")
        return payload


# Most particular first; a test fails when tweepy has an exception that is in no row.
FAILURES: Mapping[type[Exception], type[ConnectorError]] = {
    tweepy.Unauthorized: CredentialRefused,
    tweepy.Forbidden: PermissionMissing,
    tweepy.NotFound: AccountNotFound,
    tweepy.TooManyRequests: RateLimited,
    tweepy.BadRequest: SchemaDrift,
    tweepy.TwitterServerError: Unavailable,
    tweepy.HTTPException: Unavailable,
    tweepy.TweepyException: Unavailable,
}
APP_REFUSED = ("client-not-enrolled", "unsupported-authentication", "client-forbidden", "usage-capped")


def from_tweepy(error: Exception, *, what: str) -> ConnectorError:
    """Return our error for one of tweepy's. Texts of the platform are left out: they repeat what was asked."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    text = response.text[:2000] if response is not None else ""
    if status == requests.codes.payment_required:
        return RateLimited(f"{what}: the API's credits are used up (HTTP 402); top up in X's developer console")
    if isinstance(error, tweepy.Forbidden) and any(mark in text for mark in APP_REFUSED):
        return ConnectorMisconfigured(f"{what}: X refuses this app (HTTP 403); check its plan and project")
    if isinstance(error, tweepy.TooManyRequests):
        return RateLimited(f"{what}: the rate limit is used up (HTTP 429)", retry_at=_reset(response))
    if isinstance(error, tweepy.Unauthorized):
        return CredentialRefused(f"{what}: X refuses the bearer token (HTTP 401); renew connectors.x.bearer_token")
    for known in type(error).__mro__:
        if known in FAILURES:
            return FAILURES[known](f"{what}: X answered {'HTTP ' + str(status) if status else type(error).__name__}")
    return Unavailable(f"{what}: {type(error).__name__}")


def _reset(response: requests.Response | None) -> datetime | None:
    headers = response.headers if response is not None else {}
    seconds = str(headers.get("x-rate-limit-reset", ""))
    if re.fullmatch(r"\d{9,11}", seconds):
        return datetime.fromtimestamp(int(seconds), UTC)
    return http.retry_after(headers, datetime.now(UTC))


def since(cursor: Mapping[str, Any], *, now: datetime, overlap: timedelta) -> dict[str, Any]:
    """Return the lower bound of a timeline read: nothing at first, then since_id (or start_time for ids of no date).

    While an id may still appear below the newest one, a stretch before it is read again; later it costs nothing.
    """
    newest = str(cursor.get("newest_id", ""))
    if not newest:
        return {}
    found_at = datetime.fromisoformat(cursor["found_at"])
    if abs(now - found_at) >= max(SETTLED, overlap):
        return {"since_id": newest}
    if _as_number(newest) >= FIRST_SNOWFLAKE:
        back = int(overlap.total_seconds() * 1000) << 22
        return {"since_id": str(max(1, _as_number(newest) - back))}
    if cursor.get("newest_at"):
        at = datetime.fromisoformat(cursor["newest_at"]) - overlap
        return {"start_time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"since_id": newest}


def _moved(start: Mapping[str, Any], newest: str, newest_at: str | None, now: datetime) -> dict[str, Any]:
    if newest == start.get("newest_id", ""):
        return {"v": 1, **start}
    return {"v": 1, "newest_id": newest, "newest_at": newest_at, "found_at": now.isoformat()}


def _gap(start: Mapping[str, Any], account: Account, oldest: datetime) -> Gap | None:
    """Name what lies between the known and the oldest post the walk reached; a depth before registration is a choice."""
    if start.get("newest_at"):
        return Gap(start=datetime.fromisoformat(start["newest_at"]), end=oldest, cause=Cause.BURST)
    if account.registered_at and oldest > account.registered_at:
        return Gap(start=account.registered_at, end=oldest, cause=Cause.BURST)
    return None


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(items), 100):
        yield items[begin : begin + 100]


def _as_number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _list(payload: Mapping[str, Any], key: str) -> list[Any]:
    value = payload.get(key) or []
    if not isinstance(value, list):
        raise SchemaDrift(f"x: '{key}' is no list")
    return value


def _items(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = _list(payload, "data")
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not isinstance(item.get("text"), str):
            raise SchemaDrift("x: a post without id or text")
    return items


def _either(item: Mapping[str, Any], old: str, new: str) -> Any:
    """Read a field by its name before or after X renamed tweet → post (July to August 2026)."""
    return item.get(old) if item.get(old) is not None else item.get(new)


def _history(item: Mapping[str, Any]) -> list[str]:
    return _either(item, "edit_history_tweet_ids", "edit_history_post_ids") or [item["id"]]


def _ids_of(payload: Mapping[str, Any]) -> list[str]:
    return [item["id"] for item in _items(payload)]


def _missing(payload: Mapping[str, Any]) -> set[str]:
    """Return the ids that X says do not exist; one it may not show is not missing."""
    gone = [e for e in _list(payload, "errors") if str(e.get("type", "")).endswith("resource-not-found")]
    return {str(e.get("resource_id") or e.get("value") or "") for e in gone} - {""}


def _users(
    payload: Mapping[str, Any], asked: Sequence[Account], name: Callable[[Account], str], field: str
) -> dict[int, Profile | ConnectorError]:
    found = {str(user.get(field, "")).casefold(): user for user in _list(payload, "data")}
    denied = {
        str(e.get("resource_id") or e.get("value") or "").casefold()
        for e in _list(payload, "errors")
        if not str(e.get("type", "")).endswith("resource-not-found")
    }
    answers: dict[int, Profile | ConnectorError] = {}
    for account in asked:
        wanted = name(account).casefold()
        user = found.get(wanted)
        if user is not None:
            answers[account.id] = parse_profile(user)
        elif wanted in denied:
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


def parse_timeline(payload: Mapping[str, Any]) -> tuple[Post, ...]:
    """Map an answer of posts, newest version of each. Raises SchemaDrift on posts without id or text."""
    items = _items(payload)
    if not items and "meta" not in payload and "errors" not in payload and "data" not in payload:
        raise SchemaDrift("x: an answer without posts, meta or errors")
    included = payload.get("includes") or {}
    media = {m.get("media_key"): m for m in included.get("media") or []}
    others = {t.get("id"): t for t in (_either(included, "tweets", "posts") or [])}
    newest: dict[str, Post] = {}
    for item in sorted(items, key=lambda i: _as_number(i["id"])):
        post = parse_post(item, media, others)
        newest[post.native_id] = post
    return tuple(newest.values())


def parse_post(
    item: Mapping[str, Any], media: Mapping[Any, Mapping[str, Any]], others: Mapping[Any, Mapping[str, Any]]
) -> Post:
    history = _history(item)
    first = history[0]
    created = _time(item.get("created_at"), item["id"])
    edited = item["id"] != first
    references = _either(item, "referenced_tweets", "referenced_posts") or []
    kind, text = _kind(item, references), _long_text(item)
    if kind is PostKind.REPOST:
        original = others.get(references[0].get("id"))
        text = _long_text(original) if original else text
    keys = (item.get("attachments") or {}).get("media_keys") or []
    return Post(
        native_id=first,
        url=f"https://x.com/i/status/{item['id']}",
        published_at=_time(None, first, default=created) if edited else created,
        edited_at=created if edited else None,
        text=text,
        kind=kind,
        language=str(item.get("lang") or ""),
        media=tuple(_media(media[key]) for key in keys if key in media),
        links=_links(item),
        raw=dict(item),
    )


def _long_text(item: Mapping[str, Any]) -> str:
    note = _either(item, "note_tweet", "note_post") or {}
    return str(note.get("text") or item.get("text") or "")


def _kind(item: Mapping[str, Any], references: Sequence[Mapping[str, Any]]) -> PostKind:
    kinds = {r.get("type") for r in references}
    if kinds & {"retweeted", "reposted"}:
        return PostKind.REPOST
    if "quoted" in kinds:
        return PostKind.QUOTE
    return PostKind.REPLY if "replied_to" in kinds or item.get("in_reply_to_user_id") else PostKind.ORIGINAL


def _time(text: object, native_id: str, default: datetime | None = None) -> datetime:
    if isinstance(text, str):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            raise SchemaDrift(f"x: a post with created_at {text[:40]!r}") from None
    number = _as_number(native_id)
    if number >= FIRST_SNOWFLAKE:
        return datetime.fromtimestamp(((number >> 22) + EPOCH_MS) / 1000, UTC)
    if default is None:
        raise SchemaDrift("x: a post without created_at")
    return default


def _media(item: Mapping[str, Any]) -> Media:
    if item.get("type") == "photo":
        return Media(kind=MediaKind.PICTURE, url=str(item.get("url") or ""), text=str(item.get("alt_text") or ""))
    return Media(
        kind=MediaKind.VIDEO, url=str(item.get("preview_image_url") or ""), text=str(item.get("alt_text") or "")
    )


def _links(item: Mapping[str, Any]) -> tuple[str, ...]:
    note = _either(item, "note_tweet", "note_post") or {}
    urls = [*((item.get("entities") or {}).get("urls") or []), *((note.get("entities") or {}).get("urls") or [])]
    found = (u.get("unwound_url") or u.get("expanded_url") or u.get("url") for u in urls)
    return tuple(dict.fromkeys(str(u) for u in found if u))
