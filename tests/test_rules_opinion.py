"""The learned second opinion: it weighs what the rules found, and never finds anything itself."""

from __future__ import annotations

import json
import math
from array import array
from dataclasses import replace
from pathlib import Path

import pytest
from builders import rule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model import Severity, Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.learning import Bars, Labelled, learn, matrix
from monitor.rules.opinion import ALL_BUT_SURE, FAINT, FAINTEST, BadOpinion, Opinion, dumped, loaded, words_of
from monitor.rules.parts import phrases
from monitor.rules.rule import OpinionUse, RuleSet
from monitor.rules.text import HIDING, Text
from monitor.rules.weights import PIECE, Weights

POSTS = [
    *(Labelled(text=f"kek isteri saya RM{n}, jumpa di kaunter saya", clause="1a") for n in range(20, 30)),
    *(Labelled(text=f"jualan rahmah di dataran, RM{n} sahaja sekilo") for n in range(20, 30)),
]
SURE = Bars(lift={"1a": 0.5, "9z": 0.5}, confirm=0.5, doubt=0.4, voice={"1a": 0.5, "9z": 0.5})


@pytest.fixture(scope="module")
def opinion() -> Opinion:
    return learn(POSTS, instrument="guide", bars=SURE)


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
    unsure = replace(opinion, lift={"1a": opinion.view(Text(text)).sureness + 0.001})
    assert severities(rules(unsure), text) == [Severity.LOW]
    assert severities(rules(unsure, Severity.HIGH, OpinionUse.CONFIRMS), text) == [Severity.HIGH]


def test_a_clause_without_a_threshold_lifts_nothing(opinion):
    assert severities(rules(replace(opinion, lift={})), "kek isteri saya RM55 di kaunter") == [Severity.LOW]


def test_a_doubted_finding_is_low_only_when_the_text_is_all_but_surely_ordinary(opinion):
    found = rules(opinion, Severity.HIGH, OpinionUse.DOUBTS)
    assert severities(found, "jualan rahmah RM55 di dataran") == [Severity.LOW]
    assert severities(found, "sesuatu yang lain sama sekali RM55") == [Severity.HIGH]
    assert severities(rules(replace(opinion, doubt=0.0), Severity.HIGH, OpinionUse.DOUBTS), "jualan RM55") == [
        Severity.HIGH
    ]


def test_what_stands_in_a_picture_is_not_doubted(opinion):
    found = evaluate(
        rules(opinion, Severity.HIGH, OpinionUse.DOUBTS), Subject(fields={"picture:0": "jualan rahmah RM55 di dataran"})
    )
    assert [finding.severity for finding in found] == [Severity.HIGH]


def test_a_doubted_finding_stands_where_there_is_no_opinion(opinion):
    alone = RuleSet(rules(opinion, Severity.HIGH, OpinionUse.DOUBTS).rules, "test")
    assert severities(alone, "jualan rahmah RM55 di dataran") == [Severity.HIGH]


CHAT = [Labelled(text=f"aku lapar la wei, kek apa {n}", elsewhere=True) for n in range(20, 30)]


def test_what_does_not_read_like_an_office_page_is_not_lifted_and_is_doubted():
    heard = replace(learn([*POSTS, *CHAT], instrument="guide", bars=SURE), voice={"1a": 0.9})
    chat = "aku lapar la wei, kek apa RM55"
    assert heard.view(Text(chat)).voice < 0.9 < heard.view(Text("kek isteri saya RM55 di kaunter")).voice
    assert severities(rules(heard), "kek isteri saya RM55 di kaunter") == [Severity.MEDIUM]
    assert severities(rules(heard), chat) == [Severity.LOW]
    doubted = rules(replace(heard, doubt=0.6), Severity.HIGH, OpinionUse.DOUBTS)
    assert severities(doubted, chat) == [Severity.LOW]
    assert severities(doubted, "kek isteri saya RM55 di kaunter") == [Severity.HIGH]


def test_what_is_all_but_sure_is_confirmed_though_it_sounds_like_chat():
    heard = learn([*POSTS, *CHAT], instrument="guide", bars=SURE)
    view = heard.view(Text("kek isteri saya RM55 di kaunter"))
    sure = replace(view, sureness=ALL_BUT_SURE, voice=FAINTEST)
    assert heard.confirms(sure, "1a")
    assert not heard.confirms(replace(sure, sureness=ALL_BUT_SURE - 0.01), "1a")
    assert not heard.confirms(replace(sure, voice=FAINTEST - 0.01), "1a")
    assert heard.confirms(replace(sure, sureness=heard.confirm, voice=FAINT), "1a")


def test_how_others_write_tells_nothing_of_what_breaks_a_clause(opinion):
    heard = learn([*POSTS, *CHAT], instrument="guide", bars=SURE)
    text = Text("kek isteri saya RM55 di kaunter")
    assert heard.view(text).sureness == opinion.view(text).sureness
    assert opinion.view(text).voice == pytest.approx(1)


def test_who_hides_words_needs_less_of_an_office_voice():
    heard = learn([*POSTS, *CHAT], instrument="guide", bars=SURE)
    plain, hidden = (heard.view(Text(f"kek isteri saya RM55 di kaun{mark}ter")) for mark in ("", "\u200b"))
    assert (plain.hides, hidden.hides) == (False, True)
    strict = replace(heard, voice={"1a": 0.999})
    assert FAINTEST <= hidden.voice < 0.999
    assert (strict.lifts(plain, "1a"), strict.lifts(hidden, "1a")) == (False, True)


def test_who_hides_words_need_only_be_confirmed(opinion):
    strict = replace(opinion, lift={"1a": 0.999})
    plain, hidden = (strict.view(Text(f"kek isteri saya RM55 di kaun{mark}ter")) for mark in ("", "\u200b"))
    assert strict.confirm <= hidden.sureness < 0.999
    assert (strict.lifts(plain, "1a"), strict.lifts(hidden, "1a")) == (False, True)


def test_how_sure_it_must_be_stands_by_the_clause_that_the_text_most_resembles():
    leak = "fail bos bocor lagi"
    both = [Labelled(text=f"{leak} {n}", clause=clause) for n in range(9) for clause in ("1a", "9z", "9z")]
    torn = learn([*both, *POSTS[10:]], instrument="guide", bars=SURE)
    view = torn.view(Text(leak))
    assert (view.clause, set(view.close)) == ("9z", {"1a", "9z"})
    assert not replace(torn, lift={"1a": 0.0, "9z": 1.0}).lifts(view, "1a")
    assert replace(torn, lift={"1a": 1.0, "9z": 0.0}).lifts(view, "1a")


def test_other_forms_of_a_word_are_known_by_their_stem():
    posts = [Labelled(text=f"{word} {n}", clause="1a") for n in range(9) for word in ("dikunci", "menyiasat")]
    posts += [Labelled(text=f"{word} {n}") for n in range(9) for word in ("dibaca", "menulis")]
    heard = learn(posts, instrument="guide", bars=SURE)
    told, other = heard.view(Text("kunci siasatan")).sureness, heard.view(Text("bacaan tulis")).sureness
    assert told > 0.7
    assert other < 0.3


def test_how_a_text_looks_tells_too_whatever_its_words():
    noticed = [Labelled(text=f"Kaunter {word} dibuka.\nSila datang.") for word in ("satu", "dua", "tiga", "empat")]
    leaked = [Labelled(text=f"kaunter {word} dibuka, sila datang", clause="1a") for word in ("lima", "enam", "tujuh")]
    heard = learn([*noticed, *leaked], instrument="guide", bars=SURE)
    told, other = (heard.view(Text(text)).sureness for text in ("sesuatu yang lain", "Sesuatu.\nYang lain."))
    assert told > 0.5 > other


def test_what_a_single_post_says_tells_nothing_and_rare_words_tell_more_than_usual_ones():
    posts = [Labelled(text=f"satu {word}", clause="1a") for word in ("rare", "rare", "lone")]
    posts += [Labelled(text="satu dua") for _ in range(6)]
    heard = learn(posts, instrument="guide", bars=SURE)
    known, unknown, usual = (heard.view(Text(word)).sureness for word in ("lone", "zzz", "satu"))
    assert known == pytest.approx(unknown)
    assert heard.view(Text("rare")).sureness > usual


def test_without_look_alikes_the_texts_of_others_must_do():
    heard = learn([*POSTS[:10], *CHAT], instrument="guide", bars=SURE)
    assert severities(rules(heard), "kek isteri saya RM55 di kaunter") == [Severity.MEDIUM]


def test_a_word_counts_once_however_often_it_stands_there(opinion):
    once = opinion.view(Text("kek isteri kek"))
    assert opinion.view(Text("kek isteri kek isteri")) == once


def test_it_tells_which_words_speak_most_for_what_it_thinks(opinion):
    told = opinion.speaking(Text("jualan kek isteri saya di dataran RM55, mari"))
    assert {"kek", "isteri"} <= set(told[:3])
    assert not {"jualan", "dataran"} & set(told)
    assert opinion.speaking(Text("")) == []


def test_words_that_speak_for_it_are_told_as_they_are_written(opinion):
    assert {"KEEEK", "i.s.t.e.r.i"} <= set(opinion.speaking(Text("KEEEK untuk i.s.t.e.r.i")))


def test_a_clause_nearly_as_likely_as_the_likeliest_is_lifted_too():
    leak = "fail bos bocor lagi"
    both = [Labelled(text=f"{leak} {n}", clause=clause) for n in range(9) for clause in ("1a", "9z")]
    torn = learn([*both, *POSTS[10:]], instrument="guide", bars=SURE)
    view = torn.view(Text(leak))
    assert set(view.close) == {"1a", "9z"}
    assert torn.lifts(view, "1a")
    assert torn.lifts(view, "9z")


def test_another_clause_lifts_nothing(opinion):
    other = learn(
        [Labelled(text=p.text, clause="9z" if p.clause == "1a" else p.clause) for p in POSTS],
        instrument="guide",
        bars=SURE,
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
    assert dumped(learn(POSTS, instrument="guide", bars=SURE)) == dumped(learn(POSTS, instrument="guide", bars=SURE))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300))
def test_any_text_has_a_view(opinion, text):
    assert 0 <= opinion.view(Text(text)).sureness <= 1


def test_the_matrix_weighs_as_the_model_does(opinion):
    scores = matrix(POSTS) @ opinion.weights.of_label(1) + opinion.bias[1] - opinion.bias[0]
    ordinary = matrix(POSTS) @ opinion.weights.of_label(0)
    for post, score, other in zip(POSTS, scores, ordinary, strict=True):
        assert opinion.view(Text(post.text)).sureness == pytest.approx(1 / (1 + math.exp(other - score)), abs=1e-6)


def test_the_longest_words_of_the_greatest_weights_do_not_run_over():
    words = [f"{number:x<24}" for number in range(400)]
    for step in (127, -127):
        full = Weights(array("b", [step] * 8 * 3), [1.0, 2.0, 4.0])
        terms = 799
        word = 3 + PIECE * (24 + 23 + 22)  # itself, its stem, its company, its pieces
        expected = step / 127 * (400 * word + 399) / math.sqrt(terms)
        assert full.scores(words, (), [0.0, 0.0, 1.0]) == pytest.approx([expected, 2 * expected, 4 * expected + 1])


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
