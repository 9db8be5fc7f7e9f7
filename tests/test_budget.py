import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import bench_delay
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.budget import (
    CREDENTIAL,
    DAY,
    PRIOR,
    RAREST,
    Forecast,
    Grant,
    Rate,
    falls_short,
    first_rate,
    fits_again,
    in_calls,
    next_month,
    next_rate,
    of_calls,
    of_month,
    per_day,
    read,
    reads_per_second,
    said,
    spread,
    written,
)
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
    assert low <= first_rate(times, NOW).per_day <= high


def read_each(interval, *, per_day, days, begin=PRIOR):
    rate, now, posted = Rate(per_day=begin), NOW, 0.0
    while now < NOW + days * DAY:
        before, now = now, now + interval
        posted += per_day * (interval / DAY)
        new, posted = int(posted), posted % 1
        rate = next_rate(rate, [now - n * MINUTE for n in range(new)], since=before, now=now)
    return rate.per_day


@pytest.mark.parametrize("per_day", [0.5, 4, 40])
@pytest.mark.parametrize("interval", [5 * MINUTE, 3 * HOUR], ids=str)
def test_the_estimate_finds_the_rate_whatever_the_interval(per_day, interval):
    assert read_each(interval, per_day=per_day, days=90) == pytest.approx(per_day, rel=0.15)


def test_an_account_that_falls_silent_is_believed_to_be_within_weeks_but_never_dead():
    assert read_each(HOUR, per_day=0, days=30, begin=20.0) < 20 / 8
    assert read_each(HOUR, per_day=0, days=900) == RAREST


def test_a_back_catalogue_that_appears_changes_nothing():
    old = [NOW - 30 * DAY - n * HOUR for n in range(500)]
    assert next_rate(Rate(per_day=3.0), old, since=NOW - MINUTE, now=NOW).per_day == pytest.approx(3.0, rel=0.001)


def test_a_thread_counts_as_one_moment():
    thread = [NOW - timedelta(seconds=n) for n in range(1, 25)]
    assert next_rate(Rate(per_day=1.0), thread, since=NOW - MINUTE, now=NOW.replace(second=30)).per_day < 1.15


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(NOW + 300 * DAY, id="back by a year"),
        pytest.param(NOW - 3000 * DAY, id="forward by years"),
        pytest.param(None, id="never read"),
    ],
)
def test_a_step_of_the_clock_moves_an_estimate_by_no_more_than_two_weeks_would(since):
    assert 5 / 3 < next_rate(Rate(per_day=5.0), [], since=since, now=NOW).per_day <= 5


@pytest.mark.parametrize("per_day", [0.25, 4, 40])
def test_a_new_account_is_judged_by_what_it_shows_within_a_week(per_day):
    rate, each = first_rate([], NOW), DAY / per_day
    for n in range(7 * 24):
        before, now = NOW + n * HOUR, NOW + (n + 1) * HOUR
        posted = [NOW + k * each for k in range(1, int(7 * per_day) + 1) if before < NOW + k * each <= now]
        rate = next_rate(rate, posted, since=before, now=now)
    assert rate.per_day == pytest.approx(per_day, rel=0.5, abs=0.1)


@given(days=st.floats(0.1, 14), parts=st.lists(st.floats(0.001, 5), min_size=1, max_size=30))
def test_what_an_estimate_rests_on_is_the_time_of_watching_however_often_it_was_read(days, parts):
    rate, now = Rate(per_day=1.0, days=days), NOW
    for part in parts:
        rate, now = next_rate(rate, [], since=now, now=now + part * DAY), now + part * DAY
    total = sum(parts)
    assert rate.days == pytest.approx(14 - (14 - days) * math.exp(-total / 14), rel=1e-6)


@given(known=st.floats(RAREST, 200), days=st.floats(0.1, 14), elapsed=st.floats(0.01, 13), news=st.integers(0, 400))
def test_a_read_moves_an_estimate_towards_what_it_has_shown_and_never_past_it(known, days, elapsed, news):
    now = NOW + elapsed * DAY
    posted = [now - n * elapsed * DAY / (news + 1) for n in range(1, news + 1)]
    shown = len({int(at.timestamp()) // 60 for at in posted}) / elapsed
    rate = next_rate(Rate(per_day=known, days=days), posted, since=NOW, now=now)
    low, high = sorted((known, shown))
    # What was shown counts in full, as if all of it were of this moment: at most so much too high.
    assert max(RAREST, low) * (1 - 1e-9) <= rate.per_day <= high * math.exp(elapsed / 14) + 1e-9


@given(days=st.floats(0.1, 13), elapsed=st.floats(0.01, 13))
def test_the_longer_an_account_is_known_the_less_a_silence_is_believed(days, elapsed):
    new, known = (
        next_rate(Rate(per_day=5.0, days=one), [], since=NOW, now=NOW + elapsed * DAY).per_day for one in (days, 14.0)
    )
    assert new < known < 5.0


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


# ---------------------------------------------------------------- what platforms allow


def grant(name="calls", *, limit=1000.0, remaining=1000.0, window=timedelta(minutes=15), at=NOW, platform="x"):
    resets_at = at + window
    return Grant(platform=platform, name=name, limit=limit, remaining=remaining, resets_at=resets_at, seen_at=at)


def test_a_budget_of_calls_is_spent_evenly_over_its_window_less_a_reserve():
    assert reads_per_second([grant(limit=900)], calls_per_read=1.0) == pytest.approx(0.85)
    assert reads_per_second([grant(limit=900)], calls_per_read=0.02) == pytest.approx(0.85 * 50)
    assert reads_per_second([grant(), grant("units a day", limit=864, window=DAY)], calls_per_read=1) < 0.01


@pytest.mark.parametrize("name", ["posts", "look-ups of posts", "calls to mastodon.social"])
def test_what_is_not_spent_by_reading_accounts_sets_no_pace(name):
    assert reads_per_second([grant(name)], calls_per_read=1.0) is None


@pytest.mark.parametrize(
    ("used", "calls", "limit"),
    [
        pytest.param(50, 400, 800, id="half of it by 400 calls"),
        pytest.param(2, 400, None, id="two percent tell too little"),
        pytest.param(50, 0, None, id="another program's calls tell nothing of ours"),
        pytest.param(120, 600, 500, id="beyond the limit"),
    ],
)
def test_percentages_become_calls_an_hour(used, calls, limit):
    found = in_calls(grant(limit=100, remaining=100 - used), calls_last_hour=calls)
    assert (found.limit if found else None) == limit
    assert found is None or found.window == HOUR


# ---------------------------------------------------------------- how long it lasts


def month(*, remaining, per_day, limit=100_000.0, accounts=10, now=NOW):
    budget = replace(grant("posts", limit=limit, remaining=remaining), resets_at=next_month(now))
    return of_month(budget, accounts=accounts, per_day=per_day, now=now)


def test_at_this_rate_the_budget_ends_on_the_28th():
    forecast = month(remaining=20_000, per_day=5_000)
    assert forecast.ends_at == NOW + 4 * DAY
    assert falls_short(forecast, NOW)
    assert said(forecast) == "posts: 80,000 of the month's 100,000 are spent; at this rate it ends on 2026-11-28"


def test_a_budget_that_lasts_to_the_end_of_the_month_is_no_cause_to_warn():
    forecast = month(remaining=50_000, per_day=5_000)
    assert forecast.ends_at is None
    assert not falls_short(forecast, NOW)
    assert said(forecast).endswith("at this rate it suffices")


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        (NOW, datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_the_next_month_begins_on_its_first(now, begin):
    assert next_month(now) == begin


def test_the_day_a_register_came_in_is_no_measure_and_a_grown_register_spends_more():
    days = [(90_000.0, 10), (400.0, 10), (500.0, 10), (600.0, 10), (450.0, 10)]
    assert per_day(days, 10) == 500
    assert per_day(days, 40) == 2000
    assert per_day([], 40) == per_day([(5.0, 0)], 40) == 0


@pytest.mark.parametrize(
    ("accounts", "short"),
    [pytest.param(800, False, id="80 of 100"), pytest.param(860, True, id="86 of 100: the reserve is needed")],
)
def test_calls_that_the_promise_takes_are_told_before_they_are_used_up(accounts, short):
    forecast = of_calls(grant(limit=1000), accounts=accounts, calls_per_read=1.0, longest=15 * MINUTE)
    assert falls_short(forecast, NOW) == short
    assert said(forecast).startswith(f"calls: {accounts * 4:,} of 4,000 an hour are needed to read {accounts}")


@pytest.mark.parametrize(
    ("accounts", "sentence"),
    [
        (1, "units: 4 of 8 an hour are needed to read one account as promised"),
        (3, "units: 12 an hour are needed to read 3 accounts as promised, 8 are allowed"),
    ],
)
def test_a_day_s_units_are_told_by_the_hour_as_people_say_it(accounts, sentence):
    allowed = grant("units a day", limit=192, window=DAY)
    assert said(of_calls(allowed, accounts=accounts, calls_per_read=1.0, longest=15 * MINUTE)) == sentence


def test_what_fell_short_must_fit_with_room_before_it_is_good_again():
    def of(accounts):
        return of_calls(grant(limit=1000), accounts=accounts, calls_per_read=1.0, longest=15 * MINUTE)

    assert [fits_again(of(n), NOW) for n in (860, 840, 800)] == [False, False, True]


@pytest.mark.parametrize(("days", "short"), [(-3, True), (13, True), (15, False)])
def test_a_credential_that_ends_within_two_weeks_is_told(days, short):
    assert falls_short(Forecast(platform="facebook", name=CREDENTIAL, ends_at=NOW + days * DAY), NOW) == short


@given(
    st.builds(
        Forecast,
        platform=st.sampled_from(["x", "facebook"]),
        name=st.sampled_from(["calls", "posts", CREDENTIAL]),
        limit=st.floats(0, 1e9),
        needed=st.floats(0, 1e9),
        ends_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        resets_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
)
def test_a_forecast_is_read_as_it_was_written(forecast):
    assert read(written(forecast)) == forecast
    assert said(forecast)


@pytest.mark.parametrize("text", ["", "x: 401", "[]", "{}", '{"platform": "x", "name": "y", "strange": 1}'])
def test_what_is_no_forecast_is_read_as_none(text):
    assert read(text) is None
