"""The weekly report as data: coverage, alerts, rules and mails of one ISO week in Malaysian time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from monitor.model import (
    MALAYSIA,
    AlertKind,
    AlertLine,
    AlertState,
    NotificationState,
    RuleCount,
    Severity,
    WeekReport,
)
from monitor.store.database import Database
from monitor.store.listings import coverage_of, list_alerts
from monitor.store.register import list_agencies
from monitor.store.tables import finding, notification, post

TREND_WEEKS = 8
WAITING = (NotificationState.PENDING, NotificationState.SENDING, NotificationState.UNCERTAIN)


def week_report(
    db: Database,
    *,
    week: str,
    start: datetime,
    end: datetime,
    now: datetime,
    patience: timedelta,
    degraded: Collection[str],
    rule_set: str,
) -> WeekReport:
    """Return what happened in [start, end). A week that still runs is reported up to `now`."""
    until = min(end, now)
    alerts = list_alerts(db, opened=(start, end))
    older = list_alerts(db, states=(AlertState.OPEN, AlertState.ACKNOWLEDGED), before=start)
    with db.read() as connection:
        seen = select(func.count()).where(post.c.first_seen_at >= start, post.c.first_seen_at < end)
        posts_read = connection.execute(seen.select_from(post)).scalar_one()
        rules = _rule_counts(connection, start, end)
        accepted = _mails_accepted(connection, start, end)
        states = _mails_by_state(connection)
        dead = _mails_dead(connection, start, end)
    return WeekReport(
        week=week,
        start=start,
        end=end,
        agencies=tuple(list_agencies(db, until)),
        accounts=tuple(coverage_of(db, start=start, end=until, patience=patience, degraded=degraded)),
        posts_read=posts_read,
        alerts=tuple(alerts),
        still_open=tuple(older),
        rules=rules,
        alerts_per_week=_trend(db, start),
        mails_accepted=accepted,
        mails_waiting=sum(states.get(state.value, 0) for state in WAITING),
        mails_dead=dead,
        rule_set=rule_set,
    )


def _rule_counts(connection: Connection, start: datetime, end: datetime) -> tuple[RuleCount, ...]:
    rows = connection.execute(
        select(
            finding.c.rule,
            func.max(finding.c.title_ms),
            func.max(finding.c.title_en),
            func.max(finding.c.clause),
            func.max(finding.c.severity),
            func.count(),
            finding.c.shadow,
        )
        .where(finding.c.found_at >= start, finding.c.found_at < end)
        .group_by(finding.c.rule, finding.c.shadow)
        .order_by(func.count().desc(), finding.c.rule)
    )
    return tuple(
        RuleCount(
            rule=rule,
            title_ms=title_ms,
            title_en=title_en,
            clause=clause,
            severity=Severity(severity),
            findings=number,
            shadow=shadow,
        )
        for rule, title_ms, title_en, clause, severity, number, shadow in rows
    )


def _mails_accepted(connection: Connection, start: datetime, end: datetime) -> int:
    accepted = (notification.c.accepted_at >= start, notification.c.accepted_at < end)
    query = select(func.count()).select_from(notification).where(*accepted)
    return int(connection.execute(query).scalar_one())


def _mails_by_state(connection: Connection) -> Mapping[str, int]:
    query = select(notification.c.state, func.count()).group_by(notification.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _mails_dead(connection: Connection, start: datetime, end: datetime) -> int:
    ended = (notification.c.ended_at >= start, notification.c.ended_at < end)
    died = notification.c.state == NotificationState.DEAD.value
    return int(connection.execute(select(func.count()).select_from(notification).where(died, *ended)).scalar_one())


def _trend(db: Database, start: datetime) -> tuple[tuple[str, Mapping[str, int]], ...]:
    """Return alerts by clause for the weeks up to the one that begins at `start`."""
    begin = start - timedelta(weeks=TREND_WEEKS - 1)
    alerts = list_alerts(db, opened=(begin, start + timedelta(weeks=1)))
    weeks = [(begin + timedelta(weeks=n), begin + timedelta(weeks=n + 1)) for n in range(TREND_WEEKS)]
    return tuple(
        (f"{first.astimezone(MALAYSIA):%G-W%V}", _by_clause([a for a in alerts if first <= a.opened_at < last]))
        for first, last in weeks
    )


def _by_clause(alerts: Collection[AlertLine]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for one in alerts:
        blind = ("5",) if one.kind is AlertKind.BLIND else ()  # clause 5: "dipantau sepenuhnya"
        for clause in one.clauses or blind:
            counts[clause] = counts.get(clause, 0) + 1
    return counts
