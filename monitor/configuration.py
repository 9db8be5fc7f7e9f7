"""All that files say, in one object: settings, register, rules, and each platform's own settings."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

import connectors
from alerts import smime
from connectors import addresses
from monitor import escalation
from monitor import register as registers
from monitor.escalation import Escalation, read_escalation
from monitor.model import MALAYSIA, Account, AccountStatus, Agency, AgencyKind
from monitor.problems import ConfigurationError, Problem, suggestion
from monitor.rules.load import load_rules
from monitor.rules.rule import RuleSet
from monitor.settings import Secret, Settings
from monitor.settings.load import name_variables, read_settings
from monitor.settings.section import read_section


@dataclass(frozen=True, kw_only=True)  # without slots, for what is found once
class Configuration:
    """A whole configuration, found right."""

    settings: Settings
    agencies: tuple[Agency, ...]
    accounts: tuple[Account, ...]
    rules: RuleSet
    platforms: Mapping[str, Any]
    escalation: Escalation = field(default_factory=Escalation)
    fingerprint: str = ""  # of register, rules and policy, taken before they were read

    @cached_property
    def kinds(self) -> Mapping[str, AgencyKind]:
        return {agency.code: agency.kind for agency in self.agencies}


def load_configuration(folder: Path, environ: Mapping[str, str], *, today: date) -> Configuration:
    """Read settings, register and rules. Raises ConfigurationError with the mistakes of all of them."""
    problems: list[Problem] = []
    seen = fingerprint(folder.resolve())
    settings: Settings | None = None
    platforms: Mapping[str, Any] = {}
    rules: RuleSet | None = None
    try:
        settings = read_settings(folder, environ, problems)
    except ConfigurationError as error:
        problems += error.problems
    agencies, accounts = read_register(folder, problems)
    policy = read_policy(folder, agencies, problems)
    try:
        rules = load_rules(folder.resolve() / "rules", today=today, platforms=connectors.CONNECTORS)
    except ConfigurationError as error:
        problems += error.problems
    if settings is not None:
        platforms = platform_settings(settings, accounts, problems)
        problems += smime.mistakes(settings.mail.certificates, now=datetime.combine(today, time(), tzinfo=MALAYSIA))
        name_variables(problems, settings.source, environ)
    if problems or settings is None or rules is None:
        raise ConfigurationError(problems)
    return Configuration(
        settings=settings,
        agencies=tuple(agencies),
        accounts=tuple(accounts),
        rules=rules,
        platforms=platforms,
        escalation=policy,
        fingerprint=seen,
    )


def read_register(folder: Path, problems: list[Problem]) -> tuple[list[Agency], list[Account]]:
    """Read both register files of a configuration; a file that is not there is an empty register."""
    place = folder.resolve() / "register"
    agencies: list[Agency] = []
    accounts: list[Account] = []
    data = _bytes(place / "agencies.csv", problems)
    codes: Collection[str] | None = [] if data == b"" else None  # None: not known, as it cannot be read
    if data:
        agencies, wrong = registers.read_agencies(data, file=str(place / "agencies.csv"))
        codes = registers.named_codes(data)
        problems += wrong
    if data := _bytes(place / "accounts.csv", problems):
        accounts, wrong = read_accounts(data, file=str(place / "accounts.csv"), agencies=codes)
        problems += wrong
    return agencies, accounts


def read_policy(folder: Path, agencies: Sequence[Agency], problems: list[Problem]) -> Escalation:
    """Read who is told when; an agency that it names must be registered."""
    policy = read_escalation(folder, problems)
    known = [agency.code for agency in agencies]
    for code in policy.out_of_band:
        if code not in known:
            message = f"no agency has this code{suggestion(code, known)}"
            file = str(folder.resolve() / escalation.FILE_NAME)
            problems.append(Problem(file=file, place=f"out_of_band.{code}", message=message))
    return policy


def read_accounts(data: bytes, *, file: str, agencies: Collection[str] | None) -> tuple[list[Account], list[Problem]]:
    return registers.read_accounts(
        data,
        file=file,
        agencies=agencies,
        platforms=connectors.CONNECTORS.keys(),
        aliases=connectors.ALIASES,
        match=addresses.match,
    )


def _bytes(path: Path, problems: list[Problem]) -> bytes | None:
    """Return what a file holds; nothing when there is none, None when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        problems.append(Problem(file=str(path), place="", message=f"cannot be read ({error.strerror})"))
        return None


def platform_settings(settings: Settings, accounts: Sequence[Account], problems: list[Problem]) -> dict[str, Any]:
    """Read [connectors.…] into the settings of each platform that is configured or registered."""
    file = str(settings.source)
    found: dict[str, Any] = {}
    for name in settings.connectors:
        if name not in connectors.CONNECTORS:
            message = f"unknown platform{suggestion(name, connectors.CONNECTORS)}"
            problems.append(Problem(file=file, place=f"connectors.{name}", message=message))
    used = {account.platform for account in accounts if account.status is AccountStatus.ACTIVE}
    filled = {name for name, table in settings.connectors.items() if table}
    for name in connectors.CONNECTORS.keys() & (used | filled):
        table = settings.connectors.get(name, {})
        section, wrong = read_section(
            connectors.load(name).Settings, table, file=file, place=f"connectors.{name}", folder=settings.folder
        )
        problems += wrong
        mistakes = section.problems() if section is not None else []
        problems += [Problem(file=file, place=f"connectors.{name}.{key}", message=said) for key, said in mistakes]
        if section is not None and not mistakes:
            found[name] = section
    return found


def missing_credentials(configuration: Configuration) -> list[Problem]:
    """Return a problem for each registered platform without the credential it needs. The others can be read."""
    source = str(configuration.settings.source)
    active: dict[str, list[Account]] = {}
    for one in configuration.accounts:
        if one.status is AccountStatus.ACTIVE:
            active.setdefault(one.platform, []).append(one)
    problems = []
    for name, accounts in sorted(active.items()):
        table = configuration.platforms[name]
        if hasattr(table, "lacking"):
            lacking = table.lacking(accounts)
            problems += [Problem(file=source, place=f"connectors.{name}.{key}", message=said) for key, said in lacking]
            continue
        needed = getattr(connectors.load(name), "credentials", ())
        lacks = table.lacks() if hasattr(table, "lacks") else [key for key in needed if not getattr(table, key)]
        for key in lacks:
            message = f"is not set, and {_accounts(len(accounts))} it; write the token into {key}_file"
            problems.append(Problem(file=source, place=f"connectors.{name}.{key}", message=message))
    return problems


def _accounts(count: int) -> str:
    return "1 active account needs" if count == 1 else f"{count} active accounts need"


def secrets_of(configuration: Configuration) -> list[Secret]:
    settings = configuration.settings
    found = [settings.mail.password, settings.mailbox.password, settings.deadman.url, settings.sentry.dsn]
    for table in configuration.platforms.values():
        found += [value for name in table.__slots__ if isinstance(value := getattr(table, name), Secret)]
    return found


class FileWatch:
    """Says whether register or rules differ from those that were last taken over; `seen` is a fingerprint."""

    def __init__(self, folder: Path, seen: str) -> None:
        self._folder = folder
        self._seen = self._present = seen

    def changed(self) -> bool:
        self._present = fingerprint(self._folder)
        return self._present != self._seen

    def settle(self) -> None:
        """What was last looked at is taken over, or refused with its mistakes; a crash in between is tried again."""
        self._seen = self._present


def fingerprint(folder: Path) -> str:
    """Return what changes with the policy or any file of the register or the rules. The files are not read."""
    found = hashlib.sha256()
    for part in ("register", "rules", escalation.FILE_NAME):
        for path in [folder / part, *sorted((folder / part).rglob("*"))]:
            try:
                facts = path.stat()
            except OSError:
                continue
            found.update(f"{path}\0{facts.st_mtime_ns}\0{facts.st_size}\n".encode())
    return found.hexdigest()
