"""Delivery: what a mail about several alerts was written about, when it was handed over, and an index of what waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Utc

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notification", sa.Column("rendered_about", sa.Text(), nullable=False, server_default=""))
    op.add_column("notification", sa.Column("handed_over_at", Utc(), nullable=True))
    waiting = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_notification_waiting", "notification", ["due_at", "id"], sqlite_where=waiting, postgresql_where=waiting
    )


def downgrade() -> None:
    op.drop_index("ix_notification_waiting", "notification")
    op.drop_column("notification", "handed_over_at")
    op.drop_column("notification", "rendered_about")
