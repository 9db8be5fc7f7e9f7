"""I10: what a clock that ran ahead has planned is not late by its lead once it is set back."""

from __future__ import annotations

from datetime import timedelta

from builders import NOW, account, agency
from sqlalchemy import insert, select, update

from monitor.model import AlertKind, Disclosure, Severity
from monitor.store import opening
from monitor.store.clock import undo_lead
from monitor.store.register import save_register
from monitor.store.tables import alert, notification

HOUR = timedelta(hours=1)


def told(db, key, *, at, next_at):
    """An open alert with a mail written `at`, whose next step is due `next_at`."""
    with db.write() as connection:
        number = opening.open_alert(
            connection,
            dedup_key=key,
            kind=AlertKind.BLIND,
            severity=Severity.MEDIUM,
            disclosure=Disclosure.NONE,
            agency="JPD",
            now=at,
        )
        connection.execute(update(alert).where(alert.c.id == number).values(next_action_at=next_at, steps=1))
        facts = {"step": "head", "template": "blind", "recipient": "ketua@jpd.example.my", "language": "ms"}
        facts |= {"message_id": key, "state": "accepted", "created_at": at, "due_at": at, "period": ""}
        connection.execute(insert(notification).values(alert_id=number, **facts))
        return number


def next_at(db, number):
    with db.read() as connection:
        return connection.execute(select(alert.c.next_action_at).where(alert.c.id == number)).scalar_one()


def test_a_step_planned_by_a_clock_that_ran_ahead_comes_when_it_should(db):
    save_register(db, [agency()], [account()], now=NOW)
    ahead = told(db, "ahead", at=NOW + 2 * HOUR, next_at=NOW + 3 * HOUR)
    right = told(db, "right", at=NOW - HOUR, next_at=NOW + HOUR)
    assert undo_lead(db, step=2 * HOUR, now=NOW) == 1
    assert (next_at(db, ahead), next_at(db, right)) == (NOW + HOUR, NOW + HOUR)


def test_nothing_becomes_due_before_the_present(db):
    save_register(db, [agency()], [account()], now=NOW)
    ahead = told(db, "ahead", at=NOW + HOUR, next_at=NOW + HOUR + timedelta(minutes=5))
    undo_lead(db, step=9 * HOUR, now=NOW)
    assert next_at(db, ahead) == NOW
