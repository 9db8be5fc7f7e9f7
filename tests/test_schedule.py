from datetime import UTC, datetime, timedelta

import pytest

from monitor.schedule import Outcome, next_check, next_interval
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
