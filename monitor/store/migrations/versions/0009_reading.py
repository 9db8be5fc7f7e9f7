"""What reading more networks needs: posting rates, back-fill, doubts about posts, and budgets of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Utc

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("posting_rate", sa.Float))
    op.add_column("account", sa.Column("backfill", sa.JSON))
    op.add_column("post", sa.Column("missing_at", Utc()))
    op.add_column("post", sa.Column("hidden_at", Utc()))
    op.create_table(
        "allowance",
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("limit", sa.Float, nullable=False),
        sa.Column("remaining", sa.Float, nullable=False),
        sa.Column("resets_at", Utc(), nullable=False),
        sa.Column("seen_at", Utc(), nullable=False),
    )
    op.create_table(
        "spending",
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("amount", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("spending")
    op.drop_table("allowance")
    for column in ("hidden_at", "missing_at"):
        op.drop_column("post", column)
    for column in ("backfill", "posting_rate"):
        op.drop_column("account", column)
