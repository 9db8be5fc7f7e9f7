"""Working time in the Malaysian states: their weekends, their holidays, and what an office knows better."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.escalation import DayOff, Escalation
from monitor.model import MALAYSIA, State
from monitor.working_hours import after_working_time, is_working_day, next_working_moment

OFFICE = Escalation()


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=MALAYSIA)


@pytest.mark.parametrize(
    ("day", "state", "works"),
    [
        pytest.param("2026-11-27", State.PJY, True, id="Friday is a working day in Putrajaya"),
        pytest.param("2026-11-28", State.PJY, False, id="Saturday is not"),
        pytest.param("2026-11-27", State.KDH, False, id="Friday is a day off in Kedah"),
        pytest.param("2026-11-29", State.KDH, True, id="and Sunday a working day"),
        pytest.param("2026-11-29", State.TRG, True, id="as in Terengganu"),
        pytest.param("2024-11-29", State.JHR, False, id="Johor rested on Fridays in 2024"),
        pytest.param("2026-11-27", State.JHR, True, id="and works on them since 2025"),
        pytest.param("2026-08-31", State.PJY, False, id="Merdeka is a holiday"),
        pytest.param("2026-12-11", State.SGR, False, id="the Sultan of Selangor's birthday is one in Selangor"),
        pytest.param("2026-12-11", State.PJY, True, id="and not in Putrajaya"),
    ],
)
def test_who_works_when(day, state, works):
    assert is_working_day(date.fromisoformat(day), state, OFFICE) == works


def test_the_office_s_own_list_outranks_the_calendar():
    own = Escalation(
        days_off=(DayOff(day=date(2026, 11, 27), states=frozenset({State.PJY})),),
        days_worked=(DayOff(day=date(2026, 11, 28)),),
    )
    assert not is_working_day(date(2026, 11, 27), State.PJY, own)
    assert is_working_day(date(2026, 11, 27), State.SGR, own)
    assert is_working_day(date(2026, 11, 28), State.PJY, own)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        pytest.param("2026-11-26 10:00", 4, "2026-11-26 14:00", id="within a day"),
        pytest.param("2026-11-26 15:00", 4, "2026-11-27 10:00", id="over night"),
        pytest.param("2026-11-27 15:00", 4, "2026-11-30 10:00", id="over the weekend"),
        pytest.param("2026-11-28 15:00", 1, "2026-11-30 09:00", id="from a Saturday"),
        pytest.param("2026-11-26 03:00", 1, "2026-11-26 09:00", id="from the night"),
        pytest.param("2026-11-26 08:00", 9, "2026-11-26 17:00", id="a whole day ends at its closing"),
        pytest.param("2026-11-26 08:00", 18, "2026-11-27 17:00", id="two whole days"),
        pytest.param(
            "2026-11-26 17:00", 0, "2026-11-26 17:00", id="closing time is still working time for nothing at all"
        ),
    ],
)
def test_working_time_passes(start, hours, end):
    if hours == 0:
        assert next_working_moment(at("2026-11-26 17:01"), state=State.PJY, policy=OFFICE) == at("2026-11-27 08:00")
        return
    assert after_working_time(at(start), timedelta(hours=hours), state=State.PJY, policy=OFFICE) == at(end)


@given(
    seconds=st.integers(0, 4 * 365 * 86400),
    delay=st.timedeltas(timedelta(), timedelta(days=20)),
    state=st.sampled_from(State),
)
def test_the_end_is_in_working_hours_and_never_before_the_delay_has_passed(seconds, delay, state):
    begin = at("2024-01-01 00:00") + timedelta(seconds=seconds)
    end = after_working_time(begin, delay, state=state, policy=OFFICE)
    assert end >= begin + delay
    assert is_working_day(end.date(), state, OFFICE)
    assert time(8) <= end.time() <= time(17)


def test_an_office_that_never_works_counts_all_time():
    never = Escalation(days_off=tuple(DayOff(day=date(2026, 1, 1) + timedelta(days=n)) for n in range(700)))
    assert after_working_time(at("2026-03-02 08:00"), timedelta(hours=1), state=State.PJY, policy=never) == at(
        "2026-03-02 09:00"
    )
