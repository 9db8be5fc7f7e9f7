"""Folded text with offsets back to the original: what every rule matches on. Pure and linear in the text's length.

Views of one text:
- `exact`: compatibility forms decomposed (NFKD), marks and invisible characters removed, look-alikes mapped to ASCII;
- `folded`: the same, case-folded, character for character: both share their places;
- `squeezed`: folded, with spaced letters joined (`s u l i t`), letters written as digits (`5ulit`) and repeated letters
  undone. It sees more and errs more, so a part of a rule asks for it by name.

Rules measure in places of the folded text, so that invisible filling puts nothing out of reach.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property, lru_cache

# Letters of other scripts that look like Latin ones and have no ASCII form of their own (by eye).
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


class Text:
    """One text in all its views, each made when it is first asked for."""

    def __init__(self, original: str) -> None:
        self.original = original

    @cached_property
    def exact(self) -> str:
        return self._folding[0]

    @cached_property
    def folded(self) -> str:
        return self.exact.lower() if self.exact.isascii() else "".join(map(str.casefold, self.exact))

    @cached_property
    def squeezed(self) -> tuple[str, Sequence[int]]:
        """Return the view and, for each of its characters, the place in the folded text."""
        return _squeezed(self.folded)

    @cached_property
    def _folding(self) -> tuple[str, Sequence[int]]:
        return _folded(self.original)

    def view(self, name: str) -> str:
        """Return the view called exact, folded or squeezed."""
        return self.squeezed[0] if name == "squeezed" else self.exact if name == "exact" else self.folded

    def original_span(self, start: int, end: int) -> Span:
        """Return the half-open span of the original text behind [start, end) of the folded one."""
        origin = self._folding[1]
        return origin[start], origin[end - 1] + 1


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return the exact view and, for each of its characters, the place in the original."""
    if text.isascii():
        return text, range(len(text))
    plain = [_plain(character) for character in text]
    whole = "".join(plain)
    if len(whole) == len(text) and all(map(len, plain)):
        return whole, range(len(text))
    return whole, [place for place, part in enumerate(plain) for _ in part]


@lru_cache(maxsize=20_000)
def _plain(character: str) -> str:
    """Return what is left of one character: nothing, itself, or its ASCII form."""
    if character.isascii():
        return character
    return "".join(map(_plain_part, LOOK_ALIKES.get(character) or unicodedata.normalize("NFKD", character)))


def _plain_part(part: str) -> str:
    category = unicodedata.category(part)
    if category in DROPPED or part in FILLERS:
        return ""
    if category == "Cs":
        return "\ufffd"  # a lone surrogate: no engine takes it
    if category in {"Zl", "Zp"}:
        return "\n"
    if category == "Zs":
        return " "
    plain = DASHES.get(part) or QUOTES.get(part) or LOOK_ALIKES.get(part, part)
    return plain if len(plain.casefold()) == len(plain) else plain.casefold()  # ß: case folding must keep the places


_WORD = re.compile(r"[^\W_]+(?:[@$!][^\W_]+)*|[$@][^\W_]+")
_BETWEEN_LETTERS = re.compile(r"[\W_]{1,3}")


def _squeezed(text: str) -> tuple[str, Sequence[int]]:
    """Join spaced letters, read digits inside words as letters, and drop repeated letters."""
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
        origin += range(done, start)
        for letter, place in _word([text[place] for place in places], places):
            kept.append(letter)
            origin.append(place)
        done, number = end, last + 1
    kept += text[done:]
    origin += range(done, len(text))
    return "".join(kept), origin


def _last_spaced(text: str, words: Sequence[Span], first: int) -> int:
    """Return the number of the last word of a run of single letters that begins at `first`; without one, `first`."""
    last = first
    while (
        last + 1 < len(words)
        and all(words[n][1] - words[n][0] == 1 for n in (last, last + 1))
        and _BETWEEN_LETTERS.fullmatch(text, words[last][1], words[last + 1][0])
    ):
        last += 1
    return last if last - first + 1 >= SPACED_AT_LEAST else first


def _word(letters: Sequence[str], places: Sequence[int]) -> list[tuple[str, int]]:
    """Return a word's letters without disguise. Digits are letters only among letters."""
    disguised = sum(letter in AS_LETTERS for letter in letters)
    plain = sum(letter.isalpha() for letter in letters)
    read = [AS_LETTERS.get(letter, letter) for letter in letters] if 0 < disguised < plain else list(letters)
    kept: list[tuple[str, int]] = []
    for letter, place in zip(read, places, strict=True):
        if kept and kept[-1][0] == letter and letter.isalpha():
            continue
        kept.append((letter, place))
    return kept
