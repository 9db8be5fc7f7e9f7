"""Mails that reached nobody: refused for good, or returned after a server had accepted them. Their alerts go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, and_, select, update

from monitor.model import AlertKind, AlertState, Delivery, Disclosure, NotificationState, Severity
from monitor.store import audit, opening, outbox
from monitor.store.database import Database, insert_if_new
from monitor.store.tables import alert, meta, notification


def mark_dead(db: Database, delivery: Delivery, now: datetime, error: str) -> bool:
    """Give the mail up. An alert about it goes another way, and what the mail was about takes its next step at once."""
    about = [] if delivery.alert_id is None else [delivery.alert_id, *delivery.also_about]
    with db.write() as connection:
        _take_alerts(connection, about)
        ended = outbox.write_in(
            connection,
            delivery,
            state=NotificationState.DEAD.value,
            ended_at=now,
            attempts=delivery.attempts + 1,
            leased_until=None,
            error=error[:500],
        )
        if ended:
            _not_told(connection, delivery, about, error, now)
            outbox.record(connection, "mail refused", delivery, now, error=error[:500])
        return ended


class _Undelivered(Protocol):
    """What is asked of a mail that reached nobody: a delivery, or its row."""

    @property
    def template(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def period(self) -> str: ...


def _not_told(connection: Connection, mail: _Undelivered, about: Sequence[int], error: str, now: datetime) -> None:
    """Tell the operators of a mail that reached nobody (not of theirs about another), and hasten its alerts."""
    for number in about:
        _hasten(connection, number, now)
    if mail.template == "dead_letter":
        return
    cases = connection.execute(
        select(alert.c.case, alert.c.agency, alert.c.account_id).where(alert.c.id.in_(about)).order_by(alert.c.id)
    ).all()
    first = cases[0] if cases else None
    what = first.case if first else mail.period
    opening.open_alert(
        connection,
        dedup_key=f"dead_letter:{mail.message_id}",
        kind=AlertKind.DEAD_LETTER,
        severity=Severity.HIGH,
        disclosure=Disclosure.NONE,
        agency=first.agency if first else None,
        account_id=first.account_id if first else None,
        detail=f"{what} → {mail.recipient}: {error}"[:500],
        now=now,
    )


def _take_alerts(connection: Connection, alert_ids: Sequence[int]) -> None:
    """Take alerts' rows before those of their mails, as `life` does: so two processes never wait for each other."""
    if alert_ids:
        taken = select(alert.c.id).where(alert.c.id.in_(alert_ids)).order_by(alert.c.id)
        connection.execute(taken.with_for_update(key_share=True)).all()


def _hasten(connection: Connection, alert_id: int, now: datetime) -> None:
    """Make an open alert's next step due at once: whom the last one meant was not reached."""
    is_open = and_(alert.c.id == alert_id, alert.c.state == AlertState.OPEN.value)
    connection.execute(update(alert).where(is_open).values(next_action_at=now))


def mark_bounced(db: Database, message_id: str, error: str, now: datetime) -> bool:
    """Write that a mail came back although a server had accepted it; then as for one that was refused.

    False: it is no mail of ours, or that is known already.
    """
    ours = and_(
        notification.c.message_id == message_id,
        notification.c.state.not_in([NotificationState.BOUNCED.value, NotificationState.DEAD.value]),
    )
    with db.write() as connection:
        row = connection.execute(select(notification).where(ours)).first()
        if row is None:
            return False
        also = outbox.also_about(connection, [row.id]).get(row.id, ())
        about = [] if row.alert_id is None else [row.alert_id, *also]
        _take_alerts(connection, about)
        values = {
            "state": NotificationState.BOUNCED.value,
            "ended_at": row.ended_at or now,
            "leased_until": None,
            "error": error[:500],
        }
        if connection.execute(update(notification).where(ours).values(**values)).rowcount == 0:
            return False  # another process has just read the same report
        _not_told(connection, row, about, error, now)
        facts = {"message_id": message_id, "recipient": row.recipient, "step": row.step, "error": error[:500]}
        audit.append(connection, "mail returned", now=now, alert_id=row.alert_id, facts=facts)
    return True


def recipient_of(db: Database, message_id: str) -> str | None:
    """Return whom a mail of ours was for; None when it is no mail of ours."""
    with db.read() as connection:
        query = select(notification.c.recipient).where(notification.c.message_id == message_id)
        return connection.execute(query).scalars().first()


def note_delayed(db: Database, message_id: str, words: str, now: datetime) -> None:
    """Write that a server still tries to deliver a mail it accepted."""
    with db.write() as connection:
        query = select(notification.c.alert_id).where(notification.c.message_id == message_id)
        facts = {"message_id": message_id, "error": words[:500]}
        about = connection.execute(query).scalars().first()
        audit.append(connection, "mail delayed", now=now, alert_id=about, facts=facts)


def read_place(db: Database, key: str) -> tuple[int, int]:
    """Return up to where a folder was read: (UIDVALIDITY, UID); zeros before the first time."""
    with db.read() as connection:
        value = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalars().first()
    validity, last = (value or "0 0").split()
    return int(validity), int(last)


def keep_place(db: Database, key: str, validity: int, last: int) -> None:
    """Write down up to where a folder was read."""
    value = f"{validity} {last}"
    with db.write() as connection:
        if not connection.execute(update(meta).where(meta.c.key == key).values(value=value)).rowcount:
            connection.execute(insert_if_new(connection, meta).values(key=key, value=value))
