"""The life of an alert: owners, rounds, escalation, silences; mails about several; the audit chain and legal holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.tables import Id, Utc

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "escalation_policy",
        sa.Column("hash", sa.Text(), primary_key=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("since", Utc(), nullable=False),
    )
    op.create_table(
        "silence",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("expires_at", Utc(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("account_id", Id, sa.ForeignKey("account.id")),
    )
    op.create_index(op.f("ix_silence_expires_at"), "silence", ["expires_at"])
    _widen_alert()
    op.create_table(
        "notification_alert",
        sa.Column("notification_id", Id, sa.ForeignKey("notification.id"), primary_key=True),
        sa.Column("alert_id", Id, sa.ForeignKey("alert.id"), primary_key=True),
    )
    op.create_index(op.f("ix_notification_alert_alert_id"), "notification_alert", ["alert_id"])
    op.create_table(
        "audit",
        sa.Column("seq", Id, primary_key=True, autoincrement=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("alert_id", Id, sa.ForeignKey("alert.id")),
        sa.Column("payload", sa.Text()),
        sa.Column("salt", sa.Text()),
        sa.Column("payload_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
    )
    op.create_index(op.f("ix_audit_alert_id"), "audit", ["alert_id"])
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_table(
        "legal_hold",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.Column("ended_at", Utc()),
        sa.Column("agency", sa.Text(), sa.ForeignKey("agency.code")),
        sa.Column("account_id", Id, sa.ForeignKey("account.id")),
    )


def _widen_alert() -> None:
    """Add columns one by one: copying the table, Alembic's way on SQLite, would break what refers to it."""
    for name in ("owner", "note", "reopened_for"):
        op.add_column("alert", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in ("round", "steps"):
        op.add_column("alert", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    for name in ("deadline", "removal_due_at"):
        op.add_column("alert", sa.Column(name, Utc(), nullable=True))
    for name in ("removal", "policy"):
        op.add_column("alert", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("alert", sa.Column("silence_id", Id, nullable=True))


def downgrade() -> None:
    for name in ("silence_id", "policy", "removal", "removal_due_at", "deadline", "steps", "round"):
        op.drop_column("alert", name)
    for name in ("reopened_for", "note", "owner"):
        op.drop_column("alert", name)
    for name in ("legal_hold", "audit", "notification_alert", "silence", "escalation_policy"):
        op.drop_table(name)
