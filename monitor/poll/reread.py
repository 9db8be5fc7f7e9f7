"""Recent posts looked at again: edits become versions, deletions tombstones.

A connector that can reads posts of many accounts in one call: then the accounts' checks leave this to the platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError, Reread, Wanted
from monitor.model import Cause
from monitor.poll.judging import fresh_posts, judge
from monitor.poll.poller import Checked, Deferred, InternalError, Poller, Round, StorageFailedError, Turn
from monitor.poll.profile import ProfileLook
from monitor.rechecks import Rechecks, rechecks_of
from monitor.store.accounts import Claimed, LeaseLostError, release
from monitor.store.posts import Saved, save_page
from monitor.store.rereads import (
    Looked,
    accounts_with_looks,
    claim_rereads,
    due_since,
    forget_expired,
    mark_reread,
    newest_ids,
    published_at,
    put_off,
    to_reread,
)

log = structlog.get_logger(__name__)

REREADS_PER_CHECK = 100
REREADS_OF_A_PASS = 1000  # `pantau once` does not leave the rest for the next check
FULL = 100  # ids of X's call; with so many due nobody waits for more
PORTION = 1000  # posts of a round of the platform: ten calls
GATHERING = timedelta(minutes=1)  # how long a due post waits for others to fill a call; less where waits are shorter
LEASE = timedelta(minutes=10)


def read_again(turn: Turn, saved: Saved, shown: set[str], settle: Callable[[], None]) -> str | None:
    """Look at recent posts again for edits and deletions. A failure of this leaves the posts due, and is named.

    What this very pass was `shown` is not deleted, whatever a look-up says. `settle` writes the check itself down: a
    doubt is confirmed by a look after it.
    """
    poller, connector, claimed, gate, now = turn.poller, turn.connector, turn.claimed, turn.gate, turn.now
    if not connector.capabilities.rereads or poller.stop.is_set():
        return None
    plan = poller.plan(claimed.account.platform, now)
    if not (plan.spares or plan.rations):
        return None  # live reading goes first; the forecast's alert says so
    if can_read_many(connector):
        if gate.everything and plan.spares:
            gate.deferred.append(Deferred(claimed=claimed, now=now, shown=frozenset(shown)))
        return None
    limit = REREADS_OF_A_PASS if gate.everything else REREADS_PER_CHECK
    ids = _due(poller, claimed, now, limit, everything=gate.everything)
    if not ids or not poller.pacing.may_look(claimed.account.platform, plan):
        return None
    settle()
    look = _Look(poller=poller, connector=connector, gate=gate)
    job = _Job(claimed=claimed, now=now, ids=ids, shown=frozenset(shown))
    try:
        answer = look.answer_of(job)
    except ConnectorError as error:
        return look.failure(job, error)
    saved.add(look.save(job, answer))
    return None


def can_read_many(connector: Connector) -> bool:
    return hasattr(connector, "reread_many")


def _due(poller: Poller, claimed: Claimed, now: datetime, limit: int, *, everything: bool) -> list[str]:
    window = poller.polling.recheck_window
    return to_reread(poller.db, claimed.account.id, now=now, window=window, limit=limit, everything=everything)


def read_deferred(poller: Poller, connector: Connector, gate: Round) -> Iterator[Checked]:
    """Look at all recent posts of the accounts that a pass has checked. Yields what it brought, account by account."""
    watched = accounts_with_looks(poller.db, [one.claimed.account.id for one in gate.deferred])
    jobs = [
        _Job(claimed=one.claimed, now=one.now, ids=ids, shown=one.shown)
        for one in gate.deferred
        if one.claimed.account.id in watched
        and (ids := _due(poller, one.claimed, one.now, REREADS_OF_A_PASS, everything=True))
    ]
    yield from _Look(poller=poller, connector=connector, gate=gate).together(jobs)


def read_due(poller: Poller, connector: Connector, platform: str, gate: Round) -> Iterator[Checked]:
    """Look at the platform's posts that are due, once they fill a call or have waited long enough; so many a round.

    The accounts are held meanwhile, as for a check (I9).
    """
    now = poller.clock()
    plan = poller.plan(platform, now)
    if not (plan.spares or plan.rations):
        return  # live reading goes first; the forecast's alert says so
    window = poller.polling.recheck_window
    count, since = due_since(poller.db, platform=platform, now=now, window=window, full=FULL)
    patience = min(GATHERING, poller.polling.recheck_waits[0] / 4, poller.polling.recheck_confirm / 4)
    if since is None or (count < FULL and now - since < patience) or poller.stop.is_set():
        return
    if not poller.pacing.may_look(platform, plan):
        return
    limit = PORTION if plan.spares else FULL
    forget_expired(poller.db, now=now, window=window)
    held = claim_rereads(poller.db, platform=platform, now=now, lease=LEASE, window=window, limit=limit)
    jobs = [_Job(claimed=claimed, now=now, ids=ids) for claimed, ids in held]
    try:
        yield from _Look(poller=poller, connector=connector, gate=gate).together(jobs)
    finally:
        for job in jobs:
            with suppress(OperationalError):  # then the lease runs out by itself
                release(poller.db, job.claimed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    claimed: Claimed
    now: datetime
    ids: Sequence[str]
    shown: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a round looks again. What is missing at a pass of `pantau once` is believed; the daemon comes back later."""

    poller: Poller
    connector: Connector
    gate: Round

    @property
    def rechecks(self) -> Rechecks:
        found = rechecks_of(self.poller.polling)
        return replace(found, confirm=timedelta()) if self.gate.everything else found

    def answer_of(self, job: _Job) -> Reread:
        """Ask for one account's posts, and once more for what is missing: a passing fault looks the same.

        Raises ConnectorError.
        """
        answer = self._alone(job, job.ids)
        missing = answer.missing - job.shown
        if missing:
            try:
                missing &= self._alone(job, sorted(missing)).missing
            except ConnectorError as error:
                self.gate.note(error, met_by=job.claimed.account.label)
                missing = frozenset()
        return replace(answer, missing=missing)

    def _alone(self, job: _Job, ids: Sequence[str]) -> Reread:
        """Ask for known posts by id, or where the platform shows them in its listing alone, by id and time."""
        account, db = job.claimed.account, self.poller.db
        if (reread_listed := getattr(self.connector, "reread_listed", None)) is not None:
            answer: Reread = reread_listed(account, published_at(db, account.id, ids), now=job.now)
            return answer
        return self.connector.reread(account, ids, now=job.now)

    def together(self, jobs: Sequence[_Job]) -> Iterator[Checked]:
        """Ask for the posts of many accounts, in portions, and yield what became of each."""
        for portion in _portions(jobs):
            if self.gate.refusal or self.gate.unstored or self.poller.stop.is_set():
                return
            answers = self._answers(portion)
            for job in portion:
                checked = self._kept(job, answers.get(job.claimed.account.id))
                if checked is not None:
                    yield checked

    def _answers(self, portion: Sequence[_Job]) -> Mapping[int, Reread | ConnectorError]:
        """Ask once, and a second time for what was missing."""
        first = self._ask({job.claimed.account.id: (job, job.ids) for job in portion})
        doubted = {
            number: (job, sorted(missing))
            for job in portion
            if isinstance(answer := first.get(number := job.claimed.account.id), Reread)
            and (missing := answer.missing - job.shown)
        }
        second = self._ask(doubted) if doubted else {}
        return {number: _confirmed(answer, second.get(number)) for number, answer in first.items()}

    def _ask(self, asked: Mapping[int, tuple[_Job, Sequence[str]]]) -> Mapping[int, Reread | ConnectorError]:
        now = max(job.now for job, _ in asked.values())
        try:
            wanted = [
                Wanted(account=job.claimed.account, native_ids=ids, newest=newest_ids(self.poller.db, number, ids))
                for number, (job, ids) in asked.items()
            ]
            answers: Mapping[int, Reread | ConnectorError] = self.connector.reread_many(wanted, now=now)  # type: ignore[attr-defined]  # looked up by name
        except ConnectorError as error:
            return dict.fromkeys(asked, error)
        except OperationalError as error:
            self.gate.unstored = True
            return dict.fromkeys(asked, StorageFailedError(error))
        except Exception:
            log.exception("look again failed")
            return dict.fromkeys(asked, InternalError())
        return answers

    def _kept(self, job: _Job, answer: Reread | ConnectorError | None) -> Checked | None:
        """Write one account's answer down. None: another worker has taken it over."""
        account = job.claimed.account
        try:
            if answer is None or isinstance(answer, ConnectorError):
                failure = self.failure(job, answer or InternalError())
                self._put_off(job, answer)
                return Checked(account=account, saved=Saved(), failure=failure)
            return Checked(account=account, saved=self.save(job, answer))
        except LeaseLostError:
            log.warning("lease lost", account=account.label)
            return None
        except OperationalError as error:
            self.gate.unstored = True
            return Checked(account=account, saved=Saved(), failure=self.failure(job, StorageFailedError(error)))
        except Exception:
            log.exception("look again failed", account=account.label)
            return Checked(account=account, saved=Saved(), failure=self.failure(job, InternalError()))

    def _put_off(self, job: _Job, error: ConnectorError | None) -> None:
        """Let the daemon not ask again every second for what it could not have."""
        if not self.gate.everything:
            soonest = self.poller.clock() + self.poller.polling.min_interval
            until = max(soonest, error.retry_at) if error is not None and error.retry_at else soonest
            put_off(self.poller.db, job.claimed, job.ids, until=until)

    def failure(self, job: _Job, error: ConnectorError) -> str:
        label = job.claimed.account.label
        if error.cause is not Cause.INTERNAL:
            self.gate.note(error, met_by=label)
        log.warning("not read again", account=label, cause=error.cause.value, reason=str(error))
        return f"{label}: recent posts could not be read again: {error}"

    def save(self, job: _Job, answer: Reread) -> Saved:
        """Save edited posts as versions, and mark what is gone, hidden or still there. Raises LeaseLostError.

        What was shown in passing is saved as well: it may have been taken for deleted, or hidden by a fault before.
        """
        poller, claimed, now = self.poller, job.claimed, job.now
        turn = Turn(poller=poller, connector=self.connector, claimed=claimed, gate=self.gate, now=now)
        fresh = fresh_posts(poller, claimed.account, (*answer.posts, *answer.passed))
        rechecks = self.rechecks
        saved = Saved()
        if fresh:
            with poller.unsaved.holding(claimed.account, fresh):
                saved = save_page(
                    poller.db,
                    claimed,
                    judge(poller, claimed.account, fresh, now, ProfileLook(turn=turn)),
                    rule_set=poller.rules().hash,
                    now=now,
                    reread_window=rechecks.window,
                    reread_waits=rechecks.waits,
                    end=None,
                )
        present = frozenset(post.native_id for post in answer.posts) | job.shown.intersection(job.ids)
        asked = [one for one in job.ids if one not in answer.left]
        looked = Looked(asked=asked, present=present, missing=answer.missing - present, hidden=answer.hidden - present)
        marked = mark_reread(poller.db, claimed, looked, now=now, rechecks=rechecks)
        saved.deleted += marked.deleted
        if marked.doubted or marked.hidden:
            log.info("posts missing", account=claimed.account.label, missing=marked.doubted, hidden=marked.hidden)
        return saved


def _confirmed(first: Reread | ConnectorError, second: Reread | ConnectorError | None) -> Reread | ConnectorError:
    """Return an answer in which only what two looks did not find is missing."""
    if not isinstance(first, Reread):
        return first
    seen_again = second if isinstance(second, Reread) else Reread()
    return replace(
        first,
        posts=first.posts + seen_again.posts,
        missing=first.missing & seen_again.missing,
        hidden=first.hidden | seen_again.hidden,
        passed=first.passed + seen_again.passed,
    )


def _portions(jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    portion: list[_Job] = []
    size = 0
    for job in jobs:
        portion.append(job)
        size += len(job.ids)
        if size >= PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
