"""agencies and accounts: what is imported, and how reading them goes."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor import register as registers
from monitor.cli.root import (
    GIVEN,
    AsJson,
    OfAgency,
    accounts_app,
    agencies_app,
    bad,
    listing,
    refuse,
    registered_agency,
    settings_alone,
)
from monitor.cli.terminal import err, iso, out, print_rows
from monitor.configuration import (
    platform_settings,
    read_accounts,
    read_policy,
    read_register,
)
from monitor.model import MALAYSIA, Account, Agency
from monitor.problems import ConfigurationError, Problem
from monitor.settings import Settings
from monitor.store.database import DatabaseBusyError
from monitor.store.listings import AccountLine, list_accounts


@agencies_app.command("import")
def agencies_import(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Bring agencies.csv into the register. The same file again changes nothing."""
    settings, agencies, accounts = _present()
    imported, wrong = registers.read_agencies(_read(file), file=str(file))
    refuse(wrong)
    merged = registers.merge_agencies(agencies, imported)
    _write_register("agencies.csv", registers.write_agencies(merged))
    _told(len(imported), "agencies", len(merged) - len(agencies))
    _synced(settings, merged, accounts)


@accounts_app.command("import")
def accounts_import(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Bring accounts.csv into the register. The same file again changes nothing."""
    settings, agencies, accounts = _present()
    imported, wrong = read_accounts(_read(file), file=str(file), agencies=[one.code for one in agencies])
    refuse(wrong)
    merged = registers.merge_accounts(accounts, imported)
    _write_register("accounts.csv", registers.write_accounts(merged))
    _told(len(imported), "accounts", len(merged) - len(accounts))
    _synced(settings, agencies, merged)


def _present() -> tuple[Settings, list[Agency], list[Account]]:
    """Return what an import goes by. Other mistakes must not refuse the import that may be their remedy."""
    settings = settings_alone()
    problems: list[Problem] = []
    agencies, accounts = read_register(GIVEN.folder, problems)
    refuse(problems)
    return settings, agencies, accounts


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            [Problem(file=str(file), place="", message=f"cannot be read ({error.strerror})")]
        ) from None


def _write_register(name: str, data: bytes) -> None:
    """Replace a register file whole: a crash leaves the old one or the new one."""
    path = GIVEN.folder / "register" / name
    beside = path.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() == data:
            return
        with beside.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    except OSError as error:
        raise bad(f"{path}: cannot be written ({error.strerror}); check its rights and free space") from None


def _told(count: int, what: str, added: int) -> None:
    out.print(f"{count} {what} read, {added} of them new in {GIVEN.folder / 'register'}")


def _synced(settings: Settings, agencies: Sequence[Agency], accounts: Sequence[Account]) -> None:
    """Bring the database up to the register now, unless a daemon holds it: that one reloads by itself."""
    from monitor.app.service import sync_register, utc_now

    still_wrong: list[Problem] = []
    read_policy(GIVEN.folder, agencies, still_wrong)
    platform_settings(settings, accounts, still_wrong)
    for problem in still_wrong:
        err.print(f"note: {problem}")
    try:
        changes = sync_register(settings, agencies, accounts, now=utc_now(), actor=getpass.getuser())
    except DatabaseBusyError:
        then = "once that is right (`pantau check`)" if still_wrong else "within seconds"
        out.print(f"a running Pantau takes this over {then}")
        return
    out.print("the database is up to date" if changes else "nothing changed")


@agencies_app.command("list")
def agencies_list(as_json: AsJson = False) -> None:
    """List the agencies with who answers for them today."""
    from monitor.store.register import list_agencies

    problems: list[Problem] = []
    agencies, _ = read_register(GIVEN.folder, problems)
    refuse(problems)
    with listing() as db:
        stored = list_agencies(db, datetime.now(MALAYSIA)) if db is not None else []
    known = {one.code: one for one in agencies} | {one.code: one for one in stored}
    rows = [_agency_row(known[code]) for code in sorted(known)]
    print_rows(rows, as_json, ("code", "name", "kind", "state", "head_name", "head_email"))


def _agency_row(one: Agency) -> dict[str, Any]:
    people = one.contacts
    return {
        "code": one.code,
        "name": one.name,
        "kind": one.kind.value,
        "state": one.state.value,
        "language": one.language.value,
        "head_salutation": people.head_salutation,
        "head_name": people.head_name,
        "head_title": people.head_title,
        "head_email": people.head_email,
        "deputy_email": people.deputy_email,
        "ictso_email": people.ictso_email,
        "comms_email": people.comms_email,
        "head_since": people.since.astimezone(MALAYSIA).date().isoformat() if people.since else None,
    }


@accounts_app.command("list")
def accounts_list(as_json: AsJson = False, agency: OfAgency = "") -> None:
    """List the accounts with how their reading goes."""
    problems: list[Problem] = []
    agencies, accounts = read_register(GIVEN.folder, problems)
    refuse(problems)
    named = {one.code.casefold() for one in agencies}
    with listing() as db:
        if agency.casefold() not in named:
            registered_agency(db, agency)
        lines = list_accounts(db) if db is not None else []
    stored = {registers.account_key(line.account) for line in lines}
    rows = [_account_row(line) for line in lines]
    rows += [_unread_row(one) for one in accounts if registers.account_key(one) not in stored]
    rows = [row for row in rows if not agency or row["agency"].lower() == agency.lower()]
    print_rows(rows, as_json, ("agency", "platform", "account", "status", "reading", "last_ok_at", "error"))


def _account_row(line: AccountLine) -> dict[str, Any]:
    row = _unread_row(line.account)
    return row | {
        "reading": line.reading,
        "cause": line.cause.value if line.cause else None,
        "error": line.error,
        "last_check_at": iso(line.last_check_at),
        "last_ok_at": iso(line.last_ok_at),
        "next_check_at": iso(line.next_check_at),
        "posts": line.posts,
    }


def _unread_row(one: Account) -> dict[str, Any]:
    from connectors import load

    return {
        "agency": one.agency,
        "platform": one.platform,
        "account": one.handle or one.url,
        "url": one.url,
        "status": one.status.value,
        "note": one.note,
        "degraded": load(one.platform).capabilities.degraded,
        "reading": "not yet read",
        "cause": None,
        "error": "",
        "last_check_at": None,
        "last_ok_at": None,
        "next_check_at": None,
        "posts": 0,
    }
