"""posts, alerts and coverage: what was found, read beside a daemon."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
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
    registered_agency,
    shown_time,
)
from monitor.model import MALAYSIA, AlertState, Language, Verdict
from monitor.reports import AccountWeek, AlertLine
from monitor.store.coverage import coverage_of
from monitor.store.listings import PostLine, list_alerts, list_posts, mails_of
from monitor.store.versions import SeenPost
from monitor.versions import shown

GAPS_SHOWN = 3  # of an account in the table; --json prints all


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
        code = registered_agency(db, agency)
        found = list_posts(db, agency=code, platform=platform, handle=account, since=begin, limit=limit) if db else []
    columns = ("platform", "account", "native_id", "published_at", "versions", "deleted", "text")
    print_rows([_post_row(one) for one in found], as_json, columns)


@posts_app.command("show")
def posts_show(native_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show a stored post: its text, what each edit changed, and whether it is still there."""
    from monitor.store.versions import seen_posts

    with listing() as db:
        found = seen_posts(db, native_id=native_id) if db is not None else []
    if not found:
        raise bad(f"'{native_id}': no stored post has this id; `pantau posts list` shows them as native_id")
    rows = [_seen_row(one) for one in found]
    if as_json:
        print_rows(rows, True, ())
        return
    for row in rows:
        for key, value in row.items():
            if key != "versions":
                out.print(f"{key:<16} {shown_time(value) if key.endswith('_at') or key == 'since' else cell(value)}")
        print_rows(row["versions"], False, ("number", "seen_at", "edited_at", "text", "changed"))


def _seen_row(one: SeenPost) -> dict[str, Any]:
    texts = ["", *(version.text for version in one.versions)]
    return {
        "platform": one.platform,
        "account": one.account,
        "native_id": one.native_id,
        "url": one.url,
        "published_at": one.published_at.isoformat(),
        "standing": one.standing,
        "since": iso(one.since),
        "versions": [
            {
                "number": version.number,
                "seen_at": version.seen_at.isoformat(),
                "edited_at": iso(version.edited_at),
                "text": version.text,
                "changed": "" if before == "" or version.purged else shown(before, version.text),
            }
            for before, version in zip(texts, one.versions, strict=False)
        ],
    }


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
    """Show one alert: what was found, and which mails went to whom. No text of the post."""
    from monitor.store.alerts import find_case, load_alert
    from monitor.store.audit import events_of

    with listing() as db:
        alert_id = find_case(db, case) if db is not None else None
        if db is None or alert_id is None:
            raise bad(f"'{case}': no alert has this case number; `pantau alerts list` shows them")
        alert, mails, events = load_alert(db, alert_id), mails_of(db, alert_id), events_of(db, alert_id)
        line = next(one for one in list_alerts(db, canaries=True) if one.case == alert.case)
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
            out.print(f"{key:<16} {shown}")
    out.print("\nfindings")
    print_rows(row["findings"], False, ("clause", "severity", "title", "rule", "field"))
    out.print("\nmails")
    print_rows(row["mails"], False, ("step", "recipient", "state", "accepted_at", "attempts", "error"))
    out.print("\nevents")
    print_rows([one | {"happened_at": one["at"]} for one in row["events"]], False, ("happened_at", "event", "actor"))


@app.command()
def coverage(
    as_json: AsJson = False,
    agency: OfAgency = "",
    days: Annotated[int | None, typer.Option(min=1, help="How far back; default: 7.")] = None,
    week: Annotated[str, typer.Option(help="This ISO week, such as 2026-W47, instead of --days.")] = "",
) -> None:
    """Show for each account what was read, and every gap with its cause. `certificate issue` makes a page of it."""
    from monitor.app.reports import degraded_platforms
    from monitor.settings.load import load_settings
    from monitor.store.register import registered

    start, end = _stretch(days, week)
    polling = load_settings(GIVEN.folder, os.environ).polling
    weeks: list[AccountWeek] = []
    with listing() as db:
        code = registered_agency(db, agency)
        if db is not None:
            weeks = coverage_of(
                db,
                start=start,
                end=end,
                patience=polling.patience,
                degraded=degraded_platforms(registered(db)),
                agency=code,
            )
    rows = [_coverage_row(one) for one in weeks]
    if as_json:
        print_rows(rows, True, ())
        return
    shown = [row | {"covered": _share(one), "gaps": _gaps(one)} for row, one in zip(rows, weeks, strict=True)]
    print_rows(shown, False, ("agency", "platform", "account", "verdict", "covered", "gaps"))
    for line in _totals(weeks):
        out.print(line)


def _stretch(days: int | None, week: str) -> tuple[datetime, datetime]:
    """Return what is to be shown: the last days, or an ISO week in Malaysian time as far as it has come."""
    from alerts.digest import iso_week

    now = datetime.now(UTC)
    if not week:
        return now - timedelta(days=days or 7), now
    if days is not None:
        raise bad("--week and --days: choose one of the two")
    try:
        start, end = iso_week(week)
    except ValueError as error:
        raise bad(f"--week: {error}") from None
    if start > now:
        raise bad(f"--week: {week} has not begun yet")
    return start, min(end, now)


def _share(week: AccountWeek) -> str:
    """Return the share read, rounded down: a gap is never rounded away."""
    return "100 %" if week.verdict is Verdict.FULL else f"{min(int(week.covered * 1000), 999) / 10:.1f} %"


def _gaps(week: AccountWeek) -> list[str]:
    """Return the longest gaps with their causes and lengths, and how many more there are."""
    from alerts.wording import span

    longest = sorted(week.gaps, key=lambda gap: -gap.length)[:GAPS_SHOWN]
    named = [
        f"{gap.cause.value if gap.cause else 'unknown'} {span(gap.length, Language.EN)} "
        f"since {shown_time(gap.start.isoformat())}"
        for gap in sorted(longest, key=lambda gap: gap.start)
    ]
    more = len(week.gaps) - len(longest)
    return [*named, *([f"and {more} more"] if more else []), *_against_its_history(week)]


def _against_its_history(week: AccountWeek) -> Iterator[str]:
    """Yield what is odd about an account that was read."""
    if (silent := week.silent) is not None:
        usual = f"it posted on {silent.active} of {silent.of} days before"
        yield f"nothing new for {silent.days} days, since {shown_time(silent.since.isoformat())}: {usual}"
    if week.vanished:
        yield f"all of its {week.vanished} recent posts were deleted"


def _totals(weeks: Sequence[AccountWeek]) -> Iterator[str]:
    """Yield one line an agency: how many of its accounts were wholly read, and what is missing."""
    from alerts.wording import span

    by_agency: dict[str, list[AccountWeek]] = {}
    for one in weeks:
        by_agency.setdefault(one.account.agency, []).append(one)
    for code, own in by_agency.items():
        full = sum(one.verdict is Verdict.FULL for one in own)
        blind = sum(one.verdict is Verdict.BLIND for one in own)
        lost = sum((gap.length for one in own for gap in one.gaps), timedelta())
        words = [f"{full} of {len(own)} accounts fully monitored"]
        words += [f"{blind} blind"] if blind else []
        silent = sum(one.silent is not None for one in own)
        words += [f"{silent} silent against their own history"] if silent else []
        words += [f"{span(lost, Language.EN)} not read in all"] if lost else []
        yield f"{code}: {', '.join(words)}"


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
        **({"silent_since": week.silent.since.isoformat()} if week.silent else {}),
        **({"vanished": week.vanished} if week.vanished else {}),
    }
