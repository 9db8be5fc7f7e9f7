"""What people do to alerts by the command line: beside a daemon through its socket, without one directly."""

import json
import os
import re
import socket
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from builders import NOW, account, agency
from installation import Installation
from sqlalchemy import select

from monitor.acts import ActRefusedError, listening, perform
from monitor.model import AlertKind, Disclosure, Severity
from monitor.store import tables
from monitor.store.database import DatabaseBusyError, open_database, sole_process
from monitor.store.life import list_silences
from monitor.store.opening import open_alert
from monitor.store.register import save_register

TOML = '[database]\nurl = "sqlite:///pantau.db"\n[mail]\nfolder = "mail"\n'


def opened(db, key="k"):
    with db.write() as connection:
        return open_alert(
            connection,
            dedup_key=key,
            kind=AlertKind.EVALUATION,
            severity=Severity.HIGH,
            disclosure=Disclosure.NONE,
            now=NOW,
        )


def state(db, number):
    with db.read() as connection:
        return connection.execute(select(tables.alert.c.state).where(tables.alert.c.id == number)).scalar_one()


def asked(number, **more):
    deadline = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return {"alert": number, "by": "siti", "note": "", "deadline": deadline, **more}


@pytest.fixture
def held(sqlite_db):
    """A database that a daemon holds and listens for."""
    with sole_process(sqlite_db.path), listening(sqlite_db):
        yield sqlite_db


def test_the_process_that_holds_the_file_does_what_a_command_asks(held, sqlite_url):
    number = opened(held)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(perform(sqlite_url, "acknowledge", asked(number))))
    thread.start()
    thread.join(20)
    assert answers == [{"answer": "done"}]
    assert state(held, number) == "acknowledged"
    assert perform(sqlite_url, "acknowledge", asked(number)) == {"answer": "already so"}


def test_without_a_daemon_the_command_does_it_itself(sqlite_db, sqlite_url):
    number = opened(sqlite_db)
    assert perform(sqlite_url, "acknowledge", asked(number)) == {"answer": "done"}
    assert state(sqlite_db, number) == "acknowledged"


def test_a_holder_that_does_not_listen_is_named(sqlite_db, sqlite_url):
    number = opened(sqlite_db)
    with sole_process(sqlite_db.path), pytest.raises(DatabaseBusyError, match="does not listen"):
        perform(sqlite_url, "acknowledge", asked(number))
    assert state(sqlite_db, number) == "open"


def test_what_cannot_be_done_is_said_the_same_way_by_both(held, sqlite_url):
    with pytest.raises(ActRefusedError, match="no alert with id 77"):
        perform(sqlite_url, "acknowledge", asked(77))
    with pytest.raises(ActRefusedError, match="names an account, a rule, or both"):
        perform(
            sqlite_url, "silence", {"by": "a", "reason": "b", "until": NOW.isoformat(), "rule": "", "account": None}
        )


def test_only_the_daemon_s_own_user_may_open_the_socket(held):
    place = held.path.with_name(held.path.name + ".sock")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "rubbish", [b"\n", b"{}\n", b"[1]\n", b'{"act": "drop", "asked": {}}\n', b"\xff\xfe\n", b"x" * 70_000]
)
def test_rubbish_is_refused_and_the_next_command_is_heard(held, sqlite_url, rubbish):
    number = opened(held)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(os.path.relpath(held.path.with_name(held.path.name + ".sock")))
        try:
            line.sendall(rubbish)
            line.shutdown(socket.SHUT_WR)
            answer = line.recv(4096)
        except ConnectionError:
            answer = b""
        assert not answer or "refused" in json.loads(answer)
    assert perform(sqlite_url, "acknowledge", asked(number)) == {"answer": "done"}


def test_a_socket_left_by_a_killed_daemon_is_in_nobody_s_way(sqlite_db, sqlite_url):
    place = sqlite_db.path.with_name(sqlite_db.path.name + ".sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.path.relpath(place))
    number = opened(sqlite_db)
    with sole_process(sqlite_db.path), listening(sqlite_db):
        assert perform(sqlite_url, "acknowledge", asked(number)) == {"answer": "done"}
    assert not place.exists()


# ---------------------------------------------------------------- the commands


@pytest.fixture
def here(tmp_path):
    return Installation(folder=tmp_path, toml=TOML, accounts=[("JPD", "x", "jpd", "")]).write()


@pytest.fixture
def case(here):
    db = open_database(f"sqlite:///{here.database}")
    save_register(db, [agency()], [account()], now=NOW)
    opened(db)
    with db.read() as connection:
        yield connection.execute(select(tables.alert.c.case)).scalar_one()
    db.close()


def test_an_alert_is_acknowledged_resolved_and_opened_again_by_its_case_number(here, case):
    first = here.run("alerts", "ack", case.lower(), "--note", "sedang disemak", "--for", "8h", "--by", "Siti")
    assert (first.code, first.err) == (0, "")
    assert f"{case}: acknowledged until " in first.out
    again = here.run("alerts", "ack", case)
    assert (again.code, again.out) == (0, f"{case}: was so already; nothing was changed\n")
    ended = here.run("alerts", "resolve", case, "--as", "false-alarm")
    assert (ended.code, ended.out) == (0, f"{case}: resolved: false alarm\n")
    late = here.run("alerts", "ack", case)
    assert late.code == 1
    assert "alerts reopen" in late.err
    assert here.run("alerts", "reopen", case, "--reason", "lihat semula").code == 0
    assert here.listed("alerts", "list")[0]["state"] == "open"
    shown = here.listed("alerts", "show", case)[0]
    assert [one["event"] for one in shown["events"]] == [
        "alert opened",
        "alert acknowledged",
        "alert resolved",
        "alert reopened",
    ]
    assert shown["events"][1]["actor"] == "Siti"
    assert here.run("alerts", "resolve", case, "--as", "removed", "--note", "dipadam", "--by", "Siti").code == 0
    state = next(one for one in here.run("alerts", "show", case).out.splitlines() if one.startswith("state"))
    assert re.fullmatch(r"state +resolved: post removed, [\d-]+ [\d:]+, by Siti: “dipadam”", state)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alerts", "ack", "PTU-1"), "no alert has this case number"),
        (("alerts", "ack", "CASE", "--for", "soon"), "--for: 'soon': expected a duration"),
        (("alerts", "ack", "CASE", "--for", "400d"), "--for: at most 30d"),
        (("alerts", "resolve", "CASE", "--as", "removd"), "did you mean removed?"),
        (
            ("alerts", "resolve", "CASE"),
            "--as: is missing; how did it end? accepted, action-taken, false-alarm, removed",
        ),
        (
            ("alerts", "resolve", "CASE", "--as", "gone"),
            "'gone': unknown; known: accepted, action-taken, false-alarm, removed\n",
        ),
        (("alerts", "reopen", "CASE", "--reason", " "), "its people are told why"),
        (("silences", "add", "--reason", "x", "--for", "8h"), "a silence is narrow"),
        (("silences", "add", "--reason", "x", "--for", "200d", "--account", "x/jpd"), "at most 90d"),
        (("silences", "add", "--reason", "x", "--for", "8h", "--account", "x/jdp"), "did you mean x/jpd?"),
        (("silences", "add", "--reason", "x", "--for", "8h", "--rule", "mampu-2009/3c/markin"), "did you mean"),
        (("silences", "add", "--reason", "x", "--for", "8h", "--rule", "zz"), "`pantau rules list` shows them"),
        (("silences", "end", "9"), "no silence has the number 9"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(here, case, arguments, words):
    ran = here.run(*(case if one == "CASE" else one for one in arguments))
    assert ran.code == 2
    assert words in ran.err


def test_a_silence_is_listed_and_ended(here, case):
    made = here.run("silences", "add", "--reason", "latihan", "--for", "8h", "--account", "x/jpd", "--by", "Siti")
    assert (made.code, made.err) == (0, "")
    found = here.listed("silences", "list")
    assert [(one["account"], one["author"], one["reason"]) for one in found] == [("x/jpd", "Siti", "latihan")]
    assert here.run("silences", "end", "1").out == "silence 1 has ended\n"
    assert here.listed("silences", "list") == []
    assert len(here.listed("silences", "list", "--all")) == 1
    db = open_database(f"sqlite:///{here.database}")
    assert len(list_silences(db)) == 1
    db.close()
