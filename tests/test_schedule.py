from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.schedule import Outcome, next_check, next_interval, next_reread, reread_soonest
from monitor.settings import Polling

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLLING = Polling(min_interval=MINUTE, max_interval=15 * MINUTE)


@pytest.mark.parametrize(
    ("previous", "outcome", "minutes"),
    [
        pytest.param(0, Outcome(), 1, id="the second look comes after the shortest interval"),
        pytest.param(8, Outcome(new_posts=2), 1, id="news brings the next look forward"),
        pytest.param(4, Outcome(), 8, id="silence doubles the interval"),
        pytest.param(8, Outcome(), 15, id="the promise caps it"),
        pytest.param(15, Outcome(failures=9), 15, id="nine failures are no reason to look less often than promised"),
    ],
)
def test_interval(previous, outcome, minutes):
    assert next_interval(previous * MINUTE, outcome, POLLING) == minutes * MINUTE


def test_at_the_longest_interval_an_account_is_due_in_time_to_be_read_within_it():
    due = next_check(8 * MINUTE, Outcome(), NOW, POLLING)
    assert NOW + 13 * MINUTE < due < NOW + 14 * MINUTE


def test_the_platform_s_own_word_outranks_the_promise():
    at = NOW + timedelta(hours=3)
    assert next_check(MINUTE, Outcome(failures=1, retry_at=at), NOW, POLLING) == at


def test_a_retry_time_in_the_past_makes_nothing_due_early():
    outcome = Outcome(failures=1, retry_at=NOW - timedelta(days=1))
    assert next_check(MINUTE, outcome, NOW, POLLING) == NOW + 2 * MINUTE


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        pytest.param(timedelta(0), timedelta(minutes=10), id="a fresh post is looked at again in ten minutes"),
        pytest.param(timedelta(days=1), timedelta(days=1), id="a day-old post tomorrow"),
        pytest.param(timedelta(days=-400), timedelta(minutes=10), id="a post from the future like a fresh one"),
        pytest.param(timedelta(days=7), None, id="a post older than the window never again"),
    ],
)
def test_reread(age, wait):
    due = next_reread(NOW - age, NOW, timedelta(days=7))
    assert due == (NOW + wait if wait else None)


@pytest.mark.parametrize(
    ("min_interval", "soonest"),
    [
        pytest.param(MINUTE, timedelta(minutes=10), id="the default leaves a fresh post alone for ten minutes"),
        pytest.param(timedelta(hours=1), timedelta(minutes=10), id="never longer"),
        pytest.param(timedelta(seconds=2), timedelta(seconds=30), id="the demo looks again after half a minute"),
    ],
)
def test_a_fresh_post_is_left_alone_for_some_polls_and_ten_minutes_at_most(min_interval, soonest):
    assert reread_soonest(replace(POLLING, min_interval=min_interval)) == soonest
    assert next_reread(NOW, NOW, timedelta(days=7), soonest=soonest) == NOW + soonest
