from datetime import UTC, datetime, timedelta

import pytest
from builders import first_hole
from hypothesis import given
from hypothesis import strategies as st

from monitor import coverage
from monitor.coverage import Hole
from monitor.model import Cause, CoverageKind, Interval, Verdict

T0 = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEAST = coverage.LEAST / HOUR


def read(start, end):
    return Interval(kind=CoverageKind.READ, start=T0 + start * HOUR, end=T0 + end * HOUR)


def gap(start, end, cause=Cause.UNAVAILABLE):
    return Interval(kind=CoverageKind.GAP, start=T0 + start * HOUR, end=T0 + end * HOUR, cause=cause)


def unreachable(start, end, cause=Cause.NOT_FOUND):
    return Interval(kind=CoverageKind.UNREACHABLE, start=T0 + start * HOUR, end=T0 + end * HOUR, cause=cause)


def after_read(tail, now, hole=None):
    return coverage.after_read(tail, begin=T0, now=T0 + now * HOUR, hole=hole)


def test_first_read_covers_the_time_since_registration():
    assert after_read((), 2) == (read(0, 2),)


def test_a_read_after_failures_closes_their_gap():
    assert after_read((read(0, 1), gap(1, 2), unreachable(2, 3)), 4) == (read(0, 4),)


def test_what_the_platform_no_longer_gives_back_stays_a_named_gap():
    hole = Hole(start=T0 + 1 * HOUR, end=T0 + 3 * HOUR, cause=Cause.BURST)
    assert after_read((read(0, 2),), 4, hole) == (read(0, 2), gap(2, 3, Cause.BURST), read(3, 4))


HOLES = {
    "posts that appeared later than they say are missed where they say": (
        (T0 + 1 * HOUR, T0 + 2 * HOUR),
        (read(0, 1), gap(1, 2, Cause.BURST), read(2, 5)),
    ),
    "posts of before this stretch are missed at the last check": (
        (T0 - 9 * HOUR, T0 - 5 * HOUR),
        (read(0, 3), gap(3, 3 + LEAST, Cause.BURST), read(3 + LEAST, 5)),
    ),
    "posts whose times do not say where they are missed are so at the last check": (
        (None, T0 + 1 * HOUR),
        (read(0, 3), gap(3, 3 + LEAST, Cause.BURST), read(3 + LEAST, 5)),
    ),
    "posts with times of the future are missed up to now": (
        (None, T0 + 9 * HOUR),
        (read(0, 3), gap(3, 5, Cause.BURST), read(5, 5 + LEAST)),
    ),
}


def tail_start(intervals):
    """Where the tail begins that the database gives to a check: at the last READ interval, else at the first."""
    return max((i for i, interval in enumerate(intervals) if interval.kind is CoverageKind.READ), default=0)


@pytest.mark.parametrize(("hole", "expected"), HOLES.values(), ids=HOLES)
def test_a_hole_is_never_clamped_to_nothing(hole, expected):
    assert after_read((read(0, 3),), 5, Hole(start=hole[0], end=hole[1], cause=Cause.BURST)) == expected


EMPTY_BEFORE = {
    "it begins at the newest post known before": ((T0 + 1 * HOUR, T0 + 4 * HOUR), (read(0, 1), gap(1, 4), read(4, 5))),
    "one of all that was ever published begins with the account": ((None, T0 + 4 * HOUR), (gap(0, 4), read(4, 5))),
    "one from before this stretch begins with it": ((T0 - HOUR, T0 + 4 * HOUR), (gap(0, 4), read(4, 5))),
    "one that lies before the last check lies there": ((T0 + HOUR, T0 + 2 * HOUR), (read(0, 1), gap(1, 2), read(2, 5))),
}


@pytest.mark.parametrize(("place", "expected"), EMPTY_BEFORE.values(), ids=EMPTY_BEFORE)
def test_what_was_missed_while_answers_were_empty_is_named_from_where_it_began(place, expected):
    """I1, fault 21: the checks up to 3 were taken for reads, and had shown nothing of an account with posts."""
    hole = Hole(start=place[0], end=place[1], cause=Cause.UNAVAILABLE, from_start=True)
    assert after_read((read(0, 3),), 5, hole) == expected


@given(
    st.one_of(st.none(), st.integers(-9, 9)), st.integers(-9, 9), st.integers(0, 9), st.integers(1, 9), st.booleans()
)
def test_a_hole_stays_open_and_makes_no_account_blind(lost_from, lost_to, checked, later, from_start):
    """Not even at a first read in the instant of the registration, and not after the next read."""
    before = (read(0, checked),) if checked else ()
    begin = None if lost_from is None else T0 + lost_from * HOUR
    hole = Hole(start=begin, end=T0 + lost_to * HOUR, cause=Cause.BURST, from_start=from_start)
    tail = after_read(before, checked, hole)
    assert coverage.verdict(tail) is Verdict.GAPS
    cut = tail_start(tail)
    tail = (*tail[:cut], *after_read(tail[cut:], checked + later))
    assert coverage.verdict(tail) is Verdict.GAPS
    assert first_hole(tail, T0) is None


def test_failures_of_one_cause_are_one_interval():
    tail = coverage.after_failure((read(0, 1),), begin=T0, now=T0 + 2 * HOUR, cause=Cause.UNAVAILABLE)
    tail = coverage.after_failure(tail, begin=T0, now=T0 + 3 * HOUR, cause=Cause.UNAVAILABLE)
    assert tail == (read(0, 1), gap(1, 3))


def test_a_failure_in_the_instant_of_registration_still_shows():
    (only,) = coverage.after_failure((), begin=T0, now=T0, cause=Cause.NOT_FOUND)
    assert only.kind is CoverageKind.UNREACHABLE
    assert only.length > timedelta()


def test_time_that_nobody_read_becomes_a_gap_after_the_patience():
    tail, patience = (read(0, 1),), timedelta(minutes=30)
    soon = coverage.up_to(tail, begin=T0, now=T0 + 1.4 * HOUR, patience=patience)
    late = coverage.up_to(tail, begin=T0, now=T0 + 2 * HOUR, patience=patience)
    assert soon == tail
    assert late == (*tail, gap(1, 2, Cause.STOPPED))


@pytest.mark.parametrize(
    ("due", "now", "cause"),
    [
        pytest.param(4, 3, Cause.RATE_LIMIT, id="until the next check is due, it waits for calls"),
        pytest.param(4, 4.5, Cause.RATE_LIMIT, id="a check that is a little late waits still"),
        pytest.param(4, 6, Cause.STOPPED, id="a check that is long overdue is made by nobody"),
        pytest.param(1.2, 1.9, Cause.STOPPED, id="a check that was to be soon waits for nothing"),
    ],
)
def test_an_account_that_waits_for_calls_is_not_said_to_be_without_a_running_pantau(due, now, cause):
    tail, patience = (read(0, 1),), timedelta(minutes=30)
    later = coverage.up_to(tail, begin=T0, now=T0 + now * HOUR, patience=patience, due=T0 + due * HOUR)
    assert later == (*tail, gap(1, now, cause))


def test_a_failure_goes_on_for_its_own_cause_until_the_next_check():
    tail = (read(0, 1), unreachable(1, 2, Cause.CREDENTIAL))
    later = coverage.up_to(tail, begin=T0, now=T0 + 9 * HOUR, patience=HOUR)
    assert later == (read(0, 1), unreachable(1, 9, Cause.CREDENTIAL))


def test_an_account_nobody_has_read_yet_says_so():
    (only,) = coverage.up_to((), begin=T0, now=T0 + HOUR, patience=2 * HOUR)
    assert only.cause is Cause.NOT_YET_READ


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        pytest.param((read(0, 168),), Verdict.FULL, id="a week read through is fully monitored"),
        pytest.param((read(0, 100), gap(100, 101), read(101, 168)), Verdict.GAPS, id="one hole in the middle is a gap"),
        pytest.param((read(0, 167), gap(167, 168)), Verdict.GAPS, id="an hour of failure at the end is a gap"),
        pytest.param((read(0, 100), unreachable(100, 168)), Verdict.BLIND, id="a day unread up to now is blind"),
        pytest.param((gap(0, 168),), Verdict.BLIND, id="never read is blind"),
        pytest.param((), Verdict.BLIND, id="no time at all is never called monitored"),
    ],
)
def test_verdict_of_a_week(intervals, verdict):
    assert coverage.verdict(intervals) is verdict


@given(st.lists(st.tuples(st.sampled_from(["read", "hole", "fail", "gone"]), st.integers(0, 5)), max_size=30))
def test_intervals_tile_the_account_s_life_whatever_happens(events):
    """I8: [registered, now) without a hole and without an overlap."""
    now, done, tail = T0, (), ()
    for kind, hours in events:
        now += hours * HOUR
        if kind in {"read", "hole"}:
            hole = Hole(start=None, end=now - HOUR, cause=Cause.BURST) if kind == "hole" else None
            tail = coverage.after_read(tail, begin=T0, now=now, hole=hole)
        else:
            cause = Cause.UNAVAILABLE if kind == "fail" else Cause.NOT_FOUND
            tail = coverage.after_failure(tail, begin=T0, now=now, cause=cause)
        cut = tail_start(tail)
        done, tail = (*done, *tail[:cut]), tail[cut:]
    assert first_hole((*done, *tail), T0) is None


@given(st.integers(0, 100), st.integers(0, 100))
def test_covered_is_the_share_of_the_time_that_was_read(first, second):
    intervals = tuple(i for i in (read(0, first), gap(first, first + second)) if i.length)
    expected = first / (first + second) if intervals else 0
    assert coverage.covered(intervals) == pytest.approx(expected)


def test_within_cuts_at_both_ends():
    assert coverage.within((read(0, 10), gap(10, 20)), T0 + 5 * HOUR, T0 + 12 * HOUR) == (read(5, 10), gap(10, 12))
