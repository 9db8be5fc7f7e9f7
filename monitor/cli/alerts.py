"""alerts list and show: what somebody must look at, and whom it was told. What people say of it is in `answers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from monitor.cli.case import case_file
from monitor.cli.root import AsJson, OfAgency, alert_of, alerts_app, bad, listing, registered_agency
from monitor.cli.terminal import iso, out, print_json, print_rows
from monitor.model import Alert, AlertState, Finding
from monitor.reports import AlertLine
from monitor.store.alerts import load_alert
from monitor.store.audit import Event, events_of
from monitor.store.listings import MailLine, list_alerts, mails_of


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
        raise bad(f"--state: '{state}': unknown; known: {known}") from None
    with listing() as db:
        code = registered_agency(db, agency)
        found = list_alerts(db, agency=code, states=states) if db is not None else []
    columns = ("case", "severity", "kind", "agency", "platform", "account", "clauses", "state", "opened_at")
    rows = [_alert_row(one) | ({} if as_json else {"kind": one.kind.value}) for one in found]
    print_rows(rows, as_json, columns)


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
    """Show one alert as a case file: what it is about, how it stands, who was told. No text of the post."""
    with listing() as db:
        alert_id = alert_of(db, case)
        assert db is not None
        alert, mails, events = load_alert(db, alert_id), mails_of(db, alert_id), events_of(db, alert_id)
        (line,) = list_alerts(db, ids=[alert_id], canaries=True)
    if not as_json:
        for words in case_file(alert, mails, events):
            out.print(words)
        return
    row = _alert_row(line) | _whole_row(line, alert)
    row["findings"] = [_finding_row(one) for one in alert.findings]
    row["mails"] = [_mail_row(one) for one in mails]
    row["events"] = [_event_row(one) for one in events]
    print_json([row])


def _whole_row(line: AlertLine, alert: Alert) -> dict[str, Any]:
    return {
        "kind": line.kind.value,
        "first_mail_at": iso(line.first_mail_at),
        "agency_name": alert.agency.name if alert.agency else "",
        "cause": alert.cause.value if alert.cause else None,
        "detail": alert.detail,
        "waiting": alert.waiting_reason,
        "next_action_at": iso(alert.next_action_at),
        "owner": alert.owner,
        "note": alert.note,
        "deadline_at": iso(alert.deadline),
        "resolution": alert.resolution.value if alert.resolution else None,
        "resolution_note": alert.resolution_note,
        "removal": alert.removal.value if alert.removal else None,
        "reopened_for": alert.reopened_for,
    }


def _finding_row(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "version": one.rule_version,
        "title": one.title_ms,
        "clause": one.clause.ref,
        "severity": one.severity.label,
        "field": one.field,
        "spans": [list(span) for span in one.spans],
    }


def _mail_row(one: MailLine) -> dict[str, Any]:
    return {
        "step": one.step,
        "recipient": one.recipient,
        "state": one.state.value,
        "due_at": one.due_at.isoformat(),
        "accepted_at": iso(one.accepted_at),
        "attempts": one.attempts,
        "message_id": one.message_id,
        "error": one.error,
    }


def _event_row(one: Event) -> dict[str, Any]:
    return {"at": one.at.isoformat(), "event": one.event, "actor": one.actor, "facts": dict(one.facts)}
