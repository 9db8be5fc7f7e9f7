"""What words mean, by the company they keep: those that stand among the same others get like vectors.

The labelled posts are few, and most words of the language stand in none of them. Texts that nobody has labelled tell
which words are used alike, so that what is learned of one word holds, in part, for others that a model never saw.
Needs scikit-learn.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

SIZE = 100  # numbers a word
FEWEST_TIMES = 6  # that a word stands somewhere: of a rarer one its company says nothing
FEWEST_WORDS = 2_000  # so known, or there is too little text to learn from
REACH = 5  # words to each side that are its company; the near ones count for more
SMOOTHED = 0.75  # power of how common a companion is: rare ones would weigh too much


def vectors(texts: Sequence[Sequence[str]]) -> tuple[Sequence[str], Any]:
    """Return the words that stand often enough in the texts, and one row of length 1 for each: none if they are few."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.utils.extmath import randomized_svd

    often = Counter(word for words in texts for word in words if word.isalpha())
    known = [word for word, times in often.most_common() if times >= FEWEST_TIMES]
    if len(known) < FEWEST_WORDS:
        return [], np.zeros((0, SIZE), dtype="float32")
    together = _together(texts, {word: place for place, word in enumerate(known)}).tocoo()
    share = np.asarray(together.sum(axis=1)).ravel()
    usual = share**SMOOTHED / (share**SMOOTHED).sum()
    more = np.log(together.data / (share[together.row] * usual[together.col]))
    kept = more > 0
    surprise = csr_matrix((more[kept], (together.row[kept], together.col[kept])), shape=together.shape)
    left, sizes, _ = randomized_svd(surprise, n_components=SIZE, n_iter=3, random_state=0)
    found = left * np.sqrt(sizes)
    return known, (found / np.maximum(1e-9, np.linalg.norm(found, axis=1, keepdims=True))).astype("float32")


def _together(texts: Sequence[Sequence[str]], of: Mapping[str, int]) -> Any:
    """Return how often each two known words stand near each other."""
    import numpy as np
    from scipy.sparse import coo_matrix, csr_matrix

    nobody = (-1,) * REACH  # between two texts
    places = array("i")
    for words in texts:
        places.extend(of.get(word, -1) for word in words if word.isalpha())
        places.extend(nobody)
    row = np.asarray(places)
    together = csr_matrix((len(of), len(of)), dtype="float32")
    for apart in range(1, REACH + 1):
        first, second = row[:-apart], row[apart:]
        known = (first >= 0) & (second >= 0)
        near = np.full(int(known.sum()), 1 / max(1, apart - 1), dtype="float32")
        together = together + coo_matrix((near, (first[known], second[known])), shape=together.shape).tocsr()
    return together + together.T
