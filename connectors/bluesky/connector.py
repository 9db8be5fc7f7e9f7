"""The connector of Bluesky, and its settings."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests

from connectors import configured, http
from connectors.addresses import bluesky as addresses
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Allowance,
    Bounds,
    Capabilities,
    ConnectorError,
    Cursor,
    Page,
    Reread,
    SchemaDrift,
    Wanted,
)
from connectors.bluesky.listing import Stream, begun, listed_in, must_be_records_of, parse_feed, ready, shallowest
from connectors.bluesky.posts import (
    CHANGED,
    POST,
    PROFILE,
    REPOST,
    collection_of,
    is_withheld,
    listed_at,
    parse_profile_record,
    parse_profile_view,
    parse_record,
    parse_view,
    parts_of,
    reposted,
    time_of_key,
)
from connectors.bluesky.refusals import (
    NO_APPVIEW,
    NO_RECORD,
    NO_SERVICE,
    WRITE,
    AccountHidden,
    NoAppView,
    RecordNotFound,
    parse_allowance,
    refusal,
    said,
)
from connectors.owners import must_answer, must_be
from connectors.payload import inner, moment, onward, string
from connectors.portions import answer_for, portions
from connectors.remembered import Belief
from connectors.walk import LOOKS, Listed, Listing, Walk, begin_walk, walked
from monitor.model import Account, Json, Post, Profile
from monitor.settings import Network

USUAL = "https://public.api.bsky.app"
PAGE_SIZE = 100
POSTS_PER_CALL = 25
LOOK_BACK = timedelta(days=30)
LOOK_BACK_EVERY = timedelta(days=1)
BLOBS = "/xrpc/com.atproto.sync.getBlob"
GET_PROFILE = "app.bsky.actor.getProfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueskySettings:
    base_url: str = USUAL

    def problems(self) -> configured.Problems:
        return configured.only(base_url=configured.base_url_mistake(self.base_url, usual=USUAL))


class BlueskyConnector:
    """Reads Bluesky. Thread-safe: the session, the last allowance and what kind of server it is are shared."""

    platform: ClassVar[str] = "bluesky"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[BlueskySettings]] = BlueskySettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing: posts are public. Agencies on a server of their own: its address in connectors.bluesky.base_url."
    )

    def __init__(self, settings: BlueskySettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._base = settings.base_url.rstrip("/")
        self._bounds = bounds
        self._session = http.open_session(base_url=settings.base_url, network=network)
        self._lock = threading.Lock()
        self._allowance: Allowance | None = None
        self._plain_server = Belief()  # a PDS without app.bsky.*

    def resolve(self, account: Account) -> Profile:
        """Return the account's profile by its DID, else by its handle. Raises ConnectorError."""
        now, actor = datetime.now(UTC), actor_of(account)
        if not self._plain_server.holds(now):
            try:
                payload = self._get(f"/xrpc/{GET_PROFILE}", {"actor": actor}, now, what=f"{account.label}: profile")
                return self._own_profile(account, parse_profile_view(payload), now)
            except NoAppView:
                pass
        return self._own_profile(account, self._profile_record(account, now), now)

    def _own_profile(self, account: Account, profile: Profile, now: datetime) -> Profile:
        """Return the profile where it is the one asked for. Raises AnotherAccount.

        A name may lead to an account that calls itself by another one: then the name is asked for by itself.
        """
        actor, told = actor_of(account), profile.handle
        if actor.startswith("did:"):
            must_be(account.label, [actor], [profile.native_id])
        elif told not in addresses.NOT_HANDLES | {actor} and self._behind(account, now) != profile.native_id:
            must_be(account.label, [actor], [told])
        return profile

    def _behind(self, account: Account, now: datetime) -> str:
        """Return the DID behind an account's handle; empty where the server knows of none. Raises ConnectorError."""
        asked, what = {"handle": actor_of(account)}, f"{account.label}: handle"
        try:
            return string(self._get("/xrpc/com.atproto.identity.resolveHandle", asked, now, what=what), "did")
        except (NoAppView, RecordNotFound, AccountNotFound):
            return ""

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why there is none, by account id; 25 a call.

        Who is not among an answer's profiles is asked for alone, and says why. After an error that stops the whole
        platform the remaining accounts get that error without a call of their own.
        """
        now, stop, found = datetime.now(UTC), None, dict[int, Profile | ConnectorError]()
        for part in portions(accounts, POSTS_PER_CALL):
            views = {} if stop or len(part) < 2 else self._profiles(part, now)
            for account in part:
                answer = stop or views.get(_name(account)) or self._resolved(account)
                stop = answer if isinstance(answer, ConnectorError) and answer.whole_platform else stop
                found[account.id] = answer
        return found

    def _profiles(self, accounts: Sequence[Account], now: datetime) -> dict[str, Profile]:
        """Return profiles by DID and by handle; none where the server cannot look up many."""
        names = [name for name in map(_name, accounts) if name]
        if self._plain_server.holds(now) or not names:
            return {}
        try:
            payload = self._get("/xrpc/app.bsky.actor.getProfiles", {"actors": names}, now, what="bluesky: profiles")
            profiles = [parse_profile_view(view) for view in listed_in(payload, "profiles")]
        except (NoAppView, ConnectorError):  # each is asked for alone, and tells its own reason
            return {}
        return {name: one for one in profiles for name in (one.native_id, one.handle.lower())}

    def _resolved(self, account: Account) -> Profile | ConnectorError:
        try:
            return self.resolve(account)
        except ConnectorError as error:
            return error

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError.

        An AppView lists a post by the date it claims, so one that is dated back appears below what is known: once a day
        the last month is read again.
        """
        walk, looked_back = begin_walk(account, cursor, self._bounds, now, whole=True), looked_back_at(cursor)
        if walk.known is not None and (looked_back is None or abs(now - looked_back) >= LOOK_BACK_EVERY):
            walk.bounds, looked_back = replace(self._bounds, overlap=max(self._bounds.overlap, LOOK_BACK)), None
        stamp = (looked_back or now).isoformat()
        for page in walked(walk, self._answers(account, now)):
            yield replace(page, cursor={**page.cursor, "looked_back": stamp}) if page.last else page

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of a stretch of the past, newest first; its pages' cursors are not to be kept.

        Both listings begin at the newest post, so what lies after `end` is read past. Raises ConnectorError.
        """
        bounds = replace(self._bounds, overlap=timedelta())
        walk = Walk(begin={"v": 1, "newest": start.isoformat()}, bounds=bounds, live_from=start, now=now)
        for page in walked(walk, self._answers(account, now)):
            inside = tuple(post for post in page.posts if start <= post.published_at < end)
            gap = page.gap and replace(page.gap, end=min(page.gap.end, end))
            yield replace(page, posts=inside, gap=gap)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 25 a call, reposts one by one. Raises ConnectorError.

        What is not shown is missing only while the account itself is: a suspended account's posts are hidden.
        """
        return answer_for(account, self.reread_many([Wanted(account=account, native_ids=native_ids)], now=now))

    def reread_many(self, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[int, Reread | ConnectorError]:
        """Read known posts of many accounts again, 25 a call whosever they are; on a PDS one by one.

        After an error that stops the whole platform the remaining accounts get that error without a call of their own.
        """
        stop: ConnectorError | None = None
        views: Mapping[str, Json] = {}
        try:
            views = (
                {}
                if self._plain_server.holds(now)
                else self._views([one for each in wanted for one in each.native_ids], now)
            )
        except NoAppView:
            pass
        except ConnectorError as error:
            stop = error
        found: dict[int, Reread | ConnectorError] = {}
        for each in wanted:
            answer = stop or self._reread(each.account, tuple(dict.fromkeys(each.native_ids)), views, now)
            stop = answer if isinstance(answer, ConnectorError) and answer.whole_platform else stop
            found[each.account.id] = answer
        return found

    def _reread(
        self, account: Account, asked: Sequence[str], views: Mapping[str, Json], now: datetime
    ) -> Reread | ConnectorError:
        try:
            if not self._plain_server.holds(now):
                with contextlib.suppress(NoAppView):
                    return self._shown_again(account, asked, views, now)
            return self._held_again(account, asked, now)
        except AccountHidden:
            return Reread(hidden=frozenset(asked))
        except ConnectorError as error:
            return error

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what the last answer said of the budget, which all accounts share."""
        with self._lock:
            return (self._allowance,) if self._allowance else ()

    def check(self) -> str:
        """Ask the server for its health, which AppViews and PDSes tell alike. Raises ConnectorError."""
        payload = self._get("/xrpc/_health", {}, datetime.now(UTC), what="bluesky: the server")
        version = f" (version {string(payload, 'version')[:40]})" if string(payload, "version") else ""
        return f"bluesky: {urlsplit(self._base).hostname} answers{version}; no credential is needed"

    def _answers(self, account: Account, now: datetime) -> Listing:
        """Yield what the account published, newest first, without an end of its own: the walk says when it is over."""
        if not self._plain_server.holds(now):
            with contextlib.suppress(NoAppView):
                yield from self._feed(account, now)
        yield from self._repository(account, now)

    # An AppView.

    def _feed(self, account: Account, now: datetime) -> Listing:
        asked = {"actor": actor_of(account), "limit": str(PAGE_SIZE), "filter": "posts_with_replies"}
        while True:
            try:
                payload = self._get("/xrpc/app.bsky.feed.getAuthorFeed", asked, now, what=f"{account.label}: posts")
            except AccountNotFound:  # an AppView says so of a deactivated account as well; its profile says why
                self._get(f"/xrpc/{GET_PROFILE}", {"actor": actor_of(account)}, now, what=f"{account.label}: profile")
                raise
            if not (yield parse_feed(payload, owner=_did_in(account), what=account.label)):
                asked["cursor"] = onward(payload, "cursor")

    def _shown_again(self, account: Account, asked: Sequence[str], views: Mapping[str, Json], now: datetime) -> Reread:
        own = [one for one in asked if collection_of(one) == POST]
        subjects = dict(self._subjects(account, [one for one in asked if collection_of(one) == REPOST], now))
        views = {**views, **self._views(tuple(dict.fromkeys(filter(None, subjects.values()))), now)}
        wanted = {**{one: one for one in own}, **subjects}
        present = {one: views[uri] for one, uri in wanted.items() if uri in views}
        missing = frozenset(wanted) - present.keys()
        if missing:  # raises AccountHidden when it is the account that is shown no longer
            self._get(f"/xrpc/{GET_PROFILE}", {"actor": actor_of(account)}, now, what=f"{account.label}: profile")
        hidden = frozenset(one for one, view in present.items() if is_withheld(view))
        posts = tuple(_again(one, view) for one, view in present.items() if one not in hidden)
        return Reread(posts=posts, missing=missing, hidden=hidden)

    def _views(self, uris: Sequence[str], now: datetime) -> dict[str, Json]:
        """Return posts by uri; one that was deleted, or is shown to nobody, is not among them."""
        asked, found = [one for one in uris if is_post(one)], dict[str, Json]()
        for part in portions(asked, POSTS_PER_CALL):
            payload = self._get("/xrpc/app.bsky.feed.getPosts", {"uris": part}, now, what="bluesky: known posts")
            views = {string(view, "uri"): view for view in listed_in(payload, "posts")}
            must_answer("bluesky: known posts", part, views)
            found |= views
        return found

    def _subjects(self, account: Account, uris: Sequence[str], now: datetime) -> Iterator[tuple[str, str]]:
        """Yield what each repost passes on; an empty uri for one that was taken back."""
        for uri in uris:
            try:
                record = inner(self._record(account, uri, now), "value")
            except RecordNotFound:
                yield uri, ""
            except NoAppView:  # an AppView may give out no records: nothing is decided
                return
            else:
                yield uri, string(inner(record, "subject"), "uri")

    # A repository on a plain PDS.

    def _repository(self, account: Account, now: datetime) -> Listing:
        """Yield posts and reposts, which are two lists there, in one order."""
        did = self._did(account, now)
        streams = (Stream(POST), Stream(REPOST))
        while True:
            found: list[Json] = []
            while not found and (stream := shallowest(streams)) is not None:
                stream.take(self._next_records(account, did, stream, now))
                found = ready(streams) if begun(streams) else []
            posts = tuple(self._parsed(account, item) for item in found)
            shown = Listed(
                posts=posts,
                times=tuple(map(listed_at, found)),
                ids=frozenset(post.native_id for post in posts),
                more=any(stream.waiting or not stream.ended for stream in streams),
            )
            while (yield shown):  # its lists were asked again already
                pass

    def _next_records(self, account: Account, did: str, stream: Stream, now: datetime) -> Json:
        """Ask for the next page of a list; some times for one that a cursor led to, and that is empty."""
        asked = {"repo": did, "collection": stream.collection, "limit": str(PAGE_SIZE)}
        asked |= {"cursor": stream.cursor} if stream.cursor else {}
        payload = self._records(account, asked, now)
        looks = 1
        while looks < LOOKS and stream.cursor and payload.get("records") == []:
            payload, looks = self._records(account, asked, now), looks + 1
        return payload

    def _records(self, account: Account, asked: Mapping[str, str], now: datetime) -> Json:
        try:
            payload = self._plain("com.atproto.repo.listRecords", asked, now, what=f"{account.label}: posts")
        except AccountNotFound:  # a PDS says so of a suspended account as well
            self._described(account, asked["repo"], now)
            raise
        must_be_records_of(asked["repo"], payload, what=f"{account.label}: posts")
        return payload

    def _held_again(self, account: Account, asked: Sequence[str], now: datetime) -> Reread:
        posts, missing = [], set()
        for uri in filter(collection_of, asked):
            try:
                posts.append(self._parsed(account, self._record(account, uri, now)))
            except RecordNotFound:
                missing.add(uri)
        try:
            if missing:  # a PDS says so of every post of a suspended account, and of one that it does not hold
                self._described(account, actor_of(account), now)
        except AccountHidden:
            return Reread(posts=tuple(posts), hidden=frozenset(missing))
        return Reread(posts=tuple(posts), missing=frozenset(missing))

    def _described(self, account: Account, did: str, now: datetime) -> Json:
        what = f"{account.label}: profile"
        found = self._plain("com.atproto.repo.describeRepo", {"repo": did}, now, what=what)
        must_be(what, [did if did.startswith("did:") else ""], [string(found, "did")])
        return found

    def _parsed(self, account: Account, item: Json) -> Post:
        return parse_record(item, blobs=f"{self._base}{BLOBS}", handle=addresses.named(account.handle) or "")

    def _did(self, account: Account, now: datetime) -> str:
        actor = actor_of(account)
        if actor.startswith("did:"):
            return actor
        payload = self._plain(
            "com.atproto.identity.resolveHandle", {"handle": actor}, now, what=f"{account.label}: handle"
        )
        if not string(payload, "did"):
            raise SchemaDrift(f"{account.label}: a handle without a DID; {CHANGED}")
        return string(payload, "did")

    def _profile_record(self, account: Account, now: datetime) -> Profile:
        did, what = self._did(account, now), f"{account.label}: profile"
        described = self._described(account, did, now)
        handle = string(described, "handle")
        if not string(described, "did") or not handle:
            raise SchemaDrift(f"{what}: a repository without did or handle; {CHANGED}")
        try:
            record = inner(self._record(account, f"at://{did}/{PROFILE}/self", now), "value")
        except RecordNotFound:  # nobody must say anything of himself
            record = {}
        return parse_profile_record(did, handle, record, blobs=f"{self._base}{BLOBS}")

    def _record(self, account: Account, uri: str, now: datetime) -> Json:
        """Return one record. Raises RecordNotFound."""
        repository, collection, key = parts_of(uri)
        asked = {"repo": repository, "collection": collection, "rkey": key}
        item = self._get("/xrpc/com.atproto.repo.getRecord", asked, now, what=f"{account.label}: a known record")
        if string(item, "uri") != uri:
            raise SchemaDrift(f"{account.label}: another record than the one that was asked for; {CHANGED}")
        return item

    def _plain(self, method: str, asked: Mapping[str, Any], now: datetime, *, what: str) -> Json:
        try:
            payload = self._get(f"/xrpc/{method}", asked, now, what=what)
            if not self._plain_server.holds(now):
                self._plain_server.take(now)
            return payload
        except NoAppView:
            raise SchemaDrift(f"{what}: the server knows no {method}; correct connectors.bluesky.base_url") from None

    def _get(self, path: str, asked: Mapping[str, Any], now: datetime, *, what: str) -> Json:
        """Ask one question. Raises ConnectorError, NoAppView, RecordNotFound."""
        try:
            response = self._session.get(
                f"{self._base}{path}", params=dict(asked), headers={"Accept": "application/json"}
            )
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        if (allowance := parse_allowance(response.headers, now)) is not None:
            with self._lock:
                self._allowance = allowance
        if response.status_code != requests.codes.ok:
            name, words = said(response)
            if name in NO_APPVIEW or words.startswith(NO_SERVICE):
                raise NoAppView
            if name == "RecordNotFound" or NO_RECORD in words:
                raise RecordNotFound
            raise refusal(response, what=what, now=now)
        payload = http.json_body(response, what=what)
        if not isinstance(payload, Mapping):
            raise SchemaDrift(f"{what}: the answer is no object; {CHANGED}, or base_url leads elsewhere")
        return payload


def _name(account: Account) -> str:
    try:
        return actor_of(account)
    except AccountNotFound:
        return ""


def is_post(native_id: str) -> bool:
    """Say whether an id is one that `getPosts` takes: a single other one spoils the call."""
    return re.fullmatch(rf"at://{addresses.DID}/{re.escape(POST)}/[A-Za-z0-9._:~-]{{1,512}}", native_id) is not None


def looked_back_at(cursor: Cursor | None) -> datetime | None:
    """Return when the last month was read again; a first pull reads it anyway."""
    return moment(cursor.get("looked_back")) if cursor and cursor.get("v") == 1 else None


def actor_of(account: Account) -> str:
    """Return what Bluesky calls the account: its DID where known, else the handle. Raises AccountNotFound."""
    if account.native_id:
        return account.native_id
    written = account.handle.strip()
    named = addresses.handle(written) if "/" in written else addresses.named(written)
    actor = named or addresses.handle(account.url)
    if not actor:
        raise AccountNotFound(f"{account.label}: names no Bluesky account; {WRITE}")
    return actor


def _did_in(account: Account) -> str:
    return account.native_id if account.native_id.startswith("did:") else ""


def _again(native_id: str, view: Json) -> Post:
    """Map a post that was read again, be it a repost's subject."""
    post = parse_view(view)
    if post.native_id == native_id:
        return post
    at = time_of_key(parts_of(native_id)[2]) or post.published_at
    return reposted(post, native_id=native_id, at=at, raw={"post": view})
