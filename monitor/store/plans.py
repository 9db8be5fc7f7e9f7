"""The outbox's beginning: which alerts are due, and the mails that are written down for them.

The alert row is the queue entry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, insert, or_, select, union_all, update

from monitor.escalation import Escalation
from monitor.model import (
    WAITING_MAIL,
    Alert,
    AlertKind,
    AlertState,
    LastStep,
    NewNotification,
    NotificationState,
    Silence,
)
from monitor.store import alerts, audit, life
from monitor.store.database import Database
from monitor.store.prepared import Prepared, as_new, new_row_if_new, new_values
from monitor.store.tables import alert, escalation_policy, notification, notification_alert

FAILED = (NotificationState.DEAD, NotificationState.BOUNCED)


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
    if recovered:
        values = {"state": AlertState.RESOLVED.value, "resolved_at": row["recovered_at"]}
        connection.execute(update(alert).where(alert.c.id == one.alert_id).values(**values))
        audit.append(connection, "alert recovered", now=now, alert_id=one.alert_id)
    next_step = {"next_action_at": one.next_action_at, "waiting_reason": one.waiting_reason, "steps": one.steps}
    _PLAN.run(connection, {"number": one.alert_id, "began_with": policy, **as_new(next_step)})


_PLAN = Prepared(  # the policy that an alert began with stays its own
    update(alert)
    .where(alert.c.id == bindparam("number"))
    .values(
        {
            alert.c.policy: func.coalesce(alert.c.policy, bindparam("began_with", type_=alert.c.policy.type)),
            **new_values(alert, "next_action_at", "waiting_reason", "steps"),
        }
    )
)


def _keep_policy(connection: Connection, policy: Escalation, now: datetime) -> None:
    _KEEP_POLICY.run(connection, as_new({"hash": policy.hash, "content": policy.as_json(), "since": now}))


_KEEP_POLICY = new_row_if_new(escalation_policy, "hash", "content", "since")


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
        written = _NEW_MAIL.run(connection, as_new(facts)).fetchone()
        if written is None:
            continue
        number = written[0]
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


_NEW_MAIL = new_row_if_new(
    notification,
    "alert_id",
    "period",
    "step",
    "template",
    "recipient",
    "language",
    "message_id",
    "state",
    "created_at",
    "due_at",
    returning=notification.c.id,
)
