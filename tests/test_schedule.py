from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.budget import PRIOR, RAREST, spread
from monitor.schedule import Outcome, next_check, next_interval, punctual, usual_pace
from monitor.settings import Polling

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLLING = Polling(min_interval=MINUTE, max_interval=15 * MINUTE)


@pytest.mark.parametrize(
    ("previous", "outcome", "minutes"),
    [
        pytest.param(0, Outcome(), 1, id="the second look comes after the shortest interval"),
        pytest.param(8, Outcome(new_posts=2), 1, id="news brings the next look forward"),
        pytest.param(2, Outcome(), 4, id="silence doubles the interval"),
        pytest.param(4, Outcome(), 7.5, id="up to the account's own, which is the typical one where nothing is known"),
        pytest.param(8, Outcome(failures=1), 13.5, id="failures double it up to the promise"),
        pytest.param(15, Outcome(failures=9), 13.5, id="nine failures are no reason to look less often than promised"),
    ],
)
def test_interval(previous, outcome, minutes):
    assert next_interval(previous * MINUTE, outcome, POLLING) == minutes * MINUTE


def test_a_busy_account_is_read_more_often_than_a_silent_one_and_that_one_in_time_for_the_promise():
    pace = usual_pace([16.0, PRIOR, PRIOR, RAREST], POLLING)
    busy, usual, silent = (
        next_interval(POLLING.max_interval, Outcome(), POLLING, pace, rate) for rate in (16.0, PRIOR, RAREST)
    )
    assert POLLING.min_interval < busy < usual < silent == punctual(POLLING) < POLLING.max_interval
    assert usual / busy == pytest.approx(4)


def test_under_a_budget_a_new_post_brings_the_next_look_forward_by_what_the_budget_bears():
    pace = spread([PRIOR] * 10, per_second=10 / 600, shortest=MINUTE, longest=punctual(POLLING), tight=True)
    soon = next_interval(10 * MINUTE, Outcome(new_posts=1), POLLING, pace, PRIOR)
    assert MINUTE < soon <= 2 * MINUTE
    assert next_interval(soon, Outcome(), POLLING, pace, PRIOR) == 2 * soon


def test_where_the_calls_do_not_suffice_for_the_promise_all_wait_equally_longer():
    pace = spread([50.0, PRIOR, RAREST], per_second=3 / 3600, shortest=MINUTE, longest=punctual(POLLING), tight=True)
    waits = {next_interval(timedelta(days=1), Outcome(), POLLING, pace, rate) for rate in (50.0, PRIOR, RAREST)}
    assert waits == {timedelta(hours=1)}


@pytest.mark.parametrize("seconds", [1, 60], ids=["the demo", "one interval for all"])
def test_a_shortest_interval_that_is_the_longest_is_everybody_s(seconds):
    both = timedelta(seconds=seconds)
    polling = Polling(min_interval=both, max_interval=both)
    assert next_interval(both, Outcome(), polling, usual_pace([100.0, RAREST], polling), RAREST) == both


def test_the_platform_s_own_word_outranks_the_promise():
    at = NOW + timedelta(hours=3)
    assert next_check(MINUTE, Outcome(failures=1, retry_at=at), NOW) == at


def test_whoever_met_a_used_up_budget_comes_before_those_who_were_read_with_it():
    limited = Outcome(failures=3, limited=True, retry_at=NOW + 5 * MINUTE)
    interval = next_interval(13.5 * MINUTE, limited, POLLING)
    assert interval == 13.5 * MINUTE
    assert next_check(interval, limited, NOW) == NOW + 5 * MINUTE
    assert next_check(interval, replace(limited, retry_at=NOW - MINUTE), NOW) == NOW + interval
    assert next_check(interval, replace(limited, retry_at=None), NOW) == NOW + interval


def test_a_retry_time_in_the_past_makes_nothing_due_early():
    outcome = Outcome(failures=1, retry_at=NOW - timedelta(days=1))
    assert next_check(2 * MINUTE, outcome, NOW) == NOW + 2 * MINUTE
