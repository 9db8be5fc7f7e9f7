"""Mails as they were rendered lie in a table of their own: to mark one accepted does not write its bytes again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Id

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rendered_mail",
        sa.Column("notification_id", Id, sa.ForeignKey("notification.id"), primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.execute(
        "INSERT INTO rendered_mail (notification_id, content)"
        " SELECT id, rendered FROM notification WHERE rendered IS NOT NULL"
    )
    op.add_column("notification", sa.Column("kept", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE notification SET kept = TRUE WHERE rendered IS NOT NULL")
    op.drop_index("ix_notification_rendered_until", "notification")
    op.drop_column("notification", "rendered")
    op.create_index(
        "ix_notification_kept_until",
        "notification",
        ["ended_at"],
        sqlite_where=sa.text("kept = 1 AND ended_at IS NOT NULL"),
        postgresql_where=sa.text("kept AND ended_at IS NOT NULL"),
    )
    op.drop_index("ix_notification_state_due_at", "notification")  # each mail moved in it twice


def downgrade() -> None:
    op.create_index("ix_notification_state_due_at", "notification", ["state", "due_at"])
    op.drop_index("ix_notification_kept_until", "notification")
    op.add_column("notification", sa.Column("rendered", sa.LargeBinary(), nullable=True))
    op.execute(
        "UPDATE notification SET rendered ="
        " (SELECT content FROM rendered_mail WHERE rendered_mail.notification_id = notification.id)"
    )
    there = sa.text("rendered IS NOT NULL")
    op.create_index(
        "ix_notification_rendered_until", "notification", ["ended_at"], sqlite_where=there, postgresql_where=there
    )
    op.drop_column("notification", "kept")
    op.drop_table("rendered_mail")
