"""Accounts that were not read for too long: each is an alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, RowMapping, exists, func, or_, select, update

from monitor import coverage as intervals
from monitor.model import Account, AccountStatus, AlertKind, Cause, Disclosure, Severity
from monitor.store import opening
from monitor.store.coverage import save_tail
from monitor.store.credentials import ONE_ALERT_IN_ALL
from monitor.store.database import Database
from monitor.store.register import to_account
from monitor.store.tables import account, alert, credential


def open_blind(
    connection: Connection,
    one: Account,
    failing_since: datetime,
    *,
    cause: Cause,
    error: str,
    unread_since: datetime,
    now: datetime,
) -> None:
    opening.open_alert(
        connection,
        dedup_key=f"blind:{one.id}:{failing_since.isoformat()}",
        kind=AlertKind.BLIND,
        severity=Severity.MEDIUM,
        disclosure=Disclosure.NONE,
        agency=one.agency,
        account_id=one.id,
        cause=cause,
        since=unread_since,
        detail=error[:500],
        now=now,
    )


def open_blind_alerts(db: Database, *, now: datetime, blind_after: timedelta) -> int:
    """Alert for accounts that rest by a platform's own word, and were not read for `blind_after`. Returns how many.

    Nobody checks such an account, so that no failed check could find it blind. Where its last check was a good one the
    platform's refusal is written down for it.
    """
    with db.read() as connection:
        if not _resting_blind(connection, now, blind_after):
            return 0
    with db.write() as connection:
        found = _resting_blind(connection, now, blind_after)
        for row in found:
            one = to_account(row)
            begin = one.registered_at or now
            unread_since = row["last_ok_at"] or begin
            since = row["failing_since"] or unread_since
            cause = Cause(row["cause"] or row["shut_cause"])
            error = row["error"] or row["shut_error"]
            if row["failing_since"] is None:
                why = {"failing_since": since, "cause": cause.value, "error": error}
                connection.execute(update(account).where(account.c.id == one.id).values(**why))
            save_tail(connection, one.id, partial(intervals.after_failure, begin=begin, now=now, cause=cause))
            open_blind(connection, one, since, cause=cause, error=error, unread_since=unread_since, now=now)
    return len(found)


def _resting_blind(connection: Connection, now: datetime, blind_after: timedelta) -> Sequence[RowMapping]:
    """Return the accounts that rest unread for too long and are not alerted for it, unless the credential is dead."""
    dead = [cause.value for cause in ONE_ALERT_IN_ALL]
    since = func.coalesce(account.c.failing_since, account.c.last_ok_at, account.c.registered_at)
    told = exists().where(
        alert.c.account_id == account.c.id, alert.c.kind == AlertKind.BLIND.value, alert.c.opened_at >= since
    )
    query = (
        select(account, credential.c.cause.label("shut_cause"), credential.c.error.label("shut_error"))
        .outerjoin(credential, credential.c.platform == account.c.platform)
        .where(account.c.status == AccountStatus.ACTIVE.value, since <= now - blind_after, ~told)
        .where(or_(account.c.retry_at > now, credential.c.probe_at > now))
        .where(or_(account.c.cause.is_(None), account.c.cause.not_in(dead)))
        .where(or_(credential.c.cause.is_(None), credential.c.cause.not_in(dead)))
    )
    return connection.execute(query).mappings().all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An account that its platform does not let us read before `retry_at`, and what it said."""

    account: Account
    error: str
    retry_at: datetime


def resting_accounts(db: Database, *, now: datetime) -> list[Resting]:
    """Return the active accounts that nobody may ask yet, by the platform's own word."""
    resting = (account.c.status == AccountStatus.ACTIVE.value, account.c.retry_at > now)
    with db.read() as connection:
        rows = connection.execute(select(account).where(*resting).order_by(account.c.id)).mappings().all()
    return [Resting(account=to_account(row), error=row["error"], retry_at=row["retry_at"]) for row in rows]
