"""How a text looks: counted things, each by the greatest step that its count reaches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rules.marks import EVERY, LONGEST, marks, upto


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        pytest.param("satu dua tiga empat lima", "words 4", id="as many spaces as the step"),
        pytest.param("satu dua tiga empat lima enam", "words 4", id="more than the step, less than the next"),
        pytest.param("jumpa Encik Ali di sini", "capitalised 2", id="a name in the midst"),
        pytest.param("dokumen RAHSIA", "in capitals 2", id="a word in capitals"),
        pytest.param("RM12.50 sahaja", "figures 3", id="figures, whatever they are"),
        pytest.param("hubungi 0123456789", "long numbers 2", id="a long number"),
        pytest.param("satu\ndua", "lines 1", id="a new line"),
        pytest.param("tahniah 🎉", "emoji 1", id="an emoji of four bytes"),
        pytest.param("“petikan”", "quotes 2", id="typeset quotes"),
        pytest.param("Kaunter dibuka.\n", "ends .", id="a full stop at the end"),
        pytest.param("kaunter dibuka", "ends a", id="no sign at the end"),
        pytest.param("kaunter dibuka", "begins a", id="a small letter at the beginning"),
    ],
)
def test_a_text_has_the_mark(text, mark):
    assert mark in marks(text)


def test_what_is_not_there_has_no_mark():
    assert marks("") == []
    assert marks("Kaunter!") == ["capitals 1", "! 1"]


def test_a_mark_stands_for_the_smaller_ones_of_its_kind():
    assert list(upto("numbers 4")) == ["numbers 1", "numbers 2", "numbers 4"]
    assert list(upto("ends .")) == ["ends ."]


@given(text=st.text(max_size=300))
def test_no_kind_is_marked_twice_and_all_marks_are_known(text):
    found = marks(text)
    assert len({mark.rpartition(" ")[0] for mark in found}) == len(found)
    assert set(found) <= set(EVERY)
    assert all(" " in mark for mark in found)


def test_what_comes_after_a_long_text_changes_nothing():
    assert marks("a" * LONGEST + "!" * 9) == marks("a" * LONGEST)
