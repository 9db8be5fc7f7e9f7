"""Answers in JSON taken apart: what is missing or of another kind is empty, and breaks nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.payload import identifier, inner, moment, number, objects, parts, string

CARD = {"title": "Notis", "words": ["a", {"id": 7}, None, {"id": "8"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.sampled_from("ab"), inside),
)


def test_a_path_leads_to_what_is_at_its_end():
    item = {"attachment": {"card": CARD}}
    assert inner(item, "attachment", "card") == CARD
    assert [identifier(part) for part in parts(item, "attachment", "card", "words")] == ["7", "8"]
    assert string(inner(item, "attachment", "card"), "title") == "Notis"


@given(st.dictionaries(st.sampled_from("ab"), JSON))
def test_whatever_an_answer_holds_a_path_into_it_ends_in_something_of_the_right_kind(item):
    assert isinstance(inner(item, "a", "b"), dict)
    assert all(isinstance(part, dict) for part in parts(item, "a", "b"))
    assert isinstance(string(item, "a"), str)


def test_a_list_with_anything_but_objects_in_it_is_no_list_of_objects():
    assert objects([CARD, {}]) == [CARD, {}]
    assert objects([]) == []
    assert [objects(value) for value in ([CARD, 1], {"data": []}, None)] == [None] * 3


def test_a_number_may_stand_in_digits_and_true_is_none():
    assert [number(value) for value in (12, "12", True, "1.5", "9" * 20, None)] == [12, 12, None, None, None, None]
    assert [identifier({"id": value}) for value in (12, "12", True, None)] == ["12", "12", "", ""]


TIMES = {
    "with its zone": ("2026-11-24T10:00:00+0800", datetime(2026, 11, 24, 2, tzinfo=UTC)),
    "in UTC": ("2026-11-24T02:00:00Z", datetime(2026, 11, 24, 2, tzinfo=UTC)),
    "without a zone": ("2026-11-24T02:00:00", datetime(2026, 11, 24, 2, tzinfo=UTC)),
    "before all time, seen from UTC": ("0001-01-01T00:00:00+08:00", None),
    "in words": ("semalam", None),
    "in seconds": (1_795_000_000, None),
}


@pytest.mark.parametrize(("written", "time"), TIMES.values(), ids=TIMES)
def test_a_time_is_told_in_utc(written, time):
    assert moment(written) == time


def test_a_time_without_a_zone_is_what_the_platform_means_by_it():
    assert moment("2026-11-24T10:00:00", zone=timezone(timedelta(hours=8))) == datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert moment("2026-11-24T10:00:00", zone=None) is None
