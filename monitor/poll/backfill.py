"""The past, read in slices between the checks: what was lost to a burst, and the back catalogue of new accounts.

Live posts come first: this runs beside the checks, one slice of an account at a time, and rests with its platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector, ConnectorError, Gap, Page
from monitor import backfill, work
from monitor.backfill import Stretch, ToDo
from monitor.model import Post
from monitor.poll.judging import fresh_posts, judge
from monitor.poll.poller import Checked, InternalError, Poller, Round, StorageFailedError, Turn
from monitor.poll.profile import ProfileLook
from monitor.store.accounts import Claimed, LeaseLostError, release
from monitor.store.backfill import claim_backfills, newest_before, oldest_within, save_todo
from monitor.store.posts import Saved, save_page

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
SLICE_POSTS = 100  # a page, where pages are full
PAUSE = timedelta(seconds=30)  # between two slices of an account
SETTLING = timedelta(hours=1)  # before an empty past is asked for again: what made it seem so may have passed
TRIES = 3  # looks at a stretch whose end was not proven
MOST_LOOKS = 3  # at one that several answers have brought posts of
ACCOUNTS = 5  # of a platform in one round of the daemon
ACCOUNTS_OF_A_PASS = 100  # at a time


def can_backfill(connector: Connector) -> bool:
    return hasattr(connector, "backfill")


def fill(poller: Poller, platform: str, gate: Round, *, workers: int = 1) -> Iterator[Checked]:
    """Read a slice of what is due of the platform's past. A pass (`gate.everything`) reads all of it, to the end.

    A failure leaves the rest to be read, and is named.
    """
    limit, beyond = (ACCOUNTS_OF_A_PASS, 0) if gate.everything else (ACCOUNTS, None)
    while held := claim_backfills(
        poller.db, platform=platform, now=poller.clock(), lease=LEASE, limit=limit, beyond=beyond
    ):
        turns = [partial(_turn, poller, platform, claimed, todo, gate) for claimed, todo in held]
        yield from filter(None, work.run(turns, workers=workers, name=f"{platform}-past"))
        if not gate.everything or _is_over(poller, gate):
            return
        beyond = max(claimed.account.id for claimed, _ in held)


def _is_over(poller: Poller, gate: Round) -> bool:
    return poller.stop.is_set() or gate.refusal is not None or gate.unstored


def _turn(poller: Poller, platform: str, claimed: Claimed, todo: ToDo, gate: Round) -> Checked | None:
    """Give one claimed account its turn, unless the round is over. It is let go of with the last that is written."""
    over = _is_over(poller, gate)
    checked = None if over else _filled(poller, poller.connectors[platform], claimed, todo, gate)
    if over or poller.stop.is_set():
        with suppress(OperationalError):  # then the lease runs out by itself
            release(poller.db, claimed)
    return checked


def _filled(poller: Poller, connector: Connector, claimed: Claimed, todo: ToDo, gate: Round) -> Checked | None:
    """Read on in one account's past. None: Pantau is ending, or another worker has taken over."""
    saved = Saved()
    left: ToDo | None = todo
    done = False
    try:
        while not done and left is not None and not poller.stop.is_set():
            one = _Slice(poller=poller, connector=connector, claimed=claimed, gate=gate, saved=saved)
            left = one.read(left)
            done = one.done
    except LeaseLostError:
        log.warning("lease lost", account=claimed.account.label)
        return None
    except ConnectorError as error:
        gate.note(error, met_by=claimed.account.label)
        return _failed(poller, claimed, left or todo, error, saved, gate)
    except OperationalError as error:
        gate.unstored = True
        return _failed(poller, claimed, left or todo, StorageFailedError(error), saved, gate)
    except Exception:
        log.exception("back-fill failed", account=claimed.account.label)
        return _failed(poller, claimed, left or todo, InternalError(), saved, gate)
    return Checked(account=claimed.account, saved=saved)


def _failed(
    poller: Poller, claimed: Claimed, todo: ToDo, error: ConnectorError, saved: Saved, gate: Round
) -> Checked | None:
    label = claimed.account.label
    log.warning("past not read", account=label, cause=error.cause.value, reason=str(error))
    pause = timedelta() if gate.everything else PAUSE
    later = backfill.after_failure(todo, now=poller.clock(), pause=pause, retry_at=error.retry_at)
    try:
        save_todo(poller.db, claimed, later, done=True)
    except (LeaseLostError, OperationalError):  # then the lease runs out by itself
        return None
    return Checked(account=claimed.account, saved=saved, failure=f"{label}: earlier posts could not be read: {error}")


@dataclass(slots=True, kw_only=True)
class _Slice:
    """One slice of a stretch: its pages, each committed before the next is asked for."""

    poller: Poller
    connector: Connector
    claimed: Claimed
    gate: Round
    saved: Saved
    done: bool = False  # the account's turn has ended with it
    _posts: int = 0
    _pages: int = 0
    _new: int = 0  # posts that were not known
    _oldest: datetime = field(init=False)  # of the posts
    _reached: datetime = field(init=False)  # what stands above in the listing was shown

    def read(self, todo: ToDo) -> ToDo | None:
        """Read on, and return what is left. Raises ConnectorError, LeaseLostError and OperationalError."""
        stretch, now = todo.next, self.poller.clock()
        self._posts, self._pages, self._new = 0, 0, 0
        self._oldest, self._reached = stretch.end, stretch.end
        anchor = self._anchor(stretch) if stretch.shown else None
        begin = min(anchor or stretch.start, stretch.start)
        pages: Iterator[Page] = self.connector.backfill(self.claimed.account, begin, stretch.end, now=now)  # type: ignore[attr-defined]  # looked up by name
        for page in pages:
            self.poller.on_page()
            self._save(page, now)
            if page.last:
                return self._ended(todo, stretch, page.gap, anchor, now)
            if self._is_enough(stretch):
                return self._stopped(todo, stretch, now)
            if self.poller.stop.is_set():
                return todo
        raise InternalError  # pages without a last one

    def _anchor(self, stretch: Stretch) -> datetime | None:
        """Return when a known post from below was published; an older one at each further look.

        The newest may have been deleted, and nobody has noticed so far. Where none is known, the oldest one within the
        stretch must be shown.
        """
        db, number = self.poller.db, self.claimed.account.id
        below = newest_before(db, number, stretch.start, but=stretch.vain)
        return below or oldest_within(db, number, stretch.start, stretch.end, but=stretch.vain)

    def _is_enough(self, stretch: Stretch) -> bool:
        """Say whether a slice may end here: it has shown posts, and all of a second's at its end.

        A listing that goes by another time than that of publication may still show later posts: it is read to its end.
        """
        in_order = self.connector.capabilities.slices
        return in_order and self._posts >= SLICE_POSTS and self._reached + backfill.STEP < stretch.end

    def _save(self, page: Page, now: datetime) -> None:
        fresh = fresh_posts(self.poller, self.claimed.account, page.posts)
        if fresh or not page.last:  # else nothing is to be written but what is left to read, and that comes next
            written = self._written(fresh, now)
            self.saved.add(written)
            self._new += written.new
        self._posts += len(page.posts)
        self._pages += 1
        times = [post.published_at for post in page.posts]
        self._oldest = min([self._oldest, *times])
        self._reached = min([self._reached, *([page.reached] if page.reached else times)])

    def _written(self, fresh: Sequence[Post], now: datetime) -> Saved:
        poller, claimed = self.poller, self.claimed
        turn = Turn(poller=poller, connector=self.connector, claimed=claimed, gate=self.gate, now=now)
        with poller.unsaved.holding(claimed.account, fresh):
            return save_page(
                poller.db,
                claimed,
                judge(poller, claimed.account, fresh, now, ProfileLook(turn=turn)),
                rule_set=poller.rules().hash,
                now=now,
                reread_window=poller.polling.recheck_window,
                reread_waits=poller.polling.recheck_waits,
                end=None,
                held_until=poller.clock() + LEASE,
            )

    def _ended(
        self, todo: ToDo, stretch: Stretch, gap: Gap | None, anchor: datetime | None, now: datetime
    ) -> ToDo | None:
        """Close the gap when the stretch was walked to its end, which a known post from below it proves.

        An answer without it, or an empty past, may be a passing fault: it is asked for again, some times. A pass asks
        for a gap at once; an empty past is left to one an hour or more later. A gap that cannot be proven closed stays,
        named. One that several answers have brought posts of is read once more: one of them may be of an earlier time,
        and stand lower than it should, and then the others do not join it.
        """
        proven = gap is None and (anchor is None or self._oldest < anchor + backfill.STEP)
        doubtful = not self._posts if stretch.shown is None else not proven
        label = self.claimed.account.label
        if doubtful and stretch.vain < TRIES - 1:
            log.info("past not proven", account=label, tries=stretch.vain + 1)
            at_once = self.gate.everything and stretch.shown is not None
            pause = SETTLING if stretch.shown is None else timedelta() if at_once else PAUSE
            return self._left(backfill.after_doubt(todo, stretch, now=now, pause=pause), more=at_once)
        again = self._unsure(stretch)
        if proven and again and stretch.looks < MOST_LOOKS:
            pause = timedelta() if self.gate.everything else PAUSE
            return self._left(backfill.once_more(todo, stretch, end=again, now=now, pause=pause))
        left = self._left(backfill.after_end(todo, stretch, now=now), closed=stretch if proven else None)
        log.info("past read", account=label, new=self.saved.new, complete=proven, left=bool(left))
        return left

    def _unsure(self, stretch: Stretch) -> datetime | None:
        """Return from where down what was lost is to be read once more."""
        is_unsure = stretch.shown is not None and self._pages > 1 and self._new > 0
        return stretch.again or (stretch.end if is_unsure else None)

    def _stopped(self, todo: ToDo, stretch: Stretch, now: datetime) -> ToDo | None:
        again, reached, posts = self._unsure(stretch), self._reached, self._posts
        return self._left(
            backfill.after_slice(todo, stretch, reached=reached, posts=posts, now=now, pause=PAUSE, again=again)
        )

    def _left(self, left: ToDo | None, *, closed: Stretch | None = None, more: bool = True) -> ToDo | None:
        """Write what is left to read; with it the turn ends, unless a pass has `more` to read at once."""
        self.done = left is None or not self.gate.everything or not more
        save_todo(self.poller.db, self.claimed, left, closed=closed, done=self.done)
        return left
