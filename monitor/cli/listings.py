"""posts, alerts and coverage: what was found, read beside a daemon."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from monitor.cli.root import (
    GIVEN,
    SHOWN_ROWS,
    AsJson,
    OfAgency,
    alerts_app,
    app,
    bad,
    cell,
    iso,
    listing,
    out,
    posts_app,
    print_rows,
    shown_time,
)
from monitor.model import MALAYSIA, AccountWeek, AlertLine, AlertState
from monitor.store.listings import PostLine, coverage_of, list_alerts, list_posts, mails_of


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
            raise bad(f"--since: '{since}': expected a time such as 2026-11-01 or 2026-11-01T08:00+08:00") from None
        begin = begin if begin.tzinfo else begin.replace(tzinfo=MALAYSIA)
    with listing() as db:
        limit = None if as_json else SHOWN_ROWS + 1
        found = list_posts(db, agency=agency, platform=platform, handle=account, since=begin, limit=limit) if db else []
    columns = ("platform", "account", "native_id", "published_at", "versions", "deleted", "text")
    print_rows([_post_row(one) for one in found], as_json, columns)


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
        raise bad(f"--state: '{state}': unknown; known: {known}") from None
    with listing() as db:
        found = list_alerts(db, agency=agency, states=states) if db is not None else []
    columns = ("case", "severity", "agency", "platform", "account", "clauses", "state", "opened_at")
    print_rows([_alert_row(one) for one in found], as_json, columns)


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
    from monitor.store.audit import events_of

    with listing() as db:
        alert_id = find_case(db, case) if db is not None else None
        if db is None or alert_id is None:
            raise bad(f"'{case}': no alert has this case number; `pantau alerts list` shows them")
        alert, mails, events = load_alert(db, alert_id), mails_of(db, alert_id), events_of(db, alert_id)
        line = next(one for one in list_alerts(db) if one.case == alert.case)
    row = _alert_row(line) | {
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
                "accepted_at": iso(m.accepted_at),
                "attempts": m.attempts,
                "message_id": m.message_id,
                "error": m.error,
            }
            for m in mails
        ],
        "events": [
            {"at": e.at.isoformat(), "event": e.event, "actor": e.actor, "facts": dict(e.facts)} for e in events
        ],
    }
    if as_json:
        sys.stdout.write(json.dumps([row], ensure_ascii=False, indent=2) + "\n")
        return
    for key, value in row.items():
        if key not in {"findings", "mails", "events"}:
            shown = shown_time(value) if key.endswith("_at") else cell(value)
            out.print(f"{key:<16} {shown}", markup=False)
    out.print("\nfindings")
    print_rows(row["findings"], False, ("clause", "severity", "title", "rule", "field"))
    out.print("\nmails")
    print_rows(row["mails"], False, ("step", "recipient", "state", "accepted_at", "attempts", "error"))
    out.print("\nevents")
    print_rows([one | {"happened_at": one["at"]} for one in row["events"]], False, ("happened_at", "event", "actor"))


@app.command()
def coverage(as_json: AsJson = False, days: Annotated[int, typer.Option(min=1, help="How far back.")] = 7) -> None:
    """Show for each account what was read, and every gap with its cause."""
    from monitor.app import degraded_platforms, patience, utc_now
    from monitor.settings import load_settings
    from monitor.store.register import registered

    polling = load_settings(GIVEN.folder, os.environ).polling
    now = utc_now()
    weeks: list[AccountWeek] = []
    with listing() as db:
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
        print_rows(rows, True, ())
        return
    shown = [row | {"gaps": [f"{g['cause']} since {shown_time(g['from'])}" for g in row["gaps"][-2:]]} for row in rows]
    print_rows(shown, False, ("agency", "platform", "account", "verdict", "covered", "gaps"))


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
