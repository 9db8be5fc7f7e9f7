"""The opening of alerts: once for each thing that somebody must look at, in the transaction that found it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import Connection, and_, bindparam, exists, select, update

from monitor.disclosure import profile_detail
from monitor.model import (
    MALAYSIA,
    Account,
    AlertKind,
    AlertState,
    Cause,
    Disclosure,
    Finding,
    NotificationState,
    Profile,
    Severity,
)
from monitor.store import audit, life
from monitor.store.prepared import Prepared, as_new, new_row, new_row_if_new
from monitor.store.tables import alert, finding, notification, notification_alert, post, post_version

RESEMBLING = 0.6  # of difflib's ratio, 0 to 1
REVIEWED_AS_BATCH = "back catalogue: reviewed as one batch, never mailed"


def open_alert(
    connection: Connection,
    *,
    dedup_key: str,
    kind: AlertKind,
    severity: Severity,
    disclosure: Disclosure,
    now: datetime,
    agency: str | None = None,
    account_id: int | None = None,
    post_id: int | None = None,
    cause: Cause | None = None,
    since: datetime | None = None,
    detail: str = "",
) -> int:
    """Open an alert, or return the one that this key opened before: the key is what makes two things the same."""
    key = {"key": dedup_key}
    if (before := _BY_KEY.run(connection, key).fetchone()) is not None:
        return int(before[0])
    mailed = kind is not AlertKind.BACKLOG
    values = {
        "case": f"new:{dedup_key}",
        "dedup_key": dedup_key,
        "kind": kind.value,
        "state": AlertState.OPEN.value,
        "severity": int(severity),
        "disclosure": int(disclosure),
        "agency": agency,
        "account_id": account_id,
        "post_id": post_id,
        "cause": cause.value if cause else None,
        "since": since,
        "detail": detail,
        "opened_at": now,
        "next_action_at": now if mailed else None,
        "waiting_reason": "" if mailed else REVIEWED_AS_BATCH,
    }
    opened = _OPEN.run(connection, as_new(values)).fetchone()
    if opened is None:  # another process opened it in this moment
        return int(_BY_KEY.run(connection, key).fetchone()[0])
    number = int(opened[0])
    case = f"PTU-{now.astimezone(MALAYSIA).year}-{number:06d}"
    _NAME.run(connection, {"number": number, "name": case})
    facts = {"case": case, "key": dedup_key, "kind": kind.value, "severity": severity.label, "agency": agency or ""}
    audit.append(connection, "alert opened", now=now, alert_id=number, facts=facts)
    return number


_BY_KEY = Prepared(select(alert.c.id).where(alert.c.dedup_key == bindparam("key")))
_NAME = Prepared(update(alert).where(alert.c.id == bindparam("number")).values(case=bindparam("name")))
_OPENED = (
    "case",
    "dedup_key",
    "kind",
    "state",
    "severity",
    "disclosure",
    "agency",
    "account_id",
    "post_id",
    "cause",
    "since",
    "detail",
    "opened_at",
    "next_action_at",
    "waiting_reason",
)
_OPEN = new_row_if_new(alert, *_OPENED, returning=alert.c.id)


def recover(connection: Connection, *, now: datetime, account_ids: Sequence[int] = (), platform: str = "") -> None:
    """Note that what was blind reads again: the open alert is resolved by fact, and its people are told once."""
    if account_ids:
        whose = and_(alert.c.kind == AlertKind.BLIND.value, alert.c.account_id.in_(account_ids))
    else:
        prefix = f"credential:{platform}:"
        whose = and_(alert.c.kind == AlertKind.CREDENTIAL.value, alert.c.dedup_key.startswith(prefix, autoescape=True))
    connection.execute(
        update(alert)
        .where(whose, alert.c.recovered_at.is_(None), alert.c.resolved_at.is_(None))
        .values(recovered_at=now, next_action_at=now)
    )


def note_findings(
    connection: Connection,
    findings: Sequence[Finding],
    *,
    holder: Account,
    post_id: int,
    native_id: str,
    version_id: int,
    back_catalogue: bool,
    rule_set: str,
    now: datetime,
) -> int | None:
    """Keep what the rules found in a version of a post. Returns the alert that it opens, joins or is known by."""
    alert_id = _alert_for_post(
        connection,
        holder=holder,
        post_id=post_id,
        native_id=native_id,
        findings=findings,
        back_catalogue=back_catalogue,
        now=now,
    )
    if findings:
        shared = {"post_version_id": version_id, "alert_id": alert_id, "rule_set": rule_set, "found_at": now}
        _FINDING.run_each(connection, (as_new(shared | _finding_values(one)) for one in findings))
    return alert_id


_FINDING = Prepared(new_row(finding))


def _finding_values(one: Finding) -> dict[str, object]:
    return {
        "rule": one.rule,
        "rule_version": one.rule_version,
        "title_ms": one.title_ms,
        "title_en": one.title_en,
        "instrument": one.clause.instrument,
        "clause": one.clause.ref,
        "clause_ms": one.clause.ms,
        "clause_en": one.clause.en,
        "severity": int(one.severity),
        "disclosure": int(one.disclosure),
        "field": one.field,
        "spans": [list(span) for span in one.spans],
        "shadow": one.shadow,
    }


def _alert_for_post(
    connection: Connection,
    *,
    holder: Account,
    post_id: int,
    native_id: str,
    findings: Sequence[Finding],
    back_catalogue: bool,
    now: datetime,
) -> int | None:
    """Open, join or find the alert that these findings belong to. None when nothing in them is worth an alert.

    The same rules on the same post are the same thing, whatever the edit; a rule not alerted before is a new one. It
    joins the post's open alert as long as no mail of that alert was rendered, and no other alert's mail tells of it.
    """
    worth = [f for f in findings if f.severity.alerts and not f.shadow]
    if not worth:
        return None
    severity = max(f.severity for f in worth)
    disclosure = min(f.disclosure for f in findings if not f.shadow)  # also a weak suspicion keeps words inside
    if back_catalogue:
        return _batch(connection, holder, severity, disclosure, now)
    earlier = _alerted(connection, post_id)
    new_rules = sorted({f.rule for f in worth} - {rule for _, rule in earlier})
    last = earlier[-1][0] if earlier else None
    if last is not None and not new_rules:
        return last
    if last is not None and _can_be_joined(connection, last):
        _strengthen(connection, last, severity, disclosure)
        return last
    if last is None and (again := _published_again(connection, holder, post_id, now)) is not None:
        _strengthen(connection, again, severity, disclosure)
        return again
    broken = hashlib.sha256("\n".join(new_rules).encode()).hexdigest()[:16]
    return open_alert(
        connection,
        dedup_key=f"post:{holder.id}:{native_id}:{broken}",
        kind=AlertKind.POST,
        severity=severity,
        disclosure=disclosure,
        agency=holder.agency,
        account_id=holder.id,
        post_id=post_id,
        now=now,
    )


def alert_for_profile(
    connection: Connection, *, holder: Account, before: Profile, after: Profile, now: datetime
) -> int | None:
    """Open an alert when an account goes by another name or handle; pictures and descriptions change all the time.

    A name that hardly resembles the old one, or another handle, is of high severity; a few words more are of medium.
    """
    renamed = [
        (what, old, new)
        for what, old, new in (("name", before.name, after.name), ("handle", before.handle, after.handle))
        if _letters(old) and _letters(old) != _letters(new)
    ]
    if not renamed:
        return None
    strange = any(what == "handle" or not _resembles(old, new) for what, old, new in renamed)
    return open_alert(
        connection,
        dedup_key=f"profile:{holder.id}:{after.content_hash[:16]}",
        kind=AlertKind.PROFILE,
        severity=Severity.HIGH if strange else Severity.MEDIUM,
        disclosure=Disclosure.FULL,  # a name is what everybody sees; no rule has found anything in it
        agency=holder.agency,
        account_id=holder.id,
        detail=profile_detail(before, after),
        now=now,
    )


def _letters(name: str) -> str:
    """Return what two spellings of a name have in common: case, spaces, flags and check marks are no other name."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def _resembles(old: str, new: str) -> bool:
    one, other = _letters(old), _letters(new)
    return one in other or (other != "" and SequenceMatcher(None, one, other).ratio() >= RESEMBLING)


def _published_again(connection: Connection, holder: Account, post_id: int, now: datetime) -> int | None:
    """Reopen the alert of a post that was reported as removed when this one says the very same."""
    row = _TEXT_KEY.run(connection, {"post": post_id}).fetchone()
    if row is None or row[0] is None:
        return None
    return life.reposted(connection, agency=holder.agency, text_key=row[0], post_id=post_id, now=now)


_TEXT_KEY = Prepared(
    select(post_version.c.text_key)
    .join(post, and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions))
    .where(post.c.id == bindparam("post"))
)


def _batch(connection: Connection, holder: Account, severity: Severity, disclosure: Disclosure, now: datetime) -> int:
    """Return the one alert of an account's back catalogue."""
    batch = open_alert(
        connection,
        dedup_key=f"backlog:{holder.id}",
        kind=AlertKind.BACKLOG,
        severity=severity,
        disclosure=disclosure,
        agency=holder.agency,
        account_id=holder.id,
        now=now,
    )
    _strengthen(connection, batch, severity, disclosure)
    return batch


def _alerted(connection: Connection, post_id: int) -> list[tuple[int, str]]:
    """Return (alert, rule) for what was alerted of a post before, in the order of the alerts."""
    return [(row[0], row[1]) for row in _ALERTED.run(connection, {"post": post_id}).fetchall()]


_ALERTED = Prepared(
    select(alert.c.id, finding.c.rule)
    .join(finding, finding.c.alert_id == alert.c.id)
    .where(alert.c.post_id == bindparam("post"), alert.c.kind == AlertKind.POST.value)
    .where(finding.c.severity >= Severity.MEDIUM, finding.c.shadow.is_(False))
    .order_by(alert.c.id)
)


def _can_be_joined(connection: Connection, alert_id: int) -> bool:
    untouched = and_(~notification.c.kept, notification.c.leased_until.is_(None))
    waiting = and_(notification.c.state == NotificationState.PENDING.value, untouched)
    begun = exists().where(notification.c.alert_id == alert_id, ~waiting)
    in_others = exists().where(notification_alert.c.alert_id == alert_id)
    is_open = exists().where(alert.c.id == alert_id, alert.c.state == AlertState.OPEN.value)
    return bool(connection.execute(select(and_(is_open, ~begun, ~in_others))).scalar())


def _strengthen(connection: Connection, alert_id: int, severity: Severity, disclosure: Disclosure) -> None:
    """Raise the severity and narrow the disclosure of an alert; a mail that was planned is planned anew."""
    weaker = and_(alert.c.id == alert_id, alert.c.severity < int(severity))
    raised = {"severity": int(severity)}
    if connection.execute(update(alert).where(weaker).values(**raised)).rowcount:
        again = and_(alert.c.id == alert_id, alert.c.kind != AlertKind.BACKLOG.value)
        connection.execute(update(alert).where(again).values(next_action_at=alert.c.opened_at, steps=0))
    wider = and_(alert.c.id == alert_id, alert.c.disclosure > int(disclosure))
    connection.execute(update(alert).where(wider).values(disclosure=int(disclosure)))
