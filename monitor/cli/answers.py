"""alerts ack|resolve|reopen and silences: what people say of alerts."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from monitor.cli.root import (
    GIVEN,
    AsJson,
    alert_of,
    alerts_app,
    bad,
    configured,
    listing,
    registered_account,
    settings_alone,
    silences_app,
)
from monitor.cli.terminal import err, out, print_rows
from monitor.model import MALAYSIA, Resolution
from monitor.problems import suggestion

By = Annotated[str, typer.Option("--by", help="Who says so; default: the user of this machine.")]
Note = Annotated[str, typer.Option("--note", help="What people should know of it; it is in the audit.")]
Case = Annotated[str, typer.Argument(metavar="CASE", help="Case number, such as PTU-2026-000123.")]
LONGEST_SILENCE = timedelta(days=90)
LONGEST_PROMISE = timedelta(days=30)  # as on the page of the mail's link
RESOLUTIONS = {
    "action-taken": Resolution.ACTION_TAKEN,
    "removed": Resolution.POST_REMOVED,
    "false-alarm": Resolution.FALSE_ALARM,
    "accepted": Resolution.ACCEPTED,
}


@alerts_app.command("ack")
def ack(
    case: Case,
    by: By = "",
    note: Note = "",
    hold: Annotated[
        str, typer.Option("--for", help="For how long, such as 8h or 3d; past it the alert is open again.")
    ] = "",
) -> None:
    """Take an alert in hand: nobody is told of it any more until the deadline."""
    from monitor.escalation import read_escalation

    length = _length(hold, LONGEST_PROMISE) if hold else read_escalation(GIVEN.folder, []).acknowledged_for
    deadline = datetime.now(UTC) + length
    asked = {"alert": _known(case), "by": _person(by), "note": note, "deadline": deadline.isoformat()}
    _say(case, perform_act("acknowledge", asked)["answer"], f"acknowledged until {_local(deadline)}")


@alerts_app.command("resolve")
def resolve(
    case: Case,
    resolution: Annotated[str, typer.Option("--as", help=f"How it ended: {', '.join(RESOLUTIONS)}.")] = "",
    by: By = "",
    note: Note = "",
) -> None:
    """End an alert. A post said to be removed is read again until its deletion is seen."""
    if not resolution:
        raise bad(f"--as: is missing; how did it end? {', '.join(sorted(RESOLUTIONS))}")
    wanted = RESOLUTIONS.get(resolution)
    if wanted is None:
        raise bad(f"--as: '{resolution}': unknown{suggestion(resolution, RESOLUTIONS)}")
    asked = {"alert": _known(case), "by": _person(by), "note": note, "resolution": wanted.value}
    _say(case, perform_act("resolve", asked)["answer"], f"resolved: {wanted.value}")


@alerts_app.command("reopen")
def reopen(
    case: Case, reason: Annotated[str, typer.Option("--reason", help="Its people are told why.")], by: By = ""
) -> None:
    """Open an alert again; its people are told anew."""
    if not reason.strip():
        raise bad("--reason: is empty; its people are told why")
    asked = {"alert": _known(case), "by": _person(by), "reason": reason}
    _say(case, perform_act("reopen", asked)["answer"], "open again")


@silences_app.command("add")
def silences_add(
    reason: Annotated[str, typer.Option("--reason", help="Why nobody is to be told.")],
    hold: Annotated[str, typer.Option("--for", help="For how long, such as 8h or 14d; at most 90d.")],
    rule: Annotated[str, typer.Option("--rule", help="Only alerts about nothing but this rule.")] = "",
    account: Annotated[str, typer.Option("--account", help="Only this account: platform/handle.")] = "",
    by: By = "",
) -> None:
    """Tell nobody of alerts of an account, of a rule, or of both, for a while. Critical ones are told all the same."""
    if not rule and not account:
        raise bad("a silence is narrow: give --account, --rule, or both")
    if not reason.strip():
        raise bad("--reason: is empty; the digest shows it to the security team")
    until = datetime.now(UTC) + _length(hold, LONGEST_SILENCE, "; for good, pause the account or change the rule")
    asked = {
        "by": _person(by),
        "reason": reason,
        "until": until.isoformat(),
        "rule": _rule(rule),
        "account": registered_account(account) if account else None,
    }
    made = perform_act("silence", asked)
    out.print(f"silence {made['silence']} holds until {_local(until)}; suppressed alerts stand in the digest")


@silences_app.command("list")
def silences_list(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
) -> None:
    """List the silences that hold."""
    from monitor.store.life import list_silences
    from monitor.store.register import registered

    with listing() as db:
        found = list_silences(db, at=None if everything else datetime.now(UTC)) if db is not None else []
        labels = {one.id: one.label for one in registered(db)} if db is not None else {}
    rows: list[dict[str, Any]] = [
        {
            "silence": one.id,
            "account": labels.get(one.account_id, "") if one.account_id is not None else "",
            "rule": one.rule,
            "author": one.author,
            "reason": one.reason,
            "created_at": one.created_at.isoformat(),
            "expires_at": one.expires_at.isoformat(),
        }
        for one in found
    ]
    print_rows(rows, as_json, ("silence", "account", "rule", "author", "reason", "expires_at"))


@silences_app.command("end")
def silences_end(number: Annotated[int, typer.Argument(metavar="SILENCE")], by: By = "") -> None:
    """End a silence now. What it suppressed stays suppressed; `alerts reopen` opens it."""
    answer = perform_act("end silence", {"silence": number, "by": _person(by)})["answer"]
    out.print(f"silence {number} has ended" if answer == "done" else f"silence {number} had ended before")


def perform_act(act: str, asked: dict[str, Any]) -> dict[str, Any]:
    from monitor.acts import ActRefusedError, perform

    try:
        return perform(settings_alone().database.url, act, asked)
    except ActRefusedError as error:
        raise bad(str(error)) from None


def _known(case: str) -> int:
    with listing() as db:
        return alert_of(db, case)


def _rule(rule: str) -> str:
    if rule:
        known = [one.id for one in configured().rules.rules]
        if rule not in known:
            raise bad(f"--rule: '{rule}': no such rule{suggestion(rule, known)}; `pantau rules list` shows them")
    return rule


def _length(given: str, longest: timedelta, instead: str = "") -> timedelta:
    from monitor.settings.values import duration

    try:
        length = duration(given)
    except ValueError as error:
        raise bad(f"--for: {error}") from None
    if length > longest:
        raise bad(f"--for: at most {longest.days}d{instead}")
    return length


def _person(by: str) -> str:
    return by.strip() or getpass.getuser()


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(MALAYSIA):%Y-%m-%d %H:%M}"


def _say(case: str, answer: str, done: str) -> None:
    words = {"done": done, "already so": "was so already; nothing was changed"}
    if answer not in words:
        err.print(f"{case.strip().upper()}: is closed; `pantau alerts reopen` opens it again")
        raise typer.Exit(1)
    out.print(f"{case.strip().upper()}: {words[answer]}")
