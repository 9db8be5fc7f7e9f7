"""The life of an alert after its opening: acknowledged, resolved, silenced, open again. Each change is in the audit.

States: open → acknowledged → resolved, open → resolved, open → suppressed; any of the last three → open again. Who
asks twice for the same change gets the same answer, and nothing is written the second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, exists, insert, or_, select, update

from monitor.model import AlertState, NotificationState, Removal, Resolution, Severity, Silence
from monitor.store import audit
from monitor.store.database import Database
from monitor.store.prepared import Prepared
from monitor.store.tables import alert, finding, notification, notification_alert, post, post_version, silence

REMOVAL_GRACE = timedelta(hours=1)  # caches and second looks: a post said to be removed may be seen for so long
NOTE_LIMIT = 2000
PERSON_LIMIT = 200
ALIVE = (AlertState.OPEN, AlertState.ACKNOWLEDGED)
REPOST_WINDOW = timedelta(days=30)
STILL_THERE, BACK, REPOSTED = "the post is still there", "the post is back", "the same text was published again"


class Answer(StrEnum):
    """What became of a request to change an alert."""

    DONE = "done"
    ALREADY = "already so"
    CLOSED = "already closed"
    OUTDATED = "changed since it was seen"  # somebody else's answer, or a new round: nothing was written


def acknowledge(
    db: Database, alert_id: int, *, by: str, deadline: datetime, note: str = "", via: str, now: datetime, seen: str = ""
) -> Answer:
    """Note that a person has taken the alert in hand until `deadline`. No mail about it leaves from here on.

    `via` says how: "link", "command line". `seen`: how it stood when the person looked (`standing`); when it stands
    otherwise by now, nothing is written. Past the deadline the alert is open again. Raises LookupError.
    """
    with db.write() as connection:
        row = _row(connection, alert_id)
        state = AlertState(row["state"])
        if state is AlertState.ACKNOWLEDGED:
            return Answer.ALREADY
        if state is not AlertState.OPEN:
            return Answer.CLOSED
        if seen and seen != standing(row["round"], state, row["resolution"]):
            return Answer.OUTDATED
        values: dict[str, object] = {
            "state": AlertState.ACKNOWLEDGED.value,
            "acknowledged_at": now,
            "owner": by[:PERSON_LIMIT],
            "note": note[:NOTE_LIMIT],
            "deadline": deadline,
            "next_action_at": deadline,
            "waiting_reason": f"acknowledged; open again at {deadline:%Y-%m-%d %H:%M} UTC unless it is resolved",
        }
        _change(connection, alert_id, values)
        facts = {"via": via, "note": note[:NOTE_LIMIT], "deadline": deadline.isoformat()}
        audit.append(connection, "alert acknowledged", now=now, actor=by, alert_id=alert_id, facts=facts)
    return Answer.DONE


def resolve(
    db: Database,
    alert_id: int,
    *,
    resolution: Resolution,
    by: str,
    note: str = "",
    via: str,
    now: datetime,
    seen: str = "",
) -> Answer:
    """Note how a person ended the alert. A post reported as removed is read again until its deletion is seen.

    Resolving again with another word is a correction, and is written down as one; with `seen` (see `acknowledge`) only
    by who saw what is corrected. Raises LookupError.
    """
    with db.write() as connection:
        row = _row(connection, alert_id)
        if row["state"] == AlertState.RESOLVED.value and row["resolution"] == resolution.value:
            return Answer.ALREADY
        if seen and seen != standing(row["round"], AlertState(row["state"]), row["resolution"]):
            return Answer.OUTDATED
        values: dict[str, object] = {
            "state": AlertState.RESOLVED.value,
            "resolved_at": now,
            "resolution": resolution.value,
            "resolution_note": note[:NOTE_LIMIT],
            "next_action_at": None,
            "waiting_reason": f"resolved: {resolution.value}",
            "removal": None,
            "removal_due_at": None,
        }
        if row["acknowledged_at"] is None:
            values |= {"acknowledged_at": now, "owner": by[:PERSON_LIMIT]}
        if resolution is Resolution.POST_REMOVED and row["post_id"] is not None:
            values |= _removal(connection, row["post_id"], now)
        _change(connection, alert_id, values)
        facts = {"via": via, "note": note[:NOTE_LIMIT], "resolution": resolution.value, "before": row["state"]}
        audit.append(connection, "alert resolved", now=now, actor=by, alert_id=alert_id, facts=facts)
    return Answer.DONE


def standing(round_: int, state: AlertState, resolution: str | None) -> str:
    """Return what an answer is an answer to: the round, and how it ended so far, whoever acknowledged it."""
    return f"{round_}/{'ended' if state is AlertState.RESOLVED else 'alive'}/{resolution or ''}"


def _removal(connection: Connection, post_id: int, now: datetime) -> dict[str, object]:
    """Have the post read again soon; without need when its deletion was seen already."""
    seen = connection.execute(select(post.c.deleted_at).where(post.c.id == post_id)).scalar_one()
    if seen is not None:
        return {"removal": Removal.CONFIRMED.value}
    connection.execute(update(post).where(post.c.id == post_id).values(reread_at=now))
    return {"removal": Removal.REPORTED.value, "removal_due_at": now + REMOVAL_GRACE}


def reopen(db: Database, alert_id: int, *, by: str, reason: str, now: datetime) -> Answer:
    """Open an alert again on a person's word. Its people are told anew. Raises LookupError."""
    with db.write() as connection:
        row = _row(connection, alert_id)
        if row["state"] == AlertState.OPEN.value:
            return Answer.ALREADY
        reopen_in(connection, row, by=by, reason=reason[:NOTE_LIMIT], now=now)
    return Answer.DONE


def reopen_in(connection: Connection, row: RowMapping, *, reason: str, now: datetime, by: str = audit.SYSTEM) -> None:
    """Begin the alert's next round: nothing of the last one holds, and `reason` is told to its people."""
    values: dict[str, object] = {
        "state": AlertState.OPEN.value,
        "round": row["round"] + 1,
        "steps": 0,
        "reopened_for": reason,
        "next_action_at": now,
        "waiting_reason": "",
        "acknowledged_at": None,
        "owner": "",
        "note": "",
        "deadline": None,
        "resolved_at": None,
        "resolution": None,
        "resolution_note": None,
        "removal": None,
        "removal_due_at": None,
        "recovered_at": None,
        "silence_id": None,
    }
    _change(connection, row["id"], values)
    shared = and_(
        notification_alert.c.notification_id == notification.c.id,
        notification_alert.c.alert_id == alert.c.id,
        alert.c.state == AlertState.OPEN.value,
    )
    waiting = and_(
        notification.c.alert_id == row["id"],
        notification.c.state.in_([NotificationState.PENDING.value, NotificationState.UNCERTAIN.value]),
        ~exists().where(shared),
    )  # of the last round: what it said is no longer so; but others may be told by the same mail alone
    connection.execute(
        update(notification).where(waiting).values(state=NotificationState.CANCELLED.value, ended_at=now)
    )
    facts = {"reason": reason, "before": row["state"], "round": row["round"] + 1, "was": _last_round(row)}
    audit.append(connection, "alert reopened", now=now, actor=by, alert_id=row["id"], facts=facts)


def _last_round(row: RowMapping) -> Mapping[str, object]:
    kept = ("owner", "note", "resolution", "resolution_note")
    return {key: row[key] for key in kept if row[key]}


def suppress(connection: Connection, alert_id: int, covering: Silence, *, now: datetime) -> None:
    """Let nobody be told of the alert: a silence covers it. It stays in the digest."""
    values: dict[str, object] = {
        "state": AlertState.SUPPRESSED.value,
        "silence_id": covering.id,
        "next_action_at": None,
        "waiting_reason": f"silenced by {covering.author}: {covering.reason}"[:500],
    }
    _change(connection, alert_id, values)
    facts = {"silence": covering.id, "reason": covering.reason}
    audit.append(connection, "alert suppressed", now=now, actor=covering.author, alert_id=alert_id, facts=facts)


def add_silence(
    db: Database, *, author: str, reason: str, expires_at: datetime, rule: str, account_id: int | None, now: datetime
) -> Silence:
    """Write a silence down: alerts that open while it lasts are suppressed when it covers them.

    Raises ValueError for a scope that is not narrow: it names an account, a rule, or both.
    """
    if not rule and account_id is None:
        raise ValueError("a silence names an account, a rule, or both")
    values = {
        "author": author[:PERSON_LIMIT],
        "reason": reason[:NOTE_LIMIT],
        "created_at": now,
        "expires_at": expires_at,
        "rule": rule,
        "account_id": account_id,
    }
    with db.write() as connection:
        number = connection.execute(insert(silence).values(**values).returning(silence.c.id)).scalar_one()
        facts = {"silence": number, "reason": reason, "rule": rule, "account": account_id}
        facts["expires_at"] = expires_at.isoformat()
        audit.append(connection, "silence begun", now=now, actor=author, facts=facts)
    return Silence(id=number, **values)  # type: ignore[arg-type]  # the same names


def end_silence(db: Database, silence_id: int, *, by: str, now: datetime) -> Answer:
    """End a silence before its time. Raises LookupError."""
    with db.write() as connection:
        row = connection.execute(select(silence).where(silence.c.id == silence_id)).mappings().first()
        if row is None:
            raise LookupError(f"no silence has the number {silence_id}")
        if row["expires_at"] <= now:
            return Answer.ALREADY
        connection.execute(update(silence).where(silence.c.id == silence_id).values(expires_at=now))
        audit.append(connection, "silence ended", now=now, actor=by, facts={"silence": silence_id})
    return Answer.DONE


def list_silences(db: Database, *, at: datetime | None = None) -> Sequence[Silence]:
    """Return the silences that hold at that moment; all there ever were without one."""
    query = select(silence).order_by(silence.c.id)
    if at is not None:
        query = query.where(silence.c.expires_at > at, silence.c.created_at <= at)
    with db.read() as connection:
        return [Silence(**row) for row in connection.execute(query).mappings()]


def confirm_removals(connection: Connection, post_ids: Sequence[int], *, now: datetime) -> None:
    """Note that posts reported as removed are gone, in the transaction that saw it."""
    for row in _of_posts(connection, post_ids, alert.c.removal == Removal.REPORTED.value):
        _confirm(connection, row, "the deletion was seen", now)


def doubt_removals(connection: Connection, post_ids: Sequence[int], *, now: datetime) -> None:
    """Reopen what was resolved as removed while the posts were just seen: still there past the grace, or back again.

    A post that was corrected instead, so that no rule finds anything in it any more, is as good as removed.
    """
    overdue = or_(alert.c.removal == Removal.CONFIRMED.value, alert.c.removal_due_at <= now)
    for row in _of_posts(connection, post_ids, overdue):
        was_gone = row["removal"] == Removal.CONFIRMED.value
        if not _is_broken(connection, row["post_id"]):
            if not was_gone:
                _confirm(connection, row, "the post was corrected", now)
            continue
        reopen_in(connection, row, reason=BACK if was_gone else STILL_THERE, now=now)


def reposted(connection: Connection, *, agency: str, text_key: str, post_id: int, now: datetime) -> int | None:
    """Reopen the alert of a removed post whose very text the agency has published again; it is about the new post.

    None when there is no such alert.
    """
    known = {"agency": agency, "text_key": text_key, "post_id": post_id, "since": now - REPOST_WINDOW}
    found = _REMOVED_WITH_TEXT.run(connection, known).fetchone()
    if found is None:
        return None
    row = _row(connection, found[0])
    reopen_in(connection, row, reason=REPOSTED, now=now)
    _change(connection, row["id"], {"post_id": post_id})
    return int(row["id"])


_REMOVED_WITH_TEXT = Prepared(  # asked for each alert that would be opened
    select(alert.c.id)
    .where(alert.c.agency == bindparam("agency"), alert.c.post_id != bindparam("post_id"))
    .where(alert.c.state == AlertState.RESOLVED.value, alert.c.removal.is_not(None))
    .where(alert.c.resolved_at >= bindparam("since"))
    .where(exists().where(post_version.c.post_id == alert.c.post_id, post_version.c.text_key == bindparam("text_key")))
    .order_by(alert.c.id.desc())
    .limit(1)
)


def awaiting_removal(connection: Connection, post_ids: Sequence[int]) -> set[int]:
    """Return which of the posts somebody reported as removed, and nobody has seen gone."""
    rows = _of_posts(connection, post_ids, alert.c.removal == Removal.REPORTED.value)
    return {row["post_id"] for row in rows}


def _confirm(connection: Connection, row: RowMapping, how: str, now: datetime) -> None:
    _change(connection, row["id"], {"removal": Removal.CONFIRMED.value, "removal_due_at": None})
    audit.append(connection, "removal confirmed", now=now, alert_id=row["id"], facts={"how": how})


def _is_broken(connection: Connection, post_id: int) -> bool:
    """Say whether the post's newest version still breaks a rule, as far as it was checked."""
    newest = and_(post_version.c.post_id == post.c.id, post_version.c.number == post.c.versions)
    found = (
        select(finding.c.id)
        .join(post_version, post_version.c.id == finding.c.post_version_id)
        .join(post, newest)
        .where(post.c.id == post_id, finding.c.shadow.is_(False), finding.c.severity >= Severity.MEDIUM)
    )
    return connection.execute(found.limit(1)).first() is not None


def _of_posts(connection: Connection, post_ids: Sequence[int], which: ColumnElement[bool]) -> Sequence[RowMapping]:
    found: list[RowMapping] = []
    resolved = and_(alert.c.state == AlertState.RESOLVED.value, alert.c.removal.is_not(None), which)
    for begin in range(0, len(post_ids), 500):  # SQLite's limit of variables, with room
        part = list(post_ids[begin : begin + 500])
        query = select(alert).where(resolved, alert.c.post_id.in_(part)).order_by(alert.c.id)
        query = query.with_for_update(key_share=True)  # all of them before the first entry of the audit: see `_row`
        found += connection.execute(query).mappings().all()
    return found


def _row(connection: Connection, alert_id: int) -> RowMapping:
    # Not the whole lock: an entry of the audit that refers to the alert, in another transaction, needs a share of it
    # while that one holds the end of the chain. PostgreSQL would find them waiting for each other.
    query = select(alert).where(alert.c.id == alert_id).with_for_update(key_share=True)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise LookupError(f"no alert with id {alert_id}")
    return row


def _change(connection: Connection, alert_id: int, values: Mapping[str, object]) -> None:
    connection.execute(update(alert).where(alert.c.id == alert_id).values(**values))
