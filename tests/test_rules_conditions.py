"""The condition language: what it means, and how it says where it is not understood."""

from __future__ import annotations

import math

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
    ("", "the name of a part is expected"),
    ("a b", "'b' is not expected there; join parts with and, or, near N, at: …a ▸b…"),
    ("a near b", "a number is expected after near"),
    ("a and", "the name of a part is expected, at: …a and▸…"),
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


SIGNS = [
    ("of two that must both be there the rarer one", "a and b", {"b"}),
    ("of two near one another the rarer one", "a near 9 b", {"b"}),
    ("either of two", "a or b", {"a", "b"}),
    ("the rarer side, however it is put together", "(a or c) and (b or c)", {"b", "c"}),
    ("what is absent shows by nothing", "a and not b", {"a"}),
    ("nothing but an absence", "not a", None),
    ("one branch that shows by nothing", "a or not b", None),
    ("a part of which nothing can be said beforehand", "z or a", None),
    ("such a part beside another", "z and a", {"a"}),
]


@pytest.mark.parametrize(("text", "signs"), [row[1:] for row in SIGNS], ids=[row[0] for row in SIGNS])
def test_the_signs_of_a_condition_are(text, signs):
    rarity = {"a": 5.0, "b": 1.0, "c": 2.0, "z": math.inf}
    found = parse(text).signs(rarity.__getitem__)
    assert (set(found) if found is not None else None) == signs


POSSIBLE = [
    ("both are there", "a and b", True),
    ("one of two is not there", "a and c", False),
    ("near something that is not there", "a near 5 c", False),
    ("one of two is enough", "c or b", True),
    ("an absence is always possible", "a and not b", True),
]


@pytest.mark.parametrize(("text", "possible"), [row[1:] for row in POSSIBLE], ids=[row[0] for row in POSSIBLE])
def test_a_condition_is_possible_when(text, possible):
    assert parse(text).possible({"a", "b"}) is possible


def test_near_copes_with_many_matches():
    many = [(n * 10, n * 10 + 3) for n in range(20_000)]  # a square of it would take minutes
    far = [(n * 10 + 1_000_000, n * 10 + 1_000_003) for n in range(20_000)]
    assert parse("a near 5 b").matches({"a": many, "b": far}.__getitem__) is None
