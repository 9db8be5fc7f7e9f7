"""Every connector that reads a stretch of the past, against its twin: all of the stretch, nothing else, and the truth."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from conformance import NOW, SETUPS, Case, open_case, texts

import connectors
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import PAGE_SIZES, World
from monitor.backfill import EARLIEST
from monitor.model import Cause

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NUMBERS = itertools.count(1)
ABLE = [s for s in SETUPS if s.paged and hasattr(connectors.load(s.platform), "backfill")]
SLICING = [s for s in ABLE if connectors.load(s.platform).capabilities.slices]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(World()) as running:
        yield running


def opened(setup, sandbox) -> Case:
    sandbox.world.heal()
    sandbox.world.clock = lambda: NOW
    sandbox.world.page_sizes.update(PAGE_SIZES)
    return open_case(setup, sandbox, f"kementerian{next(NUMBERS)}")


@pytest.fixture(params=ABLE, ids=lambda setup: setup.name)
def case(request, sandbox) -> Case:
    return opened(request.param, sandbox)


@pytest.fixture(params=SLICING, ids=lambda setup: setup.name)
def slicing(request, sandbox) -> Case:
    return opened(request.param, sandbox)


def past(case, start, end, *, now=NOW):
    return list(case.connector().backfill(case.account, start, end, now=now))


def test_a_stretch_is_read_whole_and_nothing_beside_it(case):
    for day in reversed(range(80)):
        case.publish(f"hari {day}", at=NOW - day * DAY)
    case.sandbox.world.page_sizes[case.setup.platform] = 7
    pages = past(case, NOW - 50 * DAY, NOW - 10 * DAY)
    assert texts(pages) == [f"hari {day}" for day in range(50, 10, -1)]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert pages[-1].gap is None


def test_a_stretch_without_a_post_is_read_as_well(case):
    case.publish("sebelum", at=NOW - 30 * DAY)
    case.publish("selepas", at=NOW - DAY)
    pages = past(case, NOW - 20 * DAY, NOW - 10 * DAY)
    assert texts(pages) == []
    assert pages[-1].gap is None


def test_the_back_catalogue_is_read_from_its_newest_post_on(slicing):
    """It may be left at any page, and gone on with from the oldest post that was shown."""
    for day in reversed(range(40)):
        slicing.publish(f"hari {day}", at=NOW - 20 * day * DAY)
    slicing.sandbox.world.page_sizes[slicing.setup.platform] = 5
    begun = slicing.connector().backfill(slicing.account, EARLIEST, NOW - DAY, now=NOW)
    first = next(begun)
    begun.close()
    assert texts([first]) == [f"hari {day}" for day in range(5, 0, -1)]
    reached = min(post.published_at for post in first.posts)
    second = next(slicing.connector().backfill(slicing.account, EARLIEST, reached, now=NOW))
    assert texts([second]) == [f"hari {day}" for day in range(10, 5, -1)]


def test_a_server_that_never_ends_its_list_is_left_and_proves_nothing(slicing, monkeypatch):
    """The same page again and again."""
    for minute in reversed(range(30)):
        slicing.publish(f"minit {minute}", at=NOW - DAY - minute * MINUTE)
    slicing.sandbox.world.page_sizes[slicing.setup.platform] = 5
    platform = slicing.setup.platform
    twin = connectors.sandbox.server.TWINS[platform]

    def stuck(world, question):
        query = {key: value for key, value in question.query.items() if key not in {"pagination_token", "after"}}
        return twin(world, type(question)(**{**_fields(question), "query": query}))

    monkeypatch.setitem(connectors.sandbox.server.TWINS, platform, stuck)
    pages = past(slicing, NOW - 3 * DAY, NOW - DAY + MINUTE)
    assert len(pages) < 10
    assert pages[-1].gap is not None


def _fields(question):
    return {name: getattr(question, name) for name in question.__slots__}


def test_x_does_not_take_what_lies_below_its_depth_for_empty(sandbox):
    """Of 3,200 posts X gives back nothing older: a stretch below them is as empty as one without a post."""
    (x,) = (setup for setup in SETUPS if setup.name == "x")
    case = opened(x, sandbox)
    case.publish("jauh", at=NOW - 40 * DAY)
    case.publish("hilang", at=NOW - 15 * DAY)
    assert past(case, NOW - 20 * DAY, NOW - 10 * DAY)[-1].gap is None
    for number in range(3200):
        case.publish(f"ramai {number}", at=NOW - 9 * DAY + number * MINUTE)
    (page,) = past(case, NOW - 20 * DAY, NOW - 10 * DAY)
    assert (page.posts, page.gap.cause) == ((), Cause.BURST)


def test_x_is_not_asked_for_the_last_seconds_and_says_so(sandbox):
    (x,) = (setup for setup in SETUPS if setup.name == "x")
    case = opened(x, sandbox)
    case.publish("lama", at=NOW - 2 * DAY)
    case.publish("baharu", at=NOW - MINUTE)
    pages = past(case, NOW - DAY, NOW)
    assert texts(pages) == ["baharu"]
    assert pages[-1].gap is not None
    sandbox.world.clock = lambda: NOW + MINUTE
    assert past(case, NOW - DAY, NOW, now=NOW + MINUTE)[-1].gap is None
