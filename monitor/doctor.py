"""`pantau doctor`: tries everything Pantau depends on, and says of each how it is and what to do."""

from __future__ import annotations

import base64
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import requests

from alerts import mailbox, smime
from alerts.channel import DeliveryFailed
from alerts.outbox import open_channel
from connectors import CONNECTORS, http, load
from connectors.base import ConnectorError, ConnectorMisconfigured
from monitor import media
from monitor.app.service import build_connectors, utc_now
from monitor.budget import falls_short, said
from monitor.configuration import Configuration
from monitor.settings import SHORT_INTERVAL
from monitor.store.budget import forecasts
from monitor.store.database import Database, DatabaseUnusableError, open_for_listing
from monitor.store.listings import list_accounts
from monitor.store.media import media_queue

LIBRARIES = ("SQLAlchemy", "APScheduler", "tweepy", "facebook-sdk", "google-re2", "Jinja2", "sentry-sdk", "feedparser")
MEDIA_MODULES = ("pypdfium2", "rapidocr_onnxruntime")
LONG_WAIT = timedelta(hours=1)  # of a picture or document
EXPIRES_SOON = timedelta(days=30)  # of a certificate
RECENTLY = timedelta(days=7)
MOST_REASONS = 3
CLOCK_TOLERANCE = timedelta(minutes=2)
LOW_SPACE_BYTES = 1_000_000_000
BLANK_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAFElEQVR42mP8zwABTAyjjFEGyQwAzx8Bf7QK4E8AAAAASUVORK5CYII="
)  # a white PNG


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that was tried. `state` is "ok", "note" (works, but look at it) or "bad"."""

    state: str
    subject: str
    message: str


def examine(configuration: Configuration) -> Iterator[Found]:
    """Try everything, one after the other; nothing is written and no mail is sent."""
    yield from _database(configuration)
    yield _mail(configuration)
    if configuration.settings.mail.certificates is not None:
        yield _certificates(configuration, utc_now())
    yield from _mailbox(configuration)
    yield from _platforms(configuration)
    yield from _others(configuration)
    yield from _budgets(configuration, utc_now())
    yield from _clock(configuration)
    yield _ocr()
    yield from _media(configuration.settings.database.url, utc_now())
    yield _versions()
    if configuration.settings.polling.min_interval < SHORT_INTERVAL:
        yield Found(state="note", subject="polling", message="polling.min_interval is below 30s")


def _database(configuration: Configuration) -> Iterator[Found]:
    url = configuration.settings.database.url
    try:
        db = open_for_listing(url)
    except DatabaseUnusableError as error:
        yield Found(state="bad", subject="database", message=str(error))
        return
    if db is None:
        message = "there is none yet; `pantau once` or `pantau run` makes it"
        yield Found(state="note", subject="database", message=message)
    else:
        with closing(db):
            lines = list_accounts(db)
        failing = sum(line.reading == "failing" for line in lines)
        state = "note" if failing else "ok"
        yield Found(state=state, subject="database", message=f"{len(lines)} accounts, {failing} of them failing")
    path = Database(url).path
    if path is not None:
        yield _disk(path)


def _disk(database: Path) -> Found:
    place = next(folder for folder in database.parents if folder.exists())
    unwritable = [one for one in (place, database) if one.exists() and not os.access(one, os.W_OK)]
    if unwritable:
        message = f"{unwritable[0]}: Pantau's user may not write here; give it the right, or move database.url"
        return Found(state="bad", subject="disk", message=message)
    free = shutil.disk_usage(place).free
    state = "bad" if free < LOW_SPACE_BYTES else "ok"
    return Found(state=state, subject="disk", message=f"{free / 1e9:.1f} GB free at {place}")


@contextmanager
def _reading(url: str) -> Iterator[Database | None]:
    """Open the database where there is one; one in trouble is the first line's matter, and nobody else's."""
    try:
        db = open_for_listing(url)
    except DatabaseUnusableError:
        db = None
    with nullcontext() if db is None else closing(db):
        yield db


def _mailbox(configuration: Configuration) -> Iterator[Found]:
    box = configuration.settings.mailbox
    if not box.host:
        message = "none is configured: lost answers and returned mails go unnoticed (README, [mailbox])"
        if configuration.settings.mail.transport == "smtp":
            yield Found(state="note", subject="mailbox", message=message)
        return
    try:
        yield Found(state="ok", subject="mailbox", message=mailbox.check(box))
    except mailbox.MailboxUnreachable as error:
        yield Found(state="bad", subject="mailbox", message=str(error))


def _mail(configuration: Configuration) -> Found:
    channel = open_channel(configuration.settings.mail)
    try:
        return Found(state="ok", subject="mail", message=channel.check())
    except DeliveryFailed as error:
        return Found(state="bad", subject="mail", message=str(error))


def _certificates(configuration: Configuration, now: datetime) -> Found:
    """Tell for whom mails are encrypted, and whose certificate runs out soon."""
    until = list(smime.read_certificates(configuration.settings.mail.certificates).until())
    message = f"mails to {len(until)} addresses are encrypted"
    soon = [f"{address} until {end:%Y-%m-%d}" for address, end in until if end - now < EXPIRES_SOON]
    if soon:
        message += f"; renew soon: {', '.join(soon)}"
    return Found(state="note" if soon else "ok", subject="certificates", message=message)


def _platforms(configuration: Configuration) -> Iterator[Found]:
    used = {account.platform for account in configuration.accounts}
    for name, connector in sorted(build_connectors(configuration, []).items()):
        try:
            message = connector.check()
            state = "note" if connector.capabilities.degraded else "ok"
        except ConnectorError as error:
            needed = f". Needed: {connector.obtain}" if isinstance(error, ConnectorMisconfigured) else ""
            message = f"{error}{needed}"
            state = "note" if name not in used or connector.capabilities.degraded else "bad"
        yield Found(state=state, subject=name, message=message.removeprefix(f"{name}: "))


def _others(configuration: Configuration) -> Iterator[Found]:
    """Tell what it would take to read the platforms that are neither registered nor configured."""
    for name in sorted(CONNECTORS.keys() - configuration.platforms.keys()):
        yield Found(state="note", subject=name, message=f"not used. Needed: {load(name).obtain}")


def _budgets(configuration: Configuration, now: datetime) -> Iterator[Found]:
    """Tell how budgets and credentials will last."""
    settings = configuration.settings
    with _reading(settings.database.url) as db:
        expected = forecasts(db, now, longest=settings.polling.max_interval) if db is not None else []
    for one in expected:
        state = "note" if falls_short(one, now) else "ok"
        yield Found(state=state, subject=one.platform, message=said(one))


def _clock(configuration: Configuration, now: Callable[[], datetime] = utc_now) -> Iterator[Found]:
    """Compare with the clock of a configured platform: mails and coverage are only as right as the clock."""
    for name, table in configuration.platforms.items():
        base_url = getattr(table, "base_url", "")
        if not base_url:
            continue
        try:
            answer = http.open_session(base_url=base_url, network=configuration.settings.network).get(base_url)
            theirs = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
        except (requests.RequestException, KeyError, ValueError):
            continue
        off = abs(theirs - now())
        far = off > CLOCK_TOLERANCE
        message = f"{off.total_seconds():.0f} s from that of {name}{'; set it by NTP' if far else ''}"
        yield Found(state="bad" if far else "ok", subject="clock", message=message)
        return
    yield Found(state="note", subject="clock", message=f"{now():%Y-%m-%d %H:%M:%S} UTC; no platform to compare with")


def _ocr() -> Found:
    """Read one picture in a process of its own, as the daemon does."""
    missing = [name for name in MEDIA_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        return Found(
            state="note",
            subject="pictures",
            message="pictures and documents are not read: `pip install 'pantau[media]'` adds that",
        )
    try:
        with media.Worker() as worker:
            worker.read(BLANK_PICTURE)
    except (media.WorkerDown, media.Unreadable) as error:
        return Found(state="bad", subject="pictures", message=f"no picture can be read: {error}")
    return Found(state="ok", subject="pictures", message="pictures, PDF and Office files can be read")


def _media(url: str, now: datetime) -> Iterator[Found]:
    """Tell what waits to be read and what could not be."""
    with _reading(url) as db:
        queue = media_queue(db, after=now - RECENTLY) if db is not None else None
    if queue is None:
        return
    late = queue.since is not None and now - queue.since > LONG_WAIT
    message = f"{queue.waiting} wait to be read"
    if queue.since is not None:
        message += f", the oldest for {_roughly(now - queue.since)}"
    if queue.unreadable:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in list(queue.unreadable.items())[:MOST_REASONS])
        message += f"; {sum(queue.unreadable.values())} of the last {RECENTLY.days} days could not be read: {reasons}"
    yield Found(state="note" if late else "ok", subject="media", message=message)


def _roughly(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"


def _versions() -> Found:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Found(state="bad", subject="libraries", message=f"{name} is not installed")
    return Found(state="ok", subject="libraries", message=", ".join(found))
