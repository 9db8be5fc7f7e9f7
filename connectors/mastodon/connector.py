"""The connector of Mastodon, and its settings."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import requests

from connectors import configured, http
from connectors.addresses.parts import split
from connectors.base import (
    BOUNDS,
    PAGE_BOUND,
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
)
from connectors.mastodon.listing import floor_of, following, parse_statuses, statuses_in
from connectors.mastodon.places import Place, place_of
from connectors.mastodon.posts import CHANGED, identified, is_suspended, parse_account, parse_status
from connectors.mastodon.refusals import SUSPENDED, AccountHidden, parse_allowance, refusal
from connectors.owners import must_answer, must_be
from connectors.payload import parts, string
from connectors.portions import portions
from connectors.remembered import Belief, Remembered
from connectors.walk import Listing, Walk, begin_walk, walked
from monitor.model import Account, Json, Post, Profile
from monitor.settings import Network, Secret

USUAL = "https://mastodon.social"
PAGE_SIZE = 40
STATUSES_PER_CALL = 20
SNOWFLAKE = 10**16  # ids of Mastodon since 2018 are larger, and begin with their time in milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class MastodonSettings:
    access_token: Secret = field(default_factory=Secret)
    base_url: str = ""  # each account's own server

    def problems(self) -> configured.Problems:
        alone = bool(self.access_token) and not self.base_url
        without = "needs connectors.mastodon.base_url: a token is good on one server, and is shown to no other"
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=USUAL) if self.base_url else "",
            access_token=without if alone else configured.token_mistake(self.access_token),
        )


class MastodonConnector:
    """Reads Mastodon servers. Thread-safe: the session and what was learnt of the servers are shared."""

    platform: ClassVar[str] = "mastodon"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[MastodonSettings]] = MastodonSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing on most servers. Where posts are shown to signed-in readers only: an account's token (scope read) in "
        "connectors.mastodon.access_token_file, and that server in base_url."
    )

    def __init__(self, settings: MastodonSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._base = settings.base_url.rstrip("/")
        self._token = settings.access_token.reveal().strip()
        self._bounds = bounds
        self._session = http.open_session(base_url=self._base, network=network, credential=bool(self._token))
        self._lock = threading.Lock()
        self._allowances: dict[str, Allowance] = {}  # by server
        self._homes: Remembered[str] = Remembered(Belief.LASTS)  # by a handle's domain: where its server is asked
        self._singly: defaultdict[str, Belief] = defaultdict(Belief)  # by server: it reads statuses by id one by one

    def resolve(self, account: Account) -> Profile:
        """Return the account's profile by its id, else by its handle. Raises ConnectorError."""
        now = datetime.now(UTC)
        place = self._place(account, now)
        told = self._account(account, place, now) if account.native_id else self._lookup(account, place, now)
        if is_suspended(told):
            raise AccountHidden(f"{account.label}: {SUSPENDED}")
        return parse_account(told, server=place.domain)

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk, begin, shown = begin_walk(account, cursor, self._bounds, now), dict(cursor or {}), list[Post]()
        asked = {"since_id": str(begin["floor"])} if begin.get("floor") and walk.known else {}
        for page in walked(walk, self._answers(account, asked, now)):
            shown += page.posts
            if not page.last:
                yield page
                continue
            floor = floor_of(shown, walk, begin, page.cursor)
            yield replace(page, cursor={**page.cursor, "floor": floor} if floor else page.cursor)

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the posts of a stretch of the past, newest first; its pages' cursors are not to be kept.

        Ids that begin with their time lead straight there; on other servers what lies after `end` is read past.
        """
        bounds = replace(self._bounds, overlap=timedelta(), page_limit=PAGE_BOUND)
        walk = Walk(begin={"v": 1, "newest": start.isoformat()}, bounds=bounds, live_from=start, now=now)
        is_timed = account.native_id.isascii() and account.native_id.isdigit() and int(account.native_id) >= SNOWFLAKE
        asked = {"max_id": str(int(end.timestamp() * 1000) + 1 << 16)} if is_timed else {}
        for page in walked(walk, self._answers(account, asked, now)):
            inside = tuple(post for post in page.posts if start <= post.published_at < end)
            gap = page.gap and replace(page.gap, end=min(page.gap.end, end))
            yield replace(page, posts=inside, gap=gap)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 20 a call where the server can, else one by one. Raises ConnectorError.

        A server that has forgotten the account, or shows it no longer, answers as if its posts were deleted: what is
        not found is missing only while the account is there.
        """
        place, asked = self._place(account, now), tuple(dict.fromkeys(native_ids))
        found = self._statuses(account, place, asked, now)
        missing, hidden = set[str](), set[str]()
        for one in (one for one in asked if one not in found):
            try:
                found[one] = self._status(account, place, one, now)
            except AccountNotFound:
                missing.add(one)
            except PermissionMissing:
                hidden.add(one)
        if missing and is_suspended(self._account(account, place, now)):
            missing, hidden = set(), hidden | missing
        posts = tuple(parse_status(found[one]) for one in asked if one in found)
        return Reread(posts=posts, missing=frozenset(missing), hidden=frozenset(hidden))

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what each server last said of its budget."""
        with self._lock:
            return tuple(self._allowances.values())

    def check(self) -> str:
        """Ask the one server that is configured, with its token. Raises ConnectorError."""
        now = datetime.now(UTC)
        if not self._base:
            return "mastodon: each account is asked for at its own server; no credential is needed"
        if self._token:
            self._get(f"{self._base}/api/v1/apps/verify_credentials", {}, now, what="mastodon: the token")
        told = self._object(f"{self._base}/api/v1/instance", {}, now, what="mastodon: the server")
        version = f" (version {string(told, 'version')[:60]})" if string(told, "version") else ""
        return f"mastodon: {urlsplit(self._base).hostname} answers{version}" + (
            ", and takes the token" if self._token else ""
        )

    # Where an account is.

    def _place(self, account: Account, now: datetime) -> Place:
        place = place_of(account, base_url=self._base)
        if not place.is_guess:
            return place
        home = self._homes.known([place.domain], now).get(place.domain)
        return replace(place, base=home or self._home(account, place, now))

    def _home(self, account: Account, place: Place, now: datetime) -> str:
        """Ask a handle's domain where its server is (WebFinger): it may have another name. Once an hour a domain."""
        url, asked = f"{place.base}/.well-known/webfinger", {"resource": f"acct:{place.user}@{place.domain}"}
        try:
            told = self._object(url, asked, now, what=f"{account.label}: where its server is")
        except ConnectorError:  # not every server says so: then it is where the handle says
            return place.base
        links = parts(told, "links")
        there = next((split(string(one, "href")) for one in links if one.get("rel") == "self"), None)
        is_safe = there is not None and (there.scheme == "https" or place.base.startswith("http:"))
        home = f"{there.scheme}://{there.netloc}" if there is not None and is_safe else place.base
        self._homes.keep([place.domain], {place.domain: home}, now)
        return home

    # Accounts.

    def _lookup(self, account: Account, place: Place, now: datetime) -> Json:
        acct = (
            f"{place.user}@{place.domain}" if self._base and place.domain != urlsplit(self._base).netloc else place.user
        )
        what = f"{account.label}: profile"
        told = self._object(f"{place.base}/api/v1/accounts/lookup", {"acct": acct}, now, what=what)
        must_be(what, [place.user], [told.get("username")])
        return told

    def _account(self, account: Account, place: Place, now: datetime) -> Json:
        url = f"{place.base}/api/v1/accounts/{quote(account.native_id, safe='')}"
        what = f"{account.label}: profile"
        told = self._object(url, {}, now, what=what)
        must_be(what, [account.native_id], [told.get("id")])
        return told

    def _id(self, account: Account, place: Place, now: datetime) -> str:
        return account.native_id or identified(self._lookup(account, place, now), "an account")

    # Statuses.

    def _answers(self, account: Account, window: Mapping[str, str], now: datetime) -> Listing:
        """Yield what the account published, newest first, without an end of its own: the walk says when it is over."""
        place = self._place(account, now)
        owner = self._id(account, place, now)
        url, what = f"{place.base}/api/v1/accounts/{quote(owner, safe='')}/statuses", f"{account.label}: posts"
        asked = {**window, "limit": str(PAGE_SIZE)}
        is_first = True
        while True:
            response = self._get(url, asked, now, what=what)
            statuses = statuses_in(http.json_body(response, what=what))
            if is_first and not statuses and is_suspended(self._account(replace(account, native_id=owner), place, now)):
                raise AccountHidden(f"{account.label}: {SUSPENDED}")
            is_first, further = False, following(response, statuses)
            if not (yield parse_statuses(statuses, more=bool(further), owner=owner, what=what)):
                asked["max_id"] = further

    def _statuses(self, account: Account, place: Place, ids: Sequence[str], now: datetime) -> dict[str, Json]:
        """Return statuses by id, as many as the server gives in calls for several."""
        found: dict[str, Json] = {}
        for part in portions(ids, STATUSES_PER_CALL):
            if self._singly[place.base].holds(now):
                break
            asked = {"id[]": list(part)}
            try:
                what = f"{account.label}: known posts"
                told = http.json_body(self._get(f"{place.base}/api/v1/statuses", asked, now, what=what), what=what)
                found |= {identified(item, "a status"): item for item in statuses_in(told)}
            except (AccountNotFound, PermissionMissing, SchemaDrift):
                self._singly[place.base].take(now)  # before Mastodon 4.3, and on most of its like, this is no question
        return found

    def _status(self, account: Account, place: Place, native_id: str, now: datetime) -> Json:
        url = f"{place.base}/api/v1/statuses/{quote(native_id, safe='')}"
        what = f"{account.label}: a known post"
        found = self._object(url, {}, now, what=what)
        must_answer(what, [native_id], [identified(found, "a status")])
        return found

    # One question.

    def _object(self, url: str, asked: Mapping[str, Any], now: datetime, *, what: str) -> Json:
        payload = http.json_body(self._get(url, asked, now, what=what), what=what)
        if not isinstance(payload, Mapping):
            raise SchemaDrift(f"{what}: the answer is no object; {CHANGED}")
        return payload

    def _get(self, url: str, asked: Mapping[str, Any], now: datetime, *, what: str) -> requests.Response:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {self._token}"} if self._token else {})
        try:
            response = self._session.get(url, params=dict(asked), headers=headers)
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        server = urlsplit(url).netloc
        if (allowance := parse_allowance(response.headers, server, now)) is not None:
            with self._lock:
                self._allowances[server] = allowance
        if response.status_code != requests.codes.ok:
            raise refusal(response, what=what, now=now, alone=bool(self._base), token=bool(self._token))
        return response
