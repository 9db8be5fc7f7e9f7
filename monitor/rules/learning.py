"""Makes the learned second opinion from labelled posts. Needs `pantau[learn]`; the daemon only reads what comes out."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.rules.company import vectors
from monitor.rules.marks import EVERY, marks
from monitor.rules.opinion import NONE, Opinion, words_of
from monitor.rules.text import Text
from monitor.rules.weights import (
    PIECE,
    bucket_of_company,
    buckets_of,
    buckets_of_mark,
    quantised,
    scale,
    shared,
    terms,
)

BUCKETS = 3 << 17
STRENGTH = 8.0  # of the fit to what breaks a clause; greater trusts single posts more
USUAL = 4.0  # how rare (log of one in so many posts) a bucket is that weighs as it stands; rarer ones tell more
FEWEST = 2  # posts that must have a bucket: what only one has is chance
EVEN = 0.3  # what a bucket weighs that breaches and other posts have equally often, squared
TOLERANCE = 1e-4  # a fit that stops earlier is far worse on writers it does not know
STRENGTH_OF_VOICE = 5.0  # the texts of a few places tell little of how people write in others
BREACH_OF_VOICE = 4.0  # what a breach weighs there: some sound like chat, and must be heard all the same
SURELY = 20.0  # the score of the voice where no text of others was learned: then every text has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A post and the clause that it breaks; NONE for an ordinary one. `weight` tells how much it counts.

    One that weighs nothing tells only which words keep what company.
    `elsewhere`: it is not from an office's page, and tells only how others write.
    """

    text: str
    clause: str = NONE
    weight: float = 1.0
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """How sure the opinion must be: see Opinion. A clause that `lift` or `voice` does not name lifts nothing."""

    lift: Mapping[str, float]
    confirm: float
    doubt: float
    voice: Mapping[str, float]


def learn(posts: Sequence[Labelled], *, instrument: str, bars: Bars) -> Opinion:
    """Return a model of the posts. The same posts in the same order always give the same model.

    Raises ImportError without scikit-learn.
    """
    import numpy as np

    labels = (NONE, *sorted({post.clause for post in posts} - {NONE}))
    texts = [words_of(Text(post.text)) for post in posts]
    company = _company(texts)
    every = _with_company(_rows(posts, texts), company)
    here = np.array([not post.elsewhere for post in posts])
    counts = np.array([post.weight for post in posts])
    clauses = np.array([labels.index(post.clause) for post in posts])
    counted = counts > 0
    told = counted & (here | (0 not in clauses[here]))  # without look-alikes the texts of others must do
    weights, bias = _mean_fit(every[told], clauses[told], counts[told])
    voice, sound = np.zeros((1, every.shape[1])), [SURELY]
    if not here[counted].all():
        weighed = counts * np.where(clauses > 0, BREACH_OF_VOICE, 1.0)
        voice, sound = _voice_fit(every[counted], here[counted].astype(int), weighed[counted])
    return Opinion(
        instrument=instrument,
        labels=labels,
        weights=quantised(_of_buckets(np.vstack([weights, voice]), company).T.ravel().tolist(), len(bias) + 1),
        bias=(*map(float, bias), *map(float, sound)),
        lift=bars.lift,
        confirm=bars.confirm,
        doubt=bars.doubt,
        voice=bars.voice,
    )


def _mean_fit(rows: Any, clauses: Any, counts: Any) -> tuple[Any, Any]:
    """Return the mean of two fits that err differently.

    One weighs buckets by how rare they are, the other also by how unequally breaches and other posts have them.
    """
    import numpy as np

    rarity = _rarity(rows)
    shares = (rarity, _with_marks(rarity * _one_sidedness(rows, clauses > 0)))
    fits = [_fitted(rows, clauses, counts, STRENGTH, share) for share in shares]
    return np.mean([weights for weights, _ in fits], axis=0), np.mean([bias for _, bias in fits], axis=0)


def _voice_fit(rows: Any, here: Any, counts: Any) -> tuple[Any, Any]:
    """Return the weights and the bias of the voice."""
    weights, bias = _fitted(rows, here, counts, STRENGTH_OF_VOICE, _rarity(rows))
    return weights[1:], bias[1:]


def _company(texts: Sequence[Sequence[str]]) -> Any:
    """Return the sum of the vectors of the words in each bucket of company."""
    import numpy as np

    words, found = vectors(texts)
    company = np.zeros((BUCKETS - shared(BUCKETS), found.shape[1]), dtype="float32")
    np.add.at(company, [bucket_of_company(word, BUCKETS) - shared(BUCKETS) for word in words], found)
    return company


def _with_company(rows: Any, company: Any) -> Any:
    """Return the rows with the vectors that the buckets of company come to in the place of these buckets."""
    from scipy.sparse import csr_matrix, hstack

    first = shared(BUCKETS)
    return hstack([rows[:, :first], csr_matrix(rows[:, first:] @ company)]).tocsr()


def _of_buckets(weights: Any, company: Any) -> Any:
    """Return the weights of all buckets; that of a vector's numbers goes to the buckets that they stand for."""
    import numpy as np

    first = shared(BUCKETS)
    return np.hstack([weights[:, :first], weights[:, first:] @ company.T])


def _rarity(rows: Any) -> Any:
    """Return what each column weighs: a word that few posts have tells more of them than one that most have."""
    import numpy as np

    having = np.bincount(rows.indices, minlength=rows.shape[1])
    return _with_marks(np.where(having < FEWEST, 0.0, np.log(rows.shape[0] / np.maximum(1, having)) / USUAL))


def _with_marks(shares: Any) -> Any:
    """Return the shares, those of marks and of a word's company full: nearly every text has them, and they are few."""
    shares[sorted({bucket for mark in EVERY for bucket in buckets_of_mark(mark, BUCKETS)})] = 1.0
    shares[shared(BUCKETS) :] = 1.0
    return shares


def _one_sidedness(rows: Any, broken: Any) -> Any:
    """Return for each bucket how unequally the posts that broke a clause and the others have it."""
    import numpy as np

    shares = []
    for some in (rows[broken], rows[~broken]):
        having = np.bincount(some.indices, minlength=rows.shape[1]) + 1.0
        shares.append(having / having.sum())
    return np.sqrt(EVEN + np.abs(np.log(shares[0] / shares[1])))


def _fitted(rows: Any, labels: Any, counts: Any, strength: float, share: Any) -> tuple[Any, Any]:
    """Return the weights and the bias, one row a label; `share` is what each column weighs."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=500, tol=TOLERANCE)
    model.fit(rows.multiply(share).tocsr(), labels, sample_weight=counts)
    weights = model.coef_ * share
    if len(weights) > 1:
        return weights, model.intercept_
    # Of two labels it gives only the second's, against nothing for the first.
    return np.vstack([0 * weights, weights]), np.concatenate([[0.0], model.intercept_])


def matrix(posts: Sequence[Labelled]) -> Any:
    """Return a sparse matrix, one row a post, that a linear model multiplies as Opinion.view does."""
    return _rows(posts, [words_of(Text(post.text)) for post in posts])


def _rows(posts: Sequence[Labelled], texts: Sequence[Sequence[str]]) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix

    values, columns, starts = array("f"), array("i"), array("q", [0])
    for post, words in zip(posts, texts, strict=True):
        found = terms(words)
        share = scale(len(found))
        looks = [bucket for mark in marks(post.text) for bucket in buckets_of_mark(mark, BUCKETS)]
        columns.extend(looks)
        values.extend((share,) * len(looks))
        for term in found:
            buckets = buckets_of(term, BUCKETS)
            columns.extend(buckets)
            values.extend((share,) * 3 + (PIECE * share,) * (len(buckets) - 3) if len(buckets) > 1 else (share,))
        starts.append(len(columns))
    parts = (np.asarray(values), np.asarray(columns), np.asarray(starts))
    made = csr_matrix(parts, shape=(len(posts), BUCKETS))
    made.sum_duplicates()
    return made
