"""The newest posts of many pages in one call: how it is asked, and what becomes of a call that one page spoils."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

import requests

from connectors.base import Bounds, Page, SchemaDrift, Unavailable
from connectors.facebook.groups import Asked, batched, fields, groups, named_in, page_alone, page_shared
from connectors.facebook.posts import EDGES, POST_FIELDS, must_hold_posts_of, parse_listing
from connectors.facebook.sdk import Sdk
from connectors.facebook.ways import Way
from connectors.graph.budget import retry_at
from connectors.graph.refusals import Refused, is_too_much, lacks_way, parse_refusal, refused
from connectors.remembered import Belief
from connectors.walk import begin_walk

MOST_TRIES = 16  # of one group whose call was refused: enough to single out one page of fifty
FEWEST = 2  # pages that are asked for in one call
SPOILS_FOR = timedelta(days=1)
BATCHED_POSTS = 25  # of a page in a batch; whoever has more new ones is pulled alone
WHAT = "facebook: many pages"


class Together:
    """Reads pages together, and remembers which cannot be. Thread-safe: what is remembered is the same for all."""

    def __init__(self, sdk: Sdk, bounds: Bounds) -> None:
        self._sdk = sdk
        self._bounds = bounds
        self._spoilers: dict[str, datetime] = {}  # by page: until when it is read alone, having spoilt a call for many
        self._batchless = Belief()  # the server does not know how to answer several questions in one call

    def groups(self, asked: Sequence[Asked], now: datetime) -> tuple[list[list[Asked]], list[list[Asked]]]:
        """Part pages into calls with one window, and batches."""
        self._spoilers = spoilers = {page: until for page, until in self._spoilers.copy().items() if until > now}
        alike, unlike = groups(
            asked, self._bounds, now, by_themselves=lambda page: self._sdk.singly.holds(now) or page in spoilers
        )
        return alike, [] if self._batchless.holds(now) else unlike

    def read(self, asked: Sequence[Asked], now: datetime) -> Mapping[int, Page]:
        """Return pages by account id. Whoever is missing is to be pulled alone. Raises what stops all of them."""
        left, batches = self.groups(asked, now)
        found: dict[int, Page] = {}
        tries = 0
        while left and tries < MOST_TRIES:
            group = left.pop()
            if len(group) > 1 and not self._sdk.singly.holds(now):
                tries += 1
                left += self._share(group, now, found)
        for batch in batches:
            found |= self._batch(batch, now)
        return found

    def _share(self, group: list[Asked], now: datetime, found: dict[int, Page]) -> list[list[Asked]]:
        """Make one call for all of them. Returns the parts to try again: one page that refuses spoils the call."""
        shown = fields(group, self._bounds, now, POST_FIELDS)
        ids = [account.native_id for account, _ in group]
        try:
            payload = self._sdk.attempt(lambda graph: graph.get_objects(ids, fields=shown), now, what=WHAT)
        except Refused as error:
            return self._without_spoilers(group, error, now)
        for one in group if isinstance(payload, Mapping) else ():
            if (page := self._shared_page(payload.get(one[0].native_id), one, now)) is not None:
                found[one[0].id] = page
        return []

    def _shared_page(self, item: object, one: Asked, now: datetime) -> Page | None:
        """Return one page's part of an answer for many; None when it does not prove that all was seen."""
        edge = item.get(EDGES[0]) if isinstance(item, Mapping) else None
        if not isinstance(edge, Mapping):
            return None  # an edge without posts is left out, and so may be one that the token must not see
        try:
            must_hold_posts_of(one[0].native_id, edge, what=WHAT)
            return page_shared(parse_listing(edge), one, self._bounds, now)
        except SchemaDrift:
            return None  # alone it says the same, and in whose name

    def _without_spoilers(self, group: list[Asked], error: Refused, now: datetime) -> list[list[Asked]]:
        if error.error.whole_platform:
            raise error.error from None
        if error.refusal.code is None:
            if lacks_way(error.refusal):
                self._sdk.singly.take(now)
            return []
        named = [] if is_too_much(error.refusal) else named_in(error.refusal.message, group)
        if named:
            self._spoilers |= {account.native_id: now + SPOILS_FOR for account, _ in named}
            return [[one for one in group if one not in named]]
        if len(group) == FEWEST and not isinstance(error.error, Unavailable):
            self._spoilers |= {account.native_id: now + SPOILS_FOR for account, _ in group}
        half = len(group) // 2
        return [group[:half], group[half:]]

    def _batch(self, group: Sequence[Asked], now: datetime) -> Mapping[int, Page]:
        """Put the questions of several pages into one call; each has its own window, answer and budget."""
        asked = json.dumps([{"method": "GET", "relative_url": self._relative(one, now)} for one in group])
        try:
            answers = self._sdk.attempt(
                lambda graph: graph.request(f"{graph.version}/", post_args={"batch": asked}), now, what=WHAT
            )
        except Refused as error:
            if error.error.whole_platform:
                raise error.error from None
            if lacks_way(error.refusal):
                self._batchless.take(now)
            return {}
        if not isinstance(answers, list) or len(answers) != len(group):
            return {}
        pages = ((one[0].id, self._batch_page(answer, one, now)) for one, answer in zip(group, answers, strict=True))
        return {number: page for number, page in pages if page is not None}

    def _relative(self, one: Asked, now: datetime) -> str:
        question = Way(walk=begin_walk(*one, self._bounds, now)).question() | {"limit": str(BATCHED_POSTS)}
        return f"{one[0].native_id}/{EDGES[0]}?{urlencode(question)}"

    def _batch_page(self, answer: object, one: Asked, now: datetime) -> Page | None:
        """Return one page's part of a batch; None when it has to be read alone. Raises what stops all pages."""
        status, headers, payload = batched(answer)
        self._sdk.budget.note(headers, one[0].native_id, now)
        if status != requests.codes.ok:
            refusal = parse_refusal(payload, status=status)
            error = refused(refusal, what="facebook", retry_at=retry_at(headers, now)).error
            if error.whole_platform:
                raise error
            return None
        try:
            must_hold_posts_of(one[0].native_id, payload, what=WHAT)
            return page_alone(parse_listing(payload), one, self._bounds, now)
        except SchemaDrift:
            return None  # alone it says the same, and in whose name
