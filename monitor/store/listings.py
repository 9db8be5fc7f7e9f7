"""What the command line, the console and the digest show: rows to read, never to write."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select

from monitor.model import (
    Account,
    AccountStatus,
    Alert,
    AlertKind,
    AlertState,
    Cause,
    NotificationState,
    Removal,
    Resolution,
    Severity,
)
from monitor.reports import AlertLine
from monitor.store.database import Database
from monitor.store.register import to_account
from monitor.store.tables import account, alert, finding, notification, notification_alert, post, post_version

CREDENTIAL_PREFIX = "credential:"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """An account with how its reading goes. `cause` and `error` are of the last check, when that failed."""

    account: Account
    last_check_at: datetime | None
    last_ok_at: datetime | None
    next_check_at: datetime
    cause: Cause | None
    error: str
    posts: int

    @property
    def reading(self) -> str:
        """Return the state in one word: what tells a failing account from a healthy one at once."""
        if self.account.status is not AccountStatus.ACTIVE:
            return self.account.status.value
        if self.cause is not None:
            return "failing"
        return "ok" if self.last_ok_at else "not yet read"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostLine:
    """A stored post, in its newest version."""

    agency: str
    platform: str
    account: str
    native_id: str
    url: str
    published_at: datetime
    text: str
    versions: int
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLine:
    """A mail of an alert: to whom, and what became of it."""

    step: str
    recipient: str
    state: NotificationState
    due_at: datetime
    accepted_at: datetime | None
    attempts: int
    message_id: str
    error: str


def list_accounts(db: Database) -> list[AccountLine]:
    counted = select(post.c.account_id, func.count().label("posts")).group_by(post.c.account_id).subquery()
    query = (
        select(account, func.coalesce(counted.c.posts, 0).label("posts"))
        .outerjoin(counted, counted.c.account_id == account.c.id)
        .order_by(account.c.agency, account.c.platform, account.c.key)
    )
    with db.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        AccountLine(
            account=to_account(row),
            last_check_at=row["last_check_at"],
            last_ok_at=row["last_ok_at"],
            next_check_at=row["next_check_at"],
            cause=Cause(row["cause"]) if row["cause"] else None,
            error=row["error"],
            posts=row["posts"],
        )
        for row in rows
    ]


def list_posts(
    db: Database,
    *,
    agency: str = "",
    platform: str = "",
    handle: str = "",
    since: datetime | None = None,
    limit: int | None = None,
) -> list[PostLine]:
    """Return stored posts, newest first; all of them without a `limit`."""
    query = (
        select(post, post_version.c.text, account.c.agency, account.c.platform, account.c.handle)
        .add_columns(account.c.url.label("account_url"))
        .join(account, account.c.id == post.c.account_id)
        .join(post_version, and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions))
        .order_by(post.c.published_at.desc(), post.c.id.desc())
        .limit(limit)
    )
    for wanted in _of_account(agency, platform, handle):
        query = query.where(wanted)
    if since is not None:
        query = query.where(post.c.published_at >= since)
    with db.read() as connection:
        rows = connection.execute(query).mappings()
        return [
            PostLine(
                agency=row["agency"],
                platform=row["platform"],
                account=row["handle"] or row["account_url"],
                native_id=row["native_id"],
                url=row["url"],
                published_at=row["published_at"],
                text=row["text"],
                versions=row["versions"],
                deleted=row["deleted_at"] is not None,
            )
            for row in rows
        ]


def _of_account(agency: str, platform: str, handle: str) -> list[ColumnElement[bool]]:
    wanted = []
    if agency:
        wanted.append(func.lower(account.c.agency) == agency.lower())
    if platform:
        wanted.append(account.c.platform == platform.lower())
    if handle:
        name = handle.lstrip("@").lower()
        wanted.append(or_(func.lower(account.c.handle) == name, account.c.url == handle))
    return wanted


def count_alerts(db: Database, *, since: datetime) -> tuple[int, int]:
    """Return how many alerts were opened since then, and how many are open in all; canaries are none."""
    with db.read() as connection:
        counted = select(func.count()).select_from(alert).where(alert.c.kind != AlertKind.CANARY.value)
        opened = connection.execute(counted.where(alert.c.opened_at >= since)).scalar_one()
        still = connection.execute(counted.where(alert.c.state == AlertState.OPEN.value)).scalar_one()
    return opened, still


def list_alerts(
    db: Database,
    *,
    states: Collection[AlertState] = (),
    agency: str = "",
    opened: tuple[datetime, datetime] | None = None,
    before: datetime | None = None,
    removal: Removal | None = None,
    ids: Collection[int] = (),
    limit: int | None = None,
    canaries: bool = False,
) -> list[AlertLine]:
    """Return alerts, newest first. `opened` is a half-open stretch; `before` keeps what was opened earlier.

    Canaries are proofs and nobody's alerts: they are left out unless they are asked for.
    """
    query = (
        select(alert, account.c.platform, account.c.handle, account.c.url, post.c.native_id)
        .add_columns(post.c.url.label("post_url"))
        .outerjoin(account, account.c.id == alert.c.account_id)
        .outerjoin(post, post.c.id == alert.c.post_id)
        .order_by(alert.c.opened_at.desc(), alert.c.id.desc())
        .limit(limit)
    )
    if not canaries:
        query = query.where(alert.c.kind != AlertKind.CANARY.value)
    if states:
        query = query.where(alert.c.state.in_([state.value for state in states]))
    if agency:
        query = query.where(func.lower(alert.c.agency) == agency.lower())
    if opened is not None:
        query = query.where(alert.c.opened_at >= opened[0], alert.c.opened_at < opened[1])
    if before is not None:
        query = query.where(alert.c.opened_at < before)
    if removal is not None:
        query = query.where(alert.c.removal == removal.value)
    if ids:
        query = query.where(alert.c.id.in_(ids))
    with db.read() as connection:
        rows = connection.execute(query).mappings().all()
        broken = _broken_by(connection, [row["id"] for row in rows])
        mailed = _first_mails(connection, [row["id"] for row in rows])
    return [_alert_line(row, broken.get(row["id"], []), mailed.get(row["id"])) for row in rows]


def _alert_line(row: RowMapping, broken: Sequence[tuple[str, str]], first_mail_at: datetime | None) -> AlertLine:
    platform = row["platform"] or ""
    if row["kind"] == AlertKind.CREDENTIAL.value:
        platform = row["dedup_key"].removeprefix(CREDENTIAL_PREFIX).partition(":")[0]
    if row["kind"] == AlertKind.FORECAST.value:
        platform = row["dedup_key"].split(":")[1]
    return AlertLine(
        case=row["case"],
        kind=AlertKind(row["kind"]),
        agency=row["agency"] or "",
        platform=platform,
        account=row["handle"] or row["url"] or "",
        severity=Severity(row["severity"]),
        state=AlertState(row["state"]),
        clauses=tuple(sorted({clause for clause, _ in broken})),
        rules=tuple(sorted({rule for _, rule in broken})),
        opened_at=row["opened_at"],
        first_mail_at=first_mail_at,
        acknowledged_at=row["acknowledged_at"],
        resolved_at=row["resolved_at"],
        post_native_id=row["native_id"] or "",
        post_url=row["post_url"] or "",
        resolution=Resolution(row["resolution"]) if row["resolution"] else None,
        deadline=row["deadline"],
        next_action_at=row["next_action_at"],
        steps=row["steps"],
        round=row["round"],
        reopened_for=row["reopened_for"],
        removal=Removal(row["removal"]) if row["removal"] else None,
        silence_id=row["silence_id"],
    )


def _broken_by(connection: Connection, alert_ids: Sequence[int]) -> Mapping[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = {}
    for part in _parts(alert_ids):
        rows = connection.execute(
            select(finding.c.alert_id, finding.c.clause, finding.c.rule)
            .where(finding.c.alert_id.in_(part), finding.c.shadow.is_(False))
            .where(finding.c.severity >= Severity.MEDIUM)
            .distinct()
        )
        for alert_id, clause, rule in rows:
            found.setdefault(alert_id, []).append((clause, rule))
    return found


def _first_mails(connection: Connection, alert_ids: Sequence[int]) -> Mapping[int, datetime]:
    """Return when the first mail about each alert was accepted, one that it shares with others included."""
    first = func.min(notification.c.accepted_at, type_=notification.c.accepted_at.type)
    shared = notification_alert.join(notification, notification.c.id == notification_alert.c.notification_id)
    found: dict[int, datetime] = {}
    for part in _parts(alert_ids):
        for whose, source in ((notification.c.alert_id, notification), (notification_alert.c.alert_id, shared)):
            accepted = and_(whose.in_(part), notification.c.accepted_at.is_not(None))
            for row in connection.execute(select(whose, first).select_from(source).where(accepted).group_by(whose)):
                found[row[0]] = min(row[1], found.get(row[0], row[1]))
    return found


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[begin : begin + 500] for begin in range(0, len(ids), 500)]  # SQLite's limit of variables, with room


def mails_of(db: Database, alert_id: int) -> list[MailLine]:
    """Return the mails about an alert, also those that it shares with others, in the order of their planning."""
    shared = select(notification_alert.c.notification_id).where(notification_alert.c.alert_id == alert_id)
    about = or_(notification.c.alert_id == alert_id, notification.c.id.in_(shared))
    query = select(notification).where(about).order_by(notification.c.id)
    with db.read() as connection:
        return [
            MailLine(
                step=row["step"],
                recipient=row["recipient"],
                state=NotificationState(row["state"]),
                due_at=row["due_at"],
                accepted_at=row["accepted_at"],
                attempts=row["attempts"],
                message_id=row["message_id"],
                error=row["error"],
            )
            for row in connection.execute(query).mappings()
        ]


def told_in_round(db: Database, alert: Alert) -> list[tuple[datetime, str]]:
    """Return who was told of an alert since it was opened, or opened again, and when; what came back does not count."""
    ours = f"round-{alert.round + 1}-" if alert.round else ""
    return [
        (mail.accepted_at, mail.recipient)
        for mail in mails_of(db, alert.id)
        if mail.accepted_at is not None
        and mail.state is NotificationState.ACCEPTED
        and (mail.step.startswith(ours) if ours else not mail.step.startswith("round-"))
    ]
