"""Folded text with offsets back to the original: what every rule matches on. Pure and linear in the text's length.

Views of one text:
- `exact`: compatibility forms decomposed (NFKD), marks and invisible characters removed, look-alikes mapped to ASCII;
- `folded`: the same, case-folded;
- `squeezed`: folded, with spaced letters joined (`s u l i t`), letters written as digits (`5ulit`) and repeated letters
  undone. It sees more and errs more, so a part of a rule asks for it by name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

# Letters of other scripts that look like Latin ones and have no ASCII form of their own (Unicode's confusables, by eye).
_LOOK_ALIKES = {
    "A": "АΑᎪ",
    "B": "ВΒᏴ",
    "C": "СϹᏟ",
    "D": "ᎠԀ",
    "E": "ЕΕᎬ",
    "G": "ԌᏀ",
    "H": "НΗᎻ",
    "I": "ІΙӀᏆ|",
    "J": "ЈᎫ",
    "K": "КΚᏦ",
    "L": "ᏞԼ",
    "M": "МΜᎷ",
    "N": "ΝＮ",
    "O": "ОΟՕ〇",
    "P": "РΡᏢ",
    "Q": "Ԛ",
    "R": "ᎡᏒ",
    "S": "ЅᏚՏ",
    "T": "ТΤᎢ",
    "U": "Ս",
    "V": "ѴᏙ",
    "W": "ԜᎳ",
    "X": "ХΧ",
    "Y": "ҮΥУ",
    "Z": "ΖᏃ",
    "a": "аαɑ",
    "b": "ЬƄ",
    "c": "сϲ",
    "d": "ԁɗ",
    "e": "еєҽ",
    "g": "ɡց",
    "h": "һհ",
    "i": "іıɩι",
    "j": "јϳ",
    "k": "кκ",
    "l": "ⅼӏ",
    "m": "м",
    "n": "ոп",
    "o": "оοօσ",
    "p": "рρ",
    "q": "ԛ",
    "r": "гʀ",
    "s": "ѕꜱ",
    "t": "тτ",
    "u": "υսᴜ",
    "v": "ѵν",
    "w": "ԝѡ",
    "x": "хχ",
    "y": "уγ",
    "z": "ᴢ",
}
LOOK_ALIKES = {other: letter for letter, others in _LOOK_ALIKES.items() for other in others if not other.isascii()}
LOOK_ALIKES |= {chr(0x1F150 + n): chr(65 + n) for n in range(26)}  # negative circled letters have no decomposition
LOOK_ALIKES |= {chr(0x1F170 + n): chr(65 + n) for n in range(26)}  # nor have negative squared ones
DROPPED = frozenset({"Mn", "Me", "Cf"})
FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u034f")  # letters by category, invisible by design
DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
QUOTES = dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟″", '"')
AS_LETTERS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
SPACED_AT_LEAST = 3  # single letters in a row that are read as one word
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class View:
    """A form of a text. `origin[i]` is the place in the original of the view's character i."""

    text: str
    origin: Sequence[int]

    def original(self, start: int, end: int) -> Span:
        """Return the half-open span of the original text behind [start, end) of this view."""
        if start >= end:
            return (0, 0)
        return self.origin[start], self.origin[end - 1] + 1


class Text:
    """One text in all its views, each made when it is first asked for."""

    def __init__(self, original: str) -> None:
        self.original = original

    @cached_property
    def exact(self) -> View:
        if self.original.isascii():
            return View(self.original, range(len(self.original)))
        return _folded(self.original)

    @cached_property
    def folded(self) -> View:
        text = self.exact.text.casefold()
        if len(text) == len(self.exact.text):
            return View(text, self.exact.origin)
        pieces = [(part, place) for c, place in zip(*self._exact_pairs(), strict=True) for part in c.casefold()]
        return View("".join(part for part, _ in pieces), [place for _, place in pieces])

    def _exact_pairs(self) -> tuple[str, Sequence[int]]:
        return self.exact.text, self.exact.origin

    @cached_property
    def squeezed(self) -> View:
        return _squeezed(self.folded)

    def view(self, name: str) -> View:
        found: View = getattr(self, name)
        return found


def _folded(text: str) -> View:
    kept: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(text):
        for part in _plain(character):
            kept.append(part)
            origin.append(place)
    return View("".join(kept), origin)


def _plain(character: str) -> str:
    """Return what is left of one character: nothing, itself, or its ASCII form."""
    if character.isascii():
        return character
    if character in LOOK_ALIKES:
        return LOOK_ALIKES[character]
    plain = ""
    for part in unicodedata.normalize("NFKD", character):
        category = unicodedata.category(part)
        if category in DROPPED or part in FILLERS:
            continue
        if category == "Cs":
            plain += "\ufffd"  # a lone surrogate: no engine takes it
        elif category in {"Zl", "Zp"}:
            plain += "\n"
        elif category == "Zs":
            plain += " "
        else:
            plain += DASHES.get(part) or QUOTES.get(part) or LOOK_ALIKES.get(part, part)
    return plain


_WORD = re.compile(r"[^\W_]+(?:[@$!][^\W_]+)*|[$@][^\W_]+")
_BETWEEN_LETTERS = re.compile(r"[ .\-_*/|·•~,]{1,2}")


def _squeezed(view: View) -> View:
    """Join spaced letters, read digits inside words as letters, and drop repeated letters."""
    text = view.text
    kept: list[str] = []
    origin: list[int] = []
    done = 0
    words = [match.span() for match in _WORD.finditer(text)]
    number = 0
    while number < len(words):
        last = _last_spaced(text, words, number)
        start, end = words[number][0], words[last][1]
        places = range(start, end) if last == number else [words[n][0] for n in range(number, last + 1)]
        kept += text[done:start]
        origin += view.origin[done:start]
        for letter, place in _word([text[place] for place in places], places):
            kept.append(letter)
            origin.append(view.origin[place])
        done, number = end, last + 1
    kept += text[done:]
    origin += view.origin[done:]
    return View("".join(kept), origin)


def _last_spaced(text: str, words: Sequence[Span], first: int) -> int:
    """Return the number of the last word of a run of single letters that begins at `first`; `first` when there is none."""
    last = first
    while (
        last + 1 < len(words)
        and all(words[n][1] - words[n][0] == 1 for n in (last, last + 1))
        and _BETWEEN_LETTERS.fullmatch(text, words[last][1], words[last + 1][0])
    ):
        last += 1
    return last if last - first + 1 >= SPACED_AT_LEAST else first


def _word(letters: Sequence[str], places: Sequence[int]) -> list[tuple[str, int]]:
    """Return a word's letters without disguise. A number stays a number: digits count as letters only beside letters."""
    disguised = sum(letter in AS_LETTERS for letter in letters)
    plain = sum(letter.isalpha() for letter in letters)
    read = [AS_LETTERS.get(letter, letter) for letter in letters] if 0 < disguised < plain else list(letters)
    kept: list[tuple[str, int]] = []
    for letter, place in zip(read, places, strict=True):
        if kept and kept[-1][0] == letter and letter.isalpha():
            continue
        kept.append((letter, place))
    return kept


def squeezed_phrase(phrase: str) -> str:
    """Return a phrase as the squeezed view would show it, so that the two can meet."""
    return re.sub(r"([^\W\d_])\1+", r"\1", phrase)
