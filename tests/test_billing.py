"""What X's answers say of its limits, and what they cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from postoffice import free_port
from replay import Replay, as_json, by_path, recorded

from connectors import base, http
from connectors.base import ConnectorError
from connectors.x import XConnector, XSettings
from connectors.x.billing import parse_allowance, resources
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
RESET = int(NOW.timestamp()) + 600
HEADERS = {"x-rate-limit-limit": "10000", "x-rate-limit-remaining": "9990", "x-rate-limit-reset": str(RESET)}
JPD = account("JPD_Demo", id=1, native_id="1410060000000000001")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/2/users/1410060000000000001/tweets", "calls"),
        ("/x/2/users/1/tweets", "calls"),
        ("/2/tweets", "look-ups of posts"),
        ("/2/users/by", "look-ups of profiles"),
        ("/2/users", "look-ups of profiles"),
        ("/2/usage/tweets", None),
        ("/2/tweets/search/recent", None),
    ],
)
def test_each_way_of_reading_has_a_limit_of_its_own(path, name):
    found = parse_allowance(path, HEADERS, NOW)
    assert (found.name if found else None) == name


def test_an_allowance_is_what_the_headers_say():
    told = parse_allowance("/2/tweets", HEADERS, NOW)
    assert (told.limit, told.remaining) == (10_000, 9_990)
    assert told.resets_at == NOW + timedelta(minutes=10)
    assert told.window == timedelta(minutes=15)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"x-rate-limit-limit": ""}, id="empty"),
        pytest.param({"x-rate-limit-limit": "0"}, id="zero"),
        pytest.param({"x-rate-limit-remaining": "-1"}, id="negative"),
        pytest.param({"x-rate-limit-reset": "Tue, 24 Nov 2026"}, id="a date"),
        pytest.param({"x-rate-limit-reset": "9" * 30}, id="no time of this world"),
        pytest.param({"x-rate-limit-limit": "१०"}, id="other digits"),
    ],
)
def test_headers_that_make_no_sense_are_no_allowance(changed):
    assert parse_allowance("/2/tweets", HEADERS | changed, NOW) is None


@pytest.mark.parametrize(
    ("payload", "counted"),
    [
        pytest.param({"meta": {"result_count": 0}}, (0, 0), id="an empty answer costs nothing"),
        pytest.param({"data": [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]}, (2, 0), id="posts"),
        pytest.param({"data": [{"id": "1", "username": "jpd"}]}, (0, 1), id="a user"),
        pytest.param({"data": {"id": "1", "username": "jpd"}}, (0, 1), id="a user alone"),
        pytest.param({"data": [], "includes": {"tweets": [{}, {}], "media": [{}]}}, (2, 0), id="posts that come along"),
        pytest.param({"data": "?", "includes": "?"}, (0, 0), id="nonsense"),
    ],
)
def test_what_an_answer_holds_is_what_it_costs(payload, counted):
    assert resources(payload) == counted


def connector(url, **limits):
    settings = XSettings(bearer_token=Secret("t"), base_url=url, **limits)
    return XConnector(settings, Network(timeout=timedelta(seconds=5)), base.Bounds())


def test_a_connector_counts_what_it_reads_and_keeps_what_it_is_told():
    with Replay(by_path({"/tweets": as_json(recorded("x/timeline"), **HEADERS)})) as x:
        one = connector(x.url)
        posts = [post for page in one.pull(JPD, None, now=NOW) for post in page.posts]
    told = {allowance.name: allowance.limit for allowance in one.allowances()}
    assert told == {"calls": 10_000}
    assert one.spent()["posts"] >= len(posts) > 0
    assert one.spent()["dollars"] == pytest.approx(one.spent()["posts"] * 0.005)


def test_a_refusal_tells_of_the_limit_as_well_and_costs_nothing():
    with Replay(by_path({"/tweets": as_json({"title": "Too Many Requests"}, status=429, **HEADERS)})) as x:
        one = connector(x.url)
        with pytest.raises(ConnectorError):
            list(one.pull(JPD, None, now=NOW))
    assert [allowance.remaining for allowance in one.allowances()] == [9_990]
    assert one.spent() == {"posts": 0, "dollars": 0}


def test_a_month_has_a_limit_only_where_one_is_set():
    assert connector("https://api.x.com").monthly() == {}
    assert connector("https://api.x.com", monthly_posts=50_000).monthly() == {"posts": 50_000}
    assert connector("https://api.x.com", monthly_budget=400).monthly() == {"dollars": 400}


def test_every_call_of_a_metered_network_is_counted_those_that_fail_too():
    meter = http.Meter()
    with Replay(by_path({"/a": as_json({}), "/b": as_json({}, status=302, Location="/a")})) as site:
        session = http.open_session(base_url=site.url, network=http.Metered.of(Network(), meter))
        session.get(f"{site.url}/a")
        session.get(f"{site.url}/b")
        assert meter.calls == len(site.asked) == 3
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(http.requests.ConnectionError):
        http.open_session(base_url=nobody, network=http.Metered.of(Network(), meter)).get(nobody)
    assert meter.calls == 4
