"""A long text is looked at from its beginning: nothing can be hidden in it, and of many matches a few are told."""

from __future__ import annotations

import pytest
from bench_rules import TODAY, hostile
from builders import rule, rule_set
from many_rules import PACK

from monitor.model import Severity, Subject
from monitor.rules.evaluate import ENOUGH, MARGIN, evaluate
from monitor.rules.load import load_rules
from monitor.rules.parts import phrases
from monitor.rules.rule import Shift
from monitor.rules.text import BEGINNING, LONG

JUNK = "lorem ipsum "
PAPERS = "sulit kertas, " * ENOUGH
PARTS = {"mark": phrases(["sulit"]), "paper": phrases(["kertas"]), "public": phrases(["awam"])}
BREACH = "SULIT\nMinit mesyuarat Bil. 3/2026, jangan disebar"
WEAKENED = {
    "known words",
    "hashtags",
    "words written as one",
}  # among so many are words that leave nothing of the severity


def filled(*pieces: tuple[int, str], length: int = 2 * LONG) -> str:
    """Return junk of a length with each of the pieces at its place."""
    text = JUNK * (length // len(JUNK))
    for place, piece in pieces:
        text = f"{text[:place]} {piece} {text[place:]}"
    return text


def found(text: str, condition: str = "mark near 20 paper", **changes):
    findings = evaluate(rule_set(rule(PARTS, condition, **changes)), Subject(fields={"text": text}))
    return findings[0] if findings else None


def test_of_many_matches_those_at_the_beginning_are_told():
    finding = found(filled((100, PAPERS), (LONG, PAPERS)))
    assert {span[1] < BEGINNING for span in finding.spans} == {True}
    assert len(finding.spans) == 2 * ENOUGH


def test_of_a_text_that_is_not_long_all_are_told():
    assert len(found(filled((100, PAPERS), (9_000, PAPERS), length=10_000)).spans) == 4 * ENOUGH


@pytest.mark.parametrize("place", [100, BEGINNING, LONG, 2 * LONG], ids=["begin", "border", "middle", "end"])
def test_a_single_match_is_found_wherever_it_stands(place):
    finding = found(filled((place, "sulit kertas")))
    assert len(finding.spans) == 2


def test_parts_that_match_often_far_from_each_other_hide_nothing_further_down():
    assert found(filled((100, "sulit " * 100), (BEGINNING - 1_000, "kertas " * 60), (LONG, "sulit kertas")))


def test_a_word_at_the_end_still_forbids_and_excuses_what_the_beginning_holds():
    text = filled((100, PAPERS), (2 * LONG, "awam"))
    assert found(text)
    assert found(text, "(mark near 20 paper) and not public") is None
    assert found(text, weaker=(Shift(words=PARTS["public"], by=3),)) is None
    assert found(text, weaker=(Shift(words=PARTS["public"], by=1),)).severity is Severity.LOW


def test_what_makes_a_finding_graver_is_looked_for_everywhere():
    text = filled((100, PAPERS), (LONG, "sulit kertas awam"))
    assert found(text, stronger=(Shift(words=PARTS["public"], by=1, within=20),)).severity is Severity.HIGH


def test_matches_behind_which_the_beginning_ends_are_not_told_alone():
    """What excuses them, or what a mail must mask beside them, may stand behind its end."""
    edge = filled((BEGINNING - MARGIN // 2, PAPERS), (LONG, "sulit kertas"))
    assert len(found(edge).spans) == 2 * ENOUGH + 2


@pytest.fixture(scope="module")
def pack():
    return load_rules(PACK, today=TODAY)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95], ids=["begin", "middle", "end"])
def test_a_breach_is_found_wherever_it_stands_in_any_filling(pack, share):
    missed = {kind for kind, (text, *_) in hostile() if not _is_found(pack, _with_breach(text, share))}
    assert missed <= WEAKENED


def _with_breach(filling: str, share: float) -> str:
    length = len(filling) - len(BREACH) - 2
    place = int(share * length)
    place = place + 1 + filling[place:].find(" ")  # where a word begins, if any does
    return f"{filling[:place]}\n{BREACH}\n{filling[place:length]}"


def _is_found(pack, text: str) -> bool:
    """Whether it is grave is another matter: the learned opinion reads the first words of a text, here junk."""
    findings = evaluate(pack, Subject(fields={"text": text}))
    return any(one.rule == "mampu-2009/3c/classification-marking" for one in findings)
