"""What a command shows: lines, tables and JSON on the terminal, and files that were asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console as Terminal
from rich.table import Table

from monitor.model import MALAYSIA

SHOWN_ROWS = 50  # of a table on the terminal; --json is never capped
UNFOLDED = 1000  # columns of a table that goes into a file or a pipe
TIMES = frozenset({"since"})  # and every name that ends in _at

out = Terminal(soft_wrap=True, highlight=False, emoji=False, markup=False)
err = Terminal(stderr=True, soft_wrap=True, highlight=False, emoji=False, markup=False)


def print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
    """Print all rows as one JSON array, or the first ones as a table."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        out.print("none")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(_shown(name, row[name]) for name in columns))
    width = None if sys.stdout.isatty() else UNFOLDED
    Terminal(highlight=False, markup=False, emoji=False, width=width).print(table)
    if len(rows) > SHOWN_ROWS:
        out.print(f"… and {len(rows) - SHOWN_ROWS} more; --json prints all")


def print_facts(row: Mapping[str, Any], *, but: Collection[str] = ()) -> None:
    """Print what a row holds, a line for each name."""
    for name, value in row.items():
        if name not in but:
            out.print(f"{name:<16} {_shown(name, value)}")


def _shown(name: str, value: Any) -> str:
    return shown_time(value) if name.endswith("_at") or name in TIMES else cell(value)


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


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
