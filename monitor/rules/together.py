"""Many texts at once: which of them show none of some patterns, so that nobody need look at them singly. Pure.

To fold one text and to ask RE2 about it takes longer than the folding and the answer. So texts are joined, each on
lines of its own, and whatever a match touches is named. None that matches alone is left out, because what stands beside
it takes nothing from a match: the letters are the same, the text begins and ends at the edge of a line and of a word,
and the patterns are changed so that its ends count as the ends of lines. A text may be named that does not match, for
what it makes together with its neighbour.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, count
from operator import not_
from typing import Any

import re2

from monitor.rules.disguise import SHORT, odd_chunks
from monitor.rules.parts import ATOM, options
from monitor.rules.text import fold_plain, spelled_out

_BETWEEN = "\n\0\0\0\0\n"  # wide, so that hardly a pattern goes over it
_LITERAL = r"\Q"  # what follows is no pattern
_AT_LINES = {r"\A": "(?m:^)", r"\z": "(?m:$)"}


class NotTogether(Exception):
    """The patterns cannot be looked for in joined texts."""


class Together:
    """`patterns` are looked for in folded texts. Raises NotTogether."""

    def __init__(self, patterns: Iterable[str]) -> None:
        chosen = options()
        chosen.never_capture = True
        try:
            self._any: Any = re2.compile("|".join(map(by_lines, patterns)), chosen)
        except re2.error:  # too large in one
            raise NotTogether from None

    def touched(self, originals: Sequence[str]) -> list[int]:
        """Return the numbers of the texts that may match or hold a word in disguise, and of some more, in order."""
        are_short = [len(text) <= SHORT and text.isascii() for text in originals]
        short = list(compress(count(), are_short))
        others = list(compress(count(), map(not_, are_short)))
        found = {short[place] for place in self._of_short([originals[number] for number in short])}
        found.update(others[place] for place in self._of_others([originals[number] for number in others]))
        return sorted(found)

    def _of_short(self, originals: Sequence[str]) -> Iterator[int]:
        """Yield the places of texts in short ASCII ones, which are folded all at once."""
        spelled = [spelled_out(text) if "#" in text else text for text in originals]
        joined = _BETWEEN.join(spelled).lower()
        starts = _starts(spelled)
        for chunk in odd_chunks(joined):
            yield from (bisect_right(starts, place) - 1 for place in _places(chunk, joined))
        yield from self._matching(joined.encode(), starts)

    def _of_others(self, originals: Sequence[str]) -> Iterator[int]:
        folded = [fold_plain(text) for text in originals]
        yield from (place for place, text in enumerate(folded) if text is None)
        encoded = [b"" if text is None else text.encode() for text in folded]
        yield from self._matching(_BETWEEN.encode().join(encoded), _starts(encoded))

    def _matching(self, joined: bytes, starts: Sequence[int]) -> Iterator[int]:
        """Yield the places of the texts that a match touches; no match is empty (`monitor.rules.parts.pattern`)."""
        first = 0
        while first < len(starts) and (match := self._any.search(joined, starts[first])) is not None:
            start, end = match.span()
            place = bisect_right(starts, start) - 1
            first = max(place + 1, bisect_left(starts, end))
            yield from range(place, first)


def _starts(texts: Sequence[str] | Sequence[bytes]) -> list[int]:
    """Return where each text begins when they are joined."""
    return [0, *accumulate(len(text) + len(_BETWEEN) for text in texts)][:-1]


def _places(chunk: str, text: str) -> Iterator[int]:
    place = text.find(chunk)
    while place >= 0:
        yield place
        place = text.find(chunk, place + 1)


def by_lines(pattern: str) -> str:
    """Return a pattern that matches in a line what this one matches in a text that is that line, and maybe more.

    Raises NotTogether where that cannot be told.
    """
    if _LITERAL in pattern:
        raise NotTogether
    return f"(?m:{ATOM.sub(_by_lines, pattern)})"


def _by_lines(atom: re.Match[str]) -> str:
    group = atom["group"] or ""
    if not group.startswith("(?"):
        return _AT_LINES.get(atom[0], atom[0])
    if group.endswith(">"):
        return "("  # two patterns may give the same name
    flags, minus, without = group.partition("-")
    if not minus:
        return group
    without = without.replace("m", "")
    return f"{flags}m-{without}" if without[:-1] else f"{flags}m{without}"
