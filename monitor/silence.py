"""Accounts that have fallen silent against their own history. Pure.

A platform may answer "nothing new" for weeks, politely and wrongly. An account that used to post on most days and shows
nothing for many is named; one that posts twice a year is not, nor one on an ordinary holiday.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from itertools import pairwise

from monitor.model import MALAYSIA
from monitor.reports import Silent

HISTORY = timedelta(days=90)  # of posts before the silence that are looked at
UNLIKELY = 1e-4  # that so long a silence is chance
LEAST_SILENCE = 4  # whole days: a long weekend is none
LEAST_HISTORY = 14  # days, of which so many with posts:
LEAST_ACTIVE = 6
LONGER = 1.5  # times the longest silence that the history knows


def fallen_silent(posted: Collection[datetime], now: datetime) -> Silent | None:
    """Return the silence of an account that published at these times; None when it is usual, or too little is known.

    Counted in days of Malaysian time, so that a burst of posts is one sign of life and a weekend is part of the habit.
    """
    times = [at for at in posted if at <= now]
    if not times:
        return None
    last = max(times)
    days = sorted({_day(at) for at in times if last - at <= HISTORY})
    length, silent = (days[-1] - days[0]).days + 1, (_day(now) - days[-1]).days - 1
    if silent < LEAST_SILENCE or length < LEAST_HISTORY or len(days) < LEAST_ACTIVE:
        return None
    chance = (1 - min(len(days) / length, 0.99)) ** silent
    longest = max((later - earlier).days - 1 for earlier, later in pairwise(days))
    if chance >= UNLIKELY or silent <= LONGER * longest:
        return None
    return Silent(since=last, days=silent, active=len(days), of=length)


def _day(at: datetime) -> date:
    return at.astimezone(MALAYSIA).date()
