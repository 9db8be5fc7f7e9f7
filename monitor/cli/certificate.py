"""certificate: what of an agency's accounts was read in a week or month, as a signed page; and verifying one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.root import bad, begun, certificate_app, configured, listing, monitored, write_out
from monitor.cli.terminal import err, out
from monitor.configuration import Configuration
from monitor.model import MALAYSIA, Json, Language
from monitor.problems import suggestion
from monitor.store.database import Database, DatabaseUnusableError

if TYPE_CHECKING:
    from alerts.seal import PublicKey
    from monitor.store.proof import Proof

LONGEST_FILE = 20_000_000


@certificate_app.command("issue")
def issue(
    agency: Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's code.")],
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the page goes: FILE.html.")],
    week: Annotated[str, typer.Option(help="ISO week such as 2026-W47; default: the last complete one.")] = "",
    month: Annotated[str, typer.Option(help="Month such as 2026-11, instead of a week.")] = "",
    lang: Annotated[str, typer.Option(help="ms or en; default: the agency's language.")] = "",
) -> None:
    """Certify an agency's coverage of a week or month: a page to print or to send, signed by this installation."""
    from importlib.metadata import version

    from alerts import seal
    from alerts.certificate import certificate, figures_of

    if file.suffix.lower() not in {".html", ".htm"}:
        raise bad(f"--out: '{file}': expected a file name that ends in .html")
    name, start, end = _period(week, month)
    spoken = _language(lang)
    configuration = configured()
    with monitored() as db:
        private = _private_key(db)
        proof = _proof(configuration, db, agency, start, end)
    figures = figures_of(
        proof,
        period=name,
        rule_set=configuration.rules.hash,
        language=spoken or proof.agency.language,
        key=seal.public_key(private),
        version=version("pantau"),
        now=datetime.now(UTC),
    )
    write_out(file, certificate(figures, private).encode())
    out.print(f"{file} written: {proof.agency.code}, {name}, {proof.verdict.value}")
    out.print(f"signed by {seal.public_key(private).fingerprint}")


def _proof(configuration: Configuration, db: Database, code: str, start: datetime, end: datetime) -> Proof:
    from monitor.app.reports import degraded_platforms
    from monitor.store.proof import proof_of
    from monitor.store.register import list_agencies, registered

    now = datetime.now(UTC)
    proof = proof_of(
        db,
        code,
        start=start,
        end=end,
        now=now,
        patience=configuration.settings.polling.patience,
        degraded=degraded_platforms(registered(db)),
    )
    if proof is None:
        known = [one.code for one in list_agencies(db, now)]
        raise bad(f"'{code}': no such agency{suggestion(code, known)}; `pantau agencies list` shows them")
    if not proof.accounts:
        last = end.astimezone(MALAYSIA) - timedelta(microseconds=1)
        when = f"{start.astimezone(MALAYSIA):%Y-%m-%d} to {last:%Y-%m-%d}"
        raise bad(
            f"{proof.agency.code}: had no active account {when}: nothing to certify; --week or --month for another time"
        )
    return proof


def _private_key(db: Database) -> str:
    from alerts.seal import KEY_FACT
    from monitor.store.database import known_fact

    private = known_fact(db, KEY_FACT)
    if private is None:
        raise bad("this installation has no key to sign with yet; `pantau once` or `pantau run` makes it")
    return private


def _language(lang: str) -> Language | None:
    try:
        return Language(lang) if lang else None
    except ValueError:
        raise bad(f"--lang: '{lang}': expected ms or en") from None


def _period(week: str, month: str) -> tuple[str, datetime, datetime]:
    """Return the period's name, its first moment and the next one's, in Malaysian time."""
    from alerts.digest import iso_week, week_of
    from alerts.monthly import month_of

    if week and month:
        raise bad("--week and --month: choose one of the two")
    if month:
        return month, *begun("--month", month, month_of)
    name = week or week_of(datetime.now(MALAYSIA) - timedelta(weeks=1))
    return name, *begun("--week", name, iso_week)


@certificate_app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The page that was issued.")],
    key: Annotated[
        str, typer.Option(help="The issuer's public key or its fingerprint; default: this installation's own.")
    ] = "",
) -> None:
    """Say whether a certificate is as it was issued, and by whose key; what was changed is named."""
    from alerts.certificate import verify as look

    found = look(_read(file))
    strange = _stranger(found.key, key) if found.key is not None else []
    for line in [*found.wrong, *strange]:
        err.print(f"failed     {line}" if not line.startswith(" ") else f"         {line}")
    if found.signed and not strange:
        _tell(found.figures)
    if found.wrong or strange:
        raise typer.Exit(1)
    assert found.key is not None
    out.print(f"unchanged since {found.figures['issued_at']}, signed by {found.key.fingerprint}")


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > LONGEST_FILE:
            raise bad(f"{file}: is far too large for a certificate")
        return file.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise bad(f"{file}: cannot be read ({error.strerror})") from None


def _stranger(found: PublicKey, key: str) -> list[str]:
    """Return why the signature's key is not known to be the issuer's; whoever changes a page can sign it anew."""
    shown = f"signed by {found.fingerprint}"
    if key:
        return [] if found.answers_to(key) else [f"{shown}, which is not the key that was given"]
    own = _own_key()
    if own is None:
        return [f"{shown}; whose key that is cannot be said here: give --key"]
    return (
        [] if found == own else [f"{shown}, not by this installation ({own.fingerprint}); --key names another issuer"]
    )


def _own_key() -> PublicKey | None:
    from alerts.seal import KEY_FACT, public_key
    from monitor.problems import ConfigurationError
    from monitor.store.database import known_fact

    try:
        with listing() as db:
            private = known_fact(db, KEY_FACT) if db is not None else None
    except (ConfigurationError, DatabaseUnusableError):  # verifying needs no installation
        return None
    return public_key(private) if private else None


def _tell(figures: Json) -> None:
    period, agency = figures["period"], figures["agency"]
    out.print(f"{agency['name']} ({agency['code']}), {period['name']}: {figures['verdict']}")
    for one in figures["accounts"]:
        share = one["read_ppm"] // 100 / 100
        out.print(
            f"  {one['account']}: {one['verdict']}, {share:.2f} % read, {len(one['gaps'])} gaps, {one['posts']} posts"
        )


@certificate_app.command("key")
def show_key() -> None:
    """Print the public key that this installation's certificates are verified with."""
    from alerts.seal import public_key

    with listing() as db:
        if db is None:
            raise bad("there is no database yet; `pantau once` or `pantau run` makes the key")
        key = public_key(_private_key(db))
    out.print(f"public key   {key.text}")
    out.print(f"fingerprint  {key.fingerprint}")
