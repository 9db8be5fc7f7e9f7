"""The process that reads files: what goes wrong in it stays in it."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from builders import NOW, account, agency, post
from sqlalchemy import select
from test_media import WORDS, drawn, file, saved

from monitor.doctor import _media, _ocr
from monitor.media import Stopped, Unreadable, Worker, WorkerDown
from monitor.model import Media, MediaKind
from monitor.poll_media import MediaReader, read_waiting
from monitor.rules.rule import RuleSet
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.media import waiting_media
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register

PICTURE = b"\x89PNG"
READY = "import os, sys, time; from monitor.media.worker import send; out = sys.stdout.buffer; send(out, b'{}');"


def that(does, **bounds):
    """Return a worker whose process does something else once it is asked to read."""
    return Worker(command=(sys.executable, "-c", f"{READY} sys.stdin.buffer.read(8); {does}"), **bounds)


def alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_process_reads_one_file_after_the_other():
    with Worker() as worker:
        assert worker.read(saved(drawn(WORDS))).text == WORDS
        first = worker._process.pid
        with pytest.raises(Unreadable, match="cannot be decoded"):
            worker.read(PICTURE)
        assert "SULIT" in worker.read(file("header-sulit.docx")).text
        assert worker._process.pid == first
    assert not alive(first)


def test_threads_wait_for_each_other():
    found = []
    with Worker() as worker:
        threads = [threading.Thread(target=lambda: found.append(worker.read(file("sulit.pdf")).text)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    assert all("SULIT" in text for text in found)


@pytest.mark.parametrize(
    ("does", "bounds", "reason"),
    [
        pytest.param("time.sleep(60)", {"seconds": 0.5}, "took too long", id="a file that takes for ever"),
        pytest.param("x = b'a' * 400_000_000; time.sleep(60)", {"memory": 200_000_000}, "too much memory", id="memory"),
        pytest.param("os.kill(os.getpid(), 11)", {}, "ended the reader .signal 11.", id="a crash of a library"),
        pytest.param("os._exit(3)", {}, "ended the reader .exit 3.", id="an end without a word"),
        pytest.param("out.write(b'\\0'); out.flush(); os._exit(0)", {}, "ended the reader", id="half an answer"),
    ],
)
def test_a_file_that_harms_the_process_is_unreadable_and_the_next_is_read(does, bounds, reason):
    """Fault 30."""
    with that(does, **bounds) as worker:
        with pytest.raises(Unreadable, match=reason):
            worker.read(PICTURE)
        assert worker._process is None
        worker._command = Worker()._command
        worker._memory, worker._seconds = 1_500_000_000, 60
        assert "SULIT" in worker.read(file("sulit.pdf")).text


def test_a_process_that_dies_between_two_files_is_started_again():
    with Worker() as worker:
        worker.read(file("sulit.pdf"))
        worker._process.kill()
        time.sleep(0.2)
        assert "SULIT" in worker.read(file("sulit.pdf")).text


@pytest.mark.parametrize("command", [("/nowhere/python",), (sys.executable, "-c", "raise SystemExit(1)")])
def test_a_process_that_does_not_start_is_not_the_file_s_fault(command):
    with Worker(command=command) as worker, pytest.raises(WorkerDown, match="start"):
        worker.read(PICTURE)


def test_the_process_knows_no_secret(monkeypatch):
    monkeypatch.setenv("PANTAU_X_BEARER_TOKEN", "rahsia")
    answer = (
        "import json; send(out, json.dumps({'text': str(dict(os.environ)), 'left_out': ''}).encode()); time.sleep(9)"
    )
    with that(answer) as worker:
        text = worker.read(PICTURE).text
    assert "PATH" in text
    assert "rahsia" not in text


def test_a_stop_ends_the_reading_at_once():
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    begin = time.monotonic()
    with that("time.sleep(60)") as worker, pytest.raises(Stopped):
        worker.read(PICTURE, stopped=stop.is_set)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("ended", ["os._exit(0)", "os.kill(os.getpid(), 9)"], ids=["a quick end", "SIGKILL"])
def test_the_process_ends_with_the_program(ended):
    program = f"""
import os
from monitor.media import Worker
worker = Worker()
worker.read(open({str(file.__globals__["DATA"] / "sulit.pdf")!r}, "rb").read())
print(worker._process.pid, flush=True)
{ended}
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    process_id = int(ran.stdout)
    until = time.monotonic() + 10
    while alive(process_id) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(process_id)


# ---------------------------------------------------------------- with the queue


class Answers:
    """A session that serves files by the last part of the address."""

    def __init__(self, **files):
        self.files = files

    def get(self, url):
        content = self.files[url.rpartition("/")[2].partition(".")[0]]
        return SimpleNamespace(status_code=200, content=content() if callable(content) else content, headers={})


def reader_of(db, session):
    save_register(db, [agency()], [account()], now=NOW)
    (claimed,) = claim_accounts(db, now=NOW, lease=timedelta(minutes=1), limit=1, platform="x")
    media = tuple(Media(kind=MediaKind.DOCUMENT, url=f"https://a.my/{name}.bin") for name in session.files)
    save_page(db, claimed, [Judged(post=post(media=media))], rule_set="r", now=NOW, reread_window=timedelta(), end=None)
    return MediaReader(db=db, session=session, rules=lambda: RuleSet((), ""), agency_kinds=dict, clock=lambda: NOW)


def rows(db):
    with db.read() as connection:
        found = select(tables.media.c.state, tables.media.c.reason).order_by(tables.media.c.id)
        return [tuple(row) for row in connection.execute(found)]


def test_what_cannot_be_read_is_recorded_with_its_reason_and_the_others_are_read(sqlite_db):
    """Fault 30."""
    reader = reader_of(
        sqlite_db, Answers(broken=b"%PDF-", good=file("sulit.pdf"), old=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    )
    found = read_waiting(reader, workers=2)
    assert (found.read, found.unreadable) == (1, 2)
    assert rows(sqlite_db) == [
        ("unreadable", "the PDF cannot be opened"),
        ("read", ""),
        ("unreadable", "the kind of file is not one that can be read"),
    ]


def test_a_stop_leaves_what_was_being_read_waiting(sqlite_db):
    def stopping():
        reader.stop.set()
        return file("photo-sulit.jpg")

    reader = reader_of(sqlite_db, Answers(a=stopping, b=stopping))
    found = read_waiting(reader, workers=1)
    assert (found.read, found.unreadable) == (0, 0)
    assert len(waiting_media(sqlite_db, now=NOW, limit=5)) == 2


def test_doctor_tells_since_when_media_wait_and_why_others_could_not_be_read(sqlite_db, sqlite_url):
    reader = reader_of(sqlite_db, Answers(old=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"))
    (waits,) = _media(sqlite_url, NOW + timedelta(hours=3))
    assert (waits.state, waits.message) == ("note", "1 wait to be read, the oldest for 3 h")
    read_waiting(reader, workers=1)
    (done,) = _media(sqlite_url, NOW + timedelta(hours=3))
    assert done.state == "ok"
    assert done.message.startswith("0 wait to be read; 1 of the last 7 days could not be read: 1 × the kind of file")


def test_doctor_reads_a_picture(monkeypatch):
    assert _ocr().state == "ok"
    monkeypatch.setattr("monitor.doctor.MEDIA_MODULES", ("nowhere_to_be_found",))
    assert "pip install" in _ocr().message
