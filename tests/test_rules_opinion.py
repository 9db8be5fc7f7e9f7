"""The learned second opinion: it weighs what the rules found, and never finds anything itself."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from builders import rule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model import Severity, Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.learning import Labelled, learn, matrix
from monitor.rules.opinion import BadOpinion, Opinion, dumped, loaded, words_of
from monitor.rules.parts import phrases
from monitor.rules.rule import OpinionUse, RuleSet
from monitor.rules.text import HIDING, Text

POSTS = [
    *(Labelled(text=f"kek isteri saya RM{n}, jumpa di kaunter saya", clause="1a") for n in range(20, 30)),
    *(Labelled(text=f"jualan rahmah di dataran, RM{n} sahaja sekilo") for n in range(20, 30)),
]


@pytest.fixture(scope="module")
def opinion() -> Opinion:
    return learn(POSTS, instrument="guide", lift=0.5, confirm=0.5)


def rules(opinion: Opinion, severity: Severity = Severity.LOW, weight: OpinionUse = OpinionUse.LIFTS) -> RuleSet:
    price = rule({"price": phrases(["rm*"])}, "price", severity=severity, opinion=weight)
    return RuleSet([price], "test", {"guide": opinion})


def severities(found: RuleSet, text: str) -> list[Severity]:
    return [finding.severity for finding in evaluate(found, Subject(fields={"text": text}))]


def test_a_low_finding_is_lifted_when_the_opinion_is_sure_of_the_same_clause(opinion):
    assert severities(rules(opinion), "kek isteri saya RM55 di kaunter") == [Severity.MEDIUM]


def test_a_rule_that_does_not_ask_for_it_is_left_alone(opinion):
    price = rule({"price": phrases(["rm*"])}, "price", severity=Severity.LOW)
    assert severities(RuleSet([price], "test", {"guide": opinion}), "kek isteri saya RM55 di kaunter") == [Severity.LOW]


def test_a_low_finding_stays_low_when_the_text_reads_like_ordinary_ones(opinion):
    assert severities(rules(opinion), "jualan rahmah RM55 di dataran") == [Severity.LOW]


def test_what_no_rule_found_stays_unfound(opinion):
    assert severities(rules(opinion), "kek isteri saya, jumpa di kaunter saya") == []


def test_a_finding_that_alerts_anyway_is_left_as_it_is(opinion):
    assert severities(rules(opinion, Severity.HIGH), "jualan rahmah RM55 di dataran") == [Severity.HIGH]
    assert severities(rules(opinion, Severity.HIGH), "kek isteri saya RM55 di kaunter") == [Severity.HIGH]


def test_a_finding_that_must_be_confirmed_is_low_when_the_opinion_does_not_agree(opinion):
    found = rules(opinion, Severity.HIGH, OpinionUse.CONFIRMS)
    assert severities(found, "kek isteri saya RM55 di kaunter") == [Severity.HIGH]
    assert severities(found, "jualan rahmah RM55 di dataran") == [Severity.LOW]


def test_a_finding_that_must_be_confirmed_stands_where_there_is_no_opinion(opinion):
    alone = RuleSet(rules(opinion, Severity.HIGH, OpinionUse.CONFIRMS).rules, "test")
    assert severities(alone, "jualan rahmah RM55 di dataran") == [Severity.HIGH]


def test_a_rule_that_lets_the_opinion_decide_finds_only_what_it_agrees_to(opinion):
    found = rules(opinion, Severity.LOW, OpinionUse.DECIDES)
    assert severities(found, "kek isteri saya RM55 di kaunter") == [Severity.MEDIUM]
    assert severities(found, "jualan rahmah RM55 di dataran") == []
    assert severities(RuleSet(found.rules, "test"), "kek isteri saya RM55 di kaunter") == []


def test_it_must_be_surer_to_lift_than_to_confirm(opinion):
    text = "kek isteri saya RM55 di kaunter"
    unsure = replace(opinion, lift=opinion.view(Text(text)).sureness + 0.001)
    assert severities(rules(unsure), text) == [Severity.LOW]
    assert severities(rules(unsure, Severity.HIGH, OpinionUse.CONFIRMS), text) == [Severity.HIGH]


def test_a_model_without_a_threshold_for_confirming_takes_the_one_for_lifting(opinion):
    data = json.loads(dumped(replace(opinion, lift=0.7)))
    del data["confirm"]
    assert loaded(json.dumps(data)).confirm == 0.7


def test_another_clause_lifts_nothing(opinion):
    other = learn(
        [Labelled(text=p.text, clause="9z" if p.clause == "1a" else p.clause) for p in POSTS],
        instrument="guide",
        lift=0.5,
        confirm=0.5,
    )
    assert other.view(Text("kek isteri saya RM55 di kaunter")).clause == "9z"
    assert severities(rules(other), "kek isteri saya RM55 di kaunter") == [Severity.LOW]


def test_it_reads_through_a_disguise_and_sees_that_there_is_one():
    plain, hidden = "kek isteri saya di kaunter", "k\u200bek isteri s4ya di kaunterrr"
    assert list(words_of(Text(hidden))) == [*words_of(Text(plain)), HIDING]


def test_a_model_on_paper_thinks_as_the_one_in_memory(opinion):
    again = loaded(dumped(opinion))
    for post in POSTS:
        before, after = opinion.view(Text(post.text)), loaded(dumped(again)).view(Text(post.text))
        assert after.clause == before.clause
        assert after.sureness == pytest.approx(before.sureness, abs=0.05)


def test_the_same_posts_make_the_same_model():
    assert dumped(learn(POSTS, instrument="guide", lift=0.5, confirm=0.5)) == dumped(
        learn(POSTS, instrument="guide", lift=0.5, confirm=0.5)
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300))
def test_any_text_has_a_view(opinion, text):
    assert 0 <= opinion.view(Text(text)).sureness <= 1


def test_the_matrix_weighs_as_the_model_does(opinion):
    column = list(opinion.weights[1 :: len(opinion.labels)])
    scores = matrix(POSTS) @ column + opinion.bias[1] - opinion.bias[0]
    ordinary = matrix(POSTS) @ list(opinion.weights[0 :: len(opinion.labels)])
    for post, score, other in zip(POSTS, scores, ordinary, strict=True):
        assert opinion.view(Text(post.text)).sureness == pytest.approx(1 / (1 + math.exp(other - score)), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{}", "is no learned opinion", id="empty"),
        pytest.param("no JSON", "is no learned opinion", id="no JSON"),
        pytest.param('{"format": 9}', "has format 9", id="another format"),
    ],
)
def test_a_file_that_is_no_model_is_refused(text, words):
    with pytest.raises(BadOpinion, match=words):
        loaded(text)


def test_a_model_of_the_wrong_size_is_refused(opinion):
    data = json.loads(dumped(opinion)) | {"buckets": 5}
    with pytest.raises(BadOpinion):
        loaded(json.dumps(data))


def test_shipped_opinion_loads_with_the_rules_and_counts_in_their_hash(tmp_path):
    from datetime import date
    from shutil import copytree

    from monitor.rules.load import load_rules

    folder = copytree(Path(__file__).parent.parent / "config" / "rules", tmp_path / "rules")
    whole = load_rules(folder, today=date(2026, 11, 24))
    assert set(whole.opinions) == {"mampu-2009"}
    (folder / "mampu-2009" / "opinion.json").unlink()
    without = load_rules(folder, today=date(2026, 11, 24))
    assert without.opinions == {}
    assert without.hash != whole.hash
