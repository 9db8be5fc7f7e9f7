"""The words of the design as data: frozen, free of I/O, imported by every other room."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any
from zoneinfo import ZoneInfo

PROFILE_FIELDS = ("name", "handle", "picture", "bio")
MALAYSIA = ZoneInfo("Asia/Kuala_Lumpur")  # one zone for the whole country, no daylight saving
Json = Mapping[str, Any]


def _lasting(url: str) -> str:
    """Return the path of a media address: host and signed query change from one read to the next.

    A content id in the query (`cid`, as a Bluesky PDS gives files out) is what the file is, and stays.
    """
    address, _, query = url.partition("?")
    content = [part for part in query.split("&") if part.startswith("cid=")]
    return "?".join([address.partition("://")[2].partition("/")[2], *content]) or url


class Severity(IntEnum):
    """How bad a finding is. LOW is for the digest only; MEDIUM and HIGH are mailed; CRITICAL is mailed at once."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def alerts(self) -> bool:
        return self >= Severity.MEDIUM


class Disclosure(IntEnum):
    """How much of a post's text may leave the process; the smallest of all findings of a post counts."""

    NONE = 0
    MASKED = 1
    FULL = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class AgencyKind(StrEnum):
    MINISTRY = "ministry"
    DEPARTMENT = "department"
    STATUTORY = "statutory"
    STATE = "state"
    LOCAL = "local"


class State(StrEnum):
    """Malaysia's states and federal territories, by the codes of ISO 3166-2:MY as the register writes them."""

    JHR = "JHR"
    KDH = "KDH"
    KTN = "KTN"
    KUL = "KUL"
    LBN = "LBN"
    MLK = "MLK"
    NSN = "NSN"
    PHG = "PHG"
    PJY = "PJY"
    PLS = "PLS"
    PNG = "PNG"
    PRK = "PRK"
    SBH = "SBH"
    SGR = "SGR"
    SWK = "SWK"
    TRG = "TRG"


class Language(StrEnum):
    MS = "ms"
    EN = "en"


class AccountStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    RETIRED = "retired"


class PostKind(StrEnum):
    ORIGINAL = "original"
    REPLY = "reply"
    REPOST = "repost"
    QUOTE = "quote"
    STATUS = "status"


class MediaKind(StrEnum):
    PICTURE = "picture"
    VIDEO = "video"
    DOCUMENT = "document"


class AlertKind(StrEnum):
    POST = "post"
    BACKLOG = "backlog"  # every hit in an account's back catalogue, as one reviewed batch
    BLIND = "blind"  # an account that cannot be read
    CREDENTIAL = "credential"  # a token that the platform refuses
    DEAD_LETTER = "dead_letter"  # a mail nobody accepted
    EVALUATION = "evaluation"  # a post that the rules could not check
    PROFILE = "profile"  # an account that calls itself something else: an early sign of a hijack
    CANARY = "canary"  # the daily proof that an alert finds its way; never counted as an agency's alert
    FORECAST = "forecast"  # a budget or a credential that will not last
    CANARY_MISSING = "canary_missing"  # that proof failed: alerts may not find their way either


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"


class Resolution(StrEnum):
    """How a person ended an alert. All but a false alarm confirm that the alert was right."""

    ACTION_TAKEN = "action taken"
    POST_REMOVED = "post removed"
    ACCEPTED = "accepted"
    FALSE_ALARM = "false alarm"

    @property
    def confirms(self) -> bool:
        return self is not Resolution.FALSE_ALARM


class NotificationState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"  # being handed over
    ACCEPTED = "accepted"
    UNCERTAIN = "uncertain"  # the server's answer was lost: looked up in the journal, or sent again as the same mail
    DEAD = "dead"  # refused for good
    CANCELLED = "cancelled"  # the alert was closed before the mail left
    BOUNCED = "bounced"  # accepted, and returned later


WAITING_MAIL = (NotificationState.PENDING, NotificationState.SENDING, NotificationState.UNCERTAIN)


class Removal(StrEnum):
    """What became of a post that somebody reported as removed."""

    REPORTED = "reported"  # it is read again until its deletion is seen
    CONFIRMED = "confirmed"


class CanaryOutcome(StrEnum):
    """What became of a day's canary. The value is what a person sees in listings."""

    ARRIVED = "arrived"
    LATE = "late"  # its mail was accepted, but not within the hour
    WAITING = "waiting"
    MISSING = "missing"  # its mail was refused, or not accepted within the hour
    NOT_FIRED = "rules did not fire"
    NOT_RUN = "not run"  # Pantau was not running, or the canary is switched off


class CoverageKind(StrEnum):
    READ = "read"
    GAP = "gap"
    UNREACHABLE = "unreachable"


class Verdict(StrEnum):
    FULL = "fully monitored"
    GAPS = "monitored with gaps"
    BLIND = "blind"


class Cause(StrEnum):
    """Why an account could not be read. The value is what a person sees in coverage listings."""

    NOT_YET_READ = "not yet read"
    CREDENTIAL = "credential refused"
    PERMISSION = "permission missing"
    RATE_LIMIT = "rate limit"
    NOT_FOUND = "account not found"
    SCHEMA_DRIFT = "page not recognised"
    UNAVAILABLE = "platform unavailable"
    CONFIGURATION = "configuration"
    ADDRESS_REFUSED = "address refused"
    BURST = "more posts than the platform gives back"
    STOPPED = "pantau was not running"
    INTERNAL = "internal error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """Who answers for an agency during one tenure. `since` is None for "always so far"."""

    head_salutation: str = ""
    head_name: str = ""
    head_title: str = ""
    head_email: str = ""
    deputy_email: str = ""
    ictso_email: str = ""
    comms_email: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    code: str
    name: str
    kind: AgencyKind
    state: State
    language: Language
    contacts: Contacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One registered official account. `id` is the database's; 0 before it is stored."""

    agency: str
    platform: str
    handle: str
    url: str = ""
    status: AccountStatus = AccountStatus.ACTIVE
    note: str = ""
    id: int = 0
    native_id: str = ""
    registered_at: datetime | None = None

    @property
    def label(self) -> str:
        """How a person names the account, for example `x/@kkmputrajaya`."""
        return f"{self.platform}/{self.handle or self.url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture, video or document of a post. `text` is what the platform says of it (alt text, title)."""

    kind: MediaKind
    url: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One version of what an account published, as the platform served it.

    `native_id` is the platform's stable id of the post (the first of an edit history). `text` holds everything a
    reader sees as text: long text, title and body. `raw` is the platform's payload without credentials.
    `own` is set when the answer lacked what the post refers to: the part of `raw` that tells versions apart. While the
    stored payload says the same, such a poorer answer is no edit.
    `purged_hash` is what the hash of its content was, when a purge has taken the words.
    """

    native_id: str
    url: str
    published_at: datetime  # aware, UTC
    text: str
    kind: PostKind = PostKind.ORIGINAL
    edited_at: datetime | None = None
    language: str = ""
    media: tuple[Media, ...] = ()
    links: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict)
    own: Json | None = None
    purged_hash: str = ""

    @property
    def content_hash(self) -> str:
        """Hash of what a reader would see; counters, and what varies in the address of a picture, leave it alone."""
        if self.purged_hash:
            return self.purged_hash
        seen = [self.text, [[m.kind, _lasting(m.url), m.text] for m in self.media], list(self.links)]
        return hashlib.sha256(json.dumps(seen, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an account says of itself; a change of it is one of the first signs of a hijack."""

    native_id: str
    name: str
    handle: str
    bio: str = ""
    picture_url: str = ""

    @property
    def content_hash(self) -> str:
        seen = [self.name, self.handle, self.bio, _lasting(self.picture_url)]
        return hashlib.sha256(json.dumps(seen, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()

    def changes_since(self, earlier: Profile) -> frozenset[str]:
        """Return which of PROFILE_FIELDS a reader would see differ from an earlier snapshot."""
        mine, theirs = ((p.name, p.handle, _lasting(p.picture_url), p.bio) for p in (self, earlier))
        pairs = zip(PROFILE_FIELDS, mine, theirs, strict=True)
        return frozenset(name for name, one, other in pairs if one != other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A clause of an instrument, quoted in Malay as it is written there, and in English for the reader."""

    instrument: str
    ref: str
    ms: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that fired on a post version. Self-contained: it must be understood when the rule is long gone.

    `spans` are half-open code-point offsets into the original text of `field` ("text", "picture:0", "document:1").
    """

    rule: str
    rule_version: int
    title_ms: str
    title_en: str
    clause: Clause
    severity: Severity
    disclosure: Disclosure
    field: str
    spans: tuple[tuple[int, int], ...]
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of an account's life, half-open in UTC, that was read or was not."""

    kind: CoverageKind
    start: datetime
    end: datetime
    cause: Cause | None = None

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the rules look at: every text of a post version, by field, and the circumstances they may ask about.

    Fields are "text", "picture:N" and "document:N" (N counts from 0 in the order of the post's media). `links` are the
    addresses that the platform itself names, such as those behind shortened ones.
    """

    fields: Mapping[str, str]
    platform: str = ""
    agency: str = ""
    agency_kind: AgencyKind | None = None
    kind: PostKind = PostKind.ORIGINAL
    language: str = ""
    published_at: datetime | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something somebody must look at, with everything a mail or a page may need to tell of it.

    `agency.contacts` are those responsible on the day of the post (or of the event, without a post). `since` is when a
    blind account was last read or a credential last worked. `detail` is a sentence for operators without post text.
    """

    id: int
    case: str
    key: str  # what makes it the same alert, also after a restore: account, post and what is broken
    kind: AlertKind
    state: AlertState
    severity: Severity
    disclosure: Disclosure
    opened_at: datetime
    agency: Agency | None = None
    account: Account | None = None
    post: Post | None = None
    findings: tuple[Finding, ...] = ()
    cause: Cause | None = None
    since: datetime | None = None
    recovered_at: datetime | None = None
    detail: str = ""
    next_action_at: datetime | None = None
    waiting_reason: str = ""
    owner: str = ""  # who acknowledged it
    note: str = ""  # what was said with that
    deadline: datetime | None = None  # by when the owner wants it resolved; past it, it is open again
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    resolution_note: str = ""
    removal: Removal | None = None
    round: int = 0  # how often it was reopened: each round tells its people anew
    steps: int = 0  # how many steps of the escalation this round has taken
    policy: str = ""  # hash of the escalation policy it began with; a later one never touches it
    reopened_for: str = ""  # why the last round began; empty in the first

    @property
    def clauses(self) -> tuple[str, ...]:
        return tuple(sorted({f.clause.ref for f in self.findings}))

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(sorted({f.rule for f in self.findings}))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotification:
    """A mail that policy decided on: one person, one step of one alert (or one week's digest)."""

    step: str  # "first", "first-second-contact", "operators", "recovery", "digest"; with its number from the second on
    template: str  # a file name of alerts/templates: "alert", "reminder", "blind", "recovery", "digest", …
    recipient: str
    language: Language
    message_id: str
    also_about: tuple[int, ...] = ()  # further alerts that share the mail


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStep:
    """What became of the mails of an alert's last step. `waiting`: one is still to leave. `failed`: one was refused.

    `told`, `on_the_way` and `refused` are the addresses that took a mail about the alert, those whose mail is still to
    leave, and those that take none, in small letters.
    """

    waiting: bool
    accepted_at: datetime | None
    failed: bool
    told: frozenset[str] = frozenset()
    on_the_way: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notification claimed by this worker until its lease ends. Writes with an outdated `fence` change nothing."""

    id: int
    fence: int
    alert_id: int | None  # None: a digest
    period: str  # "2026-W47" for a digest, else ""
    step: str
    template: str
    recipient: str
    language: Language
    message_id: str
    attempts: int  # finished tries before this one
    rendered: bytes | None  # the mail as it was rendered at the first try
    uncertain: bool = False  # an earlier try may have been accepted
    also_about: tuple[int, ...] = ()  # further alerts that share the mail
    rendered_about: tuple[int, ...] = ()  # of several alerts, those that were open when it was rendered
    handed_over_at: datetime | None = None  # when the last try began


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Who wants no mail about what, why, and until when. A scope names an account or a rule, or both."""

    id: int
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime
    rule: str = ""
    account_id: int | None = None

    def covers(self, alert: Alert) -> bool:
        """Say whether the alert falls in the scope: of its account, and about nothing but the rule."""
        of_account = self.account_id is None or (alert.account is not None and alert.account.id == self.account_id)
        return of_account and (not self.rule or set(alert.rules) == {self.rule})
