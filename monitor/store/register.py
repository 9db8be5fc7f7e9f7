"""Agencies, their dated contacts and their accounts, as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from monitor.model import Account, AccountStatus, Agency, AgencyKind, Contacts, Language, State
from monitor.register import account_key
from monitor.store import audit, holds
from monitor.store.database import Database
from monitor.store.tables import account, agency, contacts

PEOPLE = (
    "head_salutation",
    "head_name",
    "head_title",
    "head_email",
    "deputy_email",
    "ictso_email",
    "comms_email",
)


@dataclass(slots=True, kw_only=True)
class Changes:
    """What an import did; an import of the same file again does nothing."""

    agencies_added: int = 0
    agencies_changed: int = 0
    accounts_added: int = 0
    accounts_changed: int = 0
    accounts_missing: int = 0  # in the database, no longer in the file: they stay monitored
    told: dict[str, dict[str, Any]] = field(default_factory=dict)  # for the audit: what happened → to whom → facts

    def __bool__(self) -> bool:
        return bool(self.agencies_added or self.agencies_changed or self.accounts_added or self.accounts_changed)

    def tell(self, what: str, whom: str, facts: Mapping[str, Any]) -> None:
        self.told.setdefault(what, {})[whom] = dict(facts)


def save_register(
    db: Database,
    agencies: Sequence[Agency],
    accounts: Sequence[Account],
    *,
    now: datetime,
    actor: str = audit.SYSTEM,
) -> Changes:
    """Bring agencies and accounts up to the register, in one transaction. Rows that left the file stay as they are.

    What changes is one entry of the audit, with old and new values; `actor` is who asked for it.
    """
    changes = Changes()
    with db.write() as connection:
        present_agencies = {r["code"]: r for r in connection.execute(select(agency)).mappings()}
        tenures = _newest_tenures(connection)
        for row in agencies:
            _save_agency(connection, row, present_agencies.get(row.code), tenures.get(row.code), now, changes)
        known = {(r["platform"], r["key"]): r for r in connection.execute(select(account)).mappings()}
        named = {account_key(one) for one in accounts}
        for one in accounts:
            present = known.pop(account_key(one), None) or _moved(one, known, named)
            _save_account(connection, one, present, now, changes)
        changes.accounts_missing = sum(r["status"] == AccountStatus.ACTIVE for r in known.values()) if accounts else 0
        if changes.told:
            audit.append(connection, "register changed", now=now, actor=actor, facts=changes.told)
    return changes


def _newest_tenures(connection: Connection) -> dict[str, RowMapping]:
    """Return by agency the row of those who answer for it since last."""
    in_order = select(contacts).order_by(contacts.c.since.is_not(None), contacts.c.since)
    return {r["agency"]: r for r in connection.execute(in_order).mappings()}


def _save_agency(
    connection: Connection,
    row: Agency,
    present: RowMapping | None,
    tenure: RowMapping | None,
    now: datetime,
    changes: Changes,
) -> None:
    facts = {"name": row.name, "kind": row.kind.value, "state": row.state.value, "language": row.language.value}
    if present is None:
        connection.execute(insert(agency).values(code=row.code, **facts))
        connection.execute(_tenure(row, since=None))
        changes.agencies_added += 1
        people = {key: getattr(row.contacts, key) for key in PEOPLE if getattr(row.contacts, key)}
        changes.tell("agencies added", row.code, facts | people)
        return
    changed = _differences(present, facts)
    if changed:
        connection.execute(update(agency).where(agency.c.code == row.code).values(**facts))
    changed |= _save_contacts(connection, row, tenure, now)
    if changed:
        changes.agencies_changed += 1
        changes.tell("agencies changed", row.code, changed)


def _differences(present: RowMapping, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return by column the old and the new value of what differs, as JSON holds them."""
    return {key: [_plain(present[key]), _plain(value)] for key, value in values.items() if present[key] != value}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _tenure(row: Agency, *, since: datetime | None) -> Any:
    people = {key: value for key, value in asdict(row.contacts).items() if key in PEOPLE}
    return insert(contacts).values(agency=row.code, since=since, declared_since=row.contacts.since, **people)


def _save_contacts(connection: Connection, row: Agency, present: RowMapping | None, now: datetime) -> dict[str, Any]:
    """Correct the present tenure, or begin a new one when another person heads the agency. Returns what changed."""
    people = {key: getattr(row.contacts, key) for key in PEOPLE}
    if present is None:
        connection.execute(_tenure(row, since=None))
        return {key: ["", value] for key, value in people.items() if value}
    if _is_another(present, row.contacts):
        since = row.contacts.since if row.contacts.since != present["declared_since"] else None
        since = since or now
        if present["since"] is None or since > present["since"]:
            connection.execute(_tenure(row, since=since))
            return _differences(present, people | {"since": since})
    values: dict[str, object] = dict(people)
    values["declared_since"] = row.contacts.since
    if present["since"] is not None and row.contacts.since is not None:
        values["since"] = row.contacts.since
    if changed := _differences(present, values):
        connection.execute(update(contacts).where(contacts.c.id == present["id"]).values(**values))
    return changed


def _moved(one: Account, known: dict[tuple[str, str], RowMapping], named: set[tuple[str, str]]) -> RowMapping | None:
    """Take out and return the account that is this one under an earlier address: same agency, platform and name.

    A feed that moves is no second feed: its posts are known, and are not told again.
    """
    same = [
        key
        for key, row in known.items()
        if key not in named
        and (row["agency"], row["platform"], row["handle"]) == (one.agency, one.platform, one.handle)
    ]
    return known.pop(same[0]) if len(same) == 1 else None


def _is_another(present: RowMapping, new: Contacts) -> bool:
    """Tell whether another person heads the agency: another name, or another address from a later day on.

    A new date alone is a correction of the date, a new address alone one of the address.
    """
    if present["head_name"] and present["head_name"] != new.head_name:
        return True
    declared = present["declared_since"]
    later = new.since is not None and (declared is None or new.since > declared)
    return later and bool(present["head_email"]) and present["head_email"].casefold() != new.head_email.casefold()


def _save_account(
    connection: Connection, one: Account, present: RowMapping | None, now: datetime, changes: Changes
) -> None:
    platform, key = account_key(one)
    facts = {
        "agency": one.agency,
        "key": key,
        "handle": one.handle,
        "url": one.url,
        "status": one.status.value,
        "note": one.note,
    }
    if present is None:
        connection.execute(insert(account).values(platform=platform, registered_at=now, next_check_at=now, **facts))
        changes.accounts_added += 1
        changes.tell("accounts added", one.label, {"agency": one.agency, "status": one.status.value})
    elif changed := _differences(present, facts):
        if "agency" in changed:
            holds.follow(connection, present["id"], present["agency"], now=now)
        if present["url"] != one.url:
            facts["native_id"] = ""  # it may be another profile now
        connection.execute(update(account).where(account.c.id == present["id"]).values(next_check_at=now, **facts))
        changes.accounts_changed += 1
        changes.tell("accounts changed", one.label, changed)


def to_account(row: RowMapping) -> Account:
    return Account(
        id=row["id"],
        agency=row["agency"],
        platform=row["platform"],
        handle=row["handle"],
        url=row["url"],
        status=AccountStatus(row["status"]),
        note=row["note"],
        native_id=row["native_id"],
        registered_at=row["registered_at"],
    )


def to_agency(row: RowMapping, people: RowMapping | None) -> Agency:
    who = Contacts(since=people["since"], **{key: people[key] for key in PEOPLE}) if people else Contacts()
    return Agency(
        code=row["code"],
        name=row["name"],
        kind=AgencyKind(row["kind"]),
        state=State(row["state"]),
        language=Language(row["language"]),
        contacts=who,
    )


def responsible(connection: Connection, code: str, at: datetime) -> Agency | None:
    """Return the agency with the contacts who answered for it at `at`; the first known ones for an earlier time."""
    found = tenures_of(connection, [code]).get(code)
    return found.at(at) if found else None


@dataclass(frozen=True, slots=True)
class Tenures:
    """An agency's row with those of all who ever answered for it, in order."""

    agency: RowMapping
    people: Sequence[RowMapping]

    def at(self, moment: datetime) -> Agency:
        in_office = [t for t in self.people if t["since"] is None or t["since"] <= moment]
        return to_agency(self.agency, in_office[-1] if in_office else next(iter(self.people), None))


def tenures_of(connection: Connection, codes: Collection[str]) -> dict[str, Tenures]:
    """Return the tenures of each of these agencies that there is."""
    order = (contacts.c.since.is_(None).desc(), contacts.c.since)
    people: dict[str, list[RowMapping]] = {}
    for row in connection.execute(select(contacts).where(contacts.c.agency.in_(codes)).order_by(*order)).mappings():
        people.setdefault(row["agency"], []).append(row)
    rows = connection.execute(select(agency).where(agency.c.code.in_(codes))).mappings()
    return {row["code"]: Tenures(row, people.get(row["code"], [])) for row in rows}


def list_agencies(db: Database, at: datetime) -> list[Agency]:
    with db.read() as connection:
        codes = connection.execute(select(agency.c.code).order_by(agency.c.code)).scalars().all()
        tenures = tenures_of(connection, codes)
        return [tenures[code].at(at) for code in codes]


def registered(db: Database) -> list[Account]:
    """Return every account, whatever its status, by agency, platform and handle."""
    with db.read() as connection:
        order = (account.c.agency, account.c.platform, account.c.key)
        return [to_account(row) for row in connection.execute(select(account).order_by(*order)).mappings()]


def platforms_in_use(accounts: Sequence[Account]) -> Mapping[str, int]:
    """Return how many active accounts each platform has."""
    counts: dict[str, int] = {}
    for one in accounts:
        if one.status is AccountStatus.ACTIVE:
            counts[one.platform] = counts.get(one.platform, 0) + 1
    return counts
