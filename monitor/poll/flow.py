"""The flow of a platform's checks: accounts are claimed as workers come free; what brought little is written together.

One account that hangs holds its worker and nothing else: the others go on, also those that become due meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import Connector
from monitor.poll.check import Done, Task, check_account, check_together, failed_check, shared, tasks_of
from monitor.poll.poller import Checked, Poller, Round, Turn, told
from monitor.store.accounts import Claimed, release_all
from monitor.store.checks import Ended
from monitor.store.database import explained
from monitor.store.posts import Saved, save_checks
from monitor.work import Crew

log = structlog.get_logger(__name__)

AT_ONCE = 100  # checks in one transaction
SETTLE_SECONDS = 0.5  # what waits to be written together waits no longer
ASK_AGAIN_SECONDS = 1.0  # while some are still being read: for those that have become due
Job = Callable[[], Sequence[Done | Task]]


@dataclass(slots=True, kw_only=True)
class Flow:
    """One round of a platform. `claim` returns the next accounts to check, none when nothing is due at the moment.

    `settled` is called between checks, in the caller's thread, whenever something was written; `idle` when nothing is
    due while some are still being read.
    """

    poller: Poller
    platform: str
    gate: Round
    workers: int
    claim: Callable[[], Sequence[Claimed]]
    settled: Callable[[], None] = lambda: None
    idle: Callable[[], None] = lambda: None
    _jobs: deque[tuple[Job, Sequence[Task]]] = field(default_factory=deque)
    _waiting: list[Done] = field(default_factory=list)
    _settled_at: float = 0.0  # the first is written at once: a database that cannot must be known before more is read
    _claimed_at: float = 0.0
    _was_empty: bool = False
    _broken: OperationalError | None = None

    def run(self) -> Iterator[Checked]:
        """Check until nothing is due and nobody is being read. A refusal of the platform ends the claiming.

        Raises OperationalError when nobody could be claimed, after all that was in hand was written or given back.
        """
        with Crew[Sequence[Done | Task]](workers=self.workers, name=self.platform) as crew:
            self._fill(crew)
            while crew.busy:
                for results in crew.take(patience=SETTLE_SECONDS):
                    for one in results:
                        yield from self._take(one)
                if len(self._waiting) >= AT_ONCE or time.monotonic() - self._settled_at >= SETTLE_SECONDS:
                    yield from self._settle()
                self._fill(crew)
                if crew.busy and self._has_nothing_due():
                    self._be_idle()
            yield from self._settle()
        if self._broken is not None:
            raise self._broken

    def _fill(self, crew: Crew[Sequence[Done | Task]]) -> None:
        """Keep as many jobs waiting as there are workers, so that none of them waits for us."""
        while crew.busy < 2 * self.workers:
            if not self._jobs:
                self._jobs.extend(self._next())
            if self.poller.stop.is_set() or self.gate.unstored:
                self._give_back()
            if not self._jobs:
                return
            crew.give(self._jobs.popleft()[0])

    def _give_back(self) -> None:
        """Let go of the accounts that no worker has begun with, so that the next round takes them at once."""
        left = [task.claimed for _, tasks in self._jobs for task in tasks]
        self._jobs.clear()
        self._release(left)

    def _release(self, claimed: Sequence[Claimed]) -> None:
        if claimed:
            with suppress(OperationalError):  # then the leases run out by themselves
                release_all(self.poller.db, claimed)

    def _be_idle(self) -> None:
        try:
            self.idle()
        except OperationalError as error:
            log.warning("no second look", platform=self.platform, reason=explained(error))

    def _has_nothing_due(self) -> bool:
        """Say whether the last claim, a moment ago, found nothing; once a claim."""
        is_so, self._was_empty = self._was_empty, False
        return is_so

    def _next(self) -> Iterator[tuple[Job, Sequence[Task]]]:
        if self.poller.stop.is_set() or self.gate.refusal is not None or self.gate.unstored:
            return
        if time.monotonic() - self._claimed_at < ASK_AGAIN_SECONDS:
            return
        batch = self._claimed()
        if not batch:
            self._claimed_at, self._was_empty = time.monotonic(), True
            return
        connector = self.poller.connectors[self.platform]
        tasks = tasks_of(self.poller, connector, batch, self.gate)
        alone = tasks
        if hasattr(connector, "pull_many"):
            together, alone = shared(connector, tasks, self.poller.clock())
            yield from (
                (partial(check_together, self.poller, connector, group, self.gate), group) for group in together
            )
        yield from (self._alone(connector, task) for task in alone)

    def _claimed(self) -> Sequence[Claimed]:
        try:
            return self.claim()
        except OperationalError as error:
            self._broken, self.gate.unstored = error, True
            return ()

    def _alone(self, connector: Connector, task: Task) -> tuple[Job, Sequence[Task]]:
        return partial(_listed, self.poller, connector, task, self.gate), [task]

    def _take(self, one: Done | Task) -> Iterator[Checked]:
        if isinstance(one, Task):
            self._jobs.append(self._alone(self.poller.connectors[self.platform], one))
        elif one.brought is None:
            one.holding.close()
            yield one.checked
        else:
            self._waiting.append(one)

    def _settle(self) -> Iterator[Checked]:
        """Write what checks have brought, in one transaction, and tell of them."""
        self._settled_at = time.monotonic()
        waiting, self._waiting = self._waiting, []
        with ExitStack() as holding:
            for one in waiting:
                holding.push(one.holding)
            if self.gate.unstored:  # that was named once
                self._release([one.brought.ended.claimed for one in waiting if one.brought is not None])
            elif waiting:
                yield from self._written(waiting)
        self.settled()

    def _written(self, waiting: Sequence[Done]) -> Iterator[Checked]:
        try:
            saved = save_checks(self.poller.db, [one.brought for one in waiting if one.brought is not None])
        except OperationalError as error:
            yield from self._unwritten(waiting, error)
            return
        except Exception as error:
            log.exception("checks could not be written together", accounts=len(waiting))
            yield from self._each(waiting, error)
            return
        for one in waiting:
            if (found := saved.get(one.checked.account.id)) is None:
                log.warning("lease lost", account=one.checked.account.label)
                continue
            one.checked.saved.add(found)
            self.gate.fired += one.fired
            told(one.checked)
            yield one.checked

    def _each(self, waiting: Sequence[Done], error: Exception) -> Iterator[Checked]:
        """Write checks one by one: the one that cannot be written must not take the others along."""
        if len(waiting) > 1:
            for one in waiting:
                yield from self._written([one])
            return
        (one,) = waiting
        if one.brought is None:
            return
        done = failed_check(self._turn(one.brought.ended), one.checked.saved, error)
        if done is not None:
            yield done.checked

    def _unwritten(self, waiting: Sequence[Done], error: OperationalError) -> Iterator[Checked]:
        """Name the failure once, and let the others go: they are read again."""
        first, *others = (one.brought.ended for one in waiting if one.brought is not None)
        done = failed_check(self._turn(first), Saved(), error)
        if done is not None:
            yield done.checked
        self._release([one.claimed for one in others])

    def _turn(self, ended: Ended) -> Turn:
        connector = self.poller.connectors[self.platform]
        return Turn(poller=self.poller, connector=connector, claimed=ended.claimed, gate=self.gate, now=ended.now)


def _listed(poller: Poller, connector: Connector, task: Task, gate: Round) -> Sequence[Done]:
    done = check_account(poller, connector, task, gate)
    return [] if done is None else [done]
