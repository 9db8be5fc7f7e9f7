"""The connector of TikTok, and its settings."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import requests

from connectors import configured, http
from connectors.addresses import tiktok as addresses
from connectors.addresses.parts import named_by
from connectors.base import (
    BOUNDS,
    Bounds,
    Capabilities,
    ConnectorMisconfigured,
    CredentialRefused,
    Cursor,
    Page,
    PermissionMissing,
    Reread,
    SchemaDrift,
    Unavailable,
)
from connectors.lifetime import in_seconds
from connectors.listing import stretch
from connectors.owners import AnotherAccount, must_answer, must_be
from connectors.payload import string
from connectors.portions import portions
from connectors.tiktok.posts import (
    BASIC_USER_FIELDS,
    CHANGED,
    USER_FIELDS,
    VIDEO_FIELDS,
    again_from,
    author_of,
    next_cursor,
    parse_listing,
    parse_profile,
)
from connectors.tiktok.refusals import CODES, GRANT_CODES, ConsentEnded, refusal
from connectors.tiktok.tokens import Grant, Tokens
from connectors.walk import Listing, begin_walk, listed, walked
from monitor.model import Account, Json, Post, Profile
from monitor.settings import Network, Secret

USUAL = "https://open.tiktokapis.com"
PAGE_SIZE = 20  # also the most ids of one question
USERNAME = r"[A-Za-z0-9_.]{1,24}"
MOST_NAMED = 5  # accounts in one message
BARREN = 2  # pages in a row without anything new: the listing gets nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class TikTokSettings:
    access_token: Secret = field(default_factory=Secret)
    client_key: str = ""
    client_secret: Secret = field(default_factory=Secret)
    refresh_token: Secret = field(default_factory=Secret)
    tokens: Path = Path("var/tiktok")  # a file an account, named after it, with its refresh token; renewed ones too
    base_url: str = USUAL

    @property
    def renews(self) -> bool:
        return bool(self.client_key.strip() and self.client_secret)

    def lacking(self, accounts: Sequence[Account]) -> configured.Problems:
        """Return what is missing to read these accounts: the app, or the consents of some. One token may serve all."""
        if self.access_token or (self.renews and self.refresh_token):
            return []
        if not self.renews:
            return [("client_key", "and client_secret are not set; write the app's, see README: TikTok")]
        named = [username_of(one) or one.handle for one in accounts]
        without = [name for name in named if not self.consents().has_own(name)]
        more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
        said = (
            f"{self.tokens} holds no file named {', '.join(without[:MOST_NAMED])}{more}; write the account's refresh "
            "token into a file named after it (README: TikTok), or import it as paused until its agency consents"
        )
        return [("tokens", said)] if without else []

    def consents(self) -> Tokens:
        return Tokens(
            access_token=self.access_token, refresh_token=self.refresh_token, folder=self.tokens, renews=self.renews
        )

    def problems(self) -> configured.Problems:
        is_half = bool(self.client_key.strip()) != bool(self.client_secret)
        alone = bool(self.refresh_token) and not self.renews
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=USUAL),
            access_token=configured.token_mistake(self.access_token),
            refresh_token=configured.token_mistake(self.refresh_token)
            or ("needs client_key and client_secret beside it" if alone else ""),
            client_secret=configured.token_mistake(self.client_secret)
            or ("and client_key are set together or not at all" if is_half and not alone else ""),
        )


def username_of(account: Account) -> str:
    """Return the username that the register gives; empty when it gives none."""
    return named_by(account, addresses.handle, usable=USERNAME)


class TikTokConnector:
    """Reads consenting accounts. Thread-safe: tokens are in files, and whose each is is remembered."""

    platform: ClassVar[str] = "tiktok"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[TikTokSettings]] = TikTokSettings
    credentials: ClassVar[tuple[str, ...]] = ("access_token",)
    obtain: ClassVar[str] = (
        "The consent of each agency (Login Kit, scopes user.info.basic, user.info.profile, video.list) to an app on "
        "developers.tiktok.com: its client_key, client_secret_file, and each account's refresh token in a file named "
        "after the account, in the folder connectors.tiktok.tokens (var/tiktok), which Pantau keeps renewed. An "
        "access_token alone is good for one account and two hours."
    )

    def __init__(self, settings: TikTokSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._settings = settings
        self._bounds = bounds
        self._base_url = settings.base_url.strip().rstrip("/")
        self._session = http.open_session(base_url=self._base_url, network=network, credential=True)
        self._tokens = settings.consents()
        self._users: dict[str, Json] = {}  # by username of the register: whose the token is
        self._lock = threading.Lock()

    def resolve(self, account: Account) -> Profile:
        """Return the profile of whoever consented, if that is the account. Raises ConnectorError."""
        user = self._user(account, datetime.now(UTC))
        self._compare(account, user)
        return parse_profile(user, handle=username_of(account))

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now, promises=True, whole=True)
        yield from walked(walk, self._listing(account, now))

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the videos of [start, end), read again. Raises ConnectorError."""
        yield from stretch(self._listing(account, now, before=end + timedelta(seconds=1)), start, end, promises=True)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known videos again, 20 a call. What is not shown is deleted or private. Raises ConnectorError."""
        asked = tuple(dict.fromkeys(native_ids))
        self._must_be_own(account, now)
        posts: dict[str, Post] = {}
        for part in portions(asked, PAGE_SIZE):
            body = {"filters": {"video_ids": list(part)}}
            data = self._ask(account, "/v2/video/query/", VIDEO_FIELDS, now, body=body, what="known videos")
            found = {post.native_id: post for post in parse_listing({**data, "has_more": False})}
            must_answer(f"{account.label}: known videos", part, found)
            posts |= found
        if asked and not posts:  # a consent that shows nothing any more looks the same: the newest must be readable
            posts = {post.native_id: post for post in next(self._listing(account, now)).posts}
        shown = {one: post for one, post in posts.items() if one in asked}
        return Reread(posts=tuple(shown.values()), missing=frozenset(asked) - shown.keys())

    def check(self) -> str:
        """Return a sentence on whose tokens there are. Raises ConnectorError."""
        now = datetime.now(UTC)
        accepted, refused = [], []
        for name in self._tokens.known() or ("",):
            try:
                user = self._user(Account(agency="", platform="tiktok", handle=name), now)
            except ConsentEnded as error:
                refused.append((name, error))
            else:
                accepted.append(string(user, "username") or string(user, "display_name") or name)
        if refused and not accepted:
            raise refused[0][1]
        renewed = "tokens are renewed" if self._settings.renews else "the token is good for two hours, and not renewed"
        ended = f"; the consent of {', '.join(name for name, _ in refused)} is over" if refused else ""
        return f"tiktok: the consent of {', '.join(accepted)} is accepted{ended}; {renewed}"

    def expires_at(self) -> datetime | None:
        """Return when the first of the consents ends, as the last renewals told; no call. Raises ConnectorError."""
        return self._tokens.first_end()

    # Whose tokens are whose.

    def _must_be_own(self, account: Account, now: datetime) -> None:
        try:
            self._compare(account, self._user(account, now, remembered=True))
        except PermissionMissing:  # or it was another's answer: the next check asks again
            self._forget(account)
            raise

    def _forget(self, account: Account) -> None:
        with self._lock:
            self._users.pop(username_of(account), None)

    def _must_be_videos_of(self, account: Account, posts: Sequence[Post]) -> None:
        """Raise AnotherAccount for another's videos. The account may have a new name: it is asked for again."""
        with self._lock:
            user = self._users.get(username_of(account), {})
        try:
            must_be(f"{account.label}: videos", [string(user, "username")], map(author_of, posts))
        except AnotherAccount:
            self._forget(account)
            raise

    def _compare(self, account: Account, user: Json) -> None:
        """Raise PermissionMissing where the token is another account's: it would show that one's videos.

        The id survives a new name, and the name survives another app, to which TikTok tells other ids.
        """
        open_id, username, wanted = string(user, "open_id"), string(user, "username"), username_of(account)
        is_same = username.casefold() == wanted.casefold() if username and wanted else not account.native_id
        if not is_same and open_id != account.native_id:
            raise PermissionMissing(
                f"{account.label}: the token is that of @{username or open_id[:40]}; this account needs a consent of "
                f"its own: write its refresh token into a file named {wanted} in connectors.tiktok.tokens"
            )

    def _user(self, account: Account, now: datetime, *, remembered: bool = False) -> Json:
        name = username_of(account)
        with self._lock:
            known = self._users.get(name)
        if known is None or not remembered:
            known = self._asked_user(account, now)
            with self._lock:
                self._users[name] = known
        return known

    def _asked_user(self, account: Account, now: datetime) -> Json:
        what, path = "profile", "/v2/user/info/"
        try:
            data = self._ask(account, path, USER_FIELDS, now, what=what)
        except PermissionMissing:  # the consent may be to the basic scope alone
            data = self._ask(account, path, BASIC_USER_FIELDS, now, what=what)
        user = data.get("user")
        if not isinstance(user, Mapping):
            raise SchemaDrift(f"{account.label}: an answer has no user; {CHANGED}")
        return user

    # How it is asked.

    def _listing(self, account: Account, now: datetime, *, before: datetime | None = None) -> Listing:
        """Yield the pages of an account's videos, newest first.

        A cursor is the time of a page's last video, and others of that second may come behind it: the next page begins
        with that second once more, unless the last one showed nothing else.
        """
        self._must_be_own(account, now)
        cursor = int(before.timestamp() * 1000) if before else None
        begin = cursor
        seen: set[str] = set()
        barren = 0
        while True:
            body: dict[str, Any] = {"max_count": PAGE_SIZE, **({"cursor": begin} if begin is not None else {})}
            data = self._ask(account, "/v2/video/list/", VIDEO_FIELDS, now, body=body, what="videos")
            posts = parse_listing(data)
            self._must_be_videos_of(account, posts)
            further = next_cursor(data, cursor if begin == cursor else None)
            fresh = tuple(post for post in posts if post.native_id not in seen)
            if (yield replace(listed(posts, more=further is not None), posts=fresh)):
                continue
            cursor = further
            barren = 0 if fresh else barren + 1
            begin = again_from(cursor) if cursor is not None and not barren else cursor
            seen |= {post.native_id for post in posts}
            if cursor is None or barren >= BARREN:
                return

    def _ask(
        self,
        account: Account,
        path: str,
        fields: str,
        now: datetime,
        *,
        what: str,
        body: Mapping[str, Any] | None = None,
    ) -> Json:
        """Ask, with a renewed token where that is needed. A consent that is over stops its own account alone."""
        label = f"{account.label if account.handle else 'tiktok'}: {what}"
        try:
            return self._ask_as(username_of(account), path, fields, now, what=label, body=body)
        except CredentialRefused as error:
            if not self._tokens.has_own(username_of(account)):
                raise
            raise ConsentEnded(str(error)) from None

    def _ask_as(
        self, username: str, path: str, fields: str, now: datetime, *, what: str, body: Mapping[str, Any] | None
    ) -> Json:
        """Ask once, and once more with a renewed token where the first was refused."""
        token = self._tokens.access_token(username, now, lambda old: self._renew(old, now))
        if not token:
            remedy = "make one with the agency's consent, see README: TikTok"
            if self._tokens.known():
                raise ConsentEnded(f"{what}: connectors.tiktok.tokens has no file named {username}; {remedy}")
            missing = "connectors.tiktok.tokens holds no consent, and connectors.tiktok.access_token is not set"
            raise ConnectorMisconfigured(f"{what}: {missing}; {remedy}")
        try:
            return self._call(path, fields, token, now, what=what, body=body)
        except CredentialRefused:
            other = self._tokens.after_refusal(username, token, now, lambda old: self._renew(old, now))
            if not other:
                raise
            return self._call(path, fields, other, now, what=what, body=body)

    def _call(
        self, path: str, fields: str, token: str, now: datetime, *, what: str, body: Mapping[str, Any] | None
    ) -> Json:
        method = "GET" if body is None else "POST"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            answer = self._session.request(
                method, self._base_url + path, params={"fields": fields}, json=body, headers=headers
            )
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        payload = _payload(answer, what=what)
        told = payload.get("error")
        code = string(told, "code") if isinstance(told, Mapping) else ""
        if answer.status_code >= 400 or code not in {"", "ok"}:
            raise refusal(answer, CODES.get(code), code, now, what=what)
        data = payload.get("data")
        if not isinstance(data, Mapping):
            raise SchemaDrift(f"{what}: an answer has no data; {CHANGED}")
        return data

    def _renew(self, refresh_token: str, now: datetime) -> Grant:
        """Exchange a refresh token for new tokens: from then on the old one is dead. Raises ConnectorError."""
        what = "tiktok: renewing a token"
        form = {
            "client_key": self._settings.client_key.strip(),
            "client_secret": self._settings.client_secret.reveal().strip(),
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        try:
            answer = self._session.post(f"{self._base_url}/v2/oauth/token/", data=form)
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        payload = _payload(answer, what=what)
        code = string(payload, "error")
        if answer.status_code >= 400 or code:
            raise refusal(answer, GRANT_CODES.get(code), code, now, what=what)
        token = string(payload, "access_token")
        if not token:
            raise SchemaDrift(f"{what}: an answer has no access_token; {CHANGED}")
        return Grant(
            access_token=token,
            refresh_token=string(payload, "refresh_token"),
            expires_at=in_seconds(payload.get("expires_in"), now),
            ends_at=in_seconds(payload.get("refresh_expires_in"), now),
        )


def _payload(answer: requests.Response, *, what: str) -> Json:
    """Return the object of an answer; an empty one where a refusal has another body."""
    try:
        content = http.json_body(answer, what=what)
    except (SchemaDrift, Unavailable):
        if answer.status_code < 400:
            raise
        return {}
    if isinstance(content, Mapping):
        return content
    if answer.status_code < 400:
        raise SchemaDrift(f"{what}: the answer is no object; base_url may lead elsewhere")
    return {}
