"""What else a listing, newest first, is good for: a stretch of the past, known posts looked up, two merged into one.

Pure: everything here is fed answers. Some APIs show the posts of an account in its listing alone; there a post is gone
when the listing has come past its time without showing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connectors.base import PAGE_BOUND, POST_BOUND, Cursor, Gap, Page, Reread
from connectors.walk import LOOKS, Listed, Listing, listed
from monitor.model import Cause, Post

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR = datetime(9999, 1, 1, tzinfo=UTC)
SAME_TIME = timedelta(seconds=1)  # posts of one second stand in no order
MOST_REPEATS = 1  # pages in a row that show what was shown: a server that minds no cursor has no end
MOST_EMPTY = 40  # pages in a row


def merged(*listings: Listing) -> Listing:
    """Yield several listings of one account as one, newest first: a post waits until none newer can come any more.

    Each has been asked again already for an end that only an empty page told.
    """
    open_ones: dict[int, tuple[Listing, datetime | None]] = {n: (one, None) for n, one in enumerate(listings)}
    waiting: dict[str, Post] = {}
    hollow_end = False
    while open_ones:
        number = max(open_ones, key=lambda n: (open_ones[n][1] is None, open_ones[n][1] or EPOCH))
        listing, reached = open_ones.pop(number)
        answer = _insisted(listing, next(listing), is_first=reached is None)
        waiting |= {post.native_id: post for post in answer.posts}
        hollow_end |= answer.hollow_end
        if answer.more:
            open_ones[number] = (listing, min([*answer.times, *([reached] if reached else [])], default=None))
        for ready in _ready(waiting, open_ones, is_empty=not answer.posts):
            shown = replace(ready, hollow_end=hollow_end and not ready.more)
            while (yield shown):
                pass


def _insisted(listing: Listing, answer: Listed, *, is_first: bool) -> Listed:
    """Ask again for an end that a passing fault may have made."""
    looks = 1
    while looks < LOOKS and (answer.hollow_end or not (answer.ids or is_first)):
        answer, looks = listing.send(True), looks + 1
    return answer


def _ready(
    waiting: dict[str, Post], open_ones: Mapping[int, tuple[Listing, datetime | None]], *, is_empty: bool
) -> Iterator[Listed]:
    """Yield what nothing newer can come before any more. An empty page is shown as one: a listing may never end."""
    if any(reached is None for _, reached in open_ones.values()) and not is_empty:
        return
    edge = max((reached or FAR for _, reached in open_ones.values()), default=None)
    ready = [post for post in waiting.values() if edge is None or post.published_at >= edge]
    for post in ready:
        del waiting[post.native_id]
    if ready or not open_ones or is_empty:
        newest_first = sorted(ready, key=lambda post: post.published_at, reverse=True)
        yield listed(newest_first, more=bool(open_ones))


def reread_listed(answers: Iterable[Listed], published: Mapping[str, datetime | None]) -> Reread:
    """Look known posts up in a listing, by id with the time each was published (None: not known).

    Missing is what the listing should have shown: it ended without it, or came to posts older than it. It is read as
    deep as that lies, however small its pages are; where it has no end, what lies deeper stays undecided. What the
    pages show above the oldest that is sought is `passed`.
    """
    sought = dict(published)
    found: dict[str, Post] = {}
    passed: dict[str, Post] = {}
    reached: datetime | None = None
    ended, depth = False, _Depth()
    for answer in answers:
        for post in answer.posts:
            (found if post.native_id in sought else passed)[post.native_id] = post
        reached = min([*answer.times, *([reached] if reached else [])], default=None)
        ended = not answer.more
        lost = depth.is_endless(answer) or len(depth.seen) >= POST_BOUND
        if ended or lost or not _still_sought(sought, found, reached):
            break
    missing = {one for one, at in sought.items() if one not in found and (ended or _passed(at, reached))}
    deepest = min(filter(None, [*sought.values(), *(post.published_at for post in found.values())]), default=FAR)
    above = tuple(post for post in passed.values() if post.published_at > deepest)
    return Reread(posts=tuple(found.values()), missing=frozenset(missing), passed=above)


def _still_sought(sought: Mapping[str, datetime | None], found: Mapping[str, Post], reached: datetime | None) -> bool:
    return any(one not in found and not _passed(at, reached) for one, at in sought.items())


def _passed(at: datetime | None, reached: datetime | None) -> bool:
    return at is not None and reached is not None and reached + SAME_TIME < at


@dataclass(slots=True)
class _Depth:
    """Tells when a listing has no end or goes round in a circle: whoever asked on would spend the whole day's calls."""

    seen: set[str] = field(default_factory=set)
    pages: int = 0
    repeats: int = 0  # in a row
    empty: int = 0  # in a row

    def is_endless(self, answer: Listed) -> bool:
        self.pages += 1
        self.repeats = self.repeats + 1 if answer.ids and answer.ids <= self.seen else 0
        self.empty = 0 if answer.ids else self.empty + 1
        self.seen |= answer.ids
        circles = self.repeats > MOST_REPEATS or self.empty >= MOST_EMPTY
        return circles or self.pages >= PAGE_BOUND


def stretch(answers: Iterable[Listed], start: datetime, end: datetime, *, promises: bool = False) -> Iterator[Page]:
    """Yield the posts of [start, end) from a listing; a gap where it could not be read down to `start`.

    `promises` as for a walk: an empty page among others, or at the end, proves nothing.
    """
    cursor: Cursor = {}
    reached: datetime | None = None
    hollow, depth = False, _Depth()
    for number, answer in enumerate(answers, start=1):
        posts = tuple(post for post in answer.posts if start <= post.published_at < end)
        reached = min([*answer.times, *([reached] if reached else [])], default=None)
        past = bool(answer.times) and max(answer.times) < start
        last = depth.is_endless(answer) or past or not answer.more
        hollow |= promises and not answer.ids and (answer.more or number > 1)
        cut = last and ((not past and answer.more) or hollow)
        gap = Gap(start=start, end=min(reached or end, end), cause=Cause.BURST) if cut else None
        yield Page(posts=posts, cursor=cursor, last=last, gap=gap)
        if last:
            return
    rest = Gap(start=start, end=min(reached or end, end), cause=Cause.BURST)  # the listing gave up in the middle
    yield Page(posts=(), cursor=cursor, last=True, gap=rest)
