"""The connector of Telegram, and its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote

import requests

from connectors import addresses, configured, http
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Bounds,
    Capabilities,
    Cursor,
    Gap,
    Page,
    RateLimited,
    Reread,
    Unavailable,
)
from connectors.telegram.pages import Preview, Single, parse_preview, parse_single
from connectors.telegram.posts import USUAL
from connectors.walk import Listed, Walk, begin_walk
from monitor.model import Account, Cause, Post, Profile
from monitor.settings import Network

ENGLISH = {"Accept-Language": "en"}  # what the pages say of themselves is read in English
SINGLY = 20  # messages that one look again asks for by themselves; the others are decided another time


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSettings:
    base_url: str = USUAL

    def problems(self) -> configured.Problems:
        return configured.only(base_url=configured.base_url_mistake(self.base_url, usual=USUAL))


def channel_of(account: Account) -> str:
    """Return the channel's public name: the handle, or what the address names. Raises AccountNotFound."""
    handle = account.handle.strip().removeprefix("@")
    pasted = addresses.match(handle if "/" in handle else account.url) if "/" in handle or not handle else None
    name = (pasted[1] if pasted[0] == "telegram" else "") if pasted else handle
    if not re.fullmatch(r"\w{4,32}", name, re.ASCII):
        raise AccountNotFound(f"{account.label}: names no public Telegram channel; write its name as in t.me/name")
    return name


class TelegramConnector:
    """Reads public channels. Thread-safe: only the session is shared."""

    platform: ClassVar[str] = "telegram"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[TelegramSettings]] = TelegramSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing: public channels are read as t.me shows them to everybody. A channel that restricts saving its "
        "content shows nothing there: its administrators must allow it."
    )

    def __init__(self, settings: TelegramSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._base_url = settings.base_url.rstrip("/")
        self._bounds = bounds
        self._session = http.open_session(base_url=self._base_url, network=network, replaces=(USUAL,))

    def resolve(self, account: Account) -> Profile:
        """Return what the channel says of itself; only a message tells its number. Raises ConnectorError."""
        profile = self._preview(account, None, datetime.now(UTC)).profile
        return (
            profile
            if profile.native_id
            else replace(profile, native_id=account.native_id or channel_of(account).lower())
        )

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield pages newest first; the cursor moves on the last. Raises ConnectorError."""
        walk = begin_walk(account, cursor, self._bounds, now)
        known = _known_number(cursor)
        shown = self._preview(account, None, now)
        if not shown.numbers and walk.known is not None:
            raise Unavailable(
                f"{account.label}: the page shows no messages, as it does when Telegram is asked too often"
            )
        newest = max([known, *shown.numbers])
        page = walk.take(_listed(shown, walk, known=known, now=now))
        while not page.last:
            yield page
            shown = self._older(account, shown, now)
            page = walk.take(_listed(shown, walk, known=known, now=now))
        yield replace(page, cursor={**page.cursor, "number": newest})

    def backfill(self, account: Account, start: datetime, end: datetime, *, now: datetime) -> Iterator[Page]:
        """Yield the messages published in [start, end), read again from the newest down. Raises ConnectorError."""
        shown = self._preview(account, None, now)
        for left in reversed(range(self._bounds.page_limit)):
            ended = not shown.more or not shown.times or min(shown.times) < start
            reached = min([end, *shown.times])
            gap = None if ended or left or reached <= start else Gap(start=start, end=reached, cause=Cause.BURST)
            posts = tuple(post for post in shown.posts if start <= post.published_at < end)
            yield Page(posts=posts, cursor={}, last=ended or not left, gap=gap)
            if ended or not left:
                return
            shown = self._older(account, shown, now)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known messages again: by the pages on which they stand, and those that do not, by themselves.

        Raises ConnectorError. No more than `SINGLY` are asked for by themselves; the others are left for the next time.
        """
        waiting = sorted({int(one) for one in native_ids if re.fullmatch(r"[0-9]{1,12}", one)}, reverse=True)
        posts: dict[int, Post] = {}
        absent: list[int] = []
        while waiting:
            shown = self._preview(account, waiting[0] + 1, now)
            here = {int(post.native_id): post for post in shown.posts}
            lowest = min(shown.numbers, default=0) if shown.more else 0
            covered = [one for one in waiting if one >= lowest] or waiting[:1]
            posts |= {one: here[one] for one in covered if one in here}
            absent += [one for one in covered if one not in here]
            waiting = waiting[len(covered) :]
        single = {one: self._single(account, one, now) for one in absent[:SINGLY]}
        posts |= {one: found.post for one, found in single.items() if found.post is not None}
        return Reread(
            posts=tuple(_seen_edited(posts[one], now) for one in sorted(posts, reverse=True)),
            missing=frozenset(str(one) for one, found in single.items() if found.gone),
            hidden=frozenset(str(one) for one, found in single.items() if found.hidden),
            left=frozenset(map(str, absent[SINGLY:])),
        )

    def check(self) -> str:
        return "telegram: public channels need no credential"

    def _preview(self, account: Account, before: int | None, now: datetime) -> Preview:
        name = channel_of(account)
        page = self._get(account, f"/s/{quote(name)}", {} if before is None else {"before": str(before)}, now)
        return parse_preview(page, name=name, what=account.label, known=account.native_id)

    def _older(self, account: Account, shown: Preview, now: datetime) -> Preview:
        older = self._preview(account, min(shown.numbers), now)
        if not older.numbers:
            raise Unavailable(f"{account.label}: older messages are not shown now, as when Telegram is asked too often")
        return older

    def _single(self, account: Account, number: int, now: datetime) -> Single:
        name = channel_of(account)
        page = self._get(account, f"/{quote(name)}/{number}", {"embed": "1"}, now)
        return parse_single(page, name=name, number=str(number), what=account.label, known=account.native_id)

    def _get(self, account: Account, path: str, asked: Mapping[str, str], now: datetime) -> str:
        try:
            response = self._session.get(f"{self._base_url}{path}", params=dict(asked), headers=ENGLISH)
        except requests.RequestException as error:
            raise http.failure(error, what=account.label) from None
        refused = http.refusal(response, what=account.label, now=now)
        if isinstance(refused, http.SiteLimited):  # one site for all channels
            raise RateLimited(str(refused), retry_at=refused.retry_at)
        if refused is not None:
            raise refused
        return response.content.decode("utf-8", errors="replace")


def _known_number(cursor: Cursor | None) -> int:
    number = (cursor or {}).get("number", 0)
    return number if isinstance(number, int) else 0


def _listed(shown: Preview, walk: Walk, *, known: int, now: datetime) -> Listed:
    """Return a page for the walk. Numbers rise with time: a page that reaches below what is known is the last one."""
    reached = walk.since is not None and bool(shown.times) and min(shown.times) < walk.since
    return Listed(
        posts=tuple(_seen_edited(post, now) if int(post.native_id) <= known else post for post in shown.posts),
        times=shown.times,
        ids=frozenset(map(str, shown.numbers)),
        more=shown.more and not reached,
    )


def _seen_edited(post: Post, now: datetime) -> Post:
    """Date the edit of a message that was known before: Telegram says that it was edited, not when."""
    return replace(post, edited_at=max(now, post.published_at)) if post.raw.get("edited") else post
