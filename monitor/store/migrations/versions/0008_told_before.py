"""Alerts told before there was an escalation take their place in it; indexes of what every tick and check looks for.

Such an alert had its first mail, so that mail is never written again. Whether somebody dealt with it nobody could say
then: it stays open, in every digest as overdue, and sends no mail of itself. One whose mail still waits, or reached
nobody, goes on as any other. What is still blind, or a credential still dead, is a reminder in a week.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Id, Utc

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

REMINDER = timedelta(days=7)

alert = sa.table(
    "alert",
    sa.column("id", Id),
    sa.column("kind", sa.Text),
    sa.column("state", sa.Text),
    sa.column("steps", sa.Integer),
    sa.column("next_action_at", Utc()),
)
mail = sa.table(
    "notification",
    sa.column("alert_id", Id),
    sa.column("state", sa.Text),
    sa.column("accepted_at", Utc()),
    sa.column("ended_at", Utc()),
)


def upgrade() -> None:
    _take_their_place(datetime.now(UTC))
    waits = sa.text("next_action_at IS NOT NULL")
    op.create_index("ix_alert_waiting", "alert", ["next_action_at", "id"], sqlite_where=waits, postgresql_where=waits)
    op.create_index(op.f("ix_alert_account_id"), "alert", ["account_id"])
    op.create_index(op.f("ix_notification_created_at"), "notification", ["created_at"])


def _take_their_place(now: datetime) -> None:
    of_it = mail.c.alert_id == alert.c.id
    told = sa.and_(alert.c.state == "open", alert.c.steps == 0, alert.c.next_action_at.is_(None))
    told = sa.and_(told, sa.exists().where(of_it), alert.c.kind != "backlog")
    waits = sa.exists().where(of_it, mail.c.ended_at.is_(None))
    reached = sa.exists().where(of_it, mail.c.accepted_at.is_not(None), mail.c.state == "accepted")
    again = sa.case(
        (alert.c.kind.in_(["blind", "credential"]), sa.literal(now + REMINDER, Utc())),
        (alert.c.kind.not_in(["post", "profile"]), sa.null()),
        (sa.or_(waits, ~reached), sa.literal(now, Utc())),
        else_=sa.null(),
    )
    op.get_bind().execute(sa.update(alert).where(told).values(steps=1, next_action_at=again))


def downgrade() -> None:
    op.drop_index(op.f("ix_notification_created_at"), "notification")
    op.drop_index(op.f("ix_alert_account_id"), "alert")
    op.drop_index("ix_alert_waiting", "alert")
