"""What an account published, newest first: an AppView's feed, or a repository's two lists merged into one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.base import SchemaDrift
from connectors.bluesky.posts import CHANGED, listed_at, parse_repost, parse_view, parts_of
from connectors.owners import must_be
from connectors.payload import inner, objects, onward, string
from connectors.walk import Listed
from monitor.model import Json


def parse_feed(payload: Json, *, owner: str = "", what: str = "bluesky") -> Listed:
    """Return one answer of an author's feed. Raises SchemaDrift; AnotherAccount unless it is the owner's."""
    items = listed_in(payload, "feed")
    must_be(what, [owner], map(_shown_by, items))
    posts, times = [], []
    for item in items:
        reason = inner(item, "reason")
        kind = string(reason, "$type")
        is_repost = kind.endswith("#reasonRepost")
        post = parse_repost(item, reason) if is_repost else parse_view(inner(item, "post"))
        posts.append(post)
        if not kind or is_repost:  # a pinned post stands first, whatever its age
            times.append(post.published_at)
    return Listed(
        posts=tuple(posts),
        times=tuple(times),
        ids=frozenset(post.native_id for post in posts),
        more=bool(onward(payload, "cursor")),
    )


def _shown_by(item: Json) -> str:
    """Return in whose feed an item stands: the author's, or of who passes it on; empty for another reason."""
    reason = inner(item, "reason")
    if string(reason, "$type").endswith("#reasonRepost"):
        return string(inner(reason, "by"), "did")
    return "" if reason else string(inner(item, "post", "author"), "did")


def must_be_records_of(did: str, payload: Json, *, what: str) -> None:
    """Raise AnotherAccount for records out of another repository. Raises SchemaDrift."""
    repositories = (parts_of(item.get("uri"))[0] for item in listed_in(payload, "records"))
    must_be(what, [did], (one for one in repositories if one.startswith("did:")))


def listed_in(payload: Json, key: str) -> list[Json]:
    """Return a list of objects. Raises SchemaDrift when it is not there: an empty list says "none"."""
    items = objects(payload.get(key))
    if items is None:
        raise SchemaDrift(f"bluesky: the answer has no list '{key}'; {CHANGED}, or base_url leads elsewhere")
    return items


@dataclass(slots=True)
class Stream:
    """One collection of a repository, newest first, as far as it has been read and not yet passed on."""

    collection: str
    cursor: str = ""
    ended: bool = False
    waiting: list[Json] = field(default_factory=list)
    reached: datetime | None = None  # the time of the oldest record read
    _keys: set[str] = field(default_factory=set)

    def take(self, payload: Json) -> None:
        """Keep one answer. A cursor that brings nothing new ends the stream, whatever it says."""
        records = listed_in(payload, "records")
        fresh = [item for item in records if string(item, "uri") not in self._keys]
        self._keys |= {string(item, "uri") for item in fresh}
        self.waiting += fresh
        self.cursor = onward(payload, "cursor")
        self.ended = not self.cursor or not fresh
        if fresh:
            self.reached = min(map(listed_at, fresh))


def ready(streams: Sequence[Stream]) -> list[Json]:
    """Take what can be passed on: nothing that a stream has not read yet is newer. Newest first."""
    depths = [stream.reached for stream in streams if not stream.ended and stream.reached is not None]
    frontier = max(depths, default=None)
    found: list[Json] = []
    for stream in streams:
        passed = [item for item in stream.waiting if frontier is None or listed_at(item) >= frontier]
        stream.waiting = [item for item in stream.waiting if frontier is not None and listed_at(item) < frontier]
        found += passed
    return sorted(found, key=listed_at, reverse=True)


def shallowest(streams: Sequence[Stream]) -> Stream | None:
    """Return the stream to read next: one not begun, else that whose oldest record is the newest."""
    reading = [stream for stream in streams if not stream.ended]
    latest = datetime.max.replace(tzinfo=UTC)
    return max(reading, key=lambda stream: stream.reached or latest, default=None)


def begun(streams: Sequence[Stream]) -> bool:
    return all(stream.ended or stream.reached is not None for stream in streams)
