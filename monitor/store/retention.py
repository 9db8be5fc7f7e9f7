"""What is emptied when its time is over, and what must stay: words go, the proof that they were read and judged stays.

Of a post's version its text, payload, links, and the texts and addresses of its media go; of a profile all that it
says, also in alerts about it; of a mail the mail; of an audit entry the facts. What stays: ids, times, hashes,
tombstones, findings (rule, clause, places by number), alerts with what people said of them, to whom which mail went,
and the audit chain, which verifies as before. For the account's habits a version keeps which domains it linked to and
its language.

Nothing goes that an open or acknowledged alert needs, an alert whose post is being watched for its removal, or a legal
hold. What is due is found by reading; each batch is then a short transaction of its own, which asks once more and
writes its audit entry, so that polling never waits for long and a SIGKILL leaves no purge unrecorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from monitor.model import AlertKind, AlertState, NotificationState, Removal
from monitor.rules import language
from monitor.rules.history import linked_domains
from monitor.rules.text import fold
from monitor.settings import Retention
from monitor.store import audit as chain
from monitor.store.database import COMPACTED_UP_TO, Database, insert_if_new
from monitor.store.holds import any_hold, everything_held, held_accounts, is_held
from monitor.store.life import ALIVE
from monitor.store.tables import (
    alert,
    audit,
    evaluation,
    finding,
    media,
    meta,
    notification,
    notification_alert,
    post,
    post_version,
    profile,
    rendered_mail,
)

EVERY = timedelta(days=1)
LONGEST_ABSENCE = timedelta(days=3)
CLOCK = "purge_clock"  # the fact when the daily purge was last thought of
COPIES = "purge_copies"  # the fact since when copies of what was emptied may stand in the file
BATCH = {"posts": 200, "profiles": 500, "mails": 500, "details": 500, "entries": 2_000}
QUOTING = (AlertKind.PROFILE.value, AlertKind.EVALUATION.value)  # alerts whose detail may repeat what an account said
PURGED_WORDS = "purged"
ENDED = tuple(
    state.value
    for state in (
        NotificationState.ACCEPTED,
        NotificationState.DEAD,
        NotificationState.CANCELLED,
        NotificationState.BOUNCED,
    )
)


@dataclass(slots=True, kw_only=True)
class Purged:
    """How much a purge emptied: versions of posts, profiles, mails, sentences of alerts, audit entries."""

    posts: int = 0
    profiles: int = 0
    mails: int = 0
    details: int = 0
    entries: int = 0
    more: bool = False  # it was stopped before its end
    left: str = ""  # why copies of what was emptied may still stand in the file

    def __bool__(self) -> bool:
        return bool(self.posts or self.profiles or self.mails or self.details or self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sort:
    """One sort of data that grows old. `order` finds the next batch after the last one: a pair that is unique."""

    table: Table
    due: Callable[[datetime], ColumnElement[bool]]
    order: tuple[ColumnElement[Any], ColumnElement[Any]]
    empty: Callable[[Connection, list[Any], datetime], None]

    @property
    def key(self) -> ColumnElement[Any]:
        return self.order[1]


def purge(
    db: Database,
    retention: Retention,
    *,
    now: datetime,
    within: timedelta | None = None,
    touch: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Purged:
    """Empty what is older than `retention` says. `touch` is called after each batch; `within` bounds the time it takes.

    Afterwards nothing of it is left in a SQLite file and its WAL, unless `left` says why; PostgreSQL overwrites it in
    its own time (VACUUM).
    """
    total = Purged()
    end = None if within is None else time.monotonic() + within.total_seconds()
    for name, before in _limits(retention, now).items():
        after: tuple[Any, Any] | None = None
        while not stopped() and (end is None or time.monotonic() < end):
            keys, after = _next(db, name, before, after)
            if after is None:
                break
            done = _empty(db, name, keys, before=before, now=now)
            setattr(total, name, getattr(total, name) + done)
            touch()
        else:
            total.more = True
    if not total.more and _fact(db, COPIES):
        total.left = forget(db)
    return total


def forget(db: Database, *, up_to: int | None = COMPACTED_UP_TO) -> str:
    """Leave no copy of what was emptied in a SQLite file up to this size. Returns what stands in the way, or ""."""
    left = db.forget(up_to=up_to)
    if not left:
        with db.write() as connection:
            connection.execute(delete(meta).where(meta.c.key == COPIES))
    return left


def would_purge(db: Database, retention: Retention, *, now: datetime) -> Purged:
    """Return how much `purge` would empty."""
    total = Purged()
    with db.read() as connection:
        for name, before in _limits(retention, now).items():
            query = select(func.count()).select_from(SORTS[name].table).where(_due(name, before))
            setattr(total, name, int(connection.execute(query).scalar_one()))
    return total


def is_time(db: Database, *, now: datetime) -> bool:
    """Say whether the daily purge is due. After it, call `was_done`.

    What is purged is gone, so that a wall clock that jumps ahead must not purge at once: after a jump or a long absence
    a day passes first, in which somebody may set the clock right.
    """
    stored = _fact(db, CLOCK)
    last = datetime.fromisoformat(stored) if stored else None
    if last is not None and timedelta() <= now - last <= LONGEST_ABSENCE:
        return now - last >= EVERY
    was_done(db, now=now)
    return False


def was_done(db: Database, *, now: datetime) -> None:
    with db.write() as connection:
        value = now.isoformat()
        if not connection.execute(update(meta).where(meta.c.key == CLOCK).values(value=value)).rowcount:
            connection.execute(insert(meta).values(key=CLOCK, value=value))


def _fact(db: Database, key: str) -> str | None:
    with db.read() as connection:
        return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalars().first()


def _limits(retention: Retention, now: datetime) -> Mapping[str, datetime]:
    """Return up to when each sort of data is old; those that are kept for good are not in it."""
    days = {
        "posts": retention.post_days,
        "profiles": retention.post_days,
        "details": retention.post_days,
        "mails": retention.mail_days,
        "entries": retention.audit_days,
    }
    return {name: now - timedelta(days=number) for name, number in days.items() if number}


def _due(name: str, before: datetime) -> ColumnElement[bool]:
    return and_(SORTS[name].due(before), not_(everything_held()))


def _next(
    db: Database, name: str, before: datetime, after: tuple[Any, Any] | None
) -> tuple[list[Any], tuple[Any, Any] | None]:
    """Return the keys of the next batch, and where it ends; None when there is none."""
    sort = SORTS[name]
    query = select(*sort.order).where(_due(name, before)).order_by(*sort.order).limit(BATCH[name])
    if after is not None:
        query = query.where(
            tuple_(*sort.order)
            > tuple_(*(bindparam(None, v, type_=c.type) for v, c in zip(after, sort.order, strict=True)))
        )
    with db.read() as connection:
        rows = connection.execute(query).all()
    return [row[1] for row in rows], (rows[-1][0], rows[-1][1]) if rows else None


def _empty(db: Database, name: str, keys: list[Any], *, before: datetime, now: datetime) -> int:
    """Empty those of a batch that are still due, with the audit entry about it. Returns how many."""
    sort = SORTS[name]
    with db.write() as connection:
        still = select(sort.key).where(sort.key.in_(keys), _due(name, before))
        found = list(connection.execute(still).scalars())
        if found:
            sort.empty(connection, found, now)
            facts = {name: len(found), "before": before.isoformat()}
            connection.execute(insert_if_new(connection, meta).values(key=COPIES, value=now.isoformat()))
            chain.append(connection, chain.PURGED, now=now, facts=facts)
    return len(found)


# ---------------------------------------------------------------- what must stay


def _needed() -> ColumnElement[bool]:
    """Say of an alert that its case is not closed."""
    reported = func.coalesce(alert.c.removal, "") == Removal.REPORTED.value  # never null, so that `not` holds
    watched = and_(alert.c.state == AlertState.RESOLVED.value, reported)
    return or_(alert.c.state.in_([state.value for state in ALIVE]), watched)


def _keeps() -> ColumnElement[bool]:
    """Say of an alert that what is written about it must stay."""
    return or_(_needed(), is_held(alert.c.account_id, alert.c.agency))


def _versions_due(before: datetime) -> ColumnElement[bool]:
    told = exists().where(alert.c.post_id == post_version.c.post_id, _needed())
    batched = exists().where(
        finding.c.post_version_id == post_version.c.id, alert.c.id == finding.c.alert_id, _needed()
    )  # of a back catalogue: its alert is about many posts
    held = exists().where(post.c.id == post_version.c.post_id, post.c.account_id.in_(held_accounts()))
    old = and_(post_version.c.purged_at.is_(None), post_version.c.seen_at < before)
    return and_(old, not_(told), not_(batched), not_(held))


def _profiles_due(before: datetime) -> ColumnElement[bool]:
    """A snapshot is old when the next one is: until then the account looked like it."""
    later = profile.alias()
    replaced = exists().where(
        later.c.account_id == profile.c.account_id, later.c.id > profile.c.id, later.c.seen_at < before
    )
    told = exists().where(
        alert.c.account_id == profile.c.account_id, alert.c.kind == AlertKind.PROFILE.value, _needed()
    )
    held = profile.c.account_id.in_(held_accounts())
    return and_(profile.c.purged_at.is_(None), replaced, not_(told), not_(held))


def _mails_due(before: datetime) -> ColumnElement[bool]:
    """Digests and letters tell of many: they stay while anything at all is held."""
    filed = exists().where(alert.c.id == notification.c.alert_id, _keeps())
    shared = exists().where(
        notification_alert.c.notification_id == notification.c.id,
        alert.c.id == notification_alert.c.alert_id,
        _keeps(),
    )
    general = and_(notification.c.alert_id.is_(None), any_hold())
    old = and_(notification.c.kept, notification.c.ended_at < before, notification.c.state.in_(ENDED))
    return and_(old, not_(filed), not_(shared), not_(general))


def _details_due(before: datetime) -> ColumnElement[bool]:
    quoting = and_(alert.c.kind.in_(QUOTING), alert.c.detail.not_in(["", PURGED_WORDS]))
    return and_(quoting, alert.c.opened_at < before, not_(_keeps()))


def _entries_due(before: datetime) -> ColumnElement[bool]:
    """Entries about no alert tell of many, such as of a register: they stay while anything at all is held."""
    about = exists().where(alert.c.id == audit.c.alert_id, _keeps())
    general = and_(audit.c.alert_id.is_(None), any_hold())
    old = and_(audit.c.payload.is_not(None), audit.c.at < before, audit.c.event.not_in(chain.NEVER_EMPTIED))
    return and_(old, not_(about), not_(general))


# ---------------------------------------------------------------- emptying


def _empty_versions(connection: Connection, ids: list[int], now: datetime) -> None:
    texts = select(post_version.c.id, post_version.c.text, post_version.c.links).where(post_version.c.id.in_(ids))
    rows = [
        {"version": number, "links": _domains(text, links), "spoken": language.guess(text)}
        for number, text, links in connection.execute(texts)
    ]
    emptied = update(post_version).where(post_version.c.id == bindparam("version"))
    values = {"text": "", "raw": {}, "purged_at": now, "links": bindparam("links"), "spoken": bindparam("spoken")}
    connection.execute(emptied.values(**values), rows)
    of_them = media.c.post_version_id.in_(ids)
    connection.execute(update(media).where(of_them).values(text="", alt_text="", url="", reason=PURGED_WORDS))
    waiting = and_(of_them, media.c.state == "waiting")
    connection.execute(update(media).where(waiting).values(state="skipped", due_at=None))
    failed = and_(evaluation.c.post_version_id.in_(ids), evaluation.c.error != "")  # a traceback may quote the text
    connection.execute(update(evaluation).where(failed).values(error=PURGED_WORDS))


def _domains(text: str, links: list[str]) -> list[str]:
    """Return the registered domains that a version linked to, as links to nothing but them."""
    return [f"https://{name}/" for name in sorted(linked_domains(fold(text), links))]


def _empty_profiles(connection: Connection, ids: list[int], now: datetime) -> None:
    values = {"name": "", "handle": "", "bio": "", "picture_url": "", "purged_at": now}
    connection.execute(update(profile).where(profile.c.id.in_(ids)).values(**values))


def _empty_mails(connection: Connection, ids: list[int], now: datetime) -> None:  # noqa: ARG001 (one shape for all)
    connection.execute(delete(rendered_mail).where(rendered_mail.c.notification_id.in_(ids)))
    connection.execute(update(notification).where(notification.c.id.in_(ids)).values(kept=False))


def _empty_details(connection: Connection, ids: list[int], now: datetime) -> None:  # noqa: ARG001 (one shape for all)
    connection.execute(update(alert).where(alert.c.id.in_(ids)).values(detail=PURGED_WORDS))


def _empty_entries(connection: Connection, ids: list[int], now: datetime) -> None:  # noqa: ARG001 (one shape for all)
    connection.execute(update(audit).where(audit.c.seq.in_(ids)).values(payload=None, salt=None))


SORTS: Mapping[str, _Sort] = {
    "posts": _Sort(
        table=post_version,
        due=_versions_due,
        order=(post_version.c.seen_at, post_version.c.id),
        empty=_empty_versions,
    ),
    "profiles": _Sort(
        table=profile, due=_profiles_due, order=(profile.c.account_id, profile.c.id), empty=_empty_profiles
    ),
    "mails": _Sort(
        table=notification, due=_mails_due, order=(notification.c.ended_at, notification.c.id), empty=_empty_mails
    ),
    "details": _Sort(table=alert, due=_details_due, order=(alert.c.opened_at, alert.c.id), empty=_empty_details),
    "entries": _Sort(table=audit, due=_entries_due, order=(audit.c.at, audit.c.seq), empty=_empty_entries),
}
