"""Kills the delivering process at random moments while the mail server loses answers, and counts what became of it all.

The process under test is this file run as a program: the outbox at work on a database until nothing waits.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from builders import account, agency, finding, post
from mail_sink import Sink
from sqlalchemy import func, select

from alerts import outbox
from alerts.envelope import Envelope
from alerts.mailbox import Journal
from alerts.smtp import SmtpChannel
from monitor.model import Language, NewNotification, Severity
from monitor.settings import Mail, Mailbox, Secret
from monitor.store import outbox as store
from monitor.store import plans, tables
from monitor.store.accounts import claim_accounts
from monitor.store.database import Database, open_database, sole_process
from monitor.store.posts import Judged, save_page
from monitor.store.register import save_register

ENVELOPE = Envelope(sender="Pantau <pantau@pantau.example.my>", slogans=(), post_link=True, public_url="")
SETTLING = timedelta(seconds=1)  # the sink writes the journal before it answers
POSTS_AT_ONCE = 250
PORTION = 250  # mails, as the daemon delivers them
PATIENCE_SECONDS = 240.0  # without a mail

# ---------------------------------------------------------------- the process under test


def deliver(url: str, smtp_port: int, journal: Mailbox | None) -> None:
    """Deliver until nothing waits, as the daemon does it at its start and in its ticks."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    outbox.BACK_OFF = (timedelta(milliseconds=200),)  # type: ignore[assignment]  # the waiting is not what is tried
    mail = Mail(
        transport="smtp", host="127.0.0.1", port=smtp_port, security="none", sender=ENVELOPE.sender, username=""
    )
    channel = SmtpChannel(mail)
    looked_up = Journal(journal, settling=SETTLING) if journal else None
    db = open_database(url)
    with sole_process(db.path):
        store.release_abandoned(db, _now())
        while waiting(db):
            sent = outbox.deliver_due(
                db,
                channel,
                ENVELOPE,
                now=_now(),
                clock=_now,
                report=_no_report,
                journal=looked_up,
                limit=PORTION,
            )
            if not sent.accepted:
                time.sleep(0.02)
    channel.close()
    db.close()


def waiting(db: Database) -> int:
    with db.read() as connection:
        query = select(func.count()).select_from(tables.notification).where(tables.notification.c.ended_at.is_(None))
        return int(connection.execute(query).scalar_one())


def _now() -> datetime:
    return datetime.now(UTC)


def _no_report(period: str) -> None:
    raise LookupError(period)


# ---------------------------------------------------------------- the driver


def fill(url: str, alerts: int) -> list[str]:
    """Open so many alerts with one mail each, and return the mails' Message-IDs."""
    db, now = open_database(url), _now() - timedelta(seconds=1)
    save_register(db, [agency()], [account()], now=now)
    for start in range(0, alerts, POSTS_AT_ONCE):
        claimed = claim_accounts(db, now=now, lease=timedelta(minutes=1), limit=1, platform="x")[0]
        found = [
            Judged(post=post(str(number), f"SULIT {number}"), findings=(finding(severity=Severity.HIGH),))
            for number in range(start, min(start + POSTS_AT_ONCE, alerts))
        ]
        save_page(db, claimed, found, rule_set="r", now=now, reread_window=timedelta(days=1), end=None)
        with db.write() as connection:
            connection.execute(tables.account.update().values(leased_until=None, next_check_at=now))
    with db.read() as connection:
        numbers = connection.execute(select(tables.alert.c.id).order_by(tables.alert.c.id)).scalars().all()
    message_ids = [f"<kill.{number}@pantau.example.my>" for number in numbers]
    for start in range(0, alerts, POSTS_AT_ONCE):
        with db.write() as connection:
            for number, message_id in list(zip(numbers, message_ids, strict=True))[start : start + POSTS_AT_ONCE]:
                plans._insert_new(connection, [_told(message_id)], alert_id=number, period="", now=now)
            connection.execute(tables.alert.update().values(next_action_at=None, waiting_reason="told"))
    db.close()
    return message_ids


def _told(message_id: str) -> NewNotification:
    return NewNotification(
        step="first",
        template="alert",
        recipient="ketua@jpd.example.my",
        language=Language.MS,
        message_id=message_id,
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of all the mails. `in_hand`: what the sink took last before each kill."""

    kills: int
    seconds: float
    missing: set[str]
    doubled: set[str]
    lost_answers: set[str]
    in_hand: set[str]
    states: set[str]


def drive(
    url: str,
    sink: Sink,
    *,
    alerts: int,
    kills: int,
    journal: Mailbox | None,
    seed: int = 1,
) -> Outcome:
    """Fill the database, deliver, kill at random moments, start anew until nothing waits, and count."""
    message_ids = fill(url, alerts)
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(1, alerts), kills))
    in_hand: set[str] = set()
    began = time.monotonic()
    for moment in moments:
        with delivering(url, sink.port, journal) as process:
            _wait_until(sink, moment, process)
            time.sleep(chance.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.05)  # what was under way to the sink arrives
        in_hand |= {message_id for _, message_id in sink.lines()[-1:]}
    with delivering(url, sink.port, journal) as process:
        if process.wait(timeout=PATIENCE_SECONDS) != 0:
            raise RuntimeError("the delivering process failed")
    return _outcome(url, sink, message_ids, in_hand, kills=kills, seconds=time.monotonic() - began)


def delivering(url: str, port: int, journal: Mailbox | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, url, str(port)]
    if journal is not None:
        command += [str(journal.port), journal.username, journal.password.reveal()]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def _wait_until(sink: Sink, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sink.count() < count:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the delivering process ended or hung at {sink.count()} of {count} mails")
        time.sleep(0.002)


def _outcome(
    url: str, sink: Sink, message_ids: Sequence[str], in_hand: set[str], *, kills: int, seconds: float
) -> Outcome:
    db = open_database(url)
    with db.read() as connection:
        states = set(connection.execute(select(tables.notification.c.state)).scalars())
    db.close()
    times = sink.times()
    return Outcome(
        kills=kills,
        seconds=seconds,
        missing=set(message_ids) - times.keys(),
        doubled={message_id for message_id, count in times.items() if count > 1},
        lost_answers=sink.lost_answers(),
        in_hand=in_hand,
        states=states,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("smtp_port", type=int)
    parser.add_argument("journal", nargs="*")
    given = parser.parse_args()
    box = None
    if given.journal:
        port, user, password = given.journal
        box = Mailbox(
            host="127.0.0.1",
            port=int(port),
            security="none",
            username=user,
            password=Secret(password),
            journal="INBOX",
        )
    deliver(given.url, given.smtp_port, box)


if __name__ == "__main__":
    main()
