"""Some weeks of a simulated year; `make bench` runs the whole of it."""

import logging

import pytest
import structlog
from bench_year import tell
from year import Sample, Year, weight


@pytest.fixture(autouse=True)
def quiet():
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_six_weeks_with_faults_restarts_and_people_break_no_invariant(tmp_path):
    year = Year(folder=tmp_path, accounts=8, days=42)
    year.run()
    assert year.broken() == []
    assert year.counted["restarts"] >= 2
    assert {"acknowledged", "post removed", "edited"} <= year.counted.keys()
    kinds = {row[0] for row in year.here.query("select distinct kind from alert")}
    assert {"post", "canary"} <= kinds
    assert year.here.query("select count(*) from alert where round > 0")[0][0] > 0
    assert year.here.query("select count(distinct period) from notification where step = 'digest'")[0][0] >= 5


def samples(growth):
    """Half a year whose memory goes up and down by the week, and grows by so many MB a month."""
    for week in range(26):
        memory = 200 + week % 3 + growth * 7 * week / 30
        yield Sample(day=7 * week, memory_mb=memory, world_mb=9.0, handles=90 + week % 2, wal_mb=4.2)


def test_a_year_in_which_the_process_grows_is_told_from_one_in_which_it_does_not(capsys):
    assert not tell(list(samples(0)), list(samples(0)))
    assert tell(list(samples(2)), list(samples(2)))
    assert "too much: memory_mb" in capsys.readouterr().out


def test_the_weight_of_a_world_is_that_of_all_it_holds_each_once():
    text = "x" * 10_000
    assert 10_000 < weight({"a": [text], "b": text}) < 12_000
