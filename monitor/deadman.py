"""The dead-man ping: an address outside is called while all is well, so that somebody notices when it is not.

What "well" means is looked at each time, and any doubt keeps the call back: a false alarm is looked into, a false calm
is not. The call itself never disturbs anything: whatever becomes of it is a log line.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import requests
import structlog

from connectors import http
from monitor.settings import Deadman, Network
from monitor.store.audit import Watch
from monitor.store.canaries import missing_canary
from monitor.store.database import Database
from monitor.store.watch import idle_alerts, mail_stuck_since

log = structlog.get_logger(__name__)

PATIENCE = timedelta(hours=1)
ROOM = 100_000_000  # bytes that must be free beside the database
SECONDS = 10.0
SHOWN = 3


def troubles(
    db: Database, *, chain: Watch, now: datetime, stalled: Sequence[str] = (), failing: Sequence[str] = ()
) -> list[str]:
    """Return what is not as it should be, in sentences without people or words of posts; empty: all is well."""
    found = [f"no progress: {name}" for name in stalled] + [f"fails: {name}" for name in failing]
    return [*found, *_of_the_database(db, chain, now), *_of_the_disk(db.path)]


def _of_the_database(db: Database, chain: Watch, now: datetime) -> Iterator[str]:
    if broken := chain.look(db, now=now):
        yield f"the record of what happened does not hold: {broken.words}; `pantau audit verify`"
    if idle := idle_alerts(db, now=now, patience=PATIENCE):
        more = f" and {len(idle) - SHOWN} more" if len(idle) > SHOWN else ""
        yield f"alerts that nobody acts on: {', '.join(idle[:SHOWN])}{more}"
    if since := mail_stuck_since(db, now=now, patience=PATIENCE):
        yield f"mail waits since {since:%Y-%m-%d %H:%M} UTC, and none leaves"
    if day := missing_canary(db, now=now):
        yield f"the canary of {day} is missing"


def _of_the_disk(path: Path | None) -> Iterator[str]:
    if path is not None and (free := shutil.disk_usage(path.parent).free) < ROOM:
        yield f"the disk is full: {free / 1e6:.0f} MB free at {path.parent}"


class Ping:
    """Calls the address, once each `every`. `steady` are seconds of a clock that nobody sets.

    A call that was lost is made again at the next look: what listens outside counts the minutes. The log tells of the
    first of several that fail alike, and of the first that succeeds again.
    """

    def __init__(self, deadman: Deadman, network: Network) -> None:
        self._url = deadman.url.reveal()
        self._every = deadman.every.total_seconds()
        self._heard: float | None = None
        self._failure = ""
        self._session = http.open_session(base_url=self._url, network=network, credential=True)

    def call(self, *, steady: float) -> None:
        """Say that all is well, when it is time to. Never raises; the log never holds the address."""
        if not self._url or (self._heard is not None and steady - self._heard < self._every):
            return
        failure = self._called()
        if not failure:
            self._heard = steady
        if failure and failure != self._failure:
            log.warning("the dead-man call failed", reason=failure)
        elif self._failure and not failure:
            log.info("the dead-man call succeeds again")
        self._failure = failure

    def _called(self) -> str:
        """Return why the call failed; empty when it was heard."""
        try:
            with self._session.get(self._url, timeout=(SECONDS, SECONDS), stream=True) as answer:
                refused = answer.status_code >= requests.codes.bad_request
                return f"deadman.url: the server answered HTTP {answer.status_code}" if refused else ""
        except requests.RequestException as error:
            return str(http.failure(error, what="deadman.url"))
