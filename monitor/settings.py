"""The only reader of configuration files and of the environment: pantau.toml + PANTAU_… + secret files → one object.

Every mistake is reported at once, with file, key and remedy. Relative paths are relative to the folder of pantau.toml.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from monitor.problems import ConfigurationError, Problem, suggestion

FILE_NAME = "pantau.toml"
PREFIX = "PANTAU_"
NOT_SETTINGS = frozenset({"PANTAU_CONFIG"})  # read by the command line
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RECHECK_WAITS = tuple(timedelta(minutes=m) for m in (10, 20, 60, 180, 480, 1440, 2880))  # the last one repeats
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


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
    workers: int = 16
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
    digest: Digest
    monthly: Monthly
    canary: Canary
    deadman: Deadman
    retention: Retention
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


SECTIONS: Mapping[str, type[Any]] = {
    "database": Database,
    "mail": Mail,
    "mailbox": Mailbox,
    "canary": Canary,
    "deadman": Deadman,
    "retention": Retention,
    "digest": Digest,
    "monthly": Monthly,
    "operators": Operators,
    "web": Web,
    "polling": Polling,
    "network": Network,
    "sentry": Sentry,
    "work": Work,
    "log": Log,
    "letter": Letter,
}
LEAST_BYTES = 100_000
LONGEST_DAYS_KEPT = 36_500
LEAST_DAYS_KEPT = 35  # a rule may look back 31 days for the same text, and a month's letter tells of its audit entries
DURATION_FLOOR, DURATION_CEILING = timedelta(seconds=1), timedelta(days=3650)


def duration(text: str) -> timedelta:
    """Read "90s", "15m", "24h" or "7d". Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    if match is None:
        raise ValueError(f'\'{text}\': expected a duration such as "30s", "15m", "24h" or "7d"')
    number = min(float(match[1]), 9e8)  # far above the ceiling, and just below where Python gives up
    value = timedelta(**{UNITS[match[2]]: number})
    if not DURATION_FLOOR <= value <= DURATION_CEILING:
        raise ValueError("a duration is at least 1s and at most 3650d")
    return value


def shown_duration(length: timedelta) -> str:
    """Return a duration as `duration` reads it, in the largest unit that it is whole in."""
    unit = next((name for name in "dhm" if not length % timedelta(**{UNITS[name]: 1})), "s")
    return f"{length / timedelta(**{UNITS[unit]: 1}):.15g}{unit}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    if "\r" in value or "\n" in value:
        raise ValueError("a line break is not allowed here")
    return value


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d+", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("expected a whole number")
    if value < 0:
        raise ValueError("a negative number makes no sense here")
    return value


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false", "1", "0", "yes", "no"}:
        return value.lower() in {"true", "1", "yes"}
    raise TypeError("expected true or false")


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(_text(part) for part in value)
    raise TypeError("expected a list of texts")


def _clock(value: object) -> time:
    if isinstance(value, time):
        return value
    try:
        return time.fromisoformat(_text(value))
    except ValueError:
        raise ValueError('expected a time of day such as "08:00"') from None


def _spans(value: object) -> tuple[timedelta, ...]:
    found = tuple(duration(part) for part in _texts(value))
    if not found:
        raise ValueError('expected at least one duration, such as ["10m", "1h", "1d"]')
    return found


def _networks(value: object) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in _texts(value))
    except ValueError as error:
        raise ValueError(f'expected networks such as "10.1.0.0/16" ({error})') from None


def _span(value: object) -> timedelta:
    return duration(_text(value))


READERS: Mapping[Any, Callable[[object], Any]] = {
    str: _text,
    int: _whole,
    bool: _switch,
    timedelta: _span,
    timedelta | None: _span,
    time: _clock,
    tuple[str, ...]: _texts,
    tuple[timedelta, ...]: _spans,
    tuple[IPNetwork, ...]: _networks,
}


def read_section(
    cls: type[T], table: Mapping[str, object], *, file: str, place: str, folder: Path
) -> tuple[T | None, list[Problem]]:
    """Read a table into a frozen dataclass by its field types.

    Types: str, int, bool, timedelta ("15m"), time ("08:00"), Path (resolved against `folder`), Secret (also as
    `<key>_file`), tuple[str, …]. Returns (None, problems) when anything is wrong; all of it is reported.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # any dataclass, as documented
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    secret_files = {f"{name}_file": name for name, hint in hints.items() if hint is Secret}
    for key, raw in table.items():
        where = f"{place}.{key}"
        try:
            if key in secret_files:
                if secret_files[key] in table:
                    raise ValueError(f"{secret_files[key]} is given as well; keep one of the two")
                values[secret_files[key]] = _secret_file(raw, folder)
            elif key in fields:
                values[key] = _value(hints[key], raw, folder, fields[key].metadata)
            else:
                known = sorted(fields.keys() | secret_files.keys())
                raise KeyError(f"unknown key{suggestion(key, known)}")
        except (TypeError, ValueError, KeyError) as error:
            found = f', found "{raw}"' if isinstance(error, TypeError) else ""
            problems.append(Problem(file=file, place=where, message=f"{error.args[0]}{found}"))
    problems += [
        Problem(file=file, place=f"{place}.{name}", message="is missing")
        for name, f in fields.items()
        if name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and not any(p.place == f"{place}.{name}" for p in problems)
    ]
    for name, f in fields.items():  # a folder that is not named lies beside those that are
        if name not in values and isinstance(f.default, Path):
            values[name] = (folder / f.default).resolve()
    return (None, problems) if problems else (cls(**values), [])


def _value(hint: Any, raw: object, folder: Path, metadata: Mapping[str, Any]) -> Any:
    if hint is Secret:
        return raw if isinstance(raw, Secret) else Secret(_text(raw))
    if hint is Path or (isinstance(hint, types.UnionType) and Path in typing.get_args(hint)):
        return (folder / Path(_text(raw)).expanduser()).resolve()
    value = READERS[hint](raw)
    allowed = metadata.get("one_of")
    if allowed and value not in allowed:
        raise ValueError(f"'{value}': unknown{suggestion(str(value), allowed)}")
    return value


def _secret_file(raw: object, folder: Path) -> Secret:
    path = (folder / Path(_text(raw)).expanduser()).resolve()
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); write the secret into this file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not text; write the secret into this file as UTF-8") from None
    if not value:
        raise ValueError(f"{path}: is empty; write the secret into this file")
    if len(value.splitlines()) > 1:
        raise ValueError(f"{path}: has several lines; write the secret alone into this file")
    return Secret(value)


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Read `folder`/pantau.toml and the PANTAU_… variables. Raises ConfigurationError with every problem found."""
    problems: list[Problem] = []
    settings = read_settings(folder, environ, problems)
    if problems:
        raise ConfigurationError(problems)
    return settings


def read_settings(folder: Path, environ: Mapping[str, str], problems: list[Problem]) -> Settings:
    """Return the settings with the defaults in place of what is wrong, which is added to `problems`.

    Raises ConfigurationError when the file as a whole cannot be read.
    """
    folder = folder.resolve()
    source = folder / FILE_NAME
    table = _toml(source)
    _overlay(table, environ, str(source), problems)
    sections: dict[str, Any] = {}
    for name, content in table.items():
        if name != "connectors" and name not in SECTIONS:
            message = f"unknown section{suggestion(name, [*SECTIONS, 'connectors'])}"
            problems.append(Problem(file=str(source), place=name, message=message))
        elif not isinstance(content, dict):
            problems.append(Problem(file=str(source), place=name, message=f"expected a section [{name}]"))
    for name, cls in SECTIONS.items():
        content = table.get(name, {})
        given = content if isinstance(content, dict) else {}
        section, wrong = read_section(cls, given, file=str(source), place=name, folder=folder)
        problems += wrong
        sections[name] = section if section is not None else cls()
    connectors = _connector_tables(table.get("connectors", {}), str(source), problems)
    files = _named_files(table, folder)
    settings = Settings(folder=folder, source=source, connectors=connectors, files=files, **sections)
    settings = _resolved(settings)
    problems += _contradictions(settings)
    return settings


def _toml(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        message = f"there is no configuration here; `pantau init {source.parent}` writes one"
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        message = "is not UTF-8; save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        message = f"is not valid TOML: {error}"
    raise ConfigurationError([Problem(file=str(source), place="", message=message)])


def _overlay(table: dict[str, Any], environ: Mapping[str, str], file: str, problems: list[Problem]) -> None:
    """Lay PANTAU_SECTION__KEY over the file; a secret from one place replaces its twin from the other."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        *path, key = name.removeprefix(PREFIX).lower().split("__")
        known = (len(path) == 1 and path[0] in SECTIONS) or (len(path) == 2 and path[0] == "connectors")
        if not known:
            message = "names no setting; PANTAU_SECTION__KEY with two underscores between, e.g. PANTAU_MAIL__HOST"
            problems.append(Problem(file="environment", place=name, message=message))
            continue
        target = table
        for depth, part in enumerate(path, start=1):
            if not isinstance(target.setdefault(part, {}), dict):
                place = ".".join(path[:depth])
                problems.append(Problem(file=file, place=place, message=f"expected a section [{place}]"))
                target[part] = {}
            target = target[part]
        target.pop(key.removesuffix("_file") if key.endswith("_file") else f"{key}_file", None)
        target[key] = environ[name]


def _connector_tables(content: object, file: str, problems: list[Problem]) -> dict[str, Mapping[str, object]]:
    tables: dict[str, Mapping[str, object]] = {}
    for name, table in content.items() if isinstance(content, dict) else []:
        if isinstance(table, dict):
            tables[name] = table
        else:
            message = f"expected a section [connectors.{name}]"
            problems.append(Problem(file=file, place=f"connectors.{name}", message=message))
    return tables


def _named_files(table: Mapping[str, object], folder: Path, prefix: str = "") -> dict[str, Path]:
    found: dict[str, Path] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _named_files(value, folder, f"{prefix}{key}.")
        elif key.endswith("_file") and isinstance(value, str):
            found[f"{prefix}{key}"] = (folder / Path(value).expanduser()).resolve()
    return found


def _resolved(settings: Settings) -> Settings:
    """Make the paths that are not given as such absolute: the SQLite file, and defaults that were not in the file."""
    url = settings.database.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{(settings.folder / url.removeprefix('sqlite:///')).resolve()}"
    mail = dataclasses.replace(settings.mail, folder=(settings.folder / settings.mail.folder).resolve())
    return dataclasses.replace(settings, database=Database(url=url), mail=mail)


def is_loopback(host: str) -> bool:
    if host.lower() in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_mail_address(text: str) -> bool:
    """Say whether `text` is one bare mail address: local part, "@", domain; no display name, no white space."""
    return bool(re.fullmatch(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,253}", text))


def _contradictions(settings: Settings) -> list[Problem]:
    found = [*_mail_contradictions(settings), *_mailbox_contradictions(settings), *_other_contradictions(settings)]
    return [Problem(file=str(settings.source), place=place, message=message) for place, message in found]


def _mail_contradictions(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    mail = settings.mail
    if mail.transport == "smtp" and not mail.host:
        found.append(("mail.host", 'is needed for transport "smtp"'))
    if mail.transport == "smtp" and mail.security == "none" and mail.host and not is_loopback(mail.host):
        found.append(("mail.security", f'"none" would send in clear to {mail.host}; use "starttls" or "tls"'))
    if not is_mail_address(parseaddr(mail.sender)[1]):
        found.append(("mail.sender", f"'{mail.sender}' holds no mail address; write \"Pantau <pantau@agensi.gov.my>\""))
    if mail.host and not re.fullmatch(r"[\w.-]+|\[?[0-9A-Fa-f:]+\]?", mail.host):
        found.append(("mail.host", f"'{mail.host}': expected the server's name alone; the port goes into mail.port"))
    if mail.ca_file is not None and not mail.ca_file.is_file():
        found.append(("mail.ca_file", f"{mail.ca_file}: is no file; write the authority's certificate (PEM) there"))
    if mail.encrypted_excerpt != "none" and mail.certificates is None:
        found.append(("mail.encrypted_excerpt", "needs mail.certificates: mails are encrypted for nobody so far"))
    if not 0 < mail.port < 65536:
        found.append(("mail.port", "is outside 1 to 65535"))
    for key, addresses in (
        ("digest.recipients", settings.digest.recipients),
        ("operators.recipients", settings.operators.recipients),
        ("canary.recipient", (settings.canary.recipient,) if settings.canary.recipient else ()),
    ):
        found += [(key, f"'{a}' is not a mail address") for a in addresses if not is_mail_address(a)]
    return found


def _mailbox_contradictions(settings: Settings) -> list[tuple[str, str]]:
    box = settings.mailbox
    if not box.host:
        wanted = [key for key in ("journal", "username") if getattr(box, key)]
        return [("mailbox.host", f"is needed for mailbox.{wanted[0]}")] if wanted else []
    found: list[tuple[str, str]] = []
    if box.security == "none" and not is_loopback(box.host):
        found.append(("mailbox.security", f'"none" would sign in in clear at {box.host}; use "tls" or "starttls"'))
    if not box.username or not box.password:
        found.append(("mailbox.username", "and mailbox.password are needed to sign in"))
    if box.ca_file is not None and not box.ca_file.is_file():
        found.append(("mailbox.ca_file", f"{box.ca_file}: is no file; write the authority's certificate (PEM) there"))
    if not 0 < box.port < 65536:
        found.append(("mailbox.port", "is outside 1 to 65535"))
    for key, name in (("mailbox.journal", box.journal), ("mailbox.bounces", box.bounces)):
        if not name.isascii():
            found.append((key, f"'{name}': write the name as the server lists it, in plain ASCII (modified UTF-7)"))
    return found


def _other_contradictions(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    polling, web = settings.polling, settings.web
    if wrong := _database_mistake(settings.database.url):
        found.append(("database.url", wrong))
    if polling.min_interval > polling.max_interval:
        found.append(("polling.min_interval", "is longer than polling.max_interval"))
    if not polling.min_interval <= polling.typical <= max(polling.min_interval, polling.max_interval):
        found.append(("polling.typical_interval", "lies between polling.min_interval and polling.max_interval"))
    if polling.overlap < timedelta(minutes=2):
        found.append(("polling.overlap", "is at least 2m: posts appear late and out of order"))
    found += _retention_mistakes(settings)
    if settings.network.max_bytes < LEAST_BYTES:
        found.append(("network.max_bytes", f"is at least {LEAST_BYTES}: a page of posts must fit"))
    if polling.workers < 1:
        found.append(("polling.workers", "is at least 1"))
    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}", web.listen) or web.port > 65535:
        found.append(("web.listen", f"'{web.listen}': expected host:port, such as \"127.0.0.1:8080\""))
    if (called := settings.deadman.url.reveal()) and not re.match(r"https?://[^\s/?#]+", called):
        found.append(("deadman.url", "expected an address that begins with https://"))
    if web.public_url and (wrong := _public_url_mistake(web.public_url)):
        found.append(("web.public_url", wrong))
    return found


def _public_url_mistake(url: str) -> str:
    """Return what is wrong with the address of the console: the links of mails are made from it, and are a right."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 (reading it is what checks it)
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        return "expected an address that begins with https://"
    if parts.query or parts.fragment or parts.username is not None:
        return "expected an address alone, without user, ? or #"
    if parts.scheme == "http" and not is_loopback(host):
        return "the links of mails, by which alerts are answered, must not travel in clear; use https://"
    return ""


def _retention_mistakes(settings: Settings) -> list[tuple[str, str]]:
    kept = settings.retention
    words = f"is at least {LEAST_DAYS_KEPT}, or 0 to keep them for good"
    days = {"retention.post_days": kept.post_days, "retention.audit_days": kept.audit_days}
    found = [(key, words) for key, number in days.items() if 0 < number < LEAST_DAYS_KEPT]
    if kept.post_days and settings.polling.recheck_window.days >= kept.post_days:
        found.append(("retention.post_days", "is not longer than polling.recheck_window"))
    if max(dataclasses.astuple(kept)) > LONGEST_DAYS_KEPT:
        found.append(("retention", f"holds more than {LONGEST_DAYS_KEPT} days; 0 keeps for good"))
    return found


def _database_mistake(url: str) -> str:
    """Return what is wrong with a database's address; it may hold a password, so it is not repeated."""
    if re.fullmatch(r"sqlite:///[^?]*[^/?:]", url) and not url.endswith(":memory:"):
        return ""
    if re.match(r"postgres(ql)?(\+psycopg)?://", url):
        try:
            urlsplit(url).port  # noqa: B018 (reading it is what checks it)
        except ValueError:
            return "has a port that is no number from 0 to 65535"
        return ""
    return 'expected "sqlite:///var/pantau.db" or "postgresql://user@host/pantau"'


def _canary_line(settings: Settings) -> str:
    canary = settings.canary
    to = canary.recipient or parseaddr(settings.mail.sender)[1]
    return f"every day at {canary.at:%H:%M} to {to}" if canary.enabled else "off"


def summary(settings: Settings) -> list[tuple[str, str]]:
    """Return the settings a person wants to verify, resolved; secrets only as "set" or "not set"."""
    mail = settings.mail
    where = str(mail.folder) if mail.transport == "folder" else f"{mail.host}:{mail.port} ({mail.security})"
    database = re.sub(r"//([^:/@]+):[^@]*@", r"//\1:…@", settings.database.url)
    return [
        ("configuration", str(settings.source)),
        ("register", str(settings.register_folder)),
        ("rules", str(settings.rules_folder)),
        ("database.url", database),
        ("mail", f"{mail.transport}: {where}"),
        ("mail.sender", mail.sender),
        ("mail.password", "set" if mail.password else "not set"),
        ("digest.recipients", ", ".join(settings.digest.recipients) or "nobody"),
        ("operators.recipients", ", ".join(settings.operators.recipients) or "nobody"),
        ("canary", _canary_line(settings)),
        ("deadman.url", "set" if settings.deadman.url else "not set"),
        (
            "polling",
            f"{shown_duration(settings.polling.min_interval)} to {shown_duration(settings.polling.max_interval)}",
        ),
        ("web.listen", settings.web.listen),
        ("web.public_url", settings.web.public_url or "not set: mails carry no link to answer by"),
        ("sentry.dsn", "set" if settings.sentry.dsn else "not set"),
        *((key, str(path)) for key, path in sorted(settings.files.items())),
    ]
