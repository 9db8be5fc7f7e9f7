"""When each account was active: a report tells of the accounts of its own week, not of those of the day it is made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection, RowMapping, select

from monitor.model import AccountStatus
from monitor.store.register import to_account
from monitor.store.tables import audit

Span: TypeAlias = tuple[datetime, datetime]
Turn: TypeAlias = tuple[datetime, str, str]  # when, the status before and the one after


def active_spans(
    connection: Connection, rows: Iterable[RowMapping], *, start: datetime, end: datetime
) -> Mapping[int, tuple[Span, ...]]:
    """Return by account the stretches of [start, end) in which it was active, from its registration on; none: left out.

    What the register said before is in the audit. Where a purge emptied that, the present status counts for all time.
    """
    turns = _turns(connection, since=start)
    found: dict[int, tuple[Span, ...]] = {}
    for row in rows:
        one = to_account(row)
        begin = max(one.registered_at or start, start)
        if spans := _spans(turns.get(one.label, ()), now=one.status.value, start=begin, end=end):
            found[one.id] = spans
    return found


def _spans(turns: Sequence[Turn], *, now: str, start: datetime, end: datetime) -> tuple[Span, ...]:
    active = AccountStatus.ACTIVE.value
    status, at = turns[0][1] if turns else now, start
    found: list[Span] = []
    for turn, _, after in (*turns, (end, now, now)):
        if status == active and at < min(turn, end):
            found.append((at, min(turn, end)))
        status, at = after, max(turn, start)
    return tuple(found)


def _turns(connection: Connection, *, since: datetime) -> Mapping[str, Sequence[Turn]]:
    """Return by the account's name its changes of status from `since` on, in order."""
    query = (
        select(audit.c.at, audit.c.payload)
        .where(audit.c.event == "register changed", audit.c.at >= since, audit.c.payload.is_not(None))
        .order_by(audit.c.seq)
    )
    turns: dict[str, list[Turn]] = {}
    for at, payload in connection.execute(query):
        for label, changed in json.loads(payload).get("accounts changed", {}).items():
            if "status" in changed:
                before, after = changed["status"]
                turns.setdefault(label, []).append((at, before, after))
    return turns
