"""X as it answers: recorded shapes, and servers that do not do all that X does."""

from __future__ import annotations

import copy
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import tweepy
from builders import account
from replay import Answer, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, PermissionMissing, SchemaDrift, Wanted
from connectors.x import XConnector, XSettings
from connectors.x.posts import parse_timeline
from connectors.x.refusals import FAILURES
from connectors.x.timeline import Walk, since
from monitor.model import Cause, MediaKind, PostKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OVERLAP = 10 * MINUTE
USER = "1410060000000000001"
TOKEN = "AAAAplantedBearerTokenThatNobodyMaySee"
JPD = account("JPD_Demo", id=1, native_id=USER)
EMPTY = {"meta": {"result_count": 0}}


def connector(url: str, **how: object) -> XConnector:
    settings = XSettings(bearer_token=Secret(TOKEN), base_url=url)
    return XConnector(
        settings,
        Network(timeout=timedelta(seconds=5)),
        base.Bounds(**{"overlap": OVERLAP, "back_catalogue": 3200, **how}),
    )


def pull(url: str, cursor=None, *, now: datetime = NOW, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(JPD, cursor, now=now))


def post(number: int, *, at: datetime | None = None, text: str = "hantaran") -> dict[str, object]:
    created = at or NOW - timedelta(hours=1) + timedelta(seconds=number)
    native_id = str((int(created.timestamp() * 1000) - 1_288_834_974_657) << 22 | number)
    return {"id": native_id, "text": f"{text} {number}", "created_at": created.isoformat().replace("+00:00", "Z")}


def page(*posts: dict[str, object], token: str = "") -> dict[str, object]:
    return {"data": list(posts), "meta": {"result_count": len(posts)} | ({"next_token": token} if token else {})}


# ---------------------------------------------------------------- what posts say


@pytest.fixture(scope="module")
def timeline():
    posts = parse_timeline(recorded("x/timeline"))
    names = ["plain", "media", "poll", "reply", "retweet", "quote", "long"]
    return dict(zip(names, sorted(posts, key=lambda one: one.published_at), strict=True))


def test_a_long_post_is_read_whole(timeline):
    assert timeline["long"].text.endswith("Tamat.")
    assert "https://www.jpd.example.my/kenyataan" in timeline["long"].links


def test_a_quoting_post_shows_what_it_quotes(timeline):
    assert timeline["quote"].kind is PostKind.QUOTE
    assert timeline["quote"].text.startswith("Sila ambil perhatian")
    assert timeline["quote"].text.endswith("Jadual bayaran bantuan bagi bulan Disember telah dikemas kini.")


def test_a_repost_is_read_whole_with_its_pictures_and_links(timeline):
    repost = timeline["retweet"]
    assert repost.kind is PostKind.REPOST
    assert repost.text.endswith("Pusat pemindahan dibuka di Dewan Demo.")
    assert [media.url for media in repost.media] == ["https://pbs.twimg.com/media/Contoh3.jpg"]
    assert repost.links == ("https://banjir.example.my/",)


def test_a_reply_is_a_reply_and_does_not_repeat_what_it_answers(timeline):
    assert timeline["reply"].kind is PostKind.REPLY
    assert timeline["reply"].text == "@rakyat Terima kasih, aduan dirujuk kepada cawangan."


def test_the_choices_of_a_poll_are_text(timeline):
    assert timeline["poll"].text.splitlines() == [
        "Bila masa terbaik untuk kaunter bergerak?",
        "Pagi Isnin",
        "Petang Jumaat",
    ]


def test_pictures_and_videos_come_with_their_description(timeline):
    picture, still, film = timeline["media"].media
    assert (picture.kind, picture.text) == (MediaKind.PICTURE, "Poster jadual kaunter")
    assert (still.kind, still.url) == (MediaKind.PICTURE, "https://pbs.twimg.com/ext_tw_video_thumb/Contoh2.jpg")
    assert (film.kind, film.url) == (MediaKind.VIDEO, "https://video.twimg.com/contoh2.mp4")


def film_of(*files, **how):
    item = {"id": "1410000000000000009", "text": "a", "attachments": {"media_keys": ["7_1"]}}
    media = [{"media_key": "7_1", "type": "video", "variants": list(files), **how}]
    (post,) = parse_timeline({"data": [item], "includes": {"media": media}})
    return post


SMALL, LARGE = ({"content_type": "video/mp4", "bit_rate": n, "url": f"https://video.twimg.com/{n}.mp4"} for n in (1, 2))
PIECES = {"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/pl.m3u8"}


def test_a_film_is_its_best_file_else_its_post():
    films = [film_of(*files).media[-1].url for files in ((SMALL, LARGE, PIECES), (PIECES,), ({"url": 7},), ())]
    page = "https://x.com/i/status/1410000000000000009"
    assert films == [LARGE["url"], PIECES["url"], page, page]
    assert [one.kind for one in film_of(SMALL, preview_image_url=None).media] == [MediaKind.VIDEO]


def test_a_better_file_of_a_film_is_no_edit():
    """Versions are told apart by their own id and words alone; see test_store_posts.py, "poorer"."""
    assert film_of(SMALL).own == film_of(SMALL, LARGE).own == {"id": "1410000000000000009", "text": "a"}


def test_a_link_is_where_it_ends_and_ampersands_are_what_a_reader_sees(timeline):
    assert timeline["plain"].links == ("https://www.jpd.example.my/cuti-umum?tahun=2026",)
    assert timeline["plain"].text.endswith("https://t.co/AbCdEf0005 & kaunter")
    assert timeline["plain"].published_at == datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


def test_the_new_spelling_of_fields_reads_like_the_old_one(timeline):
    repost, long = parse_timeline(recorded("x/timeline_renamed"))
    assert (long.native_id, long.text) == (timeline["long"].native_id, timeline["long"].text)
    assert (repost.kind, repost.text) == (timeline["retweet"].kind, timeline["retweet"].text)


def test_an_edited_post_keeps_its_first_id_and_time():
    (edited,) = parse_timeline(recorded("x/edited"))
    assert edited.native_id != edited.raw["id"]
    assert edited.published_at.replace(microsecond=0) == datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
    assert edited.edited_at == datetime(2026, 11, 22, 5, 12, tzinfo=UTC)


def test_a_post_with_only_id_and_text_is_dated_by_its_id():
    bare = {key: value for key, value in post(1).items() if key in {"id", "text"}}
    (read,) = parse_timeline({"data": [bare]})
    assert read.published_at == NOW - timedelta(hours=1) + timedelta(seconds=1)


def test_two_versions_of_a_post_in_one_answer_are_the_newer_one():
    newer = recorded("x/edited")["data"][0]
    older = recorded("x/lookup")["data"][0]
    (read,) = parse_timeline({"data": [newer, older]})
    assert read.text == newer["text"]


DRIFTS = {
    "nothing that X ever sends": {"unexpected": 1},
    "data that is no list": {"data": {"id": "1", "text": "a"}},
    "a post without text": {"data": [{"id": "1"}]},
    "a post whose id is no text": {"data": [{"id": None, "text": "a"}]},
    "a post without any time": {"data": [{"id": "12", "text": "a"}]},
    "a time that is none": {"data": [{"id": "12", "text": "a", "created_at": "semalam"}]},
    "an edit history of something else": {"data": [{**post(1), "edit_history_tweet_ids": [1]}]},
    "includes that are no object": {"data": [post(1)], "includes": []},
    "posts counted but not sent": {"meta": {"result_count": 3}},
}


@pytest.mark.parametrize("payload", DRIFTS.values(), ids=DRIFTS)
def test_a_changed_schema_is_never_no_news(payload):
    with Replay(by_path({"/tweets": payload})) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


@pytest.mark.parametrize("payload", [EMPTY, {"data": []}, {"data": [], "meta": {"result_count": 0}}])
def test_no_posts_is_an_empty_last_page(payload):
    with Replay(by_path({"/tweets": payload})) as replay:
        (only,) = pull(replay.url)
    assert (only.posts, only.last, only.gap) == ((), True, None)


QUOTED = {"type": "quoted", "id": "999"}
LACKING = {
    "a quoted post": {"referenced_tweets": [QUOTED]},
    "a reposted post": {"referenced_tweets": [{"type": "retweeted", "id": "999"}]},
    "a picture": {"attachments": {"media_keys": ["3_1"]}},
    "a poll": {"attachments": {"poll_ids": ["7"]}},
}


@pytest.mark.parametrize("facts", LACKING.values(), ids=LACKING)
def test_a_post_says_which_part_of_it_is_its_own_when_the_answer_lacks_what_it_refers_to(facts):
    item = {**post(1), **facts}
    (read,) = parse_timeline({"data": [item]})
    assert read.own == {"id": item["id"], "text": item["text"]}


def test_a_post_whose_references_are_in_the_answer_is_whole(timeline):
    assert {name for name, one in timeline.items() if one.own is not None} == {"media"}  # a film
    (reply,) = parse_timeline({"data": [{**post(1), "referenced_tweets": [{"type": "replied_to", "id": "999"}]}]})
    assert reply.own is None


# ---------------------------------------------------------------- the walk


def test_partial_errors_on_a_success_lose_no_post():
    with Replay(by_path({"/tweets": recorded("x/timeline")})) as replay:
        (only,) = pull(replay.url)
    assert len(only.posts) == 7
    assert only.last


def test_a_server_that_ignores_the_page_token_is_left_with_a_gap():
    here = account("JPD_Demo", id=1, native_id=USER, registered_at=NOW - timedelta(days=3))
    with Replay(by_path({"/tweets": page(post(1), post(2), token="same")})) as replay:
        pages = list(connector(replay.url).pull(here, None, now=NOW))
        assert len(replay.asked) <= 3
    assert pages[-1].last
    assert pages[-1].gap is not None
    assert pages[-1].gap.start == here.registered_at


def test_a_server_with_a_fresh_token_for_the_same_page_is_left():
    tokens = iter(f"t{n}" for n in range(10_000))
    with Replay(by_path({"/tweets": lambda _: page(post(1), token=next(tokens))})) as replay:
        pages = pull(replay.url)
        assert len(replay.asked) <= 3
    assert pages[-1].last


def test_a_server_that_ignores_since_id_is_read_down_to_what_is_known():
    news = [post(n, at=NOW - n * timedelta(hours=1)) for n in range(30)]
    token = lambda asked: int(asked.query.get("pagination_token", "0"))  # noqa: E731
    script = by_path(
        {"/tweets": lambda asked: page(*news[token(asked) : token(asked) + 5], token=str(token(asked) + 5))}
    )
    cursor = {"v": 1, "newest_id": news[7]["id"], "newest_at": news[7]["created_at"], "found_at": NOW.isoformat()}
    with Replay(script) as replay:
        pages = pull(replay.url, cursor)
        assert len(replay.asked) == 3
    assert pages[-1].gap is None
    assert pages[-1].cursor["newest_id"] == news[0]["id"]


def test_an_empty_page_in_the_middle_does_not_end_the_walk():
    pages = [page(post(3), token="a"), {"meta": {"result_count": 0, "next_token": "b"}}, page(post(1))]
    with Replay(by_path({"/tweets": pages})) as replay:
        read = [one.text for each in pull(replay.url) for one in each.posts]
    assert read == ["hantaran 3", "hantaran 1"]


def test_pages_are_asked_for_with_the_same_bound():
    with Replay(by_path({"/tweets": [page(post(2), token="a"), page(post(1))]})) as replay:
        cursor = {"v": 1, "newest_id": post(0)["id"], "settled": True}
        pull(replay.url, cursor)
        assert [asked.query["since_id"] for asked in replay.asked] == [post(0)["id"]] * 2
        assert replay.asked[1].query["pagination_token"] == "a"
        assert replay.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def small_pages(posts: list[dict[str, object]], size: int):
    """Answer page by page, newest first, honouring the token and nothing else."""

    def script(asked) -> dict[str, object]:
        begin = int(asked.query.get("pagination_token", "0"))
        rest = begin + size < len(posts)
        return page(*posts[begin : begin + size], token=str(begin + size) if rest else "")

    return by_path({"/tweets": script})


def test_a_first_pull_stops_at_the_back_catalogue():
    old = [post(n, at=NOW - timedelta(days=2, minutes=n)) for n in range(1, 100)]
    with Replay(small_pages(old, 1)) as replay:
        pages = pull(replay.url, back_catalogue=4)
    assert sum(len(one.posts) for one in pages) == 4
    assert pages[-1].gap is None


def test_the_back_catalogue_s_limit_does_not_end_a_first_pull_among_live_posts():
    live = [post(n, at=NOW - n * MINUTE) for n in range(1, 301)]
    old = [post(n, at=NOW - timedelta(days=2, minutes=n)) for n in range(301, 400)]
    with Replay(small_pages([*live, *old], 5)) as replay:
        pages = pull(replay.url, back_catalogue=100)
    assert {item["id"] for item in live} <= {one.native_id for each in pages for one in each.posts}
    assert sum(len(one.posts) for one in pages) == 305
    assert pages[-1].gap is None


@pytest.mark.parametrize(
    ("cursor", "answer", "is_bottom"),
    [
        pytest.param({}, page(post(2), post(1)), True, id="a first one that X ends"),
        pytest.param({}, page(), True, id="a first one that is empty"),
        pytest.param(
            {}, page(post(2, at=NOW - timedelta(days=9)), token="a"), False, id="a first one that ends itself"
        ),
        pytest.param({"v": 1, "newest_id": post(1)["id"]}, page(post(2)), False, id="a later one, which has a bound"),
    ],
)
def test_a_walk_comes_to_the_bottom_where_x_says_that_nothing_lies_below(cursor, answer, is_bottom):
    ends = replace(walk(cursor), back_catalogue=0).take(answer)
    assert (ends.last, ends.bottom) == (True, is_bottom)


def test_what_was_published_in_the_live_window_before_the_registration_is_live():
    here = account("JPD_Demo", id=1, native_id=USER, registered_at=NOW - timedelta(days=9))
    posts = [post(n, at=NOW - timedelta(hours=n)) for n in range(1, 24 * 12)]
    with Replay(small_pages(posts, 10)) as replay:
        pages = list(connector(replay.url, back_catalogue=20).pull(here, None, now=NOW))
    assert sum(len(one.posts) for one in pages) == 250


def test_a_burst_is_walked_to_its_end_however_small_the_pages():
    known = post(0, at=NOW - timedelta(days=1))
    burst = [*(post(n, at=NOW - n * MINUTE) for n in range(1, 601)), known]
    cursor = {"v": 1, "newest_id": known["id"], "found_at": NOW.isoformat()}
    with Replay(small_pages(burst, 10)) as replay:
        pages = pull(replay.url, cursor)
    assert sum(len(one.posts) for one in pages) == 601
    assert pages[-1].gap is None


def test_a_walk_that_is_cut_leaves_a_gap_whatever_times_its_posts_bear():
    """By ids: a post that appeared after the last one known may bear a time of long before."""
    cursor = {"v": 1, "newest_id": post(1)["id"], "newest_at": NOW.isoformat(), "found_at": NOW.isoformat()}
    late = {**post(2), "created_at": "2026-11-01T00:00:00Z"}
    ends = walk(cursor, page_limit=1).take(page(late, token="a"))
    assert ends.gap == base.Gap(start=None, end=datetime(2026, 11, 1, tzinfo=UTC), cause=Cause.BURST)


def cut_walk() -> tuple[base.Page, list[dict[str, object]]]:
    """Return the last page of a walk that lost posts 4 and 3, published within the overlap, and all that is shown."""
    cursor = {"v": 1, "newest_id": post(2)["id"], "newest_at": post(2)["created_at"], "found_at": NOW.isoformat()}
    return walk(cursor, page_limit=1).take(page(post(6), post(5), token="a")), [post(n) for n in (6, 5, 4, 3, 2)]


def test_a_later_walk_that_reads_all_that_was_lost_says_so():
    cut, shown = cut_walk()
    assert cut.gap is not None
    healed = walk(cut.cursor).take(page(*shown))
    assert (cut.heals, healed.heals) == (False, True)
    assert walk(healed.cursor).take(page(*shown)).heals is False


def test_a_later_walk_that_does_not_reach_what_was_lost_heals_nothing():
    cut, _ = cut_walk()
    far = {**post(9), "id": str(int(post(9)["id"]) + (3_600_000 << 22))}
    moved = walk(cut.cursor, page_limit=1).take(page(far, token="b"))
    assert walk(moved.cursor).take(page(far)).heals is False
    settled = {**cut.cursor, "settled": True}
    assert walk(settled).take(page(post(7))).heals is False


def test_a_walk_that_is_cut_below_the_newest_known_post_has_lost_nothing():
    cursor = {"v": 1, "newest_id": post(5)["id"], "newest_at": NOW.isoformat(), "found_at": NOW.isoformat()}
    assert walk(cursor, page_limit=1).take(page(post(6), post(5), token="a")).gap is None


def test_a_post_that_appears_late_is_looked_for_once_more_after_however_long_a_pause():
    first = walk({}).take(page(post(9)))
    pause = NOW + timedelta(hours=3)
    assert int(since(first.cursor, overlap=OVERLAP)["since_id"]) < int(post(9)["id"])
    second = walk(first.cursor, now=pause).take(page(post(9), post(4, text="lewat")))
    assert since(second.cursor, overlap=OVERLAP) == {"since_id": post(9)["id"]}


def test_a_post_whose_id_lies_in_the_future_hides_no_later_one():
    ahead, today = post(2, at=NOW + timedelta(days=400)), post(1)
    first = walk({}).take(page(ahead, today))
    assert first.cursor["newest_id"] == today["id"]
    again = walk(first.cursor).take(page(ahead))
    assert again.cursor["newest_id"] == today["id"]


def test_a_post_a_little_ahead_of_our_clock_is_the_newest_one():
    ahead = post(1, at=NOW + 2 * MINUTE)
    assert walk({}).take(page(ahead)).cursor["newest_id"] == ahead["id"]


def test_ids_that_are_no_times_are_taken_as_they_are():
    posts = [{**post(n), "id": str(n)} for n in (12, 11)]
    assert walk({}).take(page(*posts)).cursor["newest_id"] == "12"


def test_a_cursor_that_holds_an_id_of_the_future_is_begun_anew():
    ahead, today = post(2, at=NOW + timedelta(days=400)), post(1)
    cursor = {"v": 1, "newest_id": ahead["id"], "found_at": NOW.isoformat(), "settled": True}
    with Replay(by_path({"/tweets": page(ahead, today)})) as replay:
        pages = pull(replay.url, cursor)
        assert "since_id" not in replay.asked[0].query
    assert pages[-1].cursor["newest_id"] == today["id"]


def test_a_new_post_opens_the_look_back_again():
    settled = {"v": 1, "newest_id": post(1)["id"], "found_at": NOW.isoformat(), "settled": True}
    moved = walk(settled).take(page(post(2))).cursor
    assert int(since(moved, overlap=OVERLAP)["since_id"]) < int(post(1)["id"])


def test_ids_of_no_date_are_looked_back_from_by_time():
    cursor = {"v": 1, "newest_id": "12", "newest_at": NOW.isoformat(), "found_at": NOW.isoformat()}
    assert since(cursor, overlap=OVERLAP) == {"start_time": "2026-11-24T01:50:00Z"}


def test_pages_cut_off_without_a_post_are_a_gap_up_to_now():
    cursor = {"v": 1, "newest_id": post(1)["id"], "newest_at": "2026-11-23T00:00:00+00:00", "found_at": NOW.isoformat()}
    empty = {"meta": {"result_count": 0, "next_token": "a"}}
    ends = walk(cursor, page_limit=1).take(empty)
    assert ends.gap == base.Gap(start=datetime(2026, 11, 23, tzinfo=UTC), end=NOW, cause=Cause.BURST)


def test_where_a_cut_walk_came_to_is_told_by_when_a_post_was_edited():
    """A timeline goes by ids, and an edit has one of its own: an old post that was edited hides what lies below."""
    old, edit = post(1, at=NOW - timedelta(hours=9)), post(3)
    edited = {**edit, "edit_history_tweet_ids": [old["id"], edit["id"]]}
    known = post(0, at=NOW - timedelta(hours=12))
    cursor = {"v": 1, "newest_id": known["id"], "newest_at": known["created_at"], "settled": True}
    ends = walk(cursor, page_limit=1).take(page(post(4), edited, token="a"))
    assert ends.posts[0].published_at < ends.gap.end == datetime.fromisoformat(edit["created_at"])


def test_how_far_down_the_past_was_read_is_told_the_same_way():
    old, edit = post(1, at=NOW - timedelta(hours=9)), post(3)
    edited = {**edit, "edit_history_tweet_ids": [old["id"], edit["id"]]}
    with Replay(by_path({f"{USER}/tweets": [page(post(4), edited, token="a"), page(post(2))]})) as replay:
        pages = list(connector(replay.url).backfill(JPD, NOW - timedelta(hours=12), NOW, now=NOW))
    assert [one.reached for one in pages] == [datetime.fromisoformat(one["created_at"]) for one in (edit, post(2))]


def walk(start: object, *, now: datetime = NOW, page_limit: int = 40) -> Walk:
    bounds = {"page_limit": page_limit, "back_catalogue": 3200, "live_from": now - timedelta(days=1)}
    return Walk(start=start, account=JPD, overlap=OVERLAP, now=now, **bounds)


# ---------------------------------------------------------------- users


SINGLE = {"data": recorded("x/users")["data"][0]}


def test_known_unknown_and_suspended_names_of_one_call_each_get_their_answer():
    three = [account(name, id=n) for n, name in enumerate(["@jpd_demo", "tiada_akaun", "digantung"])]
    with Replay(by_path({"/users/by": recorded("x/users")})) as replay:
        found = connector(replay.url).resolve_many(three)
        assert len(replay.asked) == 1
    assert (found[0].native_id, found[0].handle, found[0].bio) == (USER, "JPD_Demo", "Akaun rasmi")
    assert isinstance(found[1], AccountNotFound)
    assert isinstance(found[2], PermissionMissing)


@pytest.mark.parametrize("native_id", ["", USER])
def test_a_server_with_single_look_ups_only_is_asked_for_each(native_id):
    path = f"/2/users/{USER}" if native_id else "/2/users/by/username/JPD_Demo"
    with Replay(by_path({path: SINGLE})) as replay:
        profile = connector(replay.url).resolve(account("JPD_Demo", id=1, native_id=native_id))
    assert profile.native_id == USER


def test_single_look_ups_tell_unknown_from_known():
    both = [account("JPD_Demo", id=1), account("tiada_akaun", id=2)]
    with Replay(by_path({"/username/JPD_Demo": SINGLE})) as replay:
        found = connector(replay.url).resolve_many(both)
    assert found[1].native_id == USER
    assert isinstance(found[2], AccountNotFound)


def test_an_account_can_be_registered_by_its_address_alone():
    with Replay(by_path({"/users/by": recorded("x/users")})) as replay:
        connector(replay.url).resolve(account("", id=1, url="https://twitter.com/JPD_Demo?lang=ms"))
        assert replay.asked[0].query["usernames"] == "JPD_Demo"


def test_a_handle_that_x_would_refuse_is_not_asked_for():
    with Replay(by_path({"/users/by": recorded("x/users")})) as replay:
        found = connector(replay.url).resolve_many([account("Jabatan Demo", id=1), account("JPD_Demo", id=2)])
        assert replay.asked[0].query["usernames"] == "JPD_Demo"
    assert isinstance(found[1], AccountNotFound)


def test_a_pull_without_a_known_id_asks_for_it_first():
    with Replay(by_path({"/users/by": recorded("x/users"), f"{USER}/tweets": EMPTY})) as replay:
        list(connector(replay.url).pull(account("JPD_Demo", id=1), None, now=NOW))
        assert replay.paths == ["/2/users/by", f"/2/users/{USER}/tweets"]


@pytest.mark.parametrize(("answer", "error"), [("tiada_akaun", AccountNotFound), ("digantung", PermissionMissing)])
def test_a_timeline_that_is_withheld_says_why(answer, error):
    errors = [one for one in recorded("x/users")["errors"] if one["value"] == answer]
    with Replay(by_path({"/tweets": {"errors": errors}})) as replay, pytest.raises(error):
        pull(replay.url)


# ---------------------------------------------------------------- read again


def lookup(asked) -> dict[str, object]:
    newest = recorded("x/lookup_newest")
    return newest if newest["data"][0]["id"] in asked.query["ids"].split(",") else recorded("x/lookup")


def test_reading_again_finds_the_newest_version_and_what_is_gone_but_not_what_is_hidden():
    shown, gone, hidden = (recorded("x/lookup")["data"][0]["id"], *(e["value"] for e in recorded("x/lookup")["errors"]))
    with Replay(by_path({"/2/tweets": lookup})) as replay:
        answer = connector(replay.url).reread(JPD, [shown, gone, hidden], now=NOW)
    assert [(one.native_id, one.text) for one in answer.posts] == [
        (shown, "Pejabat ditutup pada hari Isnin (pembetulan).")
    ]
    assert answer.missing == {gone}
    assert answer.hidden == {hidden}


def of_two_accounts(count):
    """Known posts of two accounts, every other one the first's."""
    ids = [post(n)["id"] for n in range(1, count + 1)]
    holders = (JPD, replace(JPD, id=2, handle="kcm", native_id="99"))
    return [Wanted(account=one, native_ids=ids[place::2]) for place, one in enumerate(holders)]


def test_posts_of_several_accounts_share_the_calls():
    def script(asked) -> dict[str, object]:
        return {"data": [{**post(1), "id": one} for one in asked.query["ids"].split(",")]}

    wanted = of_two_accounts(150)
    with Replay(by_path({"/2/tweets": script})) as replay:
        answers = connector(replay.url).reread_many(wanted, now=NOW)
        assert len(replay.asked) == 2
    for each in wanted:
        assert [one.native_id for one in answers[each.account.id].posts] == list(each.native_ids)


@pytest.mark.parametrize(("status", "calls"), [(503, 2), (429, 1), (401, 1)])
def test_a_call_that_fails_is_the_answer_for_whom_it_held(status, calls):
    """A passing fault concerns those of the one call; what the whole platform says concerns all."""
    failing = iter([Answer(status=status, body=b"{}")])

    def script(asked) -> object:
        return next(failing, {"data": [{**post(1), "id": one} for one in asked.query["ids"].split(",")]})

    first, second = of_two_accounts(300)
    first, second = (
        replace(first, native_ids=first.native_ids[:100]),
        replace(second, native_ids=second.native_ids[:50]),
    )
    with Replay(by_path({"/2/tweets": script})) as replay:
        answers = connector(replay.url).reread_many([first, second], now=NOW)
        assert len(replay.asked) == calls
    assert isinstance(answers[first.account.id], ConnectorError)
    assert isinstance(answers[second.account.id], ConnectorError) is (calls == 1)


def test_an_edit_whose_newest_version_cannot_be_read_is_a_failure_and_no_old_version():
    newest = recorded("x/lookup_newest")["data"][0]["id"]

    def script(asked) -> object:
        return Answer(status=503) if asked.query["ids"] == newest else recorded("x/lookup")

    with Replay(by_path({"/2/tweets": script})) as replay, pytest.raises(base.Unavailable):
        connector(replay.url).reread(JPD, [recorded("x/lookup")["data"][0]["id"]], now=NOW)


def looked_for(replay, native_ids, *, newest):
    wanted = Wanted(account=JPD, native_ids=native_ids, newest=newest)
    return connector(replay.url).reread_many([wanted], now=NOW)[JPD.id]


def test_an_edited_post_of_which_x_knows_the_newest_id_alone_is_not_deleted():
    edited = recorded("x/edited")["data"][0]
    first, newest = edited["edit_history_tweet_ids"][0], edited["id"]
    gone = recorded("x/lookup")["errors"][0]

    def script(asked) -> dict[str, object]:
        missing = [{**gone, "value": one, "resource_id": one} for one in asked.query["ids"].split(",") if one != newest]
        return {"data": [edited] if newest in asked.query["ids"].split(",") else [], "errors": missing}

    with Replay(by_path({"/2/tweets": script})) as replay:
        answer = looked_for(replay, [first, "1"], newest={first: newest})
        assert looked_for(replay, [first], newest={first: "2"}).missing == {first}
    assert [one.native_id for one in answer.posts] == [first]
    assert answer.missing == {"1"}


def test_a_server_without_look_ups_by_id_takes_no_post_for_deleted():
    known = [post(1)["id"], post(2)["id"]]
    with Replay(by_path({f"{USER}/tweets": page(post(2, text="disunting"))})) as replay:
        answer = connector(replay.url).reread(JPD, known, now=NOW)
    assert [one.text for one in answer.posts] == ["disunting 2"]
    assert answer.missing == frozenset()


# ---------------------------------------------------------------- refusals


PROBLEMS = {one["sentence"]: one for one in recorded("x/problems")}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_a_refusal_is_sorted_by_what_it_means(problem):
    answer = as_json(problem["body"], status=problem["status"])
    with Replay(by_path({"/tweets": answer})) as replay, pytest.raises(ConnectorError) as caught:
        pull(replay.url)
    assert type(caught.value) is getattr(base, problem["error"])
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_an_overloaded_server_says_when_to_come_back():
    answer = Answer(status=503, headers={"Retry-After": "Tue, 24 Nov 2026 03:00:00 GMT", "x-rate-limit-reset": "1"})
    with Replay(by_path({"/tweets": answer})) as replay, pytest.raises(base.Unavailable) as caught:
        pull(replay.url)
    assert caught.value.retry_at == datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_a_refusal_nested_without_end_is_told_by_its_status():
    answer = Answer(status=403, body=b"[" * 100_000, headers={"Content-Type": "application/json"})
    with Replay(by_path({"/tweets": answer})) as replay, pytest.raises(PermissionMissing):
        pull(replay.url)


@pytest.mark.parametrize("headers", [{"x-rate-limit-reset": "99999999999"}, {"Retry-After": "999999999"}])
def test_a_limit_without_an_end_in_sight_is_no_word_on_when_to_come_back(headers):
    answer = Answer(status=429, headers=headers)
    with Replay(by_path({"/tweets": answer})) as replay, pytest.raises(base.RateLimited) as caught:
        pull(replay.url)
    assert caught.value.retry_at is None


def test_a_redirect_to_another_server_does_not_take_the_token_along():
    with Replay(by_path({"/tweets": EMPTY})) as thief:
        away = Answer(status=302, headers={"Location": f"{thief.url}/2/tweets"})
        with Replay(by_path({"/tweets": away})) as replay, pytest.raises(base.AddressRefused):
            pull(replay.url)
        assert thief.asked == []


def test_every_exception_of_tweepy_has_a_row():
    from tweepy import errors

    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    assert {one for one in classes if issubclass(one, tweepy.TweepyException)} == FAILURES.keys()


def test_a_credential_is_proved_by_one_call():
    with Replay(by_path({"/users/by": recorded("x/users")})) as replay:
        assert "accepted" in connector(replay.url).check()
        assert len(replay.asked) == 1


def test_what_is_kept_of_a_post_is_what_x_sent():
    item = copy.deepcopy(recorded("x/timeline")["data"][0])
    assert parse_timeline({"data": [item]})[0].raw == item
