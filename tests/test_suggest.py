"""Exceptions proposed from false alarms: safe ones only, and the same ones every time."""

from __future__ import annotations

import json

import pytest
from archive import ArchiveMaker, marking
from builders import finding
from installation import MARKING, Installation
from test_cli import TOML
from test_rules_load import RULE, TODAY, fired, load

from monitor.model import Resolution, Severity
from monitor.rules.load import load_rules
from monitor.rules.suggest import Answer, Told, suggest
from monitor.store.archive import rules_with_false_alarms, told_texts
from monitor.store.database import open_database

FALSE, CONFIRMED, OPEN = Answer.FALSE_ALARM, Answer.CONFIRMED, Answer.OPEN


@pytest.fixture
def rule(tmp_path):
    return load(tmp_path).rules[0]


def told(*texts: tuple[str, Answer]) -> list[Told]:
    return [Told(case=f"C{n}", field="text", text=text, answer=answer) for n, (text, answer) in enumerate(texts)]


def covers(suggestion) -> list[tuple[str, ...]]:
    return [one.covers for one in suggestion.proposals]


def test_a_phrase_around_the_match_silences_the_false_alarm_and_leaves_the_confirmed(rule):
    found = suggest(rule, told(("Surat sulit sembelit dijual", FALSE), ("surat sulit bocor", CONFIRMED)))
    assert covers(found) == [("sulit sembelit",)]
    assert (found.proposals[0].silences, found.proposals[0].undecided) == (("C0",), ())
    assert (found.false_alarms, found.confirmed, found.unsafe) == (1, 1, ())


def test_one_phrase_serves_several_false_alarms(rule):
    found = suggest(rule, told(("surat: masa sulit itu", FALSE), ("minit dalam masa sulit", FALSE)))
    assert covers(found) == [("masa sulit",)]
    assert found.proposals[0].silences == ("C0", "C1")


def test_a_phrase_that_would_silence_a_confirmed_alert_is_never_proposed(rule):
    found = suggest(rule, told(("hari surat sulit", FALSE), ("hari surat sulit bocor", CONFIRMED)))
    assert covers(found) == []
    assert found.unsafe == (("C0", "every phrase that silences it would silence a confirmed alert as well"),)


def test_a_text_without_words_around_its_match_is_said_to_have_no_phrase(tmp_path):
    rule = load(tmp_path, RULE_OF_ONE_WORD).rules[0]
    assert suggest(rule, told(("sulit", FALSE))).unsafe == (("C0", "no phrase around its matches silences it"),)


def test_what_nobody_decided_on_is_avoided_and_else_told(rule):
    apart = suggest(rule, told(("surat sulit sembelit", FALSE), ("surat sulit hari ini", OPEN)))
    assert covers(apart) == [("sulit sembelit",)]
    together = suggest(rule, told(("hari surat sulit", FALSE), ("hari surat sulit lagi", OPEN)))
    assert [one.undecided for one in together.proposals] == [("C1",)]


def test_the_matches_alone_are_no_phrase(rule):
    assert suggest(rule, told(("surat sulit", FALSE))).unsafe == (("C0", "no phrase around its matches silences it"),)


def test_numbers_are_kept_out_of_the_rules(rule):
    found = suggest(rule, told(("surat 880101145555 sulit 880101145555", FALSE)))
    assert not any(any(c.isdigit() for c in phrase) for one in found.proposals for phrase in one.covers)


def test_a_false_alarm_that_is_quiet_by_now_is_said_to_be(rule):
    assert suggest(rule, told(("keadaan sulit", FALSE))).quiet_already == ("C0",)


def test_the_same_texts_give_the_same_proposals_in_any_order(rule):
    texts = told(("surat sulit sembelit", FALSE), ("minit masa sulit", FALSE), ("surat sulit bocor", CONFIRMED))
    assert suggest(rule, texts) == suggest(rule, texts[::-1])


def test_what_is_proposed_works_in_the_rule_s_file(tmp_path):
    rule = load(tmp_path).rules[0]
    (proposal,) = suggest(rule, told(("Surat sulit sembelit dijual", FALSE))).proposals
    line = f"- {{name: x, covers: {json.dumps(list(proposal.covers))}, reason: r, owner: o, expires: 2027-06-30}}"
    changed = load(tmp_path, RULE.replace("exceptions:\n", f"exceptions:\n  {line}\n"))
    assert fired(changed, "Surat sulit sembelit dijual") == []
    assert len(fired(changed, "surat sulit")) == 1


RULE_OF_ONE_WORD = """\
id: guide/1a/marking
version: 1
status: live
title: {ms: Penandaan, en: Marking}
clause: {instrument: guide, ref: 1a}
severity: medium
disclosure: none
parts:
  mark: {phrases: [sulit]}
condition: mark
tests:
  fire: [{text: sulit}]
  quiet: [{text: biasa}]
"""


# ---------------------------------------------------------------- from the archive


def test_texts_come_from_posts_and_media_with_what_was_said_of_them(db):
    make = ArchiveMaker(db)
    one = make.post("SULIT minit", found=(marking(),), resolution=Resolution.FALSE_ALARM)
    two = make.post("biasa", read="minit SULIT", found=(marking(field="picture:0"),), resolution=Resolution.ACCEPTED)
    make.post("lain", found=(finding("mampu-2009/3a/other", Severity.LOW),))
    assert rules_with_false_alarms(db) == ["mampu-2009/3c/marking"]
    assert told_texts(db, ["mampu-2009/3c/marking"]) == {
        "mampu-2009/3c/marking": [
            Told(case=make.case(one), field="text", text="SULIT minit", answer=FALSE),
            Told(case=make.case(two), field="picture:0", text="minit SULIT", answer=CONFIRMED),
        ]
    }


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path / "config", TOML).write()


def test_the_command_prints_what_to_put_into_the_rule(here):
    db = open_database(f"sqlite:///{here.database}")
    make = ArchiveMaker(db)
    make.post("Masa SULIT, minit demi minit", found=(marking(),), resolution=Resolution.FALSE_ALARM)
    make.post("SULIT minit", found=(marking(),), resolution=Resolution.POST_REMOVED)
    db.close()
    said = here.run("rules", "suggest")
    assert said.code == 0, said.err
    assert 'covers: ["masa sulit"], reason: FILL IN, owner: FILL IN, expires: FILL IN' in said.out
    (told,) = json.loads(here.run("rules", "suggest", "marking", "--json").out)
    assert (told["rule"], told["confirmed"]) == ("mampu-2009/3c/marking", 1)
    assert "no alert was resolved as a false alarm of" in here.run("rules", "suggest", "password").out


def test_a_snippet_that_is_not_filled_in_is_refused(here):
    file = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    line = '  - {name: a, covers: ["masa sulit"], reason: FILL IN, owner: FILL IN, expires: FILL IN}\n'
    file.write_text(MARKING.replace("tests:\n", f"exceptions:\n{line}tests:\n"))
    assert "expires" in here.run("rules", "check").err


def test_a_rule_that_left_the_set_is_left_out(here):
    db = open_database(f"sqlite:///{here.database}")
    ArchiveMaker(db).post("a", found=(finding("mampu-2009/3a/gone"),), resolution=Resolution.FALSE_ALARM)
    db.close()
    assert "no alert was resolved" in here.run("rules", "suggest").out
    assert len(load_rules(here.folder / "rules", today=TODAY).rules) == 2
