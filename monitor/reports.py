"""What the weekly digest and the monthly letter tell, as data; listings and the console show the same lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from monitor.budget import Forecast
from monitor.model import (
    Account,
    Agency,
    AlertKind,
    AlertState,
    CanaryOutcome,
    Cause,
    Interval,
    Json,
    Removal,
    Resolution,
    Severity,
    Silence,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """An account that shows nothing new against its own habit: since when, and on how many days of how many it did."""

    since: datetime
    days: int
    active: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountWeek:
    """An account's week: how much of it was read, and the holes with their causes."""

    account: Account
    verdict: Verdict
    covered: float  # share of the account's time in the week that was read, 0 to 1
    gaps: tuple[Interval, ...]
    posts: int
    degraded: bool = False
    silent: Silent | None = None  # it was read, and that was wrongly empty, or the account was left
    vanished: int = 0  # so many recent posts were deleted in this time, and none of theirs is left


# Why a day's canary failed, as it is written down; `alerts.wording` has them in Malay.
CANARY_NOT_FOUND = "the live rules do not find the canary"
CANARY_NOT_ACCEPTED = "not accepted by the mail server within an hour"
CANARY_WAITS = "its mail waits for the mail server"
CANARY_NO_CONTACT = "nobody could be told: set canary.recipient"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryDay:
    """How the proof of one Malaysian calendar day went: begun, judged by the live rules, its mail accepted."""

    day: date
    outcome: CanaryOutcome
    began_at: datetime | None = None
    evaluated_ms: float | None = None  # None: the rules raised an error, or did not run
    accepted_at: datetime | None = None
    rule: str = ""  # whose own example was the canary's text
    error: str = ""

    @property
    def seconds(self) -> float | None:
        """Return how long it took from the beginning until the mail server took the mail."""
        if self.began_at is None or self.accepted_at is None:
            return None
        return (self.accepted_at - self.began_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """An alert as a digest's or listing's row."""

    case: str
    kind: AlertKind
    agency: str
    platform: str
    account: str
    severity: Severity
    state: AlertState
    clauses: tuple[str, ...]
    rules: tuple[str, ...]
    opened_at: datetime
    first_mail_at: datetime | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    post_native_id: str = ""
    post_url: str = ""
    resolution: Resolution | None = None
    deadline: datetime | None = None  # by when its owner wants it resolved
    next_action_at: datetime | None = None
    steps: int = 0
    round: int = 0
    reopened_for: str = ""
    removal: Removal | None = None
    silence_id: int | None = None

    @property
    def unresolved(self) -> bool:
        return self.state in {AlertState.OPEN, AlertState.ACKNOWLEDGED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """On how many posts a rule fired in a week, findings too low for a mail and shadow rules included."""

    rule: str
    title_ms: str
    title_en: str
    clause: str
    severity: Severity
    findings: int
    shadow: bool
    low: int = 0  # of the findings: too low for a mail
    resolved: int = 0  # alerts with this rule that a person ended in the week
    false_alarms: int = 0  # of those


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of rules, register, policy or silences, as the audit chain has it."""

    at: datetime
    event: str
    actor: str
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutPlatform:
    """A platform that refuses its credential, or whose budget of reads is used up."""

    platform: str
    cause: Cause
    since: datetime
    retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekReport:
    """Everything the weekly digest says, as data. `start` and `end` are local Mondays 00:00, half-open."""

    week: str  # "2026-W47"
    start: datetime
    end: datetime
    agencies: tuple[Agency, ...]
    accounts: tuple[AccountWeek, ...]
    posts_read: int
    alerts: tuple[AlertLine, ...]  # opened in the week
    still_open: tuple[AlertLine, ...]  # opened earlier and still open
    rules: tuple[RuleCount, ...]
    alerts_per_week: tuple[tuple[str, Mapping[str, int]], ...]  # (week, clause → alerts), oldest first, ending here
    mails_accepted: int
    mails_waiting: int
    mails_dead: int
    rule_set: str  # hash of the active rule set
    as_of: datetime | None = None  # when it was drawn up; None: at the week's end
    mails_uncertain: int = 0
    mails_bounced: int = 0
    oldest_waiting_at: datetime | None = None  # when the longest waiting mail was written
    silences: tuple[Silence, ...] = ()  # those that the week's suppressed alerts fell under, and those that hold
    changes: tuple[Change, ...] = ()
    shut: tuple[ShutPlatform, ...] = ()
    forecasts: tuple[Forecast, ...] = ()  # how budgets and credentials will last
    canary: tuple[CanaryDay, ...] = ()
    media_waiting: int = 0
    media_unreadable: Mapping[str, int] = field(default_factory=dict)  # by reason
    chain_head: str = ""
    reopened: tuple[AlertLine, ...] = ()  # in the week
    unconfirmed: tuple[AlertLine, ...] = ()  # resolved as removed; the deletion was not seen yet

    @property
    def until(self) -> datetime:
        """Up to when the week can be told of."""
        return self.end if self.as_of is None else min(self.end, self.as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthReport:
    """What the monthly letter tells an agency's head about the own agency. Local, half-open."""

    month: str  # "2026-11"
    start: datetime
    end: datetime
    agency: Agency  # with the contacts of the day of the letter
    accounts: tuple[AccountWeek, ...]
    alerts: tuple[AlertLine, ...]  # opened in the month
    still_open: tuple[AlertLine, ...]  # opened earlier and not resolved
    as_of: datetime | None = None

    @property
    def until(self) -> datetime:
        return self.end if self.as_of is None else min(self.end, self.as_of)
