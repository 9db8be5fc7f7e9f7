"""What a check needs, what becomes of it, and what the checks of one round share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError
from connectors.http import Meter
from monitor.model import Account, AgencyKind, Cause
from monitor.poll.pacing import Pacing, Plan
from monitor.rules.rule import RuleSet
from monitor.settings import Polling
from monitor.store.accounts import Claimed
from monitor.store.database import Database, explained
from monitor.store.history import Fired, Unsaved
from monitor.store.posts import Saved

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """What a check needs. `clock` is the present; `stop` asks for an end between pages; `on_page` is told of each."""

    db: Database
    connectors: Mapping[str, Connector]
    rules: Callable[[], RuleSet]
    agency_kinds: Callable[[], Mapping[str, AgencyKind]]
    polling: Polling
    clock: Callable[[], datetime]
    stop: threading.Event = field(default_factory=threading.Event)
    on_page: Callable[[], None] = lambda: None
    unsaved: Unsaved = field(default_factory=Unsaved)
    pacing: Pacing = field(default_factory=Pacing)
    meters: Mapping[str, Meter] = field(default_factory=dict)  # by platform: the calls of its connector

    def plan(self, platform: str, now: datetime) -> Plan:
        """Return how often the platform's accounts are read, and what its budgets leave for more."""
        return self.pacing.plan(self.db, platform, self.polling, now, connector=self.connectors.get(platform))

    def settle(self, platform: str, *, at_once: bool = False) -> None:
        """Write down what was spent on a platform, `at_once` or when it is time again."""
        now = self.clock()
        if at_once or self.pacing.is_time(platform, now):
            self.pacing.settle(self.db, platform, self.connectors[platform], self.meters.get(platform), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One account's turn to be read: by what, in which round, and since when.

    What is published from `now` on is the next turn's.
    """

    poller: Poller
    connector: Connector
    claimed: Claimed
    gate: Round
    now: datetime

    @property
    def account(self) -> Account:
        return self.claimed.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one account's check. `failure` is a sentence for people; None when all went well."""

    account: Account
    saved: Saved
    failure: str | None = None
    cause: Cause | None = None
    degraded: bool = False
    asked: bool = True  # False: not a single call was made, the platform is shut


def told(checked: Checked) -> None:
    """Log a check that went well."""
    saved = checked.saved
    log.info("checked", account=checked.account.label, new=saved.new, edited=saved.edited, alerts=len(saved.alerts))


class Stopped(Exception):
    """Pantau is asked to end between two pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Why something was not read."""

    cause: Cause
    words: str
    retry_at: datetime | None = None


def word_of(error: ConnectorError) -> Word:
    return Word(cause=error.cause, words=str(error), retry_at=error.retry_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A checked account whose known posts are still to be looked at again, and what its check was `shown`."""

    claimed: Claimed
    now: datetime
    shown: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Round:
    """Shared by the checks of one round: once the platform refuses as a whole, nobody asks it again."""

    everything: bool
    refusal: Word | None = None  # its words name no account: each of the platform's meets it
    heard: bool = False  # the platform itself has said so in this round
    proven: bool = False  # an answer has shown that the credential is good
    unstored: bool = False  # the database failed: what is fetched from here on could not be kept
    fired: list[Fired] = field(default_factory=list)  # posts whose text stands elsewhere too, by a rule's word
    deferred: list[Deferred] = field(default_factory=list)  # known posts to be looked at again with those of others

    def note(self, error: ConnectorError, *, met_by: str) -> None:
        """Keep an error that the next account would meet as well."""
        if error.whole_platform:
            self.refusal = replace(word_of(error), words=str(error).removeprefix(f"{met_by}: "))
            self.heard = True


Report = Callable[[Checked], None]


class InternalError(ConnectorError):
    """A mistake of Pantau's own; the traceback is in the log."""

    cause = Cause.INTERNAL

    def __init__(self) -> None:
        super().__init__("Pantau itself failed here; the log has the traceback")


class StorageFailedError(ConnectorError):
    """The database could not keep what was read: a full disk, a lock, a server that is gone."""

    cause = Cause.INTERNAL

    def __init__(self, error: OperationalError) -> None:
        super().__init__(explained(error))
