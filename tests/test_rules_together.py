"""Texts that are looked through together: too many may be named, and never too few."""

from __future__ import annotations

from datetime import timedelta

import pytest
import re2
from builders import rule, rule_set
from hypothesis import given, settings
from hypothesis import strategies as st
from test_rules_sieve import pack, texts  # noqa: F401 (a fixture)

from monitor.model import Subject
from monitor.rules.evaluate import evaluate, evaluate_all
from monitor.rules.history import Posts, Stated
from monitor.rules.parts import pattern, phrases
from monitor.rules.text import fold
from monitor.rules.together import NotTogether, Together, by_lines

PATTERNS = (
    r"\Asulit", r"sulit\z", "^sulit$", r"(?-m)^su", r"(?s-m:^su.+lit$)", r"\bsulit\b", r"\Bl\B", r"\W{0,4}sulit\W$",
    r"(?P<name>su)\s*lit", r"(?P<name>lit)[^a-z]*$", r"(?s)su.*lit", "[^a-z]{3}", r"\b5",
)  # fmt: skip
PIECES = ("sulit", "su", "lit", "lul", "i", "t", "5", " ", ".", "\n", "🔥", "é", "#AbCd", "\0", "suuulit", "s.u.l.i.t")
TEXT = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@settings(deadline=None)  # the first one loads the known words
@given(st.sets(st.sampled_from(PATTERNS), min_size=1), st.lists(TEXT, max_size=8))
def test_no_text_that_matches_alone_is_missing_among_those_touched(patterns, originals):
    alone = [
        number
        for number, text in enumerate(originals)
        if any(re2.search(one, fold(text).encode()) is not None for one in patterns)
    ]
    assert set(alone) <= set(Together(patterns).touched(originals))


@settings(deadline=None)
@given(st.lists(TEXT, max_size=8))
def test_texts_judged_together_have_the_findings_that_each_has_alone(originals):
    rules = rule_set(
        rule({"a": phrases(["sulit", "su 5"], views=("folded", "squeezed"))}, "a", id="guide/1a/a"),
        rule({"a": pattern(r"\Asu|lit\z")}, "a", id="guide/1a/b"),
        rule({"a": pattern(r"(?m)^i\W?t$"), "b": phrases(["lul"])}, "a and not b", id="guide/1a/c"),
    )
    assert rules.sieve._one_glance_tells
    subjects = [Subject(fields={"text": text, "picture:0": text[::-1]}) for text in originals]
    assert evaluate_all(rules, subjects) == [evaluate(rules, one) for one in subjects]


def test_what_the_pack_finds_in_a_page_is_what_it_finds_in_each_post(pack):  # noqa: F811
    subjects = [Subject(fields={"text": text}) for text in list(texts(pack))[::8]]
    assert evaluate_all(pack, subjects) == [evaluate(pack, one) for one in subjects]


def test_each_post_is_asked_for_with_its_own_history():
    rules = rule_set(
        rule({"a": phrases(["airdrop"]), "many": Posts(at_least=10, within=timedelta(hours=1))}, "a and many")
    )
    subjects = [Subject(fields={"text": "airdrop"})] * 2
    assert [len(found) for found in evaluate_all(rules, subjects, [Stated(posts=10), Stated(posts=0)])] == [1, 0]


def test_one_look_lets_a_page_of_ordinary_posts_through():
    rules = rule_set(rule({"a": phrases(["minit mesyuarat"])}, "a"))
    page = [
        "Selamat pagi",
        "Jalan ditutup malam ini.\nTerima kasih",
        "Minit mesyuarat",
        "😀 dan lagi",
        "m1n1t mesyuarat",
    ]
    assert rules.sieve._together.touched(page * 20) == [n for n in range(100) if n % 5 in {2, 4}]


@pytest.mark.parametrize(
    ("pattern", "changed"),
    [
        pytest.param(r"\Aa\z|[\\A]", r"(?m:(?m:^)a(?m:$)|[\\A])", id="ends of the text"),
        pytest.param(r"(?i-m)a(?s-mU:b)(?-m:c)", r"(?m:(?im)a(?sm-U:b)(?m:c))", id="flags"),
        pytest.param(r"(?P<x>a)(?<y>b)(?:c)(d)", r"(?m:(a)(b)(?:c)(d))", id="names"),
    ],
)
def test_a_pattern_by_lines_is(pattern, changed):
    assert by_lines(pattern) == changed
    assert re2.compile(changed)


def test_patterns_that_quote_are_not_looked_for_in_joined_texts_but_found_all_the_same():
    with pytest.raises(NotTogether):
        by_lines(r"\Q\A\E")
    rules = rule_set(rule({"a": pattern(r"\Q\A\E")}, "a"))
    assert len(evaluate_all(rules, [Subject(fields={"text": r"a \A b"})])[0]) == 1
