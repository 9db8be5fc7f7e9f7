"""The audit chain: an append-only record of what happened to alerts, mails, rules and the register.

Each entry's hash covers the one before it, its own facts and the hash of its salted payload. So nothing can be changed
or taken out unseen, while a purge may empty payloads: what identifies people lives only there. A chain does not show
that its end was cut off; its head is therefore printed in every digest, where it can be compared.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from monitor.store.database import Database
from monitor.store.tables import audit

GENESIS = hashlib.sha256(b"pantau audit chain").hexdigest()
SYSTEM = "pantau"
CHAIN_LOCK = 0x50616E746163  # PostgreSQL's number for the lock of the chain's end


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain: how many entries there are, and the last one's hash."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


def append(
    connection: Connection,
    event: str,
    *,
    now: datetime,
    actor: str = SYSTEM,
    alert_id: int | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Write down that `event` happened, in the transaction in which it did. `facts` are of JSON's types.

    Entries follow each other, so other writers of the chain wait for the end of this transaction: append last.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CHAIN_LOCK})
    end = head_in(connection)
    payload = json.dumps({"actor": actor, **(facts or {})}, sort_keys=True, ensure_ascii=False, default=str)
    salt = secrets.token_hex(16)
    sealed = payload_hash(salt, payload)
    seq = end.seq + 1
    linked = entry_hash(end.hash, seq=seq, at=now, event=event, alert_id=alert_id, payload=sealed)
    values = {
        "seq": seq,
        "at": now,
        "event": event,
        "alert_id": alert_id,
        "payload": payload,
        "salt": salt,
        "payload_hash": sealed,
        "hash": linked,
    }
    connection.execute(insert(audit).values(**values))


def payload_hash(salt: str, payload: str) -> str:
    return hashlib.sha256(f"{salt}\n{payload}".encode("utf-8", "surrogatepass")).hexdigest()


def entry_hash(previous: str, *, seq: int, at: datetime, event: str, alert_id: int | None, payload: str) -> str:
    stamp = at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = (previous, str(seq), stamp, event, str(alert_id or ""), payload)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def head_in(connection: Connection) -> Head:
    last = select(func.max(audit.c.seq)).scalar_subquery()
    row = connection.execute(select(audit.c.seq, audit.c.hash).where(audit.c.seq == last)).first()
    return Head(seq=row.seq, hash=row.hash) if row else Head(seq=0, hash=GENESIS)


def head(db: Database) -> Head:
    with db.read() as connection:
        return head_in(connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry of the chain as people read it. After a purge `facts` are empty and `actor` is "purged"."""

    at: datetime
    event: str
    actor: str
    facts: Mapping[str, object]


def events_of(db: Database, alert_id: int) -> list[Event]:
    """Return what happened to an alert, oldest first."""
    query = select(audit).where(audit.c.alert_id == alert_id).order_by(audit.c.seq)
    with db.read() as connection:
        return [to_event(row) for row in connection.execute(query).mappings()]


def to_event(row: RowMapping) -> Event:
    payload = json.loads(row["payload"]) if row["payload"] is not None else {"actor": "purged"}
    actor = str(payload.pop("actor", ""))
    return Event(at=row["at"], event=row["event"], actor=actor, facts=payload)
