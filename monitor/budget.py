"""How often each account posts, how to spread calls over the accounts by that, and how long a budget lasts. Pure.

A poll every T finds a post T/2 after its publication, on average. With a given number of calls the mean delay over all
posts is least where each account's interval goes with 1/√rate: who posts four times as often is read twice as often.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import median

DAY = timedelta(days=1)
PRIOR = 1.0  # posts a day: what is believed of an account before it has shown anything
PRIOR_DAYS = 2.0  # how much of its own history outweighs that belief
MEMORY = timedelta(days=14)  # a change of habits is believed by two thirds after it
MEMORY_DAYS = MEMORY / DAY
WINDOW = 2 * MEMORY  # of the history that a first estimate looks at
LATE = timedelta(days=1)  # a post served later than this after its publication tells nothing of the present
RAREST = 0.01  # posts a day: an account is never believed to be dead
EXCITED = 24.0  # posts a day more, just after one: announcements come in clusters (bench_delay.py tries it)
ROUNDS = 60  # of halving: beyond the precision of a float


def moments(times: Iterable[datetime]) -> int:
    """Count minutes in which something was published: a thread, or a feed that dates all it has to now, is one."""
    return len({int(at.timestamp()) // 60 for at in times})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often an account posts, as it is believed: posts a day, and how many days of watching that rests on.

    A Gamma belief in the rate of a Poisson process, of which old evidence fades (Harvey and Fernandes, "Time Series
    Models for Count or Qualitative Observations", 1989): `days` is its scale, which tends to `MEMORY`. So a new account
    is soon judged by what it shows, and one that is known for long is not misled by a day.
    """

    per_day: float
    days: float = MEMORY_DAYS


def first_rate(times: Collection[datetime], now: datetime) -> Rate:
    """Estimate from the history that was read, of whatever length; `PRIOR` weighs as two days of it."""
    past = [min(at, now) for at in times]
    recent = [at for at in past if now - at <= WINDOW]
    span = min(now - min(past), WINDOW) if past else timedelta()
    per_day = (moments(recent) + PRIOR * PRIOR_DAYS) / (span / DAY + PRIOR_DAYS)
    return Rate(per_day=max(RAREST, per_day), days=_faded(PRIOR_DAYS, span))


def _faded(days: float, elapsed: timedelta) -> float:
    """Return the days that a belief rests on after so much more watching."""
    kept = math.exp(-elapsed / MEMORY)
    return days * kept + MEMORY_DAYS * (1 - kept)


def next_rate(previous: Rate, times: Iterable[datetime], *, since: datetime | None, now: datetime) -> Rate:
    """Return what is believed after another read: what is older counts less, and a back catalogue counts nothing.

    `times`: when the posts that are new in this read were published; `since`: the read before. Steps of the clock count
    as no time (backwards) or as `MEMORY` at most.
    """
    begin = min(since or now, now)
    elapsed = min(now - begin, MEMORY)
    news = moments(min(at, now) for at in times if at > begin - LATE)
    days = _faded(previous.days, elapsed)
    before = previous.per_day * previous.days * math.exp(-elapsed / MEMORY)
    return Rate(per_day=max(RAREST, (before + news) / days), days=days)


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


# ---------------------------------------------------------------- what a credential may spend

SLOW_DOWN = 0.85  # of a budget of calls: the rest is for first reads, for walks of several pages, and for others
LEAST_TOLD = 5.0  # percent: below that a share tells too little of the whole
SHORTEST_WINDOW = timedelta(minutes=1)
MOST_COST, LEAST_COST = 50.0, 0.01  # calls for reading an account once; a call may bring many accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a credential may spend of one thing until `resets_at`, as it was told at `seen_at`.

    Of a budget of calls the time between the two is its whole window, whatever is left of it at the moment: who is
    scheduled by a scarcity that the next window ends would wait too long, and a clock that is wrong would stretch it.
    """

    platform: str
    name: str
    limit: float
    remaining: float
    resets_at: datetime
    seen_at: datetime

    @property
    def window(self) -> timedelta:
        """Return how long the limit has to last."""
        return max(self.resets_at - self.seen_at, SHORTEST_WINDOW)

    @property
    def per_second(self) -> float:
        return self.limit / self.window.total_seconds()


def in_calls(grant: Grant, *, calls_last_hour: float) -> Grant | None:
    """Return what a platform tells in percent of an hour as calls, by what our own have used. None: not known yet."""
    used = 100 - grant.remaining
    if used < LEAST_TOLD or calls_last_hour <= 0:
        return None
    limit = calls_last_hour * 100 / used
    return replace(grant, limit=limit, remaining=limit, resets_at=grant.seen_at + timedelta(hours=1))


def reads_per_second(grants: Iterable[Grant], *, calls_per_read: float) -> float | None:
    """Return how many accounts a second the tightest budget of calls lets us read. None: there is no such budget."""
    cost = min(max(calls_per_read, LEAST_COST), MOST_COST)
    rates = [SLOW_DOWN * grant.per_second / cost for grant in grants if is_calls(grant.name)]
    return min(rates, default=None)


def is_calls(name: str) -> bool:
    """Say whether reading an account spends of it. A Mastodon server's own ("calls to …") is kept by the connector."""
    return name == "calls" or name.startswith("units")


# ---------------------------------------------------------------- how long it lasts

ENDS_SOON = timedelta(days=14)  # of a credential: long enough to get another one through an agency's channels
CREDENTIAL = "credential"
ENOUGH_AGAIN = 0.95  # of what would have warned: a forecast does not flutter


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How a budget, or a credential, will last.

    Of a budget of calls `needed` and `limit` are an hour's, and what keeping the promise takes; of a month's they are
    the month's, `spent` is what has gone, and `ends_at` when it will be used up. `accounts` is the register's size.
    """

    platform: str
    name: str
    limit: float = 0.0
    needed: float = 0.0
    spent: float = 0.0
    accounts: int = 0
    ends_at: datetime | None = None
    resets_at: datetime | None = None

    @property
    def share(self) -> float:
        """Return what is needed, as a part of what there is before the warning."""
        return self.needed / max(1e-9, self.limit * (SLOW_DOWN if is_calls(self.name) else 1.0))

    @property
    def key(self) -> str:
        return f"{self.platform}:{self.name}"


def falls_short(forecast: Forecast, now: datetime) -> bool:
    """Say whether somebody must be told: the promise will break unless something is done."""
    if forecast.name == CREDENTIAL:
        return forecast.ends_at is not None and forecast.ends_at - now < ENDS_SOON
    return forecast.share > 1


def fits_again(forecast: Forecast, now: datetime) -> bool:
    """Say whether what fell short suffices again, and not just so."""
    return not falls_short(forecast, now) and (forecast.name == CREDENTIAL or forecast.share <= ENOUGH_AGAIN)


def of_calls(grant: Grant, *, accounts: int, calls_per_read: float, longest: timedelta) -> Forecast:
    """Return what reading every account once each `longest` takes of a budget of calls."""
    hour = timedelta(hours=1)
    return Forecast(
        platform=grant.platform,
        name=grant.name,
        limit=grant.per_second * hour.total_seconds(),
        needed=accounts * min(max(calls_per_read, LEAST_COST), MOST_COST) * (hour / longest),
        accounts=accounts,
    )


def of_month(grant: Grant, *, accounts: int, per_day: float, now: datetime) -> Forecast:
    """Return how a month's budget will last when so much is spent a day."""
    left, days = max(0.0, grant.remaining), max(grant.resets_at - now, timedelta()) / DAY
    ends_at = now + DAY * (left / per_day) if per_day * days > left else None
    return Forecast(
        platform=grant.platform,
        name=grant.name,
        limit=grant.limit,
        needed=grant.limit - left + per_day * days,
        spent=grant.limit - grant.remaining,
        accounts=accounts,
        ends_at=ends_at,
        resets_at=grant.resets_at,
    )


def per_day(days: Iterable[tuple[float, int]], accounts: int) -> float:
    """Return what so many accounts will spend a day, from (spent, accounts) of days gone by.

    By the middle one of the days: the day on which a register came in, with its back catalogues, is no usual one.
    """
    each = [spent / had for spent, had in days if had > 0]
    return median(each) * accounts if each else 0.0


def next_month(now: datetime) -> datetime:
    """Return when a month's budget is given anew: X and the administrators count calendar months, here of UTC."""
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + 32 * DAY).replace(day=1)


def written(forecast: Forecast) -> str:
    """Return a forecast as an alert keeps it."""
    facts = {key: value for key, value in asdict(forecast).items() if value}
    return json.dumps(facts, default=lambda moment: moment.isoformat(), sort_keys=True)


def read(text: str) -> Forecast | None:
    """Return what `written` wrote; None for anything else."""
    try:
        facts = json.loads(text)
        times = {key: datetime.fromisoformat(facts[key]) for key in ("ends_at", "resets_at") if key in facts}
        return Forecast(**(facts | times))
    except (ValueError, TypeError):
        return None


def _hourly(forecast: Forecast) -> str:
    accounts = "one account" if forecast.accounts == 1 else f"{forecast.accounts:,} accounts"
    needed, limit = f"{forecast.needed:,.0f}", f"{forecast.limit:,.0f}"
    if forecast.needed > forecast.limit:
        return f"{needed} an hour are needed to read {accounts} as promised, {limit} are allowed"
    return f"{needed} of {limit} an hour are needed to read {accounts} as promised"


def said(forecast: Forecast) -> str:
    """Return a forecast as a sentence for operators, without the platform."""
    if forecast.name == CREDENTIAL:
        return (
            f"the credential ends on {forecast.ends_at:%Y-%m-%d}" if forecast.ends_at else "the credential has no end"
        )
    if forecast.resets_at is None:
        return f"{forecast.name.removesuffix(' a day')}: {_hourly(forecast)}"
    end = f"at this rate it ends on {forecast.ends_at:%Y-%m-%d}" if forecast.ends_at else "at this rate it suffices"
    return f"{forecast.name}: {forecast.spent:,.0f} of the month's {forecast.limit:,.0f} are spent; {end}"
