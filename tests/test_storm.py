"""The fault hour in small; `tests/bench_faults.py` makes it as long as one likes. See storm.py."""

from __future__ import annotations

import logging

import pytest
import structlog
from builders import NOW
from storm import SPOILERS, TELLING, Storm

import connectors
from connectors.sandbox.reply import as_json
from monitor.store.listings import list_posts

PAGES = {"web"}  # HTML that is cut still reads like a page that was edited, and a page's 404 like its deletion
ROBUST = tuple(sorted(connectors.CONNECTORS.keys() - PAGES))


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    for place in ("check", "platform", "reread", "backfill"):
        monkeypatch.setattr(f"monitor.poll.{place}.log", structlog.wrap_logger(None, wrapper_class=quiet))


def weather(db, platforms, *, ticks, seed=5, faults=TELLING):
    with Storm(db, seed=seed, platforms=platforms, each=1, faults=faults) as storm:
        storm.rage(ticks, rate=0.6)
        storm.rage(2, rate=1.0)
        storm.calls = storm.calls_per_account()
        storm.calm()
        return storm


def test_in_a_storm_of_faults_no_post_is_lost_and_nothing_crashes(sqlite_db):
    """I1, I8, faults 17 to 22."""
    storm = weather(sqlite_db, ROBUST, ticks=10)
    assert len(storm.world.met) > 9
    assert storm.lost() == []
    assert storm.holes() == []
    assert storm.crashes() == []
    assert storm.versions_twice() == 0
    assert storm.still_failing() == []
    assert list_posts(sqlite_db)


def test_no_connector_crashes_or_leaves_a_hole_whatever_it_is_answered(sqlite_db):
    """I8, and no bug of ours in any of them: wrongly empty answers as well."""
    ticks = 4
    storm = weather(sqlite_db, (), ticks=ticks, faults=tuple(SPOILERS))
    assert storm.holes() == []
    assert storm.crashes() == []
    assert storm.calls < 12 * (ticks + 2)  # a check, its pages and looks again; no busy loop


def test_the_storm_would_notice_a_lost_post(sqlite_db):
    """The check can fail: what is shown but not stored is named."""
    with Storm(sqlite_db, seed=1, platforms=("rss",), each=1) as storm:
        storm.tick()
        assert storm.lost() == []
        storm.live_once("rss")
        assert [line.rpartition(": ")[2] for line in storm.lost()] == ["not stored"]


def test_the_spoilers_spoil():
    class Dice:
        def choice(self, options):
            return options[0]

        def randrange(self, most):
            return most // 2

    class Here:
        dice = Dice()
        now = NOW

    answer = as_json({"data": [{"id": "1"}, {"id": "2"}], "meta": {"next": "a"}})
    spoilt = {name: spoil(Here(), answer) for name, spoil in SPOILERS.items()}
    assert all(one != answer for one in spoilt.values())
    assert spoilt["an empty list"].body == b'{"data": [], "meta": {"next": "a"}}'
    assert spoilt["twice"].body.count(b'"id"') == 4
