"""What holds while Pantau is well, asked of the database: the chain verifies, alerts move, mail leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, and_, func, or_, select, update

from monitor.model import AlertState, NotificationState
from monitor.store.audit import GENESIS, Head, entry_hash, payload_hash
from monitor.store.database import Database, insert_if_new
from monitor.store.life import ALIVE
from monitor.store.tables import alert, audit, meta, notification

VERIFIED = "audit_verified"  # the fact up to which entry the chain was verified: "seq:hash"
AT_ONCE = 5000  # entries held in memory
WAITING = (NotificationState.PENDING, NotificationState.SENDING, NotificationState.UNCERTAIN)


class ChainBrokenError(Exception):
    """The audit chain does not verify. The message says where."""


def verify_newest(db: Database) -> Head:
    """Verify what the audit chain gained since this was last asked, and remember its end. Raises ChainBrokenError.

    The entry verified last must still be there as it was: a chain that was cut, or written anew, does not pass.
    """
    known = _verified(db)
    with db.read() as connection:
        _same_as_before(connection, known)
    end = known
    while rows := _after(db, end):
        for row in rows:
            end = _linked(end, row)
    if end != known:
        _remember(db, end)
    return end


def _verified(db: Database) -> Head:
    with db.read() as connection:
        value = connection.execute(select(meta.c.value).where(meta.c.key == VERIFIED)).scalars().first()
    seq, _, linked = (value or f"0:{GENESIS}").partition(":")
    return Head(seq=int(seq), hash=linked)


def _same_as_before(connection: Connection, known: Head) -> None:
    if known.seq == 0:
        return
    present = connection.execute(select(audit.c.hash).where(audit.c.seq == known.seq)).scalars().first()
    if present is None:
        raise ChainBrokenError(f"the audit chain was cut: entry {known.seq} was verified before and is gone")
    if present != known.hash:
        raise ChainBrokenError(f"the audit chain was written anew: entry {known.seq} is not the one verified before")


def _after(db: Database, end: Head) -> Sequence[RowMapping]:
    query = select(audit).where(audit.c.seq > end.seq).order_by(audit.c.seq).limit(AT_ONCE)
    with db.read() as connection:
        return connection.execute(query).mappings().all()


def _linked(end: Head, row: RowMapping) -> Head:
    """Return the chain's end after this entry. A purged payload leaves its hash, which still must fit."""
    seq, sealed = row["seq"], row["payload_hash"]
    if seq != end.seq + 1:
        raise ChainBrokenError(f"the audit chain has no entry {end.seq + 1}")
    if row["payload"] is not None and payload_hash(row["salt"] or "", row["payload"]) != sealed:
        raise ChainBrokenError(f"the audit chain's entry {seq} was changed: its facts do not fit their hash")
    linked = entry_hash(end.hash, seq=seq, at=row["at"], event=row["event"], alert_id=row["alert_id"], payload=sealed)
    if linked != row["hash"]:
        raise ChainBrokenError(f"the audit chain does not verify at entry {seq}")
    return Head(seq=seq, hash=linked)


def _remember(db: Database, end: Head) -> None:
    with db.write() as connection:
        if not connection.execute(update(meta).where(meta.c.key == VERIFIED).values(value=str(end))).rowcount:
            connection.execute(insert_if_new(connection, meta).values(key=VERIFIED, value=str(end)))


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
    waiting = select(oldest).where(notification.c.state.in_([state.value for state in WAITING]))
    recent = select(notification.c.id).where(notification.c.accepted_at > now - patience).limit(1)
    with db.read() as connection:
        since: datetime | None = connection.execute(waiting).scalar()
        if since is None or since > now - patience or connection.execute(recent).first() is not None:
            return None
    return since
