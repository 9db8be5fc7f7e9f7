"""The weights of a learned opinion, in whole steps, and what the words of a text add up to. Pure.

What a word adds to all labels is one integer, a lane of bits for each label: to add up what a text says to every label
takes one addition a word, and no order of the words changes the sum.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle, pairwise
from typing import TypeVar
from zlib import crc32

from monitor.rules.marks import upto
from monitor.rules.stems import stem

STEPS = 127  # of each label's greatest weight; what a step is worth is the label's own
SHORTEST_PIECE, LONGEST_PIECE = 3, 5  # letters
OF_WORD, OF_PIECE = 10, 3  # what a piece of a word is worth beside the word: there are many of them, and they say less
PIECE = OF_PIECE / OF_WORD
MOST_KEPT = 50_000  # words
_LANE = 4  # bytes: what 400 words come to, with all that stands in them, fits into three
_MIDDLE = 1 << 8 * _LANE - 1  # of what a lane holds: sums may be below nothing
_BELOW = 128  # a step is kept as a byte from 1 to 255
_RAISED = bytes((number + _BELOW) % 256 for number in range(256))


class Weights:
    """`steps` holds, for each bucket of features, one step a label; `greatest` what STEPS of them are worth."""

    def __init__(self, steps: array[int], greatest: Sequence[float]) -> None:
        self.steps, self.greatest = steps, tuple(greatest)
        self.labels = len(self.greatest)
        self.buckets = len(steps) // self.labels
        self._rows = _rows(steps, self.labels)
        self._middle = _MIDDLE * _ones(self.labels)
        self._lanes = struct.Struct(f"<{self.labels}I")
        self._units = [most / (STEPS * OF_WORD) for most in self.greatest]
        self._words = _Kept(self._of_word)
        self._heads = _Kept(lambda word: crc32(f"{stem(word)} ".encode()))
        self._tails = _Kept(lambda word: stem(word).encode())
        self._marks = _Kept(lambda mark: OF_WORD * sum(self._rows[one] for one in buckets_of_mark(mark, self.buckets)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and (self.steps, self.greatest) == (other.steps, other.greatest)

    __hash__ = None  # type: ignore[assignment]  # told apart by what they hold

    def of_label(self, label: int) -> list[float]:
        """Return the label's weight of each bucket."""
        return [step * self.greatest[label] / STEPS for step in self.steps[label :: self.labels]]

    def scores(self, words: Sequence[str], marks: Sequence[str], bias: Sequence[float]) -> list[float]:
        """Return what a text of these words and marks comes to for each label.

        Its terms are the words and the pairs of neighbours' stems; each counts once. Pairs hardly come again: what they
        hash to is not kept.
        """
        rows, buckets = self._rows, shared(self.buckets)
        once = set(words)
        pairs = set(map(crc32, map(self._tails.__getitem__, words[1:]), map(self._heads.__getitem__, words)))
        total = sum(map(self._words.__getitem__, once)) + OF_WORD * sum([rows[one % buckets] for one in pairs])
        total += sum(map(self._marks.__getitem__, marks))
        lanes = self._lanes.unpack((total + self._middle).to_bytes(self._lanes.size, "little"))
        share = scale(len(once) + len(pairs))
        return [
            more + (lane - _MIDDLE) * (unit * share) for lane, unit, more in zip(lanes, self._units, bias, strict=True)
        ]

    def of_word(self, word: str) -> list[float]:
        """Return what a word alone says to each label, whatever else stands in the text."""
        lanes = self._lanes.unpack((self._words[word] + self._middle).to_bytes(self._lanes.size, "little"))
        return [(lane - _MIDDLE) * unit for lane, unit in zip(lanes, self._units, strict=True)]

    def _of_word(self, word: str) -> int:
        own, root, company, *pieces = (self._rows[one] for one in buckets_of(word, self.buckets))
        return OF_WORD * (own + root + company) + OF_PIECE * sum(pieces)


def _rows(steps: array[int], labels: int) -> list[int]:
    """Return each bucket's steps as one integer."""
    size, below = _LANE * labels, _BELOW * _ones(labels)
    raised = bytearray(_LANE * len(steps))
    raised[::_LANE] = steps.tobytes().translate(_RAISED)
    number = int.from_bytes
    return [number(raised[start : start + size], "little") - below for start in range(0, len(raised), size)]


def _ones(labels: int) -> int:
    return sum(1 << 8 * _LANE * label for label in range(labels))


_Found = TypeVar("_Found")


class _Kept(dict[str, _Found]):
    """What was worked out of words, kept because the same ones come again and again."""

    def __init__(self, work_out: Callable[[str], _Found]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, word: str) -> _Found:
        if len(self) >= MOST_KEPT:
            self.clear()
        self[word] = found = self._work_out(word)
        return found


def quantised(weights: Sequence[float], labels: int) -> Weights:
    """Return weights in steps of a 127th of each label's greatest."""
    greatest = [max(map(abs, weights[label::labels]), default=0.0) or 1.0 for label in range(labels)]
    steps = (round(weight / most * STEPS) for weight, most in zip(weights, cycle(greatest), strict=False))
    return Weights(array("b", steps), greatest)


def scale(terms: int) -> float:
    """Return what the sum over a text's terms is multiplied with: a long text says more, but not in proportion."""
    return 1 / math.sqrt(max(1, terms))


def terms(words: Sequence[str]) -> Sequence[str]:
    """Return the words, and each pair of neighbours' stems; each once, in the order in which they come."""
    return list(dict.fromkeys((*words, *(f"{first} {second}" for first, second in pairwise(map(stem, words))))))


def buckets_of(term: str, buckets: int) -> Sequence[int]:
    """Return the buckets of a term: its own first, and for a single word those of its stem, its company, its pieces."""
    if " " in term:
        return _shared((term,), buckets)
    own, root, *pieces = _shared((term, f"{stem(term)} ", *_pieces(f"<{term}>")), buckets)
    return [own, root, bucket_of_company(term, buckets), *pieces]


def buckets_of_mark(mark: str, buckets: int) -> Sequence[int]:
    """Return the buckets of a mark: its own, and those of the smaller ones that it stands for."""
    return _shared(upto(mark), buckets)


def bucket_of_company(word: str, buckets: int) -> int:
    """Return the bucket for what the company that a word keeps tells of it: no other features are in it."""
    return shared(buckets) + crc32(word.encode()) % (buckets - shared(buckets))


def shared(buckets: int) -> int:
    """Return how many of the buckets all features share; behind them are those of company."""
    return buckets * 2 // 3


def _shared(features: Iterable[str], buckets: int) -> Sequence[int]:
    return [crc32(one.encode()) % shared(buckets) for one in features]


def _pieces(framed: str) -> Iterator[str]:
    for length in range(SHORTEST_PIECE, LONGEST_PIECE + 1):
        for start in range(len(framed) - length + 1):
            yield framed[start : start + length]
