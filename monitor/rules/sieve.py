"""Which rules a text may break, told by what RE2 sees in it at a glance: nearly every post is let through here.

A rule is asked for only after one of its signs was seen: of what must be there before its condition can be true, the
rarest. Of `shop near 60 price and not official` the shop's words or the price's, never both. How rare a part is shows
in the texts that the rules' own tests want left alone. Only then is the text looked through for the other parts of all
rules at once; a rule whose condition cannot be true with what was seen is let go.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import reduce
from itertools import count
from operator import or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import re2

from monitor.rules.disguise import ACROSS
from monitor.rules.history import HistoryPart
from monitor.rules.parts import Part, Triggers, counts_far, is_wide, loosened, single_pattern, within_memory, word_tree
from monitor.rules.text import (
    DISGUISED,
    MOST_BY_WORDS,
    SPACED,
    Squeezed,
    Text,
    fold,
    fold_plain,
    fold_plain_all,
    readings,
    single,
)

if TYPE_CHECKING:
    from monitor.rules.opinion import Opinion
    from monitor.rules.rule import Rule

MOST_KNOWN = 1_000  # combinations of parts that a rule keeps, some 500 bytes each; there are a hundred rules and more
_EVERY = -1  # rule, in bits
_PER_CHARACTER = 1e-4  # a long list of words matches more often than a short one, whatever the tests hold
_DISGUISED, _SPACED, _ACROSS, _WORDS, _HISTORY, _ANYTHING, _FIRST_PART = (1 << bit for bit in range(7))  # what is seen
_DISGUISES = {DISGUISED: _DISGUISED, SPACED: _DISGUISED | _SPACED, ACROSS: _ACROSS}  # the first patterns of a glance

Candidate = tuple["Rule", AbstractSet[str]]  # with the parts that are known not to match
Hits = Sequence[int] | None  # patterns of a set that were seen, by their number
Behind = tuple[int, int]  # bits of the parts that may match now, and of the rules that are now to be asked


class Suspected(NamedTuple):
    """A text, with what views of it were made, and the rules that it may break."""

    text: Text
    candidates: Sequence[Candidate]


class _Looked:
    """A text that is looked at, and what it showed so far, in bits."""

    __slots__ = ("folded", "letters", "number", "parts", "readings", "rules", "text")

    def __init__(self, number: int, text: Text, folded: bytes, parts: int, rules: int) -> None:
        self.number, self.text, self.folded, self.parts, self.rules = number, text, folded, parts, rules
        self.readings: Sequence[bytes] = ()
        self.letters: Sequence[bytes] = ()  # texts without repeated letters, in which words are looked for

    def add(self, hits: Hits, behind: Sequence[Behind]) -> None:
        """Note what stands behind the patterns that were seen."""
        for hit in hits or ():
            parts, rules = behind[hit]
            self.parts |= parts
            self.rules |= rules

    def read(self) -> None:
        """Read the text where it is disguised; what is made of it is kept for who judges it."""
        if self.parts & _DISGUISED:
            self.text.squeezed = tuple(readings(self.text.folded, spaced=bool(self.parts & _SPACED)))
            self.readings = [one.text.encode() for one in self.text.squeezed]
        else:
            self.text.squeezed = (Squeezed(self.text.folded),)

    def single(self) -> bytes:
        """Return the text without repeated letters."""
        plain = not self.parts & _DISGUISED
        return (self.text.squeezed[0].text if plain else single(self.text.folded)).encode()


class Sieve:
    """`rules` are those that count, in the order in which they are to be judged.

    `decided` names those that a learned opinion decides, and which; None: there is none to say yes. It is asked before
    the other parts are looked for, because such a rule's signs are in nearly every post.
    """

    def __init__(self, rules: Sequence[Rule], decided: Mapping[str, Opinion | None] = MappingProxyType({})) -> None:
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
        self._decided = _decided_by(rules, decided)
        self._signs = _Looks({one: (bits[one], numbers) for one, numbers in asking.items()})
        owners = _owners(rules)
        others = {one: (bit, 0) for one, bit in bits.items() if one not in asking}
        self._others = _Looks(others, owners=[owners[one] for one in others])
        words = _glance_set(asking)
        self._has_words = words.match  # or rather: may have; phrases, and what is disguised
        self._has_disguises = pattern_set(_DISGUISES).Match
        self._phrases = range(len(_DISGUISES), len(words.behind))  # among the patterns of that set
        self._across = words.behind.index((_ACROSS, 0))
        self._glances = (words, *self._signs.folded.sets)
        self._one_glance_tells = not self._always_with_history

    def suspected(self, original: str, *, history: bool = False) -> Suspected | None:
        """Return the rules that a text may break; None: no one. `history`: there is one to be asked."""
        folded = fold_plain(original)
        hits = self._glance(folded) if folded is not None else ()
        looked = self._looked_at(0, original, folded, hits, history=history)
        return self._sifted([looked]).get(0) if looked is not None else None

    def suspected_of(self, originals: Sequence[str], *, history: bool = False) -> list[Suspected | None]:
        """Return what `suspected` does of each of many texts, in less time."""
        every = fold_plain_all(originals)
        encoded = [folded.encode() if folded is not None else b"" for folded in every]
        hits_of = zip(*[list(map(one.match, encoded)) for one in self._glances], strict=True)
        looked = [
            self._looked_at(number, originals[number], folded, hits, history=history)
            for number, folded, hits in zip(count(), every, hits_of, strict=False)
            if folded is None or any(hits) or not self._one_glance_tells
        ]
        found = self._sifted([one for one in looked if one is not None])
        return list(map(found.get, range(len(originals))))

    def _glance(self, folded: str) -> Sequence[Hits]:
        """Return what each of the sets that are looked for in every text finds in one.

        A long text has phrases: that takes no look, which would take long where it has words that none had before.
        """
        encoded = folded.encode()
        if len(folded) <= MOST_BY_WORDS:
            return [one.match(encoded) for one in self._glances]
        return [
            [*(self._has_disguises(encoded) or ()), *self._phrases],
            *(one.match(encoded) for one in self._glances[1:]),
        ]

    def _may_have_words(self, text: bytes) -> bool:
        return len(text) > MOST_BY_WORDS or bool(self._has_words(text))

    def _looked_at(
        self, number: int, original: str, folded: str | None, hits: Sequence[Hits], *, history: bool
    ) -> _Looked | None:
        """Return what a text shows at the first glance; None: nothing. `folded`: where it `hits`, if it is plain."""
        if folded is None or (hits[0] and self._across in hits[0]):
            folded = fold(original)
            hits = self._glance(folded)
        if self._one_glance_tells and not any(hits):
            return None
        text = Text(original)
        text.folded = folded
        if history:
            looked = _Looked(number, text, folded.encode(), _ANYTHING | _HISTORY, self._always_with_history)
        else:
            looked = _Looked(number, text, folded.encode(), _ANYTHING, self._always)
        for seen, one in zip(hits, self._glances, strict=True):
            looked.add(seen, one.behind)
        return looked

    def _sifted(self, looked: Sequence[_Looked]) -> dict[int, Suspected]:
        """Return by number what each text may break.

        Each pattern looks at all texts before the next one does: it is at hand in the processor then.
        """
        for one in looked:
            one.read()
            letters = [one.single()] if one.parts & _WORDS else []
            one.letters = [*letters, *filter(self._may_have_words, one.readings)]
        self._signs.look(looked)
        for decided in self._decided:
            for one in looked:
                one.rules = decided.left_of(one.rules, one.text)
        looked = [one for one in looked if one.rules]
        for one in looked:
            one.letters = [one.single(), *one.readings]
        self._others.folded.look([(one.folded, one) for one in looked])
        self._others.look(looked)
        found = ((one, self._candidates(one.rules, one.parts)) for one in looked)
        return {one.number: Suspected(one.text, candidates) for one, candidates in found if candidates}

    def _candidates(self, rules: int, parts: int) -> list[Candidate]:
        return [one for number in _ones(rules) if (one := self._rules[number].candidate(parts)) is not None]


class _Decided:
    """The rules that one opinion decides, in bits, by their clauses."""

    def __init__(self, opinion: Opinion | None) -> None:
        self._opinion = opinion
        self._all = 0
        self._of: dict[str, int] = {}

    def add(self, clause: str, bit: int) -> None:
        self._all |= bit
        self._of[clause] = self._of.get(clause, 0) | bit

    def left_of(self, rules: int, text: Text) -> int:
        """Return the rules without those to which the opinion says no."""
        if not rules & self._all:
            return rules
        left = rules & ~self._all
        for clause in self._opinion.lifted(self._opinion.view(text)) if self._opinion is not None else ():
            left |= rules & self._of.get(clause, 0)
        return left


def _decided_by(rules: Sequence[Rule], decided: Mapping[str, Opinion | None]) -> Sequence[_Decided]:
    found: dict[int, _Decided] = {}
    for number, rule in enumerate(rules):
        if rule.id in decided:
            opinion = decided[rule.id]
            found.setdefault(id(opinion), _Decided(opinion)).add(rule.clause.ref, 1 << number)
    return list(found.values())


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

    def __init__(self, behind: Mapping[Triggers, Behind], owners: Sequence[int] = ()) -> None:
        """`owners`, one for each, are the rules that have it; it is looked for where they are asked. None: anywhere."""
        self.folded = _Look([(one.folded, bits) for one, bits in behind.items()], owners)
        self._single = _Look([(map(single_pattern, one.phrases), bits) for one, bits in behind.items()], owners)
        self._squeezed = _Look([(one.squeezed, bits) for one, bits in behind.items()], owners)

    def look(self, looked: Sequence[_Looked]) -> None:
        """Look at texts without repeated letters: readings are such texts too."""
        self._single.look([(text, one) for one in looked for text in one.letters])
        self._squeezed.look([(text, one) for one in looked for text in one.readings])


class _Set(NamedTuple):
    """Patterns that are looked for together, what stands behind each, and the rules that have any of them."""

    match: Callable[[bytes], Hits]
    behind: Sequence[Behind]
    owners: int


class _Look:
    """Sets of patterns for one view of a text.

    RE2 keeps a state for every combination of places in a set's patterns, and makes it when a text first leads there.
    Patterns that count far are under way in many combinations, so they stand apart from the others; a wide one is
    under way nearly everywhere, and stands alone, without an end to what it counts.
    """

    def __init__(self, triggers: Sequence[tuple[Iterable[str], Behind]], owners: Sequence[int] = ()) -> None:
        behind: dict[str, Behind] = {}
        of: dict[str, int] = {}
        for (patterns, (parts, rules)), owner in zip(triggers, owners or [_EVERY] * len(triggers), strict=True):
            for pattern in patterns:
                known = behind.get(pattern, (0, 0))
                behind[pattern] = (known[0] | parts, known[1] | rules)
                of[pattern] = of.get(pattern, 0) | owner
        wide = set(filter(is_wide, behind))
        far = set(filter(counts_far, behind)) - wide
        groups = [sorted(behind.keys() - wide - far), sorted(far), *([one] for one in sorted(wide))]
        self.sets = [
            _Set(
                pattern_set(loosened(one) if one in wide else one for one in group).Match,
                [behind[one] for one in group],
                reduce(or_, map(of.__getitem__, group)),
            )
            for group in groups
            if group
        ]

    def look(self, texts: Sequence[tuple[bytes, _Looked]]) -> None:
        for match, behind, owners in self.sets:
            for text, looked in texts:
                if (owners == _EVERY or owners & looked.rules) and (hits := match(text)):
                    looked.add(hits, behind)


def _glance_set(signs: Iterable[Triggers]) -> _Set:
    """Return the set of what is looked for before anything else: any phrase of the signs, and what is disguised."""
    patterns = dict(_DISGUISES)
    if words := sorted({phrase for one in signs for phrase in one.phrases}):
        patterns[word_tree(words)] = _WORDS
    return _Set(pattern_set(patterns).Match, [(seen, 0) for seen in patterns.values()], _EVERY)


def _owners(rules: Sequence[Rule]) -> Mapping[Triggers, int]:
    """Return by triggers the rules that have such a part, in bits."""
    found: dict[Triggers, int] = {}
    for number, rule in enumerate(rules):
        for part in rule.parts.values():
            found[part.triggers] = found.get(part.triggers, 0) | 1 << number
    return found


def pattern_set(patterns: Iterable[str]) -> Any:
    """Return RE2's set of the patterns, in their order."""
    every = list(patterns)
    return within_memory(lambda options: _compiled_set(every, options))


def _compiled_set(patterns: Iterable[str], options: Any) -> Any:
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


def _rarities(rules: Sequence[Rule]) -> Mapping[Triggers, float]:
    """Return how often each part may match in ordinary posts, by its triggers in the quiet tests of all rules."""
    every = {part.triggers: None for rule in rules for part in rule.parts.values()}
    texts = {fold(example.text) for rule in rules for example in rule.tests if not example.fires}
    phrases = {phrase for one in every for phrase in one.phrases}
    plain = {phrase for phrase in phrases if _PLAIN_PHRASE.fullmatch(phrase)}
    bare = list(map(single, texts))
    hits = Counter(_hits({pattern: pattern for one in every for pattern in one.folded}, texts))
    hits.update(_hits({phrase: single_pattern(phrase) for phrase in phrases - plain}, bare))
    hits.update(_held(plain, bare))
    return {
        one: math.inf if one.always else sum(hits[t] + len(t) * _PER_CHARACTER for t in (*one.folded, *one.phrases))
        for one in every
    }


def _hits(patterns: Mapping[str, str], texts: Iterable[str]) -> Iterable[str]:
    names = list(patterns)
    every = pattern_set(patterns.values())
    return (names[hit] for text in texts for hit in every.Match(text) or ())


_PLAIN_PHRASE = re.compile(r"\w+(?: \w+)*")
_WORD = re.compile(r"\w+")


def _held(phrases: Iterable[str], texts: Iterable[str]) -> Mapping[str, int]:
    """Return in how many texts all words of each phrase stand. To compile the phrases takes ten times as long."""
    holding: dict[str, set[int]] = {}
    for number, text in enumerate(texts):
        for word in _WORD.findall(text):
            holding.setdefault(word, set()).add(number)
    none: set[int] = set()
    return {
        phrase: len(set.intersection(*(holding.get(word, none) for word in phrase.split(" ")))) for phrase in phrases
    }
