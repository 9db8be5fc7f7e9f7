"""The sieve may let too much through, and never too little."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from builders import rule, rule_set
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model import Subject
from monitor.rules.evaluate import evaluate, evaluate_all, judge
from monitor.rules.load import load_rules
from monitor.rules.parts import (
    _stretched,
    compiled,
    counts_far,
    is_wide,
    loosened,
    pattern,
    phrases,
    single_pattern,
    word_tree,
)
from monitor.rules.rule import OpinionUse
from monitor.rules.sieve import _Suspect
from monitor.rules.text import Text, single

HERE = Path(__file__).parent
RULES = HERE.parent / "config" / "rules"
POSTS = sorted((HERE / "data" / "detection").glob("*.jsonl"))


@pytest.fixture(scope="module")
def pack():
    """The shipped rules without the second opinion: what the sieve lets through is no matter of opinion."""
    shipped = load_rules(RULES, today=date(2026, 11, 24)).rules
    return rule_set(*(replace(one, opinion=OpinionUse.IGNORED) for one in shipped))


def texts(pack):
    """Every rule's own examples, and one labelled post in five: all of them take minutes."""
    yield from (example.text for rule in pack.rules for example in rule.tests)
    for path in POSTS:
        yield from (json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()[::5])


def test_no_finding_of_the_pack_is_hidden_by_the_sieve(pack):
    hidden = []
    for text in texts(pack):
        subject = Subject(fields={"text": text})
        whole = Text(text)
        alone = [f for rule in pack.rules if rule.active and (f := judge(rule, whole, subject, "text"))]
        if list(evaluate(pack, subject)) != alone:
            hidden.append(text)
    assert hidden == []


def test_what_the_pack_finds_in_a_page_is_what_it_finds_in_each_post(pack):
    subjects = [Subject(fields={"text": text}) for text in list(texts(pack))[::8]]
    assert evaluate_all(pack, subjects) == [evaluate(pack, one) for one in subjects]


def test_most_ordinary_posts_are_let_through_at_once(pack):
    ordinary = [example.text for rule in pack.rules for example in rule.tests if not example.fires]
    judged = sum(len(one.candidates) for one in pack.sieve.suspected_of(ordinary) if one is not None)
    assert judged < len(ordinary) * len(pack.rules) / 5


@pytest.mark.parametrize(
    ("source", "stretched"),
    [
        pytest.param("sulit", "s+u+l+i+t+", id="letters"),
        pytest.param(r"(?m)^\W{0,4}(ab|c)\W{2}$", r"(?m)^\W*(a+b+|c+)\W+$", id="classes, anchors and groups"),
        pytest.param(r"a?b*[c-e]+?f{2,}", "a*b*[c-e]+f+", id="what repeats already"),
        pytest.param(r"(?:ab){2}?\bx(?P<n>y)*", r"(?:a+b+){2}?\bx+(?P<n>y+)*", id="groups that repeat"),
        pytest.param(r"[]a][^]b]\]\d{10,16}", r"[]a]+[^]b]+\]+\d+", id="brackets in classes"),
    ],
)
def test_a_stretched_pattern_is(source, stretched):
    assert _stretched(source) == stretched
    assert compiled(_stretched(source))


@pytest.mark.parametrize("text", ["#BalikKampung", "balik kampung", "juallah", "juallllah", "jualan lah", "lla"])
def test_words_written_as_one_that_share_a_letter_are_not_hidden(text):
    part = phrases(["balik kampung", "jual* lah", "l la"])
    assert part.find(Text(text))
    assert rule_set(rule({"p": part}, "p")).sieve.suspected(text)


@settings(deadline=None)  # the first one loads the known words
@given(st.text(alphabet="sulit 5.1🔥\n", max_size=60))
def test_the_trigger_of_a_squeezed_part_never_hides_a_match(text):
    for part in (
        phrases(["sulit", "sul it"], views=("folded", "squeezed")),
        pattern(r"\bsu(?:l|t)?it?\b", views=("squeezed",)),
    ):
        rules = rule_set(rule({"p": part}, "p"))
        if part.find(Text(text)):
            assert rules.sieve.suspected(text)


@given(
    st.lists(st.sampled_from(["sulit", "su*", "*lit su", "sul it", "tt", "5u lit", "u"]), min_size=1),
    st.text("sulit 5-\n"),
)
def test_the_tree_of_words_finds_every_phrase_that_one_of_its_patterns_finds(words, text):
    found = phrases(words).triggers.phrases
    if any(compiled(single_pattern(phrase)).search(single(text)) for phrase in found):
        assert compiled(word_tree(found)).search(text)


@settings(deadline=None)  # the first one loads the known words
@given(
    st.lists(st.sampled_from(["sulit", "su*", "*lit su", "sul it", "tt", "5u lit", "SULIT", "sulllit"]), min_size=1),
    st.text("sulitSULIT 5-.\n"),
    st.booleans(),
)
def test_the_words_that_are_looked_for_before_a_pattern_never_hide_a_match(words, text, exact):
    part = phrases(words, exact=exact, views=("folded", "squeezed"))
    slow = replace(part, sources=tuple(replace(source, words=("",) * len(source.forms)) for source in part.sources))
    assert any(source.words for source in part.sources)
    assert part.find(Text(text)) == slow.find(Text(text))
    assert part.present(Text(text)) == slow.present(Text(text))


@pytest.mark.parametrize(
    ("source", "wide"),
    [
        pytest.param("[a-z ]{3,30} bin", True, id="counts from every letter on"),
        pytest.param("bin [a-z ]{3,30}", False, id="after a word"),
        pytest.param("(?:bin|bt) ?[a-z ]{3,30}", False, id="after one of two words"),
        pytest.param("(?:bin|[a-z ]{3,30}ku)", True, id="beside a word"),
        pytest.param("(?:bin)?[a-z ]{3,30}", True, id="after a word that may be missing"),
        pytest.param(r"\d{6}-\d{2}-\d{4}", False, id="counts not far"),
    ],
)
def test_a_pattern_is_wide_when_it_counts_far_from_nearly_every_place(source, wide):
    assert is_wide(source) is wide


def test_patterns_that_count_far_are_looked_for_apart_from_the_others():
    far, near = r"kod [^\n]{0,40}[0-9]", r"kata [^\n]{0,4}[0-9]"
    rules = rule_set(rule({"a": pattern(far), "b": pattern(near)}, "a or b"))
    assert (counts_far(far), counts_far(near)) == (True, False)
    assert [len(one.behind) for one in rules.sieve._signs.folded.sets] == [1, 1]
    assert all(rules.sieve.suspected(text) for text in ("kod rahsia ialah 7", "kata 7"))


@pytest.mark.parametrize(
    ("source", "loose"),
    [
        pytest.param("[a-z ]{3,30} bin", "[a-z ]{3,} bin", id="counts far"),
        pytest.param("[a-z]{0,12}?x", "[a-z]{0,}x", id="from none on"),
        pytest.param(r"\d{2,4}[{]{16}(?:ab){1,20}", r"\d{2,4}[{]{16}(?:ab){1,20}", id="not far, a number, or a group"),
    ],
)
def test_a_loosened_pattern_is(source, loose):
    assert loosened(source) == loose
    assert compiled(loose)


def test_what_a_rule_keeps_of_the_texts_it_was_asked_for_has_a_bound(pack):
    """I13. Each combination of its parts is a new one; a hundred rules keep what a thousand of them take."""
    rule = max(pack.rules, key=lambda one: len(one.parts))
    suspect = _Suspect(rule, {part.triggers: 1 << number for number, part in enumerate(rule.parts.values())})
    for seen in range(2_500):
        suspect.candidate(seen)
    assert len(suspect._known) <= 1_000
