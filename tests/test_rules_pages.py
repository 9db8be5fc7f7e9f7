"""Posts that are judged together have the findings that each has alone."""

from __future__ import annotations

from datetime import timedelta

from builders import rule, rule_set
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model import Subject
from monitor.rules.evaluate import evaluate, evaluate_all
from monitor.rules.history import Posts, Stated
from monitor.rules.parts import pattern, phrases

PIECES = (
    "sulit",
    "su",
    "lit",
    "lul",
    "i",
    "t",
    "5",
    " ",
    ".",
    "\n",
    "🔥",
    "é",
    "#AbCd",
    "\0",
    "\x1d",
    " \x1e ",
    "suuulit",
    "s.u.l.i.t",
    "’",
    "ѕulit",
)
TEXT = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=8))
def test_texts_judged_together_have_the_findings_that_each_has_alone(originals):
    rules = rule_set(
        rule({"a": phrases(["sulit", "su 5"], views=("folded", "squeezed"))}, "a", id="guide/1a/a"),
        rule({"a": pattern(r"\Asu|lit\z")}, "a", id="guide/1a/b"),
        rule({"a": pattern(r"(?m)^i\W?t$"), "b": phrases(["lul"])}, "a and not b", id="guide/1a/c"),
    )
    subjects = [Subject(fields={"text": text, "picture:0": text[::-1]}) for text in originals]
    assert evaluate_all(rules, subjects) == [evaluate(rules, one) for one in subjects]


def test_each_post_is_asked_for_with_its_own_history():
    rules = rule_set(
        rule({"a": phrases(["airdrop"]), "many": Posts(at_least=10, within=timedelta(hours=1))}, "a and many")
    )
    subjects = [Subject(fields={"text": "airdrop"})] * 2
    assert [len(found) for found in evaluate_all(rules, subjects, [Stated(posts=10), Stated(posts=0)])] == [1, 0]


def test_a_rule_that_a_history_alone_breaks_is_asked_about_posts_of_ordinary_words_too():
    rules = rule_set(rule({"many": Posts(at_least=10, within=timedelta(hours=1))}, "many"))
    subjects = [Subject(fields={"text": "selamat pagi"})] * 2
    assert [len(found) for found in evaluate_all(rules, subjects, [Stated(posts=10), Stated(posts=0)])] == [1, 0]
