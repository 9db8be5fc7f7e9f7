"""No text makes a detector slow, and no detector finds what its trigger does not announce."""

from __future__ import annotations

import time

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.detectors import DETECTORS
from monitor.rules.text import Text

SEEDS = [
    "0", "1-", "a@", "a.", "a-", "a1", "http://", "(", "\\\\a", "1.1.", "ic ", "bin ", "a bin a ", "ali bin abu, ", "no 1 ",
    "no. 1, jalan a, 43000 ", "850213-14-0001 ", "850213140001 ", "012-3456789 ", "+", "+6", "maybank 164012345678 ", "pwd ",
    "pwd: a1", "ey-", "xoxa-", "a dot ", "a[.]", "bit.ly/", "x.com ", "://a:", "fd00:", "(s) ", "a/1", "1) ", "1) ali ", "puan ", "\n1. A B",
    "contoh 850213-14-1234 ", "kereta vab 1234 ", "o", "1 ", "tan a, ", "01", "rumah jalan a 43000 ", "kampung 43000 ", "'", "a'",
    "srv-", "aa ", "jld.", "[at]", "a[at]",
]  # fmt: skip
SHORT, LONG = 10_000, 80_000  # characters
MOST_GROWTH = 8 * 3  # eightfold text: quadratic time would be 64-fold
WHOLE = 0.1  # seconds below which growth is noise


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_time_grows_with_the_text_and_not_with_its_square(name, seed):
    short, long = Text(seed * (SHORT // len(seed))), Text(seed * (LONG // len(seed)))
    if _seconds(name, long) > WHOLE:
        assert _fastest(name, long) < MOST_GROWTH * _fastest(name, short)


def _fastest(name, text):
    """Return the best of some: the collector of a process with many tests behind it may take a second of one."""
    return min(_seconds(name, text) for _ in range(5))


def _seconds(name, text):
    assert len(text.folded) == len(text.exact)  # folding is not what is measured
    start = time.process_time()
    DETECTORS[name].spans(text)
    return time.process_time() - start


PIECES = st.sampled_from([
    "ali bin abu", "850213-14-0001", "850213140001", "ic", "no. pasport", "A12345678", "maybank", "164012345678",
    "012-3456789", "+65 9123 4567", ", ", "\n", "1. ", " ", "-", "/", "(", "kereta", "VAB 1234", "rumah",
    "No. 3, Jalan Mawar", "43000 Kajang", "x@gmail.com", "bit.ly/a", "gov-my.xyz", "pwd: ", "Rahsia#9", "10.1.1.1",
    "srv-db01", "KDN.S.600-2/1/4 Jld.3 (17)", "TIN IG12345678901", "no. polis RF12345", "[.]", "а", "٣", "é",
    "[at]", "Puan Salwa", "fd00::1", "pin: 482913",
])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_what_a_detector_finds_its_trigger_announces(original):
    text = Text(original)
    for detector in DETECTORS.values():
        spans = detector.spans(text)
        assert not spans or re2.search(detector.trigger, text.folded), detector.name
        assert all(0 <= start < end <= len(text.folded) for start, end in spans)
        assert set(detector.find(text.folded)) <= set(spans)
