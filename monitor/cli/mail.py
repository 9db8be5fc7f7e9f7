"""digest, mail test and mail preview: what is sent, or shown, on demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.root import (
    app,
    bad,
    begun,
    configured,
    mail_app,
    monitored,
    quieter,
    registered_agency,
    write_out,
)
from monitor.cli.terminal import err, out
from monitor.configuration import (
    Configuration,
    secrets_of,
)
from monitor.model import MALAYSIA
from monitor.settings.values import is_mail_address
from monitor.signals import stop_on_signals

if TYPE_CHECKING:
    from alerts.digest import DigestFiles


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

    configuration = configured()
    wanted = week or week_of(datetime.now(MALAYSIA) - timedelta(weeks=1))
    begun("--week", wanted, iso_week)
    if send and file is not None:
        raise bad("--send and --out: choose one of the two")
    _check_suffix(file)
    if send:
        _send_digest(configuration, wanted)
    else:
        _write_digest(configuration, wanted, file)


def _send_digest(configuration: Configuration, week: str) -> None:
    stop = stop_on_signals()
    from monitor import logs
    from monitor.app.mails import deliver_all, schedule_week
    from monitor.app.service import open_service

    if not configuration.settings.digest.recipients:
        raise bad("digest.recipients: is empty; name who gets the digest")
    logs.start_logging(quieter(configuration.settings.log), secrets_of(configuration))
    with open_service(configuration, stop=stop) as service:
        new = schedule_week(service, week)
        sent = deliver_all(service)
    if stop.is_set():
        err.print("stopped before the end; nothing is lost, the next run goes on")
        raise typer.Exit(0)
    if not new:
        out.print(f"the digest of {week} was delivered before: once for each recipient and week")
    for where in sent.delivered:
        out.print(f"delivered  {where}")
    for failure in sent.failures:
        err.print(f"failed     {failure}")
    raise typer.Exit(1 if sent.failures else 0)


def _write_digest(configuration: Configuration, week: str, file: Path | None) -> None:
    from alerts.digest import digest_files
    from alerts.envelope import envelope_of
    from monitor.app.reports import report_of_week

    with monitored() as db:
        report = report_of_week(configuration, db, week, now=datetime.now(UTC))
    made = digest_files(report, configuration.settings, envelope_of(configuration.settings), now=datetime.now(UTC))
    _print_or_write(made, file)


def _print_or_write(made: DigestFiles, file: Path | None) -> None:
    if file is None:
        out.print(made.text)
        return
    write_out(file, made.html.encode() if file.suffix.lower() == ".html" else made.mail)
    out.print(f"{file} written; nothing was sent")


@app.command("monthly")
def letter(
    month: Annotated[str, typer.Option(help="Month such as 2026-11.")],
    agency: Annotated[str, typer.Option(help="The agency's code.")],
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write .html or .eml; sends nothing.")
    ] = None,
) -> None:
    """Make the monthly letter to an agency's head, as the daemon sends it; without --out its text is printed."""
    from alerts.digest import letter_files
    from alerts.envelope import envelope_of
    from alerts.monthly import month_of
    from monitor.app.reports import report_of_month

    begun("--month", month, month_of)
    _check_suffix(file)
    configuration = configured()
    with monitored() as db:
        code = registered_agency(db, agency)
        try:
            report = report_of_month(configuration, db, month, code, now=datetime.now(UTC))
        except LookupError as error:
            raise bad(f"--agency: {error}") from None
    _print_or_write(letter_files(report, envelope_of(configuration.settings), now=datetime.now(UTC)), file)


def _check_suffix(file: Path | None) -> None:
    if file is not None and file.suffix.lower() not in {".html", ".eml"}:
        raise bad(f"--out: '{file}': expected a file name that ends in .html or .eml")


@mail_app.command("test")
def mail_test(address: Annotated[str, typer.Argument(metavar="ADDRESS")]) -> None:
    """Send a test mail the way alerts go."""
    from alerts.channel import DeliveryFailed
    from alerts.compose import compose_test
    from alerts.envelope import envelope_of
    from alerts.outbox import open_channel

    if not is_mail_address(address):
        raise bad(f"'{address}' is not one mail address")
    settings = configured().settings
    message_id, mail = compose_test(address, envelope_of(settings), now=datetime.now(UTC))
    channel = open_channel(settings.mail)
    try:
        out.print(f"delivered: {channel.send(mail, recipient=address, message_id=message_id)}")
    except DeliveryFailed as error:
        err.print(str(error))
        raise typer.Exit(1) from None
    finally:
        channel.close()


@mail_app.command("preview")
def mail_preview(
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")] = Path("mail-preview"),
) -> None:
    """Write every mail in both languages to files, from fictional cases; sends nothing."""
    from alerts.envelope import envelope_of
    from alerts.preview import write_preview

    envelope = envelope_of(configured().settings)
    try:
        count = write_preview(folder, envelope)
    except OSError as error:
        raise bad(f"--out: {folder}: cannot be written ({error.strerror})") from None
    out.print(f"{count} mails written; look at {folder / 'index.html'}")
