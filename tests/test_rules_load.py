"""Rule files: a set is loaded whole or not at all, and every mistake is named where it stands."""

from __future__ import annotations

import errno
import os
import textwrap
from datetime import date
from pathlib import Path

import pytest

from monitor.model import Severity, Subject
from monitor.problems import ConfigurationError
from monitor.rules.evaluate import evaluate
from monitor.rules.load import load_rules, run_tests
from monitor.rules.rule import RuleSet, Status

TODAY = date(2026, 11, 24)
INSTRUMENT = """
id: guide
title: {ms: Panduan, en: Guide}
clauses:
  1a: {ms: "tidak mendedahkan", en: "no disclosure"}
"""
RULE = """
id: guide/1a/marking
version: 2
status: live
title: {ms: Penandaan, en: Marking}
clause: {instrument: guide, ref: 1a}
severity: medium
disclosure: masked
parts:
  mark: {phrases: [sulit], views: [folded, squeezed]}
  paper: {phrases: [minit, surat]}
condition: mark near 40 paper
stronger: [{phrases: [kabinet], by: 2}]
weaker: [{phrases: [kaunseling], by: 1, within: 20}]
exceptions:
  - {name: help, covers: [surat sulit hati], reason: lagu, owner: ict-sec, expires: 2027-06-30}
tests:
  fire: [{text: "minit SULIT", spans: [SULIT, minit]}]
  quiet: [{text: "keadaan sulit"}]
"""


def write(folder: Path, rule: str = RULE, name: str = "marking") -> Path:
    (folder / "guide" / "1a").mkdir(parents=True, exist_ok=True)
    (folder / "guide" / "instrument.yaml").write_text(INSTRUMENT)
    (folder / "guide" / "1a" / f"{name}.yaml").write_text(textwrap.dedent(rule))
    return folder


def load(folder: Path, rule: str = RULE) -> RuleSet:
    return load_rules(write(folder, rule), today=TODAY)


def problems(folder: Path, rule: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, rule)
    return [str(problem).removeprefix(f"{folder}/guide/1a/") for problem in caught.value.problems]


def fired(rules: RuleSet, text: str, **circumstances: object) -> list[tuple[Severity, list[str]]]:
    found = evaluate(rules, Subject(fields={"text": text}, **circumstances))
    return [(one.severity, [text[a:b] for a, b in one.spans]) for one in found]


MISTAKES = [
    ("unknown key", ("condition:", "conditon:"), "conditon (line 12): unknown key; did you mean condition?"),
    ("missing key", ("version: 2\n", ""), "version: is missing"),
    ("unknown key of a part", ("{phrases: [minit", "{phrase: [minit"), "parts.paper.phrase (line 11): unknown key; did you mean phrases?"),
    ("no words at all", ("phrases: [minit, surat]", "phrases: []"), "parts.paper.phrases (line 11): is empty"),
    ("a key twice", ("severity: medium", "severity: medium\nseverity: low"), "severity (line 8): stands here twice"),
    ("unknown severity", ("severity: medium", "severity: hgh"), "severity (line 7): 'hgh': unknown; did you mean high?"),
    ("unknown clause", ("ref: 1a", "ref: 1b"), "clause.ref (line 6): '1b': unknown; known: 1a"),
    ("unknown instrument", ("instrument: guide", "instrument: guides"), "clause.instrument (line 6): 'guides': unknown; did you mean guide?"),
    ("an id of another clause", ("id: guide/1a/marking", "id: guide/2/marking"), "must begin with its instrument and clause, guide/1a/"),
    ("version is no number", ("version: 2", "version: two"), "version (line 3): 'two': expected a whole number"),
    ("title in one language", ("title: {ms: Penandaan, en: Marking}", "title: {ms: Penandaan}"), "title.en (line 5): is missing"),
    ("unknown part in the condition", ("mark near 40 paper", "mark near 40 papr or paper"), "condition (line 12): 'papr': no such part; did you mean paper?"),
    ("unused part", ("mark near 40 paper", "mark"), "condition (line 12): part 'paper' is not used"),
    ("condition that is not understood", ("near 40 paper", "near paper"), "condition (line 12): a number is expected after near"),
    ("condition true of everything", ("mark near 40 paper", "not (mark and paper)"), "condition (line 12): is true of an empty text"),
    ("pattern with look-ahead", ("{phrases: [sulit], views: [folded, squeezed]}", "{regex: 'sulit(?=x)'}"), "parts.mark.regex (line 10): is not a pattern that RE2 takes"),
    ("pattern with a back-reference", ("{phrases: [sulit], views: [folded, squeezed]}", "{regex: '(a+)\\1'}"), "parts.mark.regex (line 10): is not a pattern that RE2 takes"),
    ("pattern that matches nothing", ("{phrases: [sulit], views: [folded, squeezed]}", "{regex: 'sulit|x*'}"), "parts.mark.regex (line 10): can match nothing at all"),
    ("a pattern in double quotes", ("{phrases: [sulit], views: [folded, squeezed]}", '{regex: "\\bsulit"}'), "parts.mark.regex (line 10): holds a control character; write the pattern in single quotes"),
    ("phrase without a letter", ("[sulit]", "['!!']"), "parts.mark (line 10): '!!' has no letter or digit"),
    ("star inside a word", ("[sulit]", "['su*lit']"), "a * stands only at the beginning or the end of a word"),
    ("unknown detector", ("{phrases: [sulit], views: [folded, squeezed]}", "{detector: my-kad}"), "parts.mark.detector (line 10): 'my-kad': unknown; did you mean mykad?"),
    ("two ways in one part", ("{phrases: [minit", "{detector: mykad, phrases: [minit"), "parts.paper (line 11): needs one of phrases"),
    ("unknown view", ("[folded, squeezed]", "[folded, sqeezed]"), "parts.mark.views (line 10): 'sqeezed': unknown; did you mean squeezed?"),
    ("unknown list", ("{phrases: [minit, surat]}", "{lists: [papers]}"), "parts.paper.lists (line 11): 'papers': no such list"),
    ("expired exception", ("2027-06-30", "2026-11-23"), "exceptions[1].expires (line 16): the exception ended on 2026-11-23"),
    ("exception without a reason", ("reason: lagu, ", ""), "exceptions[1].reason (line 16): is missing"),
    ("a date that is none", ("2027-06-30", "30/6/2027"), "expected a date such as 2027-06-30"),
    ("no quiet test", ('  quiet: [{text: "keadaan sulit"}]\n', ""), "tests.quiet (line 18): is missing"),
    ("an empty list of tests", ('[{text: "keadaan sulit"}]', "[]"), "tests.quiet (line 19): needs at least one post"),
    ("a test that fails to fire", ("minit SULIT", "minit"), "tests.fire[1] (line 18): should fire, but stays quiet: 'minit'"),
    ("a test that fires where it must not", ("keadaan sulit", "surat sulit"), "tests.quiet[1] (line 19): should stay quiet, but fires on 'surat', 'sulit'"),
    ("a test with other spans", ("[SULIT, minit]", "[SULIT, surat]"), "should match 'surat', but matches 'minit', 'SULIT'"),
    ("text where a list belongs", ("tests:\n", "where: [x]\ntests:\n"), "where (line 17): expected keys with values"),
    ("no YAML", ("parts:", "parts: {"), "line 11, column"),
    ("an alias", ("[minit, surat]}", "&a [minit]}\n  other: {phrases: *a }"), "uses anchors"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named_with_its_place(tmp_path, change, message):
    assert change[0] in RULE
    told = problems(tmp_path, RULE.replace(*change))
    assert any(line.startswith("marking.yaml: ") and message in line for line in told), told


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path):
    write(tmp_path, RULE.replace("severity: medium", "severity: hgh").replace("version: 2", "version: x"))
    write(
        tmp_path,
        RULE.replace("guide/1a/marking", "guide/1a/other").replace("disclosure: masked", "disclosure: x"),
        "other",
    )
    (tmp_path / "guide" / "1a" / "late.yml").write_text(RULE)
    with pytest.raises(ConfigurationError) as caught:
        load_rules(tmp_path, today=TODAY)
    assert sorted(problem.place for problem in caught.value.problems) == [
        "",
        "disclosure (line 8)",
        "severity (line 7)",
        "version (line 3)",
    ]


def test_two_rules_of_one_id_are_refused(tmp_path):
    write(tmp_path)
    write(tmp_path, RULE, "copy")
    with pytest.raises(ConfigurationError, match="'guide/1a/marking' is also the id of"):
        load_rules(tmp_path, today=TODAY)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 1_000_001, "is over 1000000 bytes"),
        (b"- a\n- b", "expected keys"),
    ],
)
def test_a_file_that_is_no_rule_is_named(tmp_path, content, words):
    write(tmp_path)
    (tmp_path / "guide" / "1a" / "bad.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"bad.yaml: .*{words}"):
        load_rules(tmp_path, today=TODAY)


def test_a_folder_without_rules_says_how_to_get_them(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no rules; `pantau init` writes"):
        load_rules(tmp_path, today=TODAY)
    with pytest.raises(ConfigurationError, match="is no folder; `pantau init` writes"):
        load_rules(tmp_path / "none", today=TODAY)


def test_a_folder_that_cannot_be_read_is_a_mistake_and_not_an_empty_one(tmp_path, monkeypatch):
    write(tmp_path)
    shut, scandir = tmp_path / "guide" / "2", os.scandir
    shut.mkdir()

    def refuses(place):
        if Path(place) == shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuses)  # root, as whom tests may run, is refused nothing
    with pytest.raises(ConfigurationError) as caught:
        load_rules(tmp_path, today=TODAY)
    assert [(one.file, one.message[:14]) for one in caught.value.problems] == [(str(shut), "cannot be read")]


def test_a_lost_instrument_is_told_once(tmp_path):
    for name in ("marking", "other"):
        write(tmp_path, RULE.replace("guide/1a/marking", f"guide/1a/{name}"), name)
    (tmp_path / "guide" / "instrument.yaml").unlink()
    with pytest.raises(ConfigurationError) as caught:
        load_rules(tmp_path, today=TODAY)
    (only,) = caught.value.problems
    assert "no instrument.yaml says which clauses there are" in str(only)


def test_a_rule_fires_with_its_clause_its_version_and_its_spans(tmp_path):
    rules = load(tmp_path)
    (finding,) = evaluate(rules, Subject(fields={"picture:0": "Rujuk m.i.n.i.t: surat S U L I T"}))
    assert (finding.rule, finding.rule_version, finding.field) == ("guide/1a/marking", 2, "picture:0")
    assert (finding.clause.ref, finding.clause.ms, finding.clause.en) == ("1a", "tidak mendedahkan", "no disclosure")
    assert finding.spans == ((6, 15), (17, 22), (23, 32))


SEVERITIES = [
    ("as the rule says", "minit sulit", [(Severity.MEDIUM, ["minit", "sulit"])]),
    ("graver by its words", "minit sulit kabinet", [(Severity.CRITICAL, ["minit", "sulit"])]),
    ("lighter by words near the match", "kaunseling minit sulit", [(Severity.LOW, ["minit", "sulit"])]),
    ("not lighter by words far away", "kaunseling " + "x " * 20 + "minit sulit", [(Severity.MEDIUM, ["minit", "sulit"])]),
    ("an exception covers its own match", "surat sulit hati", []),
    ("and no other match of the post", "surat sulit hati dan minit sulit", [(Severity.MEDIUM, ["minit", "sulit"])]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "findings"), [row[1:] for row in SEVERITIES], ids=[row[0] for row in SEVERITIES])
def test_how_grave_a_finding_is(tmp_path, text, findings):
    assert fired(load(tmp_path), text) == findings


def test_a_finding_that_nothing_is_left_of_is_none(tmp_path):
    rules = load(tmp_path, RULE.replace("severity: medium", "severity: low"))
    assert fired(rules, "kaunseling minit sulit") == []


@pytest.mark.parametrize(("status", "findings"), [("draft", 0), ("shadow", 1), ("live", 1), ("retired", 0)])
def test_only_shadow_and_live_rules_find_and_shadow_says_so(tmp_path, status, findings):
    rules = load(tmp_path, RULE.replace("status: live", f"status: {status}"))
    found = evaluate(rules, Subject(fields={"text": "minit sulit"}))
    assert [one.shadow for one in found] == [status == "shadow"] * findings
    assert rules.rules[0].status is Status(status)


def test_a_rule_may_ask_for_circumstances(tmp_path):
    where = "where: {platform: [facebook], kind: [original]}\ntests:\n"
    rule = RULE.replace("tests:\n", where).replace('text: "minit SULIT"', 'text: "minit SULIT", platform: facebook')
    rules = load(tmp_path, rule)
    assert len(fired(rules, "minit sulit", platform="facebook")) == 1
    assert fired(rules, "minit sulit", platform="x") == []


def test_a_rule_looks_only_where_its_scope_says(tmp_path):
    rules = load(tmp_path, RULE.replace("disclosure: masked", "disclosure: masked\nscope: [text, document]"))
    fields = {"text": "minit sulit", "picture:0": "minit sulit", "document:1": "minit sulit"}
    assert [one.field for one in evaluate(rules, Subject(fields=fields))] == ["text", "document:1"]


def test_words_in_a_list_of_their_own_serve_several_rules(tmp_path):
    write(tmp_path, RULE.replace("{phrases: [minit, surat]}", "{phrases: [minit], lists: [papers]}"))
    (tmp_path / "guide" / "lists").mkdir()
    (tmp_path / "guide" / "lists" / "papers.yaml").write_text("phrases: [no, memo]\n")
    rules = load_rules(tmp_path, today=TODAY)
    assert fired(rules, "memo sulit") == [(Severity.MEDIUM, ["memo", "sulit"])]
    assert fired(rules, "sulit no") == [(Severity.MEDIUM, ["sulit", "no"])], "YAML's no is the word no"


def test_the_hash_tells_one_set_from_another(tmp_path):
    first = load(tmp_path).hash
    assert load(tmp_path).hash == first
    assert load(tmp_path, RULE + "\n# a comment\n").hash != first


def test_every_rule_is_tried_by_its_own_tests(tmp_path):
    results = run_tests(load(tmp_path))
    assert [(one.kind, one.passed) for one in results] == [("fire", True), ("quiet", True)]
