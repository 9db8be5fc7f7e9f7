"""Mails: those of alerts, the weekly digest, the monthly letters, and what comes back."""

from __future__ import annotations

from datetime import timedelta

import structlog

from alerts import digest, monthly
from alerts.mailbox import MailboxUnreachable
from alerts.outbox import Sent, deliver_due
from alerts.planning import Grouping, plan_due
from alerts.policy import plan_digest
from monitor.app.service import Service
from monitor.store.plans import schedule_digest
from monitor.store.register import list_agencies
from monitor.store.reports import first_registrations, periods_planned, week_planned

log = structlog.get_logger(__name__)


def deliver(
    service: Service, *, limit: int | None = None, within: timedelta | None = None, at_once: bool = False
) -> Sent:
    """Plan and send what is due, at most `limit` mails, until nothing is left or the mail server fails as a whole.

    After `within` no further mail is begun. `at_once`: no alert waits for others that may share its mail.
    """
    mail = service.settings.mail
    grouping = Grouping(interval=mail.group_interval, flood_limit=mail.flood_limit, at_once=at_once)
    plan_due(service.db, service.policy, now=service.clock(), grouping=grouping)
    return deliver_due(
        service.db,
        service.channel,
        service.envelope,
        now=service.clock(),
        clock=service.clock,
        report=service.report,
        stop=service.stop,
        limit=limit,
        within=within,
        pace=service.pace,
        journal=service.journal,
    )


def deliver_all(service: Service) -> Sent:
    """Deliver until nothing is due: a refused mail opens an alert about itself, which goes out in the same pass."""
    total = Sent()
    while not service.stop.is_set():
        more = deliver(service, at_once=True)
        total.accepted += more.accepted
        total.retried += more.retried
        total.dead += more.dead
        total.cancelled += more.cancelled
        total.failures += more.failures
        total.delivered += more.delivered
        if not got_somewhere(more):
            break
    service.channel.close()
    return total


def got_somewhere(sent: Sent) -> bool:
    return bool(sent.accepted or sent.dead or sent.cancelled)


def read_bounces(service: Service) -> list[str]:
    """Note what came back since the last look. Returns why that could not be told: nothing, or one sentence."""
    if service.bounces is None:
        return []
    try:
        service.bounces.read(service.db, clock=service.clock)
    except MailboxUnreachable as error:
        log.warning("mailbox not read", error=str(error))
        return [str(error)]
    return []


def plan_due_digest(service: Service) -> int:
    """Write down the digest of the last complete week, once its hour has come. Returns how many were new.

    All of a week's are written at once: who becomes a recipient later gets the next week's.
    """
    week = digest.due_week(service.clock(), service.settings.digest, not_before=service.installed_at)
    if week is None or week_planned(service.db, week):
        return 0
    return schedule_week(service, week)


def schedule_week(service: Service, week: str) -> int:
    return schedule_digest(service.db, week, plan_digest(week, service.policy), now=service.clock())


def plan_due_letters(service: Service) -> int:
    """Write down the last month's letter to each agency whose hour has come. Returns how many were new."""
    if not service.settings.monthly.enabled:
        return 0
    now, policy = service.clock(), service.configuration.escalation
    since = first_registrations(service.db)
    due = {
        monthly.period_of(month, agency.code): (month, agency)
        for agency in list_agencies(service.db, now)
        if agency.code in since
        and (month := monthly.due_month(now, agency, policy, since=since[agency.code])) is not None
    }
    new = 0
    for period in sorted(due.keys() - periods_planned(service.db, monthly.TEMPLATE)):
        month, agency = due[period]
        new += schedule_digest(service.db, period, monthly.plan_letter(month, agency, service.policy), now=now)
    return new
