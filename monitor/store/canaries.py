"""Canaries: the daily proof that an alert finds its way, as rows; and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select, update

from monitor.model import MALAYSIA, AlertKind, AlertState, CanaryOutcome, Disclosure, NotificationState, Severity
from monitor.reports import CANARY_NO_CONTACT, CANARY_NOT_ACCEPTED, CANARY_NOT_FOUND, CANARY_WAITS, CanaryDay
from monitor.store import audit
from monitor.store.database import Database, insert_if_new
from monitor.store.life import ALIVE
from monitor.store.opening import open_alert
from monitor.store.tables import alert, canary, meta, notification

ON_TIME = timedelta(hours=1)  # a proof that takes longer is none
REFUSED = frozenset({NotificationState.DEAD, NotificationState.BOUNCED})
UNJUDGED = and_(canary.c.alert_id.is_(None), canary.c.error == "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryLine:
    """A canary with what became of it. `day` is None for one that a person asked for."""

    key: str
    day: date | None
    outcome: CanaryOutcome
    began_at: datetime
    evaluated_ms: float | None
    accepted_at: datetime | None
    rule: str
    error: str
    case: str

    @property
    def seconds(self) -> float | None:
        return (self.accepted_at - self.began_at).total_seconds() if self.accepted_at else None


def daily_key(day: date) -> str:
    return f"canary:{day.isoformat()}"


def has_canary(db: Database, key: str) -> bool:
    with db.read() as connection:
        return connection.execute(select(canary.c.id).where(canary.c.key == key)).first() is not None


def ask_canary(db: Database, key: str, *, now: datetime) -> None:
    """Write down that a person wants a canary now: whoever holds the rules judges it."""
    with db.write() as connection:
        connection.execute(insert_if_new(connection, canary).values(key=key, began_at=now))


def asked_canaries(db: Database) -> list[str]:
    """Return the keys of the canaries that nobody has judged yet."""
    with db.read() as connection:
        return list(connection.execute(select(canary.c.key).where(UNJUDGED).order_by(canary.c.id)).scalars())


def save_canary(
    db: Database, key: str, *, day: date | None, evaluated_ms: float | None, rule: str, error: str, now: datetime
) -> bool:
    """Write a judged canary down and open its alert, in one transaction. False: that was done before.

    With an `error` the rules did not find it: that opens the operators' alert at once (for a day's canary).
    """
    judged = {"evaluated_ms": evaluated_ms, "rule": rule, "error": error}
    with db.write() as connection:
        begun = {"key": key, "day": day.isoformat() if day else "", "began_at": now}
        connection.execute(insert_if_new(connection, canary).values(**begun))
        mine = update(canary).where(canary.c.key == key, UNJUDGED).values(**judged).returning(canary.c.id)
        number = connection.execute(mine).scalar_one_or_none()
        if number is None:
            return False
        if not error:
            opened = _open(connection, key, now)
            connection.execute(update(canary).where(canary.c.id == number).values(alert_id=opened))
        elif day is not None:
            _miss(connection, key, f"{CANARY_NOT_FOUND}: {error}", now)
    return True


def _open(connection: Connection, key: str, now: datetime) -> int:
    return open_alert(
        connection,
        dedup_key=key,
        kind=AlertKind.CANARY,
        severity=Severity.LOW,
        disclosure=Disclosure.NONE,
        now=now,
    )


def _miss(connection: Connection, key: str, why: str, now: datetime) -> None:
    """Tell the operators that a day's canary failed; once a day, whatever follows."""
    open_alert(
        connection,
        dedup_key=f"missing:{key}",
        kind=AlertKind.CANARY_MISSING,
        severity=Severity.HIGH,
        disclosure=Disclosure.NONE,
        detail=why[:500],
        now=now,
    )


def settle_canaries(db: Database, *, now: datetime) -> list[str]:
    """End what is proven by fact, and tell the operators of a day's canary that is late. Returns the keys now missing.

    A refused mail has an alert of its own already (a dead letter): nobody is told twice.
    """
    missing: list[str] = []
    with db.read() as connection:
        if connection.execute(_unsettled().limit(1)).first() is None:
            return missing
    with db.write() as connection:
        for row in connection.execute(_unsettled()).mappings().all():
            states = _mail_states(connection, row["alert_id"])
            if accepted := states.get(NotificationState.ACCEPTED):
                _end(connection, row["alert_id"], "its mail was accepted", at=accepted, now=now)
                _end_missing(connection, row["key"], at=accepted, now=now)
            elif REFUSED & states.keys():
                _end(connection, row["alert_id"], "its mail was refused: a dead letter tells of it", at=now, now=now)
            elif row["day"] and now - row["began_at"] > ON_TIME and not _is_missed(connection, row["key"]):
                why = CANARY_WAITS if states else CANARY_NO_CONTACT
                _miss(connection, row["key"], f"{CANARY_NOT_ACCEPTED}: {why}", now)
                missing.append(row["key"])
    return missing


def _unsettled() -> Select[tuple[str, str, datetime, int]]:
    alive = alert.c.state.in_([state.value for state in ALIVE])
    columns = (canary.c.key, canary.c.day, canary.c.began_at, canary.c.alert_id)
    return select(*columns).join(alert, alert.c.id == canary.c.alert_id).where(alive).order_by(canary.c.id)


def _mail_states(connection: Connection, alert_id: int) -> Mapping[NotificationState, datetime]:
    ended = func.min(notification.c.ended_at, type_=notification.c.ended_at.type)
    created = func.min(notification.c.created_at, type_=notification.c.created_at.type)
    query = select(notification.c.state, func.coalesce(ended, created, type_=notification.c.ended_at.type))
    rows = connection.execute(query.where(notification.c.alert_id == alert_id).group_by(notification.c.state))
    return {NotificationState(row[0]): row[1] for row in rows}


def _end(connection: Connection, alert_id: int, why: str, *, at: datetime, now: datetime) -> None:
    values = {"state": AlertState.RESOLVED.value, "resolved_at": at, "next_action_at": None, "waiting_reason": why}
    alive = and_(alert.c.id == alert_id, alert.c.state.in_([state.value for state in ALIVE]))
    if connection.execute(update(alert).where(alive).values(**values)).rowcount:
        audit.append(connection, "alert resolved", now=now, alert_id=alert_id, facts={"via": "fact", "note": why})


def _end_missing(connection: Connection, key: str, *, at: datetime, now: datetime) -> None:
    """A canary that came late has come: a mail about its absence that still waits is not sent any more."""
    number = connection.execute(select(alert.c.id).where(alert.c.dedup_key == f"missing:{key}")).scalar_one_or_none()
    if number is not None:
        _end(connection, number, "the canary's mail was accepted later", at=at, now=now)


def _is_missed(connection: Connection, key: str) -> bool:
    return connection.execute(select(alert.c.id).where(alert.c.dedup_key == f"missing:{key}")).first() is not None


# ---------------------------------------------------------------- reading


def list_canaries(db: Database, *, since: datetime, now: datetime) -> list[CanaryLine]:
    """Return the canaries that began from `since` on, those asked for by hand as well, newest first."""
    with db.read() as connection:
        return _lines(connection, now, canary.c.began_at >= since)


def find_canary(db: Database, key: str, *, now: datetime) -> CanaryLine | None:
    with db.read() as connection:
        found = _lines(connection, now, canary.c.key == key)
    return found[0] if found else None


def canary_days(db: Database, start: datetime, end: datetime, *, now: datetime) -> list[CanaryDay]:
    """Return each Malaysian calendar day of [start, end) up to `now`, in order, with what became of its canary.

    Left out are today while its canary has not begun, and days up to the installation's that saw none.
    """
    first = start.astimezone(MALAYSIA).date()
    last = min((end - timedelta(microseconds=1)).astimezone(MALAYSIA).date(), now.astimezone(MALAYSIA).date())
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    with db.read() as connection:
        wanted = (canary.c.day >= first.isoformat(), canary.c.day <= last.isoformat())
        ran = {line.day: line for line in _lines(connection, now, *wanted)}
        silent = _silent_days(connection, now)
    return [_day(day, ran.get(day)) for day in span if day in ran or silent[0] < day < silent[1]]


def _silent_days(connection: Connection, now: datetime) -> tuple[date, date]:
    """Return the days between which a day without a canary is a day on which none ran."""
    installed = connection.execute(select(meta.c.value).where(meta.c.key == "installed_at")).scalars().first()
    began = datetime.fromisoformat(installed) if installed else now
    return began.astimezone(MALAYSIA).date(), now.astimezone(MALAYSIA).date()


def _day(day: date, line: CanaryLine | None) -> CanaryDay:
    if line is None:
        return CanaryDay(day=day, outcome=CanaryOutcome.NOT_RUN)
    return CanaryDay(
        day=day,
        outcome=line.outcome,
        began_at=line.began_at,
        evaluated_ms=line.evaluated_ms,
        accepted_at=line.accepted_at,
        rule=line.rule,
        error=line.error,
    )


def _lines(connection: Connection, now: datetime, *wanted: ColumnElement[bool]) -> list[CanaryLine]:
    accepted = func.min(notification.c.accepted_at, type_=notification.c.accepted_at.type).label("accepted_at")
    refused = func.count(notification.c.id).filter(notification.c.state.in_([state.value for state in REFUSED]))
    mails = (
        select(notification.c.alert_id, accepted, refused.label("refused")).group_by(notification.c.alert_id).subquery()
    )
    query = (
        select(canary, alert.c.case, mails.c.accepted_at, func.coalesce(mails.c.refused, 0).label("refused"))
        .outerjoin(alert, alert.c.id == canary.c.alert_id)
        .outerjoin(mails, mails.c.alert_id == canary.c.alert_id)
        .where(*wanted)
        .order_by(canary.c.began_at.desc(), canary.c.id.desc())
    )
    return [_line(row, now) for row in connection.execute(query).mappings()]


def _line(row: RowMapping, now: datetime) -> CanaryLine:
    return CanaryLine(
        key=row["key"],
        day=date.fromisoformat(row["day"]) if row["day"] else None,
        outcome=_outcome(row, now),
        began_at=row["began_at"],
        evaluated_ms=row["evaluated_ms"],
        accepted_at=row["accepted_at"],
        rule=row["rule"],
        error=row["error"],
        case=row["case"] or "",
    )


def _outcome(row: RowMapping, now: datetime) -> CanaryOutcome:
    if row["error"]:
        return CanaryOutcome.NOT_FIRED
    if row["refused"]:
        return CanaryOutcome.MISSING
    if row["accepted_at"] is not None:
        return CanaryOutcome.ARRIVED if row["accepted_at"] - row["began_at"] <= ON_TIME else CanaryOutcome.LATE
    return CanaryOutcome.MISSING if now - row["began_at"] > ON_TIME else CanaryOutcome.WAITING


def missing_canary(db: Database, *, now: datetime) -> date | None:
    """Return the day of the newest daily canary when it failed; None when it arrived, or still may."""
    newest = select(func.max(canary.c.day)).where(canary.c.day <= now.astimezone(MALAYSIA).date().isoformat())
    with db.read() as connection:
        found = _lines(connection, now, canary.c.day != "", canary.c.day == newest.scalar_subquery())
    failed = {CanaryOutcome.MISSING, CanaryOutcome.NOT_FIRED}
    return found[0].day if found and found[0].outcome in failed else None
