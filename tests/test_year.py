"""Some weeks of a simulated year; `make bench` runs the whole of it."""

import logging

import pytest
import structlog
from year import Year


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
