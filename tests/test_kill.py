"""Faults 1 and 2 together: the delivering process dies at random moments, and the server loses one answer in five."""

import pytest
from conftest import unavailable
from kill_driver import drive
from mail_sink import sink
from postoffice import JOURNAL, mailboxes, missing, needs_root

from monitor.store import audit
from monitor.store.database import open_database

ALERTS, KILLS, LOST = 150, 5, 0.2


@pytest.fixture
def journal():
    if reason := needs_root():
        pytest.skip(reason)
    if reason := missing():
        unavailable(reason)
    with mailboxes([JOURNAL]) as running:
        yield running


def assert_sound(url, outcome):
    """I6 (nothing missing, every mail marked accepted) and I11."""
    assert outcome.kills == KILLS
    assert outcome.missing == set()
    assert outcome.states == {"accepted"}
    assert outcome.lost_answers
    db = open_database(url)
    assert audit.verify(db).broken is None
    db.close()


def test_with_a_journal_no_mail_is_lost_and_none_comes_twice(journal, sqlite_url, tmp_path):
    maildir = journal.make_maildir(JOURNAL)
    with sink(tmp_path / "sink.log", maildir=maildir, lose=LOST) as running:
        box = journal.mailbox(JOURNAL, port=journal.imap_port, security="none", host="127.0.0.1", journal="INBOX")
        outcome = drive(sqlite_url, running, alerts=ALERTS, kills=KILLS, journal=box)
    assert_sound(sqlite_url, outcome)
    assert outcome.doubled == set()


def test_without_a_journal_no_mail_is_lost_and_only_those_with_lost_answers_come_twice(sqlite_url, tmp_path):
    """A process killed before it could read or write down the answer has lost it as well: one mail a kill at most."""
    with sink(tmp_path / "sink.log", lose=LOST) as running:
        outcome = drive(sqlite_url, running, alerts=ALERTS, kills=KILLS, journal=None)
    assert_sound(sqlite_url, outcome)
    assert outcome.doubled <= outcome.lost_answers | outcome.in_hand
    assert len(outcome.doubled - outcome.lost_answers) <= KILLS
