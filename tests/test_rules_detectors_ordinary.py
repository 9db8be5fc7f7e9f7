"""Ordinary posts of agencies are quiet, save where a name, a number or an account is openly given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import re2

from monitor.rules.detectors import DETECTORS
from monitor.rules.text import Text

POSTS = [json.loads(line) for line in (Path(__file__).parent / "data/detection/posts.jsonl").read_text().splitlines()]
ORDINARY = [Text(post["text"]) for post in POSTS if not post["breach"]]
OPENLY_GIVEN = {
    "person-name": {"encik azman", "puan salwa"},
    "bank-account": {"8600 1234 5678"},
    "mobile-number": {"019-3456123"},
    "phone-number": {"019-3456123"},
}
MOST_TRIGGERED = 0.06  # of posts: what a trigger lets through costs time


@pytest.mark.parametrize("name", DETECTORS)
def test_ordinary_posts_are_quiet(name):
    spans = {text.folded[slice(*span)] for text in ORDINARY for span in DETECTORS[name].spans(text)}
    assert spans == OPENLY_GIVEN.get(name, set())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_trigger_is_rare(name):
    trigger = re2.compile(DETECTORS[name].trigger)
    assert sum(trigger.search(text.folded) is not None for text in ORDINARY) <= MOST_TRIGGERED * len(ORDINARY)
