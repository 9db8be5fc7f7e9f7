"""An account's check: pull → evaluate → save. Every outcome is written back in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError, Page
from monitor.coverage import Hole
from monitor.model import Account, Cause, Profile
from monitor.poll.backfill import can_backfill
from monitor.poll.judging import fired_rules, fresh_posts, judge, storable_profile
from monitor.poll.pacing import rate_after
from monitor.poll.poller import Checked, InternalError, Poller, Round, Stopped, StorageFailedError, Word, told, word_of
from monitor.poll.profile import ProfileLook
from monitor.poll.reread import read_again
from monitor.rechecks import rechecks_of
from monitor.schedule import PROFILE_EVERY, Outcome, next_check, next_interval
from monitor.store.accounts import Claimed, LeaseLostError, release
from monitor.store.checks import Ended, Failure, ReadEnd, save_failure, save_failures
from monitor.store.database import explained
from monitor.store.history import Fired
from monitor.store.posts import Brought, Saved, save_checks, save_page
from monitor.store.profiles import save_profile

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
    now = now or poller.clock()  # what is published from here on is the next check's
    saved = Saved()
    with ExitStack() as holding:
        try:
            return _checked(poller, connector, task, gate, page, now, saved, holding)
        except (Stopped, LeaseLostError) as end:
            _let_go(poller, task.claimed, end)
            return None
        except Exception as error:  # noqa: BLE001 (the top of a check; its log has the traceback)
            return failed_check(poller, connector, task.claimed, now, saved, gate, error)


def _checked(
    poller: Poller,
    connector: Connector,
    task: Task,
    gate: Round,
    page: Page | None,
    now: datetime,
    saved: Saved,
    holding: ExitStack,
) -> Done:
    if poller.stop.is_set() or gate.unstored:
        raise Stopped
    if gate.refusal is not None:
        return Done(checked=replace(write_failure(poller, task.claimed, gate.refusal, now, saved), asked=False))
    claimed = _with_profile(poller, connector, task.claimed, task.profile, now, gate)
    read = _read(poller, connector, claimed, now, saved, gate, page, holding)
    settle = partial(_settle, poller, read, saved, gate)
    failure = read_again(poller, connector, claimed, now, saved, gate, read.shown, settle)
    checked = Checked(account=claimed.account, saved=saved, failure=failure, degraded=connector.capabilities.degraded)
    if read.brought is None:
        told(checked)
    return Done(checked=checked, brought=read.brought, fired=read.fired, holding=holding.pop_all())


def failed_check(
    poller: Poller, connector: Connector, claimed: Claimed, now: datetime, saved: Saved, gate: Round, error: Exception
) -> Done | None:
    """Write down what has ended a check. None: another worker has taken the account over."""
    if isinstance(error, ConnectorError):
        gate.note(error, met_by=claimed.account.label)
        return _guarded(claimed, connector, saved, partial(write_failure, poller, claimed, word_of(error), now, saved))
    if isinstance(error, OperationalError):
        gate.unstored = True
        return could_not_be_stored(poller, connector, claimed, now, saved, error)
    log.error("check failed", account=claimed.account.label, exc_info=error)
    why = word_of(InternalError())
    return _guarded(claimed, connector, saved, partial(write_failure, poller, claimed, why, now, saved))


def could_not_be_stored(
    poller: Poller, connector: Connector, claimed: Claimed, now: datetime, saved: Saved, error: OperationalError
) -> Done | None:
    failed = partial(write_failure, poller, claimed, word_of(StorageFailedError(error)), now, saved)
    return _guarded(claimed, connector, saved, failed, words=explained(error))


def _let_go(poller: Poller, claimed: Claimed, end: Exception) -> None:
    if isinstance(end, LeaseLostError):
        log.warning("lease lost", account=claimed.account.label)
        return
    with suppress(OperationalError):  # then the lease runs out by itself
        release(poller.db, claimed)


def _guarded(
    claimed: Claimed,
    connector: Connector,
    saved: Saved,
    write: Callable[[], Checked],
    *,
    words: str = str(InternalError()),
) -> Done | None:
    """Write a failure down. When even that fails the lease runs out by itself and the account is due again."""
    try:
        return Done(checked=replace(write(), degraded=connector.capabilities.degraded))
    except LeaseLostError:
        return None
    except OperationalError as error:
        log.warning("failure could not be written", account=claimed.account.label, reason=explained(error))
    except Exception:
        log.exception("failure could not be written", account=claimed.account.label)
    failure = f"{claimed.account.label}: {words}"
    return Done(checked=Checked(account=claimed.account, saved=saved, failure=failure, cause=Cause.INTERNAL))


def write_failure(poller: Poller, claimed: Claimed, why: Word, now: datetime, saved: Saved) -> Checked:
    """Write a failed check down; `saved` is what its pages brought before it failed."""
    save_failure(poller.db, _failure(poller, claimed, why, now))
    return _not_read(claimed, why, saved)


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


def _with_profile(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    profile: Profile | ConnectorError | None,
    now: datetime,
    gate: Round,
) -> Claimed:
    """Return the claim with the account's native id; a profile is read at first and once a day."""
    if profile is None:
        if not _wants_profile(claimed, now):
            return claimed
        try:
            profile = connector.resolve(claimed.account)
        except ConnectorError as error:
            profile = error
    if isinstance(profile, ConnectorError):
        if claimed.account.native_id and profile.cause in {Cause.UNAVAILABLE, Cause.SCHEMA_DRIFT}:
            return claimed  # the posts may be readable all the same; the profile's turn comes again
        raise profile
    gate.proven = True
    profile = storable_profile(profile)
    if save_profile(poller.db, claimed, profile, now=now):
        log.warning("profile changed", account=claimed.account.label)
    return replace(claimed, account=replace(claimed.account, native_id=profile.native_id), profile_at=now)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What a walk has shown, by native id, and what its last page brought, where that is still to be written."""

    shown: set[str] = field(default_factory=set)
    brought: Brought | None = None
    fired: Sequence[Fired] = ()


def _read(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    now: datetime,
    saved: Saved,
    gate: Round,
    known: Page | None,
    holding: ExitStack,
) -> _Reading:
    """Walk the pages, each committed before the next is asked for; the last writes coverage and cursor with it.

    A last page with few news is left to be written together with those of other accounts.
    """
    reading = _Reading()
    times: list[datetime] = []
    look = ProfileLook(poller=poller, connector=connector, claimed=claimed, now=now, gate=gate)
    for page in [known] if known is not None else connector.pull(claimed.account, claimed.cursor, now=now):
        gate.proven = True
        poller.on_page()
        fresh = fresh_posts(poller, claimed.account, page.posts)
        reading.shown |= {post.native_id for post in page.posts}
        holding.enter_context(poller.unsaved.holding(claimed.account, fresh))
        judged, rules = judge(poller, claimed.account, fresh, now, look), poller.rules()
        fired = fired_rules(rules, claimed.account, judged)
        times += [one.post.published_at for one in judged if one.post.edited_at is None]
        end = _read_end(poller, claimed, page, saved.new + len(judged), times, now) if page.last else None
        if end is not None and len(judged) <= FEW:
            ended = Ended(claimed=claimed, end=end, now=now)
            rechecks = rechecks_of(poller.polling)
            reading.brought = Brought(ended=ended, rechecks=rechecks, judged=judged, rule_set=rules.hash)
            reading.fired = fired
            break
        saved.add(
            save_page(
                poller.db,
                claimed,
                judged,
                rule_set=rules.hash,
                now=now,
                reread_window=poller.polling.recheck_window,
                reread_waits=poller.polling.recheck_waits,
                end=end,
                held_until=poller.clock() + LEASE,
            )
        )
        holding.close()
        gate.fired += fired
        if poller.stop.is_set() and not page.last:
            raise Stopped
    return reading


def _settle(poller: Poller, read: _Reading, saved: Saved, gate: Round) -> None:
    """Write now what a check has brought. Raises LeaseLostError."""
    if read.brought is None:
        return
    holder = read.brought.ended.claimed.account
    found = save_checks(poller.db, [read.brought]).get(holder.id)
    if found is None:
        raise LeaseLostError(holder.label)
    saved.add(found)
    gate.fired += read.fired
    read.brought = None


def _read_end(
    poller: Poller, claimed: Claimed, page: Page, new: int, times: Sequence[datetime], now: datetime
) -> ReadEnd:
    """`times`: when the new posts of the whole walk were published."""
    connector = poller.connectors[claimed.account.platform]
    rate = rate_after(poller.db, claimed, times, now, sliced=connector.capabilities.slices)
    interval = next_interval(
        claimed.interval, Outcome(new_posts=new), poller.polling, poller.plan(claimed.account.platform, now).pace, rate
    )
    gap = page.gap
    return ReadEnd(
        cursor=dict(page.cursor),
        hole=Hole(start=gap.start, end=gap.end, cause=gap.cause, from_start=gap.from_start) if gap else None,
        heals=page.heals,
        fillable=can_backfill(connector),
        history=poller.polling.back_catalogue if connector.capabilities.slices else 0,
        interval=interval,
        next_check_at=next_check(interval, Outcome(), now),
        posting_rate=rate,
    )
