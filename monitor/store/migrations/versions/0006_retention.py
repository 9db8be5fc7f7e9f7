"""What a purge leaves behind, and how it finds what is due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Utc

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("profile", sa.Column("purged_at", Utc(), nullable=True))
    op.add_column("post_version", sa.Column("purged_at", Utc(), nullable=True))
    op.add_column("post_version", sa.Column("spoken", sa.Text(), nullable=True))
    op.create_index(op.f("ix_post_version_purged_at_seen_at"), "post_version", ["purged_at", "seen_at"])
    there = sa.text("rendered IS NOT NULL")
    op.create_index(
        "ix_notification_rendered_until", "notification", ["ended_at"], sqlite_where=there, postgresql_where=there
    )


def downgrade() -> None:
    op.drop_index("ix_notification_rendered_until", "notification")
    op.drop_index(op.f("ix_post_version_purged_at_seen_at"), "post_version")
    op.drop_column("post_version", "spoken")
    op.drop_column("post_version", "purged_at")
    op.drop_column("profile", "purged_at")
