"""Pictures and documents of stored posts: fetch → read → evaluate → save. The findings join the post's alert."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import requests
import structlog

from connectors import http
from connectors.base import AddressRefused
from monitor import media, work
from monitor.model import AgencyKind, Subject
from monitor.poll.judging import storable, verdict
from monitor.rules.rule import RuleSet
from monitor.store.database import Database
from monitor.store.media import Waiting, save_read, save_unreadable, waiting_media

log = structlog.get_logger(__name__)

RETRY = timedelta(minutes=10)
BATCH = 50
WORKERS = 2  # that fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReader:
    """What reading media needs. `session` obeys the address guard: a post may point anywhere."""

    db: Database
    session: requests.Session
    rules: Callable[[], RuleSet]
    agency_kinds: Callable[[], Mapping[str, AgencyKind]]
    clock: Callable[[], datetime]
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, kw_only=True)
class MediaRead:
    read: int = 0
    unreadable: int = 0
    alerts: set[int] = field(default_factory=set)


def read_waiting(reader: MediaReader, *, workers: int = WORKERS) -> MediaRead:
    """Read what waits, until nothing is due. A file that cannot be read is recorded with the reason; others flow.

    `workers` threads fetch; one process reads, started for the first file and ended here.
    """
    with media.Worker() as worker:
        return _read_all(reader, worker, workers)


def _read_all(reader: MediaReader, worker: media.Worker, workers: int) -> MediaRead:
    total = MediaRead()
    while not reader.stop.is_set():
        batch = waiting_media(reader.db, now=reader.clock(), limit=BATCH)
        if not batch:
            break
        jobs = [partial(_one, reader, worker, item) for item in batch]
        for alert_id, outcome in work.run(jobs, workers=workers, name="media"):
            total.read += outcome is True
            total.unreadable += outcome is False
            if alert_id is not None:
                total.alerts.add(alert_id)
    return total


def _one(reader: MediaReader, worker: media.Worker, item: Waiting) -> tuple[int | None, bool | None]:
    """Return the alert, and whether the medium could be read: None when the program ended before that was known."""
    if reader.stop.is_set():
        return None, None
    try:
        data, content_type = _fetch(reader.session, item.url)
        reading = worker.read(data, content_type=content_type, name=urlsplit(item.url).path, stopped=reader.stop.is_set)
    except media.Stopped:
        return None, None
    except (_Passing, media.WorkerDown) as error:
        save_unreadable(reader.db, item, str(error), retry_at=reader.clock() + RETRY)
        return None, False
    except media.Unreadable as error:
        save_unreadable(reader.db, item, str(error), retry_at=None)
        log.info("medium unreadable", account=item.account.label, field=item.field, reason=str(error))
        return None, False
    except Exception as error:
        log.exception("medium failed", account=item.account.label, field=item.field)
        save_unreadable(reader.db, item, f"internal error: {type(error).__name__}", retry_at=None)
        return None, False
    return _judge(reader, item, reading), True


def _judge(reader: MediaReader, item: Waiting, reading: media.Reading) -> int | None:
    rules = reader.rules()
    text = storable(reading.text)
    subject = Subject(
        fields={item.field: text},
        platform=item.account.platform,
        agency=item.account.agency,
        agency_kind=reader.agency_kinds().get(item.account.agency),
        language=item.language,
        published_at=item.published_at,
    )
    findings, error = verdict(rules, subject)
    now = reader.clock()
    return save_read(
        reader.db, item, text, findings, rule_set=rules.hash, now=now, error=error, left_out=reading.left_out
    )


class _Passing(Exception):
    """A fetch that may succeed later."""


def _fetch(session: requests.Session, url: str) -> tuple[bytes, str]:
    """Return a file's bytes and content type. Raises _Passing, or Unreadable when trying again is useless."""
    try:
        response = session.get(url)
    except requests.RequestException as error:
        reason = str(http.failure(error, what="the file"))
        if isinstance(http.failure(error, what=""), AddressRefused):
            raise media.Unreadable(reason) from None
        raise _Passing(reason) from None
    if response.status_code in {404, 410}:
        raise media.Unreadable(f"the file is gone (HTTP {response.status_code})")
    if response.status_code != requests.codes.ok:
        raise _Passing(f"the file is not served (HTTP {response.status_code})")
    return response.content, response.headers.get("Content-Type", "")
