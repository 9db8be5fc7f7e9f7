"""What the schedule and its forecast go by: posting rates, what platforms allow, and what was spent day by day."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from monitor.model import AccountStatus
from monitor.store.database import Database
from monitor.store.tables import account, post

HISTORY = 500  # newest posts of an account: what a first estimate of its rate needs


def posting_rates(db: Database, platform: str) -> list[float | None]:
    """Return the posts a day of each active account of a platform; None where none is known yet."""
    active = (account.c.platform == platform, account.c.status == AccountStatus.ACTIVE.value)
    with db.read() as connection:
        return list(connection.execute(select(account.c.posting_rate).where(*active)).scalars())


def published_before(db: Database, account_id: int) -> list[datetime]:
    """Return when an account's newest stored posts were published."""
    newest = select(post.c.published_at).where(post.c.account_id == account_id)
    with db.read() as connection:
        return list(connection.execute(newest.order_by(post.c.published_at.desc()).limit(HISTORY)).scalars())
