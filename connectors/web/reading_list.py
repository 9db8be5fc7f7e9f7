"""Which articles of a site are to be read: what its list shows, what a cursor remembers, what was missed. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from connectors.base import Cursor, Gap
from connectors.web.articles import newest_first, page_address, same_site
from connectors.web.sitemap import Entry
from monitor.model import Cause, Post

FIRST_WAIT = timedelta(minutes=1)  # doubles with each try


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An article to read. Times are as the list states them; `tries` counts how often it was asked for in vain.

    One that is listed, but was not there at `tried_at`, is asked for at ever longer intervals.
    """

    url: str
    published: str = ""
    modified: str = ""
    tries: int = 0
    tried_at: str = ""

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.url.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def as_json(self) -> list[Any]:
        return [self.url, self.published, self.modified, self.tries, self.tried_at]

    def tried(self, now: datetime) -> Wanted:
        return replace(self, tries=self.tries + 1, tried_at=now.isoformat())

    def waits(self, now: datetime) -> bool:
        at = as_time(self.tried_at)
        return at is not None and at <= now < at + FIRST_WAIT * 2**self.tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a cursor remembers of a list. `read` tells by an article's mark when it was changed, as its list said."""

    read: Mapping[str, str] = field(default_factory=dict)
    waiting: tuple[Wanted, ...] = ()
    first_sights: Mapping[str, str] = field(default_factory=dict)
    fullest: int = 0
    newest: str = ""

    def needs(self, one: Wanted) -> bool:
        return one.mark not in self.read or one.modified not in {"", self.read[one.mark]}


def known_of(cursor: Cursor | None) -> Known:
    if not cursor or cursor.get("v") != 1 or cursor.get("way") == "feed":
        return Known()
    waiting = (
        Wanted(url=url, published=published, modified=modified, tries=tries, tried_at=at[0] if at else "")
        for url, published, modified, tries, *at in cursor.get("waiting", ())
    )
    return Known(
        read=dict(cursor.get("read", {})),
        waiting=tuple(waiting),
        first_sights=dict(cursor.get("first_sights", {})),
        fullest=int(cursor.get("fullest", 0)),
        newest=str(cursor.get("newest", "")),
    )


def queue(known: Known, listed: Sequence[Entry], now: datetime) -> tuple[list[Wanted], list[Wanted]]:
    """Return the articles to read now, newest first, and those for later.

    Those that were asked for in vain come last and hold nothing up.
    """
    before = {one.url: one for one in known.waiting}
    fresh = [
        replace(before.get(one.url, Wanted(url=one.url)), published=_iso(one.published), modified=_iso(one.modified))
        for one in newest_first(listed)
    ]
    named = {one.url for one in fresh}
    wanted = [one for one in fresh if known.needs(one)] + [one for one in known.waiting if one.url not in named]
    in_turn = sorted(wanted, key=lambda one: one.tries)
    return [one for one in in_turn if not one.waits(now)], [one for one in in_turn if one.waits(now)]


def burst(known: Known, listed: Sequence[Entry], posts: Sequence[Post]) -> Gap | None:
    """Return the gap of a list on which nothing is known any more: articles may have come and gone unseen."""
    marks = {Wanted(url=one.url).mark for one in listed}
    if not known.read or not posts or not known.newest or marks & known.read.keys() or len(marks) < known.fullest:
        return None
    start, end = datetime.fromisoformat(known.newest), min(post.published_at for post in posts)
    return Gap(start=start, end=end, cause=Cause.BURST) if start < end else None


def _iso(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def as_time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def below(account_url: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the dated pages of a sitemap that lie below the account's address, and the site's news."""
    prefix = urlsplit(account_url).path.rstrip("/") + "/"
    own = page_address(account_url, account_url).rstrip("/")
    return tuple(
        one
        for one in entries
        if same_site(one.url, account_url)
        and one.url.rstrip("/") != own
        and (one.news or ((one.modified or one.published) and urlsplit(one.url).path.startswith(prefix)))
    )
