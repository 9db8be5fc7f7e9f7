"""Coverage as rows: the end of it, which each check changes, and what a stretch of time shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from monitor import coverage as intervals
from monitor.model import Cause, CoverageKind, Interval, Verdict
from monitor.reports import AccountWeek
from monitor.store.activity import active_spans
from monitor.store.database import Database
from monitor.store.prepared import Prepared, as_new
from monitor.store.register import to_account
from monitor.store.silence import emptied, silences
from monitor.store.tables import account, coverage, post

Tail = tuple[Interval, ...]
Change = Callable[[Tail], Tail]


def save_tail(connection: Connection, account_id: int, change: Change) -> None:
    save_tails(connection, {account_id: change})


def save_tails(connection: Connection, changes: Mapping[int, Change]) -> None:
    """Replace the tail of each account's coverage by what `change` makes of it."""
    tails: dict[int, list[RowMapping]] = {account_id: [] for account_id in changes}
    for row in connection.execute(TAILS, {"ids": list(changes)}).mappings():
        tails[row["account_id"]].append(row)
    changed: list[dict[str, object]] = []
    added: list[dict[str, object]] = []
    surplus: list[int] = []
    for account_id, change in changes.items():
        rows = tails[account_id]
        new = change(tuple(map(to_interval, rows)))
        for row, interval in zip(rows, new, strict=False):
            values = _interval_values(interval)
            if any(row[key] != value for key, value in values.items()):
                changed.append({"row": row["id"], **as_new(values)})
        added += [{"account_id": account_id, **_interval_values(interval)} for interval in new[len(rows) :]]
        surplus += [row["id"] for row in rows[len(new) :]]
    if changed:
        _CHANGE_INTERVAL.run_each(connection, changed)
    if added:
        connection.execute(insert(coverage), added)
    if surplus:
        connection.execute(delete(coverage).where(coverage.c.id.in_(surplus)))


_read = coverage.alias()
_last_read = (
    select(_read.c.start)
    .where(_read.c.account_id == account.c.id, _read.c.kind == CoverageKind.READ.value)
    .order_by(_read.c.start.desc())
    .limit(1)
    .scalar_subquery()
)
BEFORE_ALL = datetime(1900, 1, 1, tzinfo=UTC)
TAILS = (  # the last READ interval of each account, and what failed after it
    select(coverage)
    .join(account, account.c.id == coverage.c.account_id)
    .where(account.c.id.in_(bindparam("ids", expanding=True)))
    .where(coverage.c.start >= func.coalesce(_last_read, literal(BEFORE_ALL, coverage.c.start.type)))
    .order_by(coverage.c.account_id, coverage.c.start)
)
_CHANGE_INTERVAL = Prepared(
    update(coverage)
    .where(coverage.c.id == bindparam("row"))
    .values({key: bindparam(f"new_{key}") for key in ("kind", "start", "end", "cause")})
)


def _interval_values(interval: Interval) -> dict[str, object]:
    cause = interval.cause.value if interval.cause else None
    return {"kind": interval.kind.value, "start": interval.start, "end": interval.end, "cause": cause}


def to_interval(row: Any) -> Interval:
    cause = Cause(row["cause"]) if row["cause"] else None
    return Interval(kind=CoverageKind(row["kind"]), start=row["start"], end=row["end"], cause=cause)


def coverage_of(
    db: Database,
    *,
    start: datetime,
    end: datetime,
    patience: timedelta,
    degraded: Collection[str] = (),
    agency: str = "",
) -> list[AccountWeek]:
    """Return each account's coverage of the time in [start, end) in which it was active; of all agencies, or of one.

    `patience` is how long an account may go unread before that is a gap; `degraded` names the dying platforms.
    """
    wanted = func.lower(account.c.agency) == agency.lower() if agency else true()
    order = (account.c.agency, account.c.platform, account.c.key)
    with db.read() as connection:
        present = connection.execute(select(account).where(wanted).order_by(*order)).mappings().all()
        spans = active_spans(connection, present, start=start, end=end)
        rows = [row for row in present if row["id"] in spans]
        stretches = _intervals(connection, start, end, wanted)
        counts = _posts_seen(connection, start, end)
        silent = silences(connection, [row["id"] for row in rows], now=end)
        vanished = emptied(connection, start=start, end=end)
    weeks = []
    for row in rows:
        one, active = to_account(row), spans[row["id"]]
        until = active[-1][1]
        whole = intervals.up_to(
            stretches.get(one.id, ()),
            begin=one.registered_at or start,
            now=until,
            patience=patience,
            due=row["next_check_at"] if until == end else None,
        )
        week = tuple(part for span in active for part in intervals.within(whole, *span))
        weeks.append(
            AccountWeek(
                account=one,
                verdict=intervals.verdict(week) if week else Verdict.BLIND,
                covered=intervals.covered(week),
                gaps=intervals.gaps(week),
                posts=counts.get(one.id, 0),
                degraded=one.platform in degraded,
                silent=silent.get(one.id) if until == end and week and week[-1].kind is CoverageKind.READ else None,
                vanished=vanished.get(one.id, 0),
            )
        )
    return weeks


def _intervals(
    connection: Connection, start: datetime, end: datetime, wanted: ColumnElement[bool]
) -> Mapping[int, tuple[Interval, ...]]:
    """Return each account's intervals that reach into [start, end), and its last one before: it may go on."""
    begun = coverage.c.start < end
    newest = select(coverage.c.account_id, func.max(coverage.c.start).label("start")).where(begun)
    last = newest.group_by(coverage.c.account_id).subquery()
    query = (
        select(coverage)
        .join(account, account.c.id == coverage.c.account_id)
        .join(last, last.c.account_id == coverage.c.account_id)
        .where(begun, wanted, or_(coverage.c.end > start, coverage.c.start == last.c.start))
        .order_by(coverage.c.account_id, coverage.c.start)
    )
    found: dict[int, list[Interval]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["account_id"], []).append(to_interval(row))
    return {account_id: tuple(row) for account_id, row in found.items()}


def _posts_seen(connection: Connection, start: datetime, end: datetime) -> Mapping[int, int]:
    query = (
        select(post.c.account_id, func.count())
        .where(post.c.first_seen_at >= start, post.c.first_seen_at < end)
        .group_by(post.c.account_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
