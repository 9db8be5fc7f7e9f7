"""Every connector against its twin in every situation that a platform can bring about."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from conformance import NOW, PATIENCE, PLANTED, SETUPS, Case, Setup, first_line, open_case, shown, texts
from storm import SPOILERS

from connectors.base import ConnectorError, ConnectorMisconfigured, CredentialRefused, PermissionMissing
from connectors.owners import AnotherAccount
from connectors.sandbox.reply import Reply
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import PAGE_SIZES, World
from monitor.model import Cause

EMPTIED = SPOILERS["an empty list"]
NUMBERS = itertools.count(1)
MINUTE = timedelta(minutes=1)
PAGED = [setup for setup in SETUPS if setup.paged]
WITH_TOKEN = [setup for setup in SETUPS if setup.credential]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(World()) as running:
        yield running


@pytest.fixture(params=SETUPS, ids=lambda setup: setup.name)
def case(request, sandbox) -> Case:
    return fresh(request.param, sandbox)


@pytest.fixture(params=PAGED, ids=lambda setup: setup.name)
def paged(request, sandbox) -> Case:
    return fresh(request.param, sandbox)


@pytest.fixture(params=[setup for setup in SETUPS if setup.names_owner], ids=lambda setup: setup.name)
def naming(request) -> Iterator[Case]:
    """A platform whose answers say whose they are, in a world of its own with one other account."""
    setup, domain = request.param, ".example.my" if request.param.platform == "bluesky" else ""
    with Sandbox(World()) as running:
        running.world.add_account(setup.platform, f"jiran{domain}", name="Jabatan Jiran")
        for number in range(2):
            running.world.publish(setup.platform, f"jiran{domain}", f"lain {number}", at=NOW - (number + 2) * MINUTE)
        yield open_case(setup, running, f"jabatan{domain}")


@pytest.fixture(params=WITH_TOKEN, ids=lambda setup: setup.name)
def with_token(request, sandbox) -> Case:
    return fresh(request.param, sandbox)


@pytest.fixture(params=[setup for setup in WITH_TOKEN if not setup.optional], ids=lambda setup: setup.name)
def in_need(request, sandbox) -> Case:
    return fresh(request.param, sandbox)


def fresh(setup: Setup, sandbox: Sandbox) -> Case:
    sandbox.world.heal()
    sandbox.world.page_sizes.update(PAGE_SIZES)
    return open_case(setup, sandbox, f"jabatan{next(NUMBERS)}")


def test_first_pull_brings_every_post_once_with_its_time_and_link(case):
    case.publish("pertama", at=NOW - 3 * MINUTE, links=["https://jpd.example.my/a?b=1&c=2"])
    case.publish("kedua <b>& ketiga</b>", at=NOW - MINUTE)
    pages = case.pull()
    posts = sorted((post for page in pages for post in page.posts), key=lambda post: post.published_at)
    assert texts(pages) == [first_line(posts[0]), "kedua <b>& ketiga</b>"]
    assert posts[0].published_at == NOW - 3 * MINUTE
    assert "https://jpd.example.my/a?b=1&c=2" in posts[0].links
    assert [page.last for page in pages][-1]


def test_a_profile_tells_name_and_stable_id(case):
    profile = case.connector().resolve(case.account)
    assert profile.name == "Jabatan Perkhidmatan Demo"
    assert profile.native_id == case.connector().resolve(case.account).native_id != ""


def test_an_incremental_pull_brings_what_is_new(case):
    case.publish("lama", at=NOW - MINUTE)
    cursor = case.pull()[-1].cursor
    case.publish("baharu", at=NOW + MINUTE)
    assert "baharu" in texts(case.pull(cursor, now=NOW + 2 * MINUTE))


def test_nothing_new_is_one_last_page_and_keeps_what_the_cursor_knows(case):
    case.publish("lama", at=NOW - 60 * MINUTE)
    cursor = case.pull(case.pull()[-1].cursor, now=NOW + 60 * MINUTE)[-1].cursor
    page = case.pull(cursor, now=NOW + 120 * MINUTE)[-1]
    assert page.last
    assert page.gap is None
    assert page.cursor == cursor


def test_an_account_without_posts_is_empty_and_no_error(case):
    (page,) = case.pull()
    assert (page.posts, page.last, page.gap) == ((), True, None)


def test_several_pages_are_walked_to_the_end_and_the_cursor_moves_on_the_last(paged):
    paged.sandbox.world.page_sizes[paged.setup.platform] = 5
    for number in range(12):
        paged.publish(f"hantaran {number:02}", at=NOW - (20 - number) * MINUTE)
    pages = paged.pull()
    assert texts(pages) == [f"hantaran {number:02}" for number in range(12)]
    assert len([page for page in pages if page.posts]) == 3  # some lists show their end by one empty page more
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert all(dict(page.cursor) == {} for page in pages[:-1])
    assert pages[-1].gap is None


def test_a_list_that_is_wrongly_empty_once_loses_nothing_of_a_first_pull_or_is_a_named_gap(paged):
    """I1, fault 21, at each answer in turn."""
    paged.sandbox.world.page_sizes[paged.setup.platform] = 3
    wanted = {f"hantaran {number}" for number in range(8)}
    for number in range(8):
        paged.publish(f"hantaran {number}", at=NOW - (20 - number) * 30 * MINUTE)
    for place in range(12):
        with spoilt_once(paged.sandbox.world, place) as spoilt:
            try:
                pages = paged.pull()
            except ConnectorError:
                continue
        found = set(texts(pages))
        if spoilt and found != wanted and pages[-1].gap is None:
            found |= set(texts(paged.pull(pages[-1].cursor, now=NOW + MINUTE)))
        assert found == wanted or pages[-1].gap is not None, place


@contextmanager
def spoilt_once(world: World, place: int) -> Iterator[list[int]]:
    """Empty the lists of the answer with this number; yields the numbers of what was really spoilt."""
    count, spoilt = itertools.count(), []

    def spoil(_platform: str, reply: Reply) -> Reply:
        changed = EMPTIED(None, reply) if next(count) == place else reply
        if changed != reply:
            spoilt.append(place)
        return changed

    before, world.spoil = world.spoil, spoil
    try:
        yield spoilt
    finally:
        world.spoil = before


def test_a_burst_beyond_the_page_limit_is_a_named_gap(paged):
    paged.sandbox.world.page_sizes[paged.setup.platform] = 5
    paged.publish("lama", at=NOW - 60 * MINUTE)
    cursor = paged.pull()[-1].cursor
    for number in range(20):
        paged.publish(f"hantaran {number:02}", at=NOW + number * MINUTE)
    pages = paged.pull(cursor, now=NOW + 30 * MINUTE, page_limit=2)
    gap = pages[-1].gap
    assert gap is not None
    assert (gap.start, gap.cause) == (NOW - 60 * MINUTE, Cause.BURST)
    assert gap.end in {NOW + 10 * MINUTE, NOW + 11 * MINUTE}  # TikTok's pages begin with the last one's end


def test_a_window_that_holds_nothing_known_is_a_named_gap(sandbox):
    for setup in (setup for setup in SETUPS if not setup.paged):
        case = fresh(setup, sandbox)
        sandbox.world.page_sizes[setup.platform] = 3
        for number in range(3):
            case.publish(f"lama {number}", at=NOW - (60 - number) * MINUTE)
        cursor = case.pull()[-1].cursor
        for number in range(4):
            case.publish(f"baharu {number}", at=NOW + number * MINUTE)
        gap = case.pull(cursor, now=NOW + 9 * MINUTE)[-1].gap
        assert gap is not None, setup.name
        assert (gap.start, gap.end) == (NOW - 58 * MINUTE, NOW + MINUTE)


def test_a_post_that_appears_late_below_the_newest_is_found(case):
    case.publish("baharu", at=NOW - MINUTE)
    cursor = case.pull()[-1].cursor
    case.publish("lewat", at=NOW - 5 * MINUTE)
    assert "lewat" in texts(case.pull(cursor, now=NOW + MINUTE))


def test_a_post_read_twice_is_the_same_post(case):
    case.publish("sama", at=NOW - MINUTE)
    (first,), (second,) = (shown(case.pull()) for _ in range(2))
    assert first.native_id == second.native_id
    assert first.content_hash == second.content_hash


def test_an_edit_keeps_the_id_and_changes_the_content(case):
    native_id = case.publish("asal", at=NOW - 30 * MINUTE)
    (before,) = shown(case.pull())
    case.sandbox.world.edit(case.setup.platform, native_id, "disunting", at=NOW)
    if case.connector().capabilities.rereads:
        (after,) = case.connector().reread(case.account, [before.native_id], now=NOW).posts
    else:
        (after,) = shown(case.pull(now=NOW + MINUTE))
    assert after.native_id == before.native_id
    assert after.published_at == before.published_at
    assert first_line(after) == "disunting"
    assert after.content_hash != before.content_hash


def test_a_deleted_post_is_missing_when_read_again_and_its_neighbour_is_not(paged):
    gone, stays = paged.publish("padam", at=NOW - 2 * MINUTE), paged.publish("kekal", at=NOW - MINUTE)
    paged.sandbox.world.delete(paged.setup.platform, gone)
    answer = paged.connector().reread(paged.account, [gone, stays], now=NOW)
    assert answer.missing == {gone}
    assert [post.native_id for post in answer.posts] == [stays]


def test_the_answer_about_another_account_is_refused_and_says_whose_it_is(naming):
    """A cache with a wrong key, a proxy that mixes answers up: nothing of it is stored, or moves a cursor."""
    naming.publish("lama", at=NOW - 30 * MINUTE)
    cursor = naming.pull()[-1].cursor
    naming.publish("baharu", at=NOW)
    other = naming.sandbox.world.holders(naming.setup.platform)[0]
    for begin in (None, cursor):
        naming.fail(times=9, mistaken=True)
        with pytest.raises(AnotherAccount) as refused:
            naming.pull(begin, now=NOW + MINUTE)
        assert any(name in str(refused.value) for name in (other.native_id, other.handle, other.native_id[2:]))
        naming.sandbox.world.heal()
    assert "baharu" in texts(naming.pull(cursor, now=NOW + MINUTE))


def test_an_answer_about_another_account_buries_nothing_when_posts_are_read_again(naming):
    for number in range(4):
        naming.publish(f"hantaran {number}", at=NOW - (30 - number) * MINUTE)
    known = {post.native_id for post in shown(naming.pull())}
    naming.sandbox.world.fail(naming.setup.twin or naming.setup.platform, times=99, mistaken=True)
    try:
        answer = naming.connector().reread(naming.account, sorted(known), now=NOW)
    except (AnotherAccount, PermissionMissing):  # the latter where an answer for a token is an answer for its account
        return
    assert (answer.missing, answer.hidden) == (frozenset(), frozenset())
    assert {post.native_id for post in answer.posts} <= known


@pytest.mark.parametrize("times", [1, 2, 3, 99])
@pytest.mark.parametrize("knows_id", [True, False], ids=["by its id", "by its name"])
def test_the_profile_of_another_account_is_no_profile_of_this_one(naming, knows_id, times):
    asked = naming.account if knows_id else replace(naming.account, native_id="")
    naming.sandbox.world.fail(naming.setup.twin or naming.setup.platform, times=times, mistaken=True)
    try:
        profile = naming.connector().resolve(asked)
    except (AnotherAccount, PermissionMissing):
        return
    assert times < 99  # some ask something else first
    assert profile.handle == naming.account.handle


FAULTS = {
    "403": ({"status": 403, "body": b"forbidden"}, Cause.PERMISSION),
    "404": ({"status": 404, "body": b"not here"}, Cause.NOT_FOUND),
    "500": ({"status": 500, "body": b"<html>oops</html>"}, Cause.UNAVAILABLE),
    "503": ({"status": 503, "body": b""}, Cause.UNAVAILABLE),
    "502 with JSON that is no object": ({"status": 502, "body": b'["bad gateway"]'}, Cause.UNAVAILABLE),
    "connection reset": ({"reset": True}, Cause.UNAVAILABLE),
    "body cut short": ({"cut": True}, Cause.UNAVAILABLE),
}


@pytest.mark.parametrize(("fault", "cause"), FAULTS.values(), ids=FAULTS)
def test_a_failed_request_says_why(case, fault, cause):
    case.publish("sesuatu", at=NOW - MINUTE)
    case.fail(times=9, **fault)
    assert case.refusal().cause is cause


def test_no_answer_in_time_is_unavailable(case):
    case.fail(hang=3)
    assert case.refusal(timeout=0.2).cause is Cause.UNAVAILABLE


def test_401_is_a_dead_credential_where_there_is_one(case):
    case.fail(status=401, body=b"{}")
    assert case.refusal().cause is case.setup.unauthorised


def test_429_with_a_time_waits_until_then(case):
    at = (NOW + PATIENCE).replace(microsecond=0)
    case.fail(status=429, headers=case.setup.patience(at))
    error = case.refusal()
    assert (error.cause, error.retry_at) == (Cause.RATE_LIMIT, at)
    assert error.whole_platform is (bool(case.setup.credential) or case.setup.one_budget)


def test_429_without_a_time_leaves_the_wait_to_the_schedule(case):
    case.fail(status=429, headers={"x-rate-limit-reset": "soon"})
    error = case.refusal()
    assert (error.cause, error.retry_at) == (Cause.RATE_LIMIT, None)


@pytest.mark.parametrize("situation", ["html", "wrong_schema"])
def test_an_answer_without_landmarks_is_never_no_news(case, situation):
    case.fail(status=200, body=getattr(case.setup, situation), times=2)
    assert case.refusal().cause is Cause.SCHEMA_DRIFT


def test_an_answer_that_ends_in_the_middle_is_unavailable(case):
    kind = {"content-type": "application/atom+xml"} if case.setup.atom else {}
    case.fail(status=200, body=case.setup.cut_short, headers=kind)
    assert case.refusal().cause is Cause.UNAVAILABLE


@pytest.mark.parametrize("fault", [*(fault for fault, _ in FAULTS.values()), {"status": 401}, {"status": 400}])
def test_no_error_ever_shows_the_token(with_token, fault):
    body = f'{{"error": {{"message": "token {PLANTED}", "code": 1}}, "errors": [{{"message": "{PLANTED}"}}]}}'.encode()
    with_token.fail(**{"body": body, **fault})
    error = with_token.refusal(token=PLANTED)
    assert PLANTED not in "".join(traceback.format_exception(error))


def test_a_wrong_token_is_refused_by_the_platform(with_token):
    error = with_token.refusal(token="expired")
    assert isinstance(error, CredentialRefused)
    assert error.whole_platform


def test_without_a_token_nothing_is_asked_and_the_remedy_is_named(in_need):
    asked = len(in_need.sandbox.world.requests)
    error = in_need.refusal(token="")
    assert isinstance(error, ConnectorMisconfigured)
    assert f"connectors.{in_need.setup.platform}.{in_need.setup.credential}" in str(error)
    assert len(in_need.sandbox.world.requests) == asked


def test_a_credential_is_proved_with_one_sentence(case):
    assert case.setup.platform in case.connector().check()
