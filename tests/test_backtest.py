"""The back-test: what a change of the rules would have done, on stored posts."""

from __future__ import annotations

import json
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from datetime import timedelta

import pytest
import typer
from archive import MARKING_RULE, ArchiveMaker, Shelf, marking
from builders import NOW, finding
from installation import MARKING, Installation
from test_cli import TOML

from monitor import backtest
from monitor.cli import backtest as command
from monitor.cli import root
from monitor.model import PostKind, Resolution, Severity, Subject
from monitor.problems import ConfigurationError
from monitor.rules.backtest import (
    ArchivedPost,
    Holder,
    Outcome,
    Stored,
    Version,
    between,
    from_json,
    to_json,
    with_stored,
)
from monitor.rules.backtest import replay as judge
from monitor.rules.evaluate import evaluate
from monitor.rules.learning import Bars, Labelled, learn
from monitor.rules.load import load_rules
from monitor.rules.opinion import dumped
from monitor.store.archive import Archive, stretch_of
from monitor.store.database import open_database

LEAK = "SULIT minit mesyuarat"
TODAY = NOW.date()
PASSWORD_RULE = "mampu-2009/4/password"
SURAT = (("phrases: [minit]", "phrases: [minit, surat]"),)
NONE = (("phrases: [SULIT]", "phrases: [TERHAD]"), ('"SULIT minit"', '"TERHAD minit"'))


def folder(place, *changes):
    """Write the tests' rules, with changes to the marking rule."""
    here = Installation(place, TOML).write()
    file = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    text = MARKING
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return here.folder / "rules"


def rules(place, *changes):
    return load_rules(folder(place, *changes), today=TODAY)


@pytest.fixture
def old(tmp_path):
    return rules(tmp_path / "old")


def replay(posts, comparison):
    return judge(Shelf(posts), comparison)


def stored_post(*texts, number=1, stored=(), confirmed=(), at=NOW):
    versions = [Version("ms", {"text": text}, 0) for text in texts]
    holder = Holder("JPD", "x", None)
    return ArchivedPost(number, holder, at, PostKind.ORIGINAL, versions, stored, confirmed)


def changed(outcome, rule=MARKING_RULE):
    one = outcome.rules[rule]
    return (one.before, one.after, one.fired, one.quiet, one.shifted)


# ---------------------------------------------------------------- pure


STORED = Stored(MARKING_RULE, Severity.HIGH, True)
CHANGES = [
    ("a wider rule fires on more", SURAT, ["SULIT surat", LEAK], (1, 2, 1, 0, 0)),
    ("a narrower rule fires on less", NONE, ["SULIT minit"], (1, 0, 0, 1, 0)),
    ("a lighter rule shifts", (("severity: high", "severity: low"),), [LEAK], (1, 1, 0, 0, 1)),
    ("a rule put into shadow shifts", (("status: live", "status: shadow"),), [LEAK], (1, 1, 0, 0, 1)),
    ("a retired rule no longer fires", (("status: live", "status: retired"),), [LEAK], (1, 0, 0, 1, 0)),
]


@pytest.mark.parametrize(("change", "texts", "counts"), [r[1:] for r in CHANGES], ids=[r[0] for r in CHANGES])
def test_what_a_changed_rule_would_do(tmp_path, old, change, texts, counts):
    comparison = between(old, rules(tmp_path / "new", *change), [MARKING_RULE])
    posts = [stored_post(text, number=n) for n, text in enumerate(texts)]
    assert changed(replay(posts, comparison)) == counts


def test_a_post_counts_once_however_many_versions_fire(old):
    outcome = replay([stored_post(LEAK, LEAK + "!", stored=[STORED, STORED])], with_stored(old))
    assert changed(outcome) == (1, 1, 0, 0, 0)
    assert (outcome.posts, outcome.versions) == (1, 2)


def test_the_passages_of_a_long_text_are_judged_as_they_are_live(tmp_path):
    weakened = rules(tmp_path, ("severity: high", "severity: high\nweaker: [{phrases: [talian], by: 1}]"))
    notice = (
        "Talian aduan dibuka setiap hari dari jam 8.00 pagi hingga 5.00 petang di semua cawangan seluruh negeri ini."
    )
    text = "\n\n".join([notice, notice, f"{LEAK} dan senarai kakitangan bagi bilik tiga di aras bawah bangunan lama"])
    (live,) = evaluate(weakened, Subject(fields={"text": text}))
    assert live.severity is Severity.HIGH
    assert replay([stored_post(text)], with_stored(weakened)).rules[MARKING_RULE].fired_on == [(1, "high")]


def test_what_is_stored_is_compared_with_what_the_rules_find(old):
    gone = Stored("mampu-2009/3a/gone", Severity.MEDIUM, True)
    outcome = replay([stored_post("biasa", stored=[gone]), stored_post(LEAK, number=2)], with_stored(old))
    assert changed(outcome, "mampu-2009/3a/gone") == (1, 0, 0, 1, 0)
    assert changed(outcome) == (0, 1, 1, 0, 0)
    assert outcome.rules[MARKING_RULE].fired_on == [(2, "high")]


def test_mails_are_counted_by_agency_and_week_one_for_a_post(tmp_path, old):
    comparison = between(old, rules(tmp_path / "new", *SURAT), [MARKING_RULE])
    last_week = NOW - timedelta(weeks=1)
    posts = [
        stored_post(LEAK),
        stored_post("SULIT surat", number=2),
        stored_post("SULIT surat", number=3, at=last_week),
    ]
    assert replay(posts, comparison).mails == {("JPD", "2026-W48"): (1, 2), ("JPD", "2026-W47"): (0, 1)}


def test_a_shadow_rule_and_a_low_one_mail_nobody(old, tmp_path):
    for change in (("status: live", "status: shadow"), ("severity: high", "severity: low")):
        new = rules(tmp_path / change[1], change)
        assert replay([stored_post(LEAK)], between(old, new, [MARKING_RULE])).mails == {("JPD", "2026-W48"): (1, 0)}


def test_a_confirmed_alert_that_nothing_finds_any_more_is_lost(tmp_path, old):
    comparison = between(old, rules(tmp_path / "new", *NONE), [MARKING_RULE])
    post = stored_post("SULIT minit", confirmed=["PTU-2026-000001"])
    assert replay([post], comparison).lost == [(1, "PTU-2026-000001")]


def test_a_confirmed_alert_that_another_rule_still_finds_is_not_lost(tmp_path, old):
    comparison = between(old, rules(tmp_path / "new", *NONE), [MARKING_RULE])
    other = Stored(PASSWORD_RULE, Severity.CRITICAL, True)
    post = stored_post("SULIT minit", stored=[other], confirmed=["PTU-2026-000001"])
    outcome = replay([post], comparison)
    assert outcome.lost == []
    assert outcome.mails == {("JPD", "2026-W48"): (1, 1)}
    assert PASSWORD_RULE not in outcome.rules


def test_a_text_on_which_a_rule_fails_is_counted_and_stops_no_other(old):
    outcome = replay([stored_post(None), stored_post(LEAK, number=2)], with_stored(old))
    assert (outcome.posts, outcome.failed, outcome.rules[MARKING_RULE].after) == (2, 1, 1)


def test_the_outcomes_of_parts_add_up_and_survive_a_checkpoint(tmp_path, old):
    comparison = between(old, rules(tmp_path / "new", *SURAT), [MARKING_RULE])
    posts = [stored_post("SULIT surat", number=n, at=NOW - timedelta(days=n)) for n in range(40)]
    whole, parts = replay(posts, comparison), Outcome()
    for begin in (30, 0, 20, 10):
        parts.add(from_json(json.loads(json.dumps(to_json(replay(posts[begin : begin + 10], comparison))))))
    assert parts == whole


# ---------------------------------------------------------------- which rules differ


DIFFERENCES = [
    ("a comment", (("severity: high", "severity: high  # note"),), []),
    ("another version and title", (("version: 1", "version: 2"), ("Penandaan", "Tanda")), []),
    ("another test", (('quiet: [{text: "minit"}]', 'quiet: [{text: "surat"}]'),), []),
    ("another phrase", SURAT, [MARKING_RULE]),
    ("another status", (("status: live", "status: draft"),), [MARKING_RULE]),
]


@pytest.mark.parametrize(("change", "names"), [row[1:] for row in DIFFERENCES], ids=[row[0] for row in DIFFERENCES])
def test_only_rules_that_may_find_something_else_differ(tmp_path, change, names):
    assert backtest.differing_rules(rules(tmp_path / "old"), rules(tmp_path / "new", *change)) == names


def test_a_changed_list_makes_the_rules_that_name_it_differ(tmp_path):
    sides = []
    for words in ("surat", "surat, memo"):
        place = folder(tmp_path / words, ("paper: {phrases: [minit]}", "paper: {phrases: [minit], lists: [papers]}"))
        (place / "mampu-2009" / "lists").mkdir()
        (place / "mampu-2009" / "lists" / "papers.yaml").write_text(f"phrases: [{words}]\n")
        sides.append(load_rules(place, today=TODAY))
    assert backtest.differing_rules(*sides) == [MARKING_RULE]


def test_a_new_and_a_removed_rule_differ(tmp_path):
    sides = [folder(tmp_path / "old"), folder(tmp_path / "new")]
    (sides[1] / "mampu-2009" / "4" / "password.yaml").unlink()
    loaded = [load_rules(side, today=TODAY) for side in sides]
    assert backtest.differing_rules(*loaded) == backtest.differing_rules(*loaded[::-1]) == [PASSWORD_RULE]


LIFTED = (("severity: high", "severity: low\nopinion: lifts"),)


def test_another_opinion_makes_the_rules_that_it_lifts_differ(tmp_path):
    sides = [folder(tmp_path / side, *LIFTED) for side in ("old", "new")]
    posts = [Labelled(text=LEAK, clause="3c"), Labelled(text="minit mesyuarat persatuan")]
    file = sides[1] / "mampu-2009" / "opinion.json"
    bars = Bars(lift={"3c": 0.5}, confirm=0.5, doubt=0.02, voice={"3c": 0.5})
    file.write_text(dumped(learn(posts, instrument="mampu-2009", bars=bars)))
    before, after = (load_rules(side, today=TODAY) for side in sides)
    assert backtest.differing_rules(before, after) == [MARKING_RULE]
    outcome = replay([stored_post(LEAK)], between(before, after, [MARKING_RULE]))
    assert changed(outcome) == (1, 1, 0, 0, 1)
    assert list(outcome.mails.values()) == [(0, 1)]


BROKEN = (('quiet: [{text: "minit"}]', 'quiet: [{text: "SULIT minit"}]'),)


def test_a_changed_file_is_tested_and_those_in_force_are_not(tmp_path, sqlite_db):
    in_force, changed_since = folder(tmp_path / "old"), folder(tmp_path / "new", *BROKEN)
    with pytest.raises(ConfigurationError, match="should stay quiet"):
        backtest.task_of(sqlite_db, changed_since, in_force, today=TODAY)
    same = folder(tmp_path / "same", *BROKEN)
    assert backtest.task_of(sqlite_db, same, changed_since, today=TODAY).differing == []


def test_where_a_shared_list_was_changed_every_file_is_tested(tmp_path, sqlite_db):
    sides = [folder(tmp_path / side, *BROKEN) for side in ("old", "new")]
    (sides[1] / "mampu-2009" / "lists").mkdir()
    (sides[1] / "mampu-2009" / "lists" / "papers.yaml").write_text("phrases: [surat]\n")
    with pytest.raises(ConfigurationError, match="should stay quiet"):
        backtest.task_of(sqlite_db, sides[1], sides[0], today=TODAY)


# ---------------------------------------------------------------- the archive


def test_posts_come_with_versions_media_findings_and_confirmed_cases(db):
    make = ArchiveMaker(db)
    make.post("pertama", "kedua", read="SULIT minit", described="surat")
    two = make.post(LEAK, by="KCM", found=(marking(),), resolution=Resolution.ACTION_TAKEN)
    make.post(LEAK, found=(marking(),), resolution=Resolution.FALSE_ALARM)
    stretch = stretch_of(db, since=None, limit=None)
    piece = Archive(db).piece(stretch)
    assert piece.texts == ["pertama", "kedua", "surat", "SULIT minit", LEAK, LEAK]
    assert (piece.posts, piece.versions) == (3, 5)
    first, second, third = piece.worth(range(6))
    assert first.versions == [
        ("ms", {"text": "pertama"}, 0),
        ("ms", {"text": "kedua", "picture:0": "surat"}, 1),
        ("ms", {"picture:0": "SULIT minit"}, 3),
    ]
    assert [one.id for one in piece.worth([3])] == [first.id, second.id, third.id]
    assert first.published_at == NOW
    assert (first.holder.agency, second.holder.agency) == ("JPD", "KCM")
    assert second.stored == [STORED]
    assert second.confirmed == [make.case(two)]
    assert third.confirmed == ()


def test_a_stretch_is_bounded_by_time_and_number(db):
    make = ArchiveMaker(db)
    for age in (30, 20, 10):
        make.post("biasa", at=NOW - timedelta(days=age))
    stretches = [
        stretch_of(db, since=None, limit=None),
        stretch_of(db, since=NOW - timedelta(days=25), limit=None),
        stretch_of(db, since=None, limit=1),
    ]
    assert [Archive(db).piece(stretch).posts for stretch in stretches] == [3, 2, 1]
    assert stretch_of(db, since=NOW, limit=None) is None


@pytest.mark.parametrize("processes", [1, 2])
def test_pieces_add_up_to_the_archive_whoever_judges_them(tmp_path, db, processes, monkeypatch):
    monkeypatch.setattr(backtest, "PIECE", 7)
    make = ArchiveMaker(db)
    for n in range(30):
        make.post(f"SULIT surat {n}" if n % 3 == 0 else "biasa")
    task = backtest.task_of(db, folder(tmp_path / "new", *SURAT), folder(tmp_path / "old"), today=TODAY)
    checkpoint = backtest.Checkpoint(stretch=stretch_of(db, since=None, limit=None))
    told = []
    for _ in backtest.run(
        db, task, checkpoint, processes=processes, bar=lambda: nullcontext(lambda *both: told.append(both))
    ):
        pass
    assert told == [(n, 5) for n in range(6)]
    assert checkpoint.outcome.posts == 30
    assert changed(checkpoint.outcome) == (0, 10, 10, 0, 0)


# ---------------------------------------------------------------- the command


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path / "config", TOML).write()


@pytest.fixture
def make(here):
    db = open_database(f"sqlite:///{here.database}")
    yield ArchiveMaker(db)
    db.close()


def test_a_candidate_folder_is_compared_with_the_configuration(here, make, tmp_path):
    make.post("SULIT surat")
    make.post(LEAK, found=(marking(),))
    new = folder(tmp_path / "new", *SURAT)
    told = here.run("backtest", "--rules", str(new))
    assert told.code == 0, told.err
    assert "newly fired" in told.out
    assert "https://x.com/i/status/n0" in told.out
    assert "SULIT" not in told.out, "no post's text unless asked for"
    assert "SULIT surat" in here.run("backtest", "--rules", str(new), "--text").out
    (answer,) = [json.loads(here.run("backtest", "--rules", str(new), "--json").out)]
    assert answer["rules_run"] == [MARKING_RULE]
    assert answer["rules"][0]["newly_fired"] == 1
    assert answer["rules"][0]["fired_posts"][0]["post_native_id"] == "n0"
    assert answer["mails"] == [{"agency": "JPD", "week": "2026-W48", "before": 1, "after": 2}]


def test_it_writes_no_alert_and_no_mail(here, make, tmp_path):
    make.post("SULIT surat")
    here.run("backtest", "--rules", str(folder(tmp_path / "new", *SURAT)))
    tables = ("alert", "notification", "finding", "evaluation")
    assert [here.query(f"select count(*) from {table}") for table in tables] == [[(0,)]] * 4
    assert not list(here.folder.glob("backtest-*"))


@pytest.mark.parametrize("resolution", [one for one in Resolution if one.confirms])
def test_a_change_that_loses_a_confirmed_alert_is_refused_unless_forced(here, make, tmp_path, resolution):
    number = make.post(LEAK, found=(marking(),), resolution=resolution)
    new = str(folder(tmp_path / "new", *NONE))
    refused = here.run("backtest", "--rules", new)
    assert refused.code == 1
    assert make.case(number) in refused.out
    assert "1 alert that somebody confirmed would be lost" in refused.err
    assert here.run("backtest", "--rules", new, "--force").code == 0


def test_a_change_that_loses_a_false_alarm_is_welcome(here, make, tmp_path):
    make.post(LEAK, found=(marking(),), resolution=Resolution.FALSE_ALARM)
    assert here.run("backtest", "--rules", str(folder(tmp_path / "new", *NONE))).code == 0


def test_without_rules_the_present_ones_are_compared_with_what_was_found(here, make):
    make.post(LEAK, found=(finding("mampu-2009/3a/retired", Severity.MEDIUM),))
    told = json.loads(here.run("backtest", "--json").out)
    assert [(one["rule"], one["newly_fired"], one["no_longer"]) for one in told["rules"]] == [
        ("mampu-2009/3a/retired", 0, 1),
        (MARKING_RULE, 1, 0),
    ]


def test_rules_that_find_the_same_are_said_to(here, make, tmp_path):
    make.post(LEAK)
    assert "no rule differs" in here.run("backtest", "--rules", str(folder(tmp_path / "same"))).out


def test_an_archive_without_posts_is_said_to_be(here):
    told = here.run("backtest")
    assert (told.code, told.out) == (0, "no stored posts to replay\n")
    assert json.loads(here.run("backtest", "--json").out)["posts"] == 0
    assert here.run("backtest", "--since", "yesterday").code == 2
    told = here.run("backtest", "--rules", "nowhere")
    assert (told.code, "nowhere" in told.err) == (2, True)


def test_an_interrupted_back_test_goes_on_where_it_was(here, make, tmp_path, monkeypatch, capsys):
    for n in range(30):
        make.post(f"SULIT surat {n}")
    new = folder(tmp_path / "new", *SURAT)
    monkeypatch.setattr(backtest, "PIECE", 7)
    monkeypatch.setattr(root.GIVEN, "folder", here.folder)
    with monkeypatch.context() as patched:
        patched.setattr(backtest, "replay", interrupted(after=2))
        with pytest.raises(typer.Exit) as ended:
            command.backtest(rules=new, as_json=True)
    assert ended.value.exit_code == 1
    assert "goes on from here" in capsys.readouterr().err
    (kept,) = here.folder.glob("backtest-*.json")
    assert "surat" not in kept.read_text()

    monkeypatch.setattr(backtest, "replay", interrupted(after=3))
    command.backtest(rules=new, as_json=True)
    said = capsys.readouterr()
    assert "goes on where" in said.err
    assert json.loads(said.out)["posts"] == 30
    assert not list(here.folder.glob("backtest-*"))


def test_a_process_that_dies_keeps_what_the_others_did(here, make, tmp_path, monkeypatch, capsys):
    for n in range(30):
        make.post(f"SULIT surat {n}")
    monkeypatch.setattr(backtest, "PIECE", 7)
    monkeypatch.setattr(root.GIVEN, "folder", here.folder)
    monkeypatch.setattr(backtest, "replay", interrupted(after=2, by=BrokenProcessPool))
    with pytest.raises(typer.Exit):
        command.backtest(rules=folder(tmp_path / "new", *SURAT))
    assert "a process died" in capsys.readouterr().err
    assert len(list(here.folder.glob("backtest-*.json"))) == 1


def interrupted(*, after, by=KeyboardInterrupt):
    """Return a `replay` during which somebody presses Ctrl-C when it did so many pieces."""
    done = []

    def one_more(piece, comparison):
        if len(done) == after:
            raise by
        done.append(True)
        return judge(piece, comparison)

    return one_more
