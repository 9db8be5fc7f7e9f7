"""Bookkeeping for platforms that show one window of recent posts and no history: what was on it the last time. Pure.

A post without a date gets the time it was first seen, and keeps it. When nothing of the last window is left, posts may
have passed unseen between the two: that is a gap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.base import Cursor, Gap, Page
from monitor.model import Cause, Post

REMEMBERED = 1000  # ids a cursor keeps; feeds show 10 to 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a cursor remembers: marks of the last window's ids, first sights of undated ones, the fullest window."""

    marks: frozenset[str] = frozenset()
    first_sights: Mapping[str, str]
    fullest: int = 0
    newest: str = ""
    empty: bool = False  # the last window was, and perhaps wrongly

    def first_sight(self, native_id: str, now: datetime) -> datetime:
        known = self.first_sights.get(_mark(native_id))
        return datetime.fromisoformat(known) if known else now


def remembered(cursor: Cursor | None) -> Seen:
    """Read what a cursor of this module remembers; a cursor of another version remembers nothing."""
    if not cursor or cursor.get("v") != 1:
        return Seen(first_sights={})
    return Seen(
        marks=frozenset(cursor.get("seen", ())),
        first_sights=dict(cursor.get("first_sights", {})),
        fullest=int(cursor.get("fullest", 0)),
        newest=str(cursor.get("newest", "")),
        empty=bool(cursor.get("empty")),
    )


def window_page(
    seen: Seen, posts: Sequence[Post], *, now: datetime, undated: frozenset[str], extra: Mapping[str, Any]
) -> Page:
    """Return the one page of a window with its new cursor. `undated` are ids dated by first sight; `extra` is kept.

    A post dated in the future (a feed announces what is to come) must not hide a gap of today.
    """
    marks = {_mark(post.native_id) for post in posts}
    newest = max([min(post.published_at, now) for post in posts], default=None)
    dated = {_mark(p.native_id): p.published_at.isoformat() for p in posts if p.native_id in undated}
    cursor = {
        "v": 1,
        "seen": sorted(marks)[:REMEMBERED] if marks else sorted(seen.marks),
        "first_sights": dict(list(dated.items())[:REMEMBERED]),
        "fullest": max(seen.fullest, len(marks)),
        "newest": max(newest.isoformat() if newest else "", seen.newest),
        **({"empty": True} if seen.marks and not marks else {}),
        **extra,
    }
    return Page(posts=tuple(posts), cursor=cursor, last=True, gap=_gap(seen, marks, posts))


def _gap(seen: Seen, marks: set[str], posts: Sequence[Post]) -> Gap | None:
    if not seen.marks or not seen.newest or marks & seen.marks or len(marks) < seen.fullest:
        return None
    start, end = datetime.fromisoformat(seen.newest), min(post.published_at for post in posts)
    return Gap(start=start, end=end, cause=Cause.BURST, from_start=seen.empty) if start < end else None


def _mark(native_id: str) -> str:
    return hashlib.sha256(native_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
