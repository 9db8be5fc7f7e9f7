"""The audit chain: an append-only record of what happened to alerts, mails, rules and the register.

Each entry's hash covers the one before it, its own facts and the hash of its salted payload. So nothing can be changed
or taken out unseen, while a purge may empty payloads: what identifies people lives only there. A chain does not show
that its end was cut off; its head is therefore printed in every digest, where it can be compared. `verify` walks the
chain and names the first place where it does not hold.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Text, insert, select, text, type_coerce
from sqlalchemy.exc import DBAPIError

from monitor.store.database import Database
from monitor.store.prepared import Prepared
from monitor.store.tables import alert, audit

GENESIS = hashlib.sha256(b"pantau audit chain").hexdigest()
SYSTEM = "pantau"
CHAIN_LOCK = 0x50616E746163  # PostgreSQL's number for the lock of the chain's end
PURGED = "data purged"  # with how many payloads it emptied: `verify` counts whether no other was
HOLD_BEGUN, HOLD_ENDED = "legal hold begun", "legal hold ended"
NEVER_EMPTIED = (PURGED, HOLD_BEGUN, HOLD_ENDED)  # they say why others are empty, or must not be
STAMP = "%Y-%m-%d %H:%M:%S.%f"  # how SQLAlchemy stores a time in SQLite
CHUNK = 1_000  # entries in memory at once while the chain is walked
PORTION = 10_000  # entries that a daemon looks at in one go
WALKED_EVERY = timedelta(days=1)
SHORTEST_HASH = 16  # hexadecimal digits of a published head, when a letter shows no more


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
    end = _end(_LAST.run(connection).fetchone())
    payload = _payload({"actor": actor, **(facts or {})})
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
    _INSERT.run(connection, values)


def _payload(facts: Mapping[str, object]) -> str:
    """Return the facts as JSON that every database stores: lone surrogates, as of a command line, are escaped."""
    written = _AS_JSON.encode(facts)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.dumps(facts, sort_keys=True, default=str)
    return written


_AS_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str)


def payload_hash(salt: str, payload: str) -> str:
    return hashlib.sha256(f"{salt}\n{payload}".encode("utf-8", "surrogatepass")).hexdigest()


def entry_hash(previous: str, *, seq: int, at: datetime, event: str, alert_id: int | None, payload: str) -> str:
    stamp = at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = (previous, str(seq), stamp, event, "" if alert_id is None else str(alert_id), payload)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


_NEWEST = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
_LAST = Prepared(_NEWEST)
_INSERT = Prepared(insert(audit))


def head_in(connection: Connection) -> Head:
    return _end(connection.execute(_NEWEST).first())


def _end(row: Sequence[Any] | None) -> Head:
    return Head(seq=row[0], hash=row[1]) if row else Head(seq=0, hash=GENESIS)


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
    seq: int = 0
    case: str = ""  # of the alert that it is about


def events_of(db: Database, alert_id: int) -> list[Event]:
    """Return what happened to an alert, oldest first."""
    query = select(audit).where(audit.c.alert_id == alert_id).order_by(audit.c.seq)
    with db.read() as connection:
        return [to_event(row) for row in connection.execute(query).mappings()]


def to_event(row: RowMapping) -> Event:
    payload = json.loads(row["payload"]) if row["payload"] is not None else {"actor": "purged"}
    actor = str(payload.pop("actor", ""))
    case = row.get("case") or ""
    return Event(at=row["at"], event=row["event"], actor=actor, facts=payload, seq=row["seq"], case=case)


def list_events(
    db: Database, *, alert_id: int | None = None, since: datetime | None = None, limit: int | None = None
) -> list[Event]:
    """Return entries of the chain, newest first."""
    query = select(audit, alert.c.case).outerjoin(alert, alert.c.id == audit.c.alert_id).order_by(audit.c.seq.desc())
    if alert_id is not None:
        query = query.where(audit.c.alert_id == alert_id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    with db.read() as connection:
        return [to_event(row) for row in connection.execute(query.limit(limit)).mappings()]


# ---------------------------------------------------------------- verifying


class Kind(StrEnum):
    """What is wrong at a place of the chain."""

    CHANGED = "changed entry"
    MISSING = "missing entry"
    FOREIGN = "entry out of place"
    PAYLOAD = "changed payload"
    EMPTIED = "emptied payload"
    REWRITTEN = "rewritten chain"
    CUT = "cut tail"


MEANING: Mapping[Kind, str] = {
    Kind.CHANGED: "the entry, or the hash before it, was changed after it was written",
    Kind.MISSING: "entries were taken out of the chain here",
    Kind.FOREIGN: "an entry stands here that was never appended",
    Kind.PAYLOAD: "who did it and how, as this entry tells, was changed after it was written",
    Kind.EMPTIED: "payloads were emptied, and no purge has written that down",
    Kind.REWRITTEN: "the chain is sound in itself, but not the one whose head was published: it was computed anew",
    Kind.CUT: "entries up to a published head are gone: the end was cut off, or an older backup was restored",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first place where the chain does not hold."""

    seq: int
    kind: Kind
    detail: str = ""

    @property
    def words(self) -> str:
        return f"entry {self.seq}: {self.kind.value}: {MEANING[self.kind]}{self.detail and f' ({self.detail})'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a walk along the chain found. `entries` and `purged` are those up to the first break."""

    entries: int
    head: Head  # the last entry that holds
    purged: int  # payloads that a purge emptied
    published: int  # heads that it was compared with
    broken: Break | None


def read_head(words: str) -> Head:
    """Read a published head, such as "123:0f3a…"; its hash may be shortened. Raises ValueError."""
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*:\s*([0-9A-Fa-f]{16,64})(?:…|\.\.\.)?\s*", words)
    if match is None:
        raise ValueError(
            f"'{words}': expected a head as a digest prints it: the number of entries, a colon, and the hash "
            f"(64 hexadecimal digits, at least the first {SHORTEST_HASH} of them)"
        )
    return Head(seq=int(match[1]), hash=match[2].lower())


def verify(db: Database, published: Sequence[Head] = ()) -> Report:
    """Walk the whole chain, also beside a daemon that appends to it; memory stays the same however long it is.

    `published` are heads from outside, such as from digests: without one, nobody can tell that the end was cut off or
    that all was computed anew. Nor can anybody tell an entry that was appended by Pantau from one that somebody who may
    write to the database appended in the same way.
    """
    walk = _Walk(_by_seq(published))
    broken = walk.begin()
    for row in _stored(db):
        broken = broken or walk.step(row)
        if broken is not None:
            break
    broken = broken or walk.finish()
    return Report(entries=walk.entries, head=walk.end, purged=walk.purged, published=len(published), broken=broken)


class Watch:
    """Walks the chain in portions while it grows, for a daemon: what is changed under it comes to light within a day.

    Where the walk stood is in this process's memory, so it is also a head that nobody who writes to the database can
    reach. At the end of the chain it waits for more; a day after its beginning it begins anew.
    """

    def __init__(self) -> None:
        self._walk = _Walk({})
        self._began: datetime | None = None

    def look(self, db: Database, *, now: datetime, most: int = PORTION) -> Break | None:
        """Go on by at most so many entries. Returns what is broken, and keeps to it: nothing mends a chain."""
        self._began = self._began or now
        broken = self._still_there(db)
        looked = 0
        for row in islice(_stored(db, after=self._walk.end.seq or None), most):
            broken = broken or self._walk.step(row)
            looked += 1
            if broken is not None:
                return broken
        if broken is None and looked < most:
            broken = self._walk.finish()
            if broken is None and now - self._began >= WALKED_EVERY:
                end = self._walk.end
                self._walk, self._began = _Walk({end.seq: [end]}), now
        return broken

    def _still_there(self, db: Database) -> Break | None:
        """Look whether the entry up to which all was well is what it was."""
        end = self._walk.end
        if not end.seq:
            return None
        with db.read() as connection:
            there = connection.execute(select(audit.c.hash).where(audit.c.seq == end.seq)).scalars().first()
        if there == end.hash:
            return None
        return Break(seq=end.seq, kind=Kind.CUT if there is None else Kind.REWRITTEN)


def _by_seq(published: Sequence[Head]) -> dict[int, list[Head]]:
    found: dict[int, list[Head]] = {}
    for one in published:
        found.setdefault(one.seq, []).append(one)
    return found


@dataclass(slots=True)
class _Walk:
    """Where a walk along the chain stands."""

    published: Mapping[int, Sequence[Head]]
    end: Head = field(default_factory=lambda: Head(seq=0, hash=GENESIS))
    entries: int = 0
    purged: int = 0
    recorded: int = 0  # of the payloads that purges say they emptied
    last_emptied: int = 0

    def begin(self) -> Break | None:
        return self._compared(0, GENESIS)

    def step(self, row: _Entry) -> Break | None:
        """Go one entry on. Returns what is wrong with it."""
        broken = self._linked(row) or self._filled(row) or self._compared(row.seq, row.hash)
        if broken is None:
            self.entries += 1
            self.end = Head(seq=row.seq, hash=row.hash)
        return broken

    def finish(self) -> Break | None:
        """Return what only the end shows: a cut tail, or payloads that vanished without a purge."""
        beyond = [seq for seq in self.published if seq > self.end.seq]
        if beyond:
            said = f"the chain ends at {self.end.seq}, and a head at {max(beyond)} was published"
            return Break(seq=self.end.seq + 1, kind=Kind.CUT, detail=said)
        if self.purged > self.recorded:
            said = f"{self.purged} are empty, purges wrote down {self.recorded}; the last is here"
            return Break(seq=self.last_emptied, kind=Kind.EMPTIED, detail=said)
        return None

    def _linked(self, row: _Entry) -> Break | None:
        wanted = self.end.seq + 1
        if row.seq > wanted:
            last = row.seq - 1
            said = f"{wanted} to {last} are not there" if last > wanted else ""
            return Break(seq=wanted, kind=Kind.MISSING, detail=said)
        if row.seq < wanted:
            return Break(seq=row.seq, kind=Kind.FOREIGN)
        return None if row.link(self.end.hash) == row.hash else Break(seq=row.seq, kind=Kind.CHANGED)

    def _filled(self, row: _Entry) -> Break | None:
        """Look at the payload: as it was sealed, or emptied as a purge does it."""
        if row.payload is None and row.salt is None:
            self.purged += 1
            self.last_emptied = row.seq
            return Break(seq=row.seq, kind=Kind.EMPTIED) if row.event in NEVER_EMPTIED else None
        if row.payload is None or row.salt is None or payload_hash(row.salt, row.payload) != row.payload_hash:
            return Break(seq=row.seq, kind=Kind.PAYLOAD)
        if row.event == PURGED:
            self.recorded += int(json.loads(row.payload).get("entries", 0))
        return None

    def _compared(self, seq: int, found: str) -> Break | None:
        """Compare an entry with the heads that were published when it was the last one."""
        if all(found.startswith(one.hash) for one in self.published.get(seq, ())):
            return None
        return Break(seq=seq, kind=Kind.REWRITTEN)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of the table as it is stored, whatever somebody may have made of it."""

    seq: int
    at: datetime | None  # None: not as Pantau writes a time
    event: str
    alert_id: int | None
    payload: str | None
    salt: str | None
    payload_hash: str
    hash: str
    sound: bool = True

    def link(self, previous: str) -> str:
        """Return the hash that the entry should have after the one before it; nothing when no hash could be right."""
        if not self.sound or self.at is None:
            return ""
        return entry_hash(
            previous, seq=self.seq, at=self.at, event=self.event, alert_id=self.alert_id, payload=self.payload_hash
        )


AS_STORED = select(
    audit.c.seq,
    type_coerce(audit.c.at, Text).label("at"),  # SQLite keeps a text, and more than one text is read as one time
    audit.c.event,
    audit.c.alert_id,
    audit.c.payload,
    audit.c.salt,
    audit.c.payload_hash,
    audit.c.hash,
).order_by(audit.c.seq)


def _stored(db: Database, *, after: int | None = None) -> Iterator[_Entry]:
    """Yield the entries in their order, a chunk at a time, each chunk in a short transaction of its own."""
    while True:
        query = (AS_STORED if after is None else AS_STORED.where(audit.c.seq > after)).limit(CHUNK)
        chunk = _chunk(db, query)
        yield from chunk
        if not chunk:
            return
        after = chunk[-1].seq


def _chunk(db: Database, query: Select[Any]) -> list[_Entry]:
    with db.read() as connection:
        try:
            return [_entry(row) for row in connection.execute(query)]
        except DBAPIError:  # bytes that are no text make the whole answer fail
            return [_one(connection, seq) for seq in connection.execute(query.with_only_columns(audit.c.seq)).scalars()]


def _one(connection: Connection, seq: int) -> _Entry:
    try:
        return _entry(connection.execute(AS_STORED.where(audit.c.seq == seq)).one())
    except DBAPIError:
        return _Entry(seq, None, "", None, "", "", "", "", sound=False)


def _entry(row: Any) -> _Entry:
    seq, at, event, alert_id, payload, salt, sealed, linked = row
    texts = all(isinstance(one, str) for one in (event, sealed, linked))
    texts &= all(one is None or isinstance(one, str) for one in (payload, salt))
    sound = texts and (alert_id is None or type(alert_id) is int)
    if not sound:
        return _Entry(seq, None, "", None, "", "", "", "", sound=False)
    return _Entry(seq, _moment(at), event, alert_id, payload, salt, sealed, linked)


def _moment(stored: object) -> datetime | None:
    """Return the time of a row; of SQLite's texts only the one that Pantau writes, to the letter."""
    if isinstance(stored, datetime):
        return stored
    try:
        moment = datetime.strptime(str(stored), STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.strftime(STAMP) == stored else None
