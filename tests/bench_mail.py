"""`python tests/bench_mail.py [part …]`: how fast mails leave with every step durable, and what SIGKILLs do to them.

Parts: `rate` (against a bare smtplib loop on the same Postfix), `drain` (10,000 mails, memory), `kills` (2,000 alerts, 20
SIGKILLs, one answer in five lost; with a journal and without), `alertmanager` (the same alerts to the same sink).
"""

from __future__ import annotations

import json
import logging
import shutil
import smtplib
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import structlog
from kill_driver import ENVELOPE, _no_report, delivering, drive, fill
from mail_sink import Sink, sink
from postoffice import JOURNAL, SENDER, PostOffice, free_port, mailboxes, missing, needs_root, post_office

from alerts.outbox import deliver_due
from alerts.smtp import SmtpChannel
from monitor.settings import Mailbox, Secret
from monitor.store import tables
from monitor.store.database import Database, open_database

HEAD = "ketua@jpd.example.my"
ALERTMANAGER = "prometheus-alertmanager"
RATE_MAILS, TURNS, DRAINED, KILLED, KILLS = 1_000, 5, 10_000, 2_000, 20
COMPARED, COMPARISONS = 1_000, 3


@contextmanager
def database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        yield f"sqlite:///{folder}/pantau.db"


@contextmanager
def log() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        yield Path(folder) / "log"


def bench_rate() -> None:
    """Each way sends a part in its turn, so that what else the machine does meanwhile falls on all of them alike."""
    if reason := needs_root() or missing():
        print(f"mail rate    skipped: {reason}")
        return
    with post_office([HEAD], transport="discard", imap=False) as post, database() as url, written_down() as write_down:
        fill(url, RATE_MAILS)
        mail, db = one_mail(url), open_database(url)
        channel = SmtpChannel(post.mail(port=post.plain_port, security="none", username="", password=Secret()))
        walls, processor = [0.0, 0.0, 0.0], 0.0
        for _ in range(TURNS):
            used = time.process_time()
            ours = seconds(lambda: deliver(db, channel, RATE_MAILS // TURNS))
            processor += time.process_time() - used
            bare = seconds(lambda: send_bare(post, mail))
            floor = seconds(lambda: send_bare(post, mail, before_each=lambda: write_down(mail)))
            walls = [sum(both) for both in zip(walls, (ours, bare, floor), strict=True)]
        channel.close()
        db.close()
    rate, bare, floor = (RATE_MAILS / wall for wall in walls)
    print(
        f"mail rate    {RATE_MAILS} mails of {len(mail)} bytes to one Postfix, one connection, each step durable: {rate:.0f}/s"
        f" ({processor / RATE_MAILS * 1000:.1f} ms processor each); bare smtplib loop {bare:.0f}/s; ratio {rate / bare:.2f};"
        f" the loop with one durable SQLite transaction before each mail {floor:.0f}/s; ratio {floor / bare:.2f}"
    )


def seconds(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


@contextmanager
def written_down() -> Iterator[Callable[[bytes], object]]:
    """Yield what nobody who is durable does without: a transaction with a mail's bytes, on the disk when it returns."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        connection = sqlite3.connect(f"{folder}/floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE mail (content BLOB)")
        yield lambda mail: connection.execute("INSERT INTO mail VALUES (?)", [mail])
        connection.close()


def one_mail(url: str) -> bytes:
    """Deliver one mail to nowhere, for its bytes."""
    kept: list[bytes] = []

    class Keeping:
        def send(self, mail: bytes, **_: object) -> str:
            kept.append(mail)
            return "kept"

        def announce(self, **_: object) -> None: ...
        def rest(self) -> None: ...
        def close(self) -> None: ...

    db = open_database(url)
    deliver_due(db, Keeping(), ENVELOPE, now=_now(), clock=_now, report=_no_report, limit=1)  # type: ignore[arg-type]
    with db.write() as connection:
        values = {"state": "pending", "ended_at": None, "accepted_at": None, "kept": False, "attempts": 0}
        connection.execute(tables.notification.update().values(**values))
        connection.execute(tables.rendered_mail.delete())
    db.close()
    return kept[0]


def send_bare(post: PostOffice, mail: bytes, *, before_each: Callable[[], object] = lambda: None) -> None:
    with smtplib.SMTP("127.0.0.1", post.plain_port, timeout=30) as connection:
        for _ in range(RATE_MAILS // TURNS):
            before_each()
            connection.sendmail(SENDER, [HEAD], mail)


def deliver(db: Database, channel: SmtpChannel, mails: int) -> None:
    sent = deliver_due(db, channel, ENVELOPE, now=_now(), clock=_now, report=_no_report, limit=mails)
    assert sent.accepted == mails, sent.failures[:3]


def bench_drain() -> None:
    with database() as url, tempfile.TemporaryDirectory() as folder, sink(Path(folder) / "log") as to:
        fill(url, DRAINED)
        begin = time.monotonic()
        with delivering(url, to.port, None) as process:
            memory = [_memory_at(to, process, DRAINED * tenth // 10) for tenth in range(1, 10)]
            process.wait()
        wall = time.monotonic() - begin
        doubled = [name for name, times in to.times().items() if times > 1]
        assert to.count() == DRAINED
        assert not doubled
    growth = memory[-1] - memory[0]
    print(
        f"mail drain   {DRAINED} waiting mails in {wall:.0f} s ({DRAINED / wall:.0f}/s); memory after a tenth"
        f" {memory[0]:.1f} MB, after nine {memory[-1]:.1f} MB: {growth:+.1f} MB"
    )


def _memory_at(to: Sink, process: subprocess.Popen[bytes], count: int) -> float:
    """Return the process' resident memory in MB once so many mails were taken."""
    while to.count() < count and process.poll() is None:
        time.sleep(0.01)
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def bench_kills() -> None:
    for journalled in (True, False):
        if journalled and (reason := needs_root() or missing()):
            print(f"mail kills   with a journal: skipped: {reason}")
            continue
        with journal(journalled) as (box, maildir), database() as url, log() as said:  # noqa: SIM117
            with sink(said, maildir=maildir, lose=0.2) as to:
                outcome = drive(url, to, alerts=KILLED, kills=KILLS, journal=box)
        answers = outcome.lost_answers | outcome.in_hand
        assert not outcome.missing
        assert outcome.doubled <= (set() if journalled else answers)
        print(
            f"mail kills   {KILLED} alerts, {outcome.kills} SIGKILLs, {len(outcome.lost_answers)} mails with a lost answer,"
            f" journal {'on' if journalled else 'off'}: {len(outcome.missing)} lost, {len(outcome.doubled)} doubled,"
            f" {len(outcome.doubled - answers)} of them without a lost answer; {outcome.seconds:.0f} s"
        )


@contextmanager
def journal(wanted: bool) -> Iterator[tuple[Mailbox | None, Path | None]]:
    if not wanted:
        yield None, None
        return
    with mailboxes([JOURNAL]) as post:
        box = post.mailbox(JOURNAL, host="127.0.0.1", port=post.imap_port, security="none", journal="INBOX")
        yield box, post.make_maildir(JOURNAL)


def bench_alertmanager() -> None:
    if shutil.which(ALERTMANAGER) is None:
        print(f"alertmanager skipped: Debian's package {ALERTMANAGER} is not installed")
        return
    theirs = ours = 0.0
    for _ in range(COMPARISONS):
        theirs += _alertmanager_s()
        ours += _ours()
    journalled = not (needs_root() or missing())
    with journal(journalled) as (box, maildir), database() as url, log() as said:  # noqa: SIM117
        with sink(said, maildir=maildir) as to:
            outcome = drive(url, to, alerts=COMPARED, kills=1, journal=box)
    rates = [COMPARISONS * COMPARED / span for span in (theirs, ours)]
    print(
        f"alertmanager {COMPARED} alerts to one sink, {COMPARISONS} times by turns, first to last mail: {rates[0]:.0f}/s over many"
        f" connections at once; ours, each step durable, {rates[1]:.0f}/s over one; ratio {theirs / ours:.2f}; after a SIGKILL"
        f" in the middle of ours {len(outcome.missing)} lost, {len(outcome.doubled)} doubled"
        f" (journal {'on' if journalled else 'off'})"
    )


def _alertmanager_s() -> float:
    with tempfile.TemporaryDirectory() as folder, sink(Path(folder) / "mails") as to:
        return _span(to, COMPARED, lambda: alertmanager(Path(folder), to.port))


def _ours() -> float:
    with log() as said, sink(said) as to, database() as url:
        fill(url, COMPARED)
        return _span(to, COMPARED, lambda: delivering(url, to.port, None))


def _span(to: Sink, count: int, start: Callable[[], object]) -> float:
    """Return in how many seconds the mails came, from the first to the last."""
    with start() or nullcontext():  # type: ignore[attr-defined]  # a process, or a context of one
        first = _when(to, 1)
        return _when(to, count) - first


def _when(to: Sink, count: int) -> float:
    deadline = time.monotonic() + 180
    while to.count() < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{to.count()} of {count} mails came")
        time.sleep(0.002)
    return time.monotonic()


@contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[None]:
    """Run Alertmanager with a mail for each alert, and give it the alerts."""
    web, configuration = free_port(), folder / "alertmanager.yml"
    configuration.write_text(
        f"""route: {{receiver: head, group_by: ['...'], group_wait: 1s, group_interval: 1h, repeat_interval: 24h}}
receivers:
  - name: head
    email_configs:
      - {{to: {HEAD}, from: {SENDER}, smarthost: "127.0.0.1:{port}", require_tls: false, send_resolved: false}}
"""
    )
    options = [
        f"--config.file={configuration}",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{web}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([ALERTMANAGER, *options, "--cluster.listen-address="], stdout=log, stderr=log)
    try:
        _post_alerts(f"http://127.0.0.1:{web}/api/v2/alerts")
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _post_alerts(address: str) -> None:
    alerts = [
        {"labels": {"alertname": "SULIT", "case": f"PTU-2026-{number:06d}"}, "annotations": {"clause": "3(c)"}}
        for number in range(COMPARED)
    ]
    request = urllib.request.Request(address, json.dumps(alerts).encode(), {"Content-Type": "application/json"})
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("Alertmanager did not come up")


def _now() -> datetime:
    return datetime.now(UTC)


PARTS = {"rate": bench_rate, "drain": bench_drain, "kills": bench_kills, "alertmanager": bench_alertmanager}


def main(*parts: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in parts or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main(*sys.argv[1:])
