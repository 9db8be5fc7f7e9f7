"""run, once, demo and health: what works on the database."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.cli.root import GIVEN, app, bad, configured, quieter, settings_alone, today
from monitor.cli.setup import init
from monitor.cli.terminal import SHOWN_ROWS, err, out
from monitor.configuration import (
    Configuration,
    load_configuration,
    missing_credentials,
    secrets_of,
)
from monitor.model import MALAYSIA
from monitor.settings import FILE_NAME
from monitor.signals import stop_on_signals

if TYPE_CHECKING:
    from monitor.app.once import Passed
    from monitor.app.service import Service
    from monitor.poll.poller import Checked

Prepare: TypeAlias = "Callable[[Service, str], None]"
DAEMON_CUT_AFTER_SECONDS = 9.0  # it says goodbye to its ticks first


def _run(configuration: Configuration, stop: threading.Event, *, prepare: Prepare | None = None) -> None:
    """Run the daemon; `prepare` is told the address of the console before anything is read."""
    from importlib.metadata import version

    from monitor import logs
    from monitor.app.daemon import end_process
    from monitor.app.service import open_service
    from monitor.memory import return_what_is_freed

    return_what_is_freed()
    logs.start_logging(configuration.settings.log, secrets_of(configuration))
    logs.start_error_reports(configuration.settings.sentry, release=version("pantau"))
    with open_service(configuration, stop=stop) as service:
        code = 0 if stop.is_set() else _serve(service, prepare)
    end_process(code)


def _serve(service: Service, prepare: Prepare | None) -> int:
    from monitor.acts import listening
    from monitor.app import daemon
    from monitor.app.reports import degraded_platforms
    from monitor.app.ticks import ticks
    from monitor.store.register import registered
    from monitor.web.console import Console, build
    from monitor.web.server import ListenError, bind, serving

    progress = daemon.Progress()
    pages = build(
        Console(
            db=service.db,
            web=service.settings.web,
            patience=service.settings.polling.patience,
            degraded=lambda: degraded_platforms(registered(service.db)),
            stalled=progress.stalled,
            failing=lambda: sorted(progress.failed),
            troubles=lambda: service.troubles,
            clock=service.clock,
            link_key=service.envelope.link_key,
            acknowledged_for=lambda: service.configuration.escalation.acknowledged_for,
        )
    )
    try:
        taken = bind(service.settings.web)
    except ListenError as error:
        raise bad(str(error)) from None
    with serving(pages, taken) as address, listening(service.db):
        if prepare is not None:
            prepare(service, address)
        return daemon.run(service, ticks(service, progress), progress)


@app.command()
def run() -> None:
    """Run the daemon with the console, until SIGTERM or Ctrl-C."""
    stop = stop_on_signals(within=DAEMON_CUT_AFTER_SECONDS)
    configuration = configured()
    for problem in missing_credentials(configuration):
        err.print(f"warning: {problem}")

    def prepare(_service: Service, address: str) -> None:
        err.print(f"console: {address}")

    _run(configuration, stop, prepare=prepare)


@app.command()
def once() -> None:
    """Make one whole pass: poll what is registered, read media, deliver what is due; print a summary."""
    stop = stop_on_signals()
    from monitor import logs
    from monitor.app.daemon import end_process
    from monitor.app.once import once as whole_pass
    from monitor.app.service import open_service

    configuration = configured()
    settings = configuration.settings
    # Failures stand in the summary, by name; the log adds what a summary cannot hold.
    logs.start_logging(quieter(settings.log), secrets_of(configuration))

    with open_service(configuration, stop=stop) as service:
        with _progress(sum(1 for one in configuration.accounts if one.status.value == "active")) as (advance, stage):
            passed = whole_pass(service, report=lambda _: advance(), stage=stage)
        stopped = stop.is_set()
    _print_pass(passed)
    if stopped:
        err.print("stopped before the end; nothing is lost, the next pass goes on")
    sys.stdout.flush()
    end_process(1 if passed.failures and not stopped else 0)


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """Show a bar on a terminal; elsewhere nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("starting", total=total)
        yield (lambda: bar.advance(task)), (lambda words: bar.update(task, description=words))


def _print_pass(passed: Passed) -> None:
    checked, sent = passed.checked, passed.sent
    saved = [one.saved for one in (*checked, *passed.filled)]
    failed = [one for one in checked if one.failure and one.cause]
    out.print(f"accounts   {len(checked)} checked, {len(failed)} not read")
    if passed.held:
        out.print(
            f"held       {passed.held} accounts are in another process's hands, or were in one that died: minutes"
        )
    out.print(
        f"posts      {sum(s.new for s in saved)} new, {sum(s.edited for s in saved)} edited,"
        f" {sum(s.deleted for s in saved)} deleted"
    )
    if passed.media.read or passed.media.unreadable:
        out.print(f"media      {passed.media.read} read, {passed.media.unreadable} not read")
    opened, still_open = passed.alerts
    out.print(f"alerts     {opened} opened, {still_open} open in all")
    out.print(f"mails      {sent.accepted} delivered, {sent.retried} to be retried, {sent.dead} refused")
    for where in sent.delivered[:SHOWN_ROWS]:
        out.print(f"           {where}")
    for words in (*(one.failure for one in checked if one.failure and one.degraded), *passed.degraded):
        out.print(f"degraded   {words}")
    for failure in dict.fromkeys(passed.failures):
        err.print(f"failed     {failure}")


@app.command()
def demo() -> None:
    """Run daemon, console and a sandbox of the platforms, without any credential."""
    stop = stop_on_signals(within=DAEMON_CUT_AFTER_SECONDS)
    from monitor.demo import demo_folder

    if not (GIVEN.folder / FILE_NAME).exists():
        init(None)
    with demo_folder(GIVEN.folder) as (folder, play):
        configuration = load_configuration(folder, {}, today=today())

        def say(words: str) -> None:
            out.print(f"{datetime.now(MALAYSIA):%H:%M:%S}  {words}")

        def prepare(service: Service, address: str) -> None:
            out.print(f"The console is at {address}; in another terminal: pantau --config {_shown(folder)} alerts list")
            out.print("Fictional agencies publish on a sandbox of the platforms. Stop with Ctrl-C.\n")
            service.envelope = replace(service.envelope, public_url=address.rstrip("/"))  # the port is known only now
            service.on_checked = lambda checked: _tell(checked, say)
            service.on_delivered = lambda where: say(f"    mail    → {_shown(Path(where))}")
            threading.Thread(
                target=play, args=(service.stop, lambda words: say(f"posted    {words}")), daemon=True
            ).start()

        _run(configuration, stop, prepare=prepare)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _tell(checked: Checked, say: Callable[[str], None]) -> None:
    saved, label = checked.saved, checked.account.label
    for number, words in ((saved.new, "new"), (saved.edited, "edited"), (saved.deleted, "deleted")):
        if number:
            say(f"  read    {label}: {number} {words}")
    if saved.alerts:
        say(f"  ALERT   {label}: {len(saved.alerts)} suspected")


@app.command(hidden=True)
def health() -> None:
    """Ask the running daemon whether it makes progress: the container's health check."""
    import urllib.error
    import urllib.request

    web = settings_alone().web
    host = "127.0.0.1" if web.host in {"0.0.0.0", "::"} else web.host  # noqa: S104 (compared, not listened on)
    request = urllib.request.Request(f"http://{host}:{web.port}/healthz", headers={"Host": "localhost"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 (http, built above)
            out.print(answer.read().decode())
    except urllib.error.HTTPError as error:
        err.print(error.read().decode())
        raise typer.Exit(1) from None
    except OSError as error:
        err.print(f"no daemon answers at {web.listen} ({error})")
        raise typer.Exit(1) from None
