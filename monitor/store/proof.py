"""What can be said of an agency's period: who was read when, what was not, and what stands behind that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from monitor.model import Account, AccountStatus, Agency, AlertKind, Verdict
from monitor.reports import AccountWeek, AlertLine, CanaryDay
from monitor.store.audit import Head, head
from monitor.store.canaries import canary_days
from monitor.store.coverage import coverage_of
from monitor.store.database import Database
from monitor.store.listings import list_alerts
from monitor.store.register import list_agencies, registered
from monitor.store.tables import account, evaluation, post, post_version

SUSPECTED = frozenset({AlertKind.POST, AlertKind.BACKLOG, AlertKind.PROFILE})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProof:
    """An account's coverage of the period, with what was found and what could not be judged in it."""

    coverage: AccountWeek
    since: datetime  # the period's beginning, or the account's registration
    alerts: int
    unchecked: int  # posts that were read, and that the rules could not check


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """An agency's period [start, end), told up to `until`: the end, or now while it still runs."""

    agency: Agency
    start: datetime
    end: datetime
    until: datetime
    accounts: tuple[AccountProof, ...]
    left_out: tuple[Account, ...]  # paused and retired: nobody reads them
    canaries: tuple[CanaryDay, ...]
    rule_sets: tuple[str, ...]  # those that judged what was first seen in the period
    head: Head

    @property
    def verdict(self) -> Verdict:
        """Return the verdict over all accounts: full only when each is, blind when each is."""
        verdicts = {one.coverage.verdict for one in self.accounts}
        return next(iter(verdicts)) if len(verdicts) == 1 else Verdict.GAPS


def proof_of(
    db: Database,
    code: str,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    patience: timedelta,
    degraded: Collection[str],
) -> Proof | None:
    """Return what is known of the agency's period; None when no such agency is registered."""
    until = min(end, now)
    agency = next((one for one in list_agencies(db, until) if one.code.casefold() == code.casefold()), None)
    if agency is None:
        return None
    weeks = coverage_of(db, start=start, end=until, patience=patience, degraded=degraded, agency=agency.code)
    alerts = list_alerts(db, agency=agency.code, opened=(start, until))
    suspected = _by_account(alerts, SUSPECTED)
    unchecked = _by_account(alerts, {AlertKind.EVALUATION})
    return Proof(
        agency=agency,
        start=start,
        end=end,
        until=until,
        accounts=tuple(
            AccountProof(
                coverage=week,
                since=max(start, week.account.registered_at or start),
                alerts=suspected[_name(week.account)],
                unchecked=unchecked[_name(week.account)],
            )
            for week in weeks
        ),
        left_out=_left_out(db, agency.code, until),
        canaries=tuple(canary_days(db, start, until, now=now)),
        rule_sets=_rule_sets(db, agency.code, start, until),
        head=head(db),
    )


def _name(one: Account) -> tuple[str, str]:
    return one.platform, one.handle or one.url


def _by_account(alerts: Collection[AlertLine], kinds: Collection[AlertKind]) -> Counter[tuple[str, str]]:
    return Counter((alert.platform, alert.account) for alert in alerts if alert.kind in kinds)


def _left_out(db: Database, code: str, until: datetime) -> tuple[Account, ...]:
    return tuple(
        one
        for one in registered(db)
        if one.agency == code
        and one.status is not AccountStatus.ACTIVE
        and (one.registered_at is None or one.registered_at < until)
    )


def _rule_sets(db: Database, code: str, start: datetime, end: datetime) -> tuple[str, ...]:
    query = (
        select(evaluation.c.rule_set)
        .join(post_version, post_version.c.id == evaluation.c.post_version_id)
        .join(post, post.c.id == post_version.c.post_id)
        .join(account, account.c.id == post.c.account_id)
        .where(account.c.agency == code, post.c.first_seen_at >= start, post.c.first_seen_at < end)
        .distinct()
    )
    with db.read() as connection:
        return tuple(sorted(connection.execute(query).scalars()))
