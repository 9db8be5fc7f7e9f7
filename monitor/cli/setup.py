"""init, check and doctor: a configuration is written, proved right, and tried."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.root import GIVEN, app, bad, configured, listing, today, usual_folder
from monitor.cli.terminal import err, out
from monitor.configuration import (
    Configuration,
    missing_credentials,
)
from monitor.model import AccountStatus
from monitor.problems import ConfigurationError
from monitor.register import account_key
from monitor.settings import SHORT_INTERVAL
from monitor.settings.summary import summary

PACKAGE = Path(__file__).parent.parent
SOON = timedelta(days=30)


@app.command()
def init(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where to write; default: --config.")] = None,
) -> None:
    """Write a commented default configuration, the first rules and an empty register. Nothing is overwritten."""
    target = folder if folder is not None else GIVEN.folder
    source = _defaults()
    if target.exists() and not target.is_dir():
        raise bad(f"{target}: is a file; name a folder for the configuration")
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
        raise bad(f"{target}: cannot be written ({error.strerror}); choose a folder that you may write to") from None
    out.print(
        f"{target}: {written} file{'s' if written != 1 else ''} written"
        + (f", {kept} were there and are left alone" if kept else "")
    )
    pantau = "pantau" if target.resolve() == usual_folder().resolve() else f"pantau --config {shlex.quote(str(target))}"
    out.print(f"next: agencies and accounts into the register (`{pantau} agencies import FILE`), then `{pantau} check`")


def _defaults() -> Path:
    """Return where the default configuration lies: inside the installed package, or in the checkout."""
    packaged = PACKAGE / "defaults"
    return packaged if packaged.is_dir() else PACKAGE.parent / "config"


@app.command()
def check() -> None:
    """Check configuration, register and rules, and tell all mistakes at once."""
    configuration = configured()
    if missing := missing_credentials(configuration):
        raise ConfigurationError(missing)
    active = sum(1 for one in configuration.accounts if one.status.value == "active")
    live = sum(1 for rule in configuration.rules.rules if rule.status == "live")
    lines = [
        *summary(configuration.settings),
        ("agencies", len(configuration.agencies)),
        ("accounts", f"{len(configuration.accounts)}, {active} active"),
        ("rules", f"{len(configuration.rules.rules)}, {live} live, set {configuration.rules.hash[:12]}"),
    ]
    width = max(len(key) for key, _ in lines)
    for key, value in lines:
        out.print(f"{key:<{width}}  {value}")
    for warning in _warnings(configuration):
        err.print(f"note: {warning}")
    out.print("all right")


def _warnings(configuration: Configuration) -> Iterator[str]:
    settings = configuration.settings
    left = _left_the_register(configuration)
    if not configuration.accounts and not left:
        yield "no accounts are registered: nothing is monitored yet; `pantau accounts import FILE`"
    if not settings.digest.recipients:
        yield "digest.recipients is empty: nobody gets the weekly digest"
    if not settings.operators.recipients:
        yield "operators.recipients is empty: nobody is told of dead credentials and refused mails"
    if settings.polling.min_interval < SHORT_INTERVAL:
        yield "polling.min_interval is below 30s: platforms may count this against you"
    if settings.mail.transport == "folder":
        yield f'mails are written to {settings.mail.folder} and not sent; mail.transport = "smtp" sends them'
    for rule in configuration.rules.rules:
        for excuse in rule.exceptions:
            if excuse.expires - today() <= SOON:
                yield f"{rule.file}: the exception '{excuse.name}' ends on {excuse.expires}; from then on it is refused"
    if left:
        yield (
            f"no longer in accounts.csv, and still read: {len(left)} ({', '.join(left[:3])}"
            f"{', …' if len(left) > 3 else ''}); a row with the status retired ends that"
        )


def _left_the_register(configuration: Configuration) -> list[str]:
    """Return the accounts that are read although no row of the register names them any more."""
    from monitor.store.register import registered

    named = {account_key(one) for one in configuration.accounts}
    with listing() as db:
        stored = registered(db) if db is not None else []
    return [one.label for one in stored if one.status is AccountStatus.ACTIVE and account_key(one) not in named]


@app.command()
def doctor() -> None:
    """Try what Pantau depends on: database, mail server, each credential, clock, OCR, library versions."""
    from monitor.doctor import examine

    failed = False
    configuration = configured()
    for found in examine(configuration):
        mark = {"ok": "ok  ", "note": "note", "bad": "BAD "}[found.state]
        out.print(f"{mark}  {found.subject:<18} {found.message}")
        failed |= found.state == "bad"
    raise typer.Exit(1 if failed else 0)
