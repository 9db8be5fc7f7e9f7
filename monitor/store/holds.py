"""Legal holds: what no purge may empty, because a court, an inquiry or an auditor may ask for it.

Whoever may run commands as Pantau's own user may put data under hold and end a hold: the operators of the machine. They
do so on somebody's order, who is named as the author (legal adviser, ICTSO, head of department); that and the user of
the machine are in the audit, whose entries about holds are never emptied. A hold has no end of its own: forgetting to
renew one must not destroy evidence. It covers what is stored of its accounts: posts, pictures' texts, profiles, mails
and audit entries about their alerts. An account that moves to another agency stays under the hold it was under.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, insert, or_, select, update

from monitor.store import audit
from monitor.store.database import Database
from monitor.store.life import NOTE_LIMIT, PERSON_LIMIT, Answer
from monitor.store.tables import account, legal_hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Who wants which data kept, and why. Without agency and account: all of it."""

    id: int
    author: str
    reason: str
    since: datetime
    ended_at: datetime | None = None
    agency: str | None = None
    account_id: int | None = None


def add_hold(
    db: Database,
    *,
    author: str,
    reason: str,
    agency: str | None = None,
    account_id: int | None = None,
    by: str,
    now: datetime,
) -> Hold:
    """Put data under hold from this moment on; what was purged before is gone. Raises ValueError without a reason."""
    if not reason.strip():
        raise ValueError("a hold needs a reason: an order, a case number, an inquiry")
    if agency is not None and account_id is not None:
        raise ValueError("a hold names an agency or an account, not both")
    with db.write() as connection:
        return _add(connection, author, reason, agency, account_id, by=by, now=now)


def _add(
    connection: Connection,
    author: str,
    reason: str,
    agency: str | None,
    account_id: int | None,
    *,
    by: str,
    now: datetime,
) -> Hold:
    values = {
        "author": author[:PERSON_LIMIT],
        "reason": reason[:NOTE_LIMIT],
        "since": now,
        "agency": agency,
        "account_id": account_id,
    }
    number = connection.execute(insert(legal_hold).values(**values).returning(legal_hold.c.id)).scalar_one()
    facts = {"hold": number, "author": author, "reason": reason, "agency": agency, "account": account_id}
    audit.append(connection, audit.HOLD_BEGUN, now=now, actor=by, facts=facts)
    return Hold(id=number, **values)  # type: ignore[arg-type]  # the same names


def end_hold(db: Database, number: int, *, author: str, reason: str = "", by: str, now: datetime) -> Answer:
    """End a hold: the next purge treats its data like any other. Raises LookupError."""
    with db.write() as connection:
        row = connection.execute(select(legal_hold).where(legal_hold.c.id == number)).mappings().first()
        if row is None:
            raise LookupError(f"no hold has the number {number}")
        if row["ended_at"] is not None:
            return Answer.ALREADY
        connection.execute(update(legal_hold).where(legal_hold.c.id == number).values(ended_at=now))
        facts = {"hold": number, "author": author, "reason": reason[:NOTE_LIMIT]}
        audit.append(connection, audit.HOLD_ENDED, now=now, actor=by, facts=facts)
    return Answer.DONE


def list_holds(db: Database, *, ended: bool = False) -> Sequence[Hold]:
    """Return the holds in force; with `ended` all there ever were."""
    query = select(legal_hold).order_by(legal_hold.c.id)
    if not ended:
        query = query.where(_in_force())
    with db.read() as connection:
        return [Hold(**row) for row in connection.execute(query).mappings()]


def follow(connection: Connection, account_id: int, agency: str, *, now: datetime) -> None:
    """Keep an account under hold that leaves the agency for which it was held."""
    held = select(legal_hold).where(_in_force(), legal_hold.c.agency == agency)
    for row in connection.execute(held).mappings().all():
        reason = f"moved away from {agency}, which hold {row['id']} covers: {row['reason']}"
        _add(connection, row["author"], reason, None, account_id, by=audit.SYSTEM, now=now)


# ---------------------------------------------------------------- as a purge asks


def _in_force() -> ColumnElement[bool]:
    return legal_hold.c.ended_at.is_(None)


def any_hold() -> ColumnElement[bool]:
    """Say whether any data at all is held."""
    return exists().where(_in_force())


def everything_held() -> ColumnElement[bool]:
    return exists().where(_in_force(), legal_hold.c.agency.is_(None), legal_hold.c.account_id.is_(None))


def held_agencies() -> Select[tuple[str]]:
    return select(legal_hold.c.agency).where(_in_force(), legal_hold.c.agency.is_not(None))


def held_accounts() -> Select[tuple[int]]:
    """Return the accounts whose data must stay, by themselves or for their agency."""
    named = select(legal_hold.c.account_id).where(_in_force(), legal_hold.c.account_id.is_not(None))
    covered = or_(account.c.id.in_(named), account.c.agency.in_(held_agencies()))
    return select(account.c.id).where(covered)


def is_held(account_id: ColumnElement[int], agency: ColumnElement[str]) -> ColumnElement[bool]:
    """Say whether something of this account or agency is held; both may be null."""
    of_account = and_(account_id.is_not(None), account_id.in_(held_accounts()))
    return or_(of_account, and_(agency.is_not(None), agency.in_(held_agencies())))
