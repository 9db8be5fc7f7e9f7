"""The daemon's fixed ticks: one a platform, and the others by their subject."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

import connectors
from monitor.app.daemon import Progress, Tick
from monitor.app.mails import deliver, got_somewhere, plan_due_digest, plan_due_letters, read_bounces
from monitor.app.reload import reload_configuration
from monitor.app.service import Service
from monitor.app.watch import look_at_budgets, look_for_blind, watch_canaries
from monitor.configuration import Configuration, FileWatch
from monitor.deadman import Ping, troubles
from monitor.memory import give_back
from monitor.poll.platform import fill_platform, poll_platform
from monitor.poll.poller import Checked
from monitor.poll_media import read_waiting
from monitor.settings import Retention
from monitor.store import retention
from monitor.store.audit import Watch
from monitor.store.register import platforms_in_use
from monitor.work import LEAST_WORKERS, shares

log = structlog.get_logger(__name__)

AUDIT_EVERY = timedelta(minutes=1)  # at least; far below what the guardian takes for a stall
MEMORY_EVERY = timedelta(minutes=5)
PAST_EVERY = timedelta(seconds=5)  # a slice of the past of a few accounts of a platform
MAILS_AT_ONCE = 250  # after a portion it is planned anew, so that a critical alert waits for few mails
MAILS_WITHIN = timedelta(seconds=10)  # however slow or spaced: far below what the guardian takes for a stall


def ticks(service: Service, progress: Progress) -> list[Tick]:
    """Return the daemon's fixed ticks: one a platform, and the others by their subject."""
    reader = service.media_reader()
    ping = Ping(service.settings.deadman, service.settings.network)
    chain = Watch()
    watch = FileWatch(service.settings.folder, service.configuration.fingerprint)
    second = timedelta(seconds=1)
    return [
        *(
            Tick(name=f"poll:{name}", every=second, body=_polling(service, progress, name))
            for name in sorted(connectors.CONNECTORS)
        ),
        *(
            Tick(name=f"past:{name}", every=PAST_EVERY, body=_filling(service, progress, name))
            for name in sorted(connectors.CONNECTORS)
            if hasattr(connectors.load(name), "backfill")
        ),
        Tick(name="media", every=5 * second, body=lambda: read_waiting(reader)),
        Tick(name="outbox", every=second, body=lambda: _mails(service, progress)),
        Tick(name="mailbox", every=60 * second, body=lambda: read_bounces(service)),
        Tick(name="blind", every=30 * second, body=lambda: look_for_blind(service)),
        Tick(name="digest", every=60 * second, body=lambda: _digest(service)),
        Tick(name="canary", every=5 * second, body=lambda: watch_canaries(service)),
        Tick(
            name="audit",
            every=min(service.settings.deadman.every, AUDIT_EVERY),
            body=lambda: _audit(service, progress, ping, chain),
        ),
        Tick(name="budget", every=60 * second, body=lambda: look_at_budgets(service)),
        Tick(name="purge", every=60 * second, body=lambda: _purge(service, lambda: progress.touch("purge"))),
        Tick(name="reload", every=3 * second, body=lambda: _reload(service, watch)),
        Tick(name="memory", every=MEMORY_EVERY, body=give_back),
    ]


class _Workers:
    """How many workers each platform has, by the accounts of the register in force."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._shares: dict[str, int] = {}
        self._of: Configuration | None = None

    def of(self, platform: str) -> int:
        configuration = self._service.configuration
        if self._of is not configuration:
            in_use = platforms_in_use(configuration.accounts)
            self._shares = shares(in_use, workers=configuration.settings.polling.workers)
            self._of = configuration
        return self._shares.get(platform, LEAST_WORKERS)


def _polling(service: Service, progress: Progress, name: str) -> Callable[[], None]:
    touch = partial(progress.touch, f"poll:{name}")
    poller = replace(service.poller(), on_page=touch)
    workers = _Workers(service)

    def report(checked: Checked) -> None:
        touch()
        if service.on_checked is not None:
            service.on_checked(checked)

    def body() -> None:
        if name in service.platforms:
            poll_platform(poller, name, workers=workers.of(name), report=report)

    return body


def _filling(service: Service, progress: Progress, name: str) -> Callable[[], None]:
    touch = partial(progress.touch, f"past:{name}")
    poller = replace(service.poller(), on_page=touch)

    def body() -> None:
        if name in service.platforms:
            fill_platform(poller, name, report=lambda _: touch())

    return body


def _mails(service: Service, progress: Progress) -> None:
    while not service.stop.is_set():
        sent = deliver(service, limit=MAILS_AT_ONCE, within=MAILS_WITHIN)
        progress.touch("outbox")
        for where in sent.delivered:
            log.info("mail delivered", where=where)
            if service.on_delivered is not None:
                service.on_delivered(where)
        if not got_somewhere(sent):
            break


def _reload(service: Service, watch: FileWatch) -> None:
    if watch.changed():
        reload_configuration(service)
        watch.settle()


def _digest(service: Service) -> None:
    if plan_due_digest(service):
        log.info("weekly digest planned")
    if letters := plan_due_letters(service):
        log.info("monthly letters planned", letters=letters)


def _audit(service: Service, progress: Progress, ping: Ping, chain: Watch) -> None:
    """Look whether all is well, and whether the record of what happened holds; then the dead-man address is called."""
    failing = sorted(progress.failed - {"audit"})
    stalled = progress.stalled()
    found = tuple(troubles(service.db, chain=chain, now=service.clock(), stalled=stalled, failing=failing))
    if found and found != service.troubles:
        log.warning("all is not well: the dead-man address is not called", troubles=found)
    elif service.troubles and not found:
        log.info("all is well again")
    service.troubles = found
    if not found:
        ping.call(steady=time.monotonic())


def _purge(service: Service, touch: Callable[[], None]) -> None:
    """Empty what has grown older than the configuration allows, once a day."""
    kept, now = service.settings.retention, service.clock()
    if kept == Retention() or not retention.is_time(service.db, now=now):
        return
    purged = retention.purge(service.db, kept, now=now, touch=touch, stopped=service.stop.is_set)
    if not purged.more:
        retention.was_done(service.db, now=now)
    if purged.left:
        log.warning("copies of what was purged may still stand in the database file", reason=purged.left)
    log.info("purged", posts=purged.posts, profiles=purged.profiles, mails=purged.mails, entries=purged.entries)
