"""The outbox: what is to be mailed, who is mailing it, and what became of it. The alert row is the queue entry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import CompilerElement

from monitor.escalation import Escalation
from monitor.model import (
    WAITING_MAIL,
    Alert,
    AlertKind,
    AlertState,
    Delivery,
    Disclosure,
    Language,
    LastStep,
    NewNotification,
    NotificationState,
    Severity,
    Silence,
)
from monitor.store import alerts, audit, life, opening
from monitor.store.database import Database, insert_if_new
from monitor.store.prepared import Prepared
from monitor.store.tables import alert, escalation_policy, meta, notification, notification_alert, rendered_mail

FAILED = (NotificationState.DEAD, NotificationState.BOUNCED)
HOLD = "mail_held"  # the fact that the mail server fails as a whole: "since until"

load_alert = alerts.load_alert


def due_alerts(db: Database, now: datetime, *, limit: int = 100) -> list[Alert]:
    """Return alerts whose next action is due, in the order they came due.

    What was opened "in the future" and told to nobody was opened before the clock stepped back: it is due.
    """
    living = [AlertState.OPEN.value, AlertState.ACKNOWLEDGED.value]
    acts = or_(alert.c.state.in_(living), alert.c.recovered_at.is_not(None))
    untold = and_(alert.c.opened_at > now, alert.c.steps == 0)
    due = or_(alert.c.next_action_at <= now, untold)
    waits = alert.c.next_action_at.is_not(None)  # said by itself, for the index of those
    query = select(alert).where(waits, acts, due).order_by(alert.c.next_action_at, alert.c.id)
    with db.read() as connection:
        return alerts.to_alerts(connection, connection.execute(query.limit(limit)).mappings().all())


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstMail:
    """When an account's alert was first told, for those that may share the next mail."""

    agency: str
    account_id: int
    at: datetime


def first_mails(db: Database, *, since: datetime, until: datetime) -> list[FirstMail]:
    """Return the first mails of post and profile alerts, one for each that was written in the stretch."""
    told = (
        select(alert.c.agency, alert.c.account_id, notification.c.created_at)
        .join(alert, alert.c.id == notification.c.alert_id)
        .where(alert.c.kind.in_([AlertKind.POST.value, AlertKind.PROFILE.value]), notification.c.step == "first")
        .where(notification.c.created_at > since, notification.c.created_at <= until)
    )
    with db.read() as connection:
        return [
            FirstMail(agency=row.agency or "", account_id=row.account_id or 0, at=row.created_at)
            for row in connection.execute(told)
        ]


def last_steps(db: Database, alert_ids: Sequence[int]) -> dict[int, LastStep]:
    """Return what became of the mails that were last written for these alerts, also those they share."""
    rows: dict[int, list[RowMapping]] = {}
    columns = (
        notification.c.created_at,
        notification.c.state,
        notification.c.accepted_at,
        notification.c.recipient,
    )
    shared = notification_alert.c.notification_id == notification.c.id
    with db.read() as connection:
        for begin in range(0, len(alert_ids), 500):
            part = list(alert_ids[begin : begin + 500])
            own = select(notification.c.alert_id, *columns).where(notification.c.alert_id.in_(part))
            others = select(notification_alert.c.alert_id, *columns).join(notification, shared)
            both = union_all(own, others.where(notification_alert.c.alert_id.in_(part)))
            for row in connection.execute(both).mappings():
                rows.setdefault(row["alert_id"], []).append(row)
    return {alert_id: _last_step(mails) for alert_id, mails in rows.items()}


def _last_step(mails: Sequence[RowMapping]) -> LastStep:
    newest = max(mail["created_at"] for mail in mails)
    states = [NotificationState(mail["state"]) for mail in mails if mail["created_at"] == newest]
    accepted = [mail["accepted_at"] for mail in mails if mail["created_at"] == newest and mail["accepted_at"]]
    return LastStep(
        waiting=any(state in WAITING_MAIL for state in states),
        accepted_at=max(accepted, default=None),
        failed=any(state in FAILED for state in states),
        told=_recipients(mails, (NotificationState.ACCEPTED,)),
        on_the_way=_recipients(mails, WAITING_MAIL),
        refused=_recipients(mails, FAILED),
    )


def _recipients(mails: Sequence[RowMapping], states: Collection[NotificationState]) -> frozenset[str]:
    return frozenset(mail["recipient"].casefold() for mail in mails if mail["state"] in states)


def kept_policies(db: Database, hashes: Collection[str]) -> dict[str, str]:
    """Return the texts of escalation policies that alerts began with, by hash."""
    if not hashes:
        return {}
    query = select(escalation_policy.c.hash, escalation_policy.c.content)
    with db.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query.where(escalation_policy.c.hash.in_(list(hashes))))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided of an alert: mails, the next look, and what it waits for.

    `seen`: the alert as it was when this was decided.
    """

    alert_id: int
    notifications: Sequence[NewNotification] = ()
    next_action_at: datetime | None = None
    waiting_reason: str = ""
    steps: int = 0
    silence: Silence | None = None
    reopen: str = ""
    seen: Alert | None = None


def write_plans(db: Database, decisions: Sequence[Decision], *, policy: Escalation, now: datetime) -> bool:
    """Write down, as one, who is to be told of alerts and what these wait for. A mail already written is left alone.

    An alert that has recovered is resolved with this: its people are told, and nothing is left to do. One that was
    answered meanwhile is left as it is. False: one of them has changed since it was `seen`, or another process has
    planned it in other company; nothing was written, and what is still due is decided anew.
    """
    with db.write() as connection:
        rows = _taken(connection, [one.alert_id for one in decisions])
        if any(_has_changed(one.seen, rows[one.alert_id]) for one in decisions):
            return False
        _keep_policy(connection, policy, now)
        for one in decisions:
            _write_plan(connection, one, rows[one.alert_id], policy.hash, now)
        return True


def _has_changed(seen: Alert | None, row: RowMapping) -> bool:
    return seen is not None and (seen.round, seen.steps, seen.severity, seen.next_action_at) != (
        row["round"],
        row["steps"],
        row["severity"],
        row["next_action_at"],
    )


def _taken(connection: Connection, alert_ids: Sequence[int]) -> dict[int, RowMapping]:
    """Take the rows of alerts before anything goes to the audit, as `life` does: two that wait never wait in a ring."""
    query = select(alert).where(alert.c.id.in_(list(alert_ids))).order_by(alert.c.id)
    rows = connection.execute(query.with_for_update(key_share=True)).mappings().all()
    return {row["id"]: row for row in rows}


def _write_plan(connection: Connection, one: Decision, row: RowMapping, policy: str, now: datetime) -> None:
    recovered = row["recovered_at"] is not None
    if one.reopen:
        if row["state"] == AlertState.ACKNOWLEDGED.value:
            life.reopen_in(connection, row, reason=one.reopen, now=now)
        return
    if row["state"] != AlertState.OPEN.value and not recovered:
        return
    if one.silence is not None:
        life.suppress(connection, one.alert_id, one.silence, now=now)
        return
    _insert_new(connection, one.notifications, alert_id=one.alert_id, period="", now=now)
    values: dict[str, object] = {
        "next_action_at": one.next_action_at,
        "waiting_reason": one.waiting_reason,
        "steps": one.steps,
    }
    if row["policy"] is None:
        values["policy"] = policy
    if recovered:
        values |= {"state": AlertState.RESOLVED.value, "resolved_at": row["recovered_at"]}
        audit.append(connection, "alert recovered", now=now, alert_id=one.alert_id)
    connection.execute(update(alert).where(alert.c.id == one.alert_id).values(**values))


def _keep_policy(connection: Connection, policy: Escalation, now: datetime) -> None:
    facts = {"hash": policy.hash, "content": policy.as_json(), "since": now}
    connection.execute(insert_if_new(connection, escalation_policy).values(**facts))


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
    """Claim the mail that has been due longest, as `claim_batch` does. None when nothing is due."""
    return next(iter(claim_batch(db, now=now, lease=lease, limit=1)), None)


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
        also = _also_about(connection, numbers)
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


def _also_about(connection: Connection, notification_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
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
        wanted = wanted_alerts(connection, delivery)
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


def wanted_alerts(connection: Connection, delivery: Delivery) -> tuple[int, ...]:
    """Return those of the mail's alerts that still want it."""
    if delivery.alert_id is None:
        return ()
    all_of_them = alert.c.id.in_([delivery.alert_id, *delivery.also_about])
    return tuple(connection.execute(select(alert.c.id).where(all_of_them, _alive(delivery.template))).scalars())


def still_wanted(db: Database, delivery: Delivery) -> bool:
    """Say whether the mail is still ours to send and any of its alerts still open; a digest is always wanted."""
    with db.read() as connection:
        ours = select(notification.c.id).where(_MINE, _WANTED[delivery.template == "recovery"])
        return connection.execute(ours, _key(delivery)).first() is not None


def load_alerts(db: Database, deliveries: Sequence[Delivery]) -> dict[int, Alert]:
    """Return the alerts of these mails by their ids."""
    numbers = {n for one in deliveries if one.alert_id is not None for n in (one.alert_id, *one.also_about)}
    return alerts.load_alerts(db, sorted(numbers))


def _write_in(connection: Connection, delivery: Delivery, **values: object) -> bool:
    return connection.execute(update(notification).where(_MINE).values(**values), _key(delivery)).rowcount == 1


def mark_accepted(db: Database, delivery: Delivery, now: datetime, *, event: str = "mail accepted") -> bool:
    """Write that the mail server took responsibility for the mail. False: it was no longer ours."""
    with db.write() as connection:
        return _accept(connection, delivery, now, event)


def _accept(connection: Connection, delivery: Delivery, now: datetime, event: str) -> bool:
    if _ACCEPT.run(connection, {**_key(delivery), "b_now": now}).rowcount == 0:
        return False
    _audit(connection, event, delivery, now)
    return True


def _audit(connection: Connection, event: str, delivery: Delivery, now: datetime, **facts: object) -> None:
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
        return _write_in(
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
        return _write_in(connection, delivery, state=state, due_at=at, leased_until=None, error=error[:500])


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
        return _write_in(
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


def mark_dead(db: Database, delivery: Delivery, now: datetime, error: str) -> bool:
    """Give the mail up. An alert about it goes another way, and what the mail was about takes its next step at once."""
    about = [] if delivery.alert_id is None else [delivery.alert_id, *delivery.also_about]
    with db.write() as connection:
        _take_alerts(connection, about)
        ended = _write_in(
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
            _audit(connection, "mail refused", delivery, now, error=error[:500])
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
        hasten(connection, number, now)
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


def hasten(connection: Connection, alert_id: int, now: datetime) -> None:
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
        also = _also_about(connection, [row.id]).get(row.id, ())
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


def cancel(db: Database, delivery: Delivery, now: datetime) -> bool:
    """End the mail unsent: all its alerts were closed first."""
    with db.write() as connection:
        values = {"state": NotificationState.CANCELLED.value, "ended_at": now, "leased_until": None}
        ended = _write_in(connection, delivery, **values)
        if ended:
            open_end = {"uncertain": True} if delivery.uncertain else {}
            _audit(connection, "mail cancelled", delivery, now, **open_end)
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
