"""The parts of a rule: phrases, patterns and detectors, each of which finds spans in a text. Linear in the text.

google-re2 decides what a legal pattern is: it has no back-references and no look-around, and so nothing that can take
exponential time. A part's `triggers` are patterns that must match before the part can: the rule set tries all of them
at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import re2

from monitor.rules.detectors import Detector
from monitor.rules.text import Span, Text

VIEWS = ("folded", "squeezed")  # what a rule may ask for; `case: exact` makes the first of them exact
EXACT = "exact"
LEAST_SQUEEZED = 3  # letters and digits of a phrase in the squeezed view
MOST_SPANS = 200  # of one part in one text; more tell nothing new
_GAP = r"[\s_/-]{0,3}"  # between the words of a phrase: also a line break, a hyphen, or nothing (#tempatterhad)
_PROBES = ("", "a", "a1 .\n", "sulit 12", "\n\n")


class BadPattern(Exception):
    """A pattern that the engine refuses, or that would match everywhere. The message says why and what to do."""


class Part(Protocol):
    @property
    def triggers(self) -> Sequence[tuple[str, str]]:
        """Return (view, pattern) of which one must match before the part can."""

    def find(self, text: Text) -> list[Span]:
        """Return the matches, sorted, as spans of the folded text."""


def options() -> Any:
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = 256 << 20
    return chosen


@dataclass(frozen=True, slots=True)
class PatternPart:
    """One pattern, looked for in some views. `shouted`: the letters it finds must be capitals in the original."""

    sources: tuple[tuple[str, str], ...]  # (view, pattern)
    compiled: tuple[tuple[str, Any], ...]
    shouted: bool = False

    @property
    def triggers(self) -> Sequence[tuple[str, str]]:
        return self.sources

    def find(self, text: Text) -> list[Span]:
        found: set[Span] = set()
        for view, pattern in self.compiled:
            found.update(self._in_view(view, pattern, text))
        return sorted(found)

    def _in_view(self, view: str, pattern: Any, text: Text) -> Iterable[Span]:
        group = 1 if pattern.groups else 0
        if view != "squeezed":
            return _spans(pattern, text.view(view), group)
        squeezed, places = text.squeezed
        spans = ((places[start], places[end - 1] + 1) for start, end in _spans(pattern, squeezed, group))
        if self.shouted:
            return [(start, end) for start, end in spans if _is_shouted(text.exact[start:end])]
        return spans


def _spans(pattern: Any, text: str, group: int) -> list[Span]:
    found = []
    for match in pattern.finditer(text):
        start, end = match.span(group) if match.span(group) != (-1, -1) else match.span()
        if start < end and _whole_word(text, start, end):
            found.append((start, end))
        if len(found) >= MOST_SPANS:
            break
    return found


def _whole_word(text: str, start: int, end: int) -> bool:
    """Tell whether a match in a script that RE2's word boundary does not know (Jawi) stands on its own."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (_is_jawi(text[start]) and _is_jawi(before)) and not (_is_jawi(text[end - 1]) and _is_jawi(after))


def _is_jawi(character: str) -> bool:
    return "\u0600" <= character <= "\u08ff" and character.isalpha()


def _is_shouted(text: str) -> bool:
    return not any(character.islower() for character in text)


@dataclass(frozen=True, slots=True)
class DetectorPart:
    detector: Detector

    @property
    def triggers(self) -> Sequence[tuple[str, str]]:
        return (("folded", self.detector.trigger),)

    def find(self, text: Text) -> list[Span]:
        return sorted(self.detector.find(text.folded))[:MOST_SPANS]


def phrases(words: Sequence[str], *, exact: bool = False, views: Sequence[str] = ("folded",)) -> PatternPart:
    """Return a part that finds whole phrases. `exact` minds case; a `*` at a word's end stands for more letters.

    Raises BadPattern.
    """
    chosen = [EXACT if exact and view == "folded" else view for view in views]
    found = ((view, _alternatives(words, view)) for view in chosen)
    sources = tuple((view, source) for view, source in found if source)
    if not sources:
        raise BadPattern(f"is too short for the squeezed view alone: {', '.join(words)}; add the folded one")
    return PatternPart(sources, _compiled(sources), shouted=exact and all(_is_shouted(word) for word in words))


def pattern(source: str, *, exact: bool = False, views: Sequence[str] = ("folded",)) -> PatternPart:
    """Return a part that finds a regular expression; with a group in it, the first group is the match.

    Raises BadPattern.
    """
    chosen = [EXACT if exact and view == "folded" else view for view in views]
    sources = tuple((view, source if exact else f"(?i:{source})") for view in chosen)
    part = PatternPart(sources, _compiled(sources), shouted=exact)
    for _, compiled in part.compiled:
        if any(match.start() == match.end() for probe in _PROBES for match in compiled.finditer(probe)):
            raise BadPattern("can match nothing at all, and so would match everywhere; use + instead of *")
    return part


def _compiled(sources: Sequence[tuple[str, str]]) -> tuple[tuple[str, Any], ...]:
    return tuple((view, _compile(source)) for view, source in sources)


def _compile(source: str) -> Any:
    try:
        return re2.compile(source, options())
    except re2.error as error:
        words = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        raise BadPattern(
            f"is not a pattern that RE2 takes ({words}); look-around and back-references are left out on purpose"
        ) from None


def _alternatives(words: Sequence[str], view: str) -> str:
    """Return one pattern for all words; empty when none of them can be looked for in this view."""
    forms = {_form(word, view) for word in words}
    if view == "squeezed":  # of "xxx" it leaves "x", which stands everywhere
        forms = {form for form in forms if sum(map(str.isalnum, form)) >= LEAST_SQUEEZED}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return "(?:" + "|".join(map(_escaped, longest_first)) + ")" if forms else ""


def _form(phrase: str, view: str) -> str:
    """Return the phrase as the view would show it, so that the two can meet."""
    starred = [_starred(word, view) for word in phrase.split()]
    if not starred or not any(character.isalnum() for word in starred for character in word):
        raise BadPattern(f"'{phrase}' has no letter or digit to look for")
    return " ".join(starred)


def _starred(word: str, view: str) -> str:
    bare = word.strip("*")
    if "*" in bare:
        raise BadPattern(f"'{word}': a * stands only at the beginning or the end of a word")
    shown = Text(bare).view(view)
    return "*" * word.startswith("*") + shown + "*" * (word.endswith("*") and len(word) > 1)


def _escaped(form: str) -> str:
    words = form.split(" ")
    letters = form.replace("*", "").replace(" ", "")
    before = "" if form.startswith("*") else _edge(letters[0])
    after = "" if form.endswith("*") else _edge(letters[-1])
    return before + _GAP.join(map(_escaped_word, words)) + after


def _escaped_word(word: str) -> str:
    begin, end = word.startswith("*"), word.endswith("*")
    escaped: str = re2.escape(word.strip("*"))
    return r"\w*" * begin + escaped + r"\w*" * end


def _edge(character: str) -> str:
    return r"\b" if re.fullmatch(r"[A-Za-z0-9_]", character) else ""
