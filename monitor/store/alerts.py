"""Alerts: opened once for each thing that somebody must look at, in the transaction that found it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, exists, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from monitor.disclosure import profile_detail
from monitor.model import (
    MALAYSIA,
    Account,
    Alert,
    AlertKind,
    AlertState,
    Cause,
    Clause,
    Disclosure,
    Finding,
    Media,
    MediaKind,
    NotificationState,
    Post,
    PostKind,
    Profile,
    Removal,
    Resolution,
    Severity,
)
from monitor.store import audit, life
from monitor.store.database import Database
from monitor.store.prepared import Prepared, as_new
from monitor.store.register import Tenures, tenures_of, to_account
from monitor.store.tables import account, alert, finding, media, notification, notification_alert, post, post_version

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
# What a row needs besides, by the table's own defaults.
_DEFAULTS = {"owner": "", "note": "", "round": 0, "steps": 0, "reopened_for": ""}


def _if_new(dialect: Any) -> Any:
    new = {name: bindparam(f"new_{name}", type_=alert.c[name].type) for name in _OPENED}
    return dialect.insert(alert).values({**new, **_DEFAULTS}).on_conflict_do_nothing().returning(alert.c.id)


_OPEN = Prepared(_if_new(sqlite), postgresql=_if_new(postgresql))


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


def alert_for_post(
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


def load_alert(db: Database, alert_id: int) -> Alert:
    """Return the alert with its agency (contacts of the day), account, post and findings. Raises LookupError."""
    with db.read() as connection:
        row = connection.execute(select(alert).where(alert.c.id == alert_id)).mappings().first()
        if row is None:
            raise LookupError(f"no alert with id {alert_id}")
        return to_alert(connection, row)


def load_alerts(db: Database, alert_ids: Collection[int]) -> dict[int, Alert]:
    """Return these alerts by id; what is no alert is left out."""
    with db.read() as connection:
        rows = connection.execute(select(alert).where(alert.c.id.in_(alert_ids))).mappings().all()
        return {one.id: one for one in to_alerts(connection, rows)}


def to_alert(connection: Connection, row: RowMapping) -> Alert:
    return to_alerts(connection, [row])[0]


@dataclass(frozen=True, slots=True)
class _Related:
    """What some alerts refer to, looked up once for all of them."""

    accounts: Mapping[int, Account]
    posts: Mapping[int, Post]
    tenures: Mapping[str, Tenures]
    findings: Mapping[int, tuple[Finding, ...]]


def to_alerts(connection: Connection, rows: Sequence[RowMapping]) -> list[Alert]:
    """Return the alerts of these rows, in their order."""
    accounts = {row["account_id"] for row in rows} - {None}
    found = connection.execute(select(account).where(account.c.id.in_(accounts))).mappings() if accounts else ()
    related = _Related(
        accounts={row["id"]: to_account(row) for row in found},
        posts=_newest_versions(connection, {row["post_id"] for row in rows} - {None}),
        tenures=tenures_of(connection, {row["agency"] for row in rows} - {None}),
        findings=_findings(connection, {row["id"] for row in rows}),
    )
    return [_alert(row, related) for row in rows]


def _alert(row: RowMapping, related: _Related) -> Alert:
    about = related.posts[row["post_id"]] if row["post_id"] is not None else None
    tenures = related.tenures.get(row["agency"])
    day = about.published_at if about else row["opened_at"]
    return Alert(
        id=row["id"],
        case=row["case"],
        key=row["dedup_key"],
        kind=AlertKind(row["kind"]),
        state=AlertState(row["state"]),
        severity=Severity(row["severity"]),
        disclosure=Disclosure(row["disclosure"]),
        opened_at=row["opened_at"],
        agency=tenures.at(day) if tenures else None,
        account=related.accounts.get(row["account_id"]),
        post=about,
        findings=related.findings.get(row["id"], ()),
        cause=Cause(row["cause"]) if row["cause"] else None,
        since=row["since"],
        recovered_at=row["recovered_at"],
        detail=row["detail"],
        next_action_at=row["next_action_at"],
        waiting_reason=row["waiting_reason"],
        owner=row["owner"],
        note=row["note"],
        deadline=row["deadline"],
        acknowledged_at=row["acknowledged_at"],
        resolved_at=row["resolved_at"],
        resolution=Resolution(row["resolution"]) if row["resolution"] else None,
        resolution_note=row["resolution_note"] or "",
        removal=Removal(row["removal"]) if row["removal"] else None,
        round=row["round"],
        steps=row["steps"],
        policy=row["policy"] or "",
        reopened_for=row["reopened_for"],
    )


def _findings(connection: Connection, alert_ids: Collection[int]) -> dict[int, tuple[Finding, ...]]:
    """Return what each alert is about: findings of the newest version each rule fired on, strongest first.

    Those too low for a mail stay with the post: they are for the digest, and no clause to hold against a head.
    """
    rows = connection.execute(
        select(finding)
        .where(finding.c.alert_id.in_(alert_ids), finding.c.shadow.is_(False))
        .where(finding.c.severity >= Severity.MEDIUM)
        .order_by(finding.c.post_version_id)
    ).mappings()
    newest: dict[int, dict[tuple[str, str], Finding]] = {}
    for row in rows:
        newest.setdefault(row["alert_id"], {})[row["rule"], row["field"]] = to_finding(row)
    strongest_first = {n: sorted(f.values(), key=lambda f: (-f.severity, f.rule, f.field)) for n, f in newest.items()}
    return {number: tuple(found) for number, found in strongest_first.items()}


def to_finding(row: RowMapping) -> Finding:
    return Finding(
        rule=row["rule"],
        rule_version=row["rule_version"],
        title_ms=row["title_ms"],
        title_en=row["title_en"],
        clause=Clause(instrument=row["instrument"], ref=row["clause"], ms=row["clause_ms"], en=row["clause_en"]),
        severity=Severity(row["severity"]),
        disclosure=Disclosure(row["disclosure"]),
        field=row["field"],
        spans=tuple((start, end) for start, end in row["spans"]),
        shadow=row["shadow"],
    )


def save_findings(
    connection: Connection,
    findings: Iterable[Finding],
    *,
    post_version_id: int,
    alert_id: int | None,
    rule_set: str,
    now: datetime,
) -> None:
    rows = [
        {
            "post_version_id": post_version_id,
            "alert_id": alert_id,
            "rule": f.rule,
            "rule_version": f.rule_version,
            "rule_set": rule_set,
            "title_ms": f.title_ms,
            "title_en": f.title_en,
            "instrument": f.clause.instrument,
            "clause": f.clause.ref,
            "clause_ms": f.clause.ms,
            "clause_en": f.clause.en,
            "severity": int(f.severity),
            "disclosure": int(f.disclosure),
            "field": f.field,
            "spans": [list(span) for span in f.spans],
            "shadow": f.shadow,
            "found_at": now,
        }
        for f in findings
    ]
    if rows:
        connection.execute(insert(finding), rows)


def _newest_versions(connection: Connection, post_ids: Collection[int]) -> dict[int, Post]:
    """Return the posts as they were last seen, by id."""
    if not post_ids:
        return {}
    rows = connection.execute(
        select(post, post_version.c.text, post_version.c.edited_at, post_version.c.language, post_version.c.links)
        .add_columns(post_version.c.id.label("version_id"), post_version.c.purged_at)
        .join(post_version, and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions))
        .where(post.c.id.in_(post_ids))
    )
    newest = rows.mappings().all()
    attached: dict[int, list[Media]] = {}
    versions = [row["version_id"] for row in newest]
    in_order = select(media).where(media.c.post_version_id.in_(versions)).order_by(media.c.position)
    for m in connection.execute(in_order).mappings():
        one = Media(kind=MediaKind(m["kind"]), url=m["url"], text=m["alt_text"])
        attached.setdefault(m["post_version_id"], []).append(one)
    return {row["id"]: _post(row, attached.get(row["version_id"], ())) for row in newest}


def _post(row: RowMapping, attached: Sequence[Media]) -> Post:
    return Post(
        native_id=row["native_id"],
        url=row["url"],
        published_at=row["published_at"],
        text=row["text"],
        kind=PostKind(row["kind"]),
        edited_at=row["edited_at"],
        language=row["language"],
        media=tuple(attached),
        links=tuple(row["links"]),
        purged_hash=row["content_hash"] if row["purged_at"] is not None else "",
    )


def find_case(db: Database, case: str) -> int | None:
    """Return the id of an alert by its case number (any letter case), or by its bare number; None when unknown."""
    with db.read() as connection:
        same = alert.c.case == case.strip().upper()
        if case.strip().isdigit():
            same = or_(same, alert.c.id == int(case))
        return connection.execute(select(alert.c.id).where(same)).scalars().first()
