"""What of accounts' past is still to be read, and the gaps in the coverage that close when it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, or_, select, update

from monitor import backfill
from monitor.backfill import Stretch, ToDo
from monitor.model import AccountStatus, Cause, CoverageKind
from monitor.store import past
from monitor.store.accounts import Claimed, claim_these, hold, let_go
from monitor.store.database import Database
from monitor.store.tables import account, coverage, post


def claim_backfills(
    db: Database, *, platform: str, now: datetime, lease: timedelta, limit: int, beyond: int | None = None
) -> list[tuple[Claimed, ToDo]]:
    """Claim accounts of a platform with a part of their past to be read now; those longest due first.

    With `beyond` they are gone through instead, in the order of their ids, from beyond this one.
    An account whose last check failed waits: it comes first, and the past after it.
    """
    due = account.c.backfill["due"].as_string()
    query = (
        select(account.c.id)
        .where(account.c.platform == platform, account.c.status == AccountStatus.ACTIVE.value)
        .where(account.c.backfill.is_not(None), account.c.cause.is_(None), due <= backfill.sortable(now))
        .where(account.c.id > (beyond or 0))
        .where(or_(account.c.leased_until.is_(None), account.c.leased_until <= now))
        .order_by(*([due] if beyond is None else []), account.c.id)
        .limit(limit)
    )
    with db.read() as connection:
        ids = list(connection.execute(query).scalars())
    claimed = claim_these(db, ids, now=now, lease=lease) if ids else []
    with db.read() as connection:
        found = [(one, past.read_todo(connection, one.account.id)) for one in claimed]
    return [(one, todo) for one, todo in found if todo is not None]


def save_todo(
    db: Database, claimed: Claimed, todo: ToDo | None, *, closed: Stretch | None = None, done: bool = False
) -> None:
    """Write what is left to read; the gap of a stretch that was read to its end is read. Raises LeaseLostError.

    Intervals keep tiling (I8): a gap changes its kind, never its place. `done`: the account is let go of with it.
    """
    with db.write() as connection:
        hold(connection, claimed)
        past.write_todo(connection, claimed.account.id, todo)
        if done:
            let_go(connection, [claimed.account.id])
        if closed is not None and closed.shown is not None:
            _close(connection, claimed.account.id, closed.shown)


def _close(connection: Connection, account_id: int, shown: tuple[datetime, datetime]) -> None:
    gap = (
        coverage.c.account_id == account_id,
        coverage.c.kind == CoverageKind.GAP.value,
        coverage.c.cause == Cause.BURST.value,
        coverage.c.start == shown[0],
        coverage.c.end == shown[1],
    )
    connection.execute(update(coverage).where(*gap).values(kind=CoverageKind.READ.value, cause=None))


def newest_before(db: Database, account_id: int, moment: datetime, *, but: int = 0) -> datetime | None:
    """Return when the newest post up to a moment was published, of those that the platform should still show.

    `but` so many newer ones, as long as there is an older one.
    """
    known = _still_shown(account_id).where(post.c.published_at <= moment)
    with db.read() as connection:
        times: Sequence[datetime] = (
            connection.execute(known.order_by(post.c.published_at.desc()).limit(but + 1)).scalars().all()
        )
    return times[-1] if times else None


def oldest_within(db: Database, account_id: int, start: datetime, end: datetime, *, but: int = 0) -> datetime | None:
    """Return when the oldest post of [start, end) was published, of those that the platform should still show.

    `but` so many older ones, as long as there is a newer one.
    """
    known = _still_shown(account_id).where(post.c.published_at >= start, post.c.published_at < end)
    with db.read() as connection:
        times: Sequence[datetime] = (
            connection.execute(known.order_by(post.c.published_at).limit(but + 1)).scalars().all()
        )
    return times[-1] if times else None


def _still_shown(account_id: int) -> Select[Any]:
    shown = (post.c.deleted_at.is_(None), post.c.missing_at.is_(None), post.c.hidden_at.is_(None))
    return select(post.c.published_at).where(post.c.account_id == account_id, *shown)
