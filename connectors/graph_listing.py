"""Listings of Meta's platforms, newest first: where they end, a stretch of their past, known posts looked up in them.

Pure: everything here is fed answers. The APIs of Instagram and Threads show the posts of other accounts in listings
alone; there a post is gone when the listing has come past its time without showing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from connectors.base import PAGE_BOUND, Cursor, Gap, Page, Reread
from connectors.graph import inner, string
from connectors.graph_payload import following, has_next
from connectors.walk import Listed
from monitor.model import Cause, Json, Post

LOOKED_THROUGH = 40  # pages of one look for known posts
SAME_TIME = timedelta(seconds=1)  # posts of one second stand in no order


def next_question(listing: Json, before: Mapping[str, str]) -> Mapping[str, str]:
    """Return what asks for the page after this one of a listing that may leave `next` out; empty at its end.

    A cursor alone says little: some answers carry one at their very end. So it is followed while there are posts and
    the cursor is a new one; the caller stops when a page shows nothing new (`ends_by_repeating`).
    """
    if has_next(listing):
        return following(listing)
    after = string(inner(inner(listing, "paging"), "cursors"), "after")
    is_new = after and after != before.get("after") and listing.get("data")
    return {"after": after} if is_new else {}


def reread_listed(answers: Iterable[Listed], published: Mapping[str, datetime | None]) -> Reread:
    """Look known posts up in a listing, by id with the time each was published (None: not known).

    Missing is what the listing should have shown: it ended without it, or came to posts older than it. What was
    published before the last page looked at stays undecided.
    """
    sought = dict(published)
    found: dict[str, Post] = {}
    reached: datetime | None = None
    ended = False
    for number, answer in enumerate(answers, start=1):
        found |= {post.native_id: post for post in answer.posts if post.native_id in sought}
        reached = min([*answer.times, *([reached] if reached else [])], default=None)
        ended = not answer.more
        if ended or number >= LOOKED_THROUGH or not _still_sought(sought, found, reached):
            break
    missing = {one for one, at in sought.items() if one not in found and (ended or _passed(at, reached))}
    return Reread(posts=tuple(found.values()), missing=frozenset(missing))


def _still_sought(sought: Mapping[str, datetime | None], found: Mapping[str, Post], reached: datetime | None) -> bool:
    return any(one not in found and not _passed(at, reached) for one, at in sought.items())


def _passed(at: datetime | None, reached: datetime | None) -> bool:
    return at is not None and reached is not None and reached + SAME_TIME < at


def stretch(answers: Iterable[Listed], start: datetime, end: datetime) -> Iterator[Page]:
    """Yield the posts of [start, end) from a listing; a gap where it could not be read down to `start`."""
    cursor: Cursor = {}
    reached: datetime | None = None
    for number, answer in enumerate(answers, start=1):
        posts = tuple(post for post in answer.posts if start <= post.published_at < end)
        reached = min([*answer.times, *([reached] if reached else [])], default=None)
        past = bool(answer.times) and max(answer.times) < start
        last = past or not answer.more or number >= PAGE_BOUND
        cut = last and not past and answer.more
        gap = Gap(start=start, end=min(reached or end, end), cause=Cause.BURST) if cut else None
        yield Page(posts=posts, cursor=cursor, last=last, gap=gap)
        if last:
            return
