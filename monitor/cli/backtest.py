"""backtest: what a change of the rules would have done to the archive. Reads beside a daemon; writes no alert."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import SQLAlchemyError

from monitor import backtest as work
from monitor.cli.root import GIVEN, app, listing, moment, today
from monitor.cli.terminal import err, out, print_json, print_rows
from monitor.disclosure import one_line
from monitor.model import MALAYSIA
from monitor.rules.backtest import Outcome, RuleChange, week_of
from monitor.rules.load import load_rules
from monitor.store.archive import Reference, Stretch, references, spans_of_agencies, stretch_of
from monitor.store.database import Database

SAVE_EVERY = 2.0  # seconds
SHOWN = 10  # posts of a rule and direction on the terminal
SHOWN_TEXT = 100
NOTHING = {"posts": 0, "rules": [], "mails": [], "lost": []}
DIRECTIONS = (
    ("fired_on", "fired", "newly fired"),
    ("quiet_on", "quiet", "no longer fired"),
    ("shifted_on", "shifted", "graver or lighter"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished back-test with what is needed to tell of it."""

    before: str
    after: str
    differing: Sequence[str]
    outcome: Outcome
    places: Mapping[int, Reference]
    weeks: Mapping[str, int]  # ISO weeks of the archive by agency


@app.command()
def backtest(
    rules: Annotated[
        Path | None, typer.Option(help="A folder of changed rules, compared with those of the configuration.")
    ] = None,
    since: Annotated[str, typer.Option(help="Only posts published from this time on, such as 2026-11-01.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many posts, the last that came in.")] = None,
    text: Annotated[bool, typer.Option("--text", help="Show the beginning of each post as well.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, uncapped but for post lists.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Exit 0 although confirmed alerts would be lost.")] = False,
) -> None:
    """Replay the stored posts under changed rules; without --rules, compare what was found with the present rules.

    Exit 1: an alert that somebody confirmed would not be found any more.
    """
    begin = moment(since)
    with listing() as db:
        stretch = stretch_of(db, since=begin, limit=limit) if db is not None else None
        if db is None or stretch is None:
            if rules is not None:
                load_rules(rules, today=today())  # its mistakes are told all the same
            print_json(NOTHING) if as_json else out.print("no stored posts to replay")
            return
        report = _report(db, stretch, rules, since=begin, limit=limit)
    if as_json:
        print_json(_as_json(report, text=text))
    else:
        _print(report, text=text)
    if report.outcome.lost and not force:
        err.print(_refusal(report))
        raise typer.Exit(1)


def _report(db: Database, stretch: Stretch, rules: Path | None, *, since: datetime | None, limit: int | None) -> Report:
    present = GIVEN.folder.resolve() / "rules"
    after, before = (rules.resolve(), present) if rules is not None else (present, None)
    task = work.task_of(db, after, before, today=today())
    file = work.CheckpointFile(_var(db), task, since=since, limit=limit)
    checkpoint = file.load() or work.Checkpoint(stretch=stretch)
    if checkpoint.done:
        err.print("goes on where an earlier back-test of these rules was interrupted")
    outcome = _replayed(db, task, checkpoint, file) if task.differing else Outcome()
    spans = spans_of_agencies(db, checkpoint.stretch) if outcome.mails else {}
    return Report(
        before=f"{before} (set {task.before_hash[:12]})" if task.before_hash else "what the archive holds",
        after=f"{after} (set {task.after_hash[:12]})",
        differing=task.differing,
        outcome=outcome,
        places=references(db, _referred(outcome)),
        weeks={agency: _weeks(*span) for agency, span in spans.items()},
    )


def _var(db: Database) -> Path:
    """Return the folder of what Pantau writes: beside the database file, or below the configuration."""
    return db.path.parent if db.path is not None else GIVEN.folder.resolve() / "var"


def _replayed(db: Database, task: work.Task, checkpoint: work.Checkpoint, file: work.CheckpointFile) -> Outcome:
    saved = time.monotonic()
    try:
        for reached in work.run(db, task, checkpoint, bar=_bar):
            if time.monotonic() - saved > SAVE_EVERY:
                file.save(reached)
                saved = time.monotonic()
    except (KeyboardInterrupt, BrokenProcessPool) as ended:
        file.save(checkpoint)
        cause = "interrupted" if isinstance(ended, KeyboardInterrupt) else "a process died, perhaps for want of memory"
        err.print(f"{cause}; the same command goes on from here")
        raise typer.Exit(1) from None
    except SQLAlchemyError:
        file.save(checkpoint)
        raise
    file.remove()
    return checkpoint.outcome


@contextmanager
def _bar() -> Iterator[work.Progress | None]:
    """Show how far it is, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        shown = bar.add_task("replaying", total=None)
        yield lambda done, total: bar.update(shown, completed=done, total=total)


def _referred(outcome: Outcome) -> set[int]:
    posts = {number for number, _ in outcome.lost}
    for change in outcome.rules.values():
        posts |= {number for attribute, _, _ in DIRECTIONS for number, _ in getattr(change, attribute)}
    return posts


def _weeks(first: datetime, last: datetime) -> int:
    """Return how many ISO weeks two moments span, both weeks counted."""
    mondays = [datetime.strptime(f"{week_of(m)}-1", "%G-W%V-%u").replace(tzinfo=MALAYSIA) for m in (first, last)]
    return (mondays[1] - mondays[0]).days // 7 + 1


# ---------------------------------------------------------------- as words


def _print(report: Report, *, text: bool) -> None:
    outcome = report.outcome
    out.print(f"before  {report.before}\nafter   {report.after}")
    if not report.differing:
        out.print("no rule differs in what it finds; nothing was replayed")
        return
    versions = f", {outcome.versions:,} texts of versions and media" if outcome.versions != outcome.posts else ""
    out.print(f"replayed {outcome.posts:,} posts{versions}; rules that ran: {len(report.differing)}")
    if outcome.failed:
        out.print(f"{outcome.failed:,} texts could not be judged: a rule failed on them")
    rows = [_rule_row(rule, change) for rule, change in sorted(outcome.rules.items()) if change.differs]
    out.print("\nrules, in posts")
    print_rows(rows, False, ("rule", "before", "after", "newly_fired", "no_longer", "shifted"))
    for attribute, count, title in DIRECTIONS:
        _print_posts(report, attribute, count, title, text=text)
    out.print("\nmails to heads: one for each post with a live finding from medium up, as if each post had been live")
    print_rows(_mail_rows(report), False, ("agency", "weeks", "before", "after", "a_week", "busiest_week"))
    if outcome.lost:
        out.print("\nconfirmed alerts that would be lost")
        for number, case in outcome.lost:
            out.print(f"  {case}  {_place(report.places.get(number), text=text)}")


def _rule_row(rule: str, change: RuleChange) -> dict[str, Any]:
    counts = {"newly_fired": change.fired, "no_longer": change.quiet, "shifted": change.shifted}
    return {"rule": rule, "before": change.before, "after": change.after, **counts}


def _print_posts(report: Report, attribute: str, count: str, title: str, *, text: bool) -> None:
    rules = [(rule, change) for rule, change in sorted(report.outcome.rules.items()) if getattr(change, count)]
    if not rules:
        return
    out.print(f"\n{title}")
    for rule, change in rules:
        posts = list(reversed(getattr(change, attribute)))
        out.print(f"  {rule}: {getattr(change, count):,}")
        for number, severity in posts[:SHOWN]:
            out.print(f"    {severity:<10} {_place(report.places.get(number), text=text)}")
        if (more := getattr(change, count) - SHOWN) > 0:
            out.print(f"    … and {more:,} more; --json prints the newest {len(posts):,}")


def _place(place: Reference | None, *, text: bool) -> str:
    if place is None:
        return "(gone from the database)"
    found = f"{place.published_at.astimezone(MALAYSIA):%Y-%m-%d}  {place.platform}/{place.account}  "
    found += place.url or place.native_id
    found += f"  {', '.join(place.cases)}" if place.cases else ""
    return found + (f"\n               {one_line(place.text, limit=SHOWN_TEXT)}" if text else "")


def _mail_rows(report: Report) -> list[dict[str, Any]]:
    agencies = sorted({agency for agency, _ in report.outcome.mails})
    rows = []
    for agency in agencies:
        counts = {week: both for (code, week), both in report.outcome.mails.items() if code == agency}
        before, after = (sum(both[side] for both in counts.values()) for side in (0, 1))
        busiest = [max(both[side] for both in counts.values()) for side in (0, 1)]
        weeks = max(report.weeks.get(agency, 1), len(counts))
        rows.append(
            {
                "agency": agency,
                "weeks": weeks,
                "before": before,
                "after": after,
                "a_week": f"{before / weeks:.2f} → {after / weeks:.2f}",
                "busiest_week": f"{busiest[0]} → {busiest[1]}",
            }
        )
    return rows


def _refusal(report: Report) -> str:
    count = len(report.outcome.lost)
    what = "1 alert that somebody confirmed" if count == 1 else f"{count} alerts that somebody confirmed"
    return f"{what} would be lost: mend the rules, or say --force"


# ---------------------------------------------------------------- as JSON


def _as_json(report: Report, *, text: bool) -> dict[str, Any]:
    outcome = report.outcome

    def post(number: int, **more: str) -> dict[str, Any]:
        place = report.places.get(number)
        if place is None:
            return more
        facts = {
            "agency": place.agency,
            "platform": place.platform,
            "account": place.account,
            "post_native_id": place.native_id,
            "post_url": place.url,
            "published_at": place.published_at.isoformat(),
            "cases": list(place.cases),
        }
        return {**more, **facts, **({"text": place.text} if text else {})}

    return {
        "before": report.before,
        "after": report.after,
        "rules_run": list(report.differing),
        "posts": outcome.posts,
        "versions": outcome.versions,
        "failed": outcome.failed,
        "rules": [
            {
                **_rule_row(rule, change),
                **{
                    f"{count}_posts": [post(number, severity=shown) for number, shown in getattr(change, attribute)]
                    for attribute, count, _ in DIRECTIONS
                },
            }
            for rule, change in sorted(outcome.rules.items())
            if change.differs
        ],
        "mails": [
            {"agency": agency, "week": week, "before": before, "after": after}
            for (agency, week), (before, after) in sorted(outcome.mails.items())
        ],
        "mails_a_week": [
            {key: row[key] for key in ("agency", "weeks", "before", "after")} for row in _mail_rows(report)
        ],
        "lost": [post(number, case=case) for number, case in outcome.lost],
    }
