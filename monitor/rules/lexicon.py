"""The words that posts are made of, from the commonest to the rarest: what a disguise is read back into. Pure.

The list holds the pack's own words, and those common in labelled posts and in public Malaysian texts. A reading counts
only when it is such a word, which is why undoing disguises makes hardly any false alarms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("words.txt")
_SUFFIXES = ("nya", "lah", "kan", "kah", "an", "i", "ku", "mu")
_PREFIXES = ("di", "ke", "se", "ber", "ter", "me")
_LEAST_STEM = 4
_VOWELS = re.compile("[aeiou]")
_LONGEST = 20
_STRANGE_LETTER = 8.0  # the cost of a letter that belongs to no known word
_DEAREST = 10.0  # a word's cost, in a run of words written as one; rarer ones make anything readable


@cache
def ranks() -> Mapping[str, int]:
    """Return each word's place in the list."""
    lines = _FILE.read_text(encoding="ascii").splitlines()
    words = (word for line in lines if not line.startswith("#") for word in line.split())
    return {word: place for place, word in enumerate(words)}


def word_set(spaced: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(spaced.split())


def known(word: str) -> bool:
    """Tell whether it is a word, or one with a common ending or beginning."""
    return word in ranks() or _stem_known(word)


def _stem_known(word: str) -> bool:
    every = ranks()
    ends = (word.removesuffix(one) for one in _SUFFIXES if word.endswith(one))
    begins = (word.removeprefix(one) for one in _PREFIXES if word.startswith(one))
    return any(len(stem) >= _LEAST_STEM and stem in every for stem in (*ends, *begins))


def commonest(words: Sequence[str]) -> str:
    """Return the commonest of the words that are known; nothing when none is."""
    every = ranks()
    found = [word for word in words if word in every]
    if found:
        return min(found, key=every.__getitem__)
    return next((word for word in words if _stem_known(word)), "")


@cache
def _by_consonants() -> Mapping[str, Sequence[str]]:
    """Words by what is left without the vowels inside them; the commonest first."""
    found: dict[str, list[str]] = {}
    for word in ranks():
        found.setdefault(skeleton(word), []).append(word)
    return found


def skeleton(word: str) -> str:
    return word[:1] + _VOWELS.sub("", word[1:-1]) + word[1:][-1:]


def without_some_vowels(word: str) -> Sequence[str]:
    """Return the words that it may be with vowels left out, commonest first."""
    return [one for one in _by_consonants().get(skeleton(word), ()) if _is_left_of(word, one)]


def _is_left_of(rest: str, whole: str) -> bool:
    letters = iter(whole)
    return all(letter in letters for letter in rest)


@lru_cache(maxsize=20_000)
def fitting(word: str) -> str:
    """Return the commonest word that fits one in which each * stands for a letter."""
    plain = _VOWELS.sub("", word.replace("*", "")) if "*" not in word[:1] + word[-1:] else ""
    pattern = re.compile(word.replace("*", "[a-z]"))
    likely = (
        _by_consonants().get(word[:1] + _VOWELS.sub("", word[1:-1].replace("*", "")) + word[1:][-1:], ())
        if plain
        else ()
    )
    return next((one for one in likely if pattern.fullmatch(one)), "")


@lru_cache(maxsize=20_000)
def split(letters: str) -> Sequence[str]:
    """Return the words that were written as one; what is not known stands between them as it is."""
    every = ranks()
    costs, froms = [0.0], [0]
    for end in range(1, len(letters) + 1):
        best, begin = costs[end - 1] + _STRANGE_LETTER, end - 1
        for start in range(max(0, end - _LONGEST), end - 1):
            place = every.get(letters[start:end])
            if place is not None and costs[start] + _cost(place) < best:
                best, begin = costs[start] + _cost(place), start
        costs.append(best)
        froms.append(begin)
    words: list[str] = []
    end = len(letters)
    while end:
        word = letters[froms[end] : end]
        if len(word) == 1 and words and words[-1] not in every:
            words[-1] = word + words[-1]
        else:
            words.append(word)
        end = froms[end]
    return tuple(reversed(words))


def _cost(place: int) -> float:
    """Return how surprising a word is, by Zipf's law."""
    return math.log((place + 1) * _DEAREST)
