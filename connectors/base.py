"""What every connector obeys: the protocol, its pages and cursors, and the family of errors.

A connector never sleeps, never touches the database and never hides a failure: it returns pages or raises one of the
errors below, which carry when to come back. The scheduler waits; the store remembers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from monitor.model import Account, Cause, Post, Profile

Cursor = Mapping[str, Any]  # JSON with a version under "v"; only the connector that wrote it reads it
PAGE_BOUND = 2000  # calls of one walk: only a server that never ends its list comes so far
POST_BOUND = 10_000  # posts of one walk
LONGEST_WAIT = timedelta(days=1)
LIVE_WINDOW = timedelta(hours=24)  # polling.live_window's default


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a walk goes."""

    page_limit: int = PAGE_BOUND
    overlap: timedelta = timedelta(minutes=10)  # read again at each check: posts appear late and out of order
    back_catalogue: int = 1000  # posts of before `live_window` that a first pull reads
    live_window: timedelta = LIVE_WINDOW


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch that the platform does not give back any more. None means "from the beginning".

    Posts may bear times of long before they appeared: then the stretch can lie before the last check, or be empty
    because their times do not say where it lies. It stays a gap: posts are missing.
    `from_start`: the pulls before this one showed nothing of what was known, or what they brought was not sure, so that
    nobody knows what they missed.
    """

    start: datetime | None
    end: datetime
    cause: Cause
    from_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Posts and the cursor to commit with them.

    `cursor` equals the one the pull began with until the walk has met what is already known, and moves on the last
    page only: a crash in the middle begins the walk again, and (account, native id) removes the doubles.
    `last` marks the page that ends the walk. `gap` names what lay beyond the platform's depth or the walk's bounds.
    `heals` says that this walk has read, from end to end, all that earlier walks of this cursor had named as gaps.
    `bottom` says that a walk from the newest post down has come to where the listing itself ends: nothing lies below.
    `reached` is told where the listing goes by another time than that of publication: what was later was shown.
    `since` is told with a last page that claims to have shown all from then on, while the walk knew of no post that
    could prove it: a stored one from there, older than all that was shown, disproves it.
    """

    posts: tuple[Post, ...]
    cursor: Cursor
    last: bool
    gap: Gap | None = None
    heals: bool = False
    bottom: bool = False
    reached: datetime | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """The answer to reading known posts again: the present version of each, the ids that are gone, and those hidden.

    `missing` are deleted as far as this answer tells; `hidden` are there, but the platform no longer shows them to us
    (made private, withheld, the account locked). An id in none of the three could not be decided this time, and stays
    as it is: unreachable is no deletion. `left` were not even looked at, for they were too many: they come first the
    next time. `passed` is what else was shown on the way, where known posts are looked up in a listing.
    """

    posts: tuple[Post, ...] = ()
    missing: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    passed: tuple[Post, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Known posts of one account that are to be read again.

    `newest` tells by native id under which id the newest known version was served, where that is another one.
    """

    account: Account
    native_ids: Sequence[str]
    newest: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a credential may still spend of one thing (calls, posts, units) until `resets_at`, by the platform's word.

    `remaining` and `limit` are in that thing; a platform that tells only a percentage has a `limit` of 100.
    `window`: for how long the limit is given each time; without it no pace is set by it.
    """

    name: str
    limit: float
    remaining: float
    resets_at: datetime
    window: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the platform can do, so that nobody promises what it cannot."""

    rereads: bool  # known posts can be read again by id: edits and deletions are seen
    slices: bool = False  # reads a stretch of the past from its end on: the back catalogue need not be read at once
    degraded: bool = False  # the platform itself is dying; shown wherever accounts are listed


class Connector(Protocol):
    """Reads one platform. Built once, used from several threads at a time, one thread an account.

    Built from its `Settings`, the `Network` and the `Bounds`. `credentials` names the settings it cannot do without
    (where one serves as well as another, the settings' `lacks()` says which is missing; where accounts have their own,
    their `lacking(accounts)`);
    `obtain` tells an administrator in a sentence or two what to get from where, and what to write it into.
    """

    platform: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    credentials: ClassVar[tuple[str, ...]]
    obtain: ClassVar[str]

    def resolve(self, account: Account) -> Profile:
        """Return the account's profile by its handle or stored native id. Raises ConnectorError."""

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield the pages since `cursor`, newest first or oldest first; at least one page, the last with `last`.

        `account.native_id` is set when `resolve` has run before. Raises ConnectorError, possibly between pages.
        """

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known posts again. Raises ConnectorError; only called where `capabilities.rereads`."""

    def check(self) -> str:
        """Prove the credential with one cheap call and return a sentence about it. Raises ConnectorError."""

    # What only some platforms can do, looked up by name:
    #   resolve_many(accounts) -> Mapping[account.id, Profile | ConnectorError]: profiles in few calls
    #   reread_listed(account, published: native id -> time, *, now) -> Reread: as reread, where posts are looked up in
    #       the listing, which need not be read beyond the oldest of them; used instead of reread
    #   reread_many(wanted: Sequence[Wanted], *, now) -> Mapping[account.id, Reread | ConnectorError]: known posts of
    #       many accounts in few calls, where one call may hold posts of several; the poller then never calls `reread`.
    #       An error that stops the whole platform is the answer for all that was not asked any more.
    #   batches(asked: Sequence[tuple[Account, Cursor]], *, now) -> Sequence[Sequence[Account]]: the groups that are
    #       read in one call each; whoever is in none is pulled alone. No call. All have a native id and a cursor.
    #   pull_many(asked, *, now) -> Mapping[account.id, Page]: reads one such group. Each page is the whole walk of its
    #       account, with the new cursor; whoever is missing (more pages, a doubt, an error of its own) is pulled alone.
    #       Raises ConnectorError: then everybody is, unless it stops the whole platform.
    #   allowances() -> tuple[Allowance, ...]: what the last answers said of the credential's budgets; what is called
    #       "calls" or "units…" is what reading accounts takes, and sets how often they are read
    #   spent() -> Mapping[str, float]: what it has cost since this was built, beside calls: posts, dollars
    #   monthly() -> Mapping[str, float]: what of that the administrator allows in a calendar month
    #   expires_at() -> datetime | None: when the credential ends, as the platform or the setting tells; one call at
    #       most. Raises ConnectorError
    #   backfill(account, start, end, *, now) -> Iterator[Page]: the posts of [start, end), read again from the newest
    #       down; cursors are ignored. The last page has a gap where it is not sure that the stretch was walked to its
    #       end; the caller may stop in between and go on later with what is left


class ConnectorError(Exception):
    """A failed read. `cause` goes into the coverage; `retry_at` (aware, UTC) is the platform's own word, if any.

    `whole_platform` says that the next account would fail the same way: the caller stops asking.
    The message is shown to people and logged: it holds no token and no post text.
    """

    cause: ClassVar[Cause] = Cause.UNAVAILABLE
    whole_platform: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


def no_later(retry_at: datetime, now: datetime) -> datetime:
    """Return when to come back: a platform that names a day too far off is asked again after `LONGEST_WAIT`."""
    return min(retry_at, now + LONGEST_WAIT)


class Unavailable(ConnectorError):
    """Time-outs, resets, 5xx, answers cut short: passing by nature."""


class CredentialRefused(ConnectorError):
    """The token is expired, revoked or wrong. One alert a credential, not one an account."""

    cause = Cause.CREDENTIAL
    whole_platform = True


class RateLimited(ConnectorError):
    """The budget is used up until `retry_at`."""

    cause = Cause.RATE_LIMIT
    whole_platform = True


class PermissionMissing(ConnectorError):
    """The credential is good but may not read this account."""

    cause = Cause.PERMISSION


class AccountNotFound(ConnectorError):
    """The platform knows no such account: never existed, renamed, or deleted."""

    cause = Cause.NOT_FOUND


class SchemaDrift(ConnectorError):
    """An answer whose landmarks are missing. Never "no new posts"."""

    cause = Cause.SCHEMA_DRIFT


class AddressRefused(ConnectorError):
    """The address leads where Pantau must not go: loopback, private networks, too many or too large answers."""

    cause = Cause.ADDRESS_REFUSED


class ConnectorMisconfigured(ConnectorError):
    """Only the administrator can mend it: a retired API version, a missing setting."""

    cause = Cause.CONFIGURATION
    whole_platform = True
