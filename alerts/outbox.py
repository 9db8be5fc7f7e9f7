"""Deliver what is due: claim, render once, look again whether it is still wanted, send, record what became of it.

One transaction a mail: that the last one was accepted, that the next one is being handed over, and its bytes. So
whenever the process dies at most one mail is uncertain. While the server looks at a mail's addresses its beginning is
written down. Mails are written some in one go: between two waits each takes three times as long, because whatever runs
meanwhile takes the processor's caches.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from alerts.channel import Channel, DeliveryFailed
from alerts.envelope import Envelope
from alerts.folder import FolderChannel
from alerts.mailbox import MailboxUnreachable
from alerts.smtp import SmtpChannel
from alerts.writing import Writer, Written
from monitor.model import Delivery
from monitor.reports import MonthReport, WeekReport
from monitor.settings import Mail
from monitor.store import outbox as store
from monitor.store.database import Database
from monitor.store.outbox import Begun
from monitor.store.undelivered import mark_dead

log = structlog.get_logger(__name__)

BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))  # then hourly
HELD_AT_MOST = timedelta(minutes=15)  # a mail server that is down is asked again at least this often
UNRELAYED_TRIES = 6  # some three hours; then an address is given up that a server does not relay to, but to others
JOURNAL_PATIENCE = timedelta(hours=1)  # so long is waited for a journal that cannot be read; then the mail goes again
LEASE = timedelta(minutes=5)
CLAIMED_AT_ONCE = 100
WRITTEN_AT_ONCE = 50  # they leave within seconds: a mail's date is when it was written


@dataclass(slots=True, kw_only=True)
class Sent:
    """What a run of deliveries did. `delivered`: where each accepted mail went; `failures`: what people must know."""

    accepted: int = 0
    retried: int = 0
    dead: int = 0
    cancelled: int = 0
    failures: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)


class Journal(Protocol):
    """A mailbox that gets a copy of every mail. A mail shows in it within `settling`, or was never accepted."""

    @property
    def settling(self) -> timedelta: ...

    def holds(self, message_id: str, *, since: datetime) -> bool:
        """Say whether a mail handed over at `since` is there. Raises MailboxUnreachable."""

    def close(self) -> None: ...


class Pace:
    """Lets at most so many mails leave a minute, evenly; any number with 0."""

    def __init__(self, per_minute: int = 0) -> None:
        self.per_minute = per_minute
        self._free_at = 0.0

    def wait(self, stop: threading.Event) -> bool:
        """Wait until the next mail may leave. False: told to stop first."""
        if self.per_minute == 0:
            return True
        if stop.wait(max(0.0, self._free_at - time.monotonic())):
            return False
        self._free_at = max(self._free_at, time.monotonic()) + 60 / self.per_minute
        return True


def open_channel(mail: Mail) -> Channel:
    """Return the way mails go by the configuration. Nothing is opened yet: `check` and `send` do that."""
    return SmtpChannel(mail) if mail.transport == "smtp" else FolderChannel(mail.folder)


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
    within: timedelta | None = None,
    journal: Journal | None = None,
    pace: Pace | None = None,
) -> Sent:
    """Send the mails that are due by `now`, at most `limit`, the longest due first. Returns what became of them.

    After `within` no further one is begun. A temporary failure is tried again for as long as it takes; only a refusal
    for good ends a mail. When the server fails as a whole the run ends, and nothing that waits is tried before the mail
    that met it. What was uncertain is looked up in the `journal`, or sent again as the same mail. The channel's
    connection is kept for the next run.
    """
    run = _Run(
        db=db,
        channel=channel,
        writer=Writer(db=db, envelope=envelope, clock=clock, report=report),
        now=now,
        clock=clock,
        stop=stop or threading.Event(),
        lease=lease,
        left=limit,
        until=time.monotonic() + within.total_seconds() if within is not None else math.inf,
        journal=journal,
        pace=pace or Pace(),
    )
    run.go()
    return run.sent


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after `attempts` finished tries and one more that has just failed."""
    return BACK_OFF[min(attempts, len(BACK_OFF) - 1)]


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run of deliveries. `queue`: claimed; `ready`: written as well; `taken`: accepted, not yet written down."""

    db: Database
    channel: Channel
    writer: Writer
    now: datetime
    clock: Callable[[], datetime]
    stop: threading.Event
    lease: timedelta
    left: int | None
    until: float
    journal: Journal | None
    pace: Pace
    sent: Sent = field(default_factory=Sent)
    queue: deque[Delivery] = field(default_factory=deque)
    ready: deque[Written] = field(default_factory=deque)
    taken: Delivery | None = None

    def go(self) -> None:
        try:
            while not self.stop.is_set() and (written := self._next()) is not None:
                if not self._deliver(written) or time.monotonic() >= self.until:
                    break
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._record()
            store.give_back(self.db, [*(written.delivery for written in self.ready), *self.queue])
        finally:
            self.channel.rest()
            if self.journal is not None:
                self.journal.close()

    def _record(self) -> None:
        """Write down what the server took, where that is not part of the next mail's beginning."""
        if self.taken is not None:
            ours = store.mark_accepted(self.db, self.taken, self.clock())
            self._recorded(ours=ours)

    def _recorded(self, *, ours: bool) -> None:
        if self.taken is not None and not ours:
            log.warning("mail accepted after its lease had passed to another worker", **_named(self.taken))
        self.taken = None

    # ------------------------------------------------------------ the next mail

    def _next(self) -> Written | None:
        """Return the next mail, claimed and written. None: nothing is due, or there were enough."""
        if not self.ready:
            self._record()  # what comes now may take long
        while not self.stop.is_set() and not self.ready and (self.queue or self._claim()):
            self._write_some()
        return self.ready.popleft() if self.ready else None

    def _write_some(self) -> None:
        """Write the next mail, and those behind it that take no time to speak of; one by one where they are spaced."""
        self._write(self.queue.popleft())
        most = 1 if self.pace.per_minute else WRITTEN_AT_ONCE
        while self.queue and len(self.ready) < most and not self._takes_long(self.queue[0]):
            self._write(self.queue.popleft())

    def _takes_long(self, delivery: Delivery) -> bool:
        """Say whether a week or a month is to be counted for the mail, or a mailbox to be asked."""
        return delivery.alert_id is None or (delivery.uncertain and self.journal is not None)

    def _claim(self) -> bool:
        most = min(CLAIMED_AT_ONCE, self.pace.per_minute or CLAIMED_AT_ONCE)
        if self.left is not None:
            most = min(most, self.left)
            self.left -= most
        if most <= 0:
            return False
        self.queue += store.claim_batch(self.db, now=max(self.now, self.clock()), lease=self.lease, limit=most)
        self.writer.read_alerts(self.queue)
        return bool(self.queue)

    def _write(self, delivery: Delivery) -> None:
        """Make the mail ready to go; or it is dealt with, or put back."""
        if delivery.uncertain and self.journal is not None and self._looked_up(delivery, self.journal):
            return
        try:
            written = self.writer.write(delivery)
        except Exception as error:
            log.exception("mail could not be written", **_named(delivery))
            self._unwritten(delivery, error)
            return
        if written is None:
            self._cancel(delivery)
        else:
            self.ready.append(written)

    def _unwritten(self, delivery: Delivery, error: Exception) -> None:
        # The error's own words may quote a post: what the operators are told does not repeat them.
        words = f"the mail could not be written ({type(error).__name__}); the log has the traceback"
        if store.mark_retry(self.db, delivery, self.clock() + back_off(delivery.attempts), words):
            self.sent.retried += 1
            self.sent.failures.append(_told(delivery, words))

    def _cancel(self, delivery: Delivery) -> None:
        if store.cancel(self.db, delivery, self.clock()):
            self.sent.cancelled += 1
            log.info("mail cancelled: its alert was closed first", **_named(delivery))

    # ------------------------------------------------------------ sending

    def _deliver(self, written: Written) -> bool:
        """Deliver one written mail. False: the mail server fails as a whole, the run is over."""
        delivery = written.delivery
        if self.pace.per_minute:
            self._record()
            if not self.pace.wait(self.stop):
                self.queue.appendleft(delivery)
                return True
        self.channel.announce(recipient=delivery.recipient, message_id=delivery.message_id)
        begun = self._begin(written)  # meanwhile the server looks at the addresses
        if begun is Begun.CLOSED:
            self._cancel(delivery)
        elif begun is Begun.CHANGED:
            self.writer.forget_alerts()
            self.queue.appendleft(replace(delivery, rendered=None))
        elif begun is Begun.YES:
            return self._send(written)
        return True

    def _begin(self, written: Written) -> Begun:
        begun, ours = store.begin(
            self.db,
            written.delivery,
            written.mail,
            about=written.about,
            now=self.clock(),
            lease=self.lease,
            accepted=self.taken,
        )
        self._recorded(ours=ours)
        return begun

    def _send(self, written: Written) -> bool:
        delivery = written.delivery
        try:
            where = self.channel.send(written.mail, recipient=delivery.recipient, message_id=delivery.message_id)
        except DeliveryFailed as error:
            self._failed(delivery, error)
            return not error.server
        self.taken = delivery
        self.sent.accepted += 1
        self.sent.delivered.append(where)
        log.info("mail accepted", where=where, **_named(delivery))
        return True

    def _failed(self, delivery: Delivery, error: DeliveryFailed) -> None:
        """Record a failure: given up, uncertain, or to be tried again."""
        now, words = self.clock(), str(error)
        again = now + back_off(delivery.attempts)
        self.sent.failures.append(_told(delivery, words))
        if error.permanent or (error.unrelayed and self._is_the_only_one(delivery, now)):
            mark_dead(self.db, delivery, now, words)
            self.sent.dead += 1
            log.error("mail refused for good", error=words, **_named(delivery))
            return
        if error.server:
            again = min(again, now + HELD_AT_MOST)
            store.hold_back(self.db, delivery, words, now=now, until=again)
        elif error.uncertain:
            again = again if self.journal is None else now + self.journal.settling
            store.mark_uncertain(self.db, delivery, again, words)
        else:
            store.mark_retry(self.db, delivery, again, words)
        self.sent.retried += 1
        log.warning(
            "mail not accepted", error=words, uncertain=error.uncertain, again=again.isoformat(), **_named(delivery)
        )

    def _is_the_only_one(self, delivery: Delivery, now: datetime) -> bool:
        """Say whether the server keeps refusing to relay this mail while it takes others."""
        return delivery.attempts >= UNRELAYED_TRIES and store.has_accepted(self.db, since=now - BACK_OFF[-1])

    # ------------------------------------------------------------ lost answers

    def _looked_up(self, delivery: Delivery, journal: Journal) -> bool:
        """Ask the journal for an uncertain mail. True: it is dealt with; False: it goes again."""
        now = self.clock()
        try:
            found = journal.holds(delivery.message_id, since=delivery.handed_over_at or now)
        except MailboxUnreachable as error:
            return self._look_later(delivery, journal_retry(delivery, now=now), str(error))
        if found:
            if store.mark_accepted(self.db, delivery, now, event="mail found in the journal"):
                self.sent.accepted += 1
                log.info("mail found in the journal", **_named(delivery))
            return True
        at = settled_at(delivery, journal.settling, now=now)
        return self._look_later(delivery, at, "the answer was lost; not in the journal so far")

    def _look_later(self, delivery: Delivery, at: datetime | None, words: str) -> bool:
        if at is None:
            return False
        if store.look_later(self.db, delivery, at, words):
            log.info("mail uncertain", reason=words, again=at.isoformat(), **_named(delivery))
        return True


def settled_at(delivery: Delivery, settling: timedelta, *, now: datetime) -> datetime | None:
    """Return when a mail that is not in the journal counts as not accepted. None: it does now."""
    handed = delivery.handed_over_at
    if handed is None or handed > now:  # before the clock stepped back
        return None
    end = handed + max(settling, back_off(max(0, delivery.attempts - 1)))
    return end if now < end else None


def journal_retry(delivery: Delivery, *, now: datetime) -> datetime | None:
    """Return when to ask a journal again that cannot be read. None: it was waited for long enough."""
    handed = delivery.handed_over_at
    if handed is None or handed > now or now >= handed + JOURNAL_PATIENCE:
        return None
    waited = now - handed
    return min(now + max(timedelta(minutes=1), waited), handed + JOURNAL_PATIENCE)


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
