"""How listings of Meta's platforms go on and end. Pure: everything here is fed answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

from connectors.base import ConnectorError
from connectors.graph.answers import following, has_next, paging_of
from connectors.payload import inner, onward
from connectors.walk import Listed, Listing, listed
from monitor.model import Json, Post

Parse = Callable[[Json], tuple[Post, ...]]
Ask = Callable[[Mapping[str, str]], tuple[Json, Mapping[str, str]]]


def next_question(listing: Json, before: Mapping[str, str]) -> Mapping[str, str]:
    """Return what asks for the page after this one of a listing that may leave `next` out; empty at its end.

    A cursor alone says little: some answers carry one at their very end. So it is followed while there are posts and
    the cursor is a new one; `pages` ends where such a page shows nothing new.
    """
    if has_next(listing):
        return following(listing)
    after = onward(inner(paging_of(listing), "cursors"), "after")
    is_new = after and after != before.get("after") and listing.get("data")
    return {"after": after} if is_new else {}


def pages(ask: Ask, parse: Parse, *, peek: bool = False) -> Listing:
    """Yield the pages of a listing. `ask` answers a question with a page and the question for the one after it.

    With `peek`, a page that names its successor by a cursor alone waits until that one has shown something: for
    listings that have a cursor at their very end.
    """
    held: Listed | None = None
    answers = _answers(ask, parse)
    again: bool | None = None
    while True:
        try:
            answer, is_sure = answers.send(again)
        except StopIteration:
            return
        except ConnectorError:
            if held is not None:
                yield held
            raise
        if held is not None:
            is_end = answer.ids <= held.ids and not answer.more
            again = yield replace(held, more=not is_end, hollow_end=is_end and not answer.ids)
            if again:
                continue
            if is_end:
                return
        held = answer if peek and answer.more and not is_sure else None
        again = (yield answer) if held is None else None


def _answers(ask: Ask, parse: Parse) -> Generator[tuple[Listed, bool], bool | None, None]:
    """Yield each page, and whether the API itself said that there is a further one."""
    question: Mapping[str, str] = {}
    seen: set[str] = set()
    while True:
        listing, after = ask(question)
        posts = parse(listing)
        fresh = {post.native_id for post in posts} - seen
        seen |= fresh
        is_sure = has_next(listing)
        more = bool(after) and (is_sure or bool(fresh))
        again = yield listed(posts, more=more), is_sure  # a page shown again is no empty one: the cursor leads nowhere
        if again:
            continue
        if not more:
            return
        question = after
