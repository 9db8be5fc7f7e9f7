"""The outbox: what is to be mailed, who is mailing it, and what became of it. The alert row is the queue entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from monitor.model import (
    Alert,
    AlertKind,
    AlertState,
    Delivery,
    Disclosure,
    Language,
    NewNotification,
    NotificationState,
    Severity,
)
from monitor.store import alerts, audit
from monitor.store.database import Database, insert_if_new
from monitor.store.tables import alert, meta, notification, notification_alert

HOLD = "mail_held"  # the fact that the mail server fails as a whole: "since until"

load_alert = alerts.load_alert


def due_alerts(db: Database, now: datetime, *, limit: int = 100) -> list[Alert]:
    """Return open alerts whose next action is due, in the order they came due.

    What was opened "in the future" was opened before the clock stepped back: it is due.
    """
    acts = or_(alert.c.state == AlertState.OPEN.value, alert.c.recovered_at.is_not(None))
    due = or_(alert.c.next_action_at <= now, and_(alert.c.next_action_at.is_not(None), alert.c.opened_at > now))
    query = select(alert).where(acts, due).order_by(alert.c.next_action_at, alert.c.id)
    with db.read() as connection:
        rows = connection.execute(query.limit(limit)).mappings().all()
        return [alerts.to_alert(connection, row) for row in rows]


def schedule_notifications(
    db: Database,
    alert_id: int,
    notifications: Sequence[NewNotification],
    *,
    now: datetime,
    next_action_at: datetime | None,
    waiting_reason: str,
) -> None:
    """Write down who is to be told and what the alert waits for. A mail already written down is left alone.

    An alert that has recovered is resolved with this: its people are told, and nothing is left to do. One that somebody
    answered since it was planned stays as it is.
    """
    with db.write() as connection:
        if not _still_acts(connection, alert_id):
            return
        _insert_new(connection, notifications, alert_id=alert_id, period="", now=now)
        values: dict[str, object] = {"next_action_at": next_action_at, "waiting_reason": waiting_reason}
        connection.execute(update(alert).where(alert.c.id == alert_id).values(**values))
        recovered = and_(alert.c.id == alert_id, alert.c.recovered_at.is_not(None))
        connection.execute(
            update(alert).where(recovered).values(state=AlertState.RESOLVED.value, resolved_at=alert.c.recovered_at)
        )


def _still_acts(connection: Connection, alert_id: int) -> bool:
    """Say whether the alert still wants mails. Takes its row before anything goes to the audit, as `life` does."""
    query = select(alert.c.state, alert.c.recovered_at).where(alert.c.id == alert_id)
    row = connection.execute(query.with_for_update(key_share=True)).one()
    return row.state == AlertState.OPEN.value or row.recovered_at is not None


def schedule_digest(db: Database, period: str, notifications: Sequence[NewNotification], *, now: datetime) -> int:
    """Write down one digest a recipient and week. Returns how many were new: 0 the second time."""
    with db.write() as connection:
        return _insert_new(connection, notifications, alert_id=None, period=period, now=now)


def _insert_new(
    connection: Connection,
    notifications: Sequence[NewNotification],
    *,
    alert_id: int | None,
    period: str,
    now: datetime,
) -> int:
    new = 0
    for one in notifications:
        facts = {
            "alert_id": alert_id,
            "period": period,
            "step": one.step,
            "template": one.template,
            "recipient": one.recipient,
            "language": one.language.value,
            "message_id": one.message_id,
            "state": NotificationState.PENDING.value,
            "created_at": now,
            "due_at": now,
        }
        written = insert_if_new(connection, notification).values(**facts).returning(notification.c.id)
        number = connection.execute(written).scalar_one_or_none()
        if number is None:
            continue
        new += 1
        shared = [{"notification_id": number, "alert_id": other} for other in one.also_about]
        if shared:
            connection.execute(insert(notification_alert), shared)
        audit.append(
            connection,
            "mail planned",
            now=now,
            alert_id=alert_id,
            facts={"message_id": one.message_id, "recipient": one.recipient, "step": one.step, "period": period},
        )
    return new


def claim(db: Database, *, now: datetime, lease: timedelta) -> Delivery | None:
    """Claim the mail that has been due longest, also one whose holder's lease has run out. None when nothing is due.

    A lease that ran out leaves it open whether the mail left: it is sent again with the same Message-ID. A mail
    written "in the future" was written before the clock stepped back: it is due. Nothing is while mail is held back.
    """
    waiting = notification.c.state.in_([NotificationState.PENDING.value, NotificationState.UNCERTAIN.value])
    abandoned = and_(notification.c.state == NotificationState.SENDING.value, notification.c.leased_until <= now)
    query = (
        select(notification)
        .where(or_(and_(waiting, or_(notification.c.due_at <= now, notification.c.created_at > now)), abandoned))
        .order_by(notification.c.due_at, notification.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with db.write() as connection:
        row = None if _held(connection, now) else connection.execute(query).mappings().first()
        if row is None:
            return None
        connection.execute(
            update(notification)
            .where(notification.c.id == row["id"])
            .values(state=NotificationState.SENDING.value, fence=notification.c.fence + 1, leased_until=now + lease)
        )
        also = _also_about(connection, row["id"])
    return Delivery(
        id=row["id"],
        fence=row["fence"] + 1,
        alert_id=row["alert_id"],
        period=row["period"],
        step=row["step"],
        template=row["template"],
        recipient=row["recipient"],
        language=Language(row["language"]),
        message_id=row["message_id"],
        attempts=row["attempts"],
        rendered=row["rendered"],
        uncertain=row["state"] != NotificationState.PENDING.value,
        also_about=also,
    )


def _also_about(connection: Connection, notification_id: int) -> tuple[int, ...]:
    shared = select(notification_alert.c.alert_id).where(notification_alert.c.notification_id == notification_id)
    return tuple(connection.execute(shared.order_by(notification_alert.c.alert_id)).scalars())


def _write(db: Database, delivery: Delivery, **values: object) -> bool:
    with db.write() as connection:
        return _write_in(connection, delivery, **values)


def _write_in(connection: Connection, delivery: Delivery, **values: object) -> bool:
    mine = and_(
        notification.c.id == delivery.id,
        notification.c.fence == delivery.fence,
        notification.c.state == NotificationState.SENDING.value,
    )
    return connection.execute(update(notification).where(mine).values(**values)).rowcount == 1


def save_rendered(db: Database, delivery: Delivery, mail: bytes) -> bool:
    """Keep the mail as rendered, so that every try sends the same bytes. False: the lease has passed to another."""
    return _write(db, delivery, rendered=mail)


def still_wanted(db: Database, delivery: Delivery) -> bool:
    """Say whether the mail is still ours to send and its alert still open; a digest is always wanted."""
    with db.read() as connection:
        mine = and_(notification.c.id == delivery.id, notification.c.fence == delivery.fence)
        if connection.execute(select(notification.c.id).where(mine)).first() is None:
            return False
        if delivery.alert_id is None:
            return True
        row = connection.execute(
            select(alert.c.state, alert.c.recovered_at).where(alert.c.id == delivery.alert_id)
        ).one()
        recovery = delivery.template == "recovery"
        return row.state == AlertState.OPEN.value or (recovery and row.recovered_at is not None)


def mark_accepted(db: Database, delivery: Delivery, now: datetime) -> bool:
    """Write that the mail server took responsibility for the mail."""
    with db.write() as connection:
        accepted = _write_in(
            connection,
            delivery,
            state=NotificationState.ACCEPTED.value,
            accepted_at=now,
            ended_at=now,
            attempts=delivery.attempts + 1,
            leased_until=None,
            error="",
        )
        if accepted:
            _audit(connection, "mail accepted", delivery, now)
        return accepted


def _audit(connection: Connection, event: str, delivery: Delivery, now: datetime, **facts: object) -> None:
    about = {"message_id": delivery.message_id, "recipient": delivery.recipient, "step": delivery.step, **facts}
    audit.append(connection, event, now=now, alert_id=delivery.alert_id, facts=about)


def mark_retry(db: Database, delivery: Delivery, at: datetime, error: str) -> bool:
    """Put the mail back until `at`: it was certainly not accepted."""
    return _put_back(db, delivery, NotificationState.PENDING, at, error)


def mark_uncertain(db: Database, delivery: Delivery, at: datetime, error: str) -> bool:
    """Put the mail back until `at`: the answer was lost, it may have been accepted."""
    return _put_back(db, delivery, NotificationState.UNCERTAIN, at, error)


def _put_back(db: Database, delivery: Delivery, state: NotificationState, at: datetime, error: str) -> bool:
    return _write(
        db,
        delivery,
        state=state.value,
        due_at=at,
        attempts=delivery.attempts + 1,
        leased_until=None,
        error=error[:500],
    )


def hold_back(db: Database, delivery: Delivery, error: str, *, now: datetime, until: datetime) -> bool:
    """Let no mail leave before `until`: the server fails as a whole. The mail that met it keeps its place in front."""
    with db.write() as connection:
        value = f"{now.isoformat()} {until.isoformat()}"
        if not connection.execute(update(meta).where(meta.c.key == HOLD).values(value=value)).rowcount:
            connection.execute(insert_if_new(connection, meta).values(key=HOLD, value=value))
        return _write_in(
            connection,
            delivery,
            state=NotificationState.PENDING.value,
            attempts=delivery.attempts + 1,
            leased_until=None,
            error=error[:500],
        )


def _held(connection: Connection, now: datetime) -> bool:
    """Say whether mail is held back; not by a hold from "the future", before the clock stepped back."""
    value = connection.execute(select(meta.c.value).where(meta.c.key == HOLD)).scalars().first()
    if value is None:
        return False
    since, until = (datetime.fromisoformat(part) for part in value.split())
    return since <= now < until


def mark_dead(db: Database, delivery: Delivery, now: datetime, error: str) -> bool:
    """Give the mail up and open an alert about it, which goes another way; the death of that one is only recorded."""
    with db.write() as connection:
        ended = _write_in(
            connection,
            delivery,
            state=NotificationState.DEAD.value,
            ended_at=now,
            attempts=delivery.attempts + 1,
            leased_until=None,
            error=error[:500],
        )
        if ended and delivery.template != "dead_letter":
            about = None
            if delivery.alert_id is not None:
                about = connection.execute(
                    select(alert.c.case, alert.c.agency, alert.c.account_id).where(alert.c.id == delivery.alert_id)
                ).one()
            what = about.case if about else delivery.period
            alerts.open_alert(
                connection,
                dedup_key=f"dead_letter:{delivery.message_id}",
                kind=AlertKind.DEAD_LETTER,
                severity=Severity.HIGH,
                disclosure=Disclosure.NONE,
                agency=about.agency if about else None,
                account_id=about.account_id if about else None,
                detail=f"{what} → {delivery.recipient}: {error}"[:500],
                now=now,
            )
        if ended:
            _audit(connection, "mail refused", delivery, now, error=error[:500])
        return ended


def cancel(db: Database, delivery: Delivery, now: datetime) -> bool:
    """End the mail unsent: its alert was closed first."""
    with db.write() as connection:
        values = {"state": NotificationState.CANCELLED.value, "ended_at": now, "leased_until": None}
        ended = _write_in(connection, delivery, **values)
        if ended:
            _audit(connection, "mail cancelled", delivery, now)
        return ended


def retry_now(db: Database, now: datetime) -> None:
    """Make every waiting mail due: `pantau once` waits for no back-off, and asks a server that failed again."""
    waiting = notification.c.state.in_([NotificationState.PENDING.value, NotificationState.UNCERTAIN.value])
    with db.write() as connection:
        connection.execute(delete(meta).where(meta.c.key == HOLD))
        connection.execute(update(notification).where(waiting, notification.c.due_at > now).values(due_at=now))


def release_abandoned(db: Database, now: datetime) -> None:
    """End the leases of a process that died: whoever holds a SQLite file's lock is the only one who may send."""
    with db.write() as connection:
        sending = notification.c.state == NotificationState.SENDING.value
        connection.execute(update(notification).where(sending).values(leased_until=now))
