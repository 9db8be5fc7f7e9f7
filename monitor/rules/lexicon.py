"""The words that posts are made of, from the commonest to the rarest: what a disguise is read back into. Pure.

The list holds the pack's own words, and those common in labelled posts and in public Malaysian texts. A reading counts
only when it is such a word, which is why undoing disguises makes hardly any false alarms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("words.txt")
_SUFFIXES = ("nya", "lah", "kan", "kah", "an", "i", "ku", "mu")
_PREFIXES = ("di", "ke", "se", "ber", "ter", "me")
_LEAST_STEM = 4
_VOWELS = re.compile("[aeiou]")
_SHORTEST, _LONGEST = 2, 20  # letters of a word among words written as one
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
    if len(word) <= _LEAST_STEM or not (word.endswith(_SUFFIXES) or word.startswith(_PREFIXES)):
        return False
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
    every, beginnings = _costs(), _beginnings()
    costs = [place * _STRANGE_LETTER for place in range(len(letters) + 1)]
    froms = [max(0, place - 1) for place in range(len(letters) + 1)]
    for start, cost in enumerate(costs):
        if start < len(letters) and cost + _STRANGE_LETTER < costs[start + 1]:
            costs[start + 1], froms[start + 1] = cost + _STRANGE_LETTER, start
        for end in range(start + _SHORTEST, min(start + _LONGEST, len(letters)) + 1):
            word = letters[start:end]
            if word in every and cost + every[word] < costs[end]:
                costs[end], froms[end] = cost + every[word], start
            elif word not in beginnings:
                break
    return _words(letters, froms)


def _words(letters: str, froms: Sequence[int]) -> Sequence[str]:
    """Return the words of a text, by where the one that ends at each place begins; single letters make one."""
    words: list[str] = []
    end = len(letters)
    while end:
        word = letters[froms[end] : end]
        if len(word) == 1 and words and words[-1] not in ranks():
            words[-1] = word + words[-1]
        else:
            words.append(word)
        end = froms[end]
    return tuple(reversed(words))


@cache
def _costs() -> Mapping[str, float]:
    """Return how surprising each word is, by Zipf's law."""
    return {word: math.log((place + 1) * _DEAREST) for word, place in ranks().items()}


@cache
def _beginnings() -> AbstractSet[str]:
    """Return what words begin with: where it is none of these, no word goes on."""
    return frozenset(word[:length] for word in ranks() for length in range(_SHORTEST, len(word)))
