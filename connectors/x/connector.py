"""The connector of X, and its settings."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
import tweepy

from connectors import addresses, configured, http
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Allowance,
    Bounds,
    Capabilities,
    ConnectorError,
    ConnectorMisconfigured,
    Cursor,
    Gap,
    Page,
    Reread,
    SchemaDrift,
    Wanted,
)
from connectors.owners import must_be
from connectors.payload import onward
from connectors.portions import answer_for, portions
from connectors.remembered import Belief
from connectors.x.billing import Bill
from connectors.x.fields import POST_PARAMETERS, RENAMED_FIELDS, RENAMED_PARAMETERS, USER_FIELDS, ThreadFields
from connectors.x.ids import is_ahead
from connectors.x.lookups import Known, ids_of
from connectors.x.posts import items_of, object_in, objects_in, parse_timeline, profiles_in, withheld
from connectors.x.refusals import from_answer, from_tweepy, refuses_names
from connectors.x.timeline import FIRST_TIME, JUST_NOW, Walk, between, in_seconds, listed_at
from monitor.model import Account, Cause, Json, Post, Profile
from monitor.settings import Network, Secret

USUAL = "https://api.x.com"
ORIGINS = ("https://api.twitter.com", "https://api.x.com")  # what tweepy hard-codes, then and now
PAGE_SIZE = 100
MOST_AT_ONCE = 100  # posts or users that one call looks up
TRIPS = (AttributeError, TypeError, ValueError, RecursionError)  # of tweepy's over an error's body, before it raises
BARREN = 2  # pages in a row that show nothing new: a server that never ends its list


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

    def __init__(self, settings: XSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
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
        self._client.session.params = self._extra = ThreadFields()  # tweepy passes none on that it does not know
        self._renamed = Belief()  # X refuses the old names

    def resolve(self, account: Account) -> Profile:
        return answer_for(account, self.resolve_many([account]))

    def resolve_many(self, accounts: Sequence[Account]) -> Mapping[int, Profile | ConnectorError]:
        """Return each account's profile, or why it has none, by account id; 100 a call. Raises ConnectorError."""
        answers: dict[int, Profile | ConnectorError] = {}
        for part in portions([a for a in accounts if a.native_id], MOST_AT_ONCE):
            payload = self._users("ids", "id", [a.native_id for a in part])
            answers |= profiles_in(payload, {a.native_id: a for a in part}, "id")
        named, unusable = _named([a for a in accounts if not a.native_id])
        for part in portions(named, MOST_AT_ONCE):
            payload = self._users("usernames", "username", [_username(a) for a in part])
            answers |= profiles_in(payload, {_username(a).casefold(): a for a in part}, "username")
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
                found["data"] += [user] if isinstance(user, dict) else objects_in(answer, "data")
                found["errors"] += objects_in(answer, "errors")
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
            start=dict(cursor) if cursor and not is_ahead(str(cursor.get("newest_id", "")), now) else {},
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
        bounds = between(start, end, now)
        token, seen, barren, oldest, hollow = None, set[str](), 0, end, False
        while True:
            payload = self._timeline(account, bounds, token, now)
            posts, following = parse_timeline(payload), onward(object_in(payload, "meta"), "next_token")
            ids = {item["id"] for item in items_of(payload)}
            barren = 0 if ids - seen else barren + 1
            seen |= ids
            reached = min(map(listed_at, posts), default=None)
            oldest = min(filter(None, (oldest, reached)))
            token = following if following and barren < BARREN else None
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
        payload = self._timeline(account, {"end_time": in_seconds(start), "max_results": "5"}, None, now)
        return bool(items_of(payload))

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
            raise withheld(payload, account)
        if not payload.get("data") and object_in(payload, "meta").get("result_count") and not payload.get("errors"):
            raise SchemaDrift(f"{account.label}: X counts posts in its answer, but there are none in it")
        must_be(account.label, [account.native_id], (item.get("author_id") for item in items_of(payload)))
        return payload

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again, 100 a call, and the newest version of edited ones. Raises ConnectorError."""
        return answer_for(account, self.reread_many([Wanted(account=account, native_ids=native_ids)], now=now))

    def reread_many(self, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[int, Reread | ConnectorError]:
        """Read known posts of many accounts again, 100 a call, and the newest version of edited ones."""
        known = Known()
        ids = dict.fromkeys(one for each in wanted for one in ids_of(each))
        try:
            for part in portions(list(ids), MOST_AT_ONCE):
                self._look_up(known, part, now)
            for part in portions(sorted(known.edited), MOST_AT_ONCE):
                self._look_up(known, part, now)
        except AccountNotFound:  # no look-up by id on this server: the timeline shows the newest ones as they are
            return {each.account.id: self._from_timeline(each, now) for each in wanted}
        return {each.account.id: known.answer_to(each) for each in wanted}

    def _look_up(self, known: Known, ids: Sequence[str], now: datetime) -> None:
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
        shown = "" if objects_in(payload, "data") else ", but X shows no account to it"
        return f"x: the bearer token is accepted{shown}"

    def _ask_for_posts(
        self, what: str, call: Callable[..., requests.Response], *args: Any, now: datetime, **more: Any
    ) -> Json:
        """Ask with what is to be shown of a post: where X refuses the old names, with the new ones for a while.

        Raises ConnectorError.
        """
        is_renamed = self._renamed.holds(now)
        if not is_renamed:
            try:
                return self._ask(what, call, *args, now=now, **POST_PARAMETERS, **more)
            except SchemaDrift:
                if not refuses_names(self._answers.last):
                    raise
        with self._extra.asked(RENAMED_FIELDS):
            answer = self._ask(what, call, *args, now=now, **RENAMED_PARAMETERS, **more)
        if not is_renamed:
            self._renamed.take(now)
        return answer

    def _ask(
        self, what: str, call: Callable[..., requests.Response], *args: Any, now: datetime, **parameters: Any
    ) -> Json:
        """Make one call and return its JSON object. Raises ConnectorError."""
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
        except TRIPS:
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
