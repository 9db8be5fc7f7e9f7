"""The service: a configuration at work on its database. The only place that builds things."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parseaddr

import connectors
from alerts import monthly, seal
from alerts.channel import Channel
from alerts.envelope import Envelope, envelope_of
from alerts.mailbox import BounceReader, Journal
from alerts.outbox import Pace, open_channel
from alerts.policy import Policy, policy_of
from connectors import http
from connectors.base import Bounds, Connector
from monitor.app.reports import report_of_month, report_of_week
from monitor.configuration import Configuration, platform_settings
from monitor.model import Account, Agency
from monitor.poll.poller import Checked, Poller
from monitor.poll_media import MediaReader
from monitor.reports import MonthReport, WeekReport
from monitor.settings import Settings
from monitor.store import in_force
from monitor.store.accounts import release_held
from monitor.store.database import Database, fact, open_database, sole_process
from monitor.store.outbox import release_abandoned
from monitor.store.register import Changes, registered, save_register


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Service:
    """A configuration at work on its database. `configuration` is replaced when register or rules change."""

    configuration: Configuration
    db: Database
    platforms: dict[str, Connector]
    policy: Policy  # for alerts that open from now on; replaced with the configuration
    envelope: Envelope
    channel: Channel
    pace: Pace
    journal: Journal | None
    bounces: BounceReader | None
    installed_at: datetime
    meters: dict[str, http.Meter] = field(default_factory=dict)  # by platform: the calls that were made
    clock: Callable[[], datetime] = utc_now
    stop: threading.Event = field(default_factory=threading.Event)
    on_checked: Callable[[Checked], None] | None = None  # the demo tells its viewer what happens
    on_delivered: Callable[[str], None] | None = None
    troubles: tuple[str, ...] = ()  # what the last audit found; while there are any, the dead-man address is not called

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    def poller(self) -> Poller:
        return Poller(
            db=self.db,
            connectors=self.platforms,
            rules=lambda: self.configuration.rules,
            agency_kinds=lambda: self.configuration.kinds,
            polling=self.settings.polling,
            clock=self.clock,
            stop=self.stop,
            meters=self.meters,
        )

    def media_reader(self) -> MediaReader:
        return MediaReader(
            db=self.db,
            session=http.open_session(network=self.settings.network),
            rules=lambda: self.configuration.rules,
            agency_kinds=lambda: self.configuration.kinds,
            clock=self.clock,
            stop=self.stop,
        )

    def report(self, period: str) -> WeekReport | MonthReport:
        """Return what the digest of a week ("2026-W47") or the letter of a month ("2026-11/KKM") tells of."""
        if monthly.is_letter(period):
            month, _, agency = period.partition("/")
            return report_of_month(self.configuration, self.db, month, agency, now=self.clock())
        return report_of_week(self.configuration, self.db, period, now=self.clock())


@contextmanager
def open_service(
    configuration: Configuration,
    *,
    clock: Callable[[], datetime] = utc_now,
    stop: threading.Event | None = None,
) -> Iterator[Service]:
    """Take the database for this process, bring it up to the register, and build what works on it.

    Raises DatabaseBusyError and DatabaseUnusableError.
    """
    settings = configuration.settings
    path = Database(settings.database.url).path
    with sole_process(path), closing(open_database(settings.database.url)) as db:
        identity = _set_up(db, configuration, now=clock())
        if path is not None:
            release_abandoned(db, clock())
            release_held(db)
        box = settings.mailbox
        meters: dict[str, http.Meter] = {}
        yield Service(
            configuration=configuration,
            db=db,
            platforms=build_connectors(configuration, registered(db), meters),
            meters=meters,
            policy=policy_of(settings, instance=identity.instance, escalation=configuration.escalation),
            envelope=envelope_of(settings, link_key=identity.link_key),
            channel=open_channel(settings.mail),
            pace=Pace(settings.mail.per_minute),
            journal=Journal(box) if box.host and box.journal else None,
            bounces=BounceReader(box, own=(parseaddr(settings.mail.sender)[1],)) if box.host and box.bounces else None,
            installed_at=identity.installed_at,
            clock=clock,
            stop=stop or threading.Event(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """What was written down at the first start of this installation."""

    installed_at: datetime
    instance: str
    link_key: str


def _set_up(db: Database, configuration: Configuration, *, now: datetime) -> _Identity:
    """Bring the database up to the configuration. Alone: several processes may start at once on PostgreSQL."""
    with db.alone():
        fact(db, seal.KEY_FACT, seal.new_key())
        save_register(db, configuration.agencies, configuration.accounts, now=now)
        in_force.note_in_force(db, configuration.rules, configuration.escalation, now=now)
        return _Identity(
            installed_at=datetime.fromisoformat(fact(db, "installed_at", now.isoformat())),
            instance=fact(db, "instance", uuid.uuid4().hex),
            link_key=fact(db, "link_key", secrets.token_hex(32)),
        )


def build_connectors(
    configuration: Configuration, accounts: Sequence[Account], meters: dict[str, http.Meter] | None = None
) -> dict[str, Connector]:
    """Build a connector for each platform that is configured, or that an account of the database is on.

    `meters` gets one for each that had none yet, which counts its calls.
    """
    counted = meters if meters is not None else {}
    settings = configuration.settings
    tables = platform_settings(settings, accounts, []) | dict(configuration.platforms)
    polling = settings.polling
    bounds = Bounds(overlap=polling.overlap, back_catalogue=polling.back_catalogue, live_window=polling.live_window)
    return {
        name: _built(name, table, settings, bounds, counted.setdefault(name, http.Meter()))
        for name, table in tables.items()
    }


def _built(name: str, table: object, settings: Settings, bounds: Bounds, meter: http.Meter) -> Connector:
    """Build a connector. Where the back catalogue is read in slices, a first check reads what is live alone."""
    kind = connectors.load(name)
    walk = replace(bounds, back_catalogue=0) if kind.capabilities.slices else bounds
    connector: Connector = kind(table, http.Metered.of(settings.network, meter), walk)
    return connector


def sync_register(
    settings: Settings, agencies: Sequence[Agency], accounts: Sequence[Account], *, now: datetime, actor: str
) -> Changes:
    """Bring the database up to the register. Raises DatabaseBusyError when a daemon holds it (it reloads by itself)."""
    url = settings.database.url
    with sole_process(Database(url).path), closing(open_database(url)) as db, db.alone():
        return save_register(db, agencies, accounts, now=now, actor=actor)
