"""A platform's round: its due accounts in batches, and what happens when it refuses as a whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy.exc import OperationalError

from connectors.base import ConnectorError
from monitor.model import Cause
from monitor.poll.backfill import fill
from monitor.poll.check import LEASE, write_failures
from monitor.poll.flow import Flow
from monitor.poll.judging import look_again as judge_again
from monitor.poll.poller import Checked, Poller, Report, Round, Word
from monitor.poll.reread import can_read_many, read_deferred, read_due
from monitor.store.accounts import Claimed, account_ids, claim_accounts
from monitor.store.credentials import ONE_ALERT_IN_ALL, Shut, open_platform, shut_platform, shut_platforms
from monitor.store.database import explained
from monitor.store.history import Fired

log = structlog.get_logger(__name__)

BATCH = 200
SHARED_BATCH = 1000  # where one call may read many accounts: of more, more are alike
MOST_RESULTS = 20_000
COUNTED_SECONDS = 10.0  # in a round that goes on
PROBES = 3  # accounts that try a platform which refused its credential, until an answer decides
DISPUTED = frozenset({Cause.NOT_FOUND, Cause.PERMISSION})  # about the account, and perhaps said without any call


def poll_platform(
    poller: Poller, platform: str, *, everything: bool = False, workers: int = 1, report: Report | None = None
) -> list[Checked]:
    """Check the platform's due accounts (`everything`: all that it lets us) and return what became of each.

    A platform that refused as a whole rests until its time; then one account tries before the others follow.
    """
    visit = _Visit(poller=poller, platform=platform, everything=everything, workers=workers, report=report)
    while not poller.stop.is_set():
        shut = shut_platforms(poller.db).get(platform)
        if shut is not None and _rests(shut, poller.clock(), everything=everything):
            break
        if (over := _used_up(poller, platform)) is not None:
            visit.fail_the_rest(_shut(poller, platform, over))
            break
        gate = visit.probe(shut) if shut is not None else visit.round()
        poller.settle(platform)
        if gate is None and shut is None and not everything:
            visit.look_again()
        if gate is None or gate.unstored:
            break
        if gate.refusal is not None:
            visit.fail_the_rest(_shut(poller, platform, gate.refusal, heard=gate.heard, is_pass=everything))
            break
        if shut is not None:
            open_platform(poller.db, platform, now=poller.clock())
            log.info("platform answers again", platform=platform)
    poller.settle(platform, at_once=everything or poller.stop.is_set())
    return visit.results


def fill_platform(
    poller: Poller, platform: str, *, everything: bool = False, workers: int = 1, report: Report | None = None
) -> list[Checked]:
    """Read on in the past of the platform's accounts, unless the platform rests; a refusal of it is written down.

    `report` is told of each account as it is done with.
    """
    if shut_platforms(poller.db).get(platform) is not None or not poller.plan(platform, poller.clock()).spares:
        return []  # live reading goes first; where a budget is short, the forecast's alert says so
    gate = Round(everything=everything)
    filled: list[Checked] = []
    for one in fill(poller, platform, gate, workers=workers):
        filled.append(one)
        if report is not None:
            report(one)
    if gate.refusal is not None:
        _shut(poller, platform, gate.refusal, is_pass=everything)
    return filled


def _used_up(poller: Poller, platform: str) -> Word | None:
    """Return why nothing may be read: the administrator's own limit for the month is reached."""
    plan = poller.plan(platform, poller.clock())
    if not plan.used_up:
        return None
    words = f"{platform}: the month's limit of {plan.used_up} is used up; raise it in [connectors.{platform}]"
    return Word(cause=Cause.RATE_LIMIT, words=words, retry_at=plan.until)


def _rests(shut: Shut, now: datetime, *, everything: bool) -> bool:
    until = shut.retry_at if everything else shut.probe_at
    return until is not None and until > now


def _shut(poller: Poller, platform: str, refusal: Word, *, heard: bool = True, is_pass: bool = False) -> Word:
    """Write the refusal down. Returns what stands now: a rate limit does not outrank a dead credential.

    A credential that is not known for sure to be dead is tried again soon. `heard`: the platform has just said so.
    """
    now, polling = poller.clock(), poller.polling
    is_sure = _is_sure(poller, platform, refusal, heard=heard, is_pass=is_pass)
    is_doubtful = refusal.cause in ONE_ALERT_IN_ALL and not is_sure
    probe_at = max(now + (polling.min_interval if is_doubtful else polling.max_interval), refusal.retry_at or now)
    if refusal.retry_at is not None and refusal.cause is Cause.RATE_LIMIT:
        probe_at = refusal.retry_at
    standing = shut_platform(
        poller.db,
        platform,
        cause=refusal.cause,
        error=refusal.words,
        retry_at=refusal.retry_at,
        probe_at=probe_at,
        now=now,
        is_sure=is_sure,
    )
    log.warning("platform refuses", platform=platform, cause=standing.cause.value, reason=standing.error)
    return Word(cause=standing.cause, words=standing.error, retry_at=standing.retry_at)


def _is_sure(poller: Poller, platform: str, refusal: Word, *, heard: bool, is_pass: bool) -> bool:
    """Say whether people are to be told of a dead credential: one refusal may be a passing fault, like any answer.

    It is sure once the platform says it a second time, or has not taken it back for long, whatever else it says
    meanwhile. After a pass nobody may ask for a long time: there it is sure unless it is taken back at once.
    """
    standing, is_refused = shut_platforms(poller.db).get(platform), refusal.cause in ONE_ALERT_IN_ALL
    if standing is None or standing.cause not in ONE_ALERT_IN_ALL:
        return is_refused and _refuses_again(poller, platform, otherwise=is_pass)
    return (is_refused and heard) or poller.clock() - standing.since >= poller.polling.max_interval


def _refuses_again(poller: Poller, platform: str, *, otherwise: bool) -> bool:
    """Ask about the credential itself. `otherwise`: what holds where the answer is about something else."""
    try:
        poller.connectors[platform].check()
    except ConnectorError as error:
        return otherwise or error.cause in ONE_ALERT_IN_ALL
    return False


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One call of `poll_platform`: how many it has taken so far, and what became of them."""

    poller: Poller
    platform: str
    everything: bool
    workers: int
    report: Report | None
    results: list[Checked] = field(default_factory=list)
    taken: int = 0
    asked: int = 0  # accounts, since that was counted
    calls: int = 0  # made for anything, when that was counted
    counted_at: float = 0.0
    busy: set[int] = field(default_factory=set)  # who is being checked
    left: list[int] | None = None  # of a whole pass: whose turn is still to come

    def round(self, most: int | None = None) -> Round | None:
        """Check what is due, up to `most` accounts. None: no account is due."""
        gate, begin = Round(everything=self.everything), self.taken
        self.busy.clear()
        flow = Flow(
            poller=self.poller,
            platform=self.platform,
            gate=gate,
            workers=self.workers,
            claim=lambda: self._next(most and most - (self.taken - begin)),
            settled=lambda: self._settled(gate),
            idle=self._idle if most is None and not self.everything else lambda: None,
        )
        self.calls, self.counted_at = self._calls(), time.monotonic()
        for checked in flow.run():
            self._keep(checked)
            self.asked += checked.asked
        self._count()
        if gate.deferred:
            places = {checked.account.id: place for place, checked in enumerate(self.results)}
            for looked in read_deferred(self.poller, self.poller.connectors[self.platform], gate):
                self._join(looked, places.get(looked.account.id))
        return gate if self.taken > begin else None

    def _settled(self, gate: Round) -> None:
        """Between checks: count what they have spent, and look at what the new posts say of the older ones."""
        if time.monotonic() - self.counted_at >= COUNTED_SECONDS:
            self._count()
            self.poller.settle(self.platform)
        self._judge_again(gate)

    def _count(self) -> None:
        calls = self._calls()
        self.poller.pacing.read(self.platform, self.asked, calls=calls - self.calls)
        self.asked, self.calls, self.counted_at = 0, calls, time.monotonic()

    def _calls(self) -> int:
        meter = self.poller.meters.get(self.platform)
        return meter.calls if meter is not None else 0

    def _idle(self) -> None:
        self._count()
        self.look_again()
        self.calls = self._calls()  # those were no calls for new posts

    def _judge_again(self, gate: Round) -> None:
        fired: list[Fired] = []
        while gate.fired:  # the workers add to this very list
            fired.append(gate.fired.pop())
        if fired and not gate.unstored:
            try:
                judge_again(self.poller, fired)
            except OperationalError as error:  # what the round has stored stands
                log.warning("no second look", platform=self.platform, reason=explained(error))

    def look_again(self) -> None:
        """Look at the known posts that are due, where one call may hold those of many accounts."""
        connector, gate = self.poller.connectors[self.platform], Round(everything=False)
        if can_read_many(connector):
            for looked in read_due(self.poller, connector, self.platform, gate):
                self._keep(looked)
        if gate.refusal is not None:
            _shut(self.poller, self.platform, gate.refusal)

    def probe(self, shut: Shut) -> Round | None:
        """Let accounts try a platform that refused, one after the other, until an answer decides. None: none is due.

        A time-out proves nothing of a credential, and neither does what a connector says of a handle by itself.
        """
        begin, gate = len(self.results), None
        for _ in range(PROBES):
            tried = self.round(1)
            if tried is None or self.poller.stop.is_set():
                break
            gate = tried
            if gate.refusal or gate.proven or gate.unstored or shut.cause is Cause.RATE_LIMIT:
                return gate
        if gate is not None and not self.poller.stop.is_set():
            disputed = any(one.cause in DISPUTED for one in self.results[begin:])
            self._decide(shut, gate, disputed=disputed)
            return gate
        return None

    def _decide(self, shut: Shut, gate: Round, *, disputed: bool) -> None:
        """No account has decided: ask the platform about the credential itself, or let its refusal stand."""
        if disputed:
            try:
                self.poller.connectors[self.platform].check()
            except ConnectorError as error:
                gate.note(error, met_by=self.platform)
            else:
                gate.proven = True
                return
        if gate.refusal is None:
            gate.refusal = Word(cause=shut.cause, words=shut.error)

    def fail_the_rest(self, refusal: Word) -> None:
        """Write the platform's refusal down for its other due accounts, without a call for any of them."""
        now = self.poller.clock()
        while rest := self._claim(BATCH, now):
            for failed in write_failures(self.poller, rest, refusal, now):
                self._keep(failed)

    def _next(self, most: int | None) -> Sequence[Claimed]:
        """Claim the next accounts to check; none once the platform rests."""
        can_share = hasattr(self.poller.connectors[self.platform], "pull_many")
        limit = most if most is not None else SHARED_BATCH if can_share else BATCH
        if limit <= 0 or (most is None and self._is_shut()):
            return ()
        return self._claim(limit, self.poller.clock())

    def _is_shut(self) -> bool:
        """Say whether the platform has come to rest meanwhile: by another process's word, or by the month's limit."""
        over = _used_up(self.poller, self.platform) is not None
        return over or self.platform in shut_platforms(self.poller.db)

    def _claim(self, limit: int, now: datetime) -> list[Claimed]:
        if not self.everything:
            return self._claimed(limit, now)
        if self.left is None:
            self.left = account_ids(self.poller.db, self.platform)
        while self.left:
            part, self.left = self.left[:limit], self.left[limit:]
            if batch := self._claimed(limit, now, among=part):
                return batch
        return []

    def _claimed(self, limit: int, now: datetime, among: Sequence[int] | None = None) -> list[Claimed]:
        batch = claim_accounts(
            self.poller.db,
            now=now,
            lease=LEASE,
            limit=limit,
            platform=self.platform,
            everything=self.everything,
            among=among,
            exclude=self.busy,  # set back, the clock makes them due at once
        )
        self.taken += len(batch)
        self.busy |= {claimed.account.id for claimed in batch}
        return batch

    def _join(self, looked: Checked, place: int | None) -> None:
        """Add what a second look has brought to what became of the account's check."""
        if place is None:  # another worker has taken it over before its check was written
            self._keep(looked)
            return
        self.results[place].saved.add(looked.saved)
        self.results[place] = replace(self.results[place], failure=self.results[place].failure or looked.failure)

    def _keep(self, checked: Checked) -> None:
        if len(self.results) >= MOST_RESULTS and not self.everything:  # a round of the daemon may go on for days
            del self.results[: MOST_RESULTS // 2]
        self.results.append(checked)
        self.busy.discard(checked.account.id)
        if self.report is not None:
            self.report(checked)
