"""Which known posts are due to be looked at again, of all accounts together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DUE = sa.text("reread_at IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_post_reread_at", "post", ["reread_at"], sqlite_where=DUE, postgresql_where=DUE)


def downgrade() -> None:
    op.drop_index("ix_post_reread_at", "post")
