"""Accounts whose own history tells that something is wrong, although they were read: silent ones, and emptied ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, func, select

from monitor.reports import Silent
from monitor.silence import HISTORY, LEAST_SILENCE, fallen_silent
from monitor.store.tables import account, post

NAMED_FOR = timedelta(days=60)  # an account that is silent for longer was left, and everybody was told
MOST_TIMES = 2000
EMPTIED = 5  # recent posts: so many deleted together, with none left, are no tidying up
RECENT = timedelta(days=7)


def silences(connection: Connection, account_ids: Collection[int], *, now: datetime) -> Mapping[int, Silent]:
    """Return which of the accounts had fallen silent at that moment."""
    last = (
        select(func.max(post.c.published_at, type_=post.c.published_at.type))
        .where(post.c.account_id == account.c.id, post.c.published_at <= now)
        .scalar_subquery()
    )
    wanted = set(account_ids)
    found: dict[int, Silent] = {}
    for account_id, at in connection.execute(select(account.c.id, last)):
        if account_id in wanted and at is not None and now - NAMED_FOR <= at <= now - timedelta(days=LEAST_SILENCE):
            silent = fallen_silent(_times(connection, account_id, at), now)
            if silent is not None:
                found[account_id] = silent
    return found


def _times(connection: Connection, account_id: int, last: datetime) -> list[datetime]:
    within = (post.c.account_id == account_id, post.c.published_at <= last, post.c.published_at >= last - HISTORY)
    newest = select(post.c.published_at).where(*within).order_by(post.c.published_at.desc()).limit(MOST_TIMES)
    return list(connection.execute(newest).scalars())


def emptied(connection: Connection, *, start: datetime, end: datetime) -> Mapping[int, int]:
    """Return how many recent posts of an account were deleted in a stretch, where none of them was left at its end."""
    gone = and_(post.c.deleted_at >= start, post.c.deleted_at < end)
    left = case((post.c.deleted_at.is_(None), 1), else_=0)
    query = (
        select(post.c.account_id, func.sum(case((gone, 1), else_=0)), func.sum(left))
        .where(post.c.published_at >= start - RECENT, post.c.first_seen_at < end)
        .group_by(post.c.account_id)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query) if row[1] >= EMPTIED and not row[2]}
