"""The ways along a page's posts: from the newest to what is known, and through a stretch of the past. Pure.

Each says what the Graph API must be asked for next, is fed the answer, and says when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.base import Gap, Page
from connectors.facebook.groups import WIDEST_WINDOW
from connectors.facebook.posts import POST_FIELDS, parse_listing
from connectors.graph.answers import following
from connectors.walk import Listed, Walk
from monitor.model import Cause

PAGE_SIZE = 100
NARROW_WINDOW = timedelta(days=30)


@dataclass(slots=True, kw_only=True)
class Way:
    """A walk along a page's posts, with what the Graph API must be asked for next."""

    walk: Walk
    limit: int = PAGE_SIZE
    only: str = ""  # the page's id, where visitors' posts stand among its own
    _next: Mapping[str, str] = field(default_factory=dict)

    def question(self) -> dict[str, str]:
        """Return the parameters of the next call."""
        asked: dict[str, str] = {"fields": POST_FIELDS, "limit": str(self.limit)}
        left, since = self.walk.left, self.walk.since
        if left is not None:
            asked["limit"] = str(min(self.limit, left) if left > 0 else self.limit)
        elif since is not None and self.walk.now - since < WIDEST_WINDOW:
            asked["since"] = str(int(since.timestamp()))
        return asked | dict(self._next)

    def take(self, payload: object) -> Page:
        """Return the page of one answer. Raises SchemaDrift."""
        self._next = following(payload)
        return self.walk.take(parse_listing(payload, only=self.only))


@dataclass(slots=True, kw_only=True)
class Stretch:
    """A walk through a stretch of a page's past, with what the Graph API must be asked for next.

    A wide window misses posts that a narrow one returns, and may span six months at most: the stretch is read month by
    month; one of years, where a choice of its newest posts is wanted, from its end on without a lower bound.
    """

    start: datetime
    end: datetime
    limit: int = PAGE_SIZE
    only: str = ""
    _until: datetime | None = None  # the end of the window in hand
    _next: Mapping[str, str] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _barren: int = 0
    _hollow: bool = False  # an empty page stood among others: perhaps a passing fault

    def question(self) -> dict[str, str]:
        asked = {
            "fields": POST_FIELDS,
            "limit": str(self.limit),
            "until": str(math.ceil(self._window_end.timestamp()) - 1),
        }
        since = {} if self._is_open else {"since": str(int(self._window_start.timestamp()))}
        return asked | since | dict(self._next)

    @property
    def _window_end(self) -> datetime:
        return self._until or self.end

    @property
    def _window_start(self) -> datetime:
        return max(self.start, self._window_end - NARROW_WINDOW)

    @property
    def _is_open(self) -> bool:
        return self.end - self.start > WIDEST_WINDOW

    def take(self, payload: object) -> Page:
        """Return the page of one answer. Raises SchemaDrift."""
        answer = parse_listing(payload, only=self.only)
        self._next = following(payload)
        self._barren = 0 if answer.ids - self._ids else self._barren + 1
        self._ids |= answer.ids
        posts = tuple(post for post in answer.posts if self.start <= post.published_at < self.end)
        self._hollow |= answer.more and not answer.ids
        is_below = bool(answer.times) and max(answer.times) < self._window_start and not self._is_open
        is_through = (
            not answer.more or is_below or (self._is_open and bool(answer.times) and max(answer.times) < self.start)
        )
        if not is_through and self._barren < 2:
            return Page(posts=posts, cursor={}, last=False)
        if not is_through:
            return Page(posts=posts, cursor={}, last=True, gap=self._rest(answer))
        if self._is_open or self._window_start <= self.start:
            return Page(posts=posts, cursor={}, last=True, gap=self._rest(answer) if self._hollow else None)
        self._until, self._next, self._barren = self._window_start, {}, 0
        return Page(posts=posts, cursor={}, last=False)

    def _rest(self, answer: Listed) -> Gap:
        reached = min([self.end, *answer.times])
        return Gap(start=self.start, end=max(reached, self.start), cause=Cause.BURST)
