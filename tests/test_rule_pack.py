"""The shipped pack: it loads, covers every clause, and keeps its word on labelled posts.

Floors on the posts that the pack and the second opinion were made with guard what was reached, and prove nothing more.
The frozen parts were written by models that did not see the rules; no rule was tuned on them and the opinion never
learned them. But the totals of all were looked at while its thresholds were chosen: what they say is a little too good.
The third and the fifth are of writers of whom nothing was learned, the fourth of writers whose other posts were. Their
floors stand a little below what was reached.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from detection import Labelled, clauses_alerted, labelled, score

from monitor.model import Disclosure, Severity
from monitor.rules.load import load_rules
from monitor.rules.rule import OpinionUse, RuleSet, Status

HERE = Path(__file__).parent
RULES = HERE.parent / "config" / "rules"
POSTS = HERE / "data" / "detection"
FROZEN = ("frozen", "frozen-2", "frozen-3", "frozen-4", "frozen-5")
FLOORS = [  # part, precision, recall, right clause
    ("posts", 0.97, 0.95, 0.95),
    ("examples", 0.97, 0.95, 0.97),
    ("dev-3a-3b", 0.95, 0.95, 0.95),
    ("dev-3c-4", 0.95, 0.95, 0.95),
    ("frozen", 0.97, 0.87, 0.97),
    ("frozen-2", 0.93, 0.90, 0.97),
    ("frozen-3", 0.86, 0.82, 0.94),
    ("frozen-4", 0.83, 0.71, 0.86),
    ("frozen-5", 0.93, 0.81, 0.97),
]


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load_rules(RULES, today=date(2026, 11, 24))


def test_every_clause_has_at_least_three_live_rules(pack: RuleSet) -> None:
    live = Counter(rule.clause.ref for rule in pack.rules if rule.status is Status.LIVE)
    assert {ref: live[ref] >= 3 for ref in ("3a", "3b", "3c", "4")} == dict.fromkeys(("3a", "3b", "3c", "4"), True)


def test_every_rule_has_several_tests_of_each_kind_and_both_titles(pack: RuleSet) -> None:
    thin = [
        rule.id
        for rule in pack.rules
        if min(Counter(example.fires for example in rule.tests).values()) < 2 or not (rule.title_ms and rule.title_en)
    ]
    assert thin == []


def test_what_leaks_is_never_repeated_in_a_mail(pack: RuleSet) -> None:
    leaky = [
        rule.id for rule in pack.rules if rule.clause.ref in {"3c", "4"} and rule.disclosure is not Disclosure.NONE
    ]
    assert leaky == []


def test_a_hijacked_account_is_critical(pack: RuleSet) -> None:
    hijack = [rule for rule in pack.rules if "/hijack-" in rule.id]
    assert hijack
    assert {rule.severity for rule in hijack} == {Severity.CRITICAL}


def test_signs_alone_mail_nobody(pack: RuleSet) -> None:
    signs = [rule for rule in pack.rules if "/signs-of-" in rule.id]
    assert len(signs) >= 10
    assert {rule.severity for rule in signs} == {Severity.LOW}


def test_what_a_rule_says_it_is_for_is_confirmed(pack: RuleSet) -> None:
    uses = {OpinionUse.CONFIRMS, OpinionUse.DOUBTS}
    asking = [rule for rule in pack.rules if rule.opinion in uses and rule.status is Status.LIVE]
    assert asking
    fires = [(rule, example.text) for rule in asking for example in rule.tests if example.fires]
    assert [(rule.id, text) for rule, text in fires if rule.clause.ref not in clauses_alerted(pack, text)] == []


def test_a_file_reference_alone_mails_nobody(pack: RuleSet) -> None:
    assert clauses_alerted(pack, "Rujukan kami: JKR.HQ(S) 100-4/2/1 Jld.3 (22)") == set()


@pytest.mark.parametrize("part", ["posts", "dev-3a-3b", "dev-3c-4", *FROZEN])
def test_half_of_the_posts_that_measure_are_no_breach(part: str) -> None:
    posts = labelled(POSTS / f"{part}.jsonl")
    assert 0.4 <= sum(post.breach for post in posts) / len(posts) <= 0.6


def test_the_labelled_posts_are_many_and_of_every_clause() -> None:
    posts = [post for path in POSTS.glob("*.jsonl") for post in labelled(path)]
    assert len(posts) >= 600
    assert {post.clause for post in posts if post.breach} == {"3a", "3b", "3c", "4"}


def test_no_frozen_post_stands_among_those_that_are_tuned_on() -> None:
    others = {post.text for path in POSTS.glob("*.jsonl") if path.stem not in FROZEN for post in labelled(path)}
    assert not others & {post.text for part in FROZEN for post in labelled(POSTS / f"{part}.jsonl")}


@pytest.mark.parametrize(("part", "precision", "recall", "right_clause"), FLOORS, ids=[row[0] for row in FLOORS])
def test_labelled_posts_are_told_apart(
    pack: RuleSet, part: str, precision: float, recall: float, right_clause: float
) -> None:
    found = score(pack, labelled(POSTS / f"{part}.jsonl"))
    shown: list[Labelled] = [] if part in FROZEN else [*found.false_alarms, *found.missed]
    assert found.precision >= precision, shown
    assert found.recall >= recall, shown
    assert found.right_clause >= right_clause


@pytest.mark.parametrize(
    "disguise",
    [
        pytest.param("s\u200bl\u200bo\u200bt g\u200ba\u200bc\u200bo\u200br, klik link bio", id="zero-width characters"),
        pytest.param("ѕlоt gаcоr, klik link bio", id="Cyrillic look-alikes"),
        pytest.param("ｓｌｏｔ ｇａｃｏｒ, klik link bio", id="full-width letters"),
        pytest.param("sl0t g4c0r, klik link bio", id="digits for letters"),
        pytest.param("s1ot gac0r, klik link bio", id="a one for an l"),
        pytest.param("S L O T  G A C O R, klik link bio", id="spaced letters"),
        pytest.param("slooot gaaacor, klik link bio", id="stretched letters"),
        pytest.param("#SlotGacor klik link bio", id="a hashtag"),
        pytest.param("s.l.o.t g.a.c.o.r, klik link bio", id="dots between"),
        pytest.param("sl.ot ga.cor, klik link bio", id="broken words"),
        pytest.param("s🎰l🎰o🎰t g🎰a🎰c🎰o🎰r, klik link bio", id="emoji between"),
    ],
)
def test_a_disguised_word_is_still_found(pack: RuleSet, disguise: str) -> None:
    assert "3a" in clauses_alerted(pack, disguise)
