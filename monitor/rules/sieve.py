"""Which rules a text may break, told by what RE2 sees in it at a glance: nearly every post is let through here.

A rule is asked for only after one of its signs was seen: of what must be there before its condition can be true, the
rarest. Of `shop near 60 price and not official` the shop's words or the price's, never both. How rare a part is shows
in the texts that the rules' own tests want left alone. Only then is the text looked through for the other parts of all
rules at once; a rule whose condition cannot be true with what was seen is let go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import re2

from monitor.rules.disguise import ACROSS
from monitor.rules.history import HistoryPart
from monitor.rules.parts import Part, Triggers, is_wide, options, single_pattern, word_tree
from monitor.rules.text import DISGUISED, SPACED, fold, fold_plain, readings, single
from monitor.rules.together import NotTogether, Together

if TYPE_CHECKING:
    from monitor.rules.rule import Rule

MOST_KNOWN = 10_000  # combinations of parts that a rule keeps
_PER_CHARACTER = 1e-4  # a long list of words matches more often than a short one, whatever the tests hold
_DISGUISED, _SPACED, _ACROSS, _WORDS, _HISTORY, _ANYTHING, _FIRST_PART = (1 << bit for bit in range(7))  # what is seen

Candidate = tuple["Rule", AbstractSet[str]]  # with the parts that are known not to match
Behind = tuple[int, int]  # bits of the parts that may match now, and of the rules that are now to be asked


@dataclass(slots=True)
class _Seen:
    """What a text showed so far, in bits."""

    parts: int
    rules: int

    def add(self, hits: Iterable[int] | None, behind: Sequence[Behind]) -> None:
        """Note what stands behind the patterns that were seen."""
        for hit in hits or ():
            parts, rules = behind[hit]
            self.parts |= parts
            self.rules |= rules


class Sieve:
    """`rules` are those that count, in the order in which they are to be judged."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        rarity = _rarities(rules)
        bits = {triggers: _FIRST_PART << number for number, triggers in enumerate(rarity)}
        self._rules = [_Suspect(rule, bits) for rule in rules]
        self._always = self._always_with_history = 0  # rules without a sign; what only a history can make true
        asking: dict[Triggers, int] = {}
        for number, rule in enumerate(rules):
            signs = rule.condition.signs(lambda name, rule=rule: rarity[rule.parts[name].triggers])  # type: ignore[misc]
            for name in signs or ():
                triggers = rule.parts[name].triggers
                asking[triggers] = asking.get(triggers, 0) | 1 << number
            if signs is None:
                self._always_with_history |= 1 << number
                self._always |= rule.condition.possible(_texts(rule)) << number
        glance = {DISGUISED: (_DISGUISED, 0), SPACED: (_DISGUISED | _SPACED, 0), ACROSS: (_ACROSS, 0)}
        if words := sorted({phrase for one in asking for phrase in one.phrases}):
            glance[word_tree(words)] = (_WORDS, 0)
        self._signs = _Looks({one: (bits[one], numbers) for one, numbers in asking.items()}, glance)
        self._others = _Looks({one: (bit, 0) for one, bit in bits.items() if one not in asking})
        self._glance, self._glanced = self._signs.folded.sets.pop(0)
        self._across = next(hit for hit, (parts, _) in enumerate(self._glanced) if parts & _ACROSS)
        self._one_glance_tells = not (self._signs.folded.sets or self._always_with_history)

    def candidates(self, original: str, *, history: bool = False) -> list[Candidate]:
        """Return the rules that a text may break; `history`: there is one to be asked."""
        folded = fold_plain(original)
        hits = self._glance(folded.encode()) if folded is not None else ()
        if hits is None and self._one_glance_tells:
            return []
        if folded is None or (hits and self._across in hits):
            folded = fold(original)
            hits = self._glance(folded.encode())
        seen = _Seen(_ANYTHING, self._always)
        if history:
            seen = _Seen(_ANYTHING | _HISTORY, self._always_with_history)
        encoded = folded.encode()
        seen.add(hits, self._glanced)
        self._signs.folded.look(encoded, seen)
        disguised, spaced = seen.parts & _DISGUISED, seen.parts & _SPACED
        read = [one.text.encode() for one in readings(folded, spaced=bool(spaced))] if disguised else []
        letters = [single(folded).encode()] if seen.parts & _WORDS else []
        self._signs.look([*letters, *(one for one in read if self._glance(one) is not None)], read, seen)
        if not seen.rules:
            return []
        letters = letters or [single(folded).encode()]
        self._others.folded.look(encoded, seen)
        self._others.look([*letters, *read], read, seen)
        return [one for number in _ones(seen.rules) if (one := self._rules[number].candidate(seen.parts)) is not None]

    def candidates_of(self, originals: Sequence[str], *, history: bool = False) -> Mapping[int, list[Candidate]]:
        """Return what `candidates` does of each of many texts, by its number; those without candidates are left out.

        Where most texts show no sign at all this takes far less time than one text after the other.
        """
        together = self._together if self._one_glance_tells else None
        asked = together.touched(originals) if together is not None else range(len(originals))
        found = ((number, self.candidates(originals[number], history=history)) for number in asked)
        return {number: candidates for number, candidates in found if candidates}

    @cached_property
    def _together(self) -> Together | None:
        try:
            return Together(self._signs.folded.narrow)
        except NotTogether:
            return None


class _Suspect:
    """One rule, and what its condition comes to with whatever was seen."""

    def __init__(self, rule: Rule, bits: Mapping[Triggers, int]) -> None:
        self._rule = rule
        self._bits = {name: _bit(part, bits) for name, part in rule.parts.items()}
        self._mask = 0
        for bit in self._bits.values():
            self._mask |= bit
        self._known: dict[int, Candidate | None] = {}

    def candidate(self, seen: int) -> Candidate | None:
        """Return the rule with the parts that cannot match; None when its condition cannot be true without them."""
        mine = seen & self._mask
        if mine not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            present = {name for name, bit in self._bits.items() if bit & mine}
            is_possible = self._rule.condition.possible(present)
            self._known[mine] = (self._rule, self._bits.keys() - present) if is_possible else None
        return self._known[mine]


def _bit(part: Part, bits: Mapping[Triggers, int]) -> int:
    if isinstance(part, HistoryPart):
        return _HISTORY
    return _ANYTHING if part.triggers.always else bits[part.triggers]


def _texts(rule: Rule) -> AbstractSet[str]:
    """Return the parts that a text alone decides."""
    return {name for name, part in rule.parts.items() if not isinstance(part, HistoryPart)}


def _ones(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


class _Looks:
    """Some triggers: those that are looked for in the folded text, and those in texts without repeated letters."""

    def __init__(self, behind: Mapping[Triggers, Behind], more: Mapping[str, Behind] = MappingProxyType({})) -> None:
        self.folded = _Look([*((one.folded, bits) for one, bits in behind.items()), *(([p], more[p]) for p in more)])
        self._single = _Look((map(single_pattern, one.phrases), bits) for one, bits in behind.items())
        self._squeezed = _Look((one.squeezed, bits) for one, bits in behind.items())

    def look(self, letters: Iterable[bytes], readings: Iterable[bytes], seen: _Seen) -> None:
        """Look at texts without repeated letters: readings are such texts too."""
        for text in letters:
            self._single.look(text, seen)
        for reading in readings:
            self._squeezed.look(reading, seen)


class _Look:
    """Sets of patterns for one view of a text, and what stands behind each pattern.

    A wide pattern has a set of its own: RE2 keeps a state for every combination of places in its patterns, and with
    one that is nearly everywhere under way nearly every character of every post would need a new one.
    """

    def __init__(self, triggers: Iterable[tuple[Iterable[str], Behind]]) -> None:
        behind: dict[str, Behind] = {}
        for patterns, (parts, rules) in triggers:
            for pattern in patterns:
                known = behind.get(pattern, (0, 0))
                behind[pattern] = (known[0] | parts, known[1] | rules)
        wide = [pattern for pattern in behind if is_wide(pattern)]
        self.narrow = sorted(behind.keys() - set(wide))
        groups = [self.narrow, *([one] for one in wide)]
        self.sets = [(pattern_set(group).Match, [behind[one] for one in group]) for group in groups if group]

    def look(self, text: bytes, seen: _Seen) -> None:
        for match, behind in self.sets:
            seen.add(match(text), behind)


def pattern_set(patterns: Iterable[str]) -> Any:
    """Return RE2's set of the patterns, in their order."""
    found = re2.Set.SearchSet(options())
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


def _rarities(rules: Sequence[Rule]) -> Mapping[Triggers, float]:
    """Return how often each part may match in ordinary posts, by its triggers in the quiet tests of all rules."""
    every = {part.triggers: None for rule in rules for part in rule.parts.values()}
    texts = {fold(example.text) for rule in rules for example in rule.tests if not example.fires}
    phrases = {phrase: single_pattern(phrase) for one in every for phrase in one.phrases}
    hits = Counter(_hits({pattern: pattern for one in every for pattern in one.folded}, texts))
    hits.update(_hits(phrases, map(single, texts)))
    return {
        one: math.inf if one.always else sum(hits[t] + len(t) * _PER_CHARACTER for t in (*one.folded, *one.phrases))
        for one in every
    }


def _hits(patterns: Mapping[str, str], texts: Iterable[str]) -> Iterable[str]:
    names = list(patterns)
    every = pattern_set(patterns.values())
    return (names[hit] for text in texts for hit in every.Match(text) or ())
