"""Deliver what is due: claim, render once, look again whether it is still wanted, send, record what became of it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from alerts.channel import Channel, DeliveryFailed
from alerts.compose import Envelope, compose_alert, compose_period
from alerts.folder import FolderChannel
from alerts.policy import Policy, plan
from alerts.smtp import SmtpChannel
from monitor.model import Delivery, MonthReport, WeekReport
from monitor.settings import Mail
from monitor.store import outbox as store
from monitor.store.database import Database

log = structlog.get_logger(__name__)

BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))  # then hourly
HELD_AT_MOST = timedelta(minutes=15)  # a mail server that is down is asked again at least this often
LEASE = timedelta(minutes=5)
PLANNED_AT_ONCE = 100


@dataclass(slots=True, kw_only=True)
class Sent:
    """What a run of deliveries did. `delivered`: where each accepted mail went; `failures`: what people must know."""

    accepted: int = 0
    retried: int = 0
    dead: int = 0
    cancelled: int = 0
    failures: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What every delivery of one run needs."""

    db: Database
    channel: Channel
    envelope: Envelope
    clock: Callable[[], datetime]
    report: Callable[[str], WeekReport | MonthReport]
    sent: Sent


def open_channel(mail: Mail) -> Channel:
    """Return the way mails go by the configuration. Nothing is opened yet: `check` and `send` do that."""
    return SmtpChannel(mail) if mail.transport == "smtp" else FolderChannel(mail.folder)


def plan_due(db: Database, policy: Policy, *, now: datetime) -> int:
    """Decide for every due alert who is told, and write it down. Returns how many were planned.

    An alert that fails is logged and tried again the next time; it never holds up the others.
    """
    planned = 0
    seen: set[int] = set()
    while due := [one for one in store.due_alerts(db, now, limit=PLANNED_AT_ONCE + len(seen)) if one.id not in seen]:
        for alert in due:
            seen.add(alert.id)
            try:
                decided = plan(alert, policy, now)
                store.schedule_notifications(
                    db,
                    alert.id,
                    decided.notifications,
                    now=now,
                    next_action_at=decided.next_action_at,
                    waiting_reason=decided.reason,
                )
            except Exception:
                log.exception("alert could not be planned; it is tried again", case=alert.case)
                continue
            planned += 1
            log.info("alert planned", case=alert.case, mails=len(decided.notifications), reason=decided.reason)
    return planned


def deliver_due(
    db: Database,
    channel: Channel,
    envelope: Envelope,
    *,
    now: datetime,
    clock: Callable[[], datetime],
    report: Callable[[str], WeekReport | MonthReport],
    stop: threading.Event | None = None,
    lease: timedelta = LEASE,
    limit: int | None = None,
) -> Sent:
    """Send the mails that are due by `now`, at most `limit`, the longest due first. Returns what became of them.

    A temporary failure is tried again for as long as it takes; only a refusal for good ends a mail. When the server
    fails as a whole the run ends, and nothing that waits is tried before the mail that met it.
    """
    run = _Run(db=db, channel=channel, envelope=envelope, clock=clock, report=report, sent=Sent())
    try:
        for _ in range(limit) if limit is not None else itertools.count():
            if stop is not None and stop.is_set():
                break
            delivery = store.claim(db, now=max(now, clock()), lease=lease)
            if delivery is None or not _deliver(run, delivery):
                break
    finally:
        channel.close()
    return run.sent


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after `attempts` finished tries and one more that has just failed."""
    return BACK_OFF[min(attempts, len(BACK_OFF) - 1)]


def _deliver(run: _Run, delivery: Delivery) -> bool:
    """Deliver one claimed mail. False: the mail server fails as a whole, the run is over."""
    if _unwanted(run, delivery):
        return True
    mail = _rendered(run, delivery)
    if mail is None or _unwanted(run, delivery):  # asked again: rendering a digest takes seconds
        return True
    try:
        where = run.channel.send(mail, recipient=delivery.recipient, message_id=delivery.message_id)
    except DeliveryFailed as error:
        _failed(run, delivery, error)
        return not error.server
    if not store.mark_accepted(run.db, delivery, run.clock()):
        log.warning("mail accepted after its lease had passed to another worker", **_named(delivery))
    run.sent.accepted += 1
    run.sent.delivered.append(where)
    log.info("mail accepted", where=where, **_named(delivery))
    return True


def _unwanted(run: _Run, delivery: Delivery) -> bool:
    """Say whether the mail must not leave; when that is because its alert was closed, it ends here."""
    if store.still_wanted(run.db, delivery):
        return False
    if store.cancel(run.db, delivery, run.clock()):
        run.sent.cancelled += 1
        log.info("mail cancelled: its alert was closed first", **_named(delivery))
    return True


def _rendered(run: _Run, delivery: Delivery) -> bytes | None:
    """Return the mail's bytes, the same at every try. None: it could not be written, or is another worker's now."""
    if delivery.rendered is not None:
        return delivery.rendered
    try:
        mail = _compose(run, delivery)
    except Exception as error:
        # The error's own words may quote a post: neither the mail to the operators nor the log repeats them.
        log.exception("mail could not be written", **_named(delivery))
        words = f"the mail could not be written ({type(error).__name__}); the log has the traceback"
        if store.mark_retry(run.db, delivery, run.clock() + back_off(delivery.attempts), words):
            run.sent.retried += 1
            run.sent.failures.append(_told(delivery, words))
        return None
    return mail if store.save_rendered(run.db, delivery, mail) else None


def _compose(run: _Run, delivery: Delivery) -> bytes:
    now = run.clock()
    if delivery.alert_id is None:
        return compose_period(run.report(delivery.period), delivery, run.envelope, now=now)
    return compose_alert(store.load_alert(run.db, delivery.alert_id), delivery, run.envelope, now=now)


def _failed(run: _Run, delivery: Delivery, error: DeliveryFailed) -> None:
    """Record a failure: given up, uncertain, or to be tried again."""
    now, words = run.clock(), str(error)
    again = now + back_off(delivery.attempts)
    run.sent.failures.append(_told(delivery, words))
    if error.permanent:
        store.mark_dead(run.db, delivery, now, words)
        run.sent.dead += 1
        log.error("mail refused for good", error=words, **_named(delivery))
        return
    if error.server:
        again = min(again, now + HELD_AT_MOST)
        store.hold_back(run.db, delivery, words, now=now, until=again)
    elif error.uncertain:
        store.mark_uncertain(run.db, delivery, again, words)
    else:
        store.mark_retry(run.db, delivery, again, words)
    run.sent.retried += 1
    log.warning(
        "mail not accepted", error=words, uncertain=error.uncertain, again=again.isoformat(), **_named(delivery)
    )


def _told(delivery: Delivery, words: str) -> str:
    return f"mail to {delivery.recipient} ({delivery.template}): {words}"


def _named(delivery: Delivery) -> dict[str, object]:
    """Return how a log line names a mail."""
    return {
        "message_id": delivery.message_id,
        "template": delivery.template,
        "step": delivery.step,
        "attempts": delivery.attempts + 1,
    }
