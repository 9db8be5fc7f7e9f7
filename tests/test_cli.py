"""The command line's contract, line by line. In this process where a process of its own would add nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest
from installation import AGENCY, LEAK, MARKING, Installation, eventually, rows
from platforms import X_TOKEN, Platforms, just_now

from monitor import cli
from monitor.model import MALAYSIA

TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[network]
allow = ["127.0.0.1/32"]
"""
AGENCY_COLUMNS = tuple(AGENCY)
ACCOUNT_COLUMNS = ("agency", "platform", "handle", "url", "status", "note")


class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def here(tmp_path):
    return Installation(tmp_path / "config", TOML).write()


@pytest.fixture
def pantau(here, monkeypatch, capsys):
    """Run a command in this process, as `main` does: returns exit code, output and errors."""

    def call(*arguments, folder=None, given=None):
        monkeypatch.setattr("sys.argv", ["pantau", "--config", str(folder or here.folder), *arguments])
        if given is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """An installation after one pass: a leak, an ordinary post, an edited and a deleted one, an unreadable account."""
    platforms = Platforms()
    with platforms.server:
        folder = tmp_path_factory.mktemp("read")
        platforms.open_x("jpd")
        platforms.tweet("jpd", "Biasa", at=just_now(3))
        edited = platforms.tweet("jpd", "Salah ejaaan", at=just_now(2))
        deleted = platforms.tweet("jpd", "Silap", at=just_now(2))
        leak = platforms.tweet("jpd", LEAK)
        connector = f'[connectors.x]\nbearer_token = "{X_TOKEN}"\nbase_url = "{platforms.url}/x"\n'
        here = Installation(folder, TOML + connector, [("JPD", "x", "jpd", ""), ("JPD", "x", "tiada", "")]).write()
        assert here.run("once").code == 1
        platforms.edit_tweet("jpd", edited, "Salah ejaan")
        platforms.delete_tweet("jpd", deleted)
        here.run("once")
        here.leak = leak
        yield here


@pytest.fixture
def listed(pantau, read):
    """List what the one pass brought, as JSON."""

    def call(*arguments):
        answer = pantau(*arguments, "--json", folder=read.folder)
        assert answer.code == 0, answer.err
        return answer.json

    return call


# ---------------------------------------------------------------- listings


def test_posts_list_as_the_contract_says(read, listed):
    posts = {post["text"]: post for post in listed("posts", "list")}
    assert posts[LEAK] == {
        "platform": "x",
        "account": "jpd",
        "native_id": read.leak,
        "url": posts[LEAK]["url"],
        "published_at": posts[LEAK]["published_at"],
        "text": LEAK,
        "versions": 1,
        "deleted": False,
    }
    assert read.leak in posts[LEAK]["url"]
    assert datetime.fromisoformat(posts[LEAK]["published_at"]).utcoffset() == timedelta(0)
    assert posts["Salah ejaan"]["versions"] == 2
    assert posts["Silap"]["deleted"] is True
    assert len(posts) == 4


def test_alerts_list_as_the_contract_says(read, listed):
    (alert,) = listed("alerts", "list")
    assert list(alert) == [
        "case",
        "agency",
        "platform",
        "account",
        "severity",
        "state",
        "clauses",
        "rules",
        "post_native_id",
        "post_url",
        "opened_at",
    ]
    assert alert["case"].startswith("PTU-")
    assert (alert["agency"], alert["platform"], alert["account"]) == ("JPD", "x", "jpd")
    assert (alert["severity"], alert["state"]) == ("high", "open")
    assert (alert["clauses"], alert["rules"]) == (["3c"], ["mampu-2009/3c/marking"])
    assert alert["post_native_id"] == read.leak
    assert read.run("alerts", "list").out.split()[:4] == ["case", "severity", "kind", "agency"]


def test_coverage_as_the_contract_says_and_an_unread_account_differs_at_once(listed):
    healthy, unread = listed("coverage")
    assert list(healthy) == ["agency", "platform", "account", "verdict", "covered", "gaps"]
    assert (healthy["verdict"], healthy["covered"], healthy["gaps"]) == ("fully monitored", 1.0, [])
    assert (unread["account"], unread["verdict"], unread["covered"]) == ("tiada", "blind", 0.0)
    (gap,) = unread["gaps"]
    assert list(gap) == ["from", "to", "cause"]
    assert gap["cause"] == "account not found"
    assert datetime.fromisoformat(gap["from"]) < datetime.fromisoformat(gap["to"])


def test_a_case_is_shown_without_the_post_s_text(read, listed, pantau):
    (alert,) = listed("alerts", "list")
    shown = pantau("alerts", "show", alert["case"].lower(), folder=read.folder)
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0] == f"{alert['case']}: suspected post, high"
    assert "account    x/jpd" in lines
    assert any(re.match(r"next +\d{4}-\d\d-\d\d \d\d:\d\d, unless somebody answers before", one) for one in lines)
    assert any(one.endswith("accepted, first: ketua@jpd.example.my") for one in lines)
    assert any(one.endswith("alert opened, by pantau") for one in lines)
    assert "Mesyuarat" not in shown.out
    assert "None" not in shown.out
    assert " – " not in shown.out
    (told,) = listed("alerts", "show", alert["case"])
    assert [mail["state"] for mail in told["mails"]] == ["accepted"]
    assert told["findings"][0]["spans"] == [[0, 5], [6, 11]]


def test_accounts_list_says_how_reading_goes(listed):
    readings = {row["account"]: (row["reading"], row["cause"]) for row in listed("accounts", "list")}
    assert readings == {"jpd": ("ok", None), "tiada": ("failing", "account not found")}


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--platform", "x"), 4),
        (("--platform", "facebook"), 0),
        (("--account", "@JPD"), 4),
        (("--agency", "jpd"), 4),
        (("--since", "2036-01-01"), 0),
    ],
)
def test_posts_are_narrowed_by(listed, arguments, count):
    assert len(listed("posts", "list", *arguments)) == count


@pytest.mark.parametrize("listing", [("posts", "list"), ("alerts", "list"), ("coverage",), ("accounts", "list")])
def test_an_agency_that_is_not_registered_is_named_and_not_answered_with_nothing(read, pantau, listing):
    answer = pantau(*listing, "--agency", "JPX", folder=read.folder)
    assert answer.code == 2
    assert "--agency: 'JPX': no registered agency; did you mean JPD?" in answer.err


def test_a_table_in_a_pipe_is_not_folded(read):
    lines = read.run("posts", "list").out.splitlines()
    assert len(lines) == 5
    assert any(read.leak in line and "SULIT Minit" in line for line in lines)


def test_json_is_not_capped_and_a_table_says_how_many_more(pantau, here):
    platforms = Platforms()
    platforms.open_x("jpd")
    for n in range(60):
        platforms.tweet("jpd", f"Hantaran {n}", at=just_now(100 - n))
    with platforms.server:
        here.toml += f'[connectors.x]\nbearer_token = "{X_TOKEN}"\nbase_url = "{platforms.url}/x"\n'
        here.accounts = [("JPD", "x", "jpd", "")]
        here.write()
        assert here.run("once").code == 0
    assert len(pantau("posts", "list", "--json").json) == 60
    assert "--json prints all" in pantau("posts", "list").out


@pytest.mark.parametrize(
    "listing", [("posts", "list"), ("alerts", "list"), ("coverage",), ("accounts", "list"), ("agencies", "list")]
)
def test_a_listing_before_the_first_pass_is_an_array_and_makes_no_database(pantau, here, listing):
    answer = pantau(*listing, "--json")
    assert answer.code == 0
    assert isinstance(answer.json, list)
    assert not here.database.exists()


def test_listings_work_beside_a_pass_and_a_second_one_is_refused_by_name(here):
    platforms = Platforms()
    platforms.open_x("jpd")
    go, came = threading.Event(), threading.Event()

    def before(asked):
        came.set()
        go.wait(120)

    platforms.before = before
    with platforms.server:
        here.toml = here.toml.replace("[network]", '[network]\ntimeout = "2m"')  # a busy machine must not end the pass
        here.toml += f'[connectors.x]\nbearer_token = "{X_TOKEN}"\nbase_url = "{platforms.url}/x"\n'
        here.accounts = [("JPD", "x", "jpd", "")]
        here.write()
        first = here.start("once")
        try:
            assert came.wait(60)
            assert here.listed("coverage")[0]["verdict"] == "blind"
            assert here.listed("accounts", "list")[0]["reading"] == "not yet read"
            assert here.run("digest", "--out", str(here.folder / "d.html")).code == 0
            for command in ("once", "run"):
                second = here.run(command)
                assert second.code == 1
                assert f"process {first.pid}" in second.err
                assert "Stop it first" in second.err
        finally:
            go.set()
            first.communicate(timeout=60)
    assert first.returncode == 0


# ---------------------------------------------------------------- check


def test_check_prints_paths_resolved_whatever_the_folder_one_stands_in(pantau, here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = pantau("check", folder="config")
    assert answer.code == 0
    assert f"sqlite:///{here.database}" in answer.out
    assert str(here.folder / "mail") in answer.out
    assert not here.database.exists()


def test_check_tells_all_mistakes_at_once_with_file_place_and_remedy(pantau, here):
    here.toml = TOML.replace("folder =", "foldr =") + (
        '[polling]\nworkers = "many"\n[connectors.x]\nbearer_token_file = "secrets/x"\n'
    )
    here.accounts = [("JPD", "twiter", "jpd", "")]
    here.write()
    rule = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    rule.write_text(MARKING.replace("phrases: [minit]", "regex: '(minit'"))

    answer = pantau("check")

    assert answer.code == 2
    told = answer.err.splitlines()
    for file, place, remedy in (
        ("pantau.toml", "mail.foldr", "did you mean folder?"),
        ("pantau.toml", "polling.workers", "expected a whole number"),
        ("pantau.toml", "connectors.x.bearer_token_file", "write the secret into this file"),
        ("accounts.csv", "line 2", "did you mean x?"),
        ("marking.yaml", "parts.paper", ""),
    ):
        assert any(file in line and place in line and remedy in line for line in told), (file, place, remedy, told)


@pytest.mark.parametrize(
    ("toml", "place"),
    [
        ('[mail]\ntransport = "smtp"\nhost = "mail.example.my"\nsecurity = "none"\n', "mail.security"),
        ('[polling]\nmin_interval = "500ms"\n', "polling.min_interval"),
        ('[polling]\noverlap = "1m"\n', "polling.overlap"),
        ('[database]\nurl = "mysql://pantau@host/pantau"\n', "database.url"),
        ("[mail\n", "not valid TOML"),
        ('[connectors.friendster]\nkey = "1"\n', "connectors.friendster"),
        ("[polling]\nmin_interval = 60\n", "polling.min_interval"),
    ],
)
def test_a_mistake_stops_every_command_that_works_before_anything_is_touched(pantau, here, toml, place):
    (here.folder / "pantau.toml").write_text(toml)
    before = sorted(here.folder.rglob("*"))
    for command in (("check",), ("once",), ("run",), ("doctor",), ("mail", "test", "a@example.my")):
        answer = pantau(*command)
        assert answer.code == 2, command
        assert place in answer.err
        assert "Traceback" not in answer.err
    assert sorted(here.folder.rglob("*")) == before


def test_mail_in_clear_to_this_machine_itself_is_allowed(pantau, here):
    (here.folder / "pantau.toml").write_text('[mail]\ntransport = "smtp"\nhost = "127.0.0.1"\nsecurity = "none"\n')
    assert pantau("check").code == 0


def test_check_names_accounts_that_left_the_file_and_exceptions_that_end_soon(pantau, here):
    rows = "agency,platform,handle,url,status,note\nJPD,myspace,kekal,,active,\n"
    register = here.folder / "register" / "accounts.csv"
    register.write_text(rows + "JPD,myspace,hilang,,active,\n")
    assert pantau("accounts", "import", str(register)).code == 0
    register.write_text(rows)
    rule = next((here.folder / "rules").rglob("marking.yaml"))
    ends = datetime.now(MALAYSIA).date() + timedelta(days=7)
    excuse = f"exceptions: [{{name: seats, covers: [had], reason: r, owner: o, expires: {ends}}}]\n"
    rule.write_text(rule.read_text() + excuse)
    answer = pantau("check")
    assert answer.code == 0
    assert "no longer in accounts.csv, and still read: 1 (myspace/hilang)" in answer.err
    assert f"the exception 'seats' ends on {ends}" in answer.err
    register.unlink()
    answer = pantau("check")
    assert "no longer in accounts.csv, and still read: 2 (" in answer.err
    assert "nothing is monitored" not in answer.err


def test_check_names_the_missing_credential_of_a_registered_platform(pantau, here):
    here.accounts = [("JPD", "facebook", "jabatandemo", "")]
    here.write()
    answer = pantau("check")
    assert answer.code == 2
    assert "connectors.facebook.access_token" in answer.err
    assert "access_token_file" in answer.err


def test_a_folder_without_configuration_says_how_to_get_one(pantau, tmp_path):
    answer = pantau("once", folder=tmp_path / "nothing")
    assert answer.code == 2
    assert "pantau init" in answer.err
    assert not (tmp_path / "nothing").exists()


def test_init_writes_a_configuration_that_check_finds_right_and_overwrites_nothing(pantau, tmp_path):
    fresh = tmp_path / "fresh"
    begun = pantau("init", str(fresh))
    assert (begun.code, f"`pantau --config {fresh} check`" in begun.out) == (0, True)
    assert pantau("check", folder=fresh).code == 0
    (fresh / "pantau.toml").write_text("# mine")
    assert "left alone" in pantau("init", str(fresh)).out
    assert (fresh / "pantau.toml").read_text() == "# mine"


# ---------------------------------------------------------------- register


def excel(columns, *records):
    """Write rows as Excel does here: BOM, semicolons, CRLF, blanks around."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows([columns, *records])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def test_importing_agencies_and_accounts_as_excel_writes_them_and_again_changes_nothing(pantau, here, tmp_path):
    other = {**AGENCY, "code": " KCM ", "name": "Kementerian\nContoh", "head_email": "ketua@kcm.example.my "}
    (tmp_path / "a.csv").write_bytes(excel(AGENCY_COLUMNS, list(other.values())))
    (tmp_path / "b.csv").write_bytes(excel(ACCOUNT_COLUMNS, ["kcm", "Twitter", "@KContoh ", "", "", "nota"]))
    assert "1 of them new" in pantau("agencies", "import", str(tmp_path / "a.csv")).out
    assert "1 of them new" in pantau("accounts", "import", str(tmp_path / "b.csv")).out
    register = {path: path.read_bytes() for path in (here.folder / "register").iterdir()}
    for kind, file in (("agencies", "a.csv"), ("accounts", "b.csv")):
        again = pantau(kind, "import", str(tmp_path / file))
        assert again.code == 0
        assert "nothing changed" in again.out
    assert {path: path.read_bytes() for path in (here.folder / "register").iterdir()} == register
    (account,) = pantau("accounts", "list", "--json").json
    assert (account["agency"], account["platform"], account["account"]) == ("KCM", "x", "KContoh")
    assert [one["code"] for one in pantau("agencies", "list", "--json").json] == ["JPD", "KCM"]


def test_a_bad_row_is_named_by_line_and_nothing_is_imported(pantau, here, tmp_path):
    (tmp_path / "b.csv").write_text(
        rows(ACCOUNT_COLUMNS, ["JPD", "x", "jpd", "", "", ""], ["TIADA", "x", "a", "", "on", ""])
    )
    before = (here.folder / "register" / "accounts.csv").read_bytes()
    answer = pantau("accounts", "import", str(tmp_path / "b.csv"))
    assert answer.code == 2
    assert "b.csv: line 3: agency: 'TIADA': not in agencies.csv" in answer.err
    assert "line 3: status: 'on'" in answer.err
    assert (here.folder / "register" / "accounts.csv").read_bytes() == before
    assert not here.database.exists()


def test_an_import_into_a_broken_configuration_writes_nothing(pantau, here, tmp_path):
    (tmp_path / "b.csv").write_text(rows(ACCOUNT_COLUMNS, ["JPD", "x", "jpd", "", "", ""]))
    (here.folder / "pantau.toml").write_text("[nonsense]\n")
    before = (here.folder / "register" / "accounts.csv").read_bytes()
    assert pantau("accounts", "import", str(tmp_path / "b.csv")).code == 2
    assert (here.folder / "register" / "accounts.csv").read_bytes() == before


def test_an_import_is_not_refused_for_the_mistake_that_it_remedies(pantau, here, tmp_path):
    (here.folder / "policy.toml").write_text('[out_of_band]\nKCM = ["6@sms.example.my"]\n')
    assert pantau("check").code == 2
    (tmp_path / "b.csv").write_text(rows(ACCOUNT_COLUMNS, ["JPD", "myspace", "jpd", "", "", ""]))
    answer = pantau("accounts", "import", str(tmp_path / "b.csv"))
    assert answer.code == 0
    assert "policy.toml: out_of_band.KCM: no agency has this code" in answer.err
    other = {**AGENCY, "code": "KCM", "name": "Kementerian Contoh", "head_email": "ketua@kcm.example.my"}
    (tmp_path / "a.csv").write_bytes(excel(AGENCY_COLUMNS, list(other.values())))
    assert pantau("agencies", "import", str(tmp_path / "a.csv")).code == 0
    assert pantau("check").code == 0


def test_a_file_name_in_a_message_is_printed_as_it_is(pantau, tmp_path):
    answer = pantau("accounts", "import", str(tmp_path / "[bold]:x:.csv"))
    assert answer.code == 2
    assert "[bold]:x:.csv: cannot be read" in answer.err


# ---------------------------------------------------------------- evaluate


def evaluate(pantau, *lines, folder=None):
    given = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    answer = pantau("evaluate", given=given, folder=folder)
    return answer.code, [json.loads(line) for line in answer.out.splitlines()]


def test_evaluate_answers_line_by_line_in_order(pantau, here):
    code, answers = evaluate(pantau, {"id": "a", "text": f"😀 {LEAK}", "unknown": 1}, {"id": 2, "text": "Selamat pagi"})
    assert code == 0
    assert answers == [
        {
            "id": "a",
            "alert": True,
            "severity": "high",
            "clauses": ["3c"],
            "findings": [
                {
                    "rule": "mampu-2009/3c/marking",
                    "clause": "3c",
                    "severity": "high",
                    "field": "text",
                    "spans": [[2, 7], [8, 13]],  # code points of the original
                }
            ],
        },
        {"id": 2, "alert": False, "severity": None, "clauses": [], "findings": []},
    ]
    assert not here.database.exists()


def test_evaluate_names_a_bad_line_goes_on_and_ends_with_1(pantau):
    code, answers = evaluate(
        pantau,
        b"not json",
        {"id": 1},
        [1],
        {"text": 5},
        b"\xff\xfe",
        {"text": "x", "posted_at": "later"},
        {"text": "x"},
    )
    assert code == 1
    assert [answer.get("line") for answer in answers] == [1, 2, 3, 4, 5, 6, None]
    assert all(answer["error"] for answer in answers[:-1])
    assert answers[-1]["alert"] is False


def test_evaluate_answers_a_blank_line_too(pantau):
    code, answers = evaluate(pantau, {"id": 1, "text": "a"}, b"", {"id": 3, "text": "b"})
    assert code == 1
    assert [answer.get("id") for answer in answers] == [1, None, 3]
    assert answers[1]["line"] == 2


def test_evaluate_lists_a_file_it_cannot_read(pantau, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = [str(tmp_path / "broken.png"), str(tmp_path / "absent.png"), "with\x00nul"]
    code, (answer,) = evaluate(pantau, {"text": LEAK, "pictures": paths, "documents": ["absent.pdf"]})
    assert code == 0
    assert answer["unreadable"] == [*paths, "absent.pdf"]
    assert answer["alert"] is True


def test_evaluate_knows_the_kind_of_the_register_s_agencies(pantau, here):
    rule = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    placed = MARKING.replace("condition:", "where: {agency_kind: [department]}\ncondition:")
    rule.write_text(
        placed.replace('fire: [{text: "SULIT minit"', 'fire: [{text: "SULIT minit", agency_kind: department')
    )
    code, answers = evaluate(pantau, {"text": LEAK, "agency": "JPD"}, {"text": LEAK, "agency": "KCM"})
    assert code == 0
    assert [answer["alert"] for answer in answers] == [True, False]


def test_evaluate_needs_nothing_but_the_rules(pantau, here):
    (here.folder / "pantau.toml").unlink()
    code, answers = evaluate(pantau, {"text": LEAK})
    assert (code, answers[0]["alert"]) == (0, True)


# ---------------------------------------------------------------- rules, digest, mail, doctor


def test_rules_check_test_and_list(pantau, here):
    assert "2 rules" in pantau("rules", "check").out
    assert "0 failed" in pantau("rules", "test").out
    assert [rule["id"] for rule in pantau("rules", "list", "--json").json] == [
        "mampu-2009/3c/marking",
        "mampu-2009/4/password",
    ]


def test_a_rule_whose_test_fails_is_refused_with_its_file(pantau, here):
    rule = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    rule.write_text(MARKING.replace('quiet: [{text: "minit"}]', 'quiet: [{text: "SULIT minit"}]'))
    for command in (("rules", "check"), ("check",), ("once",)):
        answer = pantau(*command)
        assert answer.code == 2
        assert "marking.yaml: tests.quiet" in answer.err


@pytest.mark.parametrize("week", ["2026-W60", "W47", "next", "2026-47", "2036-W01"])
def test_a_bad_week_is_bad_usage(pantau, week):
    answer = pantau("digest", "--week", week)
    assert answer.code == 2
    assert week in answer.err


@pytest.mark.parametrize(("suffix", "begins"), [("html", b"<!"), ("eml", b"From: ")])
def test_digest_out_writes_by_its_suffix_and_sends_nothing(read, pantau, suffix, begins):
    file = read.folder / f"digest.{suffix}"
    mails = len(read.mails)
    this_week = f"{datetime.now(UTC) + timedelta(hours=8):%G-W%V}"
    ran = pantau("digest", "--week", this_week, "--out", str(file), folder=read.folder)
    assert ran.code == 0, ran.err
    assert file.read_bytes().lower().startswith(begins.lower())
    assert len(read.mails) == mails


def test_digest_out_refuses_another_suffix_and_both_at_once(pantau):
    assert "ends in .html or .eml" in pantau("digest", "--out", "d.pdf").err
    assert pantau("digest", "--out", "d.html", "--send").code == 2


def test_digest_send_is_the_week_s_one_delivery(pantau, here):
    here.toml += '[digest]\nrecipients = ["ict@example.my", "csirt@example.my"]\n'
    here.write()
    assert here.run("digest", "--week", "2026-W40", "--send").code == 0
    assert len(here.mails) == 2
    again = here.run("digest", "--week", "2026-W40", "--send")
    assert again.code == 0
    assert "delivered before" in again.out
    assert len(here.mails) == 2


def test_mail_test_proves_the_path_and_names_a_server_that_is_down(pantau, here):
    assert pantau("mail", "test", "ict@example.my").code == 0
    assert len(here.mails) == 1
    assert pantau("mail", "test", "no address").code == 2
    here.toml = '[mail]\ntransport = "smtp"\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"\n'
    here.write()
    answer = pantau("mail", "test", "ict@example.my")
    assert answer.code == 1
    assert "127.0.0.1:1" in answer.err


def test_doctor_tries_each_thing_and_ends_with_1_when_one_is_bad(pantau, here):
    answer = pantau("doctor")
    assert answer.code == 0
    for subject in ("database", "mail", "clock", "libraries", "pictures"):
        assert subject in answer.out
    here.toml = (
        '[mail]\ntransport = "smtp"\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"\n[polling]\nmin_interval = "5s"\n'
    )
    here.write()
    answer = pantau("doctor")
    assert answer.code == 1
    assert "BAD   mail" in answer.out
    assert "below 30s" in answer.out
    assert not here.database.exists()


def test_doctor_tells_what_an_unused_platform_would_need(pantau, here):
    assert "developer.x.com" in pantau("doctor").out


def test_doctor_tries_each_credential(read, pantau):
    ran = pantau("doctor", folder=read.folder)
    assert ran.code == 0, ran.out
    assert "the bearer token is accepted" in ran.out
    assert "x: the bearer" not in ran.out  # its line begins with the name already
    assert "set it by NTP" not in ran.out
    assert "1 of them failing" in ran.out


@pytest.mark.parametrize("arguments", [("nonsense",), ("posts", "list", "--nonsense"), ("alerts", "show"), ()])
def test_bad_usage_is_2(pantau, arguments):
    assert pantau(*arguments).code == 2


def test_options_that_make_no_sense_are_named(pantau):
    for arguments in (("alerts", "list", "--state", "done"), ("posts", "list", "--since", "yesterday")):
        answer = pantau(*arguments)
        assert answer.code == 2
        assert arguments[-1] in answer.err
    assert pantau("alerts", "show", "PTU-2026-999999").code == 2


def test_a_reader_that_leaves_early_is_no_error(read):
    process = read.start("posts", "list", "--json")
    process.stdout.close()
    assert eventually(lambda: process.poll() is not None)
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


# ---------------------------------------------------------------- the second opinion

LABELLED = [
    *({"text": f"kek isteri saya RM{n}, jumpa di kaunter", "breach": True, "clause": "3c"} for n in range(9)),
    *({"text": f"jualan rahmah di dataran RM{n}", "breach": False, "clause": ""} for n in range(9)),
]


def labelled(folder, rows):
    file = folder / "labelled.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_labelled_posts_make_an_opinion_that_the_rules_load(pantau, here, tmp_path):
    answer = pantau("rules", "learn", labelled(tmp_path, LABELLED))
    assert "from 18 labelled posts, 0 ordinary texts and 0 verdicts" in " ".join(answer.out.split())
    assert (here.folder / "rules" / "mampu-2009" / "opinion.json").exists()
    assert "2 rules, all right" in pantau("rules", "check").out


def test_ordinary_texts_stand_one_on_a_line(pantau, here, tmp_path):
    file = tmp_path / "ordinary.txt"
    file.write_text("selamat pagi semua\n\nkaunter dibuka pukul lapan\n")
    answer = pantau("rules", "learn", labelled(tmp_path, LABELLED), "--ordinary", str(file))
    assert "18 labelled posts, 2 ordinary texts" in " ".join(answer.out.split())


def test_ordinary_texts_may_be_labelled_posts_of_elsewhere(pantau, tmp_path):
    file = tmp_path / "headlines.jsonl"
    file.write_text(json.dumps({"text": "Lelaki didenda RM500", "breach": False, "clause": ""}) + "\n")
    answer = pantau("rules", "learn", labelled(tmp_path, LABELLED), "--ordinary", str(file))
    assert "18 labelled posts, 1 ordinary texts" in " ".join(answer.out.split())
    file.write_text("kaunter dibuka\n")
    answer = pantau("rules", "learn", labelled(tmp_path, LABELLED), "--ordinary", str(file))
    assert "headlines.jsonl:1: expected text" in " ".join(answer.err.split())


def test_a_rule_that_must_be_confirmed_is_learned_from_its_own_examples(pantau, here, tmp_path):
    rule = next(here.folder.glob("rules/mampu-2009/*/marking.yaml"))
    rule.write_text(rule.read_text().replace("severity: high", "severity: high\nopinion: confirms"))
    file = tmp_path / "ordinary.txt"
    file.write_text("selamat pagi semua\nkaunter dibuka pukul lapan\n")
    answer = pantau("rules", "learn", "--ordinary", str(file))
    assert (answer.code, "written from 0 labelled posts, 2 ordinary texts" in " ".join(answer.out.split())) == (0, True)


def test_a_file_of_ordinary_texts_that_is_missing_is_named(pantau, tmp_path):
    answer = pantau("rules", "learn", "--ordinary", str(tmp_path / "gone.txt"))
    assert answer.code == 2
    assert "gone.txt: cannot be read" in " ".join(answer.err.split())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param({"text": "x"}, "labelled.jsonl:19: expected text, breach and clause", id="no label"),
        pytest.param(
            {"text": "x", "breach": True, "clause": "9"}, "labelled.jsonl:19: clause '9'", id="unknown clause"
        ),
    ],
)
def test_a_labelled_post_that_is_wrong_is_named_with_its_line(pantau, tmp_path, row, words):
    answer = pantau("rules", "learn", labelled(tmp_path, [*LABELLED, row]))
    assert answer.code == 2
    assert words in " ".join(answer.err.split())


def test_learning_from_nothing_says_so(pantau):
    answer = pantau("rules", "learn")
    assert answer.code == 2
    assert "name files of labelled posts" in " ".join(answer.err.split())


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ("end_while_loading(['check']); kill()", 130, ""),
        ("end_while_loading(['once']); kill()", 0, ""),
        ("end_while_loading(['check']); loaded(); kill()", -signal.SIGINT, "KeyboardInterrupt"),
        ("signal.signal(signal.SIGINT, signal.SIG_IGN); end_while_loading(['check']); kill()", 0, ""),
    ],
    ids=[
        "Ctrl-C while a command loads ends it without a traceback",
        "Ctrl-C while a worker loads ends it with 0",
        "a command that has loaded heeds it itself",
        "a command that was started to ignore Ctrl-C goes on",
    ],
)
def test_ctrl_c_while_the_modules_load(lines, code, said):
    setup = "import os, signal; from monitor.signals import end_while_loading, loaded\n"
    kill = "def kill(): os.kill(os.getpid(), signal.SIGINT)\n"
    ran = subprocess.run([sys.executable, "-c", setup + kill + lines], capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert ran.stderr.strip().endswith(said) if said else ran.stderr == ""


def test_doctor_says_that_the_database_s_folder_may_not_be_written(pantau, here, monkeypatch):
    monkeypatch.setattr("os.access", lambda _path, mode, **_: mode != os.W_OK)
    answer = pantau("doctor")
    assert answer.code == 1
    assert f"BAD   disk               {here.folder}: Pantau's user may not write here" in answer.out


def test_a_retired_account_is_in_its_week_s_coverage_and_not_in_today_s(pantau, here):
    register = here.folder / "accounts.csv"
    for status in ("active", "retired"):
        register.write_text(f"agency,platform,handle,url,status,note\nJPD,myspace,lama,,{status},\n")
        assert pantau("accounts", "import", str(register)).code == 0
    year, week, _ = datetime.now(MALAYSIA).isocalendar()
    assert "lama" not in {one["account"] for one in pantau("coverage", "--json").json}
    then = pantau("coverage", "--week", f"{year}-W{week:02}", "--json").json
    assert "lama" in {one["account"] for one in then}


def test_the_version_is_told(pantau):
    answer = pantau("--version")
    assert (answer.code, answer.out) == (0, f"pantau {version('pantau')}\n")


def test_the_record_of_a_folder_without_one_is_not_simply_whole(pantau, here):
    answer = pantau("audit", "verify")
    assert answer.code == 0
    assert f"nothing is recorded yet; is {here.folder} the right --config?" in answer.err
