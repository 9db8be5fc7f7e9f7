"""What holds while Pantau is well, on both databases: alerts that move, mail that leaves."""

from __future__ import annotations

from datetime import timedelta

from builders import NOW
from sqlalchemy import select, update

from monitor.model import AlertKind, AlertState, Disclosure, Language, NewNotification, Severity
from monitor.store import outbox, plans
from monitor.store.opening import open_alert
from monitor.store.tables import alert as alerts
from monitor.store.watch import idle_alerts, mail_stuck_since

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def opened(db, key="k", **values):
    with db.write() as connection:
        number = open_alert(
            connection,
            dedup_key=key,
            kind=AlertKind.DEAD_LETTER,
            severity=Severity.HIGH,
            disclosure=Disclosure.NONE,
            now=NOW,
        )
        if values:
            connection.execute(update(alerts).where(alerts.c.id == number).values(**values))
        return connection.execute(select(alerts.c.case).where(alerts.c.id == number)).scalar_one()


def test_an_alert_with_neither_a_next_action_nor_a_reason_is_idle(db):
    opened(db, "moves")
    opened(db, "ends", next_action_at=None, waiting_reason="nobody is configured")
    opened(db, "closed", next_action_at=None, state=AlertState.RESOLVED.value)
    idle = opened(db, "idle", next_action_at=None)
    assert idle_alerts(db, now=NOW + MINUTE, patience=HOUR) == [idle]


def test_an_alert_whose_next_action_is_long_overdue_is_idle(db):
    late = opened(db)
    assert idle_alerts(db, now=NOW + HOUR, patience=HOUR) == []
    assert idle_alerts(db, now=NOW + HOUR + MINUTE, patience=HOUR) == [late]


def mail(db, name, now):
    wanted = NewNotification(
        step="digest", template="digest", recipient="a@b.my", language=Language.MS, message_id=f"<{name}@b.my>"
    )
    plans.schedule_digest(db, name, [wanted], now=now)


def test_mail_is_stuck_when_it_waits_for_an_hour_and_none_leaves(db):
    assert mail_stuck_since(db, now=NOW, patience=HOUR) is None
    mail(db, "one", NOW)
    mail(db, "two", NOW + MINUTE)
    assert mail_stuck_since(db, now=NOW + HOUR - MINUTE, patience=HOUR) is None
    assert mail_stuck_since(db, now=NOW + HOUR + MINUTE, patience=HOUR) == NOW
    (claimed,) = outbox.claim_batch(db, now=NOW + HOUR, lease=MINUTE, limit=1)
    outbox.mark_accepted(db, claimed, NOW + HOUR)
    assert mail_stuck_since(db, now=NOW + HOUR + 2 * MINUTE, patience=HOUR) is None  # the backlog drains
    assert mail_stuck_since(db, now=NOW + 3 * HOUR, patience=HOUR) == NOW + MINUTE
