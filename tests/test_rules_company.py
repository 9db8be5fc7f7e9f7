"""Words that keep the same company are alike; where there is little text, nothing is said of any."""

from __future__ import annotations

import random

import numpy as np

from monitor.rules.company import FEWEST_WORDS, SIZE, vectors
from monitor.rules.learning import BUCKETS, Bars, Labelled, learn
from monitor.rules.opinion import Opinion
from monitor.rules.text import Text
from monitor.rules.weights import bucket_of_company, shared

LETTERS = "bcdfghjklmnp"
FILLING = [a + "a" + b + "u" + c for a in LETTERS for b in LETTERS for c in LETTERS + "qrstvw"][: FEWEST_WORDS + 100]
RANDOM = random.Random(5)


def talk(words: str, times: int) -> list[list[str]]:
    """Return texts in which one of the words stands with others of its circle."""
    return [RANDOM.sample(words.split(), 4) for _ in range(times)]


BAKING = "kek donat biskut pulut tepung gula mentega oven"
GUARDING = "sentri pengawal syif pos rondaan pagar senjata bedil"
TEXTS = [*talk(BAKING, 200), *talk(GUARDING, 200), *([word] * 6 for word in FILLING)]


def test_words_that_keep_the_same_company_are_alike():
    words, found = vectors(TEXTS)
    assert found.shape == (len(words), SIZE)
    of = dict(zip(words, found, strict=True))
    assert np.linalg.norm(of["kek"]) == np.float32(1).item() or abs(np.linalg.norm(of["kek"]) - 1) < 1e-5
    assert of["kek"] @ of["donat"] > of["kek"] @ of["sentri"] + 0.3


def test_of_little_text_nothing_is_said():
    words, found = vectors(TEXTS[:400])
    assert (list(words), found.shape) == ([], (0, SIZE))


def heard_of(posts: list[Labelled]) -> Opinion:
    bars = Bars(lift={"1a": 0.5}, confirm=0.5, doubt=0.1, voice={"1a": 0.5})
    return learn(posts, instrument="guide", bars=bars)


def test_a_word_that_no_labelled_post_has_is_known_by_its_company():
    posts = [Labelled(text=f"{word} ini", clause="1a") for word in ("sentri", "pengawal", "pos", "pagar") * 4]
    posts += [Labelled(text=f"{word} ini") for word in ("kek", "donat", "gula", "tepung") * 4]
    unlabelled = [Labelled(text=" ".join(words), weight=0.0, elsewhere=True) for words in TEXTS]
    told, other = (heard_of([*posts, *unlabelled]).view(Text(word)).sureness for word in ("bedil", "oven"))
    assert told > other + 0.05
    without, same = (heard_of(posts).view(Text(word)).sureness for word in ("bedil", "oven"))
    assert abs(without - same) < told - other


def test_the_buckets_of_company_are_of_words_alone():
    assert shared(BUCKETS) <= bucket_of_company("kek", BUCKETS) < BUCKETS
