"""`pantau …`: the command line. Exit 0: done; 1: something failed and is named; 2: bad usage or configuration."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from monitor import jsonlines
from monitor import register as registers
from monitor.configuration import (
    Configuration,
    load_configuration,
    missing_credentials,
    read_accounts,
    read_register,
    secrets_of,
)
from monitor.model import MALAYSIA, Account, AccountWeek, Agency, AlertLine, AlertState
from monitor.problems import ConfigurationError, Problem
from monitor.rules.load import load_rules, run_tests
from monitor.rules.rule import RuleSet
from monitor.settings import FILE_NAME, is_mail_address, summary
from monitor.store.database import Database, DatabaseBusyError, DatabaseUnusableError, explained, open_for_listing
from monitor.store.listings import AccountLine, PostLine, coverage_of, list_accounts, list_alerts, list_posts, mails_of

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
for name, sub in (
    ("accounts", accounts_app),
    ("agencies", agencies_app),
    ("posts", posts_app),
    ("alerts", alerts_app),
    ("rules", rules_app),
    ("mail", mail_app),
):
    app.add_typer(sub, name=name)

out = Terminal(soft_wrap=True, highlight=False, emoji=False)
err = Terminal(stderr=True, soft_wrap=True, highlight=False, emoji=False)
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


def main() -> None:
    """Run a command and turn what went wrong into a sentence and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False)
        sys.exit(2)
    except (DatabaseBusyError, DatabaseUnusableError) as error:
        err.print(str(error), markup=False)
        sys.exit(1)
    except SQLAlchemyError as error:
        err.print(explained(error), markup=False)
        sys.exit(1)
    except BrokenPipeError:  # `pantau posts list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _configuration() -> Configuration:
    return load_configuration(GIVEN.folder, os.environ, today=_today())


def _today() -> date:
    return datetime.now(MALAYSIA).date()


def _bad(message: str) -> ConfigurationError:
    return ConfigurationError([Problem(file="", place="", message=message)])


# ---------------------------------------------------------------- configuration


@app.command()
def init(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where to write; default: --config.")] = None,
) -> None:
    """Write a commented default configuration, the first rules and an empty register. Nothing is overwritten."""
    target = folder if folder is not None else GIVEN.folder
    source = _defaults()
    if target.exists() and not target.is_dir():
        raise _bad(f"{target}: is a file; name a folder for the configuration")
    written = kept = 0
    try:
        for path in sorted(source.rglob("*")):
            place = target / path.relative_to(source)
            if not path.is_file() or {"var", "secrets"} & set(path.relative_to(source).parts):
                continue
            if place.exists():
                kept += 1
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            written += 1
    except OSError as error:
        raise _bad(f"{target}: cannot be written ({error.strerror}); choose a folder that you may write to") from None
    out.print(f"{target}: {written} files written" + (f", {kept} were there and are left alone" if kept else ""))
    out.print("next: agencies and accounts into the register (`pantau agencies import FILE`), then `pantau check`")


def _defaults() -> Path:
    """Return where the default configuration lies: inside the installed package, or in the checkout."""
    packaged = Path(__file__).parent / "defaults"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "config"


@app.command()
def check() -> None:
    """Check configuration, register and rules, and tell all mistakes at once."""
    configuration = _configuration()
    if missing := missing_credentials(configuration):
        raise ConfigurationError(missing)
    for key, value in summary(configuration.settings):
        out.print(f"{key:<22} {value}", markup=False)
    active = sum(1 for one in configuration.accounts if one.status.value == "active")
    out.print(f"{'agencies':<22} {len(configuration.agencies)}")
    out.print(f"{'accounts':<22} {len(configuration.accounts)}, {active} active")
    live = sum(1 for rule in configuration.rules.rules if rule.status == "live")
    out.print(f"{'rules':<22} {len(configuration.rules.rules)}, {live} live, set {configuration.rules.hash[:12]}")
    for warning in _warnings(configuration):
        err.print(f"note: {warning}", markup=False)
    out.print("all right")


def _warnings(configuration: Configuration) -> Iterator[str]:
    settings = configuration.settings
    if not configuration.accounts:
        yield "no accounts are registered: nothing is monitored yet; `pantau accounts import FILE`"
    if not settings.digest.recipients:
        yield "digest.recipients is empty: nobody gets the weekly digest"
    if not settings.operators.recipients:
        yield "operators.recipients is empty: nobody is told of dead credentials and refused mails"
    if settings.polling.min_interval < SHORT_INTERVAL:
        yield "polling.min_interval is below 30s: platforms may count this against you"
    if settings.mail.transport == "folder":
        yield f'mails are written to {settings.mail.folder} and not sent; mail.transport = "smtp" sends them'


@app.command()
def doctor() -> None:
    """Try what Pantau depends on: database, mail server, each credential, clock, OCR, library versions."""
    from monitor.doctor import examine

    failed = False
    configuration = _configuration()
    for found in examine(configuration):
        mark = {"ok": "ok  ", "note": "note", "bad": "BAD "}[found.state]
        out.print(f"{mark}  {found.subject:<18} {found.message}", markup=False)
        failed |= found.state == "bad"
    raise typer.Exit(1 if failed else 0)


# ---------------------------------------------------------------- the daemon


def _stop_on_signals(stop: threading.Event, *, cut: Callable[[], None] | None = None) -> None:
    """SIGINT is SIGTERM: finish the job in hand; `cut` ends what a few seconds later is still not finished.

    The event is set from a thread: a handler must not wait for a lock.
    """

    def end() -> None:
        stop.set()
        if cut is not None:
            cut()

    def handler(_number: int, _frame: object) -> None:
        threading.Thread(target=end, daemon=True).start()

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


def _run(configuration: Configuration, *, prepare: Callable[[Any, str], None] | None = None) -> None:
    from importlib.metadata import version

    from monitor import app as wiring
    from monitor import logs
    from monitor.store.register import registered
    from monitor.web.console import Console, build
    from monitor.web.server import ListenError, bind, serving

    settings = configuration.settings
    logs.start_logging(settings.log, secrets_of(configuration))
    logs.start_error_reports(settings.sentry, release=version("pantau"))
    progress = wiring.Progress()
    with wiring.open_service(configuration) as service:
        _stop_on_signals(service.stop)
        pages = build(
            Console(
                db=service.db,
                web=settings.web,
                patience=service.patience,
                degraded=lambda: wiring.degraded_platforms(registered(service.db)),
                stalled=progress.stalled,
                failing=lambda: sorted(progress.failed),
                clock=service.clock,
            )
        )
        try:
            taken = bind(settings.web)
        except ListenError as error:
            raise _bad(str(error)) from None
        with serving(pages, taken) as address:
            if prepare is not None:
                prepare(service, address)
            code = wiring.run(service, progress)
    wiring.end_process(code)


@app.command()
def run() -> None:
    """Run the daemon with the console, until SIGTERM or Ctrl-C."""
    configuration = _configuration()
    for problem in missing_credentials(configuration):
        err.print(f"warning: {problem}", markup=False)

    def prepare(_service: Any, address: str) -> None:
        err.print(f"console: {address}")

    _run(configuration, prepare=prepare)


@app.command()
def once() -> None:
    """Make one whole pass: poll what is registered, read media, deliver what is due; print a summary."""
    from monitor import app as wiring
    from monitor import logs

    configuration = _configuration()
    settings = configuration.settings
    # Failures stand in the summary, by name; the log adds what a summary cannot hold.
    logs.start_logging(_quieter(settings.log), secrets_of(configuration))

    def cut() -> None:
        time.sleep(wiring.GOODBYE_SECONDS)
        err.print("stopped with work in hand; nothing is lost, the next pass begins it again")
        wiring.end_process(0)

    with wiring.open_service(configuration) as service:
        _stop_on_signals(service.stop, cut=cut)
        with _progress(sum(1 for one in configuration.accounts if one.status.value == "active")) as (advance, stage):
            passed = wiring.once(service, report=lambda _: advance(), stage=stage)
        stopped = service.stop.is_set()
    _print_pass(passed)
    if stopped:
        err.print("stopped before the end; nothing is lost, the next pass goes on")
    sys.stdout.flush()
    wiring.end_process(1 if passed.failures and not stopped else 0)


def _quieter(log: Any) -> Any:
    return replace(log, level="error") if log.level in {"info", "warning"} else log


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """Show a bar on a terminal; elsewhere nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("starting", total=total)
        yield (lambda: bar.advance(task)), (lambda words: bar.update(task, description=words))


def _print_pass(passed: Any) -> None:
    checked = passed.checked
    saved = [one.saved for one in checked]
    failed = [one for one in checked if one.failure and one.cause]
    out.print(f"accounts   {len(checked)} checked, {len(failed)} not read")
    out.print(
        f"posts      {sum(s.new for s in saved)} new, {sum(s.edited for s in saved)} edited,"
        f" {sum(s.deleted for s in saved)} deleted"
    )
    if passed.media.read or passed.media.unreadable:
        out.print(f"media      {passed.media.read} read, {passed.media.unreadable} unreadable")
    alerts = set(passed.media.alerts).union(*(s.alerts for s in saved)) if saved else set(passed.media.alerts)
    out.print(f"alerts     {len(alerts)} opened or added to")
    sent = passed.sent
    out.print(f"mails      {sent.accepted} delivered, {sent.retried} to be retried, {sent.dead} refused")
    for where in sent.delivered[:SHOWN_ROWS]:
        out.print(f"           {where}", markup=False)
    for one in checked:
        if one.failure and one.degraded:
            out.print(f"degraded   {one.failure}", markup=False)
    shown: set[str] = set()
    for failure in passed.failures:
        if failure not in shown:
            shown.add(failure)
            err.print(f"failed     {failure}", markup=False)


@app.command()
def demo() -> None:
    """Run daemon, console and a sandbox of the platforms, without any credential."""
    from monitor.demo import demo_folder

    if not (GIVEN.folder / FILE_NAME).exists():
        init(None)
    with demo_folder(GIVEN.folder) as (folder, play):
        configuration = load_configuration(folder, {}, today=_today())

        def say(words: str) -> None:
            out.print(f"{datetime.now(MALAYSIA):%H:%M:%S}  {words}", markup=False)

        def prepare(service: Any, address: str) -> None:
            out.print(f"The console is at {address}; in another terminal: pantau --config {_shown(folder)} alerts list")
            out.print("Fictional agencies publish on a sandbox of the platforms. Stop with Ctrl-C.\n")
            service.on_checked = lambda checked: _tell(checked, say)
            service.on_delivered = lambda where: say(f"    mail    → {_shown(Path(where))}")
            threading.Thread(
                target=play, args=(service.stop, lambda words: say(f"posted    {words}")), daemon=True
            ).start()

        _run(configuration, prepare=prepare)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _tell(checked: Any, say: Callable[[str], None]) -> None:
    saved, label = checked.saved, checked.account.label
    for number, words in ((saved.new, "new"), (saved.edited, "edited"), (saved.deleted, "deleted")):
        if number:
            say(f"  read    {label}: {number} {words}")
    if saved.alerts:
        say(f"  ALERT   {label}: {len(saved.alerts)} suspected")


# ---------------------------------------------------------------- register


@agencies_app.command("import")
def agencies_import(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Bring agencies.csv into the register. The same file again changes nothing."""
    present = _configuration()
    imported, wrong = registers.read_agencies(_read(file), file=str(file))
    _refuse(wrong)
    merged = registers.merge_agencies(present.agencies, imported)
    _write_register("agencies.csv", registers.write_agencies(merged))
    _synced(len(imported), "agencies", len(merged) - len(present.agencies), replace(present, agencies=tuple(merged)))


@accounts_app.command("import")
def accounts_import(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Bring accounts.csv into the register. The same file again changes nothing."""
    present = _configuration()
    imported, wrong = read_accounts(_read(file), file=str(file), agencies=present.agencies)
    _refuse(wrong)
    merged = registers.merge_accounts(present.accounts, imported)
    _write_register("accounts.csv", registers.write_accounts(merged))
    _synced(len(imported), "accounts", len(merged) - len(present.accounts), replace(present, accounts=tuple(merged)))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            [Problem(file=str(file), place="", message=f"cannot be read ({error.strerror})")]
        ) from None


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigurationError(problems)


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
        raise _bad(f"{path}: cannot be written ({error.strerror}); check its rights and free space") from None


def _synced(count: int, what: str, added: int, configuration: Configuration) -> None:
    """Bring the database up to the register now, unless a daemon holds it: that one reloads by itself."""
    from monitor.app import sync_register, utc_now

    out.print(f"{count} {what} read, {added} of them new in {GIVEN.folder / 'register'}")
    try:
        changes = sync_register(configuration, now=utc_now())
    except DatabaseBusyError:
        out.print("a running Pantau takes this over within seconds")
        return
    out.print("the database is up to date" if changes else "nothing changed")


@agencies_app.command("list")
def agencies_list(as_json: AsJson = False) -> None:
    """List the agencies with who answers for them today."""
    from monitor.store.register import list_agencies

    problems: list[Problem] = []
    agencies, _ = read_register(GIVEN.folder, problems)
    _refuse(problems)
    with _listing() as db:
        stored = list_agencies(db, datetime.now(MALAYSIA)) if db is not None else []
    known = {one.code: one for one in agencies} | {one.code: one for one in stored}
    rows = [_agency_row(known[code]) for code in sorted(known)]
    _print_rows(rows, as_json, ("code", "name", "kind", "state", "head_name", "head_email"))


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
    _, accounts = read_register(GIVEN.folder, problems)
    _refuse(problems)
    with _listing() as db:
        lines = list_accounts(db) if db is not None else []
    stored = {registers.account_key(line.account) for line in lines}
    rows = [_account_row(line) for line in lines]
    rows += [_unread_row(one) for one in accounts if registers.account_key(one) not in stored]
    rows = [row for row in rows if not agency or row["agency"].lower() == agency.lower()]
    _print_rows(rows, as_json, ("agency", "platform", "account", "status", "reading", "last_ok_at", "error"))


def _account_row(line: AccountLine) -> dict[str, Any]:
    row = _unread_row(line.account)
    return row | {
        "reading": line.reading,
        "cause": line.cause.value if line.cause else None,
        "error": line.error,
        "last_check_at": _iso(line.last_check_at),
        "last_ok_at": _iso(line.last_ok_at),
        "next_check_at": _iso(line.next_check_at),
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


# ---------------------------------------------------------------- listings


@contextmanager
def _listing() -> Iterator[Database | None]:
    """Open the database beside a daemon, to read only; None when there is none yet."""
    from monitor.settings import load_settings

    db = open_for_listing(load_settings(GIVEN.folder, os.environ).database.url)
    try:
        yield db
    finally:
        if db is not None:
            db.close()


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
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
        table.add_row(*(_shown_time(row[name]) if name.endswith("_at") else _cell(row[name]) for name in columns))
    width = None if sys.stdout.isatty() else UNFOLDED
    Terminal(highlight=False, markup=False, emoji=False, width=width).print(table)
    if len(rows) > SHOWN_ROWS:
        out.print(f"… and {len(rows) - SHOWN_ROWS} more; --json prints all")


def _shown_time(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(MALAYSIA):%Y-%m-%d %H:%M}" if moment else "–"


def _cell(value: Any) -> str:
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


@posts_app.command("list")
def posts_list(
    as_json: AsJson = False,
    agency: OfAgency = "",
    platform: Annotated[str, typer.Option(help="Only this platform.")] = "",
    account: Annotated[str, typer.Option(help="Only this handle.")] = "",
    since: Annotated[str, typer.Option(help="Only posts from this time on, such as 2026-11-01.")] = "",
) -> None:
    """List the stored posts, newest first."""
    begin = None
    if since:
        try:
            begin = datetime.fromisoformat(since)
        except ValueError:
            raise _bad(f"--since: '{since}': expected a time such as 2026-11-01 or 2026-11-01T08:00+08:00") from None
        begin = begin if begin.tzinfo else begin.replace(tzinfo=MALAYSIA)
    with _listing() as db:
        limit = None if as_json else SHOWN_ROWS + 1
        found = list_posts(db, agency=agency, platform=platform, handle=account, since=begin, limit=limit) if db else []
    columns = ("platform", "account", "native_id", "published_at", "versions", "deleted", "text")
    _print_rows([_post_row(one) for one in found], as_json, columns)


def _post_row(one: PostLine) -> dict[str, Any]:
    return {
        "platform": one.platform,
        "account": one.account,
        "native_id": one.native_id,
        "url": one.url,
        "published_at": one.published_at.isoformat(),
        "text": one.text,
        "versions": one.versions,
        "deleted": one.deleted,
    }


@alerts_app.command("list")
def alerts_list(
    as_json: AsJson = False,
    agency: OfAgency = "",
    state: Annotated[str, typer.Option(help="open, acknowledged, resolved or suppressed.")] = "",
) -> None:
    """List the alerts, newest first."""
    try:
        states = [AlertState(state)] if state else []
    except ValueError:
        known = ", ".join(s.value for s in AlertState)
        raise _bad(f"--state: '{state}': unknown; known: {known}") from None
    with _listing() as db:
        found = list_alerts(db, agency=agency, states=states) if db is not None else []
    columns = ("case", "severity", "agency", "platform", "account", "clauses", "state", "opened_at")
    _print_rows([_alert_row(one) for one in found], as_json, columns)


def _alert_row(one: AlertLine) -> dict[str, Any]:
    return {
        "case": one.case,
        "agency": one.agency,
        "platform": one.platform,
        "account": one.account,
        "severity": one.severity.label,
        "state": one.state.value,
        "clauses": list(one.clauses),
        "rules": list(one.rules),
        "post_native_id": one.post_native_id,
        "post_url": one.post_url,
        "opened_at": one.opened_at.isoformat(),
    }


@alerts_app.command("show")
def alerts_show(case: Annotated[str, typer.Argument(metavar="CASE")], as_json: AsJson = False) -> None:
    """Show one alert: what was found, and which mails went to whom. No text of the post."""
    from monitor.store.alerts import find_case, load_alert

    with _listing() as db:
        alert_id = find_case(db, case) if db is not None else None
        if db is None or alert_id is None:
            raise _bad(f"'{case}': no alert has this case number; `pantau alerts list` shows them")
        alert, mails = load_alert(db, alert_id), mails_of(db, alert_id)
        line = next(one for one in list_alerts(db) if one.case == alert.case)
    row = _alert_row(line) | {
        "kind": line.kind.value,
        "first_mail_at": _iso(line.first_mail_at),
        "agency_name": alert.agency.name if alert.agency else "",
        "cause": alert.cause.value if alert.cause else None,
        "detail": alert.detail,
        "waiting": alert.waiting_reason,
        "findings": [
            {
                "rule": f.rule,
                "version": f.rule_version,
                "title": f.title_ms,
                "clause": f.clause.ref,
                "severity": f.severity.label,
                "field": f.field,
                "spans": [list(span) for span in f.spans],
            }
            for f in alert.findings
        ],
        "mails": [
            {
                "step": m.step,
                "recipient": m.recipient,
                "state": m.state.value,
                "due_at": m.due_at.isoformat(),
                "accepted_at": _iso(m.accepted_at),
                "attempts": m.attempts,
                "message_id": m.message_id,
                "error": m.error,
            }
            for m in mails
        ],
    }
    if as_json:
        sys.stdout.write(json.dumps([row], ensure_ascii=False, indent=2) + "\n")
        return
    for key, value in row.items():
        if key not in {"findings", "mails"}:
            cell = _shown_time(value) if key.endswith("_at") else _cell(value)
            out.print(f"{key:<16} {cell}", markup=False)
    out.print("\nfindings")
    _print_rows(row["findings"], False, ("clause", "severity", "title", "rule", "field"))
    out.print("\nmails")
    _print_rows(row["mails"], False, ("step", "recipient", "state", "accepted_at", "attempts", "error"))


@app.command()
def coverage(as_json: AsJson = False, days: Annotated[int, typer.Option(min=1, help="How far back.")] = 7) -> None:
    """Show for each account what was read, and every gap with its cause."""
    from monitor.app import degraded_platforms, patience, utc_now
    from monitor.settings import load_settings
    from monitor.store.register import registered

    polling = load_settings(GIVEN.folder, os.environ).polling
    now = utc_now()
    weeks: list[AccountWeek] = []
    with _listing() as db:
        if db is not None:
            weeks = coverage_of(
                db,
                start=now - timedelta(days=days),
                end=now,
                patience=patience(polling),
                degraded=degraded_platforms(registered(db)),
            )
    rows = [_coverage_row(week) for week in weeks]
    if as_json:
        _print_rows(rows, True, ())
        return
    shown = [row | {"gaps": [f"{g['cause']} since {_shown_time(g['from'])}" for g in row["gaps"][-2:]]} for row in rows]
    _print_rows(shown, False, ("agency", "platform", "account", "verdict", "covered", "gaps"))


def _coverage_row(week: AccountWeek) -> dict[str, Any]:
    return {
        "agency": week.account.agency,
        "platform": week.account.platform,
        "account": week.account.handle or week.account.url,
        "verdict": week.verdict.value,
        "covered": round(week.covered, 6),
        "gaps": [
            {"from": g.start.isoformat(), "to": g.end.isoformat(), "cause": g.cause.value if g.cause else None}
            for g in week.gaps
        ],
    }


# ---------------------------------------------------------------- rules


def _rules() -> RuleSet:
    return load_rules(GIVEN.folder / "rules", today=_today())


@app.command()
def evaluate() -> None:
    """Judge JSON lines from standard input by the rules. No network, no mail, no database."""
    rules = _rules()
    agencies, _ = read_register(GIVEN.folder, [])
    kinds = {agency.code: agency.kind for agency in agencies}
    sound = True
    for answer, was_sound in jsonlines.answer_lines(rules, sys.stdin.buffer, kinds):
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
        sound &= was_sound
    raise typer.Exit(0 if sound else 1)


@rules_app.command("check")
def rules_check() -> None:
    """Load all rules and run their tests; tell all mistakes at once."""
    rules = _rules()
    out.print(f"{len(rules.rules)} rules, all right; set {rules.hash[:12]}")


@rules_app.command("test")
def rules_test() -> None:
    """Run the tests of every rule and show each."""
    results = run_tests(_rules())
    for result in results:
        if not result.passed:
            out.print(f"FAILED  {result.rule}: {result.kind}: {result.message}", markup=False)
    failed = sum(not result.passed for result in results)
    out.print(f"{len(results)} tests, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@rules_app.command("list")
def rules_list(as_json: AsJson = False) -> None:
    """List the rules."""
    rows = [
        {
            "id": rule.id,
            "version": rule.version,
            "status": rule.status,
            "clause": rule.clause.ref,
            "severity": rule.severity.label,
            "disclosure": rule.disclosure.label,
            "title_ms": rule.title_ms,
            "title_en": rule.title_en,
        }
        for rule in _rules().rules
    ]
    _print_rows(rows, as_json, ("id", "version", "status", "clause", "severity", "disclosure", "title_ms"))


# ---------------------------------------------------------------- digest and mail


@app.command()
def digest(
    week: Annotated[str, typer.Option(help="ISO week such as 2026-W47; default: the last complete one.")] = "",
    send: Annotated[bool, typer.Option("--send", help="Deliver it, once for each recipient and week.")] = False,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write .html or .eml; sends nothing.")
    ] = None,
) -> None:
    """Make the weekly digest; without an option its text is printed."""
    from alerts.digest import iso_week, week_of

    configuration = _configuration()
    wanted = week or week_of(datetime.now(MALAYSIA) - timedelta(weeks=1))
    try:
        begin, _ = iso_week(wanted)
    except ValueError as error:
        raise _bad(f"--week: {error}") from None
    if begin > datetime.now(MALAYSIA):
        raise _bad(f"--week: {wanted} has not begun yet")
    if send and file is not None:
        raise _bad("--send and --out: choose one of the two")
    if file is not None and file.suffix.lower() not in {".html", ".eml"}:
        raise _bad(f"--out: '{file}': expected a file name that ends in .html or .eml")
    if send:
        _send_digest(configuration, wanted)
    else:
        _write_digest(configuration, wanted, file)


def _send_digest(configuration: Configuration, week: str) -> None:
    from monitor import app as wiring
    from monitor import logs

    if not configuration.settings.digest.recipients:
        raise _bad("digest.recipients: is empty; name who gets the digest")
    logs.start_logging(_quieter(configuration.settings.log), secrets_of(configuration))
    with wiring.open_service(configuration) as service:
        new = wiring.schedule_week(service, week)
        sent = wiring.deliver(service)
    if not new:
        out.print(f"the digest of {week} was delivered before: once for each recipient and week")
    for where in sent.delivered:
        out.print(f"delivered  {where}", markup=False)
    for failure in sent.failures:
        err.print(f"failed     {failure}", markup=False)
    raise typer.Exit(1 if sent.failures else 0)


def _write_digest(configuration: Configuration, week: str, file: Path | None) -> None:
    from alerts.compose import envelope_of
    from alerts.digest import digest_files
    from monitor.app import report_of, utc_now

    with _listing() as db:
        if db is None:
            raise _bad("there is no database yet: nothing was monitored; `pantau once` or `pantau run` begins")
        report = report_of(configuration, db, week, now=utc_now())
    made = digest_files(report, configuration.settings, envelope_of(configuration.settings), now=utc_now())
    if file is None:
        out.print(made.text, markup=False)
        return
    try:
        file.write_bytes(made.html.encode() if file.suffix.lower() == ".html" else made.mail)
    except OSError as error:
        raise _bad(f"--out: {file}: cannot be written ({error.strerror})") from None
    out.print(f"{file} written; nothing was sent", markup=False)


@mail_app.command("test")
def mail_test(address: Annotated[str, typer.Argument(metavar="ADDRESS")]) -> None:
    """Send a test mail the way alerts go."""
    from alerts.channel import DeliveryFailed
    from alerts.compose import compose_test, envelope_of
    from alerts.outbox import open_channel
    from monitor.app import utc_now

    if not is_mail_address(address):
        raise _bad(f"'{address}' is not one mail address")
    settings = _configuration().settings
    message_id, mail = compose_test(address, envelope_of(settings), now=utc_now())
    channel = open_channel(settings.mail)
    try:
        out.print(f"delivered: {channel.send(mail, recipient=address, message_id=message_id)}", markup=False)
    except DeliveryFailed as error:
        err.print(str(error), markup=False)
        raise typer.Exit(1) from None
    finally:
        channel.close()


@app.command(hidden=True)
def health() -> None:
    """Ask the running daemon whether it makes progress: the container's health check."""
    import urllib.error
    import urllib.request

    from monitor.settings import load_settings

    web = load_settings(GIVEN.folder, os.environ).web
    host = "127.0.0.1" if web.host in {"0.0.0.0", "::"} else web.host  # noqa: S104 (compared, not listened on)
    request = urllib.request.Request(f"http://{host}:{web.port}/healthz", headers={"Host": "localhost"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 (http, built above)
            out.print(answer.read().decode(), markup=False)
    except urllib.error.HTTPError as error:
        err.print(error.read().decode(), markup=False)
        raise typer.Exit(1) from None
    except OSError as error:
        err.print(f"no daemon answers at {web.listen} ({error})", markup=False)
        raise typer.Exit(1) from None
