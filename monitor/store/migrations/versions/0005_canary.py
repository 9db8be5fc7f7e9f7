"""The daily proof that an alert finds its way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Id, Utc

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "canary",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("began_at", Utc(), nullable=False),
        sa.Column("evaluated_ms", sa.Float()),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("alert_id", Id, sa.ForeignKey("alert.id")),
        sa.UniqueConstraint("key", name=op.f("uq_canary_key")),
    )
    op.create_index(op.f("ix_canary_began_at"), "canary", ["began_at"])


def downgrade() -> None:
    op.drop_table("canary")
