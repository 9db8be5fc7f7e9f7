"""purge and hold: what is emptied when its time is over, and what must stay."""

from __future__ import annotations

import getpass
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from monitor.cli.answers import perform_act
from monitor.cli.root import (
    AsJson,
    app,
    bad,
    hold_app,
    listing,
    registered_account,
    registered_agency,
    settings_alone,
)
from monitor.cli.terminal import err, iso, out, print_rows

Author = Annotated[
    str, typer.Option("--author", help="Who ordered it: name and office; default: the user of this machine.")
]
SORTS = {
    "posts": "versions of posts",
    "profiles": "profiles",
    "details": "details of alerts",
    "mails": "mails",
    "entries": "audit entries",
}


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much; nothing is emptied.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Write a SQLite file anew, however large; Pantau must be stopped.")
    ] = False,
) -> None:
    """Empty what is older than `retention` in pantau.toml allows, now. A running daemon does so every day by itself."""
    from monitor.settings import Retention
    from monitor.store.retention import would_purge

    settings = settings_alone()
    if compact:
        _compact(settings.database.url)
        return
    kept = settings.retention
    if kept == Retention():
        out.print("[retention] keeps everything for good: nothing is ever purged")
        return
    total = dict.fromkeys(SORTS, 0)
    if dry_run:
        with listing() as db:
            if db is not None:
                total = asdict(would_purge(db, kept, now=datetime.now(UTC)))
    else:
        more = True
        while more:
            done = perform_act("purge", asdict(kept))
            total = {name: total[name] + done[name] for name in SORTS}
            more = done["more"]
            if done["left"]:
                err.print(f"copies may still stand in the file: {done['left']}")
    for name, words in SORTS.items():
        out.print(f"{words:<18} {total[name]}{' would be emptied' if dry_run else ' emptied'}")


def _compact(url: str) -> None:
    from monitor.store.database import Database, open_database, sole_process
    from monitor.store.retention import forget

    with sole_process(Database(url).path), closing(open_database(url)) as db:
        left = forget(db, up_to=None)
    if left:
        err.print(left)
        raise typer.Exit(1)
    out.print("written anew: nothing of what was purged is left in the file")


@hold_app.command("add")
def hold_add(
    reason: Annotated[str, typer.Option("--reason", help="Why: an order, a case number, an inquiry.")],
    agency: Annotated[str, typer.Option("--agency", help="All data of this agency's accounts.")] = "",
    account: Annotated[str, typer.Option("--account", help="All data of this account: platform/handle.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All data.")] = False,
    author: Author = "",
) -> None:
    """Keep data from being purged until the hold is ended. What was purged before is gone."""
    if sum((bool(agency), bool(account), everything)) != 1:
        raise bad("give one of --agency, --account and --all")
    if not reason.strip():
        raise bad("--reason: is empty; name the order, the case or the inquiry")
    asked = {
        "author": author.strip() or getpass.getuser(),
        "by": getpass.getuser(),
        "reason": reason,
        "agency": _agency(agency) if agency else None,
        "account": registered_account(account) if account else None,
    }
    made = perform_act("hold", asked)
    out.print(f"hold {made['hold']} begins; it lasts until `pantau hold end {made['hold']}`")


@hold_app.command("list")
def hold_list(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
) -> None:
    """List the holds in force."""
    from monitor.store.holds import list_holds
    from monitor.store.register import registered

    with listing() as db:
        found = list_holds(db, ended=everything) if db is not None else []
        labels = {one.id: one.label for one in registered(db)} if db is not None else {}
    rows: list[dict[str, Any]] = [
        {
            "hold": one.id,
            "covers": one.agency or (labels.get(one.account_id, "") if one.account_id is not None else "everything"),
            "author": one.author,
            "reason": one.reason,
            "since_at": iso(one.since),
            "ended_at": iso(one.ended_at),
        }
        for one in found
    ]
    print_rows(rows, as_json, ("hold", "covers", "author", "reason", "since_at", "ended_at"))


@hold_app.command("end")
def hold_end(
    number: Annotated[int, typer.Argument(metavar="HOLD", help="Its number, as `hold list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is no longer needed.")] = "",
    author: Author = "",
) -> None:
    """End a hold: the next purge treats its data like any other."""
    who = {"author": author.strip() or getpass.getuser(), "by": getpass.getuser()}
    answer = perform_act("end hold", {"hold": number, "reason": reason, **who})["answer"]
    out.print(f"hold {number} has ended" if answer == "done" else f"hold {number} had ended before")


def _agency(code: str) -> str:
    with listing() as db:
        if db is None:
            raise bad(f"--agency: '{code}': no agency is registered yet")
        return registered_agency(db, code)
