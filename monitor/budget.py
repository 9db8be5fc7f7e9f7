"""How often each account posts, and how to spread calls over the accounts by that. Pure.

A poll every T finds a post T/2 after its publication, on average. With a given number of calls the mean delay over all
posts is least where each account's interval goes with 1/√rate: who posts four times as often is read twice as often.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

DAY = timedelta(days=1)
PRIOR = 1.0  # posts a day: what is believed of an account before it has shown anything
PRIOR_DAYS = 2.0  # how much of its own history outweighs that belief
MEMORY = timedelta(days=14)  # a change of habits is believed by two thirds after it
WINDOW = 2 * MEMORY  # of the history that a first estimate looks at
LATE = timedelta(days=1)  # a post served later than this after its publication tells nothing of the present
RAREST = 0.01  # posts a day: an account is never believed to be dead
EXCITED = 24.0  # posts a day more, just after one: announcements come in clusters (bench_delay.py tries it)
ROUNDS = 60  # of halving: beyond the precision of a float


def moments(times: Iterable[datetime]) -> int:
    """Count minutes in which something was published: a thread, or a feed that dates all it has to now, is one."""
    return len({int(at.timestamp()) // 60 for at in times})


def first_rate(times: Collection[datetime], now: datetime) -> float:
    """Estimate posts a day from the history that was read, of whatever length; `PRIOR` weighs as two days of it."""
    past = [min(at, now) for at in times]
    recent = [at for at in past if now - at <= WINDOW]
    span = min(now - min(past), WINDOW) if past else timedelta()
    return max(RAREST, (moments(recent) + PRIOR * PRIOR_DAYS) / (span / DAY + PRIOR_DAYS))


def next_rate(previous: float, times: Iterable[datetime], *, since: datetime | None, now: datetime) -> float:
    """Return posts a day after another read: what is older counts less, and a back catalogue counts nothing.

    `times`: when the posts that are new in this read were published; `since`: the read before. Steps of the clock count
    as no time (backwards) or as `MEMORY` at most.
    """
    begin = min(since or now, now)
    elapsed = min(now - begin, MEMORY)
    news = moments(min(at, now) for at in times if at > begin - LATE)
    return max(RAREST, previous * math.exp(-elapsed / MEMORY) + news / (MEMORY / DAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the accounts of a platform are read. `scale`: the interval of one that posts once a day, in seconds.

    `tight`: a budget of calls sets it, so that a new post may not bring the next look to the shortest interval.
    `longest` is beyond the promise where the calls do not suffice for it.
    """

    scale: float
    shortest: timedelta
    longest: timedelta
    tight: bool = False

    def interval(self, rate: float) -> timedelta:
        wanted = self.scale / math.sqrt(max(rate, RAREST))
        return timedelta(seconds=min(max(wanted, self.shortest.total_seconds()), self.longest.total_seconds()))

    def after_news(self, rate: float) -> timedelta:
        return self.interval(rate + EXCITED) if self.tight else self.shortest


def spread(
    rates: Sequence[float], *, per_second: float, shortest: timedelta, longest: timedelta, tight: bool = False
) -> Pace:
    """Spread so many reads a second over accounts with these posting rates.

    Intervals go with 1/√rate; what `shortest` and `longest` save or cost is shared out among the others. Where the
    reads do not even suffice for `longest`, everybody gets the same longer interval: nobody starves.
    """
    least, most = len(rates) / longest.total_seconds(), len(rates) / shortest.total_seconds()
    if per_second <= least:
        even = timedelta(seconds=len(rates) / per_second) if rates and per_second > 0 else longest
        return Pace(scale=math.inf, shortest=min(shortest, even), longest=max(even, longest), tight=tight)
    if per_second >= most:
        return Pace(scale=0.0, shortest=shortest, longest=longest, tight=tight)
    return Pace(scale=_scale(rates, per_second, shortest, longest), shortest=shortest, longest=longest, tight=tight)


def _scale(rates: Sequence[float], per_second: float, shortest: timedelta, longest: timedelta) -> float:
    """Find the scale at which the clamped intervals use just these reads: they fall as it grows."""
    short, long = shortest.total_seconds(), longest.total_seconds()
    weights = sorted(math.sqrt(max(rate, RAREST)) for rate in rates)
    sums = [0.0, *accumulate(weights)]

    def reads(scale: float) -> float:
        capped, fast = bisect_left(weights, scale / long), bisect_left(weights, scale / short)
        return capped / long + (sums[fast] - sums[capped]) / scale + (len(weights) - fast) / short

    low, high = weights[0] * short, weights[-1] * long
    for _ in range(ROUNDS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if reads(middle) > per_second else (low, middle)
    return high
