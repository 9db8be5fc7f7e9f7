"""What an account says of itself, as it was seen from one look to the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from monitor.model import Profile
from monitor.schedule import PROFILE_EVERY
from monitor.store import opening
from monitor.store.accounts import Claimed, held_of, hold
from monitor.store.database import Database
from monitor.store.tables import account, profile


def save_profile(db: Database, claimed: Claimed, snapshot: Profile, *, now: datetime) -> bool:
    """Keep a profile snapshot when it differs from the last one. Returns whether it did (False for the first).

    Another name or handle is an alert: hijackers rename an account before they post. One that is as it was a day ago at
    the most is not written down anew.
    """
    if claimed.profile_at is not None and timedelta() <= now - claimed.profile_at < PROFILE_EVERY:
        with db.read() as connection:
            known = connection.execute(_newest(claimed)).mappings().first()
        if known is not None and known["content_hash"] == snapshot.content_hash:
            return False
    with db.write() as connection:
        hold(connection, claimed)
        return _save(connection, claimed, snapshot, now)


def save_profiles(db: Database, snapshots: Sequence[tuple[Claimed, Profile]], *, now: datetime) -> dict[int, bool]:
    """Keep the profile snapshots of many accounts as one. Returns, by account, what `save_profile` does.

    Of accounts that another worker has nothing is kept; they are missing.
    """
    with db.write() as connection:
        held = held_of(connection, [claimed for claimed, _ in snapshots])
        ours = [(claimed, snapshot) for claimed, snapshot in snapshots if claimed.account.id in held]
        return {claimed.account.id: _save(connection, claimed, snapshot, now) for claimed, snapshot in ours}


def _newest(claimed: Claimed) -> Select[Any]:
    mine = select(profile).where(profile.c.account_id == claimed.account.id)
    return mine.order_by(profile.c.id.desc()).limit(1)


def _save(connection: Connection, claimed: Claimed, snapshot: Profile, now: datetime) -> bool:
    row = connection.execute(_newest(claimed)).mappings().first()
    last = row["content_hash"] if row else None
    if last != snapshot.content_hash:
        connection.execute(
            insert(profile).values(
                account_id=claimed.account.id,
                seen_at=now,
                native_id=snapshot.native_id,
                name=snapshot.name,
                handle=snapshot.handle,
                bio=snapshot.bio,
                picture_url=snapshot.picture_url,
                content_hash=snapshot.content_hash,
            )
        )
        if row is not None:
            opening.alert_for_profile(
                connection, holder=claimed.account, before=to_profile(row), after=snapshot, now=now
            )
    values = {"profile_at": now, "native_id": snapshot.native_id}
    connection.execute(update(account).where(account.c.id == claimed.account.id).values(**values))
    return last is not None and last != snapshot.content_hash


def to_profile(row: RowMapping) -> Profile:
    return Profile(
        native_id=row["native_id"],
        name=row["name"],
        handle=row["handle"],
        bio=row["bio"],
        picture_url=row["picture_url"],
    )
