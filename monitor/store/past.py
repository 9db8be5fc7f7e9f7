"""What a check has lost of the past, or found again, or leaves for later: written with the check itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Connection, bindparam, func, select, update

from monitor import backfill
from monitor.backfill import ToDo
from monitor.model import Account, Cause
from monitor.store.prepared import Prepared
from monitor.store.tables import account, coverage, post


def note_lost(connection: Connection, holder: Account, *, start: datetime | None, end: datetime, now: datetime) -> None:
    """Have a stretch read again that a check has just placed into the coverage as a gap."""
    newest = (
        select(coverage.c.start, coverage.c.end)
        .where(coverage.c.account_id == holder.id, coverage.c.cause == Cause.BURST.value)
        .order_by(coverage.c.start.desc())
    )
    shown = connection.execute(newest.limit(1)).first()
    if shown is None:
        return
    begin = min(start or holder.registered_at or now, end)
    todo = read_todo(connection, holder.id)
    todo = backfill.with_gap(todo, start=begin, end=end, shown=(shown.start, shown.end), now=now)
    write_todo(connection, holder.id, todo)


def note_found(connection: Connection, account_id: int) -> None:
    """Have nothing read again of what was lost: a check has read it by itself."""
    before = read_todo(connection, account_id)
    if (after := backfill.without_gaps(before)) != before:
        write_todo(connection, account_id, after)


def note_history(connection: Connection, holder: Account, *, posts: int, bottom: bool, now: datetime) -> None:
    """Have so many posts read of those before what a first check has shown.

    `bottom`: its listing said that there is nothing before, which is a first look in vain.
    """
    oldest = select(func.min(post.c.published_at, type_=post.c.published_at.type))
    shown = connection.execute(oldest.where(post.c.account_id == holder.id)).scalar_one_or_none()
    end = min(shown or now, holder.registered_at or now)
    todo = backfill.with_history(read_todo(connection, holder.id), end=end, posts=posts, vain=int(bottom), now=now)
    write_todo(connection, holder.id, todo)


def read_todo(connection: Connection, account_id: int) -> ToDo | None:
    found = _READ.rows(connection, {"number": account_id})
    return backfill.from_json(found[0]["backfill"]) if found else None


def write_todo(connection: Connection, account_id: int, todo: ToDo | None) -> None:
    _WRITE.run(connection, {"number": account_id, "left": backfill.to_json(todo)})


_MINE = account.c.id == bindparam("number")
_READ = Prepared(select(account.c.backfill).where(_MINE))
_WRITE = Prepared(update(account).where(_MINE).values(backfill=bindparam("left", type_=JSON(none_as_null=True))))
