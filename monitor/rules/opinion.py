"""A learned second opinion: how much a text reads like posts that broke a clause. Pure, and quick.

It never finds anything alone, and a finding stays a finding whatever it says. A rule may ask it to lift what is low
(the rule looks for the signs of a breach broadly, and mails nobody for the ordinary posts that show them too), to
confirm what is not (the finding is low unless it is sure that just that clause is broken), or to doubt it (the finding
is low when it is all but sure that nothing is broken).

It asks two things of a text: does it read like an office's own page at all, whatever it says (people's chat and the
papers' headlines speak of brawls, bets and bad ministers every day), and if so, does it read like a post that broke a
clause, or like one of those that only resemble them?

Both are linear models on the words of the squeezed text, their stems, pairs of those, and the letters inside the words,
each once however often it stands there (`monitor.rules.weights`), and on the look of the text (`monitor.rules.marks`).
`monitor.rules.learning` makes the model, from the labelled posts of the project and from the verdicts on alerts.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from monitor.rules.marks import marks
from monitor.rules.text import HIDING, Text
from monitor.rules.weights import MOST_KEPT, Weights

FORMAT = 6
NONE = "none"  # the label of ordinary posts
FAINT = 0.8  # how much of an office's voice is enough where a rule's own words tell as well
FAINTEST = 0.5  # and where words are hidden, or it is all but sure
ALL_BUT_SURE = 0.93
CLOSE = 0.15  # a clause that is this likely beside the likeliest may be meant as well
MOST_WORDS = 400  # of one text: what comes later changes nothing
_WORD = re.compile(r"[a-z]+|\d+|[^\W\d_]+|[^\w\s]")
_LONGEST_WORD = 24
_LONGEST_KEPT = 40
ANEW = (
    "copy the one that came with this version over it (`pantau init` writes it into an empty folder), or take it away "
    "and make it anew: `pantau rules learn`"
)


class BadOpinion(Exception):
    """The file holds no model that this version reads. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the model thinks of one text: the clause it most resembles, and how sure it is that one is broken (0–1).

    `close` holds the clauses that it may be as well, that one among them: a leak is often told by who complains.
    `voice` is how much it reads like an office's page at all (0–1); `hides`: it holds words in disguise.
    """

    clause: str
    sureness: float
    close: tuple[str, ...]
    voice: float
    hides: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """`weights` holds one weight a label for each bucket of features, and one for the voice; `bias` as many.

    `lift` and `voice` are how sure it must be of a clause, and how much the text must read like an office's page, to
    lift what a rule finds broadly, by the clause that the text most resembles; `confirm` how sure to confirm what one
    finds by its words, or to lift what hides words. Below `doubt`, in one or the other, it takes what a doubted rule
    found for an ordinary post.
    """

    instrument: str
    labels: tuple[str, ...]  # NONE first
    weights: Weights
    bias: tuple[float, ...]
    lift: Mapping[str, float]
    confirm: float
    doubt: float
    voice: Mapping[str, float]

    def lifts(self, view: View, clause: str) -> bool:
        """Tell whether it is sure enough that just this clause is broken to lift a low finding."""
        return clause in self.lifted(view)

    def lifted(self, view: View) -> Sequence[str]:
        """Return the clauses that `lifts` says yes of."""
        voice, lift = self.voice.get(view.clause, 1.0), self.lift.get(view.clause, 1.0)
        if view.hides:
            voice, lift = min(voice, FAINTEST), min(lift, self.confirm)
        return view.close if view.voice >= voice and view.sureness >= lift else ()

    def confirms(self, view: View, clause: str) -> bool:
        """Tell whether it is sure enough that just this clause is broken to let a finding stand."""
        sure, voice = (self.confirm, FAINT) if view.voice >= FAINT else (max(self.confirm, ALL_BUT_SURE), FAINTEST)
        return clause in view.close and view.voice >= voice and view.sureness >= sure

    def doubts(self, view: View) -> bool:
        """Tell whether it is all but sure that nothing is broken."""
        return min(view.sureness, view.voice) < self.doubt

    def speaking(self, text: Text, most: int = 6) -> Sequence[str]:
        """Return the words that speak most for the clause which a text most resembles, as they first stand there.

        The strongest comes first.
        """
        clause = self.labels.index(self.view(text).clause)
        said = {word: self.weights.of_word(word) for word in words_of(text) if word.isalpha()}
        more = {word: weights[clause] - weights[0] for word, weights in said.items() if weights[clause] > weights[0]}
        return _as_written(sorted(more, key=more.__getitem__, reverse=True)[:most], text)

    def view(self, text: Text) -> View:
        """Return what the model thinks of a text; it is worked out once."""
        known = next((view for opinion, view in text.views if opinion is self), None)
        if known is None:
            text.views.append((self, known := self._view(text)))
        return known

    def _view(self, text: Text) -> View:
        words = words_of(text)
        *scores, voice = self.weights.scores(words, marks(text.original), self.bias)
        highest = max(scores)
        odds = [math.exp(score - highest) for score in scores]
        most = max(odds[1:])
        least = CLOSE * most
        close = tuple([label for label, one in zip(self.labels[1:], odds[1:], strict=True) if one >= least])
        return View(
            clause=self.labels[odds.index(most, 1)],
            sureness=1 - odds[0] / sum(odds),
            close=close,
            voice=_share(voice),
            hides=HIDING in words,
        )


def _share(score: float) -> float:
    """Return the probability (0–1) that a score stands for."""
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, score))))


def words_of(text: Text) -> Sequence[str]:
    """Return the words the model sees: without disguise, and every number as a row of zeros."""
    chunks = text.squeezed[0].text.split()
    return list(islice(chain.from_iterable(map(_SEEN.__getitem__, chunks)), MOST_WORDS))


def _as_written(words: Sequence[str], text: Text) -> Sequence[str]:
    """Return what of the original is behind each of the words that the model sees in it."""
    reading = text.squeezed[0]
    first: dict[str, str] = {}
    for match in _WORD.finditer(reading.text):
        word = match[0][:_LONGEST_WORD]
        if word in words and word not in first:
            begin, end = text.original_span(*reading.folded_span(*match.span()))
            first[word] = " ".join(text.original[begin:end].split())
    return [first[word] for word in words]


class _Seen(dict[str, Sequence[str]]):
    """What the model sees between two spaces, kept because the same comes again and again."""

    def __missing__(self, chunk: str) -> Sequence[str]:
        words = _WORD.findall(chunk)[:MOST_WORDS]
        seen = tuple("0" * min(len(word), _LONGEST_WORD) if word.isdigit() else word[:_LONGEST_WORD] for word in words)
        if len(chunk) <= _LONGEST_KEPT:
            if len(self) >= MOST_KEPT:
                self.clear()
            self[chunk] = seen
        return seen


_SEEN = _Seen()


def dumped(opinion: Opinion) -> str:
    """Return the model as JSON."""
    weights = opinion.weights
    return json.dumps(
        {
            "format": FORMAT,
            "instrument": opinion.instrument,
            "labels": opinion.labels,
            "lift": dict(opinion.lift),
            "confirm": opinion.confirm,
            "doubt": opinion.doubt,
            "voice": dict(opinion.voice),
            "bias": [round(one, 4) for one in opinion.bias],
            "buckets": weights.buckets,
            "greatest": weights.greatest,
            "weights": base64.b85encode(zlib.compress(weights.steps.tobytes(), 9)).decode(),
        },
        indent=1,
    )


def loaded(text: str) -> Opinion:
    """Return the model of a file's text. Raises BadOpinion."""
    try:
        data: Mapping[str, object] = json.loads(text)
        if data["format"] != FORMAT:
            raise BadOpinion(f"has format {data['format']!r}; this version reads {FORMAT}; {ANEW}")
        return _loaded(data)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise BadOpinion(f"is no learned opinion ({type(error).__name__}); {ANEW}") from None


def _loaded(data: Mapping[str, object]) -> Opinion:
    labels, bias = tuple(map(str, data["labels"])), tuple(map(float, data["bias"]))  # type: ignore[call-overload]
    buckets, greatest = int(str(data["buckets"])), tuple(map(float, data["greatest"]))  # type: ignore[call-overload]
    steps = array("b", zlib.decompress(base64.b85decode(str(data["weights"]))))
    size = len(bias)
    if not (len(labels) + 1 == size == len(greatest) > 2 and labels[0] == NONE and len(steps) == buckets * size):
        raise ValueError("sizes")
    return Opinion(
        instrument=str(data["instrument"]),
        labels=labels,
        weights=Weights(steps, greatest),
        bias=bias,
        lift=_by_clause(data["lift"]),
        confirm=float(str(data["confirm"])),
        doubt=float(str(data["doubt"])),
        voice=_by_clause(data["voice"]),
    )


def _by_clause(bars: object) -> Mapping[str, float]:
    if not isinstance(bars, dict):
        raise TypeError("bars")
    return {str(clause): float(sure) for clause, sure in bars.items()}
