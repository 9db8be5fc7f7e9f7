"""Makes the learned second opinion from labelled posts. Needs `pantau[learn]`; the daemon only reads what comes out."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitor.rules.opinion import NONE, Opinion, buckets_of, scale, terms, words_of
from monitor.rules.text import Text

BUCKETS = 1 << 16
STRENGTH = 20.0  # of the fit; greater trusts single posts more


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A post and the clause that it breaks; NONE for an ordinary one. `weight` tells how much it counts."""

    text: str
    clause: str = NONE
    weight: float = 1.0


def learn(posts: Sequence[Labelled], *, instrument: str, lift: float, confirm: float) -> Opinion:
    """Return a model of the posts. The same posts in the same order always give the same model.

    Raises ImportError without scikit-learn.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, max_iter=1_000)
    labels = (NONE, *sorted({post.clause for post in posts} - {NONE}))
    model.fit(matrix(posts), [labels.index(post.clause) for post in posts], sample_weight=[p.weight for p in posts])
    weights, bias = model.coef_, model.intercept_
    if len(labels) == 2:  # then it gives only the second label's, against nothing for the first
        weights, bias = np.vstack([0 * weights, weights]), np.concatenate([[0.0], bias])
    return Opinion(
        instrument=instrument,
        labels=labels,
        buckets=BUCKETS,
        weights=array("f", weights.T.ravel().tolist()),
        bias=tuple(bias.tolist()),
        lift=lift,
        confirm=confirm,
    )


def matrix(posts: Sequence[Labelled]) -> Any:
    """Return a sparse matrix, one row a post, that a linear model multiplies as Opinion.view does."""
    from scipy.sparse import csr_matrix

    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    for post in posts:
        words = words_of(Text(post.text))
        found = [bucket for term in terms(words) for bucket in buckets_of(term, BUCKETS)]
        columns += found
        values += [scale(len(words))] * len(found)
        starts.append(len(columns))
    return csr_matrix((values, columns, starts), shape=(len(posts), BUCKETS))
