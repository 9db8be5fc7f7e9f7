"""The outbox at work: who is mailing what, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import CompilerElement

from monitor.model import (
    Alert,
    AlertState,
    Delivery,
    Language,
    NotificationState,
)
from monitor.store import alerts, audit
from monitor.store.database import Database, insert_if_new
from monitor.store.prepared import Prepared
from monitor.store.tables import alert, meta, notification, notification_alert, rendered_mail

HOLD = "mail_held"  # the fact that the mail server fails as a whole: "since until"


def claim_batch(db: Database, *, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
    """Claim the mails that have been due longest, also those whose holder's lease has run out, at most `limit`.

    What was being handed over when its holder's lease ran out is uncertain. A mail written "in the future" was written
    before the clock stepped back: it is due; and no lease lasts longer than one from now. Nothing is claimed while mail
    is held back.
    """
    due = or_(notification.c.due_at <= now, notification.c.created_at > now)
    until = notification.c.leased_until
    free = or_(until.is_(None), until <= now, until > now + lease)
    query = (
        select(notification)
        .where(notification.c.ended_at.is_(None), due, free)
        .order_by(notification.c.due_at, notification.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with db.write() as connection:
        rows = [] if _held(connection, now) else connection.execute(query).mappings().all()
        if not rows:
            return []
        numbers = [row["id"] for row in rows]
        handing_over = NotificationState.SENDING.value
        connection.execute(
            update(notification)
            .where(notification.c.id.in_(numbers))
            .values(
                state=case(
                    (notification.c.state == handing_over, NotificationState.UNCERTAIN.value),
                    else_=notification.c.state,
                ),
                fence=notification.c.fence + 1,
                leased_until=now + lease,
            )
        )
        also = also_about(connection, numbers)
        kept = _kept_mails(connection, [row["id"] for row in rows if row["kept"]])
    return [_delivery(row, also.get(row["id"], ()), kept.get(row["id"])) for row in rows]


def _delivery(row: RowMapping, also: tuple[int, ...], rendered: bytes | None) -> Delivery:
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
        rendered=rendered,
        uncertain=row["state"] != NotificationState.PENDING.value,
        also_about=also,
        rendered_about=tuple(int(number) for number in row["rendered_about"].split()),
        handed_over_at=row["handed_over_at"],
    )


def _kept_mails(connection: Connection, notification_ids: Sequence[int]) -> dict[int, bytes]:
    query = select(rendered_mail).where(rendered_mail.c.notification_id.in_(notification_ids))
    return {row[0]: row[1] for row in connection.execute(query)} if notification_ids else {}


def also_about(connection: Connection, notification_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return the further alerts of mails that are about several."""
    shared = (
        select(notification_alert)
        .where(notification_alert.c.notification_id.in_(notification_ids))
        .order_by(notification_alert.c.notification_id, notification_alert.c.alert_id)
    )
    found: dict[int, tuple[int, ...]] = {}
    for row in connection.execute(shared):
        found[row.notification_id] = (*found.get(row.notification_id, ()), row.alert_id)
    return found


def _key(delivery: Delivery) -> dict[str, object]:
    return {"b_id": delivery.id, "b_fence": delivery.fence}


def _alive(template: str) -> ColumnElement[bool]:
    """Return what is true of an alert that still wants a mail: open; or recovered, for the mail that tells it."""
    is_open = alert.c.state == AlertState.OPEN.value
    return or_(is_open, alert.c.recovered_at.is_not(None)) if template == "recovery" else is_open


def _any_wants(template: str) -> ColumnElement[bool]:
    """Return what is true of a mail as long as any of its alerts wants it; a digest is always wanted."""
    first = exists().where(alert.c.id == notification.c.alert_id, _alive(template))
    of_this = notification_alert.c.notification_id == notification.c.id
    other = exists().where(of_this, alert.c.id == notification_alert.c.alert_id, _alive(template))
    return or_(notification.c.alert_id.is_(None), first, other)


# What is asked for every mail is written once: composing a statement takes longer than running it.
_MINE = and_(  # true as long as this worker's lease has not passed to another, and the mail was not put back
    notification.c.id == bindparam("b_id"),
    notification.c.fence == bindparam("b_fence"),
    notification.c.ended_at.is_(None),
    notification.c.leased_until.is_not(None),
)
_WANTED = {False: _any_wants("alert"), True: _any_wants("recovery")}
_BEGIN = {
    recovery: Prepared(
        update(notification)
        .where(_MINE, wanted)
        .values(
            state=NotificationState.SENDING.value,
            leased_until=bindparam("b_until"),
            handed_over_at=bindparam("b_now"),
            rendered_about=bindparam("b_about"),
            kept=True,
        )
    )
    for recovery, wanted in _WANTED.items()
}


def _keep_mail(dialect: Any) -> CompilerElement:
    """Return the statement that keeps a mail's bytes, also where others were kept before."""
    mail: ColumnElement[bytes] = bindparam("b_mail")
    first: CompilerElement = (
        dialect.insert(rendered_mail)
        .values(notification_id=bindparam("b_id"), content=mail)
        .on_conflict_do_update(index_elements=[rendered_mail.c.notification_id], set_={"content": mail})
    )
    return first


_KEEP = Prepared(_keep_mail(sqlite), postgresql=_keep_mail(postgresql))
_ACCEPT = Prepared(
    update(notification)
    .where(_MINE)
    .values(
        state=NotificationState.ACCEPTED.value,
        accepted_at=bindparam("b_now"),
        ended_at=bindparam("b_now"),
        attempts=notification.c.attempts + 1,
        leased_until=None,
        error="",
    )
)


class Begun(Enum):
    """Whether a mail may be handed over now."""

    YES = "yes"
    CLOSED = "all its alerts are closed"
    CHANGED = "other alerts are open than those it was written about"
    LOST = "it is another worker's, or ended"


def begin(
    db: Database,
    delivery: Delivery,
    mail: bytes,
    *,
    about: Sequence[int] = (),
    now: datetime,
    lease: timedelta,
    accepted: Delivery | None = None,
) -> tuple[Begun, bool]:
    """Write down, in one transaction, that `accepted` was taken, and that `delivery` is being handed over as `mail`.

    The mail's bytes are kept, so that every try sends the same; its lease begins anew. Whether it is still wanted is
    looked at here, in the last moment before it leaves. `about`: the open alerts it was written about, where there are
    several. Returns (may it leave, was `accepted` still ours to write).
    """
    with db.write() as connection:
        begun = _begin(connection, delivery, mail, about, now=now, lease=lease)
        taken = accepted is not None and _accept(connection, accepted, now, "mail accepted")  # the audit goes last
        return begun, taken


def _begin(
    connection: Connection, delivery: Delivery, mail: bytes, about: Sequence[int], *, now: datetime, lease: timedelta
) -> Begun:
    if delivery.also_about and not delivery.uncertain:
        wanted = _wanted_alerts(connection, delivery)
        if wanted and set(wanted) != set(about):
            return Begun.CHANGED
    values = {"b_until": now + lease, "b_now": now, "b_about": " ".join(map(str, about))}
    if _BEGIN[delivery.template == "recovery"].run(connection, {**_key(delivery), **values}).rowcount == 1:
        _keep(connection, delivery, mail)
        return Begun.YES
    held = connection.execute(select(notification.c.id).where(_MINE), _key(delivery)).first()
    return Begun.CLOSED if held else Begun.LOST


def _keep(connection: Connection, delivery: Delivery, mail: bytes) -> None:
    """Keep the mail's bytes, unless it is its first rendering that goes again."""
    if mail is not delivery.rendered:
        _KEEP.run(connection, {"b_id": delivery.id, "b_mail": mail})


def _wanted_alerts(connection: Connection, delivery: Delivery) -> tuple[int, ...]:
    """Return those of the mail's alerts that still want it."""
    if delivery.alert_id is None:
        return ()
    all_of_them = alert.c.id.in_([delivery.alert_id, *delivery.also_about])
    return tuple(connection.execute(select(alert.c.id).where(all_of_them, _alive(delivery.template))).scalars())


def load_alerts(db: Database, deliveries: Iterable[Delivery]) -> dict[int, Alert]:
    """Return the alerts of these mails by their ids."""
    numbers = {n for one in deliveries if one.alert_id is not None for n in (one.alert_id, *one.also_about)}
    return alerts.load_alerts(db, sorted(numbers))


def write_in(connection: Connection, delivery: Delivery, **values: object) -> bool:
    """Write into the mail's row. False: it is no longer ours."""
    return connection.execute(update(notification).where(_MINE).values(**values), _key(delivery)).rowcount == 1


def mark_accepted(db: Database, delivery: Delivery, now: datetime, *, event: str = "mail accepted") -> bool:
    """Write that the mail server took responsibility for the mail. False: it was no longer ours."""
    with db.write() as connection:
        return _accept(connection, delivery, now, event)


def _accept(connection: Connection, delivery: Delivery, now: datetime, event: str) -> bool:
    if _ACCEPT.run(connection, {**_key(delivery), "b_now": now}).rowcount == 0:
        return False
    record(connection, event, delivery, now)
    return True


def record(connection: Connection, event: str, delivery: Delivery, now: datetime, **facts: object) -> None:
    """Write what became of the mail into the audit chain; last in its transaction."""
    about = {"message_id": delivery.message_id, "recipient": delivery.recipient, "step": delivery.step, **facts}
    audit.append(connection, event, now=now, alert_id=delivery.alert_id, facts=about)


def mark_retry(db: Database, delivery: Delivery, at: datetime, error: str) -> bool:
    """Put the mail back until `at`: this try was certainly not accepted. What an earlier one left open stays open."""
    return _put_back(db, delivery, _certainty(delivery), at, error)


def mark_uncertain(db: Database, delivery: Delivery, at: datetime, error: str) -> bool:
    """Put the mail back until `at`: the answer was lost, it may have been accepted."""
    return _put_back(db, delivery, NotificationState.UNCERTAIN, at, error)


def _certainty(delivery: Delivery) -> NotificationState:
    return NotificationState.UNCERTAIN if delivery.uncertain else NotificationState.PENDING


def _put_back(db: Database, delivery: Delivery, state: NotificationState, at: datetime, error: str) -> bool:
    with db.write() as connection:
        return write_in(
            connection,
            delivery,
            state=state.value,
            due_at=at,
            attempts=delivery.attempts + 1,
            leased_until=None,
            error=error[:500],
        )


def look_later(db: Database, delivery: Delivery, at: datetime, error: str) -> bool:
    """Put an uncertain mail back until `at` without a try: it cannot be told yet whether it was accepted."""
    with db.write() as connection:
        state = NotificationState.UNCERTAIN.value
        return write_in(connection, delivery, state=state, due_at=at, leased_until=None, error=error[:500])


def give_back(db: Database, deliveries: Sequence[Delivery]) -> None:
    """Let go of claimed mails that were not begun; they keep their places."""
    if deliveries:
        unbegun = notification.c.state != NotificationState.SENDING.value
        with db.write() as connection:
            put_back = update(notification).where(_MINE, unbegun).values(leased_until=None)
            connection.execute(put_back, [_key(delivery) for delivery in deliveries])


def has_accepted(db: Database, *, since: datetime) -> bool:
    """Say whether the mail server has taken any mail since then."""
    with db.read() as connection:
        recent = select(notification.c.id).where(notification.c.accepted_at >= since).limit(1)
        return connection.execute(recent).first() is not None


def hold_back(db: Database, delivery: Delivery, error: str, *, now: datetime, until: datetime) -> bool:
    """Let no mail leave before `until`: the server fails as a whole. The mail that met it keeps its place in front."""
    with db.write() as connection:
        value = f"{now.isoformat()} {until.isoformat()}"
        if not connection.execute(update(meta).where(meta.c.key == HOLD).values(value=value)).rowcount:
            connection.execute(insert_if_new(connection, meta).values(key=HOLD, value=value))
        return write_in(
            connection,
            delivery,
            state=_certainty(delivery).value,
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


def cancel(db: Database, delivery: Delivery, now: datetime) -> bool:
    """End the mail unsent: all its alerts were closed first."""
    with db.write() as connection:
        values = {"state": NotificationState.CANCELLED.value, "ended_at": now, "leased_until": None}
        ended = write_in(connection, delivery, **values)
        if ended:
            open_end = {"uncertain": True} if delivery.uncertain else {}
            record(connection, "mail cancelled", delivery, now, **open_end)
        return ended


def retry_now(db: Database, now: datetime) -> None:
    """Make every waiting mail due: `pantau once` waits for no back-off, and asks a server that failed again."""
    waiting = notification.c.state.in_([NotificationState.PENDING.value, NotificationState.UNCERTAIN.value])
    with db.write() as connection:
        connection.execute(delete(meta).where(meta.c.key == HOLD))
        later = and_(notification.c.ended_at.is_(None), notification.c.due_at > now)
        connection.execute(update(notification).where(waiting, later).values(due_at=now))


def release_abandoned(db: Database, now: datetime) -> None:
    """End the leases of a process that died: whoever holds a SQLite file's lock is the only one who may send."""
    with db.write() as connection:
        leased = notification.c.leased_until.is_not(None)
        connection.execute(update(notification).where(leased).values(leased_until=now))
