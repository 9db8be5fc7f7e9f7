"""The daemon as a process: it reads, mails, reports its health, reloads, and ends when it is asked to."""

from __future__ import annotations

import re
import signal
import sqlite3
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from installation import LEAK, MARKING, Installation, eventually

from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World

TOML = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[web]
listen = "127.0.0.1:0"
[polling]
min_interval = "1s"
max_interval = "2s"
[network]
allow = ["127.0.0.1/32"]
[connectors.x]
bearer_token = "sandbox"
base_url = "{x}"
[connectors.facebook]
access_token = "sandbox"
base_url = "{facebook}"
[log]
format = "json"
"""
GRACE = 10.0  # what the contract allows between the signal and the end


class Daemon:
    """A running daemon; what it says is read by a thread, so that it never waits for a reader."""

    def __init__(self, here, *arguments):
        self.here = here
        self.process = here.start(*(arguments or ("run",)))
        self.said = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,)) for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream):
        for line in stream:
            self.said.append(line)
        stream.close()

    def hears(self, words, *, within=60.0):
        return eventually(lambda: next((line for line in self.said if words in line), None), within=within, what=words)

    @property
    def address(self):
        return re.search(r"http://\S+", self.hears("http://"))[0]

    def end(self, number=signal.SIGTERM):
        begin = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=GRACE + 5)
        return code, time.monotonic() - begin

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for reader in self._readers:
            reader.join(10)


@pytest.fixture
def world():
    world = World()
    for platform in ("x", "facebook"):
        world.add_account(platform, "jpd", name="Jabatan Demo")
    return world


@pytest.fixture
def sandbox(world):
    with Sandbox(world) as served:
        yield served


@pytest.fixture
def here(tmp_path, sandbox):
    toml = TOML.format(x=sandbox.base_url("x"), facebook=sandbox.base_url("facebook"))
    return Installation(tmp_path, toml, [("JPD", "x", "jpd", ""), ("JPD", "facebook", "jpd", "")]).write()


@pytest.fixture
def start(here):
    started = []

    def one(*arguments):
        started.append(Daemon(here, *arguments))
        return started[-1]

    yield one
    for daemon in started:
        daemon.close()


def now():
    return datetime.now(UTC)


def test_it_reads_mails_and_ends_cleanly(start, here, world):
    daemon = start()
    assert requests.get(f"{daemon.address}healthz", timeout=5).json()["status"] == "ok"
    world.publish("x", "jpd", LEAK, at=now())
    eventually(lambda: here.mails, what="the alert mail")
    assert "ketua@jpd.example.my" in here.mails[0].read_text()
    page = requests.get(daemon.address, timeout=5).text
    assert "jpd" in page
    assert "Mesyuarat" not in page

    code, seconds = daemon.end(signal.SIGTERM)

    assert code == 0
    assert seconds < GRACE
    assert "stopped" in daemon.said[-1]
    assert "Mesyuarat" not in "".join(daemon.said)


def test_ctrl_c_is_sigterm_and_a_job_in_hand_is_finished_or_begun_again(start, here, world):
    world.publish("x", "jpd", LEAK, at=now())
    world.fail("facebook", hang=30, times=5)  # a platform that does not answer must not hold up the end
    daemon = start()
    eventually(lambda: ("facebook", "/") in [(p, path[:1]) for p, path in world.requests], what="facebook asked")
    code, seconds = daemon.end(signal.SIGINT)
    assert code == 0
    assert seconds < GRACE
    world.heal()
    again = start()
    eventually(lambda: here.mails, what="the alert mail")
    eventually(lambda: here.query("select count(*) from account where last_ok_at is not null") == [(2,)])
    again.end()
    assert here.query("select count(*) from post") == [(1,)]
    assert len(here.mails) == 1


def test_killed_and_started_again_it_goes_on_at_once(start, here, world):
    daemon = start()
    eventually(lambda: here.database.exists() and daemon.address)
    world.publish("x", "jpd", LEAK, at=now())
    eventually(lambda: here.query("select count(*) from post") == [(1,)])
    daemon.process.kill()
    daemon.process.wait(10)
    start()
    eventually(lambda: here.mails, what="the alert mail")
    assert here.query("select count(*) from alert") == [(1,)]


def test_a_broken_rule_keeps_the_old_set_and_says_so_until_it_is_mended(start, here, world):
    rule = here.folder / "rules" / "mampu-2009" / "3c" / "marking.yaml"
    daemon = start()
    assert daemon.address
    rule.write_text(MARKING.replace("phrases: [minit]", "regex: '(minit'"))
    line = daemon.hears("not reloaded")
    assert "marking.yaml" in line
    assert "the old one stays in force" in line
    world.publish("x", "jpd", LEAK, at=now())
    eventually(lambda: here.mails, what="a mail under the old rules")
    rule.write_text(MARKING.replace("version: 1", "version: 2"))
    daemon.hears("configuration reloaded")
    world.publish("x", "jpd", f"{LEAK} kedua", at=now())
    eventually(lambda: len(here.mails) == 2, what="a mail under the new rules")
    assert here.query("select distinct rule_version from finding order by 1") == [(1,), (2,)]
    assert daemon.end()[0] == 0


def test_an_account_imported_beside_it_is_read_within_seconds(start, here, world, tmp_path_factory):
    daemon = start()
    assert daemon.address
    world.add_account("x", "baharu", name="Akaun baharu")
    world.publish("x", "baharu", LEAK, at=now())
    file = tmp_path_factory.mktemp("import") / "accounts.csv"
    file.write_text("agency,platform,handle,url,status,note\nJPD,x,baharu,,,\n")
    ran = here.run("accounts", "import", str(file))
    assert ran.code == 0
    assert "takes this over" in ran.out
    eventually(lambda: here.mails, what="the new account's alert")
    assert daemon.end()[0] == 0


def test_listings_work_beside_it_and_a_second_daemon_is_refused(start, here):
    daemon = start()
    eventually(lambda: daemon.address and here.query("select count(*) from account where last_ok_at is not null"))
    assert len(here.listed("coverage")) == 2
    for command in ("run", "once"):
        second = here.run(command)
        assert second.code == 1
        assert f"process {daemon.process.pid}" in second.err
    assert daemon.process.poll() is None
    assert here.run("health").code == 1  # listen = port 0: nobody can know the port; the message names the address


def test_a_taken_console_address_is_named_and_is_a_bad_configuration(start, here):
    daemon = start()
    port = re.search(r":(\d+)/", daemon.address)[1]
    here.toml = here.toml.replace("127.0.0.1:0", f"127.0.0.1:{port}").replace("pantau.db", "other.db")
    here.write()
    second = here.run("run")
    assert second.code == 2
    assert f"web.listen: 127.0.0.1:{port}" in second.err


def test_the_database_locked_by_a_stranger_stops_nothing_for_good(start, here, world):
    """Fault 11: a foreign writer holds the file; ticks fail or wait, none dies, and all is as before afterwards."""
    daemon = start()
    eventually(lambda: daemon.address and here.query("select count(*) from account where last_ok_at is not null"))
    stranger = sqlite3.connect(here.database, timeout=20, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    world.publish("x", "jpd", LEAK, at=now())
    time.sleep(1.5)  # ticks meet the lock; nothing to wait for: the point is that nothing happens
    assert here.query("select count(*) from post") == [(0,)]
    stranger.execute("ROLLBACK")
    stranger.close()
    eventually(lambda: here.mails, what="the alert mail after the lock")
    assert requests.get(f"{daemon.address}healthz", timeout=5).json()["status"] == "ok"
    assert daemon.end()[0] == 0


def test_the_demo_delivers_an_alert_mail_within_seconds(tmp_path):
    here = Installation(tmp_path, TOML).write()
    demo = Daemon(here, "demo")
    try:
        line = demo.hears("mail    →", within=60)
        assert demo.hears("ALERT")
        path = line.split("→", 1)[1].strip()
        assert (tmp_path / "var" / "demo" / "mail" / path.rpartition("/")[2]).read_bytes().startswith(b"From: ")
        code, seconds = demo.end(signal.SIGINT)
        assert code == 0
        assert seconds < GRACE
        assert not (tmp_path / "pantau.db").exists()  # the real configuration is left alone
    finally:
        demo.close()


def heeds(process):
    """Say whether the process has a handler for SIGTERM."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())[1]
    return int(caught, 16) >> (signal.SIGTERM - 1) & 1


@pytest.mark.parametrize("command", ["run", "once", "demo"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_while_it_loads_it_ends_cleanly_and_has_begun_nothing(here, command, number):
    process = here.start(command)
    eventually(lambda: heeds(process), what="a handler")
    process.send_signal(number)
    process.communicate(timeout=GRACE)
    assert process.returncode == 0
    assert not here.database.exists()


@pytest.mark.parametrize("command", ["run", "once", "demo"])
def test_asked_to_end_while_it_opens_its_database_it_ends_cleanly(here, command):
    database = here.folder / "var" / "demo" / "pantau.db" if command == "demo" else here.database
    process = here.start(command)
    eventually(database.exists, what="the database")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=GRACE)
    assert process.returncode == 0, err
    assert "Traceback" not in err
