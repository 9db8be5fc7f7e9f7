"""The weekly report and the monthly one as data: coverage, alerts, rules, mails and what keeps Pantau running."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, or_, select

from monitor.model import (
    MALAYSIA,
    AccountStatus,
    AlertKind,
    AlertState,
    NotificationState,
    Removal,
    Resolution,
    Severity,
    Silence,
)
from monitor.reports import AlertLine, Change, MonthReport, RuleCount, ShutPlatform, WeekReport
from monitor.store import audit
from monitor.store.budget import forecasts
from monitor.store.canaries import canary_days
from monitor.store.coverage import coverage_of
from monitor.store.credentials import shut_platforms
from monitor.store.database import Database
from monitor.store.life import list_silences
from monitor.store.listings import list_alerts
from monitor.store.register import list_agencies, responsible
from monitor.store.tables import account, alert, finding, media, notification, post, post_version
from monitor.store.tables import agency as agency_table
from monitor.store.tables import audit as audit_table

TREND_WEEKS = 8
UNRESOLVED = (AlertState.OPEN, AlertState.ACKNOWLEDGED)
CHANGES = (  # audit events that change what Pantau does, or keeps
    "register changed",
    "rule set changed",
    "escalation policy changed",
    "legal hold begun",
    "legal hold ended",
    "data purged",
)
MOST_CHANGES = 500
NOT_THE_HEADS = frozenset(  # about Pantau itself: for those who keep it running
    {AlertKind.CREDENTIAL, AlertKind.FORECAST, AlertKind.DEAD_LETTER, AlertKind.EVALUATION, AlertKind.CANARY_MISSING}
)


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
    """Return what happened in [start, end). A week that still runs is reported up to `now`.

    What stands rather than happens (open alerts, waiting mails, dead credentials) is told as of `now`.
    """
    until = min(end, now)
    recent = list_alerts(db, opened=(start - timedelta(weeks=TREND_WEEKS - 1), end))
    older = list_alerts(db, states=UNRESOLVED, before=start)
    alerts = [one for one in recent if one.opened_at >= start]
    with db.read() as connection:
        seen = select(func.count()).where(post.c.first_seen_at >= start, post.c.first_seen_at < end)
        posts_read = connection.execute(seen.select_from(post)).scalar_one()
        rules = _rule_counts(connection, start, end)
        mails = _mails(connection, start, end, week)
        changes = _changes(connection, start, end)
        media_waiting, unreadable = _media(connection, start, end)
        reopened = _reopened(connection, start, end)
        chain_head = str(audit.head_in(connection))
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
        alerts_per_week=_trend(recent, start),
        mails_accepted=mails.accepted,
        mails_waiting=mails.waiting,
        mails_dead=mails.dead,
        rule_set=rule_set,
        as_of=now,
        mails_uncertain=mails.uncertain,
        mails_bounced=mails.bounced,
        oldest_waiting_at=mails.oldest_waiting_at,
        silences=_silences(db, alerts, now),
        changes=changes,
        shut=_shut(db),
        forecasts=tuple(forecasts(db, now, longest=patience / 2)),  # patience is two of the promised intervals
        canary=tuple(canary_days(db, start, end, now=now)),
        media_waiting=media_waiting,
        media_unreadable=unreadable,
        chain_head=chain_head,
        reopened=tuple(list_alerts(db, ids=reopened)) if reopened else (),
        unconfirmed=_unconfirmed(db),
    )


def _rule_counts(connection: Connection, start: datetime, end: datetime) -> tuple[RuleCount, ...]:
    """Return the rules that fired in the week, and those whose alerts a person ended in it; most posts first."""
    ended = _resolutions(connection, start, end)
    found_then = and_(finding.c.found_at >= start, finding.c.found_at < end)
    of_ended = and_(finding.c.rule.in_(ended), finding.c.shadow.is_(False)) if ended else found_then
    which_post = func.count(func.distinct(post_version.c.post_id))
    low = and_(found_then, finding.c.severity < Severity.MEDIUM)
    rows = connection.execute(
        select(
            finding.c.rule,
            func.max(finding.c.title_ms),
            func.max(finding.c.title_en),
            func.max(finding.c.clause),
            func.max(finding.c.severity),
            which_post.filter(found_then),
            which_post.filter(low),
            finding.c.shadow,
        )
        .join(post_version, post_version.c.id == finding.c.post_version_id)
        .where(or_(found_then, of_ended))
        .group_by(finding.c.rule, finding.c.shadow)
    )
    counts = [
        RuleCount(
            rule=rule,
            title_ms=title_ms,
            title_en=title_en,
            clause=clause,
            severity=Severity(severity),
            findings=number,
            shadow=shadow,
            low=too_low,
            resolved=0 if shadow else ended.get(rule, (0, 0))[0],
            false_alarms=0 if shadow else ended.get(rule, (0, 0))[1],
        )
        for rule, title_ms, title_en, clause, severity, number, too_low, shadow in rows
    ]
    return tuple(sorted(counts, key=lambda one: (-one.findings, one.rule, one.shadow)))


def _resolutions(connection: Connection, start: datetime, end: datetime) -> Mapping[str, tuple[int, int]]:
    """Return for each rule how many alerts with it a person ended in [start, end), and how many as false alarms."""
    rows = connection.execute(
        select(finding.c.rule, alert.c.id, alert.c.resolution)
        .join(alert, alert.c.id == finding.c.alert_id)
        .where(alert.c.resolved_at >= start, alert.c.resolved_at < end, alert.c.resolution.is_not(None))
        .where(alert.c.kind == AlertKind.POST.value, finding.c.shadow.is_(False))
        .where(finding.c.severity >= Severity.MEDIUM)
        .distinct()
    )
    counts: dict[str, tuple[int, int]] = {}
    for rule, _, resolution in rows:
        ended, wrong = counts.get(rule, (0, 0))
        counts[rule] = (ended + 1, wrong + (resolution == Resolution.FALSE_ALARM.value))
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mails:
    accepted: int
    waiting: int
    uncertain: int
    dead: int
    bounced: int
    oldest_waiting_at: datetime | None


def _mails(connection: Connection, start: datetime, end: datetime, week: str) -> _Mails:
    """Return how delivery stands, without the digest that is just being written: it always waits while it is."""
    others = notification.c.period != week
    waits = (others, notification.c.ended_at.is_(None))
    states = select(notification.c.state, func.count()).where(*waits).group_by(notification.c.state)
    counts = {row[0]: int(row[1]) for row in connection.execute(states)}
    uncertain = counts.pop(NotificationState.UNCERTAIN.value, 0)
    created = notification.c.created_at
    oldest = connection.execute(select(func.min(created, type_=created.type)).where(*waits)).scalar_one()

    def ended(state: NotificationState) -> int:
        then = (notification.c.ended_at >= start, notification.c.ended_at < end)
        query = select(func.count()).select_from(notification).where(notification.c.state == state.value, *then)
        return int(connection.execute(query).scalar_one())

    return _Mails(
        accepted=_accepted(connection, start, end),
        waiting=sum(counts.values()),
        uncertain=uncertain,
        dead=ended(NotificationState.DEAD),
        bounced=ended(NotificationState.BOUNCED),
        oldest_waiting_at=oldest,
    )


def _accepted(connection: Connection, start: datetime, end: datetime) -> int:
    accepted = (notification.c.accepted_at >= start, notification.c.accepted_at < end)
    query = select(func.count()).select_from(notification).where(*accepted)
    return int(connection.execute(query).scalar_one())


def _changes(connection: Connection, start: datetime, end: datetime) -> tuple[Change, ...]:
    """Return what changed of rules, register and policy; a purged entry still says what and when."""
    query = (
        select(audit_table.c.at, audit_table.c.event, audit_table.c.payload)
        .where(audit_table.c.at >= start, audit_table.c.at < end)
        .where(audit_table.c.event.in_(CHANGES))
        .order_by(audit_table.c.seq)
        .limit(MOST_CHANGES)
    )
    return tuple(_change(at, event, payload) for at, event, payload in connection.execute(query))


def _change(at: datetime, event: str, payload: str | None) -> Change:
    facts = json.loads(payload) if payload else {}
    return Change(at=at, event=event, actor=str(facts.pop("actor", "")), facts=facts)


def _media(connection: Connection, start: datetime, end: datetime) -> tuple[int, Mapping[str, int]]:
    """Return how many media wait to be read, and by reason how many of the week's could not be."""
    waiting = select(func.count()).select_from(media).where(media.c.state == "waiting")
    failed = (
        select(media.c.reason, func.count())
        .join(post_version, post_version.c.id == media.c.post_version_id)
        .where(media.c.state == "unreadable", post_version.c.seen_at >= start, post_version.c.seen_at < end)
        .group_by(media.c.reason)
        .order_by(func.count().desc(), media.c.reason)
    )
    reasons = {row[0]: int(row[1]) for row in connection.execute(failed)}
    return int(connection.execute(waiting).scalar_one()), reasons


def _reopened(connection: Connection, start: datetime, end: datetime) -> Sequence[int]:
    query = (
        select(audit_table.c.alert_id)
        .where(audit_table.c.at >= start, audit_table.c.at < end)
        .where(audit_table.c.event == "alert reopened", audit_table.c.alert_id.is_not(None))
        .distinct()
    )
    return connection.execute(query).scalars().all()


def _unconfirmed(db: Database) -> tuple[AlertLine, ...]:
    """Return the alerts that ended with "the post is removed" while its deletion was not seen yet, oldest first."""
    said = list_alerts(db, states=(AlertState.RESOLVED,), removal=Removal.REPORTED)
    return tuple(reversed(said))


def _silences(db: Database, alerts: Collection[AlertLine], now: datetime) -> tuple[Silence, ...]:
    """Return the silences that hold, and those that the alerts fell under."""
    used = {one.silence_id for one in alerts if one.state is AlertState.SUPPRESSED}
    held = {one.id for one in list_silences(db, at=now)}
    return tuple(one for one in list_silences(db) if one.id in used | held)


def _shut(db: Database) -> tuple[ShutPlatform, ...]:
    return tuple(
        ShutPlatform(platform=name, cause=shut.cause, since=shut.since, retry_at=shut.retry_at)
        for name, shut in sorted(shut_platforms(db).items())
    )


def _trend(alerts: Collection[AlertLine], start: datetime) -> tuple[tuple[str, Mapping[str, int]], ...]:
    """Return alerts by clause for the weeks up to the one that begins at `start`."""
    begin = start - timedelta(weeks=TREND_WEEKS - 1)
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


# ---------------------------------------------------------------- once, and to whom


def week_planned(db: Database, week: str) -> bool:
    """Say whether the week's digest was written down for anybody."""
    query = select(notification.c.id).where(notification.c.period == week, notification.c.template == "digest")
    with db.read() as connection:
        return connection.execute(query.limit(1)).first() is not None


def periods_planned(db: Database, template: str) -> frozenset[str]:
    """Return the periods that a mail of this template was written down for."""
    query = select(notification.c.period).where(notification.c.template == template).distinct()
    with db.read() as connection:
        return frozenset(connection.execute(query).scalars())


def first_registrations(db: Database) -> Mapping[str, datetime]:
    """Return since when each agency has had an account in the register; none whose accounts are all retired."""
    first = func.min(account.c.registered_at, type_=account.c.registered_at.type)
    lasting = func.count().filter(account.c.status != AccountStatus.RETIRED.value)
    query = select(account.c.agency, first).group_by(account.c.agency).having(lasting > 0)
    with db.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


# ---------------------------------------------------------------- one agency's month


def month_report(
    db: Database,
    *,
    month: str,
    start: datetime,
    end: datetime,
    now: datetime,
    agency: str,
    patience: timedelta,
    degraded: Collection[str],
) -> MonthReport:
    """Return an agency's [start, end). Raises LookupError for an agency that is not in the register."""
    until = min(end, now)
    with db.read() as connection:
        same = func.lower(agency_table.c.code) == agency.lower()
        code = connection.execute(select(agency_table.c.code).where(same)).scalars().first()
        office = responsible(connection, code or agency, now)
    if office is None:
        raise LookupError(f"no agency has the code {agency}")
    older = list_alerts(db, agency=office.code, states=UNRESOLVED, before=start)
    opened = list_alerts(db, agency=office.code, opened=(start, end))
    return MonthReport(
        month=month,
        start=start,
        end=end,
        agency=office,
        accounts=tuple(
            coverage_of(db, start=start, end=until, patience=patience, degraded=degraded, agency=office.code)
        ),
        alerts=tuple(one for one in opened if one.kind not in NOT_THE_HEADS),
        still_open=tuple(one for one in older if one.kind not in NOT_THE_HEADS),
        as_of=now,
    )
