"""The condition language: what it means, and how it says where it is not understood."""

from __future__ import annotations

import pytest

from monitor.rules.conditions import BadCondition, parse

A, B, C = (0, 5), (20, 25), (100, 105)
FOUND = {"a": [A], "b": [B], "c": [C], "two": [A, B], "none": []}

TABLE = [
    ("a part that matched", "a", [A]),
    ("a part that did not", "none", None),
    ("both of two", "a and b", [A, B]),
    ("both, and one is not there", "a and none", None),
    ("either of two", "none or b", [B]),
    ("and binds closer than or", "a or none and none", [A]),
    ("parentheses come first", "(a or none) and none", None),
    ("not of what is absent", "a and not none", [A]),
    ("not of what is there", "a and not b", None),
    ("near enough", "a near 15 b", [A, B]),
    ("one character too far", "a near 14 b", None),
    ("near in either order", "b near 15 a", [B, A]),
    ("near keeps only those that are near", "two near 80 c", [B, C]),
    ("near a group", "a near 15 (none or b)", [A, B]),
    ("near binds closer than and", "c and a near 15 b", [C, A, B]),
    ("as many as asked for", "two >= 2", [A, B]),
    ("fewer than asked for", "a >= 2", None),
]


@pytest.mark.parametrize(("text", "spans"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_condition_means(text, spans):
    matched = parse(text).matches(FOUND.__getitem__)
    assert (list(matched) if matched is not None else None) == spans


MISTAKES = [
    ("", "is empty"),
    ("a b", "'b' is not expected there"),
    ("a near b", "a number is expected after near"),
    ("a and", "the name of a part is expected at the end"),
    ("(a or b", "a closing parenthesis is missing"),
    ("a & b", "'& b' is not understood"),
    ("a >= x", "a number is expected after >="),
    ("and a", "found 'and'"),
    ("(" * 60 + "a" + ")" * 60, "nested too deep"),
    ("not " * 5000 + "a", "nested too deep"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES, ids=[words for _, words in MISTAKES])
def test_a_mistake_is_named(text, words):
    with pytest.raises(BadCondition, match=words.replace("(", r"\(")):
        parse(text)


def test_near_copes_with_many_matches():
    many = [(n * 10, n * 10 + 3) for n in range(20_000)]  # a square of it would take minutes
    far = [(n * 10 + 1_000_000, n * 10 + 1_000_003) for n in range(20_000)]
    assert parse("a near 5 b").matches({"a": many, "b": far}.__getitem__) is None
