"""Mails written ahead by another process: the same bytes, the same promises, and no harm when it ends."""

import os
import signal

import pytest
from test_outbox import APART, ENVELOPE, POLICY, open_office

from alerts import scribe as module
from alerts.planning import plan_due
from alerts.scribe import MANY, Scribe
from monitor.model import AlertState
from monitor.store.database import open_database

MAILS = 4 * MANY


class Kept:
    """A channel that keeps what it is given, and lets a test act while a mail is on its way."""

    def __init__(self):
        self.mails = []
        self.before = lambda count: None

    def send(self, mail, *, recipient, message_id, meanwhile=None):
        self.before(len(self.mails))
        self.mails.append(mail)
        meanwhile()
        return "kept"

    def announce(self, *, recipient, message_id): ...
    def rest(self): ...
    def close(self): ...


@pytest.fixture
def scribe():
    """A scribe that is ready, so that tests wait for no process."""
    one = Scribe()
    one._start()
    one._many = True
    assert one._pipe.poll(30)
    yield one
    one.close()


@pytest.fixture
def office(sqlite_db):
    """An office with many mails waiting."""
    return crowded(sqlite_db)


def crowded(database):
    office = open_office(database, Kept())
    office.breach(*map(str, range(MAILS)))
    plan_due(database, POLICY, now=office.now, grouping=APART)
    return office


@pytest.fixture
def here(monkeypatch):
    """Which mails the sender wrote itself."""
    written, seen = module.written, []
    monkeypatch.setattr("alerts.outbox.written", lambda order, envelope: seen.append(order) or written(order, envelope))
    return seen


def unhurried(scribe):
    """Give the scribe the time to be ahead, as a mail server does."""

    def wait(_count):
        if scribe._to_come and scribe._pipe is not None:
            scribe._pipe.poll(1)

    return wait


def test_mails_written_ahead_are_byte_for_byte_those_that_the_sender_writes(office, scribe, here, tmp_path):
    office.channel.before = unhurried(scribe)
    assert office.deliver(scribe=scribe).accepted == MAILS
    assert len(here) < MAILS / 2
    db = open_database(f"sqlite:///{tmp_path}/alone.db")
    alone = crowded(db)
    assert alone.deliver().accepted == MAILS
    assert office.channel.mails == alone.channel.mails
    db.close()


def test_nothing_written_ahead_leaves_after_the_acknowledgement(office, scribe):
    """I7: the mails of the portion are written, and the alerts are acknowledged before they leave."""
    wait = unhurried(scribe)

    def acknowledge(count):
        wait(count)
        if count == 1:
            office.set_alert(AlertState.ACKNOWLEDGED)

    office.channel.before = acknowledge
    sent = office.deliver(scribe=scribe)
    assert (sent.accepted, sent.cancelled) == (2, MAILS - 2)


def test_when_the_scribe_is_killed_the_sender_writes_the_mails(office, scribe, here):
    def kill(count):
        if count == 5:
            os.kill(scribe._process.pid, signal.SIGKILL)
            scribe._process.join()

    office.channel.before = kill
    assert office.deliver(scribe=scribe).accepted == MAILS
    assert len(here) > MAILS / 2


def test_a_mail_that_the_scribe_cannot_write_fails_at_the_sender_as_any_other(office, scribe, monkeypatch):
    """A template that is unknown here as there."""
    with office.db.write() as connection:
        connection.exec_driver_sql("UPDATE notification SET template = 'none' WHERE id = 7")
    office.channel.before = unhurried(scribe)
    sent = office.deliver(scribe=scribe)
    assert (sent.accepted, sent.retried) == (MAILS - 1, 1)
    assert "TemplateNotFound" in sent.failures[0]


def test_a_mail_to_be_encrypted_is_written_by_the_sender_alone(office, scribe, here):
    from dataclasses import replace

    from alerts.outbox import deliver_due
    from alerts.smime import Certificates

    recipient = office.rows()[0]["recipient"]
    sealing = replace(ENVELOPE, certificates=Certificates({recipient.casefold(): ()}))
    options = {"now": office.now, "clock": lambda: office.now, "report": None, "scribe": scribe}
    assert deliver_due(office.db, office.channel, sealing, **options).accepted == MAILS
    assert len(here) == MAILS


def test_no_process_is_started_for_a_few_mails(office):
    scribe = Scribe()
    office.deliver(scribe=scribe, limit=MANY)
    assert scribe._process is None
    office.deliver(scribe=scribe, limit=MANY)
    assert scribe._process is not None
    scribe.close()


def test_it_ends_when_it_was_not_needed_for_a_while(scribe, monkeypatch):
    process = scribe._process
    scribe.rest()
    assert process.is_alive()
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    scribe.rest()
    process.join(10)
    assert not process.is_alive()
