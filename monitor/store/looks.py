"""Who looked at an alert by a link: in the audit, and seldom enough that a mail scanner cannot bloat it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from monitor.store import audit
from monitor.store.database import Database
from monitor.store.tables import alert
from monitor.store.tables import audit as chain

EVENT = "alert looked at"
ONCE_IN = timedelta(hours=1)


def note_look(db: Database, alert_id: int, *, by: str, program: str, now: datetime) -> bool:
    """Note that `by` opened the alert with this kind of program, once an hour for each. False: noted already.

    The kind of program counts, so that the scanner of a mail gateway does not hide the person who comes after it.
    """
    with db.read() as connection:
        if _noted(connection, alert_id, by, program, now):
            return False
    with db.write() as connection:
        connection.execute(select(alert.c.id).where(alert.c.id == alert_id).with_for_update(key_share=True))
        if _noted(connection, alert_id, by, program, now):
            return False
        audit.append(connection, EVENT, now=now, actor=by, alert_id=alert_id, facts={"program": program})
    return True


def _noted(connection: Connection, alert_id: int, by: str, program: str, now: datetime) -> bool:
    """Look for such an entry of the last hour; one "from the future" was written before the clock stepped back."""
    looks = select(chain).where(chain.c.alert_id == alert_id, chain.c.event == EVENT)
    recent = looks.where(chain.c.at > now - ONCE_IN, chain.c.at <= now)
    events = [audit.to_event(row) for row in connection.execute(recent).mappings()]
    return any(event.actor == by and event.facts.get("program") == program for event in events)
