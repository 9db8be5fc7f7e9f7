"""What equal texts of several accounts are found by. Rows from before keep none: nobody looks back so far."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("post_version", sa.Column("text_key", sa.Text(), nullable=True))
    op.create_index(op.f("ix_post_version_text_key"), "post_version", ["text_key"])
    op.create_index(op.f("ix_post_account_id_published_at"), "post", ["account_id", "published_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_post_account_id_published_at"), "post")
    op.drop_index(op.f("ix_post_version_text_key"), "post_version")
    op.drop_column("post_version", "text_key")
