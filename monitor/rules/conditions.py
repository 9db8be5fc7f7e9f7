"""A rule's condition: parsed once, evaluated on the matches of its parts. Pure and linear in the matches.

    condition: mark_line or (mark_caps near 60 paper) or (mark_caps and file_ref) or mykad >= 3

Names are parts. `a near N b`: matches of both with at most N characters between. `a >= N`: at least N matches. `not`
binds closest, then `near`, `and`, `or`; parentheses as usual. A condition's value is the matches that make it true.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from monitor.rules.text import Span

WORDS = frozenset({"and", "or", "not", "near"})
_TOKEN = re.compile(r"\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>>=|\(|\)))")
MOST_DEPTH = 50
_SHOWN = 20  # characters of the condition on either side of a mistake
Matches = Callable[[str], Sequence[Span]]  # part → its matches, sorted, in the folded text
Rarity = Callable[[str], float]  # part → in how many texts it may match; infinite: nothing can be said beforehand


class BadCondition(Exception):
    """The condition cannot be understood. The message says why, and shows the place in the text."""

    def __init__(self, message: str, text: str = "", place: int = 0) -> None:
        before, after = text[max(0, place - _SHOWN) : place], text[place : place + _SHOWN]
        super().__init__(f"{message}, at: …{before}▸{after}…" if text else message)


class Condition(Protocol):
    def matches(self, of: Matches) -> Sequence[Span] | None:
        """Return the matches that make it true (none for a `not`), or None when it is false."""

    def parts(self) -> Iterator[str]:
        """Yield the names of the parts it asks for."""

    def forbidden(self) -> Iterator[str]:
        """Yield the names of the parts of which a match may make it false."""

    def signs(self, rarity: Rarity) -> frozenset[str] | None:
        """Return parts of which one must match before it can be true, the rarest there are; None: there are none."""

    def possible(self, present: AbstractSet[str]) -> bool:
        """Tell whether it may be true when only these parts can match."""


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    at_least: int = 1

    def matches(self, of: Matches) -> Sequence[Span] | None:
        found = of(self.name)
        return found if len(found) >= self.at_least else None

    def parts(self) -> Iterator[str]:
        yield self.name

    def forbidden(self) -> Iterator[str]:
        return iter(())

    def signs(self, rarity: Rarity) -> frozenset[str] | None:
        return frozenset({self.name}) if rarity(self.name) < math.inf else None

    def possible(self, present: AbstractSet[str]) -> bool:
        return self.name in present


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition

    def matches(self, of: Matches) -> Sequence[Span] | None:
        return () if self.inner.matches(of) is None else None

    def parts(self) -> Iterator[str]:
        yield from self.inner.parts()

    def forbidden(self) -> Iterator[str]:
        yield from self.inner.parts()

    def signs(self, rarity: Rarity) -> frozenset[str] | None:  # noqa: ARG002 (what is absent shows by nothing)
        return None

    def possible(self, present: AbstractSet[str]) -> bool:  # noqa: ARG002 (what may match need not)
        return True


@dataclass(frozen=True, slots=True)
class And:
    left: Condition
    right: Condition

    def matches(self, of: Matches) -> Sequence[Span] | None:
        if isinstance(self.right, Not) and self.right.matches(of) is None:
            return None  # asked first: it adds no match, and what must not be there mostly settles it
        left = self.left.matches(of)
        right = self.right.matches(of) if left is not None else None
        return None if left is None or right is None else [*left, *right]

    def parts(self) -> Iterator[str]:
        yield from self.left.parts()
        yield from self.right.parts()

    def forbidden(self) -> Iterator[str]:
        yield from self.left.forbidden()
        yield from self.right.forbidden()

    def signs(self, rarity: Rarity) -> frozenset[str] | None:
        return _rarer(self.left.signs(rarity), self.right.signs(rarity), rarity)

    def possible(self, present: AbstractSet[str]) -> bool:
        return self.left.possible(present) and self.right.possible(present)


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

    def forbidden(self) -> Iterator[str]:
        yield from self.left.forbidden()
        yield from self.right.forbidden()

    def signs(self, rarity: Rarity) -> frozenset[str] | None:
        left, right = self.left.signs(rarity), self.right.signs(rarity)
        return None if left is None or right is None else left | right

    def possible(self, present: AbstractSet[str]) -> bool:
        return self.left.possible(present) or self.right.possible(present)


@dataclass(frozen=True, slots=True)
class Near:
    left: Condition
    right: Condition
    distance: int

    def matches(self, of: Matches) -> Sequence[Span] | None:
        left = self.left.matches(of)
        right = self.right.matches(of) if left else None
        if not left or not right:
            return None
        found = [*_close(left, right, self.distance), *_close(right, left, self.distance)]
        return found or None

    def parts(self) -> Iterator[str]:
        yield from self.left.parts()
        yield from self.right.parts()

    def forbidden(self) -> Iterator[str]:
        yield from self.left.forbidden()
        yield from self.right.forbidden()

    def signs(self, rarity: Rarity) -> frozenset[str] | None:
        return _rarer(self.left.signs(rarity), self.right.signs(rarity), rarity)

    def possible(self, present: AbstractSet[str]) -> bool:
        return self.left.possible(present) and self.right.possible(present)


def _rarer(left: frozenset[str] | None, right: frozenset[str] | None, rarity: Rarity) -> frozenset[str] | None:
    if left is None or right is None:
        return left if right is None else right
    return min(left, right, key=lambda names: (sum(map(rarity, names)), sorted(names)))


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


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    place: int


def parse(text: str) -> Condition:
    """Parse a condition. Raises BadCondition."""
    parser = _Parser(text, list(_tokens(text)))
    condition = parser.either(0)
    if parser.rest():
        raise parser.error(f"'{parser.rest()}' is not expected there; join parts with and, or, near N")
    return condition


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise BadCondition(f"'{text[place:].strip()[:_SHOWN]}' is not understood", text, place)
        word = match[0].strip()
        yield _Token(word, match.end() - len(word))
        place = match.end()


class _Parser:
    """Recursive descent: either → both → near → one."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._place = 0

    def rest(self) -> str:
        return self._tokens[self._place].text if self._place < len(self._tokens) else ""

    def error(self, message: str) -> BadCondition:
        place = self._tokens[self._place].place if self.rest() else len(self._text)
        return BadCondition(message, self._text, place)

    def _take(self, *wanted: str) -> bool:
        if self.rest() in wanted:
            self._place += 1
            return True
        return False

    def _number(self, after: str) -> int:
        if not self.rest().isdigit():
            raise self.error(f"a number is expected after {after}")
        self._place += 1
        return int(self._tokens[self._place - 1].text)

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
            raise self.error("is nested too deep")
        if self._take("not"):
            return Not(self._one(depth + 1))
        if self._take("("):
            inner = self.either(depth + 1)
            if not self._take(")"):
                raise self.error("a closing parenthesis is missing")
            return inner
        name = self.rest()
        if not name or name in WORDS or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise self.error(f"the name of a part is expected{f', found {name!r}' if name else ''}")
        self._place += 1
        return Part(name, self._number(">=")) if self._take(">=") else Part(name)


def unknown_parts(condition: Condition, parts: Mapping[str, object]) -> list[str]:
    return sorted(set(condition.parts()) - parts.keys())
