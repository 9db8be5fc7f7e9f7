"""Accounts in the hands of workers: which are due, and who holds them. The schedule is a column."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, or_, select, update

from monitor.budget import Rate
from monitor.model import Account, AccountStatus
from monitor.store.database import Database
from monitor.store.register import to_account
from monitor.store.tables import account


class LeaseLostError(Exception):
    """Another worker has taken the account over since; nothing of this check may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An account in this worker's hands, with all a check needs to know. Writes carry `fence`."""

    account: Account
    fence: int
    cursor: dict[str, Any] | None
    interval: timedelta
    failures: int
    failing_since: datetime | None
    profile_at: datetime | None
    last_ok_at: datetime | None
    rate: Rate | None = None  # None: not known yet


def claim_accounts(
    db: Database,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
    platform: str,
    everything: bool = False,
    among: Sequence[int] | None = None,
    exclude: Collection[int] = (),
) -> list[Claimed]:
    """Claim due accounts of a platform, longest overdue first. `everything` takes every active one that it lets us.

    `among` are the ids that may be taken, where not all may; `exclude` are in the caller's hands already.

    An account whose last check lies in the future was written before the clock stepped back: it is due.
    """
    allowed = or_(account.c.retry_at.is_(None), account.c.retry_at <= now)
    due = allowed if everything else or_(account.c.next_check_at <= now, account.c.last_check_at > now)
    query = (
        select(account)
        .where(account.c.status == AccountStatus.ACTIVE.value, _is_free(now), due)
        .where(account.c.platform == platform)
        .order_by(account.c.next_check_at, account.c.id)
        .limit(limit)
    )
    if among is not None:
        query = query.where(account.c.id.in_(among))
    if exclude:
        query = query.where(account.c.id.not_in(exclude))
    return _claim(db, query, now=now, lease=lease)


def claim_these(db: Database, ids: Sequence[int], *, now: datetime, lease: timedelta) -> list[Claimed]:
    """Claim these accounts for something else than their check, as far as nobody holds them."""
    active = account.c.status == AccountStatus.ACTIVE.value
    query = select(account).where(account.c.id.in_(ids), active, _is_free(now)).order_by(account.c.id)
    return _claim(db, query, now=now, lease=lease)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(account.c.leased_until.is_(None), account.c.leased_until <= now, account.c.last_check_at > now)


def _claim(db: Database, query: Select[Any], *, now: datetime, lease: timedelta) -> list[Claimed]:
    with db.write() as connection:
        rows = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
        if rows:
            connection.execute(
                update(account)
                .where(account.c.id.in_([row["id"] for row in rows]))
                .values(fence=account.c.fence + 1, leased_until=now + lease)
            )
    return [
        Claimed(
            account=to_account(row),
            fence=row["fence"] + 1,
            cursor=row["cursor"],
            interval=timedelta(seconds=row["interval_seconds"]),
            failures=row["failures"],
            failing_since=row["failing_since"],
            profile_at=row["profile_at"],
            last_ok_at=row["last_ok_at"],
            rate=_rate(row),
        )
        for row in rows
    ]


def _rate(row: RowMapping) -> Rate | None:
    if row["posting_rate"] is None:
        return None
    known = Rate(per_day=row["posting_rate"])
    return known if row["rate_days"] is None else replace(known, days=row["rate_days"])


def account_ids(db: Database, platform: str) -> list[int]:
    """Return the ids of a platform's active accounts, longest overdue first."""
    mine = (account.c.status == AccountStatus.ACTIVE.value, account.c.platform == platform)
    query = select(account.c.id).where(*mine).order_by(account.c.next_check_at, account.c.id)
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def hold(connection: Connection, claimed: Claimed) -> None:
    """Make sure that the account is still ours, and keep it so for this transaction. Raises LeaseLostError."""
    held = connection.execute(
        select(account.c.id)
        .where(account.c.id == claimed.account.id, account.c.fence == claimed.fence)
        .with_for_update()
    ).first()
    if held is None:
        raise LeaseLostError(claimed.account.label)


def held_of(connection: Connection, claimed: Sequence[Claimed]) -> set[int]:
    """Return which accounts are still ours, and keep them so for this transaction."""
    query = select(account.c.id, account.c.fence).where(account.c.id.in_([one.account.id for one in claimed]))
    fences = {row.id: row.fence for row in connection.execute(query.order_by(account.c.id).with_for_update())}
    return {one.account.id for one in claimed if fences.get(one.account.id) == one.fence}


def keep(connection: Connection, claimed: Claimed, *, until: datetime) -> None:
    """Hold on to an account that is being read: a long walk may take longer than the lease it began with."""
    mine = and_(account.c.id == claimed.account.id, account.c.fence == claimed.fence)
    connection.execute(update(account).where(mine).values(leased_until=until))


def release(db: Database, claimed: Claimed) -> None:
    """Give an unfinished account back, so that the next round takes it at once."""
    release_all(db, [claimed])


def release_all(db: Database, claimed: Sequence[Claimed]) -> None:
    with db.write() as connection:
        let_go(connection, held_of(connection, claimed))


def let_go(connection: Connection, ids: Collection[int]) -> None:
    """End the leases of accounts that the caller holds."""
    connection.execute(update(account).where(account.c.id.in_(ids)).values(leased_until=None))


def held_accounts(db: Database, *, now: datetime) -> int:
    """Return how many active accounts another worker holds, or one that died and whose lease still runs."""
    with db.read() as connection:
        held = (account.c.status == AccountStatus.ACTIVE.value, account.c.leased_until > now)
        return int(connection.execute(select(func.count()).select_from(account).where(*held)).scalar_one())


def release_held(db: Database) -> None:
    """End the leases of a process that died: whoever holds a SQLite file's lock is the only one who reads."""
    with db.write() as connection:
        held = account.c.leased_until.is_not(None)
        connection.execute(update(account).where(held).values(leased_until=None, fence=account.c.fence + 1))
