"""From publication to storage: the schedule's own code against uniform polling with as many calls, on a simulated clock.

Posting rates are heavy-tailed (Pareto: a few accounts post most of it), posts come by a Poisson process, or in clusters
as announcements do. Nothing is known of the accounts at the beginning; the first `WARM_UP` teaches the rates and is not
counted, of neither way. The budget is a number of calls; that many are counted, and uniform polling gets just as many.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist, fmean

from monitor.budget import DAY, PRIOR, Pace, Rate, first_rate, next_rate, spread
from monitor.schedule import Outcome, next_check, next_interval, punctual
from monitor.settings import Polling

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
WARM_UP = timedelta(days=7)
PACE_EVERY = timedelta(hours=1)  # the daemon sets it each minute; rates change by days
WANTED = 0.6
PARETO = 1.0  # Zipf: each tenfold of rates publishes as much
CLUSTER = 3.0  # posts of an announcement, on average
CLUSTER_GAP = timedelta(minutes=15)

LOWEST, MOST = 0.1, 100.0  # posts a day
ACCOUNTS, DAYS = 500, 4
SEEDS = (7, 8, 9)

Rates = Callable[[float], float]  # from a quantile, 0 to 1, to posts a day


def pareto(part: float) -> float:
    return LOWEST * (1 - part) ** (-1 / PARETO)


def lognormal(part: float) -> float:
    return math.exp(1.5 * NormalDist().inv_cdf(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """When each account publishes, in order; `since` is when counting begins."""

    posts: Sequence[Sequence[datetime]]
    since: datetime
    end: datetime


def fleet(accounts: int, days: int, *, clustered: bool, seed: int, rates: Rates = pareto) -> Fleet:
    dice, end = random.Random(seed), BEGIN + WARM_UP + days * DAY
    each = [min(MOST, rates((number + 0.5) / accounts)) for number in range(accounts)]
    posts = [_published(rate, end, dice, clustered=clustered) for rate in each]
    return Fleet(posts=posts, since=BEGIN + WARM_UP, end=end)


def _published(per_day: float, end: datetime, dice: random.Random, *, clustered: bool) -> list[datetime]:
    found: list[datetime] = []
    at, size = BEGIN, CLUSTER if clustered else 1.0
    while (at := at + DAY * dice.expovariate(per_day / size)) < end:
        each = at
        found.append(each)
        while dice.random() > 1 / size:
            each += CLUSTER_GAP * dice.expovariate(1.0)
            found.append(each)
    return sorted(one for one in found if one < end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Mean delay, calls that were counted, the longest wait between two reads, posts that were counted."""

    delay: timedelta
    calls: int
    longest: timedelta
    posts: int


def adaptive(posted: Fleet, polling: Polling, *, per_second: float, tight: bool) -> Measured:
    """Poll the fleet as the daemon does, with so many calls a second."""
    count = len(posted.posts)
    rates: list[Rate | None] = [None] * count
    intervals, reads = [timedelta()] * count, [BEGIN] * count
    due = [(BEGIN + number * polling.max_interval / count, number) for number in range(count)]
    heapq.heapify(due)
    delay, longest, calls, seen = timedelta(), timedelta(), 0, 0
    pace, pace_at = _pace(rates, polling, per_second, tight=tight), BEGIN
    while due[0][0] < posted.end:
        now, number = heapq.heappop(due)
        if now - pace_at >= PACE_EVERY:
            pace, pace_at = _pace(rates, polling, per_second, tight=tight), now
        posts, before = posted.posts[number], reads[number]
        new = posts[bisect_right(posts, before) : bisect_right(posts, now)]
        known = rates[number]
        rate = first_rate(new, now) if known is None else next_rate(known, new, since=before, now=now)
        interval = next_interval(intervals[number], Outcome(new_posts=len(new)), polling, pace, rate.per_day)
        if before >= posted.since:
            calls += 1
            longest = max(longest, now - before)
        counted = [at for at in new if at >= posted.since]
        delay, seen = delay + sum((now - at for at in counted), timedelta()), seen + len(counted)
        rates[number], intervals[number], reads[number] = rate, interval, now
        heapq.heappush(due, (next_check(interval, Outcome(), now), number))
    return Measured(delay=delay / max(1, seen), calls=calls, longest=longest, posts=seen)


def _pace(rates: Sequence[Rate | None], polling: Polling, per_second: float, *, tight: bool) -> Pace:
    return spread(
        [rate.per_day if rate else PRIOR for rate in rates],
        per_second=per_second,
        shortest=polling.min_interval,
        longest=punctual(polling),
        tight=tight,
    )


def uniform(posted: Fleet, *, calls: int, seed: int = 0) -> Measured:
    """Poll every account at one interval, with so many calls in all; each begins somewhere of its own."""
    dice = random.Random(seed)
    interval = len(posted.posts) * (posted.end - posted.since) / calls
    delay, seen = timedelta(), 0
    for posts in posted.posts:
        begin = posted.since + interval * dice.random()
        counted = [at for at in posts if at >= posted.since]
        delay, seen = delay + sum(((begin - at) % interval for at in counted), timedelta()), seen + len(counted)
    return Measured(delay=delay / max(1, seen), calls=calls, longest=interval, posts=seen)


def bound(posted: Fleet, polling: Polling, *, per_second: float) -> float:
    """Return the ratio for a Poisson process of which each rate is known beforehand: no schedule within the promise does better.

    Intervals go by 1/√rate between the shortest one and the promise; a post waits for half of its account's.
    """
    days = (posted.end - BEGIN) / DAY
    rates = [len(posts) / days for posts in posted.posts]
    pace = spread(rates, per_second=per_second, shortest=polling.min_interval, longest=punctual(polling), tight=True)
    waits = sum(rate * pace.interval(rate).total_seconds() for rate in rates) / sum(rates)
    return waits * per_second / len(rates)


def main() -> None:
    """Print the ratio for each kind of fleet; the wanted figure is that of the heavy tail, Poisson and clustered."""
    polling = Polling()
    per_second = ACCOUNTS / polling.typical.total_seconds()
    for name, rates in (("Pareto", pareto), ("lognormal", lognormal)):
        for clustered in (False, True):
            fleets = [fleet(ACCOUNTS, DAYS, clustered=clustered, seed=seed, rates=rates) for seed in SEEDS]
            ours = [adaptive(one, polling, per_second=per_second, tight=True) for one in fleets]
            theirs = [uniform(one, calls=each.calls) for one, each in zip(fleets, ours, strict=True)]
            ratios = [each.delay / other.delay for each, other in zip(ours, theirs, strict=True)]
            used = fmean(each.calls for each in ours) / (per_second * (fleets[0].end - fleets[0].since).total_seconds())
            best = fmean(bound(one, polling, per_second=per_second) for one in fleets)
            print(
                f"{'delay':<12} {name}, {'clustered' if clustered else 'Poisson'}: {ACCOUNTS} accounts,"
                f" {sum(each.posts for each in ours)} posts after {fmean(each.delay.total_seconds() for each in ours):.0f} s,"
                f" by uniform polling {fmean(each.delay.total_seconds() for each in theirs):.0f} s; {used:.2f} of the budget;"
                f" longest wait {max(each.longest for each in ours).total_seconds() / 60:.1f} min;"
                f" ratio {fmean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} by seed), wanted {WANTED};"
                f" {best:.2f} is the best for known rates of a Poisson process within the promise"
            )


if __name__ == "__main__":
    main()
