"""What a wall clock that ran ahead has left behind, once it is set back: later steps that would wait too long."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import exists, select, update

from monitor.store.database import Database
from monitor.store.tables import alert, notification


def undo_lead(db: Database, *, step: timedelta, now: datetime) -> int:
    """Bring forward what was planned while the clock ran ahead by `step`; returns how many alerts that were.

    An alert's next step lies so long after its last one, which is its newest mail: one that was written "in the future"
    was written by the wrong clock, and so was the time of the step that follows it.
    """
    ahead = exists().where(notification.c.alert_id == alert.c.id, notification.c.created_at > now)
    waits = (alert.c.next_action_at > now, ahead)
    with db.write() as connection:
        rows = connection.execute(select(alert.c.id, alert.c.next_action_at).where(*waits)).all()
        for alert_id, due in rows:
            sooner = max(now, due - step)
            connection.execute(update(alert).where(alert.c.id == alert_id).values(next_action_at=sooner))
    return len(rows)
