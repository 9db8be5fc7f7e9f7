"""What every command needs: the options before it, the terminal, tables, and one way to say what is wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.table import Table

from monitor.configuration import Configuration, load_configuration
from monitor.model import MALAYSIA
from monitor.problems import ConfigurationError, Problem, suggestion
from monitor.settings import Log
from monitor.store.database import Database, open_for_listing

SHOWN_ROWS = 50  # of a table on the terminal; --json is never capped
UNFOLDED = 1000  # columns of a table that goes into a file or a pipe
SHORT_INTERVAL = timedelta(seconds=30)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watches the official social-media accounts of government agencies and tells the head of department.",
)
accounts_app = typer.Typer(no_args_is_help=True, help="The registered accounts.")
agencies_app = typer.Typer(no_args_is_help=True, help="The agencies and who answers for them.")
posts_app = typer.Typer(no_args_is_help=True, help="The stored posts.")
alerts_app = typer.Typer(no_args_is_help=True, help="What somebody must look at.")
rules_app = typer.Typer(no_args_is_help=True, help="The rules of the circular.")
mail_app = typer.Typer(no_args_is_help=True, help="The way of the mails.")
silences_app = typer.Typer(no_args_is_help=True, help="What nobody is told of for a while.")
audit_app = typer.Typer(no_args_is_help=True, help="The record of what happened; it can be proved unchanged.")
hold_app = typer.Typer(no_args_is_help=True, help="Legal holds: what no purge may empty.")
for name, sub in (
    ("accounts", accounts_app),
    ("agencies", agencies_app),
    ("posts", posts_app),
    ("alerts", alerts_app),
    ("rules", rules_app),
    ("mail", mail_app),
    ("silences", silences_app),
    ("audit", audit_app),
    ("hold", hold_app),
):
    app.add_typer(sub, name=name)

out = Terminal(soft_wrap=True, highlight=False, emoji=False, markup=False)
err = Terminal(stderr=True, soft_wrap=True, highlight=False, emoji=False, markup=False)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array, uncapped.")]
OfAgency = Annotated[str, typer.Option("--agency", help="Only this agency.")]


@dataclass(slots=True)
class Invocation:
    """What comes before the command."""

    folder: Path = Path("config")


GIVEN = Invocation()


@app.callback()
def _before(
    config: Annotated[
        Path, typer.Option("--config", envvar="PANTAU_CONFIG", help="The folder of pantau.toml.", show_default=True)
    ] = Path("config"),
) -> None:
    GIVEN.folder = config


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


@contextmanager
def listing() -> Iterator[Database | None]:
    """Open the database beside a daemon, to read only; None when there is none yet."""
    from monitor.settings.load import load_settings

    db = open_for_listing(load_settings(GIVEN.folder, os.environ).database.url)
    try:
        yield db
    finally:
        if db is not None:
            db.close()


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


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
    """Print all rows as one JSON array, or the first ones as a table."""
    if as_json:
        sys.stdout.write(json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n")
        return
    if not rows:
        out.print("none")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(shown_time(row[name]) if name.endswith("_at") else cell(row[name]) for name in columns))
    width = None if sys.stdout.isatty() else UNFOLDED
    Terminal(highlight=False, markup=False, emoji=False, width=width).print(table)
    if len(rows) > SHOWN_ROWS:
        out.print(f"… and {len(rows) - SHOWN_ROWS} more; --json prints all")


def shown_time(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(MALAYSIA):%Y-%m-%d %H:%M}" if moment else "–"


def cell(value: Any) -> str:
    from monitor.disclosure import one_line

    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value * 100:.1f} %"
    if value is None:
        return "–"
    return one_line(str(value), limit=120)
