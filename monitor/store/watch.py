"""What holds while Pantau is well, asked of the database: alerts move, and mail leaves."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select

from monitor.model import AlertState
from monitor.store.database import Database
from monitor.store.life import ALIVE
from monitor.store.tables import alert, notification


def idle_alerts(db: Database, *, now: datetime, patience: timedelta) -> list[str]:
    """Return the case numbers of alerts that nobody acts on: with neither a next action nor a reason, or overdue."""
    alive = alert.c.state.in_([state.value for state in ALIVE])
    aimless = and_(alert.c.next_action_at.is_(None), alert.c.waiting_reason == "")
    overdue = and_(alert.c.state == AlertState.OPEN.value, alert.c.next_action_at < now - patience)
    query = select(alert.c.case).where(alive, or_(aimless, overdue)).order_by(alert.c.id).limit(100)
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def mail_stuck_since(db: Database, *, now: datetime, patience: timedelta) -> datetime | None:
    """Return since when the longest mail waits, when that is longer than `patience` and none was accepted meanwhile."""
    oldest = func.min(notification.c.created_at, type_=notification.c.created_at.type)
    waiting = select(oldest).where(notification.c.ended_at.is_(None))
    recent = select(notification.c.id).where(notification.c.accepted_at > now - patience).limit(1)
    with db.read() as connection:
        since: datetime | None = connection.execute(waiting).scalar()
        if since is None or since > now - patience or connection.execute(recent).first() is not None:
            return None
    return since
