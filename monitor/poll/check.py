"""An account's check: pull → evaluate → save. Every outcome is written back in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError, Page
from monitor import work
from monitor.model import Cause, Profile
from monitor.poll.backfill import can_backfill
from monitor.poll.judging import fired_rules, fresh_posts, judge, storable_profile
from monitor.poll.pacing import rate_after
from monitor.poll.poller import Checked, InternalError, Poller, Round, Stopped, StorageFailedError, Word, word_of
from monitor.poll.profile import ProfileLook
from monitor.poll.reread import read_again
from monitor.schedule import PROFILE_EVERY, Outcome, next_check, next_interval
from monitor.store.accounts import Claimed, LeaseLostError, ReadEnd, release, save_failure, save_profile
from monitor.store.database import explained
from monitor.store.posts import Saved, save_page

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)


def check_all(poller: Poller, platform: str, batch: Sequence[Claimed], gate: Round, workers: int) -> Iterator[Checked]:
    connector = poller.connectors[platform]
    profiles = _profiles(poller, connector, batch, gate)
    jobs = [
        partial(check_account, poller, connector, claimed, gate, profiles.get(claimed.account.id)) for claimed in batch
    ]
    for checked in work.run(jobs, workers=workers, name=platform):
        if checked is not None:
            yield checked


def _wants_profile(claimed: Claimed, now: datetime) -> bool:
    seen = claimed.profile_at
    return not claimed.account.native_id or seen is None or now - seen >= PROFILE_EVERY or seen > now


def _profiles(
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


def check_account(
    poller: Poller,
    connector: Connector,
    claimed: Claimed,
    gate: Round,
    profile: Profile | ConnectorError | None = None,
) -> Checked | None:
    """Check one account. None: Pantau is ending, or another worker has taken over; nothing is lost by it."""
    now = poller.clock()  # what is published from here on is the next check's
    saved = Saved()
    try:
        if poller.stop.is_set() or gate.unstored:
            raise Stopped
        if gate.refusal is not None:
            return replace(write_failure(poller, claimed, gate.refusal, now, saved), asked=False)
        claimed = _with_profile(poller, connector, claimed, profile, now, gate)
        shown = _read(poller, connector, claimed, now, saved, gate)
        failure = read_again(poller, connector, claimed, now, saved, gate, shown)
    except (Stopped, LeaseLostError) as end:
        _let_go(poller, claimed, end)
        return None
    except ConnectorError as error:
        gate.note(error, met_by=claimed.account.label)
        return _guarded(claimed, connector, saved, partial(write_failure, poller, claimed, word_of(error), now, saved))
    except OperationalError as error:
        gate.unstored = True
        failed = partial(write_failure, poller, claimed, word_of(StorageFailedError(error)), now, saved)
        return _guarded(claimed, connector, saved, failed, words=explained(error))
    except Exception:
        log.exception("check failed", account=claimed.account.label)
        return _guarded(
            claimed, connector, saved, partial(write_failure, poller, claimed, word_of(InternalError()), now, saved)
        )
    log.info("checked", account=claimed.account.label, new=saved.new, edited=saved.edited, alerts=len(saved.alerts))
    return Checked(account=claimed.account, saved=saved, failure=failure, degraded=connector.capabilities.degraded)


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
) -> Checked | None:
    """Write a failure down. When even that fails the lease runs out by itself and the account is due again."""
    try:
        return replace(write(), degraded=connector.capabilities.degraded)
    except LeaseLostError:
        return None
    except OperationalError as error:
        log.warning("failure could not be written", account=claimed.account.label, reason=explained(error))
    except Exception:
        log.exception("failure could not be written", account=claimed.account.label)
    failure = f"{claimed.account.label}: {words}"
    return Checked(account=claimed.account, saved=saved, failure=failure, cause=Cause.INTERNAL)


def write_failure(poller: Poller, claimed: Claimed, why: Word, now: datetime, saved: Saved) -> Checked:
    """Write a failed check down; `saved` is what its pages brought before it failed."""
    outcome = Outcome(failures=claimed.failures + 1, retry_at=why.retry_at)
    interval = next_interval(claimed.interval, outcome, poller.polling, poller.pace(claimed, now))
    save_failure(
        poller.db,
        claimed,
        cause=why.cause,
        error=why.words,
        now=now,
        interval=interval,
        next_check_at=next_check(interval, outcome, now),
        retry_at=why.retry_at,
        blind_after=poller.polling.blind_after,
    )
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


def _read(poller: Poller, connector: Connector, claimed: Claimed, now: datetime, saved: Saved, gate: Round) -> set[str]:
    """Walk the pages, each committed before the next is asked for; the last writes coverage and cursor with it.

    Returns the native ids of the posts that were served.
    """
    shown: set[str] = set()
    times: list[datetime] = []
    look = ProfileLook(poller=poller, connector=connector, claimed=claimed, now=now, gate=gate)
    for page in connector.pull(claimed.account, claimed.cursor, now=now):
        gate.proven = True
        fresh = fresh_posts(poller, claimed.account, page.posts)
        with poller.unsaved.holding(claimed.account, fresh):
            judged = judge(poller, claimed.account, fresh, now, look)
            times += [one.post.published_at for one in judged if one.post.edited_at is None]
            news = saved.new + len(judged)
            end = _read_end(poller, claimed, page, news, times, now) if page.last else None
            rules = poller.rules()
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
        gate.fired += fired_rules(rules, claimed.account, judged)
        shown |= {post.native_id for post in page.posts}
        if poller.stop.is_set() and not page.last:
            raise Stopped
    return shown


def _read_end(
    poller: Poller, claimed: Claimed, page: Page, new: int, times: Sequence[datetime], now: datetime
) -> ReadEnd:
    """`times`: when the new posts of the whole walk were published."""
    rate = rate_after(poller.db, claimed, times, now)
    interval = next_interval(claimed.interval, Outcome(new_posts=new), poller.polling, poller.pace(claimed, now), rate)
    gap, connector = page.gap, poller.connectors[claimed.account.platform]
    return ReadEnd(
        cursor=dict(page.cursor),
        hole=(gap.start, gap.end, gap.cause) if gap else None,
        heals=page.heals,
        fillable=can_backfill(connector),
        history=poller.polling.back_catalogue if connector.capabilities.slices else 0,
        interval=interval,
        next_check_at=next_check(interval, Outcome(), now),
        posting_rate=rate,
    )
