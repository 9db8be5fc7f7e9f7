"""The connector of Threads, and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from connectors import configured
from connectors.addresses import threads as addresses
from connectors.addresses.parts import named_by
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
)
from connectors.graph.http import GraphHttp
from connectors.graph.listing import next_question, pages
from connectors.graph.refusals import Refused, is_too_much, lacks_way
from connectors.graph.settings import GraphSettings
from connectors.listing import merged, reread_listed, stretch
from connectors.markup import unique
from connectors.owners import AnotherAccount, must_be
from connectors.payload import identifier, parts, string
from connectors.remembered import Belief, Remembered
from connectors.threads.day_count import DayCount
from connectors.threads.posts import (
    FIELDS,
    OWN_PROFILE_FIELDS,
    PROFILE_FIELDS,
    SHOWN,
    authors_in,
    parse_items,
    parse_post,
    parse_profile,
    unread_references,
    with_shown,
)
from connectors.threads.refusals import DIALECT, is_not_ours, may_be_a_field
from connectors.walk import Listed, Listing, begin_walk, walked
from monitor.model import Account, Json, Profile
from monitor.settings import Network

PAGE_SIZE = 100
EARLIEST = datetime(2023, 7, 3, tzinfo=UTC)  # `since` takes nothing before Threads began
REFERRED = 25  # posts of others looked up for one page: they are part of the text, and none is worth the budget
REMEMBERED = timedelta(hours=12)
USERNAME = r"[A-Za-z0-9._]{1,30}"
ASK_AGAIN = timedelta(hours=1)  # what a server did not tell may have been a passing fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadsSettings(GraphSettings):
    """`daily_calls` is what Threads allows in 24 hours for profiles of others; no header tells how many are left."""

    api_version: str = "v1.0"
    base_url: str = "https://graph.threads.com"
    daily_calls: int = 1000

    def problems(self) -> configured.Problems:
        without = "expected how many calls a day Threads allows for profiles of others, like 1000"
        return [*GraphSettings.problems(self), *configured.only(daily_calls="" if self.daily_calls > 0 else without)]


def username_of(account: Account) -> str:
    """Return the username that the register gives. Raises AccountNotFound."""
    username = named_by(account, addresses.handle, usable=USERNAME)
    if not username:
        raise AccountNotFound(f"{account.label}: names no Threads profile; write its username as the handle")
    return username


class ThreadsConnector:
    """Reads profiles with one token. Thread-safe: what is remembered is the same for all threads."""

    platform: ClassVar[str] = "threads"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[ThreadsSettings]] = ThreadsSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)
    obtain: ClassVar[str] = (
        "A long-lived token of a Threads profile of your own (threads_basic, threads_read_replies) for an app with the "
        "permission threads_profile_discovery in advanced access, in connectors.threads.access_token_file; it ends "
        "after 60 days: renew it and write it there again. Profiles of others must be public, with 100 followers."
    )

    def __init__(self, settings: ThreadsSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._graph = GraphHttp(DIALECT, settings, network)
        self._day = DayCount(settings.daily_calls)
        self._referred: Remembered[Json] = Remembered(REMEMBERED)
        self._me: Json | None = None  # the token's own profile; empty where the server does not tell
        self._me_asked_at = datetime.min.replace(tzinfo=UTC)
        self._leaner: Remembered[int] = Remembered(Belief.LASTS)  # by way of reading: which of FIELDS is answered

    def resolve(self, account: Account) -> Profile:
        """Return the account's profile. Raises ConnectorError."""
        now, what = datetime.now(UTC), f"{account.label}: profile"
        if self._is_own(account, now):
            return parse_profile(self._graph.ask("me", {"fields": OWN_PROFILE_FIELDS}, now, what=what))
        asked = {"username": username_of(account), "fields": PROFILE_FIELDS}
        self._day.count(now)
        profile = parse_profile(self._graph.ask("profile_lookup", asked, now, what=what))
        must_be(what, [username_of(account)], [profile.handle])
        return profile

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now, promises=True, whole=True)
        yield from walked(walk, self._listing(account, now, window=_since(walk.since)))

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of [start, end), read again from the listing. Raises ConnectorError."""
        until = min(end + timedelta(seconds=1), now)
        window = {**_since(start), **({"until": str(int(until.timestamp()))} if until > max(start, EARLIEST) else {})}
        yield from stretch(self._listing(account, now, window=window), start, end, promises=True)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Look known posts up in the listing, down to its end. Raises ConnectorError."""
        return self.reread_listed(account, dict.fromkeys(native_ids), now=now)

    def reread_listed(self, account: Account, published: Mapping[str, datetime | None], *, now: datetime) -> Reread:
        """As `reread`, with the time at which each post was published: the listing need not be read to its end.

        A listing that shows nothing at all is no word on posts that were there: each is then asked for by its id.
        """
        if not published:
            return Reread()
        shown: set[str] = set()
        answer = reread_listed(_noting(self._listing(account, now), shown), published)
        return answer if shown else self._alone(account, list(published), now)

    def check(self) -> str:
        """Return a sentence on the token, and whose it is. Raises ConnectorError."""
        now = datetime.now(UTC)
        me = self._graph.ask("me", {"fields": "id,username"}, now, what="threads: the own profile")
        return f"{self._graph.describe_token(now)}; it is that of @{string(me, 'username')}"

    def allowances(self) -> tuple[Allowance, ...]:
        """Return the app's budget by the last answer's word, and what is left of a day's discoveries by our count."""
        return (*self._graph.allowances(), *self._day.allowances())

    def expires_at(self) -> datetime | None:
        return self._graph.expires_at()

    def _is_own(self, account: Account, now: datetime) -> bool:
        me = self._own(now)
        own_name = string(me, "username").casefold()
        if account.native_id:
            return account.native_id in {identifier(me), own_name} - {""}
        return bool(own_name) and username_of(account).casefold() == own_name

    def _own(self, now: datetime) -> Json:
        if self._me is None or (not self._me and abs(now - self._me_asked_at) >= ASK_AGAIN):
            self._me_asked_at = now
            try:
                self._me = self._graph.attempt("me", {"fields": "id,username"}, now, what="threads: the own profile")
            except Refused as refused:
                if not lacks_way(refused.refusal):
                    raise refused.error from None
                self._me = {}
        return self._me

    # How profiles are read.

    def _listing(self, account: Account, now: datetime, *, window: Mapping[str, str] | None = None) -> Listing:
        """Yield the pages of a profile's posts, newest first; an own one's with its replies."""
        if self._is_own(account, now):
            ways = [self._way(account, path, {**(window or {})}, now) for path in ("me/threads", "me/replies")]
            return merged(*ways)
        return self._way(account, "profile_posts", {"username": username_of(account), **(window or {})}, now)

    def _way(self, account: Account, path: str, asked: Mapping[str, str], now: datetime) -> Listing:
        def ask(question: Mapping[str, str]) -> tuple[Json, Mapping[str, str]]:
            listing = self._page(account, path, {**asked, **question}, now)
            self._must_be_of(account, path, listing)
            return self._with_references(listing, now), next_question(listing, question)

        return pages(ask, parse_items, peek=True)

    def _must_be_of(self, account: Account, path: str, listing: Json) -> None:
        """Raise AnotherAccount for the posts of another profile. The own one may be called otherwise by now."""
        is_own = path != "profile_posts"
        own = [string(self._me or {}, "username")] if is_own else [username_of(account)]
        try:
            must_be(f"{account.label}: posts", own, authors_in(listing))
        except AnotherAccount:
            if is_own:
                self._me = None
            raise

    def _page(self, account: Account, path: str, asked: Mapping[str, str], now: datetime) -> Json:
        """Read one page: with fewer fields where some are refused, a smaller one where this one is too large."""
        known = self._tier(path, now)
        tier, limit = known, PAGE_SIZE
        while True:
            if path == "profile_posts":
                self._day.count(now)
            question = {"fields": FIELDS[tier], "limit": str(limit), **asked}
            try:
                listing = self._graph.attempt(path, question, now, what=f"{account.label}: posts")
            except Refused as refused:
                if path == "me/replies" and is_not_ours(refused):
                    return {"data": []}  # `check` names the permissions that the token has
                if is_too_much(refused.refusal) and limit > 1:
                    limit //= 2
                elif may_be_a_field(refused) and tier + 1 < len(FIELDS):
                    tier += 1
                else:
                    raise refused.error from None
            else:
                if tier != known:
                    self._leaner.keep([path], {path: tier}, now)
                return listing

    def _tier(self, path: str, now: datetime) -> int:
        return self._leaner.known([path], now).get(path) or 0

    def _with_references(self, listing: Json, now: datetime) -> Json:
        """Put what is quoted or reposted into a page that only names it, as far as it can be read."""
        items = parts(listing, "data")
        wanted = unique(one for item in items for one in unread_references(item))
        found = dict(self._referred.known(wanted, now))
        for one in [one for one in wanted if one not in found][:REFERRED]:
            found[one] = self._referred_post(one, now)
        return {**listing, "data": [with_shown(item, found) for item in items]} if any(found.values()) else listing

    def _referred_post(self, native_id: str, now: datetime) -> Json | None:
        try:
            post = self._graph.attempt(native_id, {"fields": SHOWN}, now, what="threads: a quoted post")
        except Refused:  # deleted, or closed to the token
            self._referred.keep([native_id], {}, now)
            return None
        except ConnectorError:
            return None
        self._referred.keep([native_id], {native_id: post}, now)
        return post

    def _alone(self, account: Account, ids: Sequence[str], now: datetime) -> Reread:
        fields = FIELDS[self._tier("profile_posts", now)]
        items = dict(self._graph.objects(ids, fields, now, what=f"{account.label}: known posts"))
        posts = {one: parse_post(item) for one, item in items.items() if item}
        return Reread(posts=tuple(posts.values()), missing=frozenset(items.keys() - posts.keys()))


def _since(moment: datetime | None) -> dict[str, str]:
    return {"since": str(int(max(moment, EARLIEST).timestamp()))} if moment else {}


def _noting(answers: Iterator[Listed], shown: set[str]) -> Iterator[Listed]:
    for answer in answers:
        shown |= answer.ids
        yield answer
