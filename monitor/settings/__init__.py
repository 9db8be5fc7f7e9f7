"""The settings as data: one frozen object, read by `monitor.settings.load`, that everything receives a part of.

Each section of pantau.toml is a class here, and each key a field: its type says how it is read, its default what holds
without it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path

FILE_NAME = "pantau.toml"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHORT_INTERVAL = timedelta(seconds=30)  # of polling: below it platforms may count the pace against us
RECHECK_WAITS = tuple(timedelta(minutes=m) for m in (10, 20, 60, 180, 480, 1440, 2880))  # the last one repeats
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Secret:
    """A value that no log, error or listing may show."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    url: str = "sqlite:///var/pantau.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    transport: str = field(default="folder", metadata={"one_of": ("smtp", "folder")})
    folder: Path = Path("var/mail")
    host: str = ""
    port: int = 587
    security: str = field(default="starttls", metadata={"one_of": ("starttls", "tls", "none")})
    username: str = ""
    password: Secret = field(default_factory=Secret)
    sender: str = "Pantau <pantau@localhost>"
    ca_file: Path | None = None
    post_link: bool = True
    timeout: timedelta = timedelta(seconds=30)
    # Alerts of one account within it share a mail; critical ones never wait.
    group_interval: timedelta = timedelta(seconds=15)
    flood_limit: int = 100  # first mails to one agency within an hour; what comes on top is gathered into one mail
    per_minute: int = 0  # mails at most; 0: as many as the server takes
    certificates: Path | None = None  # a folder of <address>.pem: mails to these recipients are encrypted (S/MIME)
    encrypted_excerpt: str = field(default="none", metadata={"one_of": ("none", "masked")})  # where a rule allows none


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """An IMAP mailbox that gets a copy of every mail (journal) and what comes back (bounces). Off without a host."""

    host: str = ""
    port: int = 993
    security: str = field(default="tls", metadata={"one_of": ("tls", "starttls", "none")})
    username: str = ""
    password: Secret = field(default_factory=Secret)
    ca_file: Path | None = None
    journal: str = ""  # the folder with a copy of every mail; empty: lost answers are not looked up
    bounces: str = "INBOX"
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The daily proof that an alert finds its way. `recipient` empty: to the sender's own address."""

    enabled: bool = True
    at: time = time(7, 30)
    recipient: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadman:
    """An address that is called while all is well, so that somebody outside notices when it is not. Empty: off."""

    url: Secret = field(default_factory=Secret)
    every: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """After how many days the words of posts, mails and audit entries are purged; 0: never. See store/retention.py."""

    post_days: int = 0
    mail_days: int = 0
    audit_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    recipients: tuple[str, ...] = ()
    weekday: str = field(default="mon", metadata={"one_of": WEEKDAYS})
    at: time = time(8, 0)
    language: str = field(default="ms", metadata={"one_of": ("ms", "en")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Monthly:
    """The letter to each head about the own agency, on the first working day of a month."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators:
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    listen: str = "127.0.0.1:8080"
    public_url: str = ""
    link_lifetime: timedelta = timedelta(days=14)  # of the signed links in mails

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    min_interval: timedelta = timedelta(minutes=1)
    max_interval: timedelta = timedelta(minutes=15)
    typical_interval: timedelta | None = None  # on average over the accounts; None: half of max_interval
    workers: int = 32
    live_window: timedelta = timedelta(hours=24)
    overlap: timedelta = timedelta(minutes=10)
    back_catalogue: int = 1000
    recheck_window: timedelta = timedelta(days=7)
    recheck_waits: tuple[timedelta, ...] = RECHECK_WAITS
    recheck_confirm: timedelta = timedelta(minutes=5)
    blind_after: timedelta = timedelta(hours=2)

    @property
    def typical(self) -> timedelta:
        """Return the interval whose number of calls is spread over the accounts."""
        return self.typical_interval or max(self.min_interval, self.max_interval / 2)

    @property
    def patience(self) -> timedelta:
        """Return how long a healthy account may go without a check before that is a gap."""
        return 2 * self.max_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    allow: tuple[IPNetwork, ...] = ()
    timeout: timedelta = timedelta(seconds=20)
    max_bytes: int = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentry:
    dsn: Secret = field(default_factory=Secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    engine: str = field(default="local", metadata={"one_of": ("local",)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    level: str = field(default="info", metadata={"one_of": ("debug", "info", "warning", "error")})
    format: str = field(default="text", metadata={"one_of": ("text", "json")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    slogans: tuple[str, ...] = ("MALAYSIA MADANI", "BERKHIDMAT UNTUK NEGARA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    folder: Path
    source: Path
    database: Database
    mail: Mail
    mailbox: Mailbox
    canary: Canary
    deadman: Deadman
    retention: Retention
    digest: Digest
    monthly: Monthly
    operators: Operators
    web: Web
    polling: Polling
    network: Network
    sentry: Sentry
    work: Work
    log: Log
    letter: Letter
    connectors: Mapping[str, Mapping[str, object]]
    files: Mapping[str, Path]  # by key: the files that the configuration names, such as mail.password_file

    @property
    def register_folder(self) -> Path:
        return self.folder / "register"

    @property
    def rules_folder(self) -> Path:
        return self.folder / "rules"
