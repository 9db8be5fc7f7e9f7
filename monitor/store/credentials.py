"""Platforms that refuse their credential, or whose budget of reads is used up: their accounts wait together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from monitor.model import AlertKind, Cause, Disclosure, Severity
from monitor.store import opening
from monitor.store.database import Database, insert_if_new
from monitor.store.tables import credential

ONE_ALERT_IN_ALL = frozenset({Cause.CREDENTIAL, Cause.CONFIGURATION})  # a dead credential, not each of its accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A platform whose credential is refused or used up: nobody asks before `probe_at`, then one account does."""

    platform: str
    cause: Cause
    error: str
    since: datetime
    probe_at: datetime
    retry_at: datetime | None


def shut_platforms(db: Database) -> dict[str, Shut]:
    with db.read() as connection:
        rows = connection.execute(select(credential)).mappings().all()
    return {row["platform"]: _to_shut(row) for row in rows}


def _to_shut(row: Any) -> Shut:
    return Shut(
        platform=row["platform"],
        cause=Cause(row["cause"]),
        error=row["error"],
        since=row["since"],
        probe_at=row["probe_at"],
        retry_at=row["retry_at"],
    )


def shut_platform(
    db: Database,
    platform: str,
    *,
    cause: Cause,
    error: str,
    retry_at: datetime | None,
    probe_at: datetime,
    now: datetime,
    is_sure: bool = True,
) -> Shut:
    """Remember that a platform refuses its credential, or that its budget is used up; a dead one is one alert.

    That waits until it `is_sure`. It is dead until an answer proves it good: a rate limit that is met meanwhile changes
    only when to ask again.
    """
    given = Shut(platform=platform, cause=cause, error=error[:500], since=now, retry_at=retry_at, probe_at=probe_at)
    with db.write() as connection:
        row = connection.execute(select(credential).where(credential.c.platform == platform)).mappings().first()
        standing = given if row is None else _still_shut(_to_shut(row), given)
        if row is None:
            first = insert_if_new(connection, credential)
            connection.execute(first.values(platform=platform, **_shut_values(standing)))
        else:
            same = credential.c.platform == platform
            connection.execute(update(credential).where(same).values(**_shut_values(standing)))
        if standing.cause in ONE_ALERT_IN_ALL and is_sure:
            opening.open_alert(
                connection,
                dedup_key=f"credential:{platform}:{standing.since.isoformat()}",
                kind=AlertKind.CREDENTIAL,
                severity=Severity.HIGH,
                disclosure=Disclosure.NONE,
                cause=standing.cause,
                since=standing.since,
                detail=f"{platform}: {standing.error[:400]}",
                now=now,
            )
    return standing


def _still_shut(before: Shut, given: Shut) -> Shut:
    was_dead, is_dead = before.cause in ONE_ALERT_IN_ALL, given.cause in ONE_ALERT_IN_ALL
    if was_dead and not is_dead:
        return replace(before, retry_at=given.retry_at, probe_at=given.probe_at)
    return replace(given, since=before.since) if was_dead == is_dead else given


def _shut_values(shut: Shut) -> dict[str, object]:
    return {
        "cause": shut.cause.value,
        "error": shut.error,
        "since": shut.since,
        "retry_at": shut.retry_at,
        "probe_at": shut.probe_at,
    }


def open_platform(db: Database, platform: str, *, now: datetime) -> None:
    """Remember that a platform answers again."""
    with db.write() as connection:
        connection.execute(delete(credential).where(credential.c.platform == platform))
        opening.recover(connection, platform=platform, now=now)


def is_dead(connection: Connection, platform: str) -> bool:
    """Say whether the platform's credential is dead: that is one alert in all, whatever its accounts meet meanwhile."""
    dead = credential.c.cause.in_([cause.value for cause in ONE_ALERT_IN_ALL])
    query = select(credential.c.platform).where(credential.c.platform == platform, dead)
    return connection.execute(query).first() is not None
