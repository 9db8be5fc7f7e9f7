"""The daemon: runs its ticks at their times, and watches whether each gets somewhere."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as TickThreads
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from monitor import logs
from monitor.app.service import Service, utc_now
from monitor.store import in_force
from monitor.store.clock import undo_lead
from monitor.store.database import explained

log = structlog.get_logger(__name__)

GOODBYE_SECONDS = 6.0  # of the ten that the contract allows
CLOCK_STEP = timedelta(seconds=5)  # a larger difference of wall clock and monotonic clock is a step
STALLED_AFTER = timedelta(minutes=15)
LONG_PAUSE_SECONDS = 60.0
SAID_AGAIN_SECONDS = 60.0  # a database that goes on failing is told of so often: the log may lie on the full disk


@dataclass(slots=True)
class Progress:
    """When each tick last got somewhere, on the monotonic clock. A long tick is alive as long as it touches."""

    started: dict[str, float] = field(default_factory=dict)
    touched: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # ticks whose last run ended in an error
    said: dict[str, tuple[str, float]] = field(default_factory=dict)  # each tick's failure that was last told, and when

    def begin(self, name: str) -> None:
        self.started[name] = self.touched[name] = time.monotonic()

    def touch(self, name: str) -> None:
        self.touched[name] = time.monotonic()

    def end(self, name: str) -> None:
        self.touch(name)
        self.started.pop(name, None)

    def is_news(self, name: str, reason: str) -> bool:
        """Tell whether a tick's failure for this reason is to be told, and take it as told."""
        now = time.monotonic()
        known, at = self.said.get(name, ("", now))
        if known == reason and now - at < SAID_AGAIN_SECONDS:
            return False
        self.said[name] = reason, now
        return True

    def forgive(self) -> None:
        for name in self.touched:
            self.touch(name)

    def stalled(self, limit: timedelta = STALLED_AFTER) -> list[str]:
        """Return the ticks that got nowhere for `limit`, whether stuck inside or never started again."""
        oldest = time.monotonic() - limit.total_seconds()
        return sorted(name for name, at in self.touched.items() if at < oldest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    name: str
    every: timedelta
    body: Callable[[], object]


def guarded(tick: Tick, progress: Progress) -> Callable[[], None]:
    """Return the tick's body so wrapped that nothing it does can end the scheduler."""

    def body() -> None:
        progress.begin(tick.name)
        try:
            tick.body()
        except OperationalError as error:  # a full disk, a lost server: what it says helps, not where it was raised
            progress.failed.add(tick.name)
            if progress.is_news(tick.name, reason := explained(error)):
                log.error("tick failed", tick=tick.name, reason=reason)  # noqa: TRY400 (the traceback follows)
                log.debug("where the tick failed", tick=tick.name, exc_info=True)
                logs.report_error(error)
        except Exception as error:
            progress.failed.add(tick.name)
            log.exception("tick failed", tick=tick.name)
            logs.report_error(error)
        else:
            progress.failed.discard(tick.name)
        finally:
            progress.end(tick.name)

    return body


def run(service: Service, ticks: Sequence[Tick], progress: Progress) -> int:
    """Run the daemon until `service.stop` is set. Returns the exit code: 0, or 1 when a tick has stalled.

    This thread is the guardian: it watches progress, not APScheduler's word for it, and the steps of the wall clock.
    """
    wall, steady = service.clock(), time.monotonic()
    _note_process(service, in_force.STARTED)
    scheduler = _start_scheduler(ticks, progress)
    log.info("started", version=version("pantau"), accounts=len(service.configuration.accounts))
    code = 0
    while not service.stop.wait(1.0):
        if time.monotonic() - steady > LONG_PAUSE_SECONDS:
            progress.forgive()  # the whole process was stopped (SIGSTOP, a frozen machine), not a tick
        wall, steady = _mend_clock_step(scheduler, service, wall, steady)
        if stalled := progress.stalled():
            log.critical("no progress; ending, so that the supervisor starts Pantau anew", ticks=stalled)
            code = 1
            service.stop.set()
    if _say_goodbye(scheduler, service, progress):  # else a tick may hold the database
        _note_process(service, in_force.STOPPED, code=code)
    return code


def _note_process(service: Service, event: str, **facts: object) -> None:
    """Write the start or the end into the audit. A full disk must keep no daemon from starting or ending."""
    try:
        in_force.note_process(service.db, event, now=service.clock(), version=version("pantau"), **facts)
    except SQLAlchemyError as error:
        log.warning("not in the audit", what=event, reason=explained(error))


def _start_scheduler(ticks: Sequence[Tick], progress: Progress) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": TickThreads(max_workers=len(ticks))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = utc_now()
    for tick in ticks:
        progress.touch(tick.name)
        seconds = tick.every.total_seconds()
        scheduler.add_job(guarded(tick, progress), "interval", seconds=seconds, id=tick.name, next_run_time=now)
    scheduler.start()
    return scheduler


def _mend_clock_step(
    scheduler: BackgroundScheduler, service: Service, wall: datetime, steady: float
) -> tuple[datetime, float]:
    """Make every tick due at once after the wall clock was set: APScheduler would wait for the old time to return."""
    present, now = service.clock(), time.monotonic()
    step = (present - wall) - timedelta(seconds=now - steady)
    if abs(step) > CLOCK_STEP:
        log.warning("the clock was set", was=wall.isoformat(), now=present.isoformat())
        if step < timedelta():
            _undo_lead(service, -step)
        for job in scheduler.get_jobs():
            job.modify(next_run_time=utc_now())
    return present, now


def _undo_lead(service: Service, step: timedelta) -> None:
    """What cannot be written (a lock, a full disk) stays as it is: those steps come later, and come."""
    try:
        undo_lead(service.db, step=step, now=service.clock())
    except SQLAlchemyError as error:
        log.warning("steps planned by the wrong clock were not brought forward", reason=explained(error))


def _say_goodbye(scheduler: BackgroundScheduler, service: Service, progress: Progress) -> bool:
    """Let the jobs in hand finish for a few seconds; what is cut off then is begun again at the next start.

    Returns whether all of them did.
    """
    scheduler.pause()
    deadline = time.monotonic() + GOODBYE_SECONDS
    while progress.started and time.monotonic() < deadline:
        time.sleep(0.05)
    cut = sorted(progress.started)
    if cut:
        log.warning("ended with work in hand; it is begun again at the next start", ticks=cut)
    else:
        scheduler.shutdown(wait=False)
        service.channel.close()
    log.info("stopped")
    return not cut


def end_process(code: int) -> None:
    """End now, whatever threads still wait for an answer: SIGKILL is survived, and so is this."""
    logging.shutdown()
    os._exit(code)
