"""canary: prove now that an alert finds its way, or list the daily proofs."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from monitor.cli.root import app, bad, configured, listing, quieter
from monitor.cli.terminal import err, iso, out, print_rows, shown_time
from monitor.configuration import Configuration, secrets_of
from monitor.model import CanaryOutcome
from monitor.signals import stop_on_signals
from monitor.store.canaries import CanaryLine, ask_canary, canary_days, daily_key, find_canary, list_canaries
from monitor.store.database import Database, DatabaseBusyError

SECONDS_TO_ARRIVE = 90.0  # by a daemon: its ticks come within seconds, a slow mail server takes its time
SECONDS_BETWEEN_LOOKS = 0.5


@app.command()
def canary(
    as_list: Annotated[bool, typer.Option("--list", help="List the daily proofs; send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The list as one JSON array; sends nothing.")] = False,
    days: Annotated[int, typer.Option(min=1, help="How far back the list goes.")] = 14,
) -> None:
    """Send a canary the way that alerts go (rules, outbox, mail server), and say how long it took."""
    if as_list or as_json:
        _list(as_json, days)
        return
    stop_on_signals()
    from monitor import logs

    configuration = configured()
    logs.start_logging(quieter(configuration.settings.log), secrets_of(configuration))
    key = f"canary:asked:{uuid.uuid4().hex}"
    try:
        failures, alone = _send(configuration, key)
    except DatabaseBusyError:
        failures, alone = _have_sent(configuration, key), False
    with listing() as db:
        assert db is not None
        if not alone:
            failures += _wait(db, key)
        line = find_canary(db, key, now=datetime.now(UTC))
    assert line is not None
    _tell(line)
    if line.outcome is not CanaryOutcome.ARRIVED:
        for failure in failures:
            err.print(f"failed     {failure}")
        raise typer.Exit(1)


def _send(configuration: Configuration, key: str) -> tuple[list[str], bool]:
    """Send it by this process, as `pantau once` sends mails: everything that waits goes along.

    Returns what failed, and whether nobody else can send it: on PostgreSQL a daemon may have taken it.
    """
    from monitor.app.mails import deliver_all
    from monitor.app.service import open_service
    from monitor.app.watch import watch_canaries
    from monitor.store.outbox import retry_now

    with open_service(configuration) as service:
        ask_canary(service.db, key, now=service.clock())
        watch_canaries(service)
        retry_now(service.db, service.clock())
        sent = deliver_all(service)
        watch_canaries(service)
        return sent.failures, service.db.path is not None


def _have_sent(configuration: Configuration, key: str) -> list[str]:
    """Have the daemon send it that holds the database."""
    from monitor.acts import ActRefusedError, perform

    try:
        perform(configuration.settings.database.url, "canary", {"key": key})
    except ActRefusedError as error:
        raise bad(str(error)) from None
    return []


def _wait(db: Database, key: str) -> list[str]:
    """Wait until a daemon has sent it, or could not."""
    until = time.monotonic() + SECONDS_TO_ARRIVE
    while _waits(db, key) and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    late = f"no answer within {SECONDS_TO_ARRIVE:.0f} s; the daemon goes on trying, its log says why"
    return [late] if _waits(db, key) else []


def _waits(db: Database, key: str) -> bool:
    line = find_canary(db, key, now=datetime.now(UTC))
    return line is not None and line.outcome is CanaryOutcome.WAITING


def _tell(line: CanaryLine) -> None:
    out.print(f"begun      {shown_time(iso(line.began_at))}")
    if line.evaluated_ms is not None:
        out.print(f"judged     by {line.rule} in {line.evaluated_ms:.1f} ms")
    if line.error:
        err.print(f"failed     {line.error}")
    if line.accepted_at is not None:
        at = shown_time(iso(line.accepted_at))
        out.print(f"accepted   {at}, {line.seconds:.1f} s after it began ({line.case})")
    else:
        err.print("failed     no mail server has accepted its mail")


def _list(as_json: bool, days: int) -> None:
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    with listing() as db:
        if db is not None:
            lines = list_canaries(db, since=now - timedelta(days=days), now=now)
            silent = canary_days(db, now - timedelta(days=days), now, now=now)
            rows = [_row(line) for line in lines]
            rows += [_not_run(day.day.isoformat(), daily_key(day.day)) for day in silent if day.began_at is None]
    rows.sort(key=lambda row: row["opened_at"] or row["day"], reverse=True)
    columns = ("day", "outcome", "opened_at", "evaluated_ms", "accepted_at", "seconds", "rule", "error")
    print_rows(rows if as_json else [_shown(row) for row in rows], as_json, columns)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row for people: a number of milliseconds is no share."""
    numbers = {name: f"{row[name]:.1f}" for name in ("evaluated_ms", "seconds") if row[name] is not None}
    return row | numbers | {"day": row["day"] or "asked for"}


def _row(line: CanaryLine) -> dict[str, Any]:
    return {
        "key": line.key,
        "day": line.day.isoformat() if line.day else "",
        "outcome": line.outcome.value,
        "opened_at": line.began_at.isoformat(),
        "evaluated_ms": round(line.evaluated_ms, 3) if line.evaluated_ms is not None else None,
        "accepted_at": iso(line.accepted_at),
        "seconds": round(line.seconds, 3) if line.seconds is not None else None,
        "rule": line.rule,
        "error": line.error,
        "case": line.case,
    }


def _not_run(day: str, key: str) -> dict[str, Any]:
    empty = {"opened_at": None, "evaluated_ms": None, "accepted_at": None, "seconds": None}
    return {
        "key": key,
        "day": day,
        "outcome": CanaryOutcome.NOT_RUN.value,
        **empty,
        "rule": "",
        "error": "",
        "case": "",
    }
