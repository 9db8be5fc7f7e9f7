"""A question taken for one about another account, as a cache with a wrong key or a proxy's mistake takes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlencode

from connectors.sandbox.reply import Question
from connectors.sandbox.world import Holder, World

SHORTEST = 8  # of what is told apart from other numbers in a question; Telegram's count from one


def mistaken(world: World, platform: str, question: Question) -> Question:
    """Return the same question about another account of the platform; unchanged where there is no other.

    Its posts stand for those that are asked for, each for the one at its place in time.
    """
    holders = world.holders(platform.removesuffix("-pds"))
    if "authorization" in question.headers and platform == "tiktok":
        return _as_another(world, holders, question)
    words = {one.native_id: set(_words_of(world, one)) for one in holders}
    text = " ".join([question.path, unquote(question.body.decode()), *question.query.values()])
    named = [one for one in holders if any(_found(word, text) for word in words[one.native_id])]
    other = next((one for one in holders if one not in named), None)
    if not named or other is None:
        return question
    swapped: dict[str, str] = {}
    for one in named:
        swapped |= _instead(world, one, other)
    return _swapped(question, swapped)


def _as_another(world: World, holders: list[Holder], question: Question) -> Question:
    """Return TikTok's question, which names no account, with the token of another."""
    token, _, handle = question.headers["authorization"].partition(".")
    asked = world.holder("tiktok", handle) if handle else world.last_holder("tiktok")
    other = next((one for one in holders if one != asked), None)
    if asked is None or other is None:
        return question
    instead = replace(question, headers={**question.headers, "authorization": f"{token}.{other.handle}"})
    return _swapped(instead, _instead(world, asked, other))


def _words_of(world: World, holder: Holder) -> Iterator[str]:
    """Yield what a question may call an account by: its names, and those of its posts."""
    yield from (holder.native_id, holder.handle)
    if holder.platform == "youtube":
        yield f"UU{holder.native_id[2:]}"
    for post in world.timeline(holder.platform, holder.native_id):
        yield from (version.id for version in post.versions if len(version.id) >= SHORTEST)


def _instead(world: World, asked: Holder, other: Holder) -> Mapping[str, str]:
    swapped = {asked.native_id: other.native_id, asked.handle: other.handle}
    if asked.platform == "youtube":
        swapped |= {f"UU{asked.native_id[2:]}": f"UU{other.native_id[2:]}"}
    theirs = world.timeline(other.platform, other.native_id)
    for place, post in enumerate(world.timeline(asked.platform, asked.native_id) if theirs else ()):
        there = theirs[place % len(theirs)].native_id
        swapped |= {version.id: there for version in post.versions if len(version.id) >= SHORTEST}
    return swapped


def _found(word: str, text: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text) is not None


def _swapped(question: Question, words: Mapping[str, str]) -> Question:
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9])")

    def swap(text: str) -> str:
        return pattern.sub(lambda found: words[found[0]], text)

    return replace(
        question,
        path=swap(question.path),
        query={key: swap(value) for key, value in question.query.items()},
        every={key: [swap(value) for value in values] for key, values in question.every.items()},
        body=_with_body(question.body.decode(), swap).encode(),
    )


def _with_body(body: str, swap: Callable[[str], str]) -> str:
    """Swap words in JSON, or in a form's values."""
    form = parse_qsl(body) if body and body[0] not in "{[" else []
    return urlencode({key: swap(value) for key, value in form}) if form else swap(body)
