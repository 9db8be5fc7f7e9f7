"""The connector of Facebook Pages, and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, cast
from urllib.parse import quote, unquote

from connectors.addresses import facebook as addresses
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
    PermissionMissing,
    Reread,
    SchemaDrift,
    Wanted,
)
from connectors.facebook.posts import (
    BASIC_PROFILE_FIELDS,
    EDGES,
    POST_FIELDS,
    PROFILE_FIELDS,
    is_published,
    must_hold_posts_of,
    parse_post,
    parse_posts,
    parse_profile,
)
from connectors.facebook.sdk import IDS_PER_CALL, TOKEN, Sdk
from connectors.facebook.together import Together
from connectors.facebook.ways import PAGE_SIZE, Stretch, Way
from connectors.graph.answers import UNTOLD, describe_token, end_of_token, items_of
from connectors.graph.refusals import FACEBOOK, Refused, is_too_much, lacks_way
from connectors.graph.settings import GraphSettings
from connectors.owners import must_answer, must_be
from connectors.payload import identifier, inner, string
from connectors.portions import answer_for, portions
from connectors.remembered import Belief, Remembered
from connectors.walk import Walk, begin_walk
from monitor.model import Account, Json, Profile
from monitor.settings import Network

USERNAME = r"[\w.\-]+"  # or a page's number
GONE_POST: Json = {"is_published": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class FacebookSettings(GraphSettings):
    """As all of Meta's platforms."""


def page_of(account: Account) -> str:
    """Return what the Graph API calls the account: its id where known, else the username. Raises AccountNotFound."""
    if account.native_id:
        return account.native_id
    page = named_by(account, addresses.handle, usable=USERNAME)
    if not page:
        message = f"{account.label}: names no Facebook page; write the page's username or numeric id as the handle"
        raise AccountNotFound(message)
    return quote(page, safe="")


class _Undecided(Exception):  # never leaves this module
    """The answer does not say whether a post is there."""


class FacebookConnector:
    """Reads Facebook Pages with one token. Thread-safe: what is remembered of pages is the same for all threads."""

    platform: ClassVar[str] = "facebook"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True, slices=True)
    Settings: ClassVar[type[FacebookSettings]] = FacebookSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)
    obtain: ClassVar[str] = (
        "A system user's token of a Business app on developers.facebook.com, in connectors.facebook.access_token_file, "
        "and the app's secret in app_secret_file; pages you do not manage need the feature Page Public Content Access."
    )

    def __init__(self, settings: FacebookSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._sdk = Sdk(settings, network)
        self._together = Together(self._sdk, bounds)
        self._edges: Remembered[str] = Remembered(Belief.LASTS)  # by page: the edge that has answered

    def resolve(self, account: Account) -> Profile:
        """Return the page's profile. Raises ConnectorError."""
        return self._profile(account, datetime.now(UTC))

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why there is none, by account id; 50 pages a call.

        After an error that stops the whole platform the remaining accounts get that error without a call of their own.
        """
        found: dict[int, Profile | ConnectorError] = {}
        stop: ConnectorError | None = None
        for part in portions(accounts, IDS_PER_CALL):
            for account, result in self._profiles(part, stop):
                found[account.id] = result
                stop = result if isinstance(result, ConnectorError) and result.whole_platform else stop
        return found

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now, promises=True, whole=True)
        yield from self._pages(account, Way(walk=walk), now)

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of [start, end), newest first. Raises ConnectorError."""
        yield from self._pages(account, Stretch(start=start, end=end), now)

    def _pages(self, account: Account, way: Way | Stretch, now: datetime) -> Iterator[Page]:
        ended = False
        while not ended:
            page = way.take(self._published_posts(account, way, now))
            yield page
            ended = page.last

    def batches(self, asked: Sequence[tuple[Account, Cursor]], *, now: datetime) -> list[list[Account]]:
        """Return the pages whose newest posts one call each reads."""
        edges = self._edges.known([account.native_id for account, _ in asked], now)
        plain = [one for one in asked if (edges.get(one[0].native_id) or EDGES[0]) == EDGES[0]]
        alike, unlike = self._together.groups(plain, now)
        return [[account for account, _ in group] for group in [*alike, *unlike]]

    def pull_many(self, asked: Sequence[tuple[Account, Cursor]], *, now: datetime) -> Mapping[int, Page]:
        """Read the newest posts of pages in one call. Whoever is missing is pulled alone. Raises ConnectorError."""
        return self._together.read(asked, now)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 50 a call. Raises ConnectorError."""
        return answer_for(account, self.reread_many([Wanted(account=account, native_ids=native_ids)], now=now))

    def reread_many(self, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[int, Reread | ConnectorError]:
        """Read known posts of many pages again, 50 a call. A post that is no longer published counts as missing.

        A lost permission, or a server that reads no post by id, can look like missing posts: when none of a page's is
        left, its newest posts must still be readable, and what stands among them is not missing.
        """
        owners = {one: each.account for each in wanted for one in each.native_ids}
        known: dict[str, Json | None] = {}
        failed: dict[int, ConnectorError] = {}
        stop: ConnectorError | None = None
        for part in portions(list(owners), IDS_PER_CALL):
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
            for one, item in items.items():
                must_answer(f"{wanted.account.label}: known posts", [one], [identifier(item or {})])
            posts = {one: parse_post(item) for one, item in items.items() if item is not None and is_published(item)}
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
            return describe_token(self._sdk.debug_token(now), now)
        except UNTOLD:
            payload = self._sdk.ask(lambda graph: graph.get_object("me", fields="id,name"), now, what=TOKEN)
        return f"facebook: the token is accepted, as {parse_profile(payload).name}; Facebook does not say until when"

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what the last answers said of the app's budget."""
        return self._sdk.budget.allowances()

    def expires_at(self) -> datetime | None:
        """Return when the token ends; None: it has no end, or Facebook does not tell. Raises ConnectorError."""
        try:
            return end_of_token(self._sdk.debug_token(datetime.now(UTC)))
        except UNTOLD:
            return None

    def _profile(self, account: Account, now: datetime) -> Profile:
        page, what = page_of(account), f"{account.label}: profile"
        try:
            payload = self._sdk.attempt(
                lambda graph: graph.get_object(page, fields=PROFILE_FIELDS), now, what=what, page=page
            )
        except Refused as refused:
            if refused.refusal.code is None and lacks_way(refused.refusal):
                return self._profile_by_posts(account, now, refused.error)
            if refused.refusal.code != 100 or "nonexisting field" not in refused.refusal.message:
                raise refused.error from None
            payload = self._sdk.ask(
                lambda graph: graph.get_object(page, fields=BASIC_PROFILE_FIELDS), now, what=what, page=page
            )
        return _own_profile(payload, account)

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
            found = (
                {} if stop or not pages else self._sdk.objects(pages, PROFILE_FIELDS, now, what="facebook: profiles")
            )
        except ConnectorError as error:
            yield from ((account, error) for account in accounts)
            return
        for account, page in named:
            result = stop or self._profile_from(account, found.get(page or ""), now)
            stop = result if isinstance(result, ConnectorError) and result.whole_platform else stop
            yield account, result

    def _profile_from(self, account: Account, item: object, now: datetime) -> Profile | ConnectorError:
        try:
            return _own_profile(item, account) if item else self._profile(account, now)
        except ConnectorError as error:
            return error

    def _newest_posts(self, account: Account, now: datetime) -> object:
        walk = Walk(begin=None, bounds=Bounds(back_catalogue=PAGE_SIZE, page_limit=1), live_from=now, now=now)
        return self._published_posts(account, Way(walk=walk), now)

    def _published_posts(self, account: Account, way: Way | Stretch, now: datetime) -> object:
        """Read one page of posts, by the first edge that the page has for us."""
        page = page_of(account)
        known = self._edges.known([page], now).get(page)
        refusals: list[ConnectorError] = []
        for edge in (known,) if known else EDGES:
            way.only = account.native_id if edge == "feed" else ""
            try:
                payload = self._edge(account, edge, way, now)
            except Refused as refused:
                refusals.append(refused.error)
                if not lacks_way(refused.refusal):
                    break
            else:
                must_hold_posts_of(account.native_id, payload, what=account.label)
                if edge != known:
                    self._edges.keep([page], {page: edge}, now)
                return payload
        if known:
            self._edges.keep([page], {}, now)
        raise refusals[0] from None

    def _edge(self, account: Account, edge: str, way: Way | Stretch, now: datetime) -> object:
        """Read one page of posts; where the API finds it too large, a smaller one."""
        page, what = page_of(account), f"{account.label}: posts"
        while True:
            asked = way.question()
            try:
                return self._sdk.attempt(
                    lambda graph: graph.get_connections(page, edge, **asked),  # noqa: B023 (called at once)
                    now,
                    what=what,
                    page=page,
                )
            except Refused as refused:
                if not is_too_much(refused.refusal) or int(asked["limit"]) <= 1:
                    raise
                way.limit = int(asked["limit"]) // 2

    def _known_posts(
        self, ids: Sequence[str], owners: Mapping[str, Account], now: datetime
    ) -> Mapping[str, Json | None]:
        """Return known posts as they are now: one that is gone as not published, one withheld from us as None."""
        found = self._sdk.objects(ids, POST_FIELDS, now, what="facebook: known posts")
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
            item = self._sdk.attempt(
                lambda graph: graph.get_object(path, fields=POST_FIELDS), now, what=what, page=page
            )
        except Refused as refused:
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


def _own_profile(payload: object, account: Account) -> Profile:
    """Return a page's profile. Raises AnotherAccount for another page's.

    A number from the register may be one that Facebook itself answers with another (the page's profile has one, too);
    in usernames dots mean nothing.
    """
    profile = parse_profile(payload, handle=account.handle)
    page = page_of(account)
    if account.native_id:
        must_be(account.label, [page], [profile.native_id])
    elif not page.isdigit() and isinstance(payload, Mapping):
        must_be(account.label, [unquote(page).replace(".", "")], [string(payload, "username").replace(".", "")])
    return profile


def _page_or_none(account: Account) -> str | None:
    try:
        return page_of(account)
    except AccountNotFound:
        return None
