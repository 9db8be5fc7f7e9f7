"""Which rules a text may break, told in one pass of RE2: nearly every post is let through here.

Of each rule the sieve holds only what must be there before its condition can be true, and of that the rarest: of
`shop near 60 price and not official` the shop's words or the price's, never both. How rare a part is shows in the
texts that the rules' own tests want left alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import re2

from monitor.rules.history import HistoryPart
from monitor.rules.parts import Triggers, options
from monitor.rules.text import DISGUISE, DOUBLED, fold, readings, single

if TYPE_CHECKING:
    from monitor.rules.rule import Rule

MOST_KNOWN = 10_000  # combinations of hits that a rule keeps
_DISGUISE_HIT, _DOUBLED_HIT = 0, 1  # the first patterns of the first set
_PER_CHARACTER = 1e-4  # a long list of words matches more often than a short one, whatever the tests hold


T = TypeVar("T")
Match = Callable[[str], list[int] | None]
Candidate = tuple["Rule", AbstractSet[str]]  # with the parts that are known not to match


@dataclass(slots=True)
class _Seen:
    """A text as triggers are looked for in it: folded, without repeated letters, and its readings if disguised."""

    folded: str
    single: str
    readings: tuple[str, ...] = ()


class Sieve:
    """`rules` are those that count, in the order in which they are to be judged."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        rarity = _rarities(rules)
        self._rules = [_Closer(rule) for rule in rules]
        self._always: set[int] = set()
        self._always_with_history: set[int] = set()  # what only a history can make true
        wanted: dict[Triggers, set[int]] = {}
        for number, rule in enumerate(rules):
            signs = rule.condition.signs(lambda name, rule=rule: rarity[rule.parts[name].triggers])  # type: ignore[misc]
            if signs is None and rule.condition.possible(_texts(rule)):
                self._always.add(number)
            elif signs is None:
                self._always_with_history.add(number)
            for name in signs or ():
                wanted.setdefault(rule.parts[name].triggers, set()).add(number)
        first: dict[Triggers, set[int]] = {Triggers(folded=(DISGUISE,)): set(), Triggers(folded=(DOUBLED,)): set()}
        for triggers, behind in wanted.items():
            first.setdefault(Triggers(folded=(*triggers.folded, *triggers.single)), set()).update(behind)
        self._first, _, _ = _looking(first)
        _, self._single, self._squeezed = _looking(wanted)

    def candidates(self, folded: str, *, history: bool = False) -> list[Candidate]:
        """Return the rules that a text may break, by its folded view; `history`: there is one to be asked."""
        always = self._always | self._always_with_history if history else self._always
        hits = self._first.match(folded)
        if hits is None and not always:
            return []
        numbers = always.union(self._first.behind(hits))
        seen = _Seen(folded, folded)
        if hits is not None and _DOUBLED_HIT in hits:
            seen.single = single(folded)
            numbers.update(self._single.behind(self._single.match(seen.single)))
        if hits is not None and _DISGUISE_HIT in hits:
            seen.readings = tuple(one.text for one in readings(folded))
            for reading in seen.readings:
                numbers.update(self._squeezed.behind(self._squeezed.match(reading)))
        if not numbers:
            return []
        looked = ((self._rules[number], self._rules[number].absent(seen, history)) for number in sorted(numbers))
        return [(closer.rule, absent) for closer, absent in looked if absent is not None]


class _Closer:
    """One rule, and a closer look at which of its parts can match. RE2 builds its sets at the first one."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._always = {name for name, part in rule.parts.items() if part.triggers.always}
        self._always_by_text = self._always & _texts(rule)
        self._possible: dict[frozenset[str], bool] = {}

    @cached_property
    def _sets(self) -> tuple[_Looking[str], _Looking[str], _Looking[str]]:
        wanted: dict[Triggers, set[str]] = {}
        for name in self.rule.condition.parts():
            wanted.setdefault(self.rule.parts[name].triggers, set()).add(name)
        return _looking(wanted)

    def absent(self, seen: _Seen, history: bool) -> AbstractSet[str] | None:
        """Return the parts that cannot match; None when the condition cannot be true without them."""
        in_folded, in_single, in_squeezed = self._sets
        always = self._always if history else self._always_by_text
        present = always.union(in_single.behind(in_single.match(seen.single)))
        for reading in seen.readings:
            present.update(in_squeezed.behind(in_squeezed.match(reading)))
        if not self._is_possible(frozenset(present | in_folded.every)):
            return None
        present.update(in_folded.behind(in_folded.match(seen.folded)))
        return self.rule.parts.keys() - present if self._is_possible(frozenset(present)) else None

    def _is_possible(self, present: frozenset[str]) -> bool:
        known = self._possible.get(present)
        if known is None:
            if len(self._possible) >= MOST_KNOWN:
                self._possible.clear()
            known = self._possible[present] = self.rule.condition.possible(present)
        return known


def _texts(rule: Rule) -> AbstractSet[str]:
    """Return the parts that a text alone decides."""
    return {name for name, part in rule.parts.items() if not isinstance(part, HistoryPart)}


class _Looking(Generic[T]):
    """One set of patterns, with what stands behind each of them."""

    def __init__(self, patterns: Mapping[str, Collection[T]]) -> None:
        self._behind = list(patterns.values())
        self.every = {one for behind in self._behind for one in behind}
        self.match: Match = pattern_set(patterns).Match if patterns else _no_match

    def behind(self, hits: Iterable[int] | None) -> Iterable[T]:
        return (one for hit in hits or () for one in self._behind[hit])


def _no_match(text: str) -> list[int] | None:  # noqa: ARG001 (RE2 takes half a microsecond to find nothing of nothing)
    return None


def _looking(wanted: Mapping[Triggers, Collection[T]]) -> tuple[_Looking[T], _Looking[T], _Looking[T]]:
    """Return the sets for the folded text, the one without repeated letters and the squeezed one."""
    sets: tuple[dict[str, set[T]], ...] = ({}, {}, {})
    for triggers, behind in wanted.items():
        for one, patterns in zip(sets, (triggers.folded, triggers.single, triggers.squeezed), strict=True):
            for pattern in patterns:
                one.setdefault(pattern, set()).update(behind)
    in_folded, in_single, in_squeezed = map(_Looking, sets)
    return in_folded, in_single, in_squeezed


def pattern_set(patterns: Iterable[str]) -> Any:
    """Return RE2's set of the patterns, in their order."""
    found = re2.Set.SearchSet(options())
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


def _rarities(rules: Sequence[Rule]) -> Mapping[Triggers, float]:
    """Return how often each part may match in ordinary posts, by its triggers in the quiet tests of all rules."""
    every = {part.triggers for rule in rules for part in rule.parts.values()}
    texts = {fold(example.text) for rule in rules for example in rule.tests if not example.fires}
    hits = Counter(_hits({t for one in every for t in one.folded}, texts))
    hits.update(_hits({t for one in every for t in one.single}, map(single, texts)))
    return {
        one: math.inf if one.always else sum(hits[t] + len(t) * _PER_CHARACTER for t in (*one.folded, *one.single))
        for one in every
    }


def _hits(triggers: Iterable[str], texts: Iterable[str]) -> Iterable[str]:
    names = sorted(triggers)
    every = pattern_set(names)
    return (names[hit] for text in texts for hit in every.Match(text) or ())
