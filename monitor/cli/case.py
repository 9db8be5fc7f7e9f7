"""An alert as a case file: what it is about, how it stands, who was told and who did what. No text of the post."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from alerts import wording
from monitor import budget
from monitor.disclosure import one_line, profile_changes
from monitor.model import MALAYSIA, Alert, AlertKind, AlertState, Finding, Language, Removal
from monitor.store.audit import Event
from monitor.store.listings import MailLine

EN = Language.EN
NAMES = 10  # columns for what stands before a fact
TOLD_BY_THE_MAILS = frozenset({"mail planned", "mail accepted"})  # which stand in a list of their own


def case_file(alert: Alert, mails: Sequence[MailLine], events: Sequence[Event]) -> Iterator[str]:
    """Yield the lines that `alerts show` prints; times are Malaysian."""
    yield f"{alert.case}: {wording.KINDS[EN][alert.kind]}, {alert.severity.label}"
    for name, value in _facts(alert):
        if value:
            yield f"{name:<{NAMES}} {one_line(value, limit=400)}"
    if alert.findings:
        yield from ("", "Suspected")
        yield from (f"  {line}" for line in _findings(alert.findings))
    yield from ("", "Mails")
    yield from (f"  {line}" for line in [_mail(one) for one in mails] or ["none"])
    yield from ("", "What happened")
    yield from (f"  {_event(one)}" for one in events if one.event not in TOLD_BY_THE_MAILS)


def _facts(alert: Alert) -> Iterator[tuple[str, str]]:
    if alert.agency is not None:
        yield "agency", f"{alert.agency.name} ({alert.agency.code})"
    if alert.account is not None:
        yield "account", alert.account.label
    if alert.post is not None:
        yield "posted", _time(alert.post.published_at)
        yield "link", alert.post.url
        yield "post id", alert.post.native_id
    yield "opened", _time(alert.opened_at)
    yield from _why(alert)
    yield "state", _state(alert)
    if alert.next_action_at is not None and alert.state is AlertState.OPEN:
        yield "next", f"{_time(alert.next_action_at)}, unless somebody answers before"
    yield "reopened", alert.reopened_for


def _why(alert: Alert) -> Iterator[tuple[str, str]]:
    """Yield what an alert without findings is about."""
    forecast = budget.read(alert.detail) if alert.kind is AlertKind.FORECAST else None
    if forecast is not None:
        yield "platform", wording.platform(forecast.platform, EN)
        yield "forecast", budget.said(forecast)
        return
    if alert.cause is not None:
        words, remedy = wording.cause(alert.cause, EN)
        yield "cause", f"{words}{f', since {_time(alert.since)}' if alert.since else ''}"
        yield "remedy", remedy
    changes = profile_changes(alert.detail) if alert.kind is AlertKind.PROFILE else []
    for field, before, after in changes:
        yield field, f"{before} → {after}" if before or after else "changed"
    if not changes:
        yield "detail", alert.detail


def _state(alert: Alert) -> str:
    if alert.state is AlertState.ACKNOWLEDGED:
        until = f", to be resolved by {_time(alert.deadline)}" if alert.deadline else ""
        return f"acknowledged by {alert.owner}{until}{_said(alert.note)}"
    if alert.state is AlertState.RESOLVED and alert.resolution is not None:
        checked = {None: "", Removal.REPORTED: "; its deletion was not seen yet", Removal.CONFIRMED: "; deletion seen"}
        when = f", {_time(alert.resolved_at)}" if alert.resolved_at else ""
        said = _said(alert.resolution_note)
        return f"resolved: {alert.resolution.value}{when}, by {alert.owner}{said}{checked[alert.removal]}"
    waits = alert.waiting_reason.removeprefix(f"{alert.state.value}: ")
    return f"{alert.state.value}: {waits}" if waits else alert.state.value


def _said(note: str) -> str:
    return f": “{note}”" if note else ""


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for one in sorted(findings, key=lambda one: (one.clause.ref, -one.severity)):
        shadow = ", in shadow: told nobody" if one.shadow else ""
        clause = wording.clause_name(one.clause.ref)
        yield f"{clause:<5} {one.severity.label:<8} {one.title_en} ({one.rule}; {one.field}{shadow})"


def _mail(one: MailLine) -> str:
    when = one.accepted_at or one.due_at
    tries = f", {one.attempts} tries" if one.attempts > 1 else ""
    trouble = f": {one_line(one.error, limit=200)}" if one.error else ""
    return f"{_time(when)}  {one.state.value}, {one.step}: {one.recipient}{tries}{trouble}"


def _event(one: Event) -> str:
    return f"{_time(one.at)}  {one.event}, by {one.actor}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(MALAYSIA):%Y-%m-%d %H:%M}"
