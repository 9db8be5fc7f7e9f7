"""An account's check: pull → evaluate → save. Every outcome is written back in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError, Gap, Page
from monitor.coverage import Hole
from monitor.model import Account, Cause, Profile
from monitor.poll.backfill import can_backfill
from monitor.poll.judging import fired_rules, fresh_posts, judge, storable_profile
from monitor.poll.pacing import rate_after
from monitor.poll.poller import (
    Checked,
    InternalError,
    Poller,
    Round,
    Stopped,
    StorageFailedError,
    Turn,
    Word,
    told,
    word_of,
)
from monitor.poll.profile import ProfileLook
from monitor.poll.reread import read_again
from monitor.rechecks import rechecks_of
from monitor.schedule import PROFILE_EVERY, Outcome, next_check, next_interval
from monitor.store.accounts import Claimed, LeaseLostError, release
from monitor.store.backfill import oldest_within
from monitor.store.checks import Ended, Failure, ReadEnd, save_failure, save_failures
from monitor.store.database import explained
from monitor.store.history import Fired
from monitor.store.posts import Brought, Saved, save_checks, save_page
from monitor.store.profiles import save_profile, save_profiles

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
FEW = 5  # new posts of an account that may wait for those of others, to be written with them


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An account to check, and what was learned of it together with others: its profile, or why there is none."""

    claimed: Claimed
    profile: Profile | ConnectorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of an account's check. What it `brought` is still to be written, together with others'.

    Until then `holding` shows its posts to the checks of other accounts.
    """

    checked: Checked
    brought: Brought | None = None
    fired: Sequence[Fired] = ()
    holding: ExitStack = field(default_factory=ExitStack)


def _wants_profile(claimed: Claimed, now: datetime) -> bool:
    seen = claimed.profile_at
    return not claimed.account.native_id or seen is None or now - seen >= PROFILE_EVERY or seen > now


def profiles_of(
    poller: Poller, connector: Connector, batch: Sequence[Claimed], gate: Round
) -> Mapping[int, Profile | ConnectorError]:
    """Read the batch's profiles in few calls, where the connector can."""
    resolve_many = getattr(connector, "resolve_many", None)
    wanted = [claimed.account for claimed in batch if _wants_profile(claimed, poller.clock())]
    if resolve_many is None or not wanted:
        return {}
    try:
        answers: Mapping[int, Profile | ConnectorError] = resolve_many(wanted)
    except ConnectorError as error:
        gate.note(error, met_by=batch[0].account.platform)
        return {one.id: error for one in wanted}
    for one in wanted:
        answer = answers.get(one.id)
        if isinstance(answer, ConnectorError):
            gate.note(answer, met_by=one.label)
        elif answer is not None:
            gate.proven = True
    return answers


def tasks_of(poller: Poller, connector: Connector, batch: Sequence[Claimed], gate: Round) -> list[Task]:
    """Return the batch's tasks; profiles that were read together are written together as well."""
    profiles = profiles_of(poller, connector, batch, gate)
    kept = _with_profiles(poller, [(one, profiles.get(one.account.id)) for one in batch])
    return [
        Task(claimed=kept[number])
        if (number := one.account.id) in kept
        else Task(claimed=one, profile=profiles.get(number))
        for one in batch
    ]


def _with_profiles(
    poller: Poller, read: Sequence[tuple[Claimed, Profile | ConnectorError | None]]
) -> Mapping[int, Claimed]:
    """Write profiles down and return the claims that know of them. What cannot be written so is left to each check."""
    known = [(claimed, storable_profile(one)) for claimed, one in read if isinstance(one, Profile)]
    if not known:
        return {}
    now = poller.clock()
    try:
        changed = save_profiles(poller.db, known, now=now)
    except OperationalError as error:
        log.warning("profiles not written together", reason=explained(error))
        return {}
    except Exception:
        log.exception("profiles could not be written together", accounts=len(known))
        return {}
    return {
        number: _knowing(claimed, profile, now, changed=changed[number])
        for claimed, profile in known
        if (number := claimed.account.id) in changed
    }


def _knowing(claimed: Claimed, profile: Profile, now: datetime, *, changed: bool) -> Claimed:
    if changed:
        log.warning("profile changed", account=claimed.account.label)
    return replace(claimed, account=replace(claimed.account, native_id=profile.native_id), profile_at=now)


def shared(connector: Connector, tasks: Sequence[Task], now: datetime) -> tuple[list[list[Task]], list[Task]]:
    """Part tasks into groups that the connector reads in one call each, and those that it reads alone."""
    fit = {
        task.claimed.account.id: task
        for task in tasks
        if task.claimed.account.native_id and task.claimed.cursor and not isinstance(task.profile, ConnectorError)
    }
    asked = [(task.claimed.account, task.claimed.cursor or {}) for task in fit.values()]
    groups: Sequence[Sequence[Account]] = connector.batches(asked, now=now)  # type: ignore[attr-defined]  # looked up by name
    together = [[fit.pop(account.id) for account in group] for group in groups]
    taken = {task.claimed.account.id for group in together for task in group}
    return together, [task for task in tasks if task.claimed.account.id not in taken]


def check_together(poller: Poller, connector: Connector, tasks: Sequence[Task], gate: Round) -> list[Done | Task]:
    """Check accounts whose posts a connector reads in one call. Whoever must be read alone comes back as a task."""
    now = poller.clock()
    pages = _pages(poller, connector, tasks, gate, now)
    found: list[Done | Task] = []
    for task in tasks:
        page = pages.get(task.claimed.account.id)
        if page is None:
            found.append(task)
        elif (done := check_account(poller, connector, task, gate, page=page, now=now)) is not None:
            found.append(done)
    return found


def _pages(
    poller: Poller, connector: Connector, tasks: Sequence[Task], gate: Round, now: datetime
) -> Mapping[int, Page]:
    if gate.refusal is not None or poller.stop.is_set():
        return {}
    asked = [(task.claimed.account, task.claimed.cursor or {}) for task in tasks]
    try:
        pages: Mapping[int, Page] = connector.pull_many(asked, now=now)  # type: ignore[attr-defined]  # as above
    except ConnectorError as error:
        gate.note(error, met_by=connector.platform)  # else each finds out for itself
        return {}
    gate.proven |= bool(pages)
    return pages


def check_account(
    poller: Poller,
    connector: Connector,
    task: Task,
    gate: Round,
    *,
    page: Page | None = None,
    now: datetime | None = None,
) -> Done | None:
    """Check one account; its only `page` may have been read already, at `now`.

    None: Pantau is ending, or another worker has taken over; nothing is lost by it.
    """
    turn = Turn(poller=poller, connector=connector, claimed=task.claimed, gate=gate, now=now or poller.clock())
    with ExitStack() as holding:
        check = Check(turn=turn, holding=holding)
        try:
            return check.run(task.profile, page)
        except (Stopped, LeaseLostError) as end:
            _let_go(turn, end)
            return None
        except Exception as error:  # noqa: BLE001 (the top of a check; its log has the traceback)
            return failed_check(turn, check.saved, error)


@dataclass(slots=True, kw_only=True)
class Check:
    """An account's check under way: what its pages have brought so far.

    `saved` counts what is written. What the last page `brought` may still be to be written, together with what other
    accounts have brought; `holding` shows its posts to their checks until then.
    """

    turn: Turn
    holding: ExitStack
    saved: Saved = field(default_factory=Saved)
    shown: set[str] = field(default_factory=set)  # native ids
    brought: Brought | None = None
    fired: Sequence[Fired] = ()

    def run(self, profile: Profile | ConnectorError | None, page: Page | None) -> Done:
        """Raises Stopped, ConnectorError, LeaseLostError and OperationalError."""
        turn = self.turn
        if turn.poller.stop.is_set() or turn.gate.unstored:
            raise Stopped
        if turn.gate.refusal is not None:
            return Done(checked=replace(write_failure(turn, turn.gate.refusal, self.saved), asked=False))
        self.turn = turn = replace(turn, claimed=_with_profile(turn, profile))
        self._read(page)
        failure = read_again(turn, self.saved, self.shown, self._settle)
        degraded = turn.connector.capabilities.degraded
        checked = Checked(account=turn.account, saved=self.saved, failure=failure, degraded=degraded)
        if self.brought is None:
            told(checked)
        return Done(checked=checked, brought=self.brought, fired=self.fired, holding=self.holding.pop_all())

    def _read(self, known: Page | None) -> None:
        """Walk the pages, each committed before the next is asked for; the last writes coverage and cursor with it.

        A last page with few news is left to be written together with those of other accounts.
        """
        turn, poller, claimed = self.turn, self.turn.poller, self.turn.claimed
        times: list[datetime] = []
        oldest = turn.now  # of those shown: an edited one may stand above newer ones
        look = ProfileLook(turn=turn)
        for page in [known] if known is not None else turn.connector.pull(turn.account, claimed.cursor, now=turn.now):
            turn.gate.proven = True
            poller.on_page()
            fresh = fresh_posts(poller, turn.account, page.posts)
            self.shown |= {post.native_id for post in page.posts}
            self.holding.enter_context(poller.unsaved.holding(turn.account, fresh))
            judged, rules = judge(poller, turn.account, fresh, turn.now, look), poller.rules()
            fired = fired_rules(rules, turn.account, judged)
            times += [one.post.published_at for one in judged if one.post.edited_at is None]
            oldest = min([oldest, *(post.published_at for post in page.posts if post.edited_at is None)])
            new = self.saved.new + len(judged)
            end = _read_end(turn, _unless_disproved(turn, page, oldest), new, times) if page.last else None
            if end is not None and len(judged) <= FEW:
                ended = Ended(claimed=claimed, end=end, now=turn.now)
                rechecks = rechecks_of(poller.polling)
                self.brought = Brought(ended=ended, rechecks=rechecks, judged=judged, rule_set=rules.hash)
                self.fired = fired
                return
            self.saved.add(
                save_page(
                    poller.db,
                    claimed,
                    judged,
                    rule_set=rules.hash,
                    now=turn.now,
                    reread_window=poller.polling.recheck_window,
                    reread_waits=poller.polling.recheck_waits,
                    end=end,
                    held_until=poller.clock() + LEASE,
                )
            )
            self.holding.close()
            turn.gate.fired += fired
            if poller.stop.is_set() and not page.last:
                raise Stopped

    def _settle(self) -> None:
        """Write now what the last page has brought. Raises LeaseLostError."""
        if self.brought is None:
            return
        holder = self.turn.account
        found = save_checks(self.turn.poller.db, [self.brought]).get(holder.id)
        if found is None:
            raise LeaseLostError(holder.label)
        self.saved.add(found)
        self.turn.gate.fired += self.fired
        self.brought = None


def _unless_disproved(turn: Turn, page: Page, oldest: datetime) -> Page:
    """Return the page, with a gap where a post that an earlier try has stored disproves that all was shown.

    A first walk of many pages may fail many times, and then be ended by its first answer.
    """
    if page.since is None or page.gap is not None or not can_backfill(turn.connector):
        return page
    within = oldest_within(turn.poller.db, turn.account.id, page.since, oldest)
    if within is None:
        return page
    return replace(page, gap=Gap(start=page.since, end=oldest, cause=Cause.BURST, from_start=True), heals=False)


def _with_profile(turn: Turn, profile: Profile | ConnectorError | None) -> Claimed:
    """Return the claim with the account's native id; a profile is read at first and once a day."""
    claimed = turn.claimed
    if profile is None:
        if not _wants_profile(claimed, turn.now):
            return claimed
        try:
            profile = turn.connector.resolve(claimed.account)
        except ConnectorError as error:
            profile = error
    if isinstance(profile, ConnectorError):
        if claimed.account.native_id and profile.cause in {Cause.UNAVAILABLE, Cause.SCHEMA_DRIFT}:
            return claimed  # the posts may be readable all the same; the profile's turn comes again
        raise profile
    turn.gate.proven = True
    profile = storable_profile(profile)
    changed = save_profile(turn.poller.db, claimed, profile, now=turn.now)
    return _knowing(claimed, profile, turn.now, changed=changed)


def _read_end(turn: Turn, page: Page, new: int, times: Sequence[datetime]) -> ReadEnd:
    """`times`: when the new posts of the whole walk were published."""
    poller, claimed, now = turn.poller, turn.claimed, turn.now
    slices = turn.connector.capabilities.slices
    rate = rate_after(poller.db, claimed, times, now, sliced=slices)
    pace = poller.plan(claimed.account.platform, now).pace
    interval = next_interval(
        claimed.interval, Outcome(new_posts=new), poller.polling, pace, rate.per_day if rate else None
    )
    gap = page.gap
    return ReadEnd(
        cursor=dict(page.cursor),
        hole=Hole(start=gap.start, end=gap.end, cause=gap.cause, from_start=gap.from_start) if gap else None,
        heals=page.heals,
        fillable=can_backfill(turn.connector),
        history=poller.polling.back_catalogue if slices else 0,
        bottom=page.bottom,
        interval=interval,
        next_check_at=next_check(interval, Outcome(), now),
        rate=rate,
    )


# ---------------------------------------------------------------- failures


def failed_check(turn: Turn, saved: Saved, error: Exception) -> Done | None:
    """Write down what has ended a check. None: another worker has taken the account over."""
    if isinstance(error, ConnectorError):
        turn.gate.note(error, met_by=turn.account.label)
        return _guarded(turn, saved, word_of(error))
    if isinstance(error, OperationalError):
        turn.gate.unstored = True
        return _guarded(turn, saved, word_of(StorageFailedError(error)), otherwise=explained(error))
    log.error("check failed", account=turn.account.label, exc_info=error)
    return _guarded(turn, saved, word_of(InternalError()))


def _let_go(turn: Turn, end: Exception) -> None:
    if isinstance(end, LeaseLostError):
        log.warning("lease lost", account=turn.account.label)
        return
    with suppress(OperationalError):  # then the lease runs out by itself
        release(turn.poller.db, turn.claimed)


def _guarded(turn: Turn, saved: Saved, why: Word, *, otherwise: str = str(InternalError())) -> Done | None:
    """Write a failure down. When even that fails the lease runs out by itself and the account is due again."""
    label = turn.account.label
    try:
        checked = write_failure(turn, why, saved)
        return Done(checked=replace(checked, degraded=turn.connector.capabilities.degraded))
    except LeaseLostError:
        return None
    except OperationalError as error:
        log.warning("failure could not be written", account=label, reason=explained(error))
    except Exception:
        log.exception("failure could not be written", account=label)
    failure = f"{label}: {otherwise}"
    return Done(checked=Checked(account=turn.account, saved=saved, failure=failure, cause=Cause.INTERNAL))


def write_failure(turn: Turn, why: Word, saved: Saved) -> Checked:
    """Write a failed check down; `saved` is what its pages brought before it failed."""
    save_failure(turn.poller.db, _failure(turn.poller, turn.claimed, why, turn.now))
    return _not_read(turn.claimed, why, saved)


def write_failures(poller: Poller, claimed: Sequence[Claimed], why: Word, now: datetime) -> list[Checked]:
    """Write the same failure down for many, who were not asked; those whom another worker has are left out."""
    ours = save_failures(poller.db, [_failure(poller, one, why, now) for one in claimed])
    return [replace(_not_read(one, why, Saved()), asked=False) for one in claimed if one.account.id in ours]


def _failure(poller: Poller, claimed: Claimed, why: Word, now: datetime) -> Failure:
    limited = why.cause is Cause.RATE_LIMIT
    outcome = Outcome(failures=claimed.failures + 1, limited=limited, retry_at=why.retry_at)
    interval = next_interval(claimed.interval, outcome, poller.polling, poller.plan(claimed.account.platform, now).pace)
    return Failure(
        claimed=claimed,
        cause=why.cause,
        error=why.words,
        now=now,
        interval=interval,
        next_check_at=next_check(interval, outcome, now),
        retry_at=why.retry_at,
        blind_after=poller.polling.blind_after,
    )


def _not_read(claimed: Claimed, why: Word, saved: Saved) -> Checked:
    label = claimed.account.label
    log.warning("not read", account=label, cause=why.cause.value, reason=why.words)
    named = why.words if why.words.startswith(f"{label}:") else f"{label}: {why.words}"
    return Checked(account=claimed.account, saved=saved, failure=named, cause=why.cause)
