"""Known posts looked up by their ids, those of many accounts in one call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.base import ConnectorError, Reread, Wanted
from connectors.x.posts import hidden_in, items_of, missing_in, parse_timeline, versions_of
from monitor.model import Json, Post


@dataclass(slots=True)
class Known:
    """What look-ups by id have shown so far, of all accounts."""

    posts: dict[str, Post] = field(default_factory=dict)  # by native id, as they are now
    missing: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    edited: dict[str, str] = field(default_factory=dict)  # id of a newer version than was shown → native id
    failed: dict[str, ConnectorError] = field(default_factory=dict)
    stop: ConnectorError | None = None

    def note(self, payload: Json) -> None:
        """Keep what an answer shows. Raises SchemaDrift."""
        self.posts |= {post.native_id: post for post in parse_timeline(payload)}
        self.missing |= missing_in(payload)
        self.hidden |= hidden_in(payload)
        histories = {item["id"]: versions_of(item) for item in items_of(payload)}
        self.edited |= {one[-1]: one[0] for one in histories.values() if one[-1] not in histories}

    def fail(self, ids: Sequence[str], error: ConnectorError) -> None:
        self.failed |= {self.edited.get(one, one): error for one in ids}
        self.stop = error if error.whole_platform else None

    def answer_to(self, wanted: Wanted) -> Reread | ConnectorError:
        """Return what the look-ups say of one account's posts, or why they say nothing."""
        failure = next((self.failed[one] for one in ids_of(wanted) if one in self.failed), None)
        if failure is not None:
            return failure
        newest = {one: wanted.newest.get(one, one) for one in wanted.native_ids}
        posts = {one: self.posts[one] for one in newest if one in self.posts}
        missing = frozenset(one for one in newest if {one, newest[one]} <= self.missing) - posts.keys()
        hidden = frozenset(one for one in newest if {one, newest[one]} & self.hidden) - posts.keys()
        return Reread(posts=tuple(posts.values()), missing=missing, hidden=hidden)


def ids_of(wanted: Wanted) -> list[str]:
    """Return the ids to ask for: of an edited post its first and its newest known one, for X may know one alone."""
    return [*wanted.native_ids, *(wanted.newest[one] for one in wanted.native_ids if one in wanted.newest)]
