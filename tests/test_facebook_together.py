"""Many pages in one call: what it finds must be what each page alone would have shown, or it must stay out."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from builders import account
from replay import Answer, Replay

from connectors.base import Bounds, CredentialRefused, RateLimited, Unavailable
from connectors.facebook import FacebookConnector, FacebookSettings
from connectors.facebook.groups import groups
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def running():
    with Sandbox(World()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.world.heal()
    return running


def connector(base_url):
    network = Network(allow=(ip_network("127.0.0.1/32"),), timeout=timedelta(seconds=5))
    return FacebookConnector(FacebookSettings(access_token=Secret("sandbox"), base_url=base_url), network)


class Pages:
    """Pages of the sandbox, each pulled once: what is published afterwards is new."""

    def __init__(self, sandbox, count, *, age=HOUR):
        self.world, self.connector = sandbox.world, connector(sandbox.base_url("facebook"))
        self.holders = []
        for _ in range(count):
            number = next(NUMBERS)
            handle = f"halaman{number}"
            native_id = self.world.add_account("facebook", handle, name=handle)
            for back in range(3):
                self.world.publish("facebook", handle, f"lama {back}", at=NOW - age - back * DAY)
            self.holders.append(account(handle, "facebook", id=number, native_id=native_id))
        self.cursors = {one.id: self.alone(one, None).cursor for one in self.holders}

    @property
    def asked(self):
        return [(one, self.cursors[one.id]) for one in self.holders]

    def alone(self, holder, cursor):
        *_, last = self.connector.pull(holder, cursor, now=NOW)
        return last

    def calls(self):
        return self.world.asked_in_all["facebook"]

    def together(self):
        found = {}
        by_id = {one.id: (one, cursor) for one, cursor in self.asked}
        for group in self.connector.batches(self.asked, now=NOW):
            found |= self.connector.pull_many([by_id[one.id] for one in group], now=NOW)
        return found


@pytest.fixture(params=[12, 7], ids=["in one window", "in a batch"])
def pages(sandbox, request):
    """Pages that share a call: one window for all, or a question of its own for each."""
    return Pages(sandbox, request.param)


def told(page):
    return (page.cursor, page.last, page.gap, page.heals)


def test_fifty_pages_share_a_call_and_nothing_new_moves_nothing(sandbox):
    pages = Pages(sandbox, 60)
    before = pages.calls()
    found = pages.together()
    assert pages.calls() - before == 2
    assert {number: page.cursor for number, page in found.items()} == pages.cursors


def test_together_each_page_shows_what_it_shows_alone(pages):
    for number, one in enumerate(pages.holders):
        for back in range(number // 2):
            pages.world.publish("facebook", one.handle, f"baharu {back}", at=NOW - timedelta(minutes=back))
    found = pages.together()
    for one in pages.holders:
        alone = pages.alone(one, pages.cursors[one.id])
        assert told(found[one.id]) == told(alone)
        assert {post.native_id for post in alone.posts} <= {post.native_id for post in found[one.id].posts}


def test_a_page_with_more_posts_than_its_share_is_left_to_be_walked_alone(pages):
    busy = pages.holders[3]
    for back in range(30):
        pages.world.publish("facebook", busy.handle, f"baharu {back}", at=NOW - timedelta(minutes=back))
    assert {one.id for one in pages.holders} - pages.together().keys() == {busy.id}


def test_a_page_whose_newest_known_post_is_not_in_a_shared_window_is_not_believed(sandbox):
    pages = Pages(sandbox, 12)
    holder = pages.holders[2]
    newest = pages.world.timeline("facebook", holder.native_id)[0]
    pages.world.delete("facebook", newest.native_id)
    assert {one.id for one in pages.holders} - pages.together().keys() == {holder.id}


def test_a_page_that_is_gone_costs_one_more_call_and_then_none(sandbox):
    pages = Pages(sandbox, 12)
    gone = pages.holders[4]
    del pages.world._holders["facebook", gone.native_id]
    before = pages.calls()
    assert {one.id for one in pages.holders} - pages.together().keys() == {gone.id}
    assert pages.calls() - before == 2
    assert pages.together().keys() == {one.id for one in pages.holders} - {gone.id}
    assert pages.calls() - before == 3


def test_a_page_that_is_gone_spoils_no_batch(sandbox):
    pages = Pages(sandbox, 7)
    gone = pages.holders[4]
    del pages.world._holders["facebook", gone.native_id]
    assert {one.id for one in pages.holders} - pages.together().keys() == {gone.id}


def test_pages_that_have_never_published_share_a_batch(sandbox):
    pages = Pages(sandbox, 0)
    pages.holders = [
        account(handle, "facebook", id=900 + n, native_id=pages.world.add_account("facebook", handle, name=handle))
        for n, handle in enumerate(["sunyi1", "sunyi2", "sunyi3"])
    ]
    pages.cursors = {one.id: pages.alone(one, None).cursor for one in pages.holders}
    before = pages.calls()
    assert pages.together().keys() == {900, 901, 902}
    first = pages.world.publish("facebook", "sunyi2", "yang pertama", at=NOW)
    found = pages.together()
    assert pages.calls() - before == 2
    assert [post.native_id for post in found[901].posts] == [first]


def refusing(page, error, status=400):
    """Return a server on which one page spoils every call that asks for it."""

    def script(asked):
        ids = asked.query["ids"].split(",")
        if page in ids:
            return Answer(status=status, body=json.dumps({"error": error}).encode())
        time = (NOW - HOUR).isoformat()
        posts = {"data": [{"id": f"{one}_1", "created_time": time} for one in ids[:1]]}
        answer = {
            one: {"id": one, "published_posts": {"data": [{**posts["data"][0], "id": f"{one}_1"}]}} for one in ids
        }
        return Answer(body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"})

    return script


def known(count):
    cursor = {"v": 1, "newest": (NOW - HOUR).isoformat()}
    return [(account(f"p{n}", "facebook", id=n, native_id=str(1000 + n)), cursor) for n in range(count)]


def test_a_page_that_refuses_without_a_name_is_singled_out_by_halving():
    asked = known(50)
    with Replay(refusing("1017", {"code": 10, "message": "(#10) This endpoint requires a permission"})) as replay:
        desk = connector(replay.url)
        found = desk.pull_many(asked, now=NOW)
        assert len(replay.asked) <= 12
        assert 17 not in found
        assert len(found) >= 47
        again = max(desk.batches(asked, now=NOW), key=len)
    assert 17 not in [one.id for one in again]
    assert len(again) >= 47


def test_a_page_that_spoilt_a_call_is_forgotten_after_a_day():
    """I13. Pages leave the register; what is known of them would stay for as long as the daemon runs."""
    with Replay(refusing("1017", {"code": 10, "message": "(#10) This endpoint requires a permission"})) as replay:
        desk = connector(replay.url)
        desk.pull_many(known(50), now=NOW)
        assert "1017" in desk._together._spoilers
        desk.batches(known(3), now=NOW + timedelta(days=2))
        assert not desk._together._spoilers


def answering(*answers, status=200):
    body = json.dumps(list(answers)).encode()
    return lambda _: Answer(status=status, body=body, headers={"Content-Type": "application/json"})


def part(payload, code=200, headers=()):
    return {"code": code, "headers": [{"name": k, "value": v} for k, v in headers], "body": json.dumps(payload)}


EMPTY = part({"data": []})
ABOVE = part({"data": [{"id": "1001_1", "created_time": (NOW - timedelta(minutes=5)).isoformat()}]})


@pytest.mark.parametrize(
    "bad",
    [
        None,
        part({"error": {"code": 10, "message": "(#10) no"}}, code=403),
        {"code": 200, "body": "<html>"},
        {"code": 200, "body": "{}"},
        {"code": "200"},
        ABOVE,
    ],
    ids=["left out for time", "refused", "no JSON", "no posts", "no code", "an end above what is known"],
)
def test_a_part_of_a_batch_that_proves_nothing_leaves_its_page_to_be_read_alone(bad):
    with Replay(answering(EMPTY, bad, EMPTY)) as replay:
        assert connector(replay.url).pull_many(known(3), now=NOW).keys() == {0, 2}


def test_a_batch_of_another_length_is_not_believed():
    with Replay(answering(EMPTY, EMPTY)) as replay:
        assert connector(replay.url).pull_many(known(3), now=NOW) == {}


def test_the_apps_limit_inside_a_batch_stops_all_and_a_pages_own_limit_that_page():
    limited = part({"error": {"code": 4, "message": "no"}}, code=403)
    with Replay(answering(EMPTY, limited)) as replay, pytest.raises(RateLimited):
        connector(replay.url).pull_many(known(2), now=NOW)
    usage = [("X-Page-Usage", '{"call_count": 99, "total_time": 1, "total_cputime": 1}')]
    with Replay(answering(part({"data": []}, headers=usage), EMPTY)) as replay:
        desk = connector(replay.url)
        assert desk.pull_many(known(2), now=NOW).keys() == {0, 1}
        with pytest.raises(RateLimited):
            list(desk.pull(*known(2)[0], now=NOW))


def test_a_server_that_knows_no_batch_is_asked_once():
    with Replay(lambda _: Answer(status=404, body=b"not found")) as replay:
        desk = connector(replay.url)
        assert desk.pull_many(known(3), now=NOW) == {}
        assert desk.batches(known(3), now=NOW) == []
        assert len(replay.asked) == 1


def test_too_much_data_is_asked_for_in_halves_and_nobody_is_to_blame():
    def script(asked):
        ids = asked.query["ids"].split(",")
        if len(ids) > 13:
            too_much = {"code": 1, "message": "Please reduce the amount of data you're asking for, then retry"}
            return Answer(status=500, body=json.dumps({"error": too_much}).encode())
        return refusing("", {})(asked)

    with Replay(script) as replay:
        desk = connector(replay.url)
        assert len(desk.pull_many(known(50), now=NOW)) == 50
        assert sum(map(len, desk.batches(known(50), now=NOW))) == 50


@pytest.mark.parametrize(
    ("code", "kind"), [(190, CredentialRefused), (4, RateLimited)], ids=["a dead token", "the app's rate limit"]
)
def test_what_stops_the_platform_stops_the_call_at_once(code, kind):
    with Replay(refusing("1003", {"code": code, "message": "no"})) as replay:
        with pytest.raises(kind):
            connector(replay.url).pull_many(known(20), now=NOW)
        assert len(replay.asked) == 1


def test_a_server_that_knows_neither_call_is_asked_once_for_each():
    with Replay(lambda _: Answer(status=404, body=b"not found")) as replay:
        desk = connector(replay.url)
        for _ in range(3):
            assert desk.pull_many(known(20), now=NOW) == {}
        assert [asked.method for asked in replay.asked] == ["GET", "POST"]
        assert desk.batches(known(20), now=NOW) == []


def test_a_server_that_does_not_answer_is_told_as_such():
    desk = connector("http://127.0.0.1:9")
    for count in (5, 15):
        with pytest.raises(Unavailable):
            desk.pull_many(known(count), now=NOW)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"1000": {"id": "1000"}},
        {"1000": {"published_posts": {}}},
        {"1000": {"published_posts": {"data": [{}]}}},
    ],
    ids=["nothing", "a list", "no posts", "posts without a list", "a post without a time"],
)
def test_an_answer_that_proves_nothing_leaves_the_page_to_be_read_alone(answer):
    body = json.dumps(answer).encode()
    with Replay(lambda _: Answer(body=body, headers={"Content-Type": "application/json"})) as replay:
        assert connector(replay.url).pull_many(known(10), now=NOW) == {}


def aged(*ages):
    return [
        (account(f"p{n}", "facebook", id=n, native_id=str(n)), {"v": 1, "newest": (NOW - age).isoformat()})
        for n, age in enumerate(ages)
    ]


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ((HOUR, 2 * HOUR, 20 * HOUR), [[0, 1, 2]]),
        ((HOUR, 40 * HOUR, 60 * HOUR), [[0], [1, 2]]),
        ((10 * DAY, 19 * DAY, 30 * DAY), [[0, 1], [2]]),
        ((200 * DAY, 900 * DAY, 3000 * DAY), [[0, 1, 2]]),
    ],
    ids=[
        "windows within a day of each other",
        "one that would read much further back than it needs to stays alone",
        "windows up to twice as wide",
        "pages silent for longer than any window",
    ],
)
def test_pages_share_a_window_only_while_their_own_are_alike(ages, expected, monkeypatch):
    monkeypatch.setattr("connectors.facebook.groups.FEWEST", 1)
    found, _ = groups(aged(*ages), Bounds(), NOW)
    assert [sorted(one.id for one, _ in group) for group in found] == expected


def test_whose_windows_are_unlike_share_batches_of_fifty_and_the_last_one_is_alone():
    ages = [3**n * HOUR for n in range(1, 8)] * 14 + [HOUR] * 3
    alike, unlike = groups(aged(*ages), Bounds(), NOW)
    assert sum(map(len, [*alike, *unlike])) in {len(ages), len(ages) - 1}
    assert max(map(len, [*alike, *unlike])) <= 50
    assert groups(aged(HOUR), Bounds(), NOW) == ([], [])


def test_pages_silent_for_years_share_a_call_without_a_window(sandbox):
    pages = Pages(sandbox, 10, age=400 * DAY)
    for one in pages.holders:
        for back in range(9):
            pages.world.publish("facebook", one.handle, f"lebih lama {back}", at=NOW - (500 + back) * DAY)
    newest = pages.world.publish("facebook", pages.holders[0].handle, "kembali", at=NOW)
    found = pages.together()
    assert found.keys() == {one.id for one in pages.holders}
    assert newest in {post.native_id for post in found[pages.holders[0].id].posts}
