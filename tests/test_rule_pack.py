"""The first rule pack: it loads, covers every clause, and keeps its word on posts that its own tests do not hold.

The figures here are floors on a set that the pack was tuned with: they guard what was reached, and prove nothing of
posts that nobody here has seen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from monitor.model import Disclosure, Severity, Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.load import load_rules
from monitor.rules.rule import RuleSet, Status

HERE = Path(__file__).parent
RULES = HERE.parent / "config" / "rules"
POSTS = HERE / "data" / "detection" / "posts.jsonl"
LEAST_PRECISION = 0.97
LEAST_RECALL = 0.95
LEAST_RIGHT_CLAUSE = 0.95


@dataclass(frozen=True, slots=True)
class Labelled:
    text: str
    breach: bool
    clause: str


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load_rules(RULES, today=date(2026, 11, 24))


@pytest.fixture(scope="module")
def posts() -> Sequence[Labelled]:
    rows = [json.loads(line) for line in POSTS.read_text(encoding="utf-8").splitlines()]
    return [Labelled(row["text"], row["breach"], row["clause"]) for row in rows]


def clauses_alerted(pack: RuleSet, text: str) -> set[str]:
    """Return the clauses of the findings that would be mailed: medium and above."""
    found = evaluate(pack, Subject(fields={"text": text}))
    return {finding.clause.ref for finding in found if finding.severity >= Severity.MEDIUM}


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


def test_a_file_reference_alone_mails_nobody(pack: RuleSet) -> None:
    assert clauses_alerted(pack, "Rujukan kami: JKR.HQ(S) 100-4/2/1 Jld.3 (22)") == set()


def test_the_labelled_set_is_half_breaches_and_names_each_clause(posts: Sequence[Labelled]) -> None:
    breaches = [post for post in posts if post.breach]
    assert len(posts) >= 200
    assert 0.4 <= len(breaches) / len(posts) <= 0.6
    assert {post.clause for post in posts} == {"3a", "3b", "3c", "4"}


def test_labelled_posts_are_told_apart(pack: RuleSet, posts: Sequence[Labelled]) -> None:
    alerted = {post: clauses_alerted(pack, post.text) for post in posts}
    hits = [post for post, clauses in alerted.items() if clauses and post.breach]
    false_alarms = [post.text for post, clauses in alerted.items() if clauses and not post.breach]
    missed = [post.text for post, clauses in alerted.items() if not clauses and post.breach]
    right = [post for post in hits if post.clause in alerted[post]]
    assert len(hits) / (len(hits) + len(false_alarms)) >= LEAST_PRECISION, false_alarms
    assert len(hits) / (len(hits) + len(missed)) >= LEAST_RECALL, missed
    assert len(right) / len(hits) >= LEAST_RIGHT_CLAUSE


@pytest.mark.parametrize(
    "disguise",
    [
        pytest.param("s\u200bl\u200bo\u200bt g\u200ba\u200bc\u200bo\u200br, klik link bio", id="zero-width characters"),
        pytest.param("ѕlоt gаcоr, klik link bio", id="Cyrillic look-alikes"),
        pytest.param("ｓｌｏｔ ｇａｃｏｒ, klik link bio", id="full-width letters"),
        pytest.param("sl0t g4c0r, klik link bio", id="digits for letters"),
        pytest.param("S L O T  G A C O R, klik link bio", id="spaced letters"),
        pytest.param("slooot gaaacor, klik link bio", id="stretched letters"),
        pytest.param("#SlotGacor klik link bio", id="a hashtag"),
        pytest.param("s.l.o.t g.a.c.o.r, klik link bio", id="dots between"),
    ],
)
def test_a_disguised_word_is_still_found(pack: RuleSet, disguise: str) -> None:
    assert clauses_alerted(pack, disguise) == {"3a"}
