"""Alerts as they are read: whole, with their agency, account, post and findings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, and_, or_, select

from monitor.model import (
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
    Post,
    PostKind,
    Removal,
    Resolution,
    Severity,
)
from monitor.store.database import Database
from monitor.store.register import Tenures, tenures_of, to_account
from monitor.store.tables import account, alert, finding, media, post, post_version


def load_alert(db: Database, alert_id: int) -> Alert:
    """Return the alert with its agency (contacts of the day), account, post and findings. Raises LookupError."""
    with db.read() as connection:
        row = connection.execute(select(alert).where(alert.c.id == alert_id)).mappings().first()
        if row is None:
            raise LookupError(f"no alert with id {alert_id}")
        return to_alerts(connection, [row])[0]


def load_alerts(db: Database, alert_ids: Collection[int]) -> dict[int, Alert]:
    """Return these alerts by id; what is no alert is left out."""
    with db.read() as connection:
        rows = connection.execute(select(alert).where(alert.c.id.in_(alert_ids))).mappings().all()
        return {one.id: one for one in to_alerts(connection, rows)}


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
