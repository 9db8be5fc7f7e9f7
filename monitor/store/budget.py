"""What the schedule and its forecasts go by: posting rates, what platforms allow, and what was spent day by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from monitor import budget
from monitor.budget import CREDENTIAL, Forecast, Grant
from monitor.model import AccountStatus, AlertKind, Cause, Disclosure, Severity
from monitor.store import opening
from monitor.store.database import Database, insert_if_new, known_fact
from monitor.store.tables import account, alert, allowance, meta, post, spending

HISTORY = 500  # newest posts of an account: what a first estimate of its rate needs
CALLS, LIVE, READS = "calls", "calls to read accounts", "accounts read"
MONTHLY = frozenset({"posts", "dollars"})  # what an administrator may limit by the month
RECENT = timedelta(days=7)  # what a forecast is made of
KEPT = timedelta(days=62)  # of what was spent: the month that runs, and the one before


# ---------------------------------------------------------------- posting rates


def posting_rates(db: Database, platform: str) -> list[float | None]:
    """Return the posts a day of each active account of a platform; None where none is known yet."""
    active = (account.c.platform == platform, account.c.status == AccountStatus.ACTIVE.value)
    with db.read() as connection:
        return list(connection.execute(select(account.c.posting_rate).where(*active)).scalars())


def published_before(db: Database, account_id: int) -> list[datetime]:
    """Return when an account's newest stored posts were published."""
    newest = select(post.c.published_at).where(post.c.account_id == account_id)
    with db.read() as connection:
        return list(connection.execute(newest.order_by(post.c.published_at.desc()).limit(HISTORY)).scalars())


def is_filling(db: Database, account_id: int) -> bool:
    """Say whether more of an account's past is still to be read."""
    waits = select(account.c.id).where(account.c.id == account_id, account.c.backfill.is_not(None))
    with db.read() as connection:
        return connection.execute(waits).first() is not None


# ---------------------------------------------------------------- what is allowed, and what was spent


def save_spending(
    db: Database, platform: str, spent: Mapping[str, float], told: Iterable[Grant], now: datetime
) -> None:
    """Add what was spent to the day's account, and keep what the platform has told of its budgets."""
    with db.write() as connection:
        for name, amount in spent.items():
            if amount:
                _add(connection, platform, name, now, amount)
        for grant in told:
            _keep(connection, grant)


def _add(connection: Connection, platform: str, name: str, now: datetime, amount: float) -> None:
    day, oldest = (f"{at.astimezone(UTC):%Y-%m-%d}" for at in (now, now - KEPT))
    same = (spending.c.platform == platform, spending.c.name == name, spending.c.day == day)
    more = update(spending).where(*same).values(amount=spending.c.amount + amount)
    if not connection.execute(more).rowcount:
        row = {"platform": platform, "name": name, "day": day}
        if not connection.execute(insert_if_new(connection, spending).values(amount=amount, **row)).rowcount:
            connection.execute(more)  # another process began the day in this moment
        connection.execute(delete(spending).where(*same[:2], spending.c.day < oldest))


def _keep(connection: Connection, grant: Grant) -> None:
    same = (allowance.c.platform == grant.platform, allowance.c.name == grant.name)
    connection.execute(delete(allowance).where(*same))
    connection.execute(
        insert(allowance).values(
            platform=grant.platform,
            name=grant.name,
            limit=grant.limit,
            remaining=grant.remaining,
            resets_at=grant.resets_at,
            seen_at=grant.seen_at,
        )
    )


def forget_grants(db: Database, platform: str, names: Iterable[str]) -> None:
    """Drop budgets that there are no more: a limit that was taken out of the configuration, a credential's end."""
    with db.write() as connection:
        for name in names:
            connection.execute(delete(allowance).where(allowance.c.platform == platform, allowance.c.name == name))


def grants(db: Database, platform: str | None = None) -> list[Grant]:
    with db.read() as connection:
        return _grants(connection, platform)


def _grants(connection: Connection, platform: str | None) -> list[Grant]:
    query = select(allowance).order_by(allowance.c.platform, allowance.c.name)
    if platform is not None:
        query = query.where(allowance.c.platform == platform)
    return [Grant(**row) for row in connection.execute(query).mappings()]


def spent_since(db: Database, platform: str, day: datetime) -> dict[str, float]:
    """Return what was spent from a day (UTC) on, by name."""
    total = func.sum(spending.c.amount)
    query = select(spending.c.name, total).where(spending.c.platform == platform)
    query = query.where(spending.c.day >= f"{day.astimezone(UTC):%Y-%m-%d}").group_by(spending.c.name)
    with db.read() as connection:
        return {name: float(amount) for name, amount in connection.execute(query)}


def calls_per_read(db: Database, platform: str, now: datetime) -> float:
    """Return how many calls the reading of an account took, on average of the last days; 1 before anything is known."""
    spent = spent_since(db, platform, now - RECENT)
    return spent[LIVE] / spent[READS] if spent.get(READS) and spent.get(LIVE) else 1.0


# ---------------------------------------------------------------- credentials

LOOKED = "credentials looked at"


def is_time(db: Database, now: datetime) -> bool:
    """Say whether a day has passed since the platforms were asked until when their credentials are good."""
    last = known_fact(db, LOOKED)
    return last is None or abs(now - datetime.fromisoformat(last)) >= budget.DAY


def was_done(db: Database, now: datetime) -> None:
    with db.write() as connection:
        if not connection.execute(update(meta).where(meta.c.key == LOOKED).values(value=now.isoformat())).rowcount:
            connection.execute(insert(meta).values(key=LOOKED, value=now.isoformat()))


def save_end(db: Database, platform: str, expires_at: datetime | None, now: datetime) -> None:
    """Keep when a platform's credential ends. None: it has no end, or nobody tells at the moment.

    Then what was told before holds until it is over: some platforms tell at a renewal alone.
    """
    if expires_at is None:
        known = [grant for grant in grants(db, platform) if grant.name == CREDENTIAL]
        if known and known[0].resets_at < now:
            forget_grants(db, platform, [CREDENTIAL])
        return
    end = Grant(platform=platform, name=CREDENTIAL, limit=0.0, remaining=0.0, resets_at=expires_at, seen_at=now)
    save_spending(db, platform, {}, [end], now)


# ---------------------------------------------------------------- forecasts


def forecasts(db: Database, now: datetime, *, longest: timedelta, platform: str | None = None) -> list[Forecast]:
    """Return how each budget and credential will last; `longest` is the interval that is promised."""
    found = []
    for grant in grants(db, platform):
        registered = _registered(db, grant.platform)
        if not registered:
            continue  # nobody needs it any more
        if grant.name == CREDENTIAL:
            found.append(Forecast(platform=grant.platform, name=CREDENTIAL, ends_at=grant.resets_at))
        elif budget.is_calls(grant.name):
            cost = calls_per_read(db, grant.platform, now)
            found.append(budget.of_calls(grant, accounts=len(registered), calls_per_read=cost, longest=longest))
        elif _is_monthly(grant, now):
            found.append(_of_month(db, grant, registered, now))
    return found


def _is_monthly(grant: Grant, now: datetime) -> bool:
    return grant.name in MONTHLY and grant.resets_at > now


def _of_month(db: Database, grant: Grant, registered: Sequence[datetime], now: datetime) -> Forecast:
    begin, today = f"{(now - RECENT).astimezone(UTC):%Y-%m-%d}", f"{now.astimezone(UTC):%Y-%m-%d}"
    query = select(spending.c.day, spending.c.amount).where(
        spending.c.platform == grant.platform,
        spending.c.name == grant.name,
        spending.c.day >= begin,
        spending.c.day < today,
    )
    with db.read() as connection:
        days = list(connection.execute(query))
    had = [(amount, sum(f"{at.astimezone(UTC):%Y-%m-%d}" <= day for at in registered)) for day, amount in days]
    expected = budget.per_day(had, len(registered))
    if grant.name == "posts":  # each new post is read at least once, whatever the days gone by were like
        expected = max(expected, sum(rate or 0.0 for rate in posting_rates(db, grant.platform)))
    return budget.of_month(grant, accounts=len(registered), per_day=expected, now=now)


def _registered(db: Database, platform: str) -> list[datetime]:
    active = (account.c.platform == platform, account.c.status == AccountStatus.ACTIVE.value)
    with db.read() as connection:
        return list(connection.execute(select(account.c.registered_at).where(*active)).scalars())


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What became of the forecasts' alerts: the keys of those that were opened and that ended."""

    opened: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()


def note_forecasts(db: Database, found: Iterable[Forecast], now: datetime) -> Noted:
    """Open an alert for what will not last, once, and note when it fits again.

    Who resolves such an alert is not told again before it has fitted in between. A credential that was renewed, or a
    budget that there is no more, fits.
    """
    known = {forecast.key: forecast for forecast in found}
    with db.read() as connection:
        last = {_key_of(row): row for row in _told(connection)}
    standing = {key for key, row in last.items() if row["recovered_at"] is None}
    opened = [key for key, one in known.items() if budget.falls_short(one, now) and key not in standing]
    recovered = [key for key in sorted(standing) if key not in known or budget.fits_again(known[key], now)]
    if opened or recovered:
        with db.write() as connection:
            for key in opened:
                _open(connection, known[key], now, after=last[key]["id"] if key in last else 0)
            for key in recovered:
                _recover(connection, last[key], now)
    return Noted(opened=tuple(opened), recovered=tuple(recovered))


def _told(connection: Connection) -> Sequence[RowMapping]:
    query = select(alert).where(alert.c.kind == AlertKind.FORECAST.value).order_by(alert.c.id)
    return connection.execute(query).mappings().all()


def _key_of(row: RowMapping) -> str:
    """Return "x:posts" for the alert "forecast:x:posts:0"."""
    _, platform, name, _ = row["dedup_key"].split(":", 3)
    return f"{platform}:{name}"


def _open(connection: Connection, forecast: Forecast, now: datetime, *, after: int) -> None:
    """Open the alert that follows the one with the id `after`: two processes that find the same open one."""
    opening.open_alert(
        connection,
        dedup_key=f"forecast:{forecast.key}:{after}",
        kind=AlertKind.FORECAST,
        severity=Severity.MEDIUM,
        disclosure=Disclosure.NONE,
        cause=Cause.CREDENTIAL if forecast.name == CREDENTIAL else Cause.RATE_LIMIT,
        since=now,
        detail=budget.written(forecast),
        now=now,
    )


def _recover(connection: Connection, row: RowMapping, now: datetime) -> None:
    again = {"next_action_at": now} if row["resolved_at"] is None else {}
    connection.execute(update(alert).where(alert.c.id == row["id"]).values(recovered_at=now, **again))
