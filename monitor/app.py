"""Wiring: the only place that builds things, and the fixed ticks of the daemon. It owns the clock."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from importlib.metadata import version

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as TickThreads
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

import connectors
from alerts import digest, monthly, seal
from alerts.channel import Channel
from alerts.compose import Envelope, envelope_of
from alerts.mailbox import BounceReader, Journal, MailboxUnreachable
from alerts.outbox import Pace, Sent, deliver_due, open_channel
from alerts.planning import Grouping, plan_due
from alerts.policy import Policy, plan_digest, policy_of
from connectors import http
from connectors.base import Bounds, Connector, ConnectorError
from monitor import canary, logs
from monitor.configuration import Configuration, FileWatch, platform_settings, read_policy, read_register
from monitor.deadman import Ping, troubles
from monitor.model import Account, Agency, MonthReport, WeekReport
from monitor.poll.backfill import can_backfill
from monitor.poll.platform import fill_platform, poll_platform
from monitor.poll.poller import Checked, Poller
from monitor.poll_media import MediaRead, MediaReader, read_waiting
from monitor.problems import ConfigurationError, Problem
from monitor.rules.load import load_rules
from monitor.settings import Polling, Retention, Settings
from monitor.store import budget as budgets
from monitor.store import in_force, retention
from monitor.store.accounts import (
    held_accounts,
    open_blind_alerts,
    release_held,
    resting_accounts,
    shut_platforms,
)
from monitor.store.audit import Watch
from monitor.store.canaries import asked_canaries, daily_key, has_canary, settle_canaries
from monitor.store.clock import undo_lead
from monitor.store.database import Database, explained, fact, open_database, sole_process
from monitor.store.listings import count_alerts
from monitor.store.outbox import release_abandoned, retry_now, schedule_digest
from monitor.store.register import Changes, list_agencies, platforms_in_use, registered, save_register
from monitor.store.reports import first_registrations, month_report, periods_planned, week_planned, week_report
from monitor.work import LEAST_WORKERS, shares

log = structlog.get_logger(__name__)

MEDIA_WORKERS = 2
GOODBYE_SECONDS = 6.0  # of the ten that the contract allows
CLOCK_STEP = timedelta(seconds=5)  # a larger difference of wall clock and monotonic clock is a step
AUDIT_EVERY = timedelta(minutes=1)  # at least; far below what the guardian takes for a stall
PAST_EVERY = timedelta(seconds=5)  # a slice of the past of a few accounts of a platform
STALLED_AFTER = timedelta(minutes=15)
LONG_PAUSE_SECONDS = 60.0
MINUTES_AT_ONCE = 5  # of mails that mail.per_minute spaces
MAILS_AT_ONCE = 25  # of the daemon: a portion that ends before the guardian loses patience, however slow each mail


def utc_now() -> datetime:
    return datetime.now(UTC)


# ---------------------------------------------------------------- the service


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

    @property
    def patience(self) -> timedelta:
        return patience(self.settings.polling)

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
            return month_of(self.configuration, self.db, month, agency, now=self.clock())
        return report_of(self.configuration, self.db, period, now=self.clock())


def patience(polling: Polling) -> timedelta:
    """Return how long a healthy account may go without a check before that is a gap."""
    return 2 * polling.max_interval


def report_of(configuration: Configuration, db: Database, week: str, *, now: datetime) -> WeekReport:
    start, end = digest.iso_week(week)
    return week_report(
        db,
        week=week,
        start=start,
        end=end,
        now=now,
        patience=patience(configuration.settings.polling),
        degraded=degraded_platforms(registered(db)),
        rule_set=configuration.rules.hash,
    )


def month_of(configuration: Configuration, db: Database, month: str, agency: str, *, now: datetime) -> MonthReport:
    """Raises LookupError for an agency that is not in the register."""
    start, end = monthly.month_of(month)
    return month_report(
        db,
        month=month,
        start=start,
        end=end,
        now=now,
        agency=agency,
        patience=patience(configuration.settings.polling),
        degraded=degraded_platforms(registered(db)),
    )


def degraded_platforms(accounts: Sequence[Account]) -> frozenset[str]:
    used = {account.platform for account in accounts} & connectors.CONNECTORS.keys()
    return frozenset(name for name in used if connectors.load(name).capabilities.degraded)


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
    with sole_process(path):
        db = open_database(settings.database.url)
        try:
            now = clock()
            meters: dict[str, http.Meter] = {}
            with db.alone():
                installed_at = datetime.fromisoformat(fact(db, "installed_at", now.isoformat()))
                instance = fact(db, "instance", uuid.uuid4().hex)
                fact(db, seal.KEY_FACT, seal.new_key())
                link_key = fact(db, "link_key", secrets.token_hex(32))
                save_register(db, configuration.agencies, configuration.accounts, now=now)
                in_force.note_in_force(db, configuration.rules, configuration.escalation, now=now)
            if path is not None:
                release_abandoned(db, now)
                release_held(db)
            yield Service(
                configuration=configuration,
                db=db,
                platforms=build_connectors(configuration, registered(db), meters),
                meters=meters,
                policy=policy_of(settings, instance=instance, escalation=configuration.escalation),
                envelope=envelope_of(settings, link_key=link_key),
                channel=open_channel(settings.mail),
                pace=Pace(settings.mail.per_minute),
                journal=Journal(settings.mailbox) if settings.mailbox.host and settings.mailbox.journal else None,
                bounces=bounce_reader(settings),
                installed_at=installed_at,
                clock=clock,
                stop=stop or threading.Event(),
            )
        finally:
            db.close()


def bounce_reader(settings: Settings) -> BounceReader | None:
    box = settings.mailbox
    return BounceReader(box, own=(parseaddr(settings.mail.sender)[1],)) if box.host and box.bounces else None


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
    with sole_process(Database(url).path):
        db = open_database(url)
        try:
            with db.alone():
                return save_register(db, agencies, accounts, now=now, actor=actor)
        finally:
            db.close()


# ---------------------------------------------------------------- one pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What a whole pass did."""

    checked: tuple[Checked, ...]
    filled: tuple[Checked, ...]  # accounts of which something earlier was to be read
    held: int  # accounts that another process was reading: on PostgreSQL only
    waiting: tuple[str, ...]  # platforms and accounts that said when to come back, and it is not yet that time
    degraded: tuple[str, ...]  # such accounts of a dying platform
    media: MediaRead
    alerts: tuple[int, int]  # opened in this pass, and open in all
    sent: Sent
    digests: int

    @property
    def failures(self) -> list[str]:
        """Return what failed and is not merely a dying platform: the reasons for exit code 1."""
        read = [c.failure for c in (*self.checked, *self.filled) if c.failure and not c.degraded]
        return [*read, *self.waiting, *self.sent.failures]


def once(
    service: Service, *, report: Callable[[Checked], None] | None = None, stage: Callable[[str], None] | None = None
) -> Passed:
    """Make one whole pass: poll what is registered, read media, deliver what is due, retries included."""
    say = stage or (lambda _: None)
    began = service.clock()
    say("reading accounts")
    waiting = _waiting_platforms(service)
    resting, degraded = _resting_accounts(service)
    checked = _poll_all(service, report)
    say("reading earlier posts")
    filled = fill_all(service)
    _look_for_blind(service)
    look_at_budgets(service)
    held = held_accounts(service.db, now=service.clock())
    say("reading pictures and documents")
    read = read_waiting(service.media_reader(), workers=MEDIA_WORKERS)
    say("reading returned mails")
    returned = read_bounces(service)
    say("delivering mails")
    watch_canaries(service)
    retry_now(service.db, service.clock())
    digests = plan_due_digest(service)
    plan_due_letters(service)
    sent = deliver_all(service)
    sent.failures += returned
    watch_canaries(service)
    return Passed(
        checked=tuple(checked),
        filled=tuple(filled),
        held=held,
        waiting=(*waiting.values(), *resting),
        degraded=degraded,
        media=read,
        alerts=count_alerts(service.db, since=began),
        sent=sent,
        digests=digests,
    )


def _waiting_platforms(service: Service) -> dict[str, str]:
    now = service.clock()
    return {
        name: _not_before(name, shut.error, shut.retry_at)
        for name, shut in shut_platforms(service.db).items()
        if name in service.platforms and shut.retry_at is not None and shut.retry_at > now
    }


def _resting_accounts(service: Service) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the accounts that rest by themselves: of living platforms, and of dying ones."""
    resting: list[str] = []
    degraded: list[str] = []
    waiting = _waiting_platforms(service)
    for one in resting_accounts(service.db, now=service.clock()):
        connector = service.platforms.get(one.account.platform)
        if connector is not None and one.account.platform not in waiting:
            told = degraded if connector.capabilities.degraded else resting
            told.append(_not_before(one.account.label, one.error, one.retry_at))
    return tuple(resting), tuple(degraded)


def _not_before(label: str, words: str, at: datetime) -> str:
    named = words if words.startswith(f"{label}:") else f"{label}: {words}"
    return f"{named}; not asked before {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _look_for_blind(service: Service) -> None:
    blind = open_blind_alerts(service.db, now=service.clock(), blind_after=service.settings.polling.blind_after)
    if blind:
        log.warning("accounts rest unread for too long", accounts=blind)


def _poll_all(service: Service, report: Callable[[Checked], None] | None) -> list[Checked]:
    poller = service.poller()
    in_use = platforms_in_use(registered(service.db))
    names = sorted(in_use.keys() & service.platforms.keys())
    if not names:
        return []
    workers = shares(in_use, workers=service.settings.polling.workers)
    with ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="platform") as pool:
        rounds = [
            pool.submit(poll_platform, poller, name, everything=True, workers=workers[name], report=report)
            for name in names
        ]
        return [checked for one in rounds for checked in one.result()]


def fill_all(service: Service) -> list[Checked]:
    """Read what is left of the accounts' past, to its end. Returns what failed, or brought something."""
    poller = service.poller()
    names = [name for name, connector in sorted(service.platforms.items()) if can_backfill(connector)]
    with ThreadPoolExecutor(max_workers=max(1, len(names)), thread_name_prefix="past") as pool:
        rounds = [pool.submit(fill_platform, poller, name, everything=True) for name in names]
        return [filled for one in rounds for filled in one.result()]


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
        if not _got_somewhere(more):
            break
    service.channel.close()
    return total


def _got_somewhere(sent: Sent) -> bool:
    return bool(sent.accepted or sent.dead or sent.cancelled)


def deliver(service: Service, *, limit: int | None = None, at_once: bool = False) -> Sent:
    """Plan and send what is due, at most `limit` mails, until nothing is left or the mail server fails as a whole.

    `at_once`: no alert waits for others that may share its mail.
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
        pace=service.pace,
        journal=service.journal,
    )


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


def look_at_budgets(service: Service) -> None:
    """Ask until when credentials are good, once a day, and warn of what will not last."""
    now = service.clock()
    if budgets.is_time(service.db, now):
        for name, connector in sorted(service.platforms.items()):
            _note_end(service, name, connector, now)
        budgets.was_done(service.db, now)
    expected = budgets.forecasts(service.db, now, longest=service.settings.polling.max_interval)
    noted = budgets.note_forecasts(service.db, expected, now)
    for key in noted.opened:
        log.warning("will not last", budget=key)
    for key in noted.recovered:
        log.info("suffices again", budget=key)


def _note_end(service: Service, name: str, connector: Connector, now: datetime) -> None:
    expires_at = getattr(connector, "expires_at", None)
    if expires_at is None:
        return
    try:
        budgets.save_end(service.db, name, expires_at(), now)
    except ConnectorError as error:  # a refused credential is found, and told, where accounts are read
        log.info("not known until when a credential is good", platform=name, reason=str(error))


def watch_canaries(service: Service) -> None:
    """Begin the canary of the day and those that people asked for, and see what became of the earlier ones."""
    now, rules = service.clock(), service.configuration.rules
    for key in asked_canaries(service.db):
        _began(key, canary.begin(service.db, rules, key, day=None, now=now))
    day = canary.due_day(now, service.settings.canary, not_before=service.installed_at)
    if day is not None and not has_canary(service.db, daily_key(day)):
        _began(daily_key(day), canary.begin(service.db, rules, daily_key(day), day=day, now=now))
    for key in settle_canaries(service.db, now=now):
        log.error("canary missing: its mail was not accepted within an hour", canary=key)


def _began(key: str, judged: canary.Judged | None) -> None:
    if judged is not None and judged.error:
        log.error("canary not found by the live rules", canary=key, reason=judged.error)
    elif judged is not None:
        log.info("canary begun", canary=key, rule=judged.rule)


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


# ---------------------------------------------------------------- the daemon


@dataclass(slots=True)
class Progress:
    """When each tick last got somewhere, on the monotonic clock. A long tick is alive as long as it touches."""

    started: dict[str, float] = field(default_factory=dict)
    touched: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # ticks whose last run ended in an error

    def begin(self, name: str) -> None:
        self.started[name] = self.touched[name] = time.monotonic()

    def touch(self, name: str) -> None:
        self.touched[name] = time.monotonic()

    def end(self, name: str) -> None:
        self.touch(name)
        self.started.pop(name, None)

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
    body: Callable[[], None]


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
            Tick(name=f"past:{name}", every=PAST_EVERY, body=_filling(service, name))
            for name in sorted(connectors.CONNECTORS)
            if hasattr(connectors.load(name), "backfill")
        ),
        Tick(name="media", every=5 * second, body=lambda: _read_media(reader)),
        Tick(name="outbox", every=second, body=lambda: _mails(service, progress)),
        Tick(name="mailbox", every=60 * second, body=lambda: _read_bounces(service)),
        Tick(name="blind", every=30 * second, body=lambda: _look_for_blind(service)),
        Tick(name="digest", every=60 * second, body=lambda: _digest(service)),
        Tick(name="canary", every=5 * second, body=lambda: watch_canaries(service)),
        Tick(
            name="audit",
            every=min(service.settings.deadman.every, AUDIT_EVERY),
            body=lambda: _audit(service, progress, ping, chain),
        ),
        Tick(name="budget", every=60 * second, body=lambda: look_at_budgets(service)),
        Tick(name="purge", every=60 * second, body=lambda: purge_daily(service, lambda: progress.touch("purge"))),
        Tick(name="reload", every=3 * second, body=lambda: _reload(service, watch)),
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
    poller = service.poller()
    workers = _Workers(service)

    def report(checked: Checked) -> None:
        progress.touch(f"poll:{name}")
        if service.on_checked is not None:
            service.on_checked(checked)

    def body() -> None:
        if name in service.platforms:
            poll_platform(poller, name, workers=workers.of(name), report=report)

    return body


def _filling(service: Service, name: str) -> Callable[[], None]:
    poller = service.poller()

    def body() -> None:
        if name in service.platforms:
            fill_platform(poller, name)

    return body


def _mails(service: Service, progress: Progress) -> None:
    while not service.stop.is_set():
        sent = deliver(service, limit=min(MAILS_AT_ONCE, MINUTES_AT_ONCE * service.pace.per_minute or MAILS_AT_ONCE))
        progress.touch("outbox")
        for where in sent.delivered:
            log.info("mail delivered", where=where)
            if service.on_delivered is not None:
                service.on_delivered(where)
        if not _got_somewhere(sent):
            break


def _read_bounces(service: Service) -> None:
    read_bounces(service)  # the log has its failures


def _reload(service: Service, watch: FileWatch) -> None:
    if watch.changed():
        reload_configuration(service)
        watch.settle()


def _read_media(reader: MediaReader) -> None:
    read_waiting(reader, workers=MEDIA_WORKERS)


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


def purge_daily(service: Service, touch: Callable[[], None] = lambda: None) -> None:
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


def reload_configuration(service: Service) -> None:
    """Take over a changed register or changed rules; with any mistake the old ones stay, and the log says so."""
    old = service.configuration
    problems: list[Problem] = []
    agencies, accounts = read_register(old.settings.folder, problems)
    policy = read_policy(old.settings.folder, agencies, problems)
    rules = old.rules
    try:
        rules = load_rules(old.settings.rules_folder, today=service.clock().date(), platforms=connectors.CONNECTORS)
    except ConfigurationError as error:
        problems += error.problems
    platforms = dict(old.platforms)
    if not problems:
        platforms |= platform_settings(old.settings, accounts, problems)
    if problems:
        for problem in problems:
            log.error("configuration not reloaded; the old one stays in force", problem=str(problem))
        return
    service.configuration = Configuration(
        settings=old.settings,
        agencies=tuple(agencies),
        accounts=tuple(accounts),
        rules=rules,
        platforms=platforms,
        escalation=policy,
    )
    service.policy = replace(service.policy, escalation=policy)
    built = build_connectors(service.configuration, accounts, service.meters)
    for name in built.keys() - service.platforms.keys():
        service.platforms[name] = built[name]
    with service.db.alone():
        changes = save_register(service.db, agencies, accounts, now=service.clock())
        in_force.note_in_force(service.db, rules, policy, now=service.clock())
    log.info("configuration reloaded", accounts=len(accounts), rules=len(rules.rules), register_changed=bool(changes))


def guarded(tick: Tick, progress: Progress) -> Callable[[], None]:
    """Return the tick's body so wrapped that nothing it does can end the scheduler."""

    def body() -> None:
        progress.begin(tick.name)
        try:
            tick.body()
        except Exception as error:
            progress.failed.add(tick.name)
            log.exception("tick failed", tick=tick.name)
            logs.report_error(error)
        else:
            progress.failed.discard(tick.name)
        finally:
            progress.end(tick.name)

    return body


def run(service: Service, progress: Progress, *, ready: Callable[[], None] | None = None) -> int:
    """Run the daemon until `service.stop` is set. Returns the exit code: 0, or 1 when a tick has stalled.

    This thread is the guardian: it watches progress, not APScheduler's word for it, and the steps of the wall clock.
    """
    wall, steady = service.clock(), time.monotonic()
    _note_process(service, in_force.STARTED)
    scheduler = _start_scheduler(service, progress)
    if ready is not None:
        ready()
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


def _start_scheduler(service: Service, progress: Progress) -> BackgroundScheduler:
    planned = ticks(service, progress)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": TickThreads(max_workers=len(planned))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = utc_now()
    for tick in planned:
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
