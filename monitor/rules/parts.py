"""The parts of a rule: phrases, patterns and detectors, each of which finds spans in a text. Linear in the text.

google-re2 decides what a legal pattern is: it has no back-references and no look-around, and so nothing that can take
exponential time. A part's `triggers` are patterns of which one must match before the part can: the rule set tries
those of all rules at once, so they may say too much, but never too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import re2

from monitor.rules.detectors import Detector
from monitor.rules.text import Span, Squeezed, Text, fold, is_disguised, single

VIEWS = ("folded", "squeezed")  # what a rule may ask for; `case: exact` makes the first of them exact
EXACT = "exact"
LEAST_SQUEEZED = 3  # letters and digits of a phrase in the squeezed view
MOST_TELLING = 16  # words: to look for more of them one by one takes longer than a pattern
MOST_FOR_WORDS = 4_000  # characters: in a longer text a pattern is looked for in less time than its words one by one
MOST_SPANS = 200  # of one part in one text; more tell nothing new
MEMORY = (
    32 << 20
)  # bytes for what RE2 builds of a pattern, or of a set of them, as texts lead there; full, it begins anew
MOST_MEMORY = 256 << 20  # for one that does not even begin with that
_GAP = r"[\s_/-]{0,3}"  # between the words of a phrase: also a line break, a hyphen, or nothing (#tempatterhad)
_LETTERS = r"\w*"  # what a * in a phrase stands for
_WORDS_KEPT = 20_000  # while rules are read: they say the same words again and again
_PROBES = ("", "a", "a1 .\n", "sulit 12", "\n\n")
_Built = TypeVar("_Built")


class BadPattern(Exception):
    """A pattern that the engine refuses, or that would match everywhere. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Triggers:
    """What must be there before a part can match: one of these phrases or patterns.

    The patterns are looked for in those views. The phrases lack repeated letters, and are looked for in texts that lack
    them too (`single_pattern`), or with any number of each (`word_tree`). `always`: nothing can be said beforehand.
    """

    phrases: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    squeezed: tuple[str, ...] = ()
    always: bool = False


class Part(Protocol):
    @property
    def triggers(self) -> Triggers: ...

    def find(self, text: Text) -> list[Span]:
        """Return the matches, sorted, as spans of the folded text."""


def within_memory(build: Callable[[Any], _Built]) -> _Built:
    """Return what is built with RE2's options. Raises re2.error.

    RE2 keeps what texts have led it to, and new texts lead to ever more for months: hence a bound for each.
    """
    try:
        return build(_options(MEMORY))
    except re2.error:
        return build(_options(MOST_MEMORY))


def _options(memory: int) -> Any:
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = memory
    return chosen


@dataclass(frozen=True, slots=True)
class Source:
    """A pattern for one view, or a few forms of phrases. `words`: in whatever a form matches stands its own of these.

    A word is looked for in less time than a pattern, which must be compiled first: mostly only one form may match.
    """

    view: str
    pattern: str = ""
    forms: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def spans(self, text: str) -> list[Span]:
        likely = self._likely(text)
        return _spans(compiled(likely), text) if likely else []

    def present(self, text: str) -> bool:
        likely = self._likely(text)
        return bool(likely) and compiled(likely).search(text.encode()) is not None

    def _likely(self, text: str) -> str:
        """Return the pattern of what may match; empty: nothing may."""
        if self.pattern:
            return self.pattern
        if len(text) > MOST_FOR_WORDS:
            return _alternatives(self.forms)
        forms = tuple(form for form, word in zip(self.forms, self.words, strict=True) if word in text)
        return _alternatives(forms if len(forms) == 1 else self.forms) if forms else ""


@dataclass(frozen=True, slots=True)
class PatternPart:
    """One pattern, looked for in some views. `shouted`: the letters it finds must be capitals in the original."""

    sources: tuple[Source, ...]
    triggers: Triggers
    shouted: bool = False

    def find(self, text: Text) -> list[Span]:
        found: set[Span] = set()
        tried: tuple[object, ...] = ()
        for source in self.sources:
            if source.view != "squeezed":
                found.update(source.spans(text.exact if source.view == EXACT else text.folded))
                tried = (source.pattern, source.forms) if source.view == "folded" else ()
                continue
            for reading in text.squeezed:
                if (source.pattern, source.forms) != tried or reading.text != text.folded:
                    found.update(self._in_reading(source, text, reading))
        return sorted(found)

    def present(self, text: Text) -> bool:
        """Tell whether there is a match: quicker than to find them all."""
        if self.shouted or not text.folded.isascii():
            return bool(self.find(text))
        return any(source.present(shown) for source in self.sources for shown in _in_view(source.view, text))

    def _in_reading(self, source: Source, text: Text, reading: Squeezed) -> Iterable[Span]:
        spans = (reading.folded_span(start, end) for start, end in source.spans(reading.text))
        return [(start, end) for start, end in spans if not self.shouted or _is_shouted(text.exact[start:end])]


def _in_view(view: str, text: Text) -> Iterable[str]:
    """Return what a view shows of a text: readings are more than one."""
    if view == "squeezed":
        return (reading.text for reading in text.squeezed)
    return (text.exact if view == EXACT else text.folded,)


def _spans(pattern: Any, text: str) -> list[Span]:
    group = 1 if pattern.groups else 0
    encoded = text.encode()
    spans = []
    for match in pattern.finditer(encoded):
        start, end = match.span(group)
        if start < 0:
            start, end = match.span()
        if start < end:
            spans.append((start, end))
        if len(spans) >= MOST_SPANS:
            break
    if len(encoded) == len(text):  # none of the characters is Jawi
        return spans
    return [span for span in _in_characters(spans, encoded) if _whole_word(text, *span)]


def _in_characters(spans: Sequence[Span], encoded: bytes) -> Iterator[Span]:
    """Yield spans of bytes, in order, as spans of characters."""
    done = characters = 0
    for start, end in spans:
        characters += _characters(encoded, done, start)
        done = start
        yield characters, characters + _characters(encoded, start, end)


def _characters(encoded: bytes, start: int, end: int) -> int:
    return len(encoded[start:end].decode()) if start <= end else -len(encoded[end:start].decode())


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
    def triggers(self) -> Triggers:
        return Triggers(folded=(self.detector.trigger,))

    def find(self, text: Text) -> list[Span]:
        return self.detector.spans(text)[:MOST_SPANS]


def phrases(words: Sequence[str], *, exact: bool = False, views: Sequence[str] = ("folded",)) -> PatternPart:
    """Return a part that finds whole phrases. `exact` minds case; a `*` at a word's end stands for more letters.

    The same words give the same part: rules share lists, and are loaded more than once. Raises BadPattern.
    """
    return _phrases(tuple(words), exact, tuple(views))


@lru_cache(maxsize=4_096)
def _phrases(words: Sequence[str], exact: bool, views: Sequence[str]) -> PatternPart:
    seen = [EXACT if exact and view == "folded" else view for view in views]
    forms = {view: _forms(words, view) for view in seen}
    sources = tuple(_source(view, forms[view]) for view in seen if forms[view])
    if not sources:
        raise BadPattern(
            f"is too short for the squeezed view alone, or disguised itself: {', '.join(words)}; add the folded one"
        )
    shouted = exact and all(_is_shouted(word) for word in words)
    folded = forms["folded"] if "folded" in forms else _forms(words, "folded")
    triggers = Triggers(phrases=tuple(sorted(set(map(single, folded)))))
    return PatternPart(sources, triggers, shouted=shouted)


def pattern(source: str, *, exact: bool = False, views: Sequence[str] = ("folded",)) -> PatternPart:
    """Return a part that finds a regular expression; with a group in it, the first group is the match.

    Raises BadPattern.
    """
    written = source if exact else f"(?i:{source})"
    sources = tuple(Source(EXACT if exact and view == "folded" else view, written) for view in views)
    if any(match.start() == match.end() for probe in _PROBES for match in compiled(written).finditer(probe)):
        raise BadPattern("can match nothing at all, and so would match everywhere; use + instead of *")
    return PatternPart(sources, _triggers(source, views, exact=exact), shouted=exact)


def _triggers(source: str, views: Sequence[str], *, exact: bool) -> Triggers:
    if exact and _MINDS_CASE.search(source):
        return Triggers(always=True)
    loose = f"(?i:{source})"
    if "squeezed" not in views:
        return Triggers(folded=(loose,))
    return Triggers(folded=(f"(?i:{_stretched(source)})",), squeezed=(loose,))


_MINDS_CASE = re.compile(r"\(\?[a-zA-Z]*-[a-zA-Z]*i|\\[pP]|\[\[:(?:upper|lower)")
_ATOM = re.compile(
    r"(?P<group>\(\?(?:P?<\w+>|[a-zA-Z-]*:|[a-zA-Z-]*\))|\)(?:[*+?]|\{\d+(?:,\d*)?\})?\??|[(|^$])"
    r"|(?P<edge>\\[bBAz])"
    r"|(?P<one>\\[pP]\{\w+\}|\\x\{[0-9a-fA-F]+\}|\\x[0-9a-fA-F]{2}|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|.)"
    r"(?P<times>(?:[*+?]|\{\d+(?:,\d*)?\})\??)?",
    re.DOTALL,
)


def _stretched(source: str) -> str:
    """Return a pattern that also takes every character several times: what a squeezed text was before.

    What comes out matches at least the texts whose squeezed form the source matches.
    """
    return _ATOM.sub(_stretched_atom, source)


def _stretched_atom(atom: re.Match[str]) -> str:
    if atom["one"] is None:
        return atom[0]
    times = atom["times"] or ""
    return atom["one"] + ("*" if times.startswith(("*", "?", "{0")) else "+")


_COUNTS_FAR = 12
_COUNTED = re.compile(r"\{\d*,?(\d+)\}")
_RANGE = re.compile(r"\{(\d+),(\d+)\}\??")
_LETTER = re.compile(r"[^\s.\[\\]|\\[^a-zA-Z0-9\s]")  # itself, or a sign that stands for itself


def counts_far(source: str) -> bool:
    r"""Tell whether a pattern counts many characters, as `kod [^\n]{0,40}[0-9]` does."""
    return any(int(most) >= _COUNTS_FAR for most in _COUNTED.findall(source))


def is_wide(source: str) -> bool:
    """Tell whether a pattern counts characters without having met a letter first, as `[a-z ]{3,30} bin` does."""
    if not counts_far(source):
        return False
    met = [False]  # by open group
    for atom in _ATOM.finditer(source):
        group, one, times = atom["group"] or "", atom["one"], atom["times"] or ""
        if group.startswith("(") and not group.endswith(")"):
            met.append(met[-1])
        elif group.startswith(")") and len(met) > 1:
            met[-2:] = [met[-2] or (met[-1] and not group.endswith(("?", "*")))]
        elif group == "|":
            met[-1] = len(met) > 1 and met[-2]
        elif one is not None and _LETTER.fullmatch(one):
            met[-1] |= not times.startswith(("*", "?", "{0"))
        elif one is not None and not met[-1] and (counted := _COUNTED.match(times)) and int(counted[1]) >= _COUNTS_FAR:
            return True
    return False


def loosened(source: str) -> str:
    """Return a pattern that counts without an end what the source counts far, and so matches at least as much."""
    return _ATOM.sub(_loosened_atom, source)


def _loosened_atom(atom: re.Match[str]) -> str:
    times = _RANGE.fullmatch(atom["times"] or "")
    if times is None or int(times[2]) < _COUNTS_FAR:
        return atom[0]
    return f"{atom['one']}{{{times[1]},}}"


@lru_cache(maxsize=4_096)
def compiled(source: str) -> Any:
    """Return the pattern as RE2 has compiled it. Raises BadPattern."""
    try:
        return within_memory(lambda options: re2.compile(source, options))
    except re2.error as error:
        words = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        raise BadPattern(
            f"is not a pattern that RE2 takes ({words}); look-around and back-references are left out on purpose"
        ) from None


_PLAIN_PHRASE = re.compile(r"[a-zA-Z]{2,}(?: [a-zA-Z]{2,})*")


def _forms(words: Sequence[str], view: str) -> list[str]:
    """Return the words as the view would show them, longest first; without those that it leaves too little of."""
    if view == "squeezed":  # a phrase such as `5alam` would be read as an ordinary word
        words = [word for word in words if _PLAIN_PHRASE.fullmatch(word) or not is_disguised(fold(word))]
    forms = {_form(word, view) for word in words}
    if view == "squeezed":  # of "xxx" it leaves "x", which stands everywhere
        forms = {form for form in forms if sum(map(str.isalnum, form)) >= LEAST_SQUEEZED}
    return sorted(forms, key=lambda form: (-len(form), form))


def _form(phrase: str, view: str) -> str:
    """Return the phrase as the view would show it, so that the two can meet."""
    starred = [_starred(word, view) for word in phrase.split()]
    if not any(map(str.isalnum, "".join(starred))):
        raise BadPattern(f"'{phrase}' has no letter or digit to look for")
    return " ".join(starred)


@lru_cache(maxsize=_WORDS_KEPT)
def _starred(word: str, view: str) -> str:
    bare = word.strip("*")
    if "*" in bare:
        raise BadPattern(f"'{word}': a * stands only at the beginning or the end of a word")
    shown = _shown(bare, view)
    return "*" * word.startswith("*") + shown + "*" * (word.endswith("*") and len(word) > 1)


def _shown(word: str, view: str) -> str:
    text = Text(word)
    return text.squeezed[0].text if view == "squeezed" else text.exact if view == EXACT else text.folded


def _source(view: str, forms: Sequence[str]) -> Source:
    if len(forms) > MOST_TELLING:
        return Source(view, _alternatives(tuple(forms)))
    return Source(view, forms=tuple(forms), words=tuple(map(_telling, forms)))


def _telling(form: str) -> str:
    """Return the longest word of a form."""
    return max(form.replace("*", "").split(), key=len)


@lru_cache(maxsize=4_096)
def _alternatives(forms: tuple[str, ...]) -> str:
    return "(?:" + "|".join(map(_written, forms)) + ")"


def _written(form: str, *, joined: bool = False) -> str:
    letters = form.replace("*", "").replace(" ", "")
    before = "" if form.startswith("*") else _edge(letters[0])
    after = "" if form.endswith("*") else _edge(letters[-1])
    words = form.split(" ")
    return before + (_joined(words) if joined else _GAP.join(map(_escaped_word, words))) + after


def single_pattern(phrase: str) -> str:
    """Return the pattern of a trigger's phrase in a text without repeated letters.

    More letters at its ends need not be walked through. `balik kampung`, written as one word, lacks a k.
    """
    return _written(phrase, joined=True).removeprefix(_LETTERS).removesuffix(_LETTERS)


def word_tree(phrases: Iterable[str]) -> str:
    """Return one pattern for all of these triggers' phrases, in a folded text: letters may stand there repeated.

    RE2 joins what begins alike, but not where letters may be repeated: here it is joined already.
    """
    root: _Tree = {}
    for phrase in phrases:
        node = root
        for atom in _stretched_atoms(phrase):
            node = node.setdefault(atom, {})
            if _END in node:
                break  # a shorter phrase says enough
        else:
            node.clear()
            node[_END] = {}
    return _branches(root)


_Tree = dict[str, "_Tree"]
_END = ""


def _stretched_atoms(phrase: str) -> Iterator[str]:
    letters = phrase.replace("*", "").replace(" ", "")
    words = phrase.strip("*").split(" ")
    if not phrase.startswith("*"):
        yield _edge(letters[0]) or _NOTHING
    for place, word in enumerate(words):
        if place:
            yield _GAP
        yield from map(_stretched_letter, word)
    if not phrase.endswith("*"):
        yield _edge(letters[-1]) or _NOTHING


@lru_cache(maxsize=4_096)
def _stretched_letter(letter: str) -> str:
    if letter == "*":
        return _LETTERS
    return f"{letter}+" if letter.isascii() and letter.isalpha() else str(re2.escape(letter))


_NOTHING = "(?:)"


def _branches(node: _Tree) -> str:
    whole = ""
    while len(node) == 1:
        ((atom, node),) = node.items()
        whole += atom
    return f"{whole}(?:{'|'.join(atom + _branches(inner) for atom, inner in node.items())})" if node else whole


def _joined(words: Sequence[str]) -> str:
    """Return the words' pattern: where one ends as the next begins, gap and letter may be missing together."""
    whole = _escaped_word(words[0])
    for before, word in pairwise(words):
        end = before.rstrip("*")[-1:]
        if end.isalpha() and word.startswith(end):
            rest = _escaped_word(word[1:]) if word[1:] else ""
            whole = f"{whole.removesuffix(_LETTERS)}(?:{_LETTERS * before.endswith('*')}{_GAP}{end})?{rest}"
        else:
            whole += _GAP + _escaped_word(word)
    return whole


@lru_cache(maxsize=_WORDS_KEPT)
def _escaped_word(word: str) -> str:
    begin, end = word.startswith("*"), word.endswith("*")
    escaped: str = re2.escape(word.strip("*"))
    return _LETTERS * begin + escaped + _LETTERS * end


def _edge(character: str) -> str:
    return r"\b" if character == "_" or (character.isascii() and character.isalnum()) else ""
