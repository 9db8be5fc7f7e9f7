"""What every command needs: the options before it, what it works on, and one way to say what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor.configuration import Configuration, load_configuration
from monitor.model import MALAYSIA
from monitor.problems import ConfigurationError, Problem, suggestion
from monitor.settings import Log, Settings
from monitor.settings.load import load_settings
from monitor.store.database import Database, open_for_listing

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watches the official social-media accounts of government agencies and tells the head of department.",
)


def group(name: str, words: str) -> typer.Typer:
    """Return a new group of commands: `pantau NAME …`."""
    made = typer.Typer(no_args_is_help=True, help=words)
    app.add_typer(made, name=name)
    return made


accounts_app = group("accounts", "The registered accounts.")
agencies_app = group("agencies", "The agencies and who answers for them.")
posts_app = group("posts", "The stored posts.")
alerts_app = group("alerts", "What somebody must look at.")
rules_app = group("rules", "The rules of the circular.")
mail_app = group("mail", "The way of the mails.")
silences_app = group("silences", "What nobody is told of for a while.")
audit_app = group("audit", "The record of what happened; it can be proved unchanged.")
hold_app = group("hold", "Legal holds: what no purge may empty.")
certificate_app = group("certificate", "Signed certificates of what was read.")

FOLDER_VARIABLE, USUAL_FOLDER = "PANTAU_CONFIG", Path("config")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array, uncapped.")]
OfAgency = Annotated[str, typer.Option("--agency", help="Only this agency.")]


@dataclass(slots=True)
class Invocation:
    """What comes before the command."""

    folder: Path = USUAL_FOLDER


GIVEN = Invocation()


def _print_version(asked: bool) -> None:
    from importlib.metadata import version

    if asked:
        typer.echo(f"pantau {version('pantau')}")
        raise typer.Exit


@app.callback()
def _before(
    config: Annotated[
        Path, typer.Option("--config", envvar=FOLDER_VARIABLE, help="The folder of pantau.toml.", show_default=True)
    ] = USUAL_FOLDER,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print Pantau's version.")
    ] = False,
) -> None:
    GIVEN.folder = config


def usual_folder() -> Path:
    """Return where the configuration is looked for without `--config`."""
    return Path(os.environ.get(FOLDER_VARIABLE) or USUAL_FOLDER)


def configured() -> Configuration:
    return load_configuration(GIVEN.folder, os.environ, today=today())


def today() -> date:
    return datetime.now(MALAYSIA).date()


def bad(message: str) -> ConfigurationError:
    return ConfigurationError([Problem(file="", place="", message=message)])


def refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigurationError(problems)


def quieter(log: Log) -> Log:
    """For commands that name what failed in their own words: the log adds what those cannot hold."""
    return replace(log, level="error") if log.level in {"info", "warning"} else log


def settings_alone() -> Settings:
    """Return the settings alone: register and rules may be wrong."""
    return load_settings(GIVEN.folder, os.environ)


@contextmanager
def listing() -> Iterator[Database | None]:
    """Open the database beside a daemon, to read only; None when there is none yet."""
    db = open_for_listing(settings_alone().database.url)
    try:
        yield db
    finally:
        if db is not None:
            db.close()


@contextmanager
def monitored() -> Iterator[Database]:
    """Open the database as `listing` does, for what says nothing without one."""
    with listing() as db:
        if db is None:
            raise bad("there is no database yet: nothing was monitored; `pantau once` or `pantau run` begins")
        yield db


def registered_agency(db: Database | None, code: str) -> str:
    """Return the code as the register writes it; none asks for every agency."""
    from monitor.store.register import list_agencies

    if not code or db is None:
        return code
    known = {one.code.casefold(): one.code for one in list_agencies(db, datetime.now(MALAYSIA))}
    found = known.get(code.casefold())
    if found is None:
        raise bad(f"--agency: '{code}': no registered agency{suggestion(code, known.values())}")
    return found


def registered_account(label: str) -> int:
    """Return the id of the account of --account."""
    from monitor.store.register import registered

    with listing() as db:
        known = {one.label.casefold(): one.id for one in registered(db)} if db is not None else {}
    found = known.get(label.casefold())
    if found is None:
        raise bad(f"--account: '{label}': no registered account{suggestion(label, known)}; write platform/handle")
    return found


def alert_of(db: Database | None, case: str, *, option: str = "") -> int:
    """Return the id of the alert with this case number."""
    from monitor.store.alerts import find_case

    found = find_case(db, case) if db is not None else None
    if found is None:
        named = f"{option}: " if option else ""
        raise bad(f"{named}'{case}': no alert has this case number; `pantau alerts list` shows them")
    return found


def moment(since: str) -> datetime | None:
    """Return the time of --since, which is Malaysian where it names no zone; None when it is not given."""
    if not since:
        return None
    try:
        begin = datetime.fromisoformat(since)
    except ValueError:
        raise bad(f"--since: '{since}': expected a time such as 2026-11-01 or 2026-11-01T08:00+08:00") from None
    return begin if begin.tzinfo else begin.replace(tzinfo=MALAYSIA)


def begun(option: str, name: str, read: Callable[[str], tuple[datetime, datetime]]) -> tuple[datetime, datetime]:
    """Return the first moment of a week or month and that of the next. One that has not begun is refused."""
    try:
        start, end = read(name)
    except ValueError as error:
        raise bad(f"{option}: {error}") from None
    if start > datetime.now(MALAYSIA):
        raise bad(f"{option}: {name} has not begun yet")
    return start, end


def write_out(file: Path, data: bytes) -> None:
    """Write the file of --out."""
    try:
        file.write_bytes(data)
    except OSError as error:
        raise bad(f"--out: {file}: cannot be written ({error.strerror})") from None
