from datetime import UTC, datetime, timedelta

import pytest

from monitor.rechecks import Rechecks, rechecks_of
from monitor.settings import Polling

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
USUAL = rechecks_of(Polling())


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        pytest.param(timedelta(), 10 * MINUTE, id="a fresh post is looked at again in ten minutes"),
        pytest.param(10 * MINUTE, 20 * MINUTE, id="then after twenty more"),
        pytest.param(9 * HOUR, 8 * HOUR, id="in the course of its first day a few times"),
        pytest.param(2 * DAY, 2 * DAY, id="a post of two days after two days"),
        pytest.param(-400 * DAY, 10 * MINUTE, id="a post from the future like a fresh one"),
        pytest.param(6 * DAY, None, id="a look that would come after the window never comes"),
        pytest.param(7 * DAY, None, id="a post older than the window never again"),
    ],
)
def test_the_looks_grow_rarer_with_age(age, wait):
    assert USUAL.after(NOW - age, NOW) == (NOW + wait if wait else None)


def test_the_last_wait_repeats_until_the_window_ends():
    hourly = Rechecks(window=DAY, waits=(MINUTE, HOUR))
    looks, at = [], NOW
    while (at := hourly.after(NOW, at)) is not None:
        looks.append(at)
    assert looks[:3] == [NOW + MINUTE, NOW + MINUTE + HOUR, NOW + MINUTE + 2 * HOUR]
    assert len(looks) == 24


def test_a_post_costs_few_looks_in_all():
    """X bills each of them."""
    looks, at = 0, NOW
    while (at := USUAL.after(NOW, at)) is not None:
        looks += 1
    assert looks == 8
