"""A learned second opinion: how much a text reads like posts that broke a clause. Pure, and quick.

It never finds anything alone, and a finding stays a finding whatever it says. A rule may ask it to lift what is low
(the rule looks for the signs of a breach broadly, and mails nobody for the ordinary posts that show them too), or to
confirm what is not (the finding is low unless it is sure that just that clause is broken).

A linear model on the words of the squeezed text, their pairs, and the letters inside them: what a word adds to each
clause is worked out once and kept, so that a post costs one look-up a word. `monitor.rules.learning` makes the model,
from the labelled posts of the project and from the verdicts on alerts.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from monitor.rules.text import Text

FORMAT = 1
NONE = "none"  # the label of ordinary posts
SHORTEST_PIECE, LONGEST_PIECE = 3, 5  # letters
MOST_WORDS = 400  # of one text: what comes later changes nothing
MOST_KEPT = 50_000
_WORD = re.compile(r"[a-z]+|\d+|[^\W\d_]+|[^\w\s]")
_LONGEST_WORD = 24


class BadOpinion(Exception):
    """The file holds no model that this version reads. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the model thinks of one text: the clause it most resembles, and how sure it is that one is broken (0–1)."""

    clause: str
    sureness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """`weights` holds, for each bucket of features, one number a label.

    `lift` is how sure it must be to lift what a rule finds broadly, `confirm` to confirm what one finds by its words.
    """

    instrument: str
    labels: tuple[str, ...]  # NONE first
    buckets: int
    weights: array[float]
    bias: tuple[float, ...]
    lift: float
    confirm: float
    _kept: dict[str, tuple[float, ...]] = field(default_factory=dict, compare=False, repr=False)

    def lifts(self, view: View, clause: str) -> bool:
        """Tell whether it is sure enough that just this clause is broken to lift a low finding."""
        return view.clause == clause and view.sureness >= self.lift

    def confirms(self, view: View, clause: str) -> bool:
        """Tell whether it is sure enough that just this clause is broken to let a finding stand."""
        return view.clause == clause and view.sureness >= self.confirm

    def view(self, text: Text) -> View:
        """Return what the model thinks of a text."""
        words = words_of(text)
        totals = [0.0] * len(self.labels)
        for word in terms(words):
            for label, weight in enumerate(self._kept.get(word) or self._worked_out(word)):
                totals[label] += weight
        share = scale(len(words))
        scores = [bias + total * share for bias, total in zip(self.bias, totals, strict=True)]
        highest = max(scores)
        odds = [math.exp(score - highest) for score in scores]
        best = max(range(1, len(odds)), key=odds.__getitem__)
        return View(clause=self.labels[best], sureness=1 - odds[0] / sum(odds))

    def _worked_out(self, term: str) -> tuple[float, ...]:
        sums = [0.0] * len(self.labels)
        for bucket in buckets_of(term, self.buckets):
            for label in range(len(sums)):
                sums[label] += self.weights[bucket * len(sums) + label]
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[term] = tuple(sums)
        return self._kept[term]


def words_of(text: Text) -> Sequence[str]:
    """Return the words the model sees: without disguise, and every number as a row of zeros."""
    read = text.squeezed[0].text
    words = (match[0] for match in islice(_WORD.finditer(read), MOST_WORDS))
    return ["0" * min(len(word), _LONGEST_WORD) if word.isdigit() else word[:_LONGEST_WORD] for word in words]


def terms(words: Sequence[str]) -> Iterator[str]:
    """Yield the words, and each pair of neighbours."""
    yield from words
    for first, second in pairwise(words):
        yield f"{first} {second}"


def buckets_of(term: str, buckets: int) -> Iterator[int]:
    """Yield the buckets of a term: its own, and for a single word those of the pieces in it."""
    yield zlib.crc32(term.encode()) % buckets
    if " " not in term:
        framed = f"<{term}>"
        for length in range(SHORTEST_PIECE, LONGEST_PIECE + 1):
            for start in range(len(framed) - length + 1):
                yield zlib.crc32(framed[start : start + length].encode()) % buckets


def scale(words: int) -> float:
    """Return what the sum over a text's words is multiplied with: a long text says more, but not in proportion."""
    return 1 / math.sqrt(max(1, words))


def dumped(opinion: Opinion) -> str:
    """Return the model as JSON, its weights in steps of a 127th of the greatest."""
    greatest = max(map(abs, opinion.weights), default=0.0) or 1.0
    steps = array("b", (round(weight / greatest * 127) for weight in opinion.weights))
    return json.dumps(
        {
            "format": FORMAT,
            "instrument": opinion.instrument,
            "labels": opinion.labels,
            "lift": opinion.lift,
            "confirm": opinion.confirm,
            "bias": [round(one, 4) for one in opinion.bias],
            "buckets": opinion.buckets,
            "greatest": greatest,
            "weights": base64.b85encode(zlib.compress(steps.tobytes(), 9)).decode(),
        },
        indent=1,
    )


def loaded(text: str) -> Opinion:
    """Return the model of a file's text. Raises BadOpinion."""
    try:
        data: Mapping[str, object] = json.loads(text)
        if data["format"] != FORMAT:
            raise BadOpinion(f"has format {data['format']!r}; this version reads {FORMAT}; make it anew: rules learn")
        return _loaded(data)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise BadOpinion(f"is no learned opinion ({type(error).__name__}); make it anew: rules learn") from None


def _loaded(data: Mapping[str, object]) -> Opinion:
    labels, bias = tuple(map(str, data["labels"])), tuple(map(float, data["bias"]))  # type: ignore[call-overload]
    buckets, greatest = int(str(data["buckets"])), float(str(data["greatest"]))
    steps = array("b", zlib.decompress(base64.b85decode(str(data["weights"]))))
    if not (len(labels) == len(bias) > 1 and labels[0] == NONE and len(steps) == buckets * len(labels)):
        raise ValueError("sizes")
    return Opinion(
        instrument=str(data["instrument"]),
        labels=labels,
        buckets=buckets,
        weights=array("f", (step * greatest / 127 for step in steps)),
        bias=bias,
        lift=float(str(data["lift"])),
        confirm=float(str(data.get("confirm", data["lift"]))),
    )
