"""The connector of Instagram, and its settings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from connectors import configured
from connectors.addresses import instagram as addresses
from connectors.addresses.parts import named_by
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Allowance,
    Bounds,
    Capabilities,
    ConnectorMisconfigured,
    Cursor,
    Page,
    PermissionMissing,
    Reread,
    SchemaDrift,
)
from connectors.graph.answers import following
from connectors.graph.http import GraphHttp
from connectors.graph.listing import next_question, pages
from connectors.graph.refusals import Refused, is_too_much, lacks_way
from connectors.graph.settings import GraphSettings
from connectors.instagram.posts import (
    MEDIA_FIELDS,
    PLAIN_MEDIA_FIELDS,
    PROFILE_FIELDS,
    discovered_media,
    parse_items,
    parse_post,
    parse_profile,
)
from connectors.instagram.refusals import DIALECT, names_a_field, not_own
from connectors.listing import reread_listed, stretch
from connectors.owners import AnotherAccount, must_be, must_hold_own
from connectors.payload import identifier, inner, parts, string
from connectors.remembered import Belief
from connectors.walk import Listed, Listing, begin_walk, walked
from monitor.model import Account, Json, Post, Profile
from monitor.settings import Network

PAGE_SIZE = 50
USERNAME = r"[A-Za-z0-9._]{1,30}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstagramSettings(GraphSettings):
    user_id: str = ""  # the own professional account in whose name is asked; empty: what the token shows

    def problems(self) -> configured.Problems:
        is_id = re.fullmatch(r"[0-9]*", self.user_id.strip())
        without = "is no number; write the numeric id of the professional account, or leave it empty"
        return [*GraphSettings.problems(self), *configured.only(user_id="" if is_id else without)]


def username_of(account: Account) -> str:
    """Return the username that the register gives. Raises AccountNotFound."""
    username = named_by(account, addresses.handle, usable=USERNAME)
    if not username:
        raise AccountNotFound(f"{account.label}: names no Instagram account; write its username as the handle")
    return username


class InstagramConnector:
    """Reads professional accounts with one token. Thread-safe: what is remembered is the same for all threads."""

    platform: ClassVar[str] = "instagram"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[InstagramSettings]] = InstagramSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)
    obtain: ClassVar[str] = (
        "A professional Instagram account of your own, linked to a Facebook page, and a system user's token of a "
        "Business app with instagram_basic, instagram_manage_insights and pages_read_engagement, in "
        "connectors.instagram.access_token_file; the agencies' accounts must be business or creator accounts."
    )

    def __init__(self, settings: InstagramSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._user_id = settings.user_id.strip()
        self._graph = GraphHttp(DIALECT, settings, network)
        self._owned: Mapping[str, str] = {self._user_id: ""} if self._user_id else {}  # id → username, where known
        self._plain: defaultdict[str, Belief] = defaultdict(Belief)  # ways of reading that refuse the fuller question
        self._only_own_by_id = Belief()  # posts of others cannot be read so
        self._limit = PAGE_SIZE

    def resolve(self, account: Account) -> Profile:
        """Return the account's profile. Raises ConnectorError."""
        now, what = datetime.now(UTC), f"{account.label}: profile"
        own = self._own_id(account, now)
        if own:
            return self._own_profile(account, own, now, what=what)
        payload = self._discover(account, PROFILE_FIELDS, now, what=what)
        found = payload.get("business_discovery")
        if not isinstance(found, Mapping):
            raise SchemaDrift(f"{what}: an answer has no business_discovery; {DIALECT.changed}")
        return parse_profile(found)

    def _own_profile(self, account: Account, own: str, now: datetime, *, what: str) -> Profile:
        """Return the own account's profile under the id it is asked for by.

        To a token of Instagram's own login it calls itself by another id, one for this app alone.
        """
        profile = parse_profile(self._graph.ask(own, {"fields": PROFILE_FIELDS}, now, what=what, holder=own))
        names = [own, self._own(now).get(own, ""), account.handle.strip().removeprefix("@")]
        must_hold_own(what, names, [[profile.native_id, profile.handle]])
        return replace(profile, native_id=own)

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now, whole=True)
        yield from walked(walk, self._listing(account, now))

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of [start, end), read again from the listing. Raises ConnectorError."""
        yield from stretch(self._listing(account, now), start, end)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, by id 50 a call, those of others also by the listing. Raises ConnectorError."""
        return self.reread_listed(account, dict.fromkeys(native_ids), now=now)

    def reread_listed(self, account: Account, published: Mapping[str, datetime | None], *, now: datetime) -> Reread:
        """As `reread`, with the time at which each post was published: the listing need not be read to its end."""
        if not published:
            return Reread()
        if self._own_id(account, now):
            return self._by_ids(account, list(published), now)
        return self._of_another(account, published, now)

    def _of_another(self, account: Account, published: Mapping[str, datetime | None], now: datetime) -> Reread:
        """Look up another account's posts: by id as long as Instagram may show them so, else in the listing.

        A call for many that holds one deleted post is refused as one that is not allowed at all. Once all posts of a
        refused call stand in the listing, it is known to be the latter, and not tried again.
        """
        found = self._at_once(account, list(published), now)
        left = {one: at for one, at in published.items() if one not in found}
        if not left:
            return Reread(posts=tuple(found.values()))
        answer = reread_listed(self._listing(account, now), left)
        if not found and len(answer.posts) == len(published):
            self._only_own_by_id.take(now)
        return replace(answer, posts=(*found.values(), *answer.posts))

    def _at_once(self, account: Account, ids: Sequence[str], now: datetime) -> Mapping[str, Post]:
        if self._only_own_by_id.holds(now):
            return {}
        items = self._graph.at_once(ids, self._fields("discovered", now), now, what=f"{account.label}: posts")
        return {one: parse_post(item) for one, item in (items or {}).items()}

    def _by_ids(self, account: Account, published: Sequence[str], now: datetime) -> Reread:
        """Read posts of the own account by id."""
        items = dict(self._graph.objects(published, self._fields("own", now), now, what=f"{account.label}: posts"))
        posts = {one: parse_post(item) for one, item in items.items() if item}
        missing = items.keys() - posts.keys()
        if not posts:  # a lost permission looks the same as posts that are gone
            shown = {post.native_id: post for answer in self._first(account, now) for post in answer.posts}
            posts = {one: shown[one] for one in published if one in shown}
        return Reread(posts=tuple(posts.values()), missing=frozenset(missing - posts.keys()))

    def check(self) -> str:
        """Return a sentence on the token, and in whose name it asks. Raises ConnectorError."""
        now = datetime.now(UTC)
        own = self._asker(now)
        try:
            who = self._graph.ask(own, {"fields": "id,username"}, now, what="instagram: the own account", holder=own)
        except AccountNotFound:
            raise not_own(own) from None
        name = string(who, "username") or own
        return f"{self._graph.describe_token(now)}; it asks in the name of @{name}"

    def allowances(self) -> tuple[Allowance, ...]:
        return self._graph.allowances()

    def expires_at(self) -> datetime | None:
        return self._graph.expires_at()

    # Whose accounts are whose.

    def _asker(self, now: datetime) -> str:
        """Return the id of the own account in whose name is asked. Raises ConnectorMisconfigured without one."""
        return next(iter(self._own(now)))

    def _own(self, now: datetime) -> Mapping[str, str]:
        if not self._owned:
            self._owned = self._found_own(now)
        return self._owned

    def _own_id(self, account: Account, now: datetime) -> str:
        """Return the account's id if it is an own one, else nothing."""
        own = self._own(now)
        if account.native_id:
            return account.native_id if account.native_id in own else ""
        wanted = username_of(account).casefold()
        return next((one for one, name in own.items() if name.casefold() == wanted), "")

    def _found_own(self, now: datetime) -> Mapping[str, str]:
        """Ask the token for its professional accounts: those of its pages, of its page, or the one that signed in."""
        for ask in (self._own_of_pages, self._own_of_page, self._own_itself):
            if own := ask(now):
                return own
        raise ConnectorMisconfigured(
            "connectors.instagram.user_id: the token shows no professional account of its own; link one to a page that "
            "the token may read, or write the account's numeric id here"
        )

    def _own_of_pages(self, now: datetime) -> Mapping[str, str]:
        asked = {"fields": "instagram_business_account{id,username}", "limit": "100"}
        told = self._told("me/accounts", asked, now)
        return _named(inner(page, "instagram_business_account") for page in parts(told, "data"))

    def _own_of_page(self, now: datetime) -> Mapping[str, str]:
        page = self._told("me", {"fields": "instagram_business_account{id,username}"}, now)
        return _named([inner(page, "instagram_business_account")])

    def _own_itself(self, now: datetime) -> Mapping[str, str]:
        me = self._told("me", {"fields": "user_id,username"}, now)
        return _named([{"id": me.get("user_id"), "username": me.get("username")}])

    def _told(self, path: str, asked: Mapping[str, str], now: datetime) -> Json:
        """Return the answer, or nothing where this kind of token has no such thing. Raises ConnectorError."""
        try:
            return self._graph.attempt(path, asked, now, what="instagram: the own accounts")
        except Refused as refused:
            if not lacks_way(refused.refusal):
                raise refused.error from None
            return {}

    # How they are read.

    def _listing(self, account: Account, now: datetime) -> Listing:
        """Yield the pages of an account's media, newest first."""
        read = self._own_page if self._own_id(account, now) else self._discovered_page
        return pages(lambda question: read(account, question, now), parse_items)

    def _first(self, account: Account, now: datetime) -> Iterator[Listed]:
        yield next(self._listing(account, now))

    def _own_page(self, account: Account, question: Mapping[str, str], now: datetime) -> tuple[Json, Mapping[str, str]]:
        own, what = self._own_id(account, now), f"{account.label}: posts"

        def ask(fields: str, limit: int) -> Json:
            asked = {"fields": fields, "limit": str(limit), **question}
            return self._graph.attempt(f"{own}/media", asked, now, what=what, holder=own)

        listing = self._fitting("own", ask, now)
        self._must_hold_own(own, listing, now, what=what)
        return listing, following(listing)

    def _must_hold_own(self, own: str, listing: Json, now: datetime, *, what: str) -> None:
        """Raise AnotherAccount for a page on which no post is the own account's.

        Posts published together with others may bear their names. The account may have another name since it was asked
        for: it is asked for again.
        """
        try:
            must_hold_own(
                what, [self._own(now).get(own, "")], ([string(item, "username")] for item in parts(listing, "data"))
            )
        except AnotherAccount:
            self._owned = {self._user_id: ""} if self._user_id else {}
            raise

    def _discovered_page(
        self, account: Account, question: Mapping[str, str], now: datetime
    ) -> tuple[Json, Mapping[str, str]]:
        after = question.get("after", "")
        if re.search(r"[(){}]", after):
            raise SchemaDrift(f"{account.label}: a cursor is none; {DIALECT.changed}")

        def ask(fields: str, limit: int) -> Json:
            place = f".after({after})" if after else ""
            listing = f"id,username,media_count,media.limit({limit}){place}{{{fields}}}"
            return self._discover_or_refuse(account, listing, now, what=f"{account.label}: posts")

        media = discovered_media(self._fitting("discovered", ask, now), first=not after)
        return media, next_question(media, question)

    def _fitting(self, way: str, ask: Callable[[str, int], Json], now: datetime) -> Json:
        """Ask for media; with fewer fields where one is refused, for a smaller page where this one is too large."""
        limit = self._limit
        while True:
            try:
                return ask(self._fields(way, now), limit)
            except Refused as refused:
                if names_a_field(refused) and not self._plain[way].holds(now):
                    self._plain[way].take(now)
                elif is_too_much(refused.refusal) and limit > 1:
                    limit //= 2
                else:
                    raise refused.error from None

    def _fields(self, way: str, now: datetime) -> str:
        return PLAIN_MEDIA_FIELDS if self._plain[way].holds(now) else MEDIA_FIELDS

    def _discover(self, account: Account, fields: str, now: datetime, *, what: str) -> Json:
        try:
            return self._discover_or_refuse(account, fields, now, what=what)
        except Refused as refused:
            raise refused.error from None

    def _discover_or_refuse(self, account: Account, fields: str, now: datetime, *, what: str) -> Json:
        asker, username = self._asker(now), username_of(account)
        asked = {"fields": f"business_discovery.username({username}){{{fields}}}"}
        try:
            found = self._graph.attempt(asker, asked, now, what=what, holder=username)
        except Refused as refused:
            words = refused.refusal.message
            if "(business_discovery)" in words:
                raise PermissionMissing(
                    f"{what}: this token reads its own account alone; take one of a Business app by Facebook Login"
                ) from None
            if refused.refusal.code == 100 and f"'{asker}'" in words:
                raise not_own(asker) from None
            raise
        must_be(what, [username], [inner(found, "business_discovery").get("username")])
        return found


def _named(accounts: Iterable[Json]) -> Mapping[str, str]:
    """Return the usernames by id."""
    return {identifier(one): string(one, "username") for one in accounts if identifier(one)}
