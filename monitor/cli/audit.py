"""audit verify, list and head: the record of what happened, proved and read beside a daemon."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from monitor.cli.root import GIVEN, AsJson, alert_of, audit_app, bad, listing, moment
from monitor.cli.terminal import SHOWN_ROWS, err, out, print_json, print_rows
from monitor.store.audit import GENESIS, Break, Event, Head, Kind, Report, read_head


@audit_app.command("verify")
def audit_verify(
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="SEQ:HASH", help="A head from a digest or a letter; may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the whole record. Exit 1 when it does not hold: where, and what that means."""
    published = [_head(words) for words in head or ()]
    report = _verified(published)
    if as_json:
        print_json([_report_row(report)])
    elif report.broken is not None:
        err.print(f"the record does not hold. {report.broken.words}")
    else:
        out.print(f"whole: {report.entries} entries, {report.purged} of them emptied by a purge")
        out.print(f"head   {report.head}")
        out.print(_compared(report))
        if not report.entries:
            err.print(f"note: nothing is recorded yet; is {GIVEN.folder} the right --config?")
    raise typer.Exit(0 if report.broken is None else 1)


def _head(words: str) -> Head:
    try:
        return read_head(words)
    except ValueError as error:
        raise bad(f"--head: {error}") from None


def _verified(published: list[Head]) -> Report:
    from monitor.store.audit import verify

    with listing() as db:
        if db is not None:
            return verify(db, published)
    missing = [one for one in published if one.seq]
    cut = Break(seq=1, kind=Kind.CUT, detail="there is no database") if missing else None
    return Report(entries=0, head=Head(seq=0, hash=GENESIS), purged=0, published=len(published), broken=cut)


def _compared(report: Report) -> str:
    if report.published:
        return f"it goes on from {'the head' if report.published == 1 else f'all {report.published} heads'} given"
    return "whether its end was cut off only a published head shows: --head, as the last digest prints it"


def _report_row(report: Report) -> dict[str, Any]:
    broken = report.broken
    return {
        "whole": broken is None,
        "entries": report.entries,
        "head": str(report.head),
        "purged": report.purged,
        "heads_compared": report.published,
        "broken": None if broken is None else {"seq": broken.seq, "kind": broken.kind.value, "words": broken.words},
    }


@audit_app.command("head")
def audit_head() -> None:
    """Print the end of the record, to keep it where nobody who may write to the database can change it."""
    from monitor.store.audit import head

    with listing() as db:
        out.print(str(head(db) if db is not None else Head(seq=0, hash=GENESIS)))


@audit_app.command("list")
def audit_list(
    case: Annotated[str, typer.Option("--case", help="Only what is about this case.")] = "",
    since: Annotated[str, typer.Option("--since", help="Only from this time on, such as 2026-11-01.")] = "",
    as_json: AsJson = False,
) -> None:
    """List what happened, newest first."""
    from monitor.store.audit import list_events

    begin = moment(since)
    with listing() as db:
        about = alert_of(db, case, option="--case") if case else None
        limit = None if as_json else SHOWN_ROWS + 1
        found = list_events(db, alert_id=about, since=begin, limit=limit) if db is not None else []
    rows = [_event_row(one) for one in found]
    if not as_json:
        rows = [row | {"facts": json.dumps(row["facts"], ensure_ascii=False) if row["facts"] else ""} for row in rows]
    print_rows(rows, as_json, ("seq", "happened_at", "event", "case", "actor", "facts"))


def _event_row(one: Event) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "happened_at": one.at.isoformat(),
        "event": one.event,
        "case": one.case,
        "actor": one.actor,
        "facts": dict(one.facts),
    }
