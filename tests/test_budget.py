from datetime import UTC, datetime, timedelta

import bench_delay
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.budget import DAY, PRIOR, RAREST, first_rate, next_rate, spread
from monitor.schedule import punctual
from monitor.settings import Polling

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def daily(number, *, every=DAY, begin=timedelta()):
    return [NOW - begin - n * every for n in range(number)]


# ---------------------------------------------------------------- how often an account posts


@pytest.mark.parametrize(
    ("times", "low", "high"),
    [
        pytest.param([], 1, 1, id="of an account that has shown nothing the usual is believed"),
        pytest.param(daily(28), 0.9, 1.1, id="a post a day for a month"),
        pytest.param(daily(280, every=DAY / 10), 9, 10, id="ten a day"),
        pytest.param(daily(20, every=DAY / 10), 5, 6, id="ten a day, seen for two days: half of it is believed"),
        pytest.param(daily(500, every=timedelta(0)), 1, 2, id="a feed that dates five hundred entries to now"),
        pytest.param(daily(3, every=DAY, begin=400 * DAY), 0.05, 0.1, id="silent for a year"),
        pytest.param([NOW + 30 * DAY], 1, 2, id="an event announced with a date of the future"),
    ],
)
def test_a_first_estimate(times, low, high):
    assert low <= first_rate(times, NOW) <= high


def read_each(interval, *, per_day, days, begin=PRIOR):
    rate, now, posted = begin, NOW, 0.0
    while now < NOW + days * DAY:
        before, now = now, now + interval
        posted += per_day * (interval / DAY)
        new, posted = int(posted), posted % 1
        rate = next_rate(rate, [now - n * MINUTE for n in range(new)], since=before, now=now)
    return rate


@pytest.mark.parametrize("per_day", [0.5, 4, 40])
@pytest.mark.parametrize("interval", [5 * MINUTE, 3 * HOUR], ids=str)
def test_the_estimate_finds_the_rate_whatever_the_interval(per_day, interval):
    assert read_each(interval, per_day=per_day, days=90) == pytest.approx(per_day, rel=0.15)


def test_an_account_that_falls_silent_is_believed_to_be_within_weeks_but_never_dead():
    assert read_each(HOUR, per_day=0, days=30, begin=20.0) < 20 / 8
    assert read_each(HOUR, per_day=0, days=900) == RAREST


def test_a_back_catalogue_that_appears_changes_nothing():
    old = [NOW - 30 * DAY - n * HOUR for n in range(500)]
    assert next_rate(3.0, old, since=NOW - MINUTE, now=NOW) == pytest.approx(3.0, rel=0.001)


def test_a_thread_counts_as_one_moment():
    thread = [NOW - timedelta(seconds=n) for n in range(1, 25)]
    assert next_rate(1.0, thread, since=NOW - MINUTE, now=NOW.replace(second=30)) < 1.15


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(NOW + 300 * DAY, id="back by a year"),
        pytest.param(NOW - 3000 * DAY, id="forward by years"),
        pytest.param(None, id="never read"),
    ],
)
def test_a_step_of_the_clock_moves_an_estimate_by_no_more_than_two_weeks_would(since):
    assert 5 / 3 < next_rate(5.0, [], since=since, now=NOW) <= 5


# ---------------------------------------------------------------- spreading calls

fleets = st.lists(st.floats(RAREST, 500), min_size=1, max_size=60)


@given(rates=fleets, per_second=st.floats(1e-5, 10))
def test_the_calls_of_a_spread_are_those_that_were_given_as_far_as_the_bounds_let_them(rates, per_second):
    pace = spread(rates, per_second=per_second, shortest=MINUTE, longest=15 * MINUTE)
    used = sum(1 / pace.interval(rate).total_seconds() for rate in rates)
    given_ = min(per_second, len(rates) / 60)
    assert used == pytest.approx(given_, rel=0.01)


@given(rates=fleets, per_second=st.floats(1e-5, 10))
def test_whoever_posts_more_is_never_read_less_often_and_nobody_starves(rates, per_second):
    pace = spread(rates, per_second=per_second, shortest=MINUTE, longest=15 * MINUTE)
    waits = [pace.interval(rate) for rate in sorted(rates)]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] <= max(15 * MINUTE, len(rates) * timedelta(seconds=1 / per_second) * 1.001)


def test_no_account_at_all_is_no_trouble():
    assert spread([], per_second=0.0, shortest=MINUTE, longest=HOUR).interval(1.0) == HOUR


# ---------------------------------------------------------------- does it help?


@pytest.mark.parametrize("clustered", [False, True], ids=["Poisson", "clustered"])
def test_posts_are_found_sooner_than_by_uniform_polling_with_as_many_calls(clustered):
    polling = Polling(min_interval=5 * MINUTE, max_interval=2 * HOUR)
    fleet = bench_delay.fleet(60, 7, clustered=clustered, seed=3)
    budget = 60 / HOUR.total_seconds()
    ours = bench_delay.adaptive(fleet, polling, per_second=budget, tight=True)
    theirs = bench_delay.uniform(fleet, calls=ours.calls)
    assert ours.calls <= 1.05 * budget * (fleet.end - fleet.since).total_seconds()
    assert ours.longest <= punctual(polling) < polling.max_interval
    assert ours.delay < 0.8 * theirs.delay
