"""YouTube as its Data API and its feeds answer: recorded shapes, and what servers leave out."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from replay import DATA, Answer, Asked, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, RateLimited, SchemaDrift, Unavailable
from connectors.youtube import YouTubeConnector, YouTubeSettings
from connectors.youtube.feeds import parse_feed
from connectors.youtube.units import next_day
from monitor.model import Cause, MediaKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
KEY = "AIzaPlantedKeyThatNobodyMaySee"
CHANNEL = "UCJabatanPerkhidmatanDem"
JPD = account("jpdemo", "youtube", id=1, native_id=CHANNEL)
CHANNEL_ANSWER, UPLOADS, VIDEOS = (recorded(f"youtube/{name}") for name in ("channel", "uploads", "videos"))
NO_CHANNEL = {"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0, "resultsPerPage": 5}}
NO_UPLOADS = as_json({"error": {"code": 404, "errors": [{"reason": "playlistNotFound"}]}}, status=404)


def videos_of(asked: Asked) -> dict[str, object]:
    return {**VIDEOS, "items": [one for one in VIDEOS["items"] if one["id"] in asked.query["id"].split(",")]}


ROUTES = {"/channels": CHANNEL_ANSWER, "/playlistItems": UPLOADS, "/videos": videos_of}
FEED = (DATA / "youtube" / "feed.xml").read_bytes()


def connector(url: str, *, key: str = KEY, daily_units: int = 10_000, **bounds: object) -> YouTubeConnector:
    settings = YouTubeSettings(api_key=Secret(key), base_url=url, feed_url=url, daily_units=daily_units)
    bounds = {"back_catalogue": 3200, **bounds}
    return YouTubeConnector(settings, Network(timeout=timedelta(seconds=5)), base.Bounds(**bounds))


def pull(url: str, cursor=None, *, of=JPD, now: datetime = NOW, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(of, cursor, now=now))


def serve(**routes: object) -> Replay:
    return Replay(by_path({**ROUTES, **{f"/{name}": one for name, one in routes.items()}}))


@pytest.fixture(scope="module")
def posts():
    with serve() as replay:
        (page,) = pull(replay.url)
    return {post.native_id: post for post in page.posts}


# ---------------------------------------------------------------- what videos say


def test_title_and_description_are_the_text_and_its_addresses_are_links(posts):
    video = posts["taklimat001"]
    assert video.text.splitlines()[0] == "Taklimat & soal jawab"
    assert video.links == ("https://borang.jpd.example.my/a?b=1&c=2", "https://www.jpd.example.my")
    assert (video.url, video.language) == ("https://www.youtube.com/watch?v=taklimat001", "ms-MY")
    assert video.published_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_the_largest_picture_and_the_video_are_its_media(posts):
    picture, video = posts["taklimat001"].media
    assert (picture.kind, picture.url) == (MediaKind.PICTURE, "https://i.ytimg.com/vi/taklimat001/maxresdefault.jpg")
    assert (video.kind, video.url) == (MediaKind.VIDEO, "https://www.youtube.com/watch?v=taklimat001")
    assert posts["lama0000001"].media[0].url.endswith("/hqdefault.jpg")


def test_a_broadcast_that_ends_is_no_edit_for_its_picture_s_name(posts):
    assert posts["liveNOW0001"].media[0].url == "https://i.ytimg.com/vi/liveNOW0001/maxresdefault.jpg"
    assert posts["liveNOW0001"].raw["snippet"]["liveBroadcastContent"] == "live"


def test_private_and_deleted_videos_of_the_list_are_no_posts(posts):
    assert set(posts) == {"liveNOW0001", "taklimat001", "lambat00001", "lama0000001"}


def test_a_video_that_cannot_be_looked_up_yet_is_read_from_the_list(posts):
    assert posts["lambat00001"].text == "Video yang baru dimuat naik\n\nBelum dapat dicari mengikut id."


def test_the_list_and_the_look_up_say_the_same_of_a_video(posts):
    with serve(videos={**VIDEOS, "items": []}) as replay:
        (page,) = pull(replay.url)
    poorer = {post.native_id: post for post in page.posts}
    assert poorer["taklimat001"].content_hash == posts["taklimat001"].content_hash


def test_a_channel_s_profile():
    with serve() as replay:
        profile = connector(replay.url).resolve(JPD)
    assert (profile.native_id, profile.name, profile.handle) == (CHANNEL, "Jabatan Perkhidmatan Demo", "jpdemo")
    assert profile.picture_url == "https://yt3.ggpht.com/abc=s800"
    assert profile.bio.startswith("Saluran rasmi.")


BROKEN = {
    "an item without a video": {"items": [{"snippet": {"title": "x", "publishedAt": "2026-11-20T08:00:00Z"}}]},
    "an item without a time": {"items": [{"contentDetails": {"videoId": "a"}, "snippet": {}}]},
    "a time that is none": {"items": [{"contentDetails": {"videoId": "a", "videoPublishedAt": "semalam"}}]},
    "items that are no list": {"items": {"0": {}}},
    "items that are no objects": {"items": ["a"]},
    "no object": ["a"],
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_an_answer_is_never_no_news_with(answer):
    with serve(playlistItems=as_json(answer)) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


def test_nulls_and_missing_parts_of_a_video_are_no_matter():
    bare = {"id": "lama0000001", "snippet": {"title": "x", "publishedAt": "2026-11-20T08:00:00Z", "thumbnails": None}}
    with serve(videos={"items": [bare]}) as replay:
        posts = {post.native_id: post for post in pull(replay.url)[0].posts}
    assert (posts["lama0000001"].text, len(posts["lama0000001"].media)) == ("x", 1)


# ---------------------------------------------------------------- which channel


def asked_for(replay: Replay) -> list[tuple[str, str]]:
    names = ("id", "forHandle", "forUsername")
    return [(name, one.query[name]) for one in replay.asked for name in names if name in one.query]


NAMED = {
    "a handle": (account("@jpdemo", "youtube"), [("forHandle", "@jpdemo"), ("forUsername", "jpdemo")]),
    "an id as handle": (account(CHANNEL, "youtube"), [("id", CHANNEL)]),
    "an address": (
        account("", "youtube", url="https://www.youtube.com/@jpdemo/videos"),
        [("forHandle", "@jpdemo"), ("forUsername", "jpdemo")],
    ),
    "an address with the id": (account("", "youtube", url=f"https://youtube.com/channel/{CHANNEL}"), [("id", CHANNEL)]),
    "an address of the oldest form": (
        account("jpdemo", "youtube", url="https://www.youtube.com/user/jpdemo"),
        [("forUsername", "jpdemo")],
    ),
}


@pytest.mark.parametrize(("one", "questions"), NAMED.values(), ids=NAMED)
def test_a_channel_is_asked_for_by(one, questions):
    with serve(channels=NO_CHANNEL) as replay:
        with pytest.raises(AccountNotFound, match="correct the register"):
            connector(replay.url).resolve(one)
        assert asked_for(replay) == questions


def test_many_known_channels_are_asked_for_in_one_call():
    others = [account(f"UC{n:022}", "youtube", id=n) for n in range(2, 50)]
    with serve() as replay:
        found = connector(replay.url).resolve_many([JPD, *others[:3], account("", "youtube", id=99)])
    assert found[JPD.id].name == "Jabatan Perkhidmatan Demo"
    assert isinstance(found[99], AccountNotFound)
    assert len(replay.asked[0].query["id"].split(",")) == 4


def test_a_channel_without_a_video_is_empty_and_no_error():
    nothing = json.loads(json.dumps(CHANNEL_ANSWER).replace('"videoCount": "5"', '"videoCount": "0"'))
    with serve(playlistItems=NO_UPLOADS, channels=nothing) as replay:
        (page,) = pull(replay.url)
    assert (page.posts, page.last, page.gap) == ((), True, None)


def test_a_list_that_is_lost_while_videos_are_counted_is_no_empty_channel():
    with serve(playlistItems=NO_UPLOADS) as replay, pytest.raises(Unavailable):
        pull(replay.url)


def test_a_list_that_goes_by_another_name_is_read_by_it():
    other = json.loads(json.dumps(CHANNEL_ANSWER).replace(f"UU{CHANNEL[2:]}", "UUanother"))
    answers = lambda asked: UPLOADS if asked.query["playlistId"] == "UUanother" else NO_UPLOADS  # noqa: E731
    with serve(playlistItems=answers, channels=other) as replay:
        assert len(pull(replay.url)[0].posts) == 4


def test_a_channel_that_is_gone_is_not_found():
    with serve(playlistItems=NO_UPLOADS, channels=NO_CHANNEL) as replay, pytest.raises(AccountNotFound):
        pull(replay.url)


# ---------------------------------------------------------------- units


def test_nothing_new_costs_one_unit_and_leaves_the_cursor_alone():
    with serve() as replay:
        (first,) = pull(replay.url)
        replay.asked.clear()
        (again,) = pull(replay.url, first.cursor, now=NOW + timedelta(hours=1))
    assert (again.posts, again.last, again.cursor) == ((), True, first.cursor)
    assert [path.rpartition("/")[2] for path in replay.paths] == ["playlistItems"]


def test_a_new_video_costs_two_units_while_the_first_page_reaches_what_is_known():
    with serve(playlistItems=page_of(range(1, 4), "b"), videos={"items": []}) as replay:
        cursor = pull(replay.url, page_limit=1)[-1].cursor
        cursor = {key: value for key, value in cursor.items() if key != "lost_after"}
        replay.script = by_path({**ROUTES, "/playlistItems": page_of(range(4), "b"), "/videos": {"items": []}})
        replay.asked.clear()
        (page,) = pull(replay.url, cursor)
        calls = [path.rpartition("/")[2] for path in replay.paths]
    assert (page.last, page.gap, calls) == (True, None, ["playlistItems", "videos"])


def test_the_same_etag_over_another_list_hides_nothing():
    changed = json.loads(json.dumps(UPLOADS).replace("lambat00001", "baharu00001"))
    with serve() as replay:
        (first,) = pull(replay.url)
    with serve(playlistItems=changed) as replay:
        (second,) = pull(replay.url, first.cursor)
    assert "baharu00001" in {post.native_id for post in second.posts}


def test_the_day_s_units_are_counted_until_midnight_pacific():
    with serve() as replay:
        reader = connector(replay.url, daily_units=3)
        assert reader.allowances() == ()
        list(reader.pull(JPD, None, now=NOW))
        (left,) = reader.allowances()
        assert (left.limit, left.remaining) == (3, 1)
        assert left.resets_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)  # 00:00 PST
        with pytest.raises(RateLimited) as refused:
            list(reader.pull(JPD, None, now=NOW))
        assert refused.value.retry_at == left.resets_at
        assert len(replay.asked) == 3
        list(reader.pull(JPD, None, now=left.resets_at))


def test_midnight_pacific_follows_their_summer_time():
    assert next_day(datetime(2026, 7, 1, 12, tzinfo=UTC)) == datetime(2026, 7, 2, 7, tzinfo=UTC)


def test_google_s_own_word_ends_the_day():
    (row,) = [one for one in recorded("youtube/refusals") if one["sentence"] == "the day's units are used up"]
    with serve(playlistItems=as_json(row["answer"], status=403)) as replay:
        reader = connector(replay.url)
        with pytest.raises(RateLimited) as refused:
            list(reader.pull(JPD, None, now=NOW))
        with pytest.raises(RateLimited):
            list(reader.pull(JPD, None, now=NOW))
    assert refused.value.retry_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert len(replay.asked) == 1
    assert reader.allowances()[0].remaining == 0


REFUSALS = {row["sentence"]: row for row in recorded("youtube/refusals")}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_told_apart(row):
    answer = as_json(row["answer"], status=row["status"])
    with serve(playlistItems=answer) as replay, pytest.raises(ConnectorError) as refused:
        pull(replay.url)
    assert type(refused.value).__name__ == row["error"]
    assert row["says"] in str(refused.value)
    assert KEY not in "".join(traceback.format_exception(refused.value))


def test_an_error_in_a_success_is_a_refusal():
    answer = as_json({"error": {"errors": [{"reason": "quotaExceeded"}]}})
    with serve(playlistItems=answer) as replay, pytest.raises(RateLimited):
        pull(replay.url)


@pytest.mark.parametrize("reason", [KEY, "x" * 400, "a\r\nb: c", 7, None])
def test_a_reason_that_is_none_of_google_s_is_not_repeated(reason):
    answer = {"error": {"errors": [{"reason": reason}], "details": "none"}}
    with serve(playlistItems=as_json(answer, status=400)) as replay, pytest.raises(SchemaDrift) as refused:
        pull(replay.url)
    assert KEY not in str(refused.value)
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------- videos read again


def again(url: str, *ids: str, **how: object) -> base.Reread:
    return connector(url, **how).reread(JPD, ids, now=NOW)


def test_what_the_api_leaves_out_is_missing_and_what_it_calls_private_is_hidden():
    private = {**VIDEOS["items"][2], "status": {"privacyStatus": "private", "uploadStatus": "processed"}}
    rejected = {**VIDEOS["items"][1], "status": {"privacyStatus": "public", "uploadStatus": "rejected"}}
    with serve(videos={"items": [VIDEOS["items"][0], private, rejected]}) as replay:
        answer = again(replay.url, "liveNOW0001", "lama0000001", "taklimat001", "padam000001")
    assert [post.native_id for post in answer.posts] == ["liveNOW0001"]
    assert answer.hidden == {"lama0000001"}
    assert answer.missing == {"taklimat001", "padam000001"}


def test_a_hundred_videos_are_two_calls():
    with serve() as replay:
        again(replay.url, *(f"{n:011}" for n in range(98)), "lama0000001", "taklimat001")
    assert [len(one.query["id"].split(",")) for one in replay.asked] == [50, 50]


def test_no_video_is_missing_while_the_channel_itself_is_gone():
    with serve(videos={"items": []}, channels=NO_CHANNEL) as replay, pytest.raises(AccountNotFound):
        again(replay.url, "lama0000001")


def test_an_edit_is_dated_by_when_it_was_seen_on_a_video_that_was_known():
    changed = json.loads(json.dumps(UPLOADS).replace("lambat00001", "baharu00001"))
    with serve() as replay:
        (first,) = pull(replay.url)
    with serve(playlistItems=changed) as replay:
        (second,) = pull(replay.url, first.cursor, now=NOW + timedelta(hours=1))
        answer = again(replay.url, "lama0000001")
    assert {post.edited_at for post in first.posts} == {None}
    dated = {post.native_id: post.edited_at for post in second.posts}
    assert (dated["lama0000001"], dated["baharu00001"]) == (NOW + timedelta(hours=1), None)
    assert answer.posts[0].edited_at == NOW


# ---------------------------------------------------------------- the past


def page_of(numbers: range, following: str = "") -> dict[str, object]:
    items = [
        {
            "snippet": {"title": f"video {n}"},
            "status": {"privacyStatus": "public"},
            "contentDetails": {"videoId": f"v{n}", "videoPublishedAt": (NOW - timedelta(days=n)).isoformat()},
        }
        for n in numbers
    ]
    return {"kind": "youtube#playlistItemListResponse", "items": items, "nextPageToken": following}


def test_a_stretch_of_the_past_is_read_to_its_beginning_and_no_further():
    pages = {"": page_of(range(3), "b"), "b": page_of(range(3, 6), "c"), "c": page_of(range(6, 9), "d")}
    with serve(playlistItems=lambda asked: pages[asked.query.get("pageToken", "")], videos={"items": []}) as replay:
        start, end = NOW - timedelta(days=5), NOW - timedelta(days=1)
        found = list(connector(replay.url).backfill(JPD, start, end, now=NOW))
    assert [post.native_id for page in found for post in page.posts] == ["v2", "v3", "v4", "v5"]
    assert [(page.last, page.gap) for page in found] == [(False, None), (False, None), (True, None)]


def test_a_past_that_is_too_long_to_walk_is_a_gap():
    with serve(playlistItems=page_of(range(3), "b"), videos={"items": []}) as replay:
        start = NOW - timedelta(days=50)
        found = list(connector(replay.url, page_limit=2).backfill(JPD, start, NOW, now=NOW))
    gap = found[-1].gap
    assert (gap.start, gap.end, gap.cause) == (start, NOW - timedelta(days=2), Cause.BURST)


def test_a_list_without_end_ends():
    endless = lambda asked: page_of(range(3), "b")  # noqa: E731
    with serve(playlistItems=endless, videos={"items": []}) as replay:
        pages = pull(replay.url)
    assert pages[-1].last
    assert len(pages) < 5


# ---------------------------------------------------------------- without a key


def test_a_feed_says_of_a_video_what_the_api_says(posts):
    profile, (video,) = parse_feed(FEED, what="youtube/jpdemo")
    assert profile.name == "Jabatan Perkhidmatan Demo"
    told = (video.native_id, video.text, video.links, video.published_at, video.url)
    known = posts["taklimat001"]
    assert told == (known.native_id, known.text, known.links, known.published_at, known.url)


def by_feed(asked: Asked) -> Answer:
    if asked.path == "/feeds/videos.xml" and asked.query == {"channel_id": CHANNEL}:
        return Answer(body=FEED, headers={"Content-Type": "text/xml; charset=UTF-8"})
    if asked.path in {"/@jpdemo", "/user/jpdemo"}:
        link = f'<link rel="canonical" href="https://www.youtube.com/channel/{CHANNEL}">'
        return Answer(body=f"<!DOCTYPE html><html><head>{link}</head></html>".encode())
    return Answer(status=404, body=b"<html>404</html>")


@pytest.mark.parametrize(
    "one", [account("jpdemo", "youtube"), account("jpdemo", "youtube", url="https://youtube.com/user/jpdemo"), JPD]
)
def test_without_a_key_the_channel_s_page_tells_its_id_and_the_feed_the_rest(one):
    with Replay(by_feed) as replay:
        profile = connector(replay.url, key="").resolve(one)
        (page,) = pull(replay.url, of=one, key="")
    assert (profile.native_id, profile.name) == (CHANNEL, "Jabatan Perkhidmatan Demo")
    assert [post.native_id for post in page.posts] == ["taklimat001"]


def test_a_page_that_asks_for_consent_is_no_channel():
    page = Answer(body=b"<html>Before you continue to YouTube</html>")
    with Replay(lambda _: page) as replay, pytest.raises(SchemaDrift, match="UC…"):
        connector(replay.url, key="").resolve(account("jpdemo", "youtube"))


def test_without_a_key_the_feed_decides_of_its_own_videos_alone():
    with Replay(by_feed) as replay:
        answer = again(replay.url, "taklimat001", "lama0000001", key="")
    assert [post.native_id for post in answer.posts] == ["taklimat001"]
    assert (answer.missing, answer.hidden) == (frozenset(), frozenset())


def test_without_a_key_the_past_below_the_feed_is_a_gap():
    entry = FEED[FEED.index(b"<entry>") : FEED.index(b"</entry>") + 8]
    many = b"".join(entry.replace(b"taklimat001", f"video{n:06}".encode()) for n in range(15))
    full = FEED.replace(entry, many)
    with Replay(lambda _: Answer(body=full)) as replay:
        (page,) = connector(replay.url, key="").backfill(JPD, NOW - timedelta(days=9), NOW, now=NOW)
    assert len(page.posts) == 15
    assert (page.gap.start, page.gap.end) == (NOW - timedelta(days=9), datetime(2026, 11, 23, 9, 0, tzinfo=UTC))


def test_a_key_goes_nowhere_but_to_the_api():
    with Replay(lambda _: Answer()) as other:
        away = Answer(status=302, headers={"Location": other.url})
        with Replay(lambda _: away) as replay, pytest.raises(base.AddressRefused):
            pull(replay.url)
    assert other.asked == []


@pytest.mark.parametrize("path", ["", "/youtube/v3", "/youtube/v3/"])
def test_the_api_s_address_is_understood_with_and_without_its_path(path):
    with serve() as replay:
        assert "accepted" in connector(replay.url + path).check()
    assert replay.paths == ["/youtube/v3/channels"]
    assert replay.asked[0].query["key"] == KEY
