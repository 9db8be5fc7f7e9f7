"""A rule in plain words, and why it fires on a text or stays quiet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from installation import MARKING, Installation
from test_cli import TOML
from test_rules_load import RULE, TODAY, load

from monitor.model import Language, Severity
from monitor.rules.detectors import DETECTORS
from monitor.rules.explain import WORDS, alternatives, explain, opinion_lines, why
from monitor.rules.load import load_rules
from monitor.rules.source import read_source

EN, MS = Language.EN, Language.MS
PACK = Path(__file__).parent.parent / "config" / "rules"


@pytest.fixture
def rule(tmp_path):
    return load(tmp_path).rules[0]


@pytest.fixture(scope="module")
def rule_set():
    return load_rules(PACK, today=TODAY)


@pytest.fixture(scope="module")
def pack(rule_set):
    return rule_set.rules


def test_both_languages_have_the_same_words():
    assert WORDS[MS].keys() == WORDS[EN].keys()


def test_every_detector_has_words():
    missing = DETECTORS.keys() - WORDS[EN].keys()
    assert not missing, "say in monitor/rules/explain.py, MS and EN, what they look for"


@pytest.mark.parametrize("language", [MS, EN])
def test_every_rule_of_the_pack_can_be_explained(pack, language):
    for one in pack:
        told = explain(one, read_source(Path(one.file)), language)
        assert told.clause_text == (one.clause.en if language is EN else one.clause.ms)
        assert {part.name for part in told.parts} == one.parts.keys()
        assert told.fires_when
        assert (len(told.fires_on), len(told.quiet_on)) == (
            sum(test.fires for test in one.tests),
            sum(not test.fires for test in one.tests),
        )


CONDITIONS = [
    ("one part", "mark", ["mark"]),
    ("alternatives", "mark or (paper and not mark)", ["mark", "paper and without mark"]),
    ("nearness", "mark near 40 paper", ["mark at most 40 characters from paper"]),
    ("counts", "mark >= 3 and paper", ["mark at least 3 times and paper"]),
    ("nesting", "(mark or paper) near 9 paper", ["(mark or paper) at most 9 characters from paper"]),
    ("a chain", "mark and paper and mark", ["mark and paper and mark"]),
]


@pytest.mark.parametrize(("source", "words"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
def test_a_condition_in_words(source, words):
    from monitor.rules.conditions import parse

    assert alternatives(parse(source), WORDS[EN]) == words


def test_what_the_file_says_is_told(rule):
    told = explain(rule, read_source(Path(rule.file)), EN)
    mark, paper = told.parts
    assert (mark.name, mark.examples) == ("mark", ("SULIT",))
    assert mark.looks_for == "Words: sulit. Disguised as well (s u l i t, 5ulit, suuulit)."
    assert (paper.name, paper.looks_for) == ("paper", "Words: minit, surat.")
    assert told.lighter[0].endswith("within 20 characters of a match: kaunseling")
    assert told.exceptions[0].owner == "ict-sec"
    assert told.exceptions[0].expires == "2027-06-30"


def test_words_of_lists_are_told(tmp_path):
    (tmp_path / "guide" / "lists").mkdir(parents=True)
    (tmp_path / "guide" / "lists" / "papers.yaml").write_text("phrases: [no, memo]\n")
    one = load(tmp_path, RULE.replace("{phrases: [minit, surat]}", "{phrases: [minit], lists: [papers]}")).rules[0]
    assert explain(one, read_source(Path(one.file)), EN).parts[1].looks_for == "Words: minit, no, memo."


REASONS = [
    ("fires", "minit sulit", Severity.MEDIUM, True, []),
    ("graver", "minit sulit kabinet", Severity.CRITICAL, True, [2]),
    ("lighter", "kaunseling minit sulit", Severity.LOW, True, [-1]),
    ("lighter words too far away", "kaunseling " + "x " * 20 + "minit sulit", Severity.MEDIUM, True, []),
    ("condition not met", "minit", None, False, []),
    ("excused", "surat sulit hati", None, False, []),
]


@pytest.mark.parametrize(
    ("text", "severity", "met", "shifts"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS]
)
def test_why(rule, text, severity, met, shifts):
    reason = why(rule, text, EN)
    assert (reason.severity, reason.fires, reason.condition_met) == (severity, severity is not None, met)
    assert [shift.by for shift in reason.shifts] == shifts


def test_matches_stand_in_the_original_text_and_name_their_exception(rule):
    reason = why(rule, "😀 surat s\u200bulit hati", EN)
    (mark, paper) = reason.parts
    (match,) = mark.matches
    assert (match.start, match.end, match.excused_by) == (8, 14, "help")
    assert [one.text for one in paper.matches] == ["surat"]


def test_a_rule_s_own_tests_agree_with_its_reasons(pack):
    for one in pack:
        for example in one.tests:
            reason = why(one, example.text, MS, example.history)
            assert reason.fires is example.fires, (one.id, example.text)
            assert reason.condition_met or not reason.fires


def test_what_the_opinion_makes_of_a_finding_is_told_with_its_reason(rule_set):
    (gambling,) = [one for one in rule_set.rules if one.id.endswith("3a/gambling")]
    opinion = rule_set.opinions["mampu-2009"]

    def told(text, language):
        return list(opinion_lines(why(gambling, text, language, opinion=opinion), opinion, WORDS[language]))

    chat = told("Jom bet Argentina menang ni bro haha lol gol lagi", EN)
    assert any(line.startswith("Sounds like an office's page: ") for line in chat)
    assert "Therefore: low, not high" in chat
    assert "Kerana itu: rendah, bukan tinggi" in told("Jom bet Argentina menang ni bro haha lol gol lagi", MS)
    advert = told("Daftar sekarang di link bio, slot gacor RTP tinggi, bonus untuk ahli baru", EN)
    assert not [line for line in advert if line.startswith("Therefore")]


# ---------------------------------------------------------------- the commands


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path / "config", TOML).write()


def test_explain_takes_the_end_of_an_id_and_speaks_both_languages(here):
    malay = here.run("rules", "explain", "marking")
    assert malay.code == 0, malay.err
    assert "mampu-2009/3c/marking" in malay.out
    assert "tidak melibatkan penyebaran maklumat terperinci" in malay.out
    assert "no spreading of detailed information" in here.run("rules", "explain", "marking", "--language", "en").out
    told = json.loads(here.run("rules", "explain", "3c/marking", "--json").out)
    assert told["condition"] == "mark near 60 paper"
    assert max(map(len, malay.out.splitlines())) <= 100


def test_explain_says_why_of_a_text_given_or_piped(here):
    fires = here.run("rules", "explain", "marking", "--text", "SULIT minit", "--language", "en")
    assert "FIRES: severity high\n" in fires.out
    assert "DIKESAN: tahap tinggi\n" in here.run("rules", "explain", "marking", "--text", "SULIT minit").out
    quiet = here.run("rules", "explain", "marking", "--text", "-", "--language", "en", given="sulit minit")
    assert "STAYS QUIET: the condition is not met" in quiet.out
    told = json.loads(here.run("rules", "explain", "marking", "--text", "SULIT minit", "--json").out)
    assert told["parts"]["mark"] == [{"span": [0, 5], "text": "SULIT", "excused_by": None}]
    assert told["condition"] == [{"alternative": "mark paling jauh 60 aksara dari paper", "met": True}]


def test_a_draft_is_explained_and_said_to_be_unused(here):
    file = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    file.write_text(MARKING.replace("status: live", "status: draft"))
    said = here.run("rules", "explain", "marking", "--text", "SULIT minit", "--language", "en").out
    assert "not used on posts at present" in said


def test_an_unknown_rule_is_bad_usage_with_a_suggestion(here):
    answer = here.run("rules", "explain", "markings")
    assert answer.code == 2
    assert "did you mean mampu-2009/3c/marking?" in answer.err
    assert here.run("rules", "test", "nothing").code == 2


def test_the_tests_of_one_rule_are_shown(here):
    said = here.run("rules", "test", "marking").out
    assert said.splitlines() == ["ok  fire   SULIT minit", "ok  quiet  minit", "2 tests, 0 failed"]


def test_the_list_fits_a_terminal_and_speaks_both_languages(here):
    assert "Penandaan" in here.run("rules", "list").out
    assert "Marking" in here.run("rules", "list", "--language", "en").out


def test_evaluate_shows_shadow_findings_when_asked_and_they_alert_nobody(here):
    file = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    file.write_text(MARKING.replace("status: live", "status: shadow"))
    line = json.dumps({"id": 1, "text": "SULIT minit"})
    plain = json.loads(here.run("evaluate", given=line).out)
    assert plain == {"id": 1, "alert": False, "severity": None, "clauses": [], "findings": []}
    told = json.loads(here.run("evaluate", "--shadow", given=line).out)
    assert told["alert"] is False
    assert [(one["rule"], one["severity"]) for one in told["shadow"]] == [("mampu-2009/3c/marking", "high")]
