"""Mails written ahead by a process of its own, while many wait: the sender then only sends, and writes down.

Writing a mail is pure: it matters to nobody but the clock where it is done. So whatever goes wrong with that process,
the sender writes the mail itself, and what is wrong with the mail itself shows there.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import structlog

from alerts.compose import Envelope, compose_alert, compose_group
from alerts.smime import Certificates
from monitor.escalation import Role
from monitor.model import Alert, Delivery

log = structlog.get_logger(__name__)

MANY = 25  # mails in one portion; two such portions in a row are worth a process
IDLE_SECONDS = 20.0  # it is kept for so long without work
GOODBYE_SECONDS = 2.0
LOST = (OSError, EOFError)  # the process ended

Key = tuple[int, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All that a mail is written from, but for the envelope."""

    delivery: Delivery
    alerts: tuple[Alert, ...]
    told: tuple[tuple[datetime, str], ...]
    next_to: tuple[Role, ...]
    now: datetime

    @property
    def key(self) -> Key:
        return key_of(self.delivery, self.alerts)


def key_of(delivery: Delivery, alerts: Sequence[Alert]) -> Key:
    """Return what tells a mail from one for an earlier claim, or about other alerts."""
    return delivery.id, delivery.fence, tuple(alert.id for alert in alerts)


def written(order: Order, envelope: Envelope) -> bytes:
    """Return the mail. Raises jinja2.TemplateError."""
    if order.delivery.also_about:
        return compose_group(order.alerts, order.delivery, envelope, now=order.now)
    return compose_alert(
        order.alerts[0], order.delivery, envelope, now=order.now, told=order.told, next_to=order.next_to
    )


class Scribe:
    """The process, and what is still to come from it. Used by one thread at a time."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._ready = False
        self._to_come = 0
        self._mails: dict[Key, bytes] = {}
        self._many = False  # the last portion was a full one
        self._used = 0.0

    def ask(self, orders: Sequence[Order], envelope: Envelope, *, waiting: int) -> None:
        """Have these written, when so many wait that it is worth while, and all that was asked for before has come."""
        self._many, many_before = waiting >= MANY, self._many
        if not self._many:
            return
        if self._pipe is None and many_before:
            self._start()
        self._collect()
        self._mails.clear()  # nobody asked for them in their turn
        plain = [one for one in orders if one.delivery.recipient.casefold() not in envelope.certificates.by_address]
        if self._pipe is not None and self._ready and not self._to_come and plain:
            self._send(plain, replace(envelope, certificates=Certificates()))

    def take(self, key: Key) -> bytes | None:
        """Return the mail if it is written. None: nobody asked for it, or it is not ready yet, or it cannot be."""
        self._collect()
        return self._mails.pop(key, None)

    def rest(self) -> None:
        """End the process when it was not needed for a while."""
        if self._process is not None and time.monotonic() - self._used > IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """End the process; it can be started anew."""
        pipe, process, self._pipe, self._process = self._pipe, self._process, None, None
        self._ready, self._to_come, self._many = False, 0, False
        self._mails.clear()
        if pipe is not None:
            pipe.close()  # at the end of its pipe it ends
        if process is not None:
            process.join(GOODBYE_SECONDS)
            process.kill()

    def _start(self) -> None:
        """Start the process, without waiting for it: it says when it is ready."""
        fresh = multiprocessing.get_context("spawn")  # a forked one would hold the database's file and its locks
        self._pipe, theirs = fresh.Pipe()
        self._process = fresh.Process(target=_serve, args=(theirs,), name="pantau-scribe", daemon=True)
        self._used = time.monotonic()
        try:
            self._process.start()
        except OSError as error:
            self._process = None
            self._lost(error)
        finally:
            theirs.close()

    def _send(self, orders: Sequence[Order], envelope: Envelope) -> None:
        assert self._pipe is not None
        self._used = time.monotonic()
        try:
            self._pipe.send((orders, envelope))
        except LOST as error:
            self._lost(error)
        else:
            self._to_come = len(orders)

    def _collect(self) -> None:
        """Take what has come, without waiting."""
        try:
            while self._pipe is not None and (self._to_come or not self._ready) and self._pipe.poll():
                said = self._pipe.recv()
                if not self._ready:
                    self._ready = True
                    continue
                self._to_come -= 1
                key, mail = said
                if mail is not None:
                    self._mails[key] = mail
        except LOST as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        log.warning("the process that writes mails ahead ended; they are written here", error=type(error).__name__)
        self.close()


def _serve(pipe: Connection) -> None:
    """Write what is asked for, in its order, until the sender ends or lets go of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the sender ends, and this with it
    with suppress(*LOST):
        pipe.send("ready")
        while True:
            orders, envelope = pipe.recv()
            for order in orders:
                pipe.send((order.key, _attempt(order, envelope)))


def _attempt(order: Order, envelope: Envelope) -> bytes | None:
    try:
        return written(order, envelope)
    except Exception:  # noqa: BLE001
        return None  # the sender meets it when its turn comes, and tells of it
