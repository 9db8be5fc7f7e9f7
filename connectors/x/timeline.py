"""A walk through a timeline of X, from the newest post to what is known, and the bounds X takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import POST_BOUND, Cursor, Gap, Page
from connectors.payload import onward
from connectors.x.ids import FIRST_SNOWFLAKE, as_number, first_id_of, is_ahead, time_of
from connectors.x.posts import items_of, object_in, parse_timeline, versions_of
from monitor.model import Account, Cause, Json, Post

SETTLED = timedelta(minutes=15)  # until then an id may still appear below the newest one
LOOKED_IN_VAIN = timedelta(days=1)  # until a newest post that X no longer shows is taken for gone; it costs nothing
FIRST_TIME = datetime(2010, 11, 6, tzinfo=UTC)  # X takes no start_time from before
JUST_NOW = timedelta(seconds=15)  # nor an end_time of the last ten seconds
DEPTH = 3200  # posts of a timeline that X gives back


@dataclass(slots=True, kw_only=True)
class Walk:
    """One pull's way from the newest post to what is known: pure, it is fed answers and says when it ends.

    A stretch that is read again holds the newest post known before: a timeline that ends without it has lost something,
    were it only that post itself, which the back-fill finds out. Where nothing known is asked for, or an answer came
    after another, the next walk begins where this one did (`below` in the cursor), and reads what is new once more.
    """

    start: Mapping[str, Any]
    account: Account
    overlap: timedelta
    page_limit: int
    back_catalogue: int
    live_from: datetime  # older posts are back catalogue: how many of them are read is a choice
    now: datetime
    token: str | None = None
    _pages: int = 0
    _told: int = 0  # answers that showed something
    _barren: int = 0  # pages in a row that showed nothing new: the walk gets nowhere
    _newest: str = ""
    _newest_at: datetime | None = None
    _reached: datetime | None = None
    _is_back_catalogue: bool = False  # the last page with posts lay in it as a whole
    _ids: set[str] = field(default_factory=set)
    _shows_goal: bool = False  # the post to come down to, though it be edited since, or an older one
    _is_sure: bool = False  # the first answer shows the newest known post in its place, at a first pull one long past

    @property
    def _known(self) -> str:
        return str(self.start.get("newest_id", ""))

    @property
    def _goal(self) -> str:
        """Return the post that the walk must come down to: the newest known, or where it reads once more, the first
        of that.
        """
        below = str(self.start.get("below", ""))
        return below if below and not self._reads_live_once_more() else self._known

    def _reads_live_once_more(self) -> bool:
        """Say whether it is read once more from an id on that is no post's."""
        return bool(self.start.get("below_live"))

    def _is_unproven(self) -> bool:
        """Say whether no known post can prove the end: at a first pull, and where it is read once more."""
        return bool(self._ids) and (not self._known or self._reads_live_once_more())

    @property
    def bounds(self) -> Mapping[str, str]:
        return since(self.start, overlap=self.overlap)

    def take(self, payload: Json) -> Page:
        """Return the page of one answer, the last one with the new cursor. Raises SchemaDrift."""
        posts = parse_timeline(payload)
        ids = [item["id"] for item in items_of(payload)]
        self._pages += 1
        self._told += bool(ids)
        self._barren = 0 if set(ids) - self._ids else self._barren + 1
        self._ids |= set(ids)
        self._newest = max([self._newest, *(one for one in ids if not is_ahead(one, self.now))], key=as_number)
        self._newest_at = max([*(post.published_at for post in posts), *filter(None, [self._newest_at])], default=None)
        self._reached = min([*map(listed_at, posts), *filter(None, [self._reached])], default=None)
        if posts:
            self._is_back_catalogue = max(post.published_at for post in posts) < self.live_from
        self.token = onward(object_in(payload, "meta"), "next_token") or None
        lowest = min(map(as_number, ids), default=0)
        if self._told == 1:
            came_down = 0 < lowest <= as_number(self._known)
            self._is_sure |= came_down if self._known else self._reaches_back_catalogue()
        self._shows_goal |= 0 < lowest <= as_number(self._goal)
        self._shows_goal |= any(self._goal in versions_of(item) for item in items_of(payload))
        hollow = self._pages > 1 and not ids  # a page was promised and nothing came: perhaps a passing fault
        hollow |= self._is_above_known()
        ended = (self.token is None and len(self._ids) < DEPTH and not hollow) or self._met(ids, posts)
        complete = ended or self._is_deep_enough()
        cut = self.token is None or self._barren > 1 or self._pages >= self.page_limit or len(self._ids) >= POST_BOUND
        if not complete and not cut:
            return Page(posts=posts, cursor=self.start, last=False)
        gap = None if complete else self._gap()
        found = ended and self._has_read_the_lost()
        heals = found and (self._told == 1 or self._reads_the_lost_once_more())
        bottom = ended and not self.bounds
        cursor = {**self._with_lost(gap, heals=heals), **self._once_more(gap, ended=ended, found=found and not heals)}
        since = self.live_from if ended and gap is None and self._is_unproven() else None
        return Page(posts=posts, cursor=cursor, last=True, gap=gap, heals=heals, bottom=bottom, since=since)

    def _is_above_known(self) -> bool:
        """Say whether nothing known was shown where it was asked for, but what is newer."""
        is_asked_for = bool(self.bounds) and self.bounds.get("since_id") != self._known
        return is_asked_for and bool(self._ids) and not self._shows_goal

    def _reaches_back_catalogue(self) -> bool:
        return self._reached is not None and self._reached < self.live_from

    def _once_more(self, gap: Gap | None, *, ended: bool, found: bool) -> dict[str, Any]:
        """Return the id from which on the next walk reads once more: what this one brought where that is not sure, what
        of earlier losses it `found`, and what it was itself to read once more, unless it has, or that is too much.
        """
        is_too_much = self._pages >= self.page_limit or len(self._ids) >= POST_BOUND
        is_done = is_too_much or (ended and self._ids) or self._cursor().get("settled")
        before = "" if is_done else self.start.get("below")
        lost = self.start.get("lost_after") if found else ""
        below = min(filter(None, (self._unsure_from(gap), before, lost)), key=as_number, default="")
        is_live = self._reads_live_once_more() if below == before else not self._known and gap is None
        return ({"below": below} | ({"below_live": True} if is_live else {})) if below else {}

    def _unsure_from(self, gap: Gap | None) -> str:
        """Return from where on this walk has brought what is not sure; what lies in its gap is asked for otherwise."""
        if self._is_sure or as_number(self._newest) <= as_number(self._known):
            return ""
        if gap is not None:
            return str(min(map(as_number, self._ids)))
        is_live = self._newest_at is not None and self._newest_at >= self.live_from
        return self._known or (str(first_id_of(self.live_from)) if is_live else "")

    def _reads_the_lost_once_more(self) -> bool:
        """Say whether the walk before this one has read what was lost, by several answers that may not fit together."""
        below = as_number(str(self.start.get("below", "")))
        return not self.bounds or 0 < below <= as_number(str(self.start.get("lost_after", "")))

    def _with_lost(self, gap: Gap | None, *, heals: bool) -> Cursor:
        """Return the cursor, which remembers the newest id known before posts were lost, until they are read."""
        marks = [self.start.get("lost_after"), self._goal if gap else None]
        lost = min((str(one) for one in marks if one is not None), key=as_number, default=None)
        kept = {key: value for key, value in self._cursor().items() if key != "lost_after"}
        return kept if lost is None or heals else {**kept, "lost_after": lost}

    def _has_read_the_lost(self) -> bool:
        """Say whether this walk, which has ended, showed what was known before posts were lost; an empty one may be a
        passing fault.
        """
        lost = self.start.get("lost_after")
        if lost is None or not self._ids:
            return False
        by_id = as_number(self.bounds.get("since_id", "")) > 0
        return not self.bounds or (by_id and min(map(as_number, self._ids)) <= as_number(str(lost)))

    def _met(self, ids: Sequence[str], posts: Sequence[Post]) -> bool:
        """Say whether a whole page lies below the bound: a server may not honour it."""
        bounds = self.bounds
        if not ids or not bounds:
            return False
        if "since_id" in bounds:
            return max(map(as_number, ids)) <= as_number(bounds["since_id"])
        return max(post.published_at for post in posts) < datetime.fromisoformat(bounds["start_time"])

    def _is_deep_enough(self) -> bool:
        return not self.bounds and self._is_back_catalogue and len(self._ids) >= self.back_catalogue

    def _cursor(self) -> Cursor:
        newest = max(self._newest, str(self.start.get("newest_id", "")), key=as_number)
        if newest == self.start.get("newest_id", ""):
            # An empty answer to a look back shows not even the newest post: gone, or the answer was a fault.
            patience = self.overlap if self._ids else max(self.overlap, LOOKED_IN_VAIN)
            looked_back = newest and is_settled(self.start, now=self.now, overlap=patience)
            kept = {key: value for key, value in self.start.items() if key not in {"empty", "below", "below_live"}}
            is_empty = (
                bool(newest) and not self._ids and not self.start.get("settled")
            )  # later nothing else is asked for
            return {"v": 1, **kept} | ({"settled": True} if looked_back else {}) | ({"empty": True} if is_empty else {})
        newest_at = min(self._newest_at, self.now).isoformat() if self._newest_at else self.start.get("newest_at")
        return {"v": 1, "newest_id": newest, "newest_at": newest_at, "found_at": self.now.isoformat()}

    def _gap(self) -> Gap | None:
        """Name what lies between the known and the oldest post reached; None when the walk came so far.

        By ids, where something is known: a post may bear a time of long before it appeared.
        """
        reached = self._reached or self.now
        oldest = min(map(as_number, self._ids), default=0)
        if 0 < oldest <= as_number(self._goal) or (not self.bounds and self._is_back_catalogue):
            return None
        known = self.start.get("newest_at")
        begin = datetime.fromisoformat(known) if known else self.account.registered_at
        unsure = time_of(self._goal) if self._goal != self._known else None
        begin = min(filter(None, (begin, unsure)), default=None)
        start = begin if begin and begin < reached else None
        is_wrong = self.token is None and self._is_above_known()  # and so may answers before it have been
        saw_nothing = bool(self.start) and (not known or self.start.get("settled") or self.start.get("empty"))
        return Gap(start=start, end=reached, cause=Cause.BURST, from_start=bool(saw_nothing or unsure or is_wrong))


def listed_at(post: Post) -> datetime:
    """Return where a post stands in its timeline, which goes by ids: an edit has one of its own."""
    return post.edited_at or post.published_at


def since(cursor: Mapping[str, Any], *, overlap: timedelta) -> dict[str, str]:
    """Return the lower bound of a timeline read: nothing at first, then since_id (or start_time for ids of no date).

    While an id may still appear below the newest one, a stretch before it is read again, as deep as what was not sure
    when it was found; once more after that, however long the pause was; later it costs nothing.
    """
    newest = str(cursor.get("newest_id", ""))
    if not newest or cursor.get("v") != 1:
        return {}
    if cursor.get("settled"):
        return {"since_id": newest}
    if as_number(newest) >= FIRST_SNOWFLAKE:
        back = int(overlap.total_seconds() * 1000) << 22
        below = as_number(str(cursor.get("below") or newest)) - 1  # that one proves that all was shown
        return {"since_id": str(max(1, min(as_number(newest) - back, below)))}
    if cursor.get("newest_at"):
        at = datetime.fromisoformat(cursor["newest_at"]) - overlap
        return {"start_time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"since_id": newest}


def is_settled(cursor: Mapping[str, Any], *, now: datetime, overlap: timedelta) -> bool:
    """Say whether the newest post was found so long ago that no id appears below it any more."""
    found_at = cursor.get("found_at")
    return bool(found_at) and abs(now - datetime.fromisoformat(str(found_at))) >= max(SETTLED, overlap)


def between(start: datetime, end: datetime, now: datetime) -> Mapping[str, str]:
    """Return the bounds of a stretch as X takes them: whole seconds, none from before its time or just now."""
    until = min(end, now - JUST_NOW)
    begin = min(start, until - timedelta(seconds=1))
    bounds = {"end_time": in_seconds(until)}
    return bounds if begin < FIRST_TIME else {"start_time": in_seconds(begin), **bounds}


def in_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
