"""What the weekly digest and the monthly letter tell of, drawn from the database under a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import connectors
from alerts import digest, monthly
from monitor.configuration import Configuration
from monitor.model import Account
from monitor.reports import MonthReport, WeekReport
from monitor.store.database import Database
from monitor.store.register import registered
from monitor.store.reports import month_report, week_report


def report_of_week(configuration: Configuration, db: Database, week: str, *, now: datetime) -> WeekReport:
    start, end = digest.iso_week(week)
    return week_report(
        db,
        week=week,
        start=start,
        end=end,
        now=now,
        patience=configuration.settings.polling.patience,
        degraded=degraded_platforms(registered(db)),
        rule_set=configuration.rules.hash,
    )


def report_of_month(
    configuration: Configuration, db: Database, month: str, agency: str, *, now: datetime
) -> MonthReport:
    """Raises LookupError for an agency that is not in the register."""
    start, end = monthly.month_of(month)
    return month_report(
        db,
        month=month,
        start=start,
        end=end,
        now=now,
        agency=agency,
        patience=configuration.settings.polling.patience,
        degraded=degraded_platforms(registered(db)),
    )


def degraded_platforms(accounts: Sequence[Account]) -> frozenset[str]:
    used = {account.platform for account in accounts} & connectors.CONNECTORS.keys()
    return frozenset(name for name in used if connectors.load(name).capabilities.degraded)
