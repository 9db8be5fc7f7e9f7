"""The fault hour in small; `tests/bench_faults.py` makes it as long as one likes. See storm.py."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import structlog
from builders import NOW
from storm import DECEITFUL, ON_THE_WIRE, SPOILERS, TELLING, Storm

from connectors.sandbox.reply import as_json
from monitor.store.listings import list_posts

LISTED_WRONG = ("twice", "backwards", "shuffled", "truncated", "an empty list", "promised")


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
    storm = weather(sqlite_db, (), ticks=10)
    assert len(storm.world.met) > 20
    assert storm.lost() == []
    assert storm.strange() == []
    assert storm.holes() == []
    assert storm.crashes() == []
    assert storm.still_failing() == []
    assert list_posts(sqlite_db)


def test_answers_about_other_accounts_store_nothing_and_bury_nothing(sqlite_db):
    storm = weather(sqlite_db, (), ticks=8, seed=7, faults=("another account's",))
    assert storm.world.met["another account's"] > 20
    assert storm.strange() == []
    assert storm.lost() == []
    assert storm.still_failing() == []


def test_lists_that_are_wrong_lose_nothing_and_are_no_edits(sqlite_db):
    """I1, I4, fault 21."""
    storm = weather(sqlite_db, (), ticks=8, seed=6, faults=LISTED_WRONG)
    assert storm.lost() == []
    assert storm.versions_twice() == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_ends_that_are_none_and_answers_of_earlier_lose_nothing(sqlite_db, seed):
    """I1, fault 21: between failures, so that there is something to lose. They cost no more than a second reading."""
    ticks = 60
    storm = weather(sqlite_db, ("x", "facebook"), ticks=ticks, seed=seed, faults=("ended", "stale", *["500"] * 4))
    assert min(storm.world.met["ended"], storm.world.met["stale"]) > 4
    assert storm.lost() == []
    assert storm.holes() == []
    assert storm.calls < 5 * (ticks + 2)


def test_no_connector_crashes_or_leaves_a_hole_whatever_it_is_answered(sqlite_db):
    """I8, and no bug of ours in any of them: junk as well, and bytes that are no HTTP."""
    ticks = 4
    storm = weather(sqlite_db, (), ticks=ticks, faults=(*SPOILERS, *ON_THE_WIRE, *DECEITFUL))
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

        def sample(self, items, count):
            return items[::-1][:count]

        def randrange(self, most):
            return most // 2

    said = {("x", "/a"): [as_json({"data": []})], ("rss", "/b"): [as_json({"feed": []})]}
    here = SimpleNamespace(dice=Dice(), now=NOW, question=("x", "/a"), said=said)
    answer = as_json({"data": [{"id": "1"}, {"id": "2"}], "meta": {"next": "a"}})
    spoilt = {name: spoil(here, answer) for name, spoil in SPOILERS.items()}
    assert all(one != answer for one in spoilt.values())
    assert spoilt["an empty list"].body == b'{"data": [], "meta": {"next": "a"}}'
    assert spoilt["twice"].body.count(b'"id"') == 4
