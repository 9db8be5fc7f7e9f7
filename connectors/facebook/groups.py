"""The newest posts of many Facebook pages in one call: who fits into one question, what its answer proves. Pure.

`GET /?ids=a,b,…&fields=published_posts.since(T).limit(n){…}` asks for all of them since one time T. Users report that a
wide window misses posts which a narrow one returns, and an edge that is empty is left out of the answer: so pages share
a call only while T is not much earlier than their own would be, and the answer counts only where the newest post known
of the page stands in it. The others share a batch (`POST /`), in which each asks with its own window and has its own
answer; the API counts each of those as a call. Whoever is in doubt is pulled alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.base import Bounds, Cursor, Page
from connectors.payload import parts
from connectors.portions import portions
from connectors.walk import Listed, Walk, begin_walk
from monitor.model import Account

Asked = tuple[Account, Cursor]
PAGES_PER_CALL = 50
POSTS_EACH = 10  # whoever has more new ones is pulled alone; fifty full pages would be "too much data"
WIDER = 2  # how much wider than its own a page's window may be
NARROW = timedelta(days=1)  # of which one may be wider in any case
WIDEST_WINDOW = timedelta(days=170)  # since/until may span six months at most
FEWEST = 10  # pages of one window; fewer go into a batch
BELOW = 2  # posts of before the window, in a row, that end a listing which was asked for without one


def groups(
    asked: Sequence[Asked], bounds: Bounds, now: datetime, *, by_themselves: Callable[[str], bool] = lambda _: False
) -> tuple[list[list[Asked]], list[list[Asked]]]:
    """Part pages into calls with one window, and batches of those whose windows are unlike. A last one is in none.

    `by_themselves` says who shares no window with others.
    """
    sharing = [one for one in asked if not by_themselves(one[0].native_id)]
    alike = [group for group in _alike(sharing, bounds, now) if len(group) >= FEWEST]
    taken = {account.id for group in alike for account, _ in group}
    others = [one for one in asked if one[0].id not in taken]
    return alike, [list(batch) for batch in portions(others, PAGES_PER_CALL) if len(batch) > 1]


def _alike(asked: Sequence[Asked], bounds: Bounds, now: datetime) -> list[list[Asked]]:
    known = sorted(
        ((since, one) for one in asked if (since := begin_walk(*one, bounds, now).since) is not None),
        key=lambda pair: pair[0],
        reverse=True,
    )
    found: list[list[Asked]] = []
    narrowest = now  # of the group that is being filled
    for since, one in known:
        if not found or len(found[-1]) >= PAGES_PER_CALL or not _is_similar(narrowest, since, now):
            found.append([])
            narrowest = since
        found[-1].append(one)
    return found


def _is_similar(own: datetime, shared: datetime, now: datetime) -> bool:
    width = now - own
    return now - shared <= max(WIDER * width, width + NARROW) or width >= WIDEST_WINDOW


def fields(asked: Sequence[Asked], bounds: Bounds, now: datetime, post_fields: str) -> str:
    """Return the field expansion that asks for all of them; a window as wide as the API allows is left out."""
    earliest = min((since for one in asked if (since := begin_walk(*one, bounds, now).since)), default=now)
    window = f".since({int(earliest.timestamp())})" if now - earliest < WIDEST_WINDOW else ""
    return f"id,published_posts{window}.limit({POSTS_EACH}){{{post_fields}}}"


def page_alone(listed: Listed, one: Asked, bounds: Bounds, now: datetime) -> Page | None:
    """Return the page that ends the walk of one who asked with a window of its own, or None when it does not.

    An end above what is known is none: such a page is read alone, and has a gap if it still ends there.
    """
    page = begin_walk(*one, bounds, now, promises=True, whole=True).take(listed)
    return page if page.last and page.gap is None else None


def page_shared(listed: Listed, one: Asked, bounds: Bounds, now: datetime) -> Page | None:
    """Return the page that ends the walk, or None when the answer does not prove that it saw all of it."""
    walk = begin_walk(*one, bounds, now)
    if walk.since is None or walk.known is None or walk.known not in listed.times:
        return None
    page = walk.take(replace(listed, more=listed.more and not _is_below(listed, walk)))
    return page if page.last and page.gap is None else None


def _is_below(listed: Listed, walk: Walk) -> bool:
    """Say whether the listing went on far enough below the window; one post may be pinned or out of order."""
    last = listed.times[-BELOW:]
    return walk.since is not None and len(last) == BELOW and max(last) < walk.since


def named_in(message: str, asked: Sequence[Asked]) -> list[Asked]:
    """Return the pages that a refusal names."""
    words = set("".join(c if c.isalnum() or c in "_." else " " for c in message).split())
    return [one for one in asked if one[0].native_id in words]


def batched(answer: object) -> tuple[int, Mapping[str, str], object]:
    """Return status, headers and body of one answer of a batch; status 0 when the API has left it out for time."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("code"), int):
        return 0, {}, None
    headers = {str(one.get("name", "")).lower(): str(one.get("value", "")) for one in parts(answer, "headers")}
    try:
        return answer["code"], headers, json.loads(str(answer.get("body")))
    except (ValueError, RecursionError):
        return 0, headers, None
