"""The dead-man ping: only when all is well, and whatever its server does disturbs nothing (as fault 27)."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import structlog
from installation import Installation, eventually, kill
from replay import Answer, Replay

from monitor import deadman
from monitor.app import ticks
from monitor.app.daemon import Progress
from monitor.app.service import open_service
from monitor.configuration import load_configuration
from monitor.model import MALAYSIA
from monitor.settings import Deadman, Network, Secret
from monitor.settings.load import load_settings
from monitor.store import audit
from monitor.store.canaries import daily_key, save_canary
from monitor.store.tables import audit as entries

TOKEN = "5f3c-SECRET-9d21"
NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
"""


@pytest.fixture
def said(monkeypatch):
    lines = []

    def keep(_logger, method, facts):
        lines.append((facts.pop("event"), facts))
        raise structlog.DropEvent

    for module in (deadman, ticks):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[keep]))
    return lines


def ping(url, every="5m"):
    minutes = timedelta(minutes=5) if every == "5m" else timedelta(seconds=1)
    return deadman.Ping(Deadman(url=Secret(url), every=minutes), Network())


def test_the_address_is_called_at_its_interval_by_a_clock_that_nobody_sets(said):
    with Replay(lambda _: Answer(body=b"OK")) as server:
        called = ping(f"{server.url}/ping/{TOKEN}")
        for steady in (0.0, 60.0, 299.0, 300.0, 400.0, 600.0):
            called.call(steady=steady)
        assert server.paths == [f"/ping/{TOKEN}"] * 3
    assert said == []


def test_without_an_address_nothing_is_called_or_said(said):
    ping("").call(steady=0.0)
    assert said == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(status=404), id="an address that is not known"),
        pytest.param(Answer(status=500), id="a server that fails"),
        pytest.param(Answer(status=302, headers={"Location": "http://127.0.0.2:9/elsewhere"}), id="a redirect away"),
    ],
)
def test_a_refused_call_is_a_log_line_without_the_address(said, answer):
    with Replay(lambda _: answer) as server:
        ping(f"{server.url}/ping/{TOKEN}").call(steady=0.0)
    assert len(said) == 1
    assert TOKEN not in str(said)


def test_a_server_that_is_not_there_is_a_log_line_without_the_address(said):
    ping(f"http://127.0.0.1:1/ping/{TOKEN}").call(steady=0.0)
    assert [event for event, _ in said] == ["the dead-man call failed"]
    assert TOKEN not in str(said)


def test_a_call_that_was_lost_is_made_again_soon_and_the_log_tells_it_once(said):
    down = [True]
    with Replay(lambda _: Answer(status=503 if down[0] else 200)) as server:
        called = ping(f"{server.url}/ping/{TOKEN}")
        for steady in (0.0, 60.0, 120.0):
            called.call(steady=steady)
        down[0] = False
        called.call(steady=180.0)
        called.call(steady=240.0)
        assert len(server.asked) == 4
    assert [event for event, _ in said] == ["the dead-man call failed", "the dead-man call succeeds again"]


def test_a_server_that_hangs_is_left_after_the_time_out(said, monkeypatch):
    monkeypatch.setattr(deadman, "SECONDS", 0.5)
    release = threading.Event()

    def hang(_):
        release.wait(10)
        return Answer()

    with Replay(hang) as server:
        began = time.monotonic()
        ping(f"{server.url}/ping/{TOKEN}").call(steady=0.0)
        assert time.monotonic() - began < 5
        release.set()
    assert said[0][1] == {"reason": "deadman.url: no answer in time"}


def test_an_endless_answer_is_not_read(said):
    with Replay(lambda _: Answer(drip=b"x" * 1000, pause=0.05)) as server:
        began = time.monotonic()
        ping(f"{server.url}/ping/{TOKEN}").call(steady=0.0)
        assert time.monotonic() - began < 5
    assert said == []


# ---------------------------------------------------------------- what "well" means


def test_all_is_well_in_a_fresh_database(sqlite_db):
    assert deadman.troubles(sqlite_db, chain=audit.Watch(), now=NOW) == []


def test_ticks_that_stand_still_or_fail_are_troubles(sqlite_db):
    found = deadman.troubles(sqlite_db, chain=audit.Watch(), now=NOW, stalled=["outbox"], failing=["poll:x"])
    assert found == ["no progress: outbox", "fails: poll:x"]


def test_a_changed_audit_chain_is_a_trouble_each_time(db):
    with db.write() as connection:
        audit.append(connection, "rules changed", now=NOW)
        connection.execute(entries.update().values(event="nothing"))
    chain = audit.Watch()
    for _ in range(2):
        (found,) = deadman.troubles(db, chain=chain, now=NOW)
        assert found.startswith("the record of what happened does not hold: entry 1")


def test_a_full_disk_is_a_trouble(sqlite_db, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    (found,) = deadman.troubles(sqlite_db, chain=audit.Watch(), now=NOW)
    assert found.startswith("the disk is full: 5 MB free")


def test_a_missing_canary_is_a_trouble_until_one_arrives(db):
    day = NOW.astimezone(MALAYSIA).date()
    save_canary(db, daily_key(day), day=day, evaluated_ms=None, rule="r", error="no finding", now=NOW)
    found = deadman.troubles(db, chain=audit.Watch(), now=NOW)
    assert found == [f"the canary of {day} is missing"]


# ---------------------------------------------------------------- the daemon's tick


@pytest.fixture
def service(tmp_path, said):
    here = Installation(tmp_path, TOML).write()
    with open_service(load_configuration(here.folder, {}, today=NOW.date()), clock=lambda: NOW) as opened:
        yield opened


def test_no_call_while_anything_is_wrong_and_the_log_says_it_once(service, said):
    progress, chain = Progress(), audit.Watch()
    with Replay(lambda _: Answer(body=b"OK")) as server:
        called = ping(server.url + "/p", every="1s")
        progress.failed.add("poll:x")
        ticks._audit(service, progress, called, chain)
        ticks._audit(service, progress, called, chain)
        assert server.asked == []
        assert service.troubles == ("fails: poll:x",)
        assert len(said) == 1
        progress.failed.clear()
        ticks._audit(service, progress, called, chain)
        assert service.troubles == ()
        assert len(server.asked) == 1
    assert [event for event, _ in said][1:] == ["all is well again"]


def test_a_daemon_calls_the_address_and_a_server_that_hangs_does_not_hold_it_up(tmp_path):
    hanging = threading.Event()

    def script(_):
        if hanging.is_set():
            time.sleep(30)
        return Answer(body=b"OK")

    with Replay(script) as server:
        toml = TOML + f'[web]\nlisten = "127.0.0.1:0"\n[deadman]\nurl = "{server.url}/ping/{TOKEN}"\nevery = "1s"\n'
        daemon = Installation(tmp_path, toml).write().start("run")
        try:
            eventually(lambda: len(server.asked) >= 2, what="the address is called again and again")
            hanging.set()
            asked = len(server.asked)
            eventually(lambda: len(server.asked) > asked)
            began = time.monotonic()
            daemon.terminate()
            _, errors = daemon.communicate(timeout=20)
            assert daemon.returncode == 0
            assert time.monotonic() - began < 10
            assert TOKEN not in errors
        finally:
            if daemon.poll() is None:
                kill(daemon)


def test_an_address_that_is_none_is_a_mistake_of_the_configuration_and_is_not_repeated(tmp_path):
    from monitor.problems import ConfigurationError

    here = Installation(tmp_path, TOML + f'[deadman]\nurl = "hc-ping.example/{TOKEN}"\n').write()
    with pytest.raises(ConfigurationError) as refused:
        load_settings(here.folder, dict[str, str]())
    (problem,) = refused.value.problems
    assert problem.place == "deadman.url"
    assert TOKEN not in str(problem)
