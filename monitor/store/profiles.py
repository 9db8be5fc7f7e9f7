"""What an account says of itself, as it was seen from one look to the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select, update

from monitor.model import Profile
from monitor.schedule import PROFILE_EVERY
from monitor.store import opening
from monitor.store.accounts import Claimed, held_of, hold
from monitor.store.database import Database
from monitor.store.prepared import Prepared, as_new, new_row
from monitor.store.tables import account, profile


def save_profile(db: Database, claimed: Claimed, snapshot: Profile, *, now: datetime) -> bool:
    """Keep a profile snapshot when it differs from the last one. Returns whether it did (False for the first).

    Another name or handle is an alert: hijackers rename an account before they post. One that is as it was a day ago at
    the most is not written down anew.
    """
    if claimed.profile_at is not None and timedelta() <= now - claimed.profile_at < PROFILE_EVERY:
        with db.read() as connection:
            known = connection.execute(_newest([claimed])).mappings().first()
        if known is not None and known["content_hash"] == snapshot.content_hash:
            return False
    with db.write() as connection:
        hold(connection, claimed)
        return _save(connection, [(claimed, snapshot)], now)[claimed.account.id]


def save_profiles(db: Database, snapshots: Sequence[tuple[Claimed, Profile]], *, now: datetime) -> dict[int, bool]:
    """Keep the profile snapshots of many accounts as one. Returns, by account, what `save_profile` does.

    Of accounts that another worker has nothing is kept; they are missing.
    """
    with db.write() as connection:
        held = held_of(connection, [claimed for claimed, _ in snapshots])
        return _save(connection, [one for one in snapshots if one[0].account.id in held], now)


def _save(connection: Connection, shown: Sequence[tuple[Claimed, Profile]], now: datetime) -> dict[int, bool]:
    """Write snapshots of accounts that the caller holds. Alerts go last, as they go to the audit."""
    before = {row["account_id"]: row for row in connection.execute(_newest([one for one, _ in shown])).mappings()}
    hashes = {number: row["content_hash"] for number, row in before.items()}
    differing = [one for one in shown if hashes.get(one[0].account.id) != one[1].content_hash]
    _INSERT.run_each(connection, (as_new(_values(claimed, snapshot, now)) for claimed, snapshot in differing))
    _SEEN.run_each(connection, ({"number": c.account.id, "id_there": s.native_id, "now": now} for c, s in shown))
    changed = [(claimed, snapshot) for claimed, snapshot in differing if claimed.account.id in before]
    for claimed, snapshot in changed:
        known = to_profile(before[claimed.account.id])
        opening.alert_for_profile(connection, holder=claimed.account, before=known, after=snapshot, now=now)
    numbers = {claimed.account.id for claimed, _ in changed}
    return {claimed.account.id: claimed.account.id in numbers for claimed, _ in shown}


def _newest(claimed: Sequence[Claimed]) -> Select[Any]:
    """Return what selects the last snapshot of each account."""
    mine = profile.c.account_id.in_([one.account.id for one in claimed])
    return select(profile).where(
        profile.c.id.in_(select(func.max(profile.c.id)).where(mine).group_by(profile.c.account_id))
    )


_INSERT = Prepared(new_row(profile))
_SEEN = Prepared(
    update(account)
    .where(account.c.id == bindparam("number"))
    .values(profile_at=bindparam("now"), native_id=bindparam("id_there"))
)


def _values(claimed: Claimed, snapshot: Profile, now: datetime) -> dict[str, object]:
    return {
        "account_id": claimed.account.id,
        "seen_at": now,
        "native_id": snapshot.native_id,
        "name": snapshot.name,
        "handle": snapshot.handle,
        "bio": snapshot.bio,
        "picture_url": snapshot.picture_url,
        "content_hash": snapshot.content_hash,
    }


def to_profile(row: RowMapping) -> Profile:
    return Profile(
        native_id=row["native_id"],
        name=row["name"],
        handle=row["handle"],
        bio=row["bio"],
        picture_url=row["picture_url"],
    )
