"""A walk through a listing, from the newest post to what is known. Pure: it is fed answers and says when it ends.

For platforms whose listings come newest first, page by page, each post with its time. The cursor remembers the newest
time, and while posts are lost to a burst, the newest time known before them: a later walk that begins below it and
ends by itself has read them after all. It remembers as well that the last walk showed nothing at all, which may have
been a fault: then nobody knows what was missed since the newest time. And it remembers from where on the next walk
reads once more, for one answer tells whether it is whole, but several may not fit together: one of an earlier time
stands lower, and the posts between it and the one before were shown by none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.base import POST_BOUND, Bounds, Cursor, Gap, Page, SchemaDrift
from connectors.payload import moment
from monitor.model import Account, Cause, Post

LOOKS = 3  # at an empty page that a fault may have made


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One answer of a listing. `times` and `ids` are of every item on it, also of those that are no post of ours."""

    posts: tuple[Post, ...]
    times: tuple[datetime, ...]
    ids: frozenset[str]
    more: bool  # there is a further page
    hollow_end: bool = False  # that there is none is told by an empty page alone


Listing = Generator[Listed, bool | None, None]  # answers, newest first; sent True, it asks for the same page again


def listed(posts: Sequence[Post], *, more: bool) -> Listed:
    """Return an answer on which every item is a post of the account."""
    ids, times = frozenset(post.native_id for post in posts), tuple(post.published_at for post in posts)
    return Listed(posts=tuple(posts), times=times, ids=ids, more=more)


@dataclass(slots=True, kw_only=True)
class Walk:
    """One pull's way. `live_from` parts what must be read from the back catalogue, of which so many are a choice.

    A listing that ends by an empty page before it has come down to what is known may have met a passing fault: a gap
    says so, and the back-fill finds out. At a first pull nothing is known that could tell: there such a page
    is asked for some times before it is believed. `promises`: of this one every page that is told of has posts on it,
    so that an empty one among others proves nothing either. `whole`: it shows all that there is, or all of the window
    that was asked for, so that it ends below what is known; an end above that is none.
    What is new is sure when the first answer came down to the newest post known before, at a first pull to the back
    catalogue; else the next walk reads it once more, from where this one ended.
    """

    begin: Cursor | None
    bounds: Bounds
    live_from: datetime
    now: datetime
    promises: bool = False
    whole: bool = False
    count: int = 0  # posts so far
    _pages: int = 0
    _told: int = 0  # answers that showed something
    _is_sure: bool = False  # the first of them came down to what was known before, or to the back catalogue
    _barren: int = 0  # pages in a row that showed nothing new: the walk gets nowhere
    _newest: datetime | None = None
    _oldest: datetime | None = None
    _deepest: datetime | None = None  # when the oldest of the posts was published
    _published: set[datetime] = field(default_factory=set)
    _ids: set[str] = field(default_factory=set)
    _is_back_catalogue: bool = False  # the last page with posts lay in it as a whole
    _above: datetime | None = None  # the oldest post above an empty page
    _hollow: Gap | None = None  # what empty pages among others may have hidden

    @property
    def known(self) -> datetime | None:
        """When the newest post known before was published; None for a first pull."""
        return self._moment_of("newest")

    def _moment_of(self, key: str) -> datetime | None:
        value = self.begin.get(key) if self.begin and self.begin.get("v") == 1 else None
        return _moment(value) if value else None

    @property
    def since(self) -> datetime | None:
        """From when on the listing is read: what is known, less the overlap, or what is read once more. None for a
        first pull.
        """
        if self.known is None:
            return None
        return min(self.known - self.bounds.overlap, self._moment_of("again") or self.known)

    @property
    def left(self) -> int | None:
        """How many posts of the back catalogue may still be read at a first pull; None when that is no bound."""
        return self.bounds.back_catalogue - self.count if self.since is None else None

    def doubts(self, answer: Listed) -> bool:
        """Say whether an answer, not taken yet, shows an end that a passing fault may have made."""
        if not answer.hollow_end and (not self._pages or answer.ids):
            return False
        known = self._moment_of("ahead") or self.known
        shown = {post.published_at for post in answer.posts if post.edited_at is None}
        oldest = min([*answer.times, *filter(None, [self._oldest])], default=None)
        return known is None or not (known in self._published | shown or (oldest is not None and oldest <= known))

    def take(self, answer: Listed) -> Page:
        """Return the page of one answer, the last one with the new cursor."""
        fresh = answer.ids - self._ids
        self._pages += 1
        self._told += bool(answer.ids)
        self.count += len(answer.posts)
        self._barren = 0 if fresh else self._barren + 1
        self._ids |= fresh
        self._newest = max([*(p.published_at for p in answer.posts), *filter(None, [self._newest])], default=None)
        self._oldest = min([*answer.times, *filter(None, [self._oldest])], default=None)
        self._deepest = min([*(p.published_at for p in answer.posts), *filter(None, [self._deepest])], default=None)
        self._published |= {post.published_at for post in answer.posts if post.edited_at is None}
        if self._told == 1:
            self._is_sure = self._comes_down(answer)
        if answer.times:
            self._is_back_catalogue = max(answer.times) < self.live_from
        met = self.since is not None and bool(answer.times) and max(answer.times) < self.since
        hollow = self._pages > 1 and not answer.ids and (self.promises or self._is_short_of_known())
        hollow |= answer.hollow_end and self._is_short_of_known()
        hollow |= self.whole and not answer.more and self._is_above_known()
        if self.promises:
            self._note_hollow(answer)
        ended = (not answer.more and not hollow) or met
        complete = ended or self._is_deep_enough()
        cut = self._barren > 1 or self._pages >= self.bounds.page_limit or len(self._ids) >= POST_BOUND
        cut |= hollow and not answer.more
        if not complete and not cut:
            return Page(posts=answer.posts, cursor=self.begin or {}, last=False)
        gap = self._hollow if complete else self._gap(more=answer.more)
        found = ended and self._hollow is None and self._has_read_the_lost()
        heals = found and (self._told == 1 or self._reads_the_lost_once_more())
        cursor = self._with_lost(gap, heals=heals) | self._once_more(gap, ended=ended, found=found and not heals)
        since = self.live_from if ended and gap is None and self._is_unproven() else None
        return Page(posts=answer.posts, cursor=cursor, last=True, gap=gap, heals=heals, since=since)

    def _is_unproven(self) -> bool:
        """Say whether no known post can prove the end: at a first pull, and where it is read once more."""
        return self._newest is not None and (self.known is None or self._reads_live_once_more())

    def _reads_live_once_more(self) -> bool:
        """Say whether it is read once more from a moment on that is no post's."""
        return bool((self.begin or {}).get("again_live"))

    @property
    def _goal(self) -> datetime | None:
        """When the post that the walk must come down to was published: the newest known, or the one from which on is
        read once more.
        """
        again = self._moment_of("again")
        return again if again and self.known and not self._reads_live_once_more() else self.known

    def _is_short_of_known(self) -> bool:
        """Say whether the walk has not come down to what was known before; a first pull cannot tell."""
        goal = self._goal
        known = goal if goal != self.known else self._moment_of("ahead") or goal
        return known is not None and not self._came_down_to(known)

    def _is_above_known(self) -> bool:
        """Say whether all posts that were shown are newer than what was known before.

        Where the listing goes by the last change, an edited one stands among the newer ones, and proves nothing.
        """
        goal = self._goal
        if goal is None or self._deepest is None:
            return False
        is_above = self._newest is not None and self._newest > goal
        return self._deepest > goal or (is_above and not any(at <= goal for at in self._published))

    def _came_down_to(self, moment: datetime) -> bool:
        """Say whether the post of that moment was shown, or the listing went past it.

        That an edited or older post was shown is no proof: the listing may go by the last change.
        """
        return moment in self._published or (self._oldest is not None and self._oldest <= moment)

    def _note_hollow(self, answer: Listed) -> None:
        """Name what an empty page among others may have hidden: from the posts below it to those above."""
        if not answer.ids:
            self._above = self._above or (min(self._oldest or self.now, self.now) if answer.more else None)
        elif self._above is not None:
            below, above = max(answer.times, default=self._above), self._above
            start, end = (self._hollow.start, self._hollow.end) if self._hollow else (None, above)
            self._above = None
            if below <= above:  # several posts may bear the time of one second
                self._hollow = Gap(start=min(start or below, below), end=max(end, above), cause=Cause.BURST)

    def _comes_down(self, answer: Listed) -> bool:
        if self.known is None:
            return bool(answer.times) and min(answer.times) < self.live_from
        return (self._moment_of("ahead") or self.known) in self._published

    def _once_more(self, gap: Gap | None, *, ended: bool, found: bool) -> dict[str, Any]:
        """Return from where on the next walk reads once more: what this one brought where that is not sure, what of
        earlier losses it `found`, and what it was itself to read once more, unless it has, or that is too much.
        """
        is_too_much = self._pages >= self.bounds.page_limit or len(self._ids) >= POST_BOUND
        is_done = is_too_much or (ended and not self._is_short_of_known())
        before = None if is_done else self._moment_of("again")
        lost = self._moment_of("lost_after") if found else None
        again = min(filter(None, (self._unsure_from(gap), before, lost)), default=None)
        is_live = self._reads_live_once_more() if again == before else self.known is None and gap is None
        return ({"again": again.isoformat()} | ({"again_live": True} if is_live else {})) if again else {}

    def _unsure_from(self, gap: Gap | None) -> datetime | None:
        """Return from where on this walk has brought what is not sure; what lies in its gap is asked for otherwise."""
        if self._newest is None or self._is_sure or (self.known and self._newest <= self.known):
            return None
        if gap is not None:
            return gap.end
        return self.known or (self.live_from if self._newest >= self.live_from else None)

    def _with_lost(self, gap: Gap | None, *, heals: bool) -> dict[str, Any]:
        """Return the cursor, which remembers the newest time known before posts were lost, until they are read."""
        before: str | None = (self.begin or {}).get("lost_after")
        mine = (self._goal.isoformat() if self._goal else "") if gap else None
        lost = min((one for one in (before, mine) if one is not None), default=None)  # times of UTC sort as text
        return self._cursor() if lost is None or heals else self._cursor() | {"lost_after": lost}

    def _has_read_the_lost(self) -> bool:
        """Say whether this walk, which has ended, showed what was known before posts were lost; an empty one may be a
        passing fault.
        """
        lost = (self.begin or {}).get("lost_after")
        if lost is None or not self._ids:
            return False
        if self.since is None:
            return True
        return lost != "" and self.since <= _moment(lost) and self._came_down_to(_moment(lost))

    def _reads_the_lost_once_more(self) -> bool:
        """Say whether the walk before this one has read what was lost, by several answers that may not fit together."""
        lost, again = (self.begin or {}).get("lost_after"), self._moment_of("again")
        return self.since is None or (bool(lost) and again is not None and again <= _moment(lost))

    def _is_deep_enough(self) -> bool:
        return self.known is None and self._is_back_catalogue and self.count >= self.bounds.back_catalogue

    def _cursor(self) -> dict[str, Any]:
        """A post dated in the future must not hide those of today, and is known all the same."""
        newest = max(filter(None, (self._newest, self.known)), default=None)
        ahead = {"ahead": newest.isoformat()} if newest and newest > self.now else {}
        empty = {"empty": True} if newest and not self._ids else {}
        return {"v": 1, "newest": min(newest, self.now).isoformat() if newest else None, **ahead, **empty}

    def _gap(self, *, more: bool) -> Gap | None:
        reached, goal = min(self._oldest or self.now, self.now), self._goal
        if self._is_back_catalogue if goal is None else reached <= goal:
            return None
        saw_nothing = bool(self.begin) and (self.known is None or bool((self.begin or {}).get("empty")))
        is_wrong = goal != self.known or (
            self.whole and not more and self._is_above_known()
        )  # and so may others have been
        return Gap(start=goal, end=reached, cause=Cause.BURST, from_start=saw_nothing or is_wrong)


def begin_walk(
    account: Account,
    cursor: Cursor | None,
    bounds: Bounds,
    now: datetime,
    *,
    promises: bool = False,
    whole: bool = False,
) -> Walk:
    live_from = (account.registered_at or now) - bounds.live_window
    return Walk(begin=cursor, bounds=bounds, live_from=live_from, now=now, promises=promises, whole=whole)


def walked(walk: Walk, answers: Listing) -> Iterator[Page]:
    """Yield a walk's pages. No answer is asked for after the one that ends it."""
    for first in answers:
        answer, looks = first, 1
        while looks < LOOKS and walk.doubts(answer):
            answer, looks = answers.send(True), looks + 1
        page = walk.take(answer)
        yield page
        if page.last:
            return


def _moment(value: object) -> datetime:
    at = moment(value, zone=None)
    if at is None:
        raise SchemaDrift("the cursor is not a time with a zone")
    return at
