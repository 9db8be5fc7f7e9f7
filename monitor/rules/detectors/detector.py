"""What a detector is, and what most of them ask: whether a word stands near."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor.rules.text import Span, Text

Finder = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds spans in folded text. `trigger` is an RE2 pattern without which it cannot find anything.

    `find_text` is there where the original says more than the folded text: capitals, letters of another script. It
    returns spans of the folded text, and finds all that `find` does.
    """

    name: str
    trigger: str
    find: Finder
    find_text: Callable[[Text], Sequence[Span]] | None = None

    def spans(self, text: Text) -> list[Span]:
        """Return what is found by all that the text shows, sorted."""
        return sorted(self.find_text(text) if self.find_text else self.find(text.folded))


def words(*alternatives: str) -> re.Pattern[str]:
    """Return a pattern of whole words; a space in one also stands for none and for a line break."""
    return re.compile(r"(?<![a-z0-9])(?:" + "|".join(alternatives) + r")(?![a-z0-9])", re.ASCII)


class Context:
    """Where certain words stand in a text: spans, sorted, none inside another. Asking takes logarithmic time."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def near(self, span: Span, *, before: int, after: int = 0) -> bool:
        """Tell whether a word ends at most `before` in front of the span, or begins at most `after` behind it."""
        first = bisect_left(self._ends, span[0] - before)
        return first < len(self._starts) and self._starts[first] <= span[1] + after


def context(pattern: re.Pattern[str], text: str) -> Context:
    """Return the context of a pattern's matches."""
    return Context([match.span() for match in pattern.finditer(text)])
