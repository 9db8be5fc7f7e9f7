"""How many days of watching a posting rate rests on: a new account's is soon believed, an old one's changes slowly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("rate_days", sa.Float))


def downgrade() -> None:
    op.drop_column("account", "rate_days")
