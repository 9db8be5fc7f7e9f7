"""What was looked up is remembered for a while, and so is that there was nothing; a belief about a server passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors import remembered
from connectors.remembered import Belief, Remembered

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_answers_and_their_lack_are_known_until_they_are_too_old():
    kept: Remembered[int] = Remembered(HOUR)
    kept.keep(["a", "b"], {"a": 1}, NOW)
    assert kept.known(["a", "b", "c"], NOW + HOUR / 2) == {"a": 1, "b": None}
    assert kept.known(["a", "b", "c"], NOW + HOUR) == {}
    assert kept.known(["a"], NOW - HOUR) == {}  # the clock was set back: asked again rather than trusted for long


def test_the_longest_kept_go_first(monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 2)
    kept: Remembered[int] = Remembered(HOUR)
    for number, key in enumerate(["a", "b", "a", "c"]):
        kept.keep([key], {key: number}, NOW)
    assert kept.known(["a", "b", "c"], NOW) == {"a": 2, "c": 3}


def test_a_belief_about_a_server_passes():
    """A passing fault may have caused it."""
    singly = Belief()
    assert not singly.holds(NOW)
    singly.take(NOW)
    assert singly.holds(NOW + HOUR / 2)
    assert not singly.holds(NOW + HOUR)
    assert not singly.holds(NOW - 2 * HOUR)  # the clock was set back
