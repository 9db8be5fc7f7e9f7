"""A rule's condition: parsed once, evaluated on the matches of its parts. Pure and linear in the matches.

    condition: mark_line or (mark_caps near 60 paper) or (mark_caps and file_ref) or mykad >= 3

Names are parts. `a near N b`: matches of both with at most N characters between. `a >= N`: at least N matches. `not`
binds closest, then `near`, `and`, `or`; parentheses as usual. A condition's value is the matches that make it true.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.rules.text import Span

WORDS = frozenset({"and", "or", "not", "near"})
_TOKEN = re.compile(r"\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>>=|\(|\)))")
MOST_DEPTH = 50
Matches = Callable[[str], Sequence[Span]]  # part → its matches, sorted, in the folded text


class BadCondition(Exception):
    """The condition cannot be understood; the message says where and why."""


class Condition(Protocol):
    def matches(self, of: Matches) -> Sequence[Span] | None:
        """Return the matches that make it true (none for a `not`), or None when it is false."""

    def parts(self) -> Iterator[str]:
        """Yield the names of the parts it asks for."""


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    at_least: int = 1

    def matches(self, of: Matches) -> Sequence[Span] | None:
        found = of(self.name)
        return found if len(found) >= self.at_least else None

    def parts(self) -> Iterator[str]:
        yield self.name


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition

    def matches(self, of: Matches) -> Sequence[Span] | None:
        return () if self.inner.matches(of) is None else None

    def parts(self) -> Iterator[str]:
        yield from self.inner.parts()


@dataclass(frozen=True, slots=True)
class And:
    left: Condition
    right: Condition

    def matches(self, of: Matches) -> Sequence[Span] | None:
        left = self.left.matches(of)
        right = self.right.matches(of) if left is not None else None
        return None if left is None or right is None else [*left, *right]

    def parts(self) -> Iterator[str]:
        yield from self.left.parts()
        yield from self.right.parts()


@dataclass(frozen=True, slots=True)
class Or:
    left: Condition
    right: Condition

    def matches(self, of: Matches) -> Sequence[Span] | None:
        found = [m for m in (self.left.matches(of), self.right.matches(of)) if m is not None]
        return [span for matches in found for span in matches] if found else None

    def parts(self) -> Iterator[str]:
        yield from self.left.parts()
        yield from self.right.parts()


@dataclass(frozen=True, slots=True)
class Near:
    left: Condition
    right: Condition
    distance: int

    def matches(self, of: Matches) -> Sequence[Span] | None:
        left, right = self.left.matches(of), self.right.matches(of)
        if not left or not right:
            return None
        found = [*_close(left, right, self.distance), *_close(right, left, self.distance)]
        return found or None

    def parts(self) -> Iterator[str]:
        yield from self.left.parts()
        yield from self.right.parts()


def _close(spans: Sequence[Span], others: Sequence[Span], distance: int) -> list[Span]:
    """Return those of `spans` that have one of `others` at most `distance` characters away."""
    others = sorted(others)
    starts = [start for start, _ in others]
    furthest: list[int] = []  # the greatest end so far, because a span may hold others
    for _, end in others:
        furthest.append(max(end, furthest[-1]) if furthest else end)
    found = []
    for start, end in spans:
        after = bisect_left(starts, start)
        follows = after < len(others) and starts[after] - end <= distance
        precedes = after > 0 and start - furthest[after - 1] <= distance
        if follows or precedes:
            found.append((start, end))
    return found


def parse(text: str) -> Condition:
    """Parse a condition. Raises BadCondition."""
    tokens = list(_tokens(text))
    if not tokens:
        raise BadCondition("is empty")
    parser = _Parser(tokens)
    condition = parser.either(0)
    if parser.rest():
        raise BadCondition(f"'{parser.rest()}' is not expected there; join parts with and, or, near N")
    return condition


def _tokens(text: str) -> Iterator[str]:
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise BadCondition(f"'{text[place:].strip()[:20]}' is not understood")
        yield match[0].strip()
        place = match.end()


class _Parser:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def rest(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, *wanted: str) -> bool:
        if self.rest() in wanted:
            self._place += 1
            return True
        return False

    def _number(self, after: str) -> int:
        if not self.rest().isdigit():
            raise BadCondition(f"a number is expected after {after}")
        self._place += 1
        return int(self._tokens[self._place - 1])

    def either(self, depth: int) -> Condition:
        left = self._both(depth)
        while self._take("or"):
            left = Or(left, self._both(depth))
        return left

    def _both(self, depth: int) -> Condition:
        left = self._near(depth)
        while self._take("and"):
            left = And(left, self._near(depth))
        return left

    def _near(self, depth: int) -> Condition:
        left = self._one(depth)
        while self._take("near"):
            distance = self._number("near")
            left = Near(left, self._one(depth), distance)
        return left

    def _one(self, depth: int) -> Condition:
        if depth > MOST_DEPTH:
            raise BadCondition("is nested too deep")
        if self._take("not"):
            return Not(self._one(depth + 1))
        if self._take("("):
            inner = self.either(depth + 1)
            if not self._take(")"):
                raise BadCondition("a closing parenthesis is missing")
            return inner
        name = self.rest()
        if not name or name in WORDS or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise BadCondition(f"the name of a part is expected{f', found {name!r}' if name else ' at the end'}")
        self._place += 1
        return Part(name, self._number(">=")) if self._take(">=") else Part(name)


def unknown_parts(condition: Condition, parts: Mapping[str, object]) -> list[str]:
    return sorted(set(condition.parts()) - parts.keys())
