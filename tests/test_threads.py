"""Threads as its API answers: recorded shapes, the own profile with its replies, others by discovery."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from replay import Answer, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, SchemaDrift
from connectors.listing import merged
from connectors.sandbox.server import Sandbox
from connectors.sandbox.threads_twin import OWN
from connectors.sandbox.world import World
from connectors.threads import ThreadsConnector, ThreadsSettings
from connectors.threads.connector import username_of
from connectors.threads.day_count import DayCount
from connectors.threads.posts import parse_items, parse_post
from connectors.walk import listed
from monitor.model import MediaKind, PostKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOKEN = "THAAplantedTokenThatNobodyMaySee"
ME = {"id": "31000000000000001", "username": "pantau.demo"}
JPD = account("jpd.demo", "threads", id=1, native_id="jpd.demo")
MINE = account("pantau.demo", "threads", id=2, native_id=ME["id"])
POSTS = recorded("threads/posts")
NO_MORE = {"data": []}


def connector(url: str, *, token: str = TOKEN, **how: object) -> ThreadsConnector:
    settings = ThreadsSettings(access_token=Secret(token), base_url=url)
    bounds = base.Bounds(**{"back_catalogue": 3200, **how})
    return ThreadsConnector(settings, Network(timeout=timedelta(seconds=5)), bounds)


def pull(url: str, cursor=None, *, of=JPD, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(of, cursor, now=NOW))


def ids(pages) -> list[str]:
    return [post.native_id[-2:] for page in pages for post in page.posts]


def item(number: int, **more: object) -> dict[str, object]:
    created = (NOW - number * HOUR).strftime("%Y-%m-%dT%H:%M:%S+0000")
    return {
        "id": f"1810000{number:02}",
        "media_type": "TEXT_POST",
        "text": f"kata {number}",
        "timestamp": created,
        **more,
    }


# ---------------------------------------------------------------- what posts say


@pytest.fixture(scope="module")
def posts():
    return dict(zip(["long", "poll", "album", "quote", "repost", "reply"], parse_items(POSTS), strict=True))


def test_long_texts_polls_and_topics_are_part_of_the_text(posts):
    assert posts["long"].text.startswith("Garis panduan penuh di bawah\n\nPerenggan satu.")
    assert posts["long"].text.endswith("JPD")
    assert posts["poll"].text == "Kaunter mana?\n\nPutrajaya\nKajang"


def test_links_are_those_of_the_text_and_those_attached(posts):
    assert posts["long"].links == (
        "https://www.jpd.example.my/garis-panduan",
        "https://www.jpd.example.my/lampiran.pdf",
    )


def test_kinds_are_told_apart(posts):
    kinds = {name: post.kind for name, post in posts.items()}
    assert kinds == {
        "long": PostKind.ORIGINAL,
        "poll": PostKind.ORIGINAL,
        "album": PostKind.ORIGINAL,
        "quote": PostKind.QUOTE,
        "repost": PostKind.REPOST,
        "reply": PostKind.REPLY,
    }


def test_what_is_quoted_is_read_as_well(posts):
    assert posts["quote"].text == "Setuju\n\nKata laluan: Kolam#2026!"
    assert [media.url for media in posts["quote"].media] == ["https://scontent.cdninstagram.com/v/t51/q.jpg?oh=1"]


def test_an_album_shows_its_parts_and_a_gif_is_a_picture(posts):
    kinds = [media.kind for media in posts["album"].media]
    assert kinds == [MediaKind.PICTURE, MediaKind.PICTURE, MediaKind.VIDEO]
    assert posts["album"].media[0].text == "Majlis"
    assert posts["reply"].media[0].url == "https://media.example.my/g.gif"


def test_a_post_without_permalink_is_named_by_its_profile(posts):
    assert posts["reply"].url == "https://www.threads.com/@jpd.demo"


def test_votes_are_no_edit():
    poll = POSTS["data"][1]
    voted = {**poll, "poll_attachment": {**poll["poll_attachment"], "option_a_votes_percentage": 0.1}}
    assert parse_post(poll).content_hash == parse_post(voted).content_hash


def test_a_quoted_post_that_is_only_named_is_looked_up_once():
    quoting = {"data": [item(1, is_quote_post=True, quoted_post={"id": "991"})]}
    quoted = {"id": "991", "text": "Kata laluan: Kolam#2026!", "username": "lain", "media_type": "TEXT_POST"}
    with Replay(by_path({"/me": ME, "/profile_posts": quoting, "/991": quoted})) as replay:
        one = connector(replay.url)
        found = [next(one.pull(JPD, None, now=NOW + n * HOUR)).posts[0] for n in (0, 1, 13)]
        assert [path for path in replay.paths if path.endswith("991")] == ["/v1.0/991"] * 2
    assert {post.text for post in found} == {"kata 1\n\nKata laluan: Kolam#2026!"}
    assert found[0].own is None


@pytest.mark.parametrize("answer", [Answer(status=500), as_json({"error": {"code": 10, "message": "x"}}, status=400)])
def test_a_quoted_post_that_cannot_be_read_hides_nothing_and_is_no_edit(answer):
    quoting = {"data": [item(1, is_quote_post=True, quoted_post={"id": "991"})]}
    with Replay(by_path({"/me": ME, "/profile_posts": quoting, "/991": answer})) as replay:
        (post,) = pull(replay.url)[0].posts
    assert (post.text, post.kind) == ("kata 1", PostKind.QUOTE)
    assert post.own == {"id": "181000001", "text": "kata 1", "media_type": "TEXT_POST"}


DRIFTS = {
    "nothing the API ever sends": {"unexpected": True},
    "data that is no list": {"data": {}},
    "a post that is no object": {"data": ["1"]},
    "a post without an id": {"data": [{"timestamp": "2026-11-23T09:00:00+0000"}]},
    "a post without a time": {"data": [{"id": "1"}]},
    "a time without a zone": {"data": [{"id": "1", "timestamp": "2026-11-23T09:00:00"}]},
}


@pytest.mark.parametrize("payload", DRIFTS.values(), ids=DRIFTS)
def test_a_changed_schema_is_never_no_news(payload):
    with Replay(by_path({"/me": ME, "/profile_posts": payload})) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


# ---------------------------------------------------------------- others, by discovery


def test_others_are_read_by_their_username_and_the_end_is_where_nothing_follows():
    with Replay(by_path({"/me": ME, "/profile_posts": [POSTS, NO_MORE]})) as replay:
        (page,) = pull(replay.url)
        first, *ends = (asked for asked in replay.asked if asked.path.endswith("/profile_posts"))
    assert (first.path, first.query["username"], first.query["limit"]) == ("/v1.0/profile_posts", "jpd.demo", "100")
    assert [asked.query["after"] for asked in ends] == ["QVFa"] * 3  # a first pull does not believe it at once
    assert (page.last, page.gap, len(page.posts)) == (True, None, 6)


def test_a_cursor_that_leads_to_the_same_page_again_is_the_end_and_doubles_nothing():
    with Replay(by_path({"/me": ME, "/profile_posts": POSTS})) as replay:
        pages = pull(replay.url)
        assert replay.paths.count("/v1.0/profile_posts") == 2
    assert ids(pages) == ["01", "02", "03", "04", "05", "06"]
    assert pages[-1].gap is None


def test_what_was_read_is_not_lost_when_the_next_page_fails():
    with Replay(by_path({"/me": ME, "/profile_posts": [POSTS, Answer(status=500)]})) as replay:
        walk = connector(replay.url).pull(JPD, None, now=NOW)
        assert len(next(walk).posts) == 6
        with pytest.raises(base.Unavailable):
            next(walk)


def test_only_what_is_new_is_asked_for_and_never_before_threads_began():
    cursor = {"v": 1, "newest": (NOW - HOUR).isoformat()}
    with Replay(by_path({"/me": ME, "/profile_posts": NO_MORE})) as replay:
        pull(replay.url, cursor)
        pull(replay.url, {"v": 1, "newest": "2020-01-01T00:00:00+00:00"})
        first, second = (int(asked.query["since"]) for asked in replay.asked if "since" in asked.query)
    assert first == int((NOW - HOUR - timedelta(minutes=10)).timestamp())
    assert second == int(datetime(2023, 7, 3, tzinfo=UTC).timestamp())


def test_a_server_that_refuses_fields_is_asked_for_fewer():
    refusal = as_json(
        {"error": {"message": "(#100) Tried accessing nonexisting field (text)", "code": 100}}, status=400
    )
    with Replay(by_path({"/me": ME, "/profile_posts": [refusal, refusal, {"data": [item(1)]}]})) as replay:
        one = connector(replay.url)
        for _ in range(2):
            assert ids(one.pull(JPD, None, now=NOW)) == ["01"]
        fields = [asked.query["fields"] for asked in replay.asked[1:]]
    assert ["quoted_post{" in one for one in fields] == [True, False, False, False]
    assert "text_attachment" not in fields[2] == fields[3]


def test_a_profile_of_another_is_known_by_its_username():
    shown = {
        "username": "jpd.demo",
        "name": "Jabatan Demo",
        "biography": "Akaun rasmi",
        "profile_picture_url": "https://a/b",
    }
    with Replay(by_path({"/me": ME, "/profile_lookup": shown})) as replay:
        profile = connector(replay.url).resolve(account("JPD.demo", "threads"))
        assert replay.asked[1].query["username"] == "JPD.demo"
    assert (profile.native_id, profile.handle, profile.bio) == ("jpd.demo", "jpd.demo", "Akaun rasmi")


@pytest.mark.parametrize("handle", ["Jabatan Demo", "", "https://facebook.com/jpd"])
def test_what_is_no_username_is_never_asked_for(handle):
    with pytest.raises(AccountNotFound):
        username_of(account(handle, "threads"))


def test_a_server_that_does_not_tell_whose_token_it_is_shows_others_all_the_same():
    with Replay(by_path({"/profile_posts": {"data": [item(1)]}})) as replay:
        assert ids(pull(replay.url)) == ["01"]


def test_a_page_that_is_wrongly_empty_hides_no_post_between_it_and_what_is_known():
    """Threads names a next page at its very end too, so an empty one is the end or a passing fault (fault 21)."""
    cursor = {"v": 1, "newest": (NOW - 5 * HOUR).isoformat()}
    for shown, known in (([item(1), item(5)], True), ([item(1), item(3)], False)):
        listing = {"data": shown, "paging": {"cursors": {"after": "a"}}}
        with Replay(by_path({"/me": ME, "/profile_posts": [listing, {"data": []}]})) as replay:
            assert (pull(replay.url, cursor)[-1].gap is None) is known


# ---------------------------------------------------------------- the own profile


def test_the_own_profile_is_read_with_its_replies_newest_first():
    threads = [{"data": [item(1), item(5)], "paging": {"cursors": {"after": "a"}}}, {"data": [item(9)]}]
    replies = {"data": [item(2, is_reply=True), item(7, is_reply=True)]}
    routes = {"/me/threads": threads, "/me/replies": replies, "/me": ME}
    with Replay(by_path(routes)) as replay:
        pages = pull(replay.url, of=MINE)
    assert ids(pages) == ["01", "02", "05", "07", "09"]
    assert [page.last for page in pages][-1]
    assert pages[-1].gap is None


def test_replies_that_are_closed_to_the_token_do_not_hide_the_posts():
    closed = as_json({"error": {"message": "(#10) Application does not have permission", "code": 10}}, status=400)
    with Replay(by_path({"/me/threads": {"data": [item(1)]}, "/me/replies": closed, "/me": ME})) as replay:
        assert ids(pull(replay.url, of=MINE)) == ["01"]


def test_the_sandbox_s_own_profile_is_read_whole():
    with Sandbox(World()) as sandbox:
        native_id = sandbox.world.add_account("threads", OWN, name="Pantau")
        for number, text in enumerate(["satu", "@warga dua", "tiga", "@warga empat"]):
            sandbox.world.publish("threads", OWN, text, at=NOW - number * HOUR)
        sandbox.world.page_sizes["threads"] = 1
        one = connector(sandbox.base_url("threads"), token="sandbox")
        profile = one.resolve(account(OWN, "threads"))
        posts = [
            post
            for page in one.pull(account(OWN, "threads", native_id=native_id), None, now=NOW)
            for post in page.posts
        ]
    assert profile.native_id == native_id
    assert [post.text for post in posts] == ["satu", "@warga dua", "tiga", "@warga empat"]
    assert [post.kind for post in posts][:2] == [PostKind.ORIGINAL, PostKind.REPLY]


def test_listings_that_are_merged_end_even_where_one_has_only_empty_pages():
    def endless():
        while True:
            yield listed((), more=True)

    answers = merged(endless(), iter([listed(parse_items({"data": [item(1)]}), more=False)]))
    assert [len(next(answers).posts) for _ in range(5)] == [0, 0, 0, 0, 0]


def test_an_end_above_what_is_known_is_none():
    """I1, as above what is asked for: what told of a further page was lost on the way."""
    cursor = {"v": 1, "newest": (NOW - 30 * HOUR).isoformat()}
    with Replay(by_path({"/me": ME, "/profile_posts": {"data": [item(1), item(2)]}})) as replay:
        pages = list(connector(replay.url).pull(JPD, cursor, now=NOW))
    assert pages[-1].gap is not None
    with Replay(by_path({"/me": ME, "/profile_posts": {"data": [item(1), item(30)]}})) as replay:
        pages = list(connector(replay.url).pull(JPD, cursor, now=NOW))
    assert pages[-1].gap is None


# ---------------------------------------------------------------- read again


def known(*numbers: int) -> dict[str, datetime]:
    return {f"1810000{number:02}": NOW - number * HOUR for number in numbers}


def test_known_posts_are_looked_up_in_one_call():
    listing = {"data": [item(1, text="disunting"), item(3)], "paging": {"cursors": {"after": "a"}}}
    with Replay(by_path({"/me": ME, "/profile_posts": [listing, {"data": [item(5)]}]})) as replay:
        answer = connector(replay.url).reread_listed(JPD, known(1, 2), now=NOW)
    assert [post.text for post in answer.posts] == ["disunting"]
    assert answer.missing == {"181000002"}


def test_an_empty_listing_is_no_word_on_posts_that_can_be_read_by_id():
    gone = {"error": {"message": "Object with ID '1' does not exist", "code": 100, "error_subcode": 33}}
    routes = {"/me": ME, "/profile_posts": NO_MORE, "/181000001": item(1)}
    with Replay(by_path(routes, otherwise=as_json(gone, status=400))) as replay:
        answer = connector(replay.url).reread_listed(JPD, known(1, 2), now=NOW)
    assert [post.native_id for post in answer.posts] == ["181000001"]
    assert answer.missing == {"181000002"}


def test_a_stretch_of_the_past_is_asked_for_by_its_bounds():
    start, end = NOW - 10 * HOUR, NOW - 2 * HOUR
    listing = {"data": [item(1), item(2), item(3), item(10), item(11)]}
    with Replay(by_path({"/me": ME, "/profile_posts": listing})) as replay:
        pages = list(connector(replay.url).backfill(JPD, start, end, now=NOW))
        assert int(replay.asked[1].query["since"]) == int(start.timestamp())
    assert ids(pages) == ["03", "10"]
    assert (pages[-1].last, pages[-1].gap) == (True, None)


# ---------------------------------------------------------------- refusals


REFUSALS = {
    "a profile that discovery does not show": (
        {"message": "Invalid parameter", "code": 100, "error_user_title": "User not found"},
        400,
        AccountNotFound,
    ),
    "a permission that is missing": (
        {"message": "(#10) Application does not have permission", "code": 10},
        403,
        base.PermissionMissing,
    ),
    "a token that has expired": ({"message": "Session has expired", "code": 190}, 401, base.CredentialRefused),
    "calls used up": ({"message": "(#4) Application request limit reached", "code": 4}, 400, base.RateLimited),
    "a passing fault": (
        {"message": "An unknown error occurred", "code": 1, "is_transient": True},
        500,
        base.Unavailable,
    ),
}


@pytest.mark.parametrize(("error", "status", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_sorted_by_what_it_means(error, status, kind):
    answer = as_json({"error": {**error, "message": f"{error['message']} {TOKEN}"}}, status=status)
    with Replay(by_path({"/me": ME, "/profile_posts": answer})) as replay, pytest.raises(ConnectorError) as caught:
        pull(replay.url)
    assert type(caught.value) is kind
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_no_credential_is_kept_with_a_post():
    quoted = {"id": "1", "permalink": f"https://graph.threads.com/x?access_token={TOKEN}"}
    assert TOKEN not in json.dumps(parse_post(item(1, quoted_post=quoted)).raw)


def test_the_token_is_described_with_whose_it_is():
    token = {"data": {"is_valid": True, "expires_at": 1_798_000_000, "scopes": ["threads_basic"]}}
    with Replay(by_path({"/debug_token": token, "/me": ME})) as replay:
        sentence = connector(replay.url).check()
    assert "until 2026-12-23" in sentence
    assert sentence.endswith("it grants threads_basic; it is that of @pantau.demo")


@pytest.mark.parametrize("told", [as_json({"error": {"code": 100}}, status=400), {"data": {"app_id": "1"}}])
def test_a_token_that_may_not_look_at_itself_is_accepted_all_the_same(told):
    with Replay(by_path({"/debug_token": told, "/me": ME})) as replay:
        sentence = connector(replay.url).check()
    assert sentence == ("threads: the token is accepted; Threads does not say until when; it is that of @pantau.demo")


def test_a_day_s_discoveries_are_counted_and_not_overdrawn():
    day = DayCount(3)
    for hours in (0, 1, 2):
        day.count(NOW + hours * HOUR)
    (left,) = day.allowances()
    assert (left.limit, left.remaining, left.resets_at) == (3, 0, NOW + 24 * HOUR)
    with pytest.raises(base.RateLimited) as caught:
        day.count(NOW + 23 * HOUR)
    assert caught.value.retry_at == NOW + 24 * HOUR
    day.count(NOW + 24 * HOUR)
    assert day.allowances()[0].remaining == 0


def test_each_call_for_another_s_profile_counts_and_the_own_profile_s_do_not():
    routes = {"/me/threads": NO_MORE, "/me/replies": NO_MORE, "/me": ME, "/profile_posts": [POSTS, NO_MORE]}
    with Replay(by_path(routes)) as replay:
        one = connector(replay.url)
        list(one.pull(MINE, None, now=NOW))
        assert one.allowances() == ()
        list(one.pull(JPD, None, now=NOW))
    assert [(told.name, told.remaining) for told in one.allowances()] == [("units a day", 996)]
