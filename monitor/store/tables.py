"""The tables. One writer at a time on SQLite, any number on PostgreSQL; every time is UTC and aware."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)


class Utc(TypeDecorator[datetime]):
    """An aware UTC time: `timestamptz` on PostgreSQL, sortable text on SQLite. Naive times are a mistake."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without zone cannot be stored: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only an INTEGER primary key by itself


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _partial(name: str, *columns: str, where: str, on_postgresql: str = "") -> Index:
    """Return an index of those rows alone that are looked for; of nearly all there are it knows nothing."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(on_postgresql or where))


meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

agency = Table(
    "agency",
    metadata,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("language", Text, nullable=False),
)

# Who answered for an agency, from when on. A null `since` is "always so far": the first row of an agency.
contacts = Table(
    "contacts",
    metadata,
    _id(),
    Column("agency", ForeignKey("agency.code"), nullable=False),
    Column("since", Utc),
    Column("declared_since", Utc),  # what the register said, to tell a correction from a new head
    Column("head_salutation", Text, nullable=False),
    Column("head_name", Text, nullable=False),
    Column("head_title", Text, nullable=False),
    Column("head_email", Text, nullable=False),
    Column("deputy_email", Text, nullable=False),
    Column("ictso_email", Text, nullable=False),
    Column("comms_email", Text, nullable=False),
    Index(None, "agency", "since"),
)

# A credential is per platform: when it dies or runs out, all accounts of the platform wait together.
credential = Table(
    "credential",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("cause", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("since", Utc, nullable=False),
    Column("retry_at", Utc),
    Column("probe_at", Utc, nullable=False),  # when one account may try again
)

# What a platform lets a credential spend, by its own headers or by the setting, and until when.
allowance = Table(
    "allowance",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # what is counted: calls, posts, units
    Column("limit", Float, nullable=False),
    Column("remaining", Float, nullable=False),
    Column("resets_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
)

# What was spent of it, day by day (UTC): what a forecast is made of.
spending = Table(
    "spending",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # 2026-11-30
    Column("amount", Float, nullable=False),
)

account = Table(
    "account",
    metadata,
    _id(),
    Column("agency", ForeignKey("agency.code"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("key", Text, nullable=False),  # what makes it the same account: handle or url, case folded
    Column("handle", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("native_id", Text, nullable=False, default=""),
    Column("registered_at", Utc, nullable=False),
    Column("cursor", JSON),
    Column("next_check_at", Utc, nullable=False),
    Column("last_check_at", Utc),
    Column("last_ok_at", Utc),
    Column("interval_seconds", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("failing_since", Utc),
    Column("cause", Text),
    Column("error", Text, nullable=False, default=""),
    Column("retry_at", Utc),
    Column("profile_at", Utc),
    Column("fence", Integer, nullable=False, default=0),
    Column("leased_until", Utc),
    Column("posting_rate", Float),  # posts a day, smoothed; null: not known yet
    Column("rate_days", Float),  # of watching that it rests on; null: as many as count at all
    Column("backfill", JSON),  # what of the past is still to be read; null: nothing
    UniqueConstraint("platform", "key"),
    Index(None, "status", "next_check_at"),
)

profile = Table(
    "profile",
    metadata,
    _id(),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("native_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("bio", Text, nullable=False),
    Column("picture_url", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("purged_at", Utc),  # its words are gone: see store/retention.py
    Index(None, "account_id", "seen_at"),
)

post = Table(
    "post",
    metadata,
    _id(),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("native_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("published_at", Utc, nullable=False),
    Column("kind", Text, nullable=False),
    Column("first_seen_at", Utc, nullable=False),
    Column("back_catalogue", Boolean, nullable=False),
    Column("content_hash", Text, nullable=False),  # of the newest version
    Column("versions", Integer, nullable=False),
    Column("reread_at", Utc),  # when to look for an edit or deletion again; null: no more
    Column("deleted_at", Utc),  # tombstone: the evidence stays
    Column("missing_at", Utc),  # the first look-up without it; a later one confirms, and makes the tombstone
    Column("hidden_at", Utc),  # it is there, but no longer for us: private, blocked, withheld
    UniqueConstraint("account_id", "native_id"),
    Index(None, "account_id", "reread_at"),
    _partial("ix_post_reread_at", "reread_at", where="reread_at IS NOT NULL"),  # what is due of all accounts
    Index(None, "account_id", "published_at"),
    Index(None, "published_at"),
)

post_version = Table(
    "post_version",
    metadata,
    _id(),
    Column("post_id", ForeignKey("post.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("edited_at", Utc),
    Column("text", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("links", JSON, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("raw", JSON, nullable=False),
    Column("text_key", Text),  # equal for equal texts of several accounts; null for short ones and for rows before 0003
    Column("purged_at", Utc),  # its words are gone: see store/retention.py
    Column("spoken", Text),  # of a purged one: which language its text was in, for the account's habits
    UniqueConstraint("post_id", "number"),
    Index(None, "text_key"),
    Index(None, "purged_at", "seen_at"),
)

media = Table(
    "media",
    metadata,
    _id(),
    Column("post_version_id", ForeignKey("post_version.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("alt_text", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting | read | unreadable | skipped
    Column("text", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Utc),
    UniqueConstraint("post_version_id", "position"),
    Index(None, "state", "due_at"),
)

evaluation = Table(
    "evaluation",
    metadata,
    _id(),
    Column("post_version_id", ForeignKey("post_version.id"), nullable=False),
    Column("field", Text, nullable=False),  # "text", or the medium that was read later
    Column("rule_set", Text, nullable=False),
    Column("evaluated_at", Utc, nullable=False),
    Column("error", Text, nullable=False, default=""),
    UniqueConstraint("post_version_id", "field", "rule_set"),
)

alert = Table(
    "alert",
    metadata,
    _id(),
    Column("case", Text, nullable=False, unique=True),
    Column("dedup_key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("disclosure", Integer, nullable=False),
    Column("agency", ForeignKey("agency.code")),
    Column("account_id", ForeignKey("account.id")),
    Column("post_id", ForeignKey("post.id")),
    Column("cause", Text),
    Column("since", Utc),
    Column("recovered_at", Utc),
    Column("detail", Text, nullable=False, default=""),
    Column("opened_at", Utc, nullable=False),
    Column("next_action_at", Utc),
    Column("waiting_reason", Text, nullable=False, default=""),
    Column("acknowledged_at", Utc),
    Column("resolved_at", Utc),
    Column("resolution", Text),  # a `Resolution`; null while unresolved, and when it ended by itself
    Column("resolution_note", Text),
    Column("owner", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    Column("deadline", Utc),
    Column("removal", Text),  # a `Removal`
    Column("removal_due_at", Utc),  # seen alive from then on, a post reported as removed reopens its alert
    Column("round", Integer, nullable=False, default=0),
    Column("steps", Integer, nullable=False, default=0),
    Column("policy", Text),  # escalation_policy.hash; no foreign key: SQLite adds none to a table that is there
    Column("silence_id", Id),
    Column("reopened_for", Text, nullable=False, default=""),
    Index(None, "state", "next_action_at"),
    Index(None, "post_id"),
    Index(None, "opened_at"),
    Index(None, "account_id"),
    _partial("ix_alert_waiting", "next_action_at", "id", where="next_action_at IS NOT NULL"),
)

finding = Table(
    "finding",
    metadata,
    _id(),
    Column("post_version_id", ForeignKey("post_version.id"), nullable=False),
    Column("alert_id", ForeignKey("alert.id")),
    Column("rule", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("rule_set", Text, nullable=False),
    Column("title_ms", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("clause", Text, nullable=False),
    Column("clause_ms", Text, nullable=False),
    Column("clause_en", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("disclosure", Integer, nullable=False),
    Column("field", Text, nullable=False),
    Column("spans", JSON, nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("found_at", Utc, nullable=False),
    Index(None, "post_version_id"),
    Index(None, "alert_id"),
    Index(None, "found_at"),
)

notification = Table(
    "notification",
    metadata,
    _id(),
    Column("alert_id", ForeignKey("alert.id")),
    Column("period", Text, nullable=False, default=""),  # "2026-W47" for a digest
    Column("step", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("fence", Integer, nullable=False, default=0),
    Column("leased_until", Utc),
    Column("attempts", Integer, nullable=False, default=0),
    Column("accepted_at", Utc),
    Column("ended_at", Utc),
    Column("error", Text, nullable=False, default=""),
    Column("rendered_about", Text, nullable=False, default=""),  # of several alerts, those open when it was rendered
    Column("handed_over_at", Utc),  # when the last try began
    Column("kept", Boolean, nullable=False, default=False),  # its bytes lie in `rendered_mail`
    Index(None, "alert_id"),
    Index(None, "created_at"),
    _partial("ix_notification_waiting", "due_at", "id", where="ended_at IS NULL"),
    _partial(  # what a purge may empty is found without reading the mails themselves
        "ix_notification_kept_until",
        "ended_at",
        where="kept = 1 AND ended_at IS NOT NULL",
        on_postgresql="kept AND ended_at IS NOT NULL",
    ),
)

# Mails as they were rendered at the first try. Apart from the outbox, where a row is written again at each step.
rendered_mail = Table(
    "rendered_mail",
    metadata,
    Column("notification_id", Id, ForeignKey("notification.id"), primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

# Alerts that share a notification beside the one it is filed under.
notification_alert = Table(
    "notification_alert",
    metadata,
    Column("notification_id", ForeignKey("notification.id"), primary_key=True),
    Column("alert_id", ForeignKey("alert.id"), primary_key=True),
    Index(None, "alert_id"),
)

# Escalation policies as they were when alerts began with them.
escalation_policy = Table(
    "escalation_policy",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("since", Utc, nullable=False),
)

silence = Table(
    "silence",
    metadata,
    _id(),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("rule", Text, nullable=False, default=""),
    Column("account_id", ForeignKey("account.id")),
    Index(None, "expires_at"),
)

# Append-only and hash-chained: see store/audit.py. A purge empties `payload` and `salt`; the chain still verifies.
audit = Table(
    "audit",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("event", Text, nullable=False),
    Column("alert_id", ForeignKey("alert.id")),
    Column("payload", Text),
    Column("salt", Text),
    Column("payload_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "alert_id"),
    Index(None, "at"),
)

# The daily proofs (key "canary:2026-11-30") and those asked for by hand (no day).
canary = Table(
    "canary",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True),
    Column("day", Text, nullable=False, default=""),
    Column("began_at", Utc, nullable=False),
    Column("evaluated_ms", Float),
    Column("rule", Text, nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("alert_id", ForeignKey("alert.id")),
    Index(None, "began_at"),
)

# What must not be purged: an account's or an agency's data, or all of it when both are null.
legal_hold = Table(
    "legal_hold",
    metadata,
    _id(),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("agency", ForeignKey("agency.code")),
    Column("account_id", ForeignKey("account.id")),
)

coverage = Table(
    "coverage",
    metadata,
    _id(),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("start", Utc, nullable=False),
    Column("end", Utc, nullable=False),
    Column("cause", Text),
    Index(None, "account_id", "start"),
)
