"""How an alert ended, and what was noted with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("resolution", sa.Text(), nullable=True))
    op.add_column("alert", sa.Column("resolution_note", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("alert", "resolution_note")
    op.drop_column("alert", "resolution")
