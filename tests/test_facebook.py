"""Facebook as the Graph API answers: recorded shapes, and servers that do not do all that it does."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import json
import traceback
from datetime import UTC, datetime, timedelta

import facebook
import pytest
from builders import account
from replay import Answer, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, ConnectorMisconfigured, SchemaDrift, Wanted
from connectors.facebook import FacebookConnector, FacebookSettings
from connectors.facebook.connector import page_of
from connectors.facebook.posts import parse_posts
from connectors.graph import budget, refusals
from connectors.graph.answers import describe_token
from connectors.graph.budget import parse_usage
from monitor.model import Cause, MediaKind, PostKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PAGE = "100060000000001"
TOKEN = "EAABplantedTokenThatNobodyMaySee"
JPD = account("jpd.demo", "facebook", id=1, native_id=PAGE)
POSTS = recorded("facebook/published_posts")
FIRST, SECOND = (item["id"] for item in POSTS["data"][:2])
GONE = next(one for one in recorded("facebook/refusals") if one["sentence"] == "a page that is gone")
NO_EDGE = {
    "error": {
        "message": "(#100) Tried accessing nonexisting field (published_posts) on node type (Page)",
        "type": "OAuthException",
        "code": 100,
    }
}


def connector(url: str, *, app_secret: str = "", api_version: str = "v26.0", **how: object) -> FacebookConnector:
    settings = FacebookSettings(
        access_token=Secret(TOKEN), app_secret=Secret(app_secret), base_url=url, api_version=api_version
    )
    return FacebookConnector(
        settings, Network(timeout=timedelta(seconds=5)), base.Bounds(**{"back_catalogue": 3200, **how})
    )


def pull(url: str, cursor=None, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(JPD, cursor, now=NOW))


def post(number: int, *, hour: int = 0, **more: object) -> dict[str, object]:
    created = NOW - timedelta(hours=hour or number)
    facts = {"id": f"{PAGE}_{number}", "message": f"hantaran {number}"}
    return {**facts, "created_time": created.strftime("%Y-%m-%dT%H:%M:%S+0000"), **more}


def ids(pages: list[base.Page]) -> list[str]:
    return [one.native_id.removeprefix(f"{PAGE}_") for page in pages for one in page.posts]


# ---------------------------------------------------------------- what posts say


@pytest.fixture(scope="module")
def posts():
    names = ["album", "cover", "document", "share", "video", "bare"]
    return dict(zip(names, parse_posts(POSTS), strict=True))


def test_an_album_shows_each_picture_once_with_its_words(posts):
    assert [media.url.partition("?")[0].rpartition("/")[2] for media in posts["album"].media] == ["a1.jpg", "a2.jpg"]
    assert posts["album"].media[0].text == "Jadual halaman satu"
    assert "Jadual halaman satu" in posts["album"].text


def test_times_are_utc_and_an_update_is_kept(posts):
    assert posts["album"].published_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert posts["album"].edited_at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert posts["cover"].edited_at is None


def test_a_post_without_message_shows_its_story(posts):
    assert posts["cover"].text.startswith("Jabatan Perkhidmatan Demo updated their cover photo.")


def test_a_link_is_where_it_leads_and_a_document_is_named_as_one(posts):
    assert posts["document"].links == ("https://www.jpd.example.my/borang.pdf",)
    assert posts["document"].text == "Borang permohonan\n\nMuat turun borang"
    assert MediaKind.DOCUMENT in {media.kind for media in posts["document"].media}
    assert posts["document"].kind is PostKind.ORIGINAL


def test_what_is_shared_is_a_repost_with_the_other_page_s_words(posts):
    assert posts["share"].kind is PostKind.REPOST
    assert "Laporan penuh majlis penyerahan" in posts["share"].text


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://www.facebook.com/kcm.demo/posts/1", PostKind.REPOST),
        ("https://ms-my.facebook.com/kcm.demo/videos/1/", PostKind.REPOST),
        ("https://facebook.com/events/1", PostKind.REPOST),
        ("https://ai.facebook.com/blog/taklimat/", PostKind.ORIGINAL),
        ("https://about.facebook.com/", PostKind.ORIGINAL),
        ("https://myfacebook.com/x", PostKind.ORIGINAL),
    ],
)
def test_a_link_to_a_blog_of_facebook_is_no_repost(url, kind):
    attached = {"media_type": "link", "type": "share", "url": url, "unshimmed_url": url}
    item = {"id": f"{PAGE}_1", "created_time": "2026-11-23T01:00:00+0000", "status_type": "shared_story"}
    (post,) = parse_posts({"data": [{**item, "attachments": {"data": [attached]}}]})
    assert (post.kind, post.links) == (kind, (url,))


def test_what_an_old_answer_says_of_a_link_beside_the_post_is_read():
    """Before version 3.3, and on servers that answer so, a post had no attachments."""
    item = {
        "id": f"{PAGE}_1",
        "created_time": "2014-11-23T01:00:00+0000",
        "status_type": "shared_story",
        "type": "link",
    }
    item |= {"message": "Baca", "name": "Hebahan", "description": "Penuh", "caption": "kcm.example.my"}
    item |= {"link": "https://kcm.example.my/1", "picture": "https://external.xx.fbcdn.net/safe_image.php?w=130"}
    shared = {
        **item,
        "link": "https://www.facebook.com/kcm/photos/1",
        "type": "photo",
        "full_picture": "https://a.my/1.jpg",
    }
    post, repost = parse_posts({"data": [item, shared]})
    assert (post.text, post.links) == ("Baca\n\nHebahan\n\nPenuh", ("https://kcm.example.my/1",))
    assert (post.kind, [one.url for one in post.media]) == (PostKind.ORIGINAL, [item["picture"]])
    assert (repost.kind, repost.links, [one.url for one in repost.media]) == (
        PostKind.REPOST,
        (),
        ["https://a.my/1.jpg"],
    )


def test_a_video_comes_with_its_picture(posts):
    assert {media.kind for media in posts["video"].media} == {MediaKind.PICTURE, MediaKind.VIDEO}


def test_a_post_with_an_id_and_a_time_alone_is_still_a_post(posts):
    assert (posts["bare"].text, posts["bare"].media) == ("", ())
    assert posts["bare"].url == f"https://www.facebook.com/{PAGE}_1007"


def test_what_is_not_yet_published_is_no_post(posts):
    assert not any(one.text == "Belum terbit" for one in posts.values())


def test_click_counters_are_no_edit():
    item = POSTS["data"][2]
    again = json.loads(json.dumps(item).replace("IwAR1", "IwAR9").replace("IwAR0", "IwAR8"))
    first, second = (parse_posts({"data": [one]})[0] for one in (item, again))
    assert first.content_hash == second.content_hash


def test_no_credential_is_kept_with_a_post():
    comments = {"data": [], "paging": {"next": f"https://graph.facebook.com/1?access_token={TOKEN}"}}
    link = {"media_type": "link", "url": f"https://graph.facebook.com/x?access_token={TOKEN}&a=1"}
    (one,) = parse_posts({"data": [post(1, comments=comments, attachments={"data": [link]})]})
    assert TOKEN not in json.dumps(one.raw)


DRIFTS = {
    "nothing the Graph API ever sends": {"unexpected": {"shape": True}},
    "data that is no list": {"data": {"id": "1"}},
    "a post that is no object": {"data": ["1"]},
    "a post without an id": {"data": [{"created_time": "2026-11-23T09:00:00+0000"}]},
    "a post without a time": {"data": [{"id": "1_1"}]},
    "a time without a zone": {"data": [{"id": "1_1", "created_time": "2026-11-23T09:00:00"}]},
    "attachments that are no list": {"data": [{**post(1), "attachments": {"items": []}}]},
}


@pytest.mark.parametrize("payload", DRIFTS.values(), ids=DRIFTS)
def test_a_changed_schema_is_never_no_news(payload):
    with Replay(by_path({"/published_posts": payload})) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


# ---------------------------------------------------------------- the walk


def test_the_end_is_where_there_is_no_next_even_with_cursors():
    with Replay(by_path({"/published_posts": POSTS})) as replay:
        (only,) = pull(replay.url)
        assert len(replay.asked) == 1
        assert replay.paths == [f"/v26.0/{PAGE}/published_posts"]
    assert only.last
    assert only.gap is None


def test_next_without_cursors_is_followed_by_what_stands_in_it():
    feed = [recorded("facebook/feed_newest"), recorded("facebook/feed_oldest")]
    with Replay(by_path({"/published_posts": feed})) as replay:
        pages = pull(replay.url)
        second = replay.asked[1]
    assert (second.query["until"], second.query["__paging_token"]) == ("1795593600", "enc_AdNext")
    assert "message" in second.query["fields"]  # not the fields of the address
    assert second.query["access_token"] == TOKEN
    assert ids(pages) == ["2004", "2003", "2002", "2001"]


def test_cursors_with_next_are_followed():
    first = {
        "data": [post(1)],
        "paging": {"cursors": {"before": "b", "after": "MTA="}, "next": "https://graph.facebook.com/"},
    }
    with Replay(by_path({"/published_posts": [first, {"data": [post(2)]}]})) as replay:
        pages = pull(replay.url)
        assert replay.asked[1].query["after"] == "MTA="
    assert ids(pages) == ["1", "2"]


def test_an_empty_page_in_the_middle_does_not_end_the_walk():
    following = lambda after: {"cursors": {"after": after}, "next": "https://graph.facebook.com/"}  # noqa: E731
    pages = [{"data": [post(1)], "paging": following("a")}, {"data": [], "paging": following("b")}, {"data": [post(2)]}]
    with Replay(by_path({"/published_posts": pages})) as replay:
        assert ids(pull(replay.url)) == ["1", "2"]


@pytest.mark.parametrize(
    "address", ["https://graph.facebook.com/?after=same", "https://graph.facebook.com/", "http://["]
)
def test_a_server_that_ignores_the_place_in_the_list_is_left_with_a_gap(address):
    with Replay(by_path({"/published_posts": {"data": [post(1), post(2)], "paging": {"next": address}}})) as replay:
        pages = pull(replay.url)
        assert len(replay.asked) <= 3
    assert pages[-1].gap == base.Gap(start=None, end=NOW - timedelta(hours=2), cause=Cause.BURST)


def test_a_server_that_ignores_since_is_read_down_to_what_is_known():
    def script(asked):
        begin = int(asked.query.get("after", "0"))
        items = [post(n) for n in range(begin + 1, begin + 6)]
        return {"data": items, "paging": {"cursors": {"after": str(begin + 5)}, "next": "https://graph.facebook.com/"}}

    cursor = {"v": 1, "newest": (NOW - timedelta(hours=7)).isoformat()}
    with Replay(by_path({"/published_posts": script})) as replay:
        pages = pull(replay.url, cursor)
        assert len(replay.asked) == 3
        known = NOW - timedelta(hours=7, minutes=10)
        assert replay.asked[0].query["since"] == str(int(known.timestamp()))
    assert pages[-1].gap is None


def small_pages(posts, size):
    """Answer page by page, newest first, honouring the place in the list and nothing else."""

    def script(asked):
        begin = int(asked.query.get("after", "0"))
        part = posts[begin : begin + min(size, int(asked.query["limit"]))]
        end = begin + len(part)
        paging = {"cursors": {"after": str(end)}, "next": "https://graph.facebook.com/"} if end < len(posts) else {}
        return {"data": part, "paging": paging}

    return by_path({"/published_posts": script})


def minutes_old(number):
    created = NOW - timedelta(minutes=number)
    return {**post(number), "created_time": created.strftime("%Y-%m-%dT%H:%M:%S+0000")}


def test_the_back_catalogue_s_limit_does_not_end_a_first_pull_among_live_posts():
    live = [minutes_old(n) for n in range(1, 301)]
    old = [minutes_old(n) for n in range(3000, 3100)]
    with Replay(small_pages([*live, *old], 5)) as replay:
        pages = pull(replay.url, back_catalogue=100)
        assert len(replay.asked) == 61
    assert set(ids(pages)) >= {str(n) for n in range(1, 301)}
    assert len(ids(pages)) == 305
    assert pages[-1].gap is None


def test_a_burst_is_walked_to_its_end_however_small_the_pages():
    burst = [minutes_old(n) for n in range(1, 601)]
    known = {"v": 1, "newest": (NOW - timedelta(minutes=600)).isoformat()}
    with Replay(small_pages(burst, 10)) as replay:
        pages = pull(replay.url, known)
    assert len(ids(pages)) == 600
    assert pages[-1].gap is None


def test_an_end_above_what_is_known_is_none():
    """I1: the window that is asked for reaches below it; what told of a further page was lost on the way."""
    known = {"v": 1, "newest": (NOW - timedelta(minutes=30)).isoformat()}
    cut = {"data": [minutes_old(n) for n in range(1, 6)]}
    with Replay(by_path({"/published_posts": cut})) as replay:
        (page,) = pull(replay.url, known)
    assert (page.gap.start, page.gap.end) == (NOW - timedelta(minutes=30), NOW - timedelta(minutes=5))


def test_a_later_walk_that_reads_all_that_was_lost_says_so_once_a_second_has_read_it_as_well():
    """Several answers may not fit together."""
    burst = [minutes_old(n) for n in range(1, 10)]
    cursor = {"v": 1, "newest": minutes_old(9)["created_time"]}
    with Replay(small_pages(burst, 2)) as replay:
        cut = pull(replay.url, cursor, page_limit=1)[-1]
        first = pull(replay.url, cut.cursor)[-1]
        whole = pull(replay.url, first.cursor)[-1]
        assert pull(replay.url, whole.cursor)[-1].heals is False
        above = {**cut.cursor, "newest": NOW.isoformat(), "again": NOW.isoformat()}
        assert pull(replay.url, above, overlap=timedelta())[-1].heals is False
    assert cut.gap is not None
    assert (cut.heals, first.heals, whole.heals) == (False, False, True)


def test_too_much_at_once_is_asked_for_in_smaller_pages():
    refusal = {"error": {"message": "Please reduce the amount of data you're asking for, then retry", "code": 1}}
    script = by_path({"/published_posts": [as_json(refusal, status=500), as_json(refusal, status=500), POSTS]})
    with Replay(script) as replay:
        pull(replay.url)
        assert [asked.query["limit"] for asked in replay.asked] == ["100", "50", "25"]


@pytest.mark.parametrize(
    "refusal",
    [Answer(status=404), Answer(status=410), as_json(NO_EDGE, status=400), as_json(GONE["body"], status=400)],
)
@pytest.mark.parametrize("edge", ["posts", "feed"])
def test_a_page_is_read_by_the_edge_that_it_has(edge, refusal):
    with Replay(by_path({f"/{PAGE}/{edge}": POSTS}, otherwise=refusal)) as replay:
        one = connector(replay.url)
        for _ in range(2):
            assert sum(len(page.posts) for page in one.pull(JPD, None, now=NOW)) == 6
        assert replay.paths[-1] == replay.paths[-2] == f"/v26.0/{PAGE}/{edge}"  # what has answered is asked again


def test_visitors_posts_of_a_feed_are_not_the_page_s():
    feed = [recorded("facebook/feed_newest"), recorded("facebook/feed_oldest")]
    with Replay(by_path({f"/{PAGE}/feed": feed})) as replay:
        assert ids(pull(replay.url)) == ["2004", "2002", "2001"]


def test_a_page_that_is_nowhere_is_not_found():
    with Replay(by_path({})) as replay, pytest.raises(AccountNotFound):
        pull(replay.url)


def test_a_budget_without_an_end_in_sight_is_asked_about_again_the_next_day():
    usage = '{"1":[{"type":"pages","estimated_time_to_regain_access":99999}]}'
    assert budget.free_again(parse_usage({"x-business-use-case-usage": usage}), NOW) == NOW + timedelta(days=1)


# ---------------------------------------------------------------- pages


NAMES = {
    "a username": ("jpd.demo", "", "jpd.demo"),
    "a username with an at sign": ("@jpd.demo", "", "jpd.demo"),
    "a number": ("100060000000001", "", PAGE),
    "a pasted address": ("https://www.facebook.com/jpd.demo/?locale=ms_MY", "", "jpd.demo"),
    "an address of a page without a username": ("https://m.facebook.com/profile.php?id=100060000000001", "", PAGE),
    "the address where the handle is empty": ("", "https://fb.com/jpd.demo", "jpd.demo"),
    "the address where the handle is a title": (
        "Jabatan Perkhidmatan Demo",
        "https://www.facebook.com/jpd.demo",
        "jpd.demo",
    ),
}


@pytest.mark.parametrize(("handle", "url", "page"), NAMES.values(), ids=NAMES)
def test_a_page_is_asked_for_by(handle, url, page):
    assert page_of(account(handle, "facebook", url=url)) == page


def test_a_title_without_an_address_names_no_page():
    with pytest.raises(AccountNotFound):
        page_of(account("Jabatan Perkhidmatan Demo", "facebook"))


def new(*handles: str) -> list[object]:
    return [account(handle, "facebook", id=n) for n, handle in enumerate(handles)]


def test_pages_are_read_in_one_call():
    page = recorded("facebook/page")
    both = {"jpd.demo": page, "kcm.demo": {**page, "id": "2", "username": "kcm.demo"}}
    with Replay(by_path({"/v26.0/": both})) as replay:
        found = connector(replay.url).resolve_many(new("jpd.demo", "kcm.demo"))
        assert len(replay.asked) == 1
    assert [found[n].native_id for n in (0, 1)] == [PAGE, "2"]
    assert found[0].bio == "Akaun rasmi\n\nPerkhidmatan untuk rakyat"
    assert found[0].picture_url.startswith("https://scontent")


BATCH_REFUSALS = {
    "no such path": Answer(status=404, body=b"not found"),
    "not implemented": Answer(status=501),
    "a page of HTML": Answer(body=b"<html></html>", headers={"Content-Type": "text/html"}),
    "an empty object": as_json({}),
    "a list": as_json([]),
    "one bad name among them": as_json({"error": {"code": 803, "message": "(#803) Some of the aliases"}}, status=404),
    "one page without permission": as_json(
        {"error": {"code": 10, "message": "(#10) This endpoint requires"}}, status=403
    ),
    "unknown path components": as_json({"error": {"code": 2500, "message": "Unknown path components: /"}}, status=400),
}


@pytest.mark.parametrize("refusal", BATCH_REFUSALS.values(), ids=BATCH_REFUSALS)
def test_where_many_at_once_cannot_be_read_each_is_read_alone(refusal):
    routes = {"/jpd.demo": recorded("facebook/page"), "/tiada": as_json(GONE["body"], status=400), "/v26.0/": refusal}
    with Replay(by_path(routes)) as replay:
        found = connector(replay.url).resolve_many(new("jpd.demo", "tiada"))
    assert found[0].native_id == PAGE
    assert isinstance(found[1], AccountNotFound)


def test_a_dead_token_is_asked_once_and_not_for_each_page():
    dead = {"error": {"code": 190, "error_subcode": 463, "message": "expired"}}
    with Replay(by_path({"/v26.0/": as_json(dead, status=400)})) as replay:
        found = connector(replay.url).resolve_many(new("a1234", "b1234", "c1234"))
        assert len(replay.asked) == 1
    assert {type(one) for one in found.values()} == {base.CredentialRefused}


def test_a_page_without_some_fields_is_read_by_the_others():
    refusal = {
        "error": {"code": 100, "message": "(#100) Tried accessing nonexisting field (about) on node type (User)"}
    }
    basic = {"id": PAGE, "name": "Jabatan"}
    with Replay(by_path({"/jpd.demo": [as_json(refusal, status=400), basic]})) as replay:
        profile = connector(replay.url).resolve(account("jpd.demo", "facebook"))
    assert (profile.native_id, profile.handle) == (PAGE, "jpd.demo")


def test_a_server_that_shows_posts_only_tells_the_page_by_them():
    with Replay(by_path({"/published_posts": POSTS})) as replay:
        profile = connector(replay.url).resolve(account("jpd.demo", "facebook"))
    assert (profile.native_id, profile.name) == (PAGE, "Jabatan Perkhidmatan Demo")


# ---------------------------------------------------------------- read again


def test_posts_are_read_again_in_one_call():
    edited = {**POSTS["data"][0], "message": "disunting"}
    with Replay(by_path({"/v26.0/": {FIRST: edited, SECOND: POSTS["data"][1]}})) as replay:
        answer = connector(replay.url).reread(JPD, [FIRST, SECOND], now=NOW)
        assert len(replay.asked) == 1
    assert answer.posts[0].text.startswith("disunting")
    assert answer.missing == frozenset()


def test_a_deleted_post_is_missing_and_its_neighbour_is_read():
    gone = as_json(GONE["body"], status=400)
    with Replay(by_path({f"/{FIRST}": gone, f"/{SECOND}": POSTS["data"][1], "/v26.0/": gone})) as replay:
        answer = connector(replay.url).reread(JPD, [FIRST, SECOND], now=NOW)
    assert answer.missing == {FIRST}
    assert [one.native_id for one in answer.posts] == [SECOND]


def test_posts_of_several_pages_share_the_calls_and_a_gone_one_spoils_few():
    other = account("kcm", "facebook", native_id="200", id=8)
    wanted = [Wanted(account=JPD, native_ids=[FIRST, SECOND]), Wanted(account=other, native_ids=["200_1", "200_2"])]
    known = {FIRST: POSTS["data"][0], SECOND: POSTS["data"][1], "200_2": {**POSTS["data"][0], "id": "200_2"}}

    def script(asked) -> Answer:
        ids = asked.query["ids"].split(",") if "ids" in asked.query else [asked.path.rpartition("/")[2]]
        if "200_1" in ids:
            message = "Unsupported get request. Object with ID '200_1' does not exist"
            return as_json({"error": {**GONE["body"]["error"], "message": message}}, status=400)
        return as_json({one: known[one] for one in ids})

    with Replay(script) as replay:
        answers = connector(replay.url).reread_many(wanted, now=NOW)
        assert len(replay.asked) == 3  # all four, all but the gone one, that one alone
    assert {one.native_id for one in answers[JPD.id].posts} == {FIRST, SECOND}
    assert [one.native_id for one in answers[8].posts] == ["200_2"]
    assert answers[8].missing == {"200_1"}


def test_a_post_that_the_page_withholds_from_us_is_hidden_and_not_deleted():
    refusal = {"error": {"code": 10, "message": "Permission denied"}}
    withheld = as_json(refusal, status=403)
    with Replay(by_path({f"/{FIRST}": withheld, f"/{SECOND}": POSTS["data"][1], "/v26.0/": withheld})) as replay:
        answer = connector(replay.url).reread(JPD, [FIRST, SECOND], now=NOW)
    assert (answer.missing, answer.hidden) == (frozenset(), {FIRST})


def test_a_post_that_is_taken_back_into_drafts_is_missing():
    hidden = {**POSTS["data"][0], "is_published": False}
    with Replay(by_path({"/v26.0/": {FIRST: hidden, SECOND: POSTS["data"][1]}})) as replay:
        assert connector(replay.url).reread(JPD, [FIRST, SECOND], now=NOW).missing == {FIRST}


@pytest.mark.parametrize("refusal", [Answer(status=404), Answer(status=410), as_json(GONE["body"], status=400)])
def test_a_server_that_reads_no_post_by_id_loses_none(refusal):
    with Replay(by_path({"/published_posts": POSTS}, otherwise=refusal)) as replay:
        answer = connector(replay.url).reread(JPD, [FIRST, SECOND], now=NOW)
    assert {one.native_id for one in answer.posts} == {FIRST, SECOND}
    assert answer.missing == frozenset()


def test_when_the_page_itself_is_gone_nothing_is_decided_about_its_posts():
    with Replay(by_path({}, otherwise=as_json(GONE["body"], status=400))) as replay, pytest.raises(AccountNotFound):
        connector(replay.url).reread(JPD, [FIRST], now=NOW)


def test_a_bare_404_is_no_word_on_a_post():
    with Replay(by_path({f"/{SECOND}": POSTS["data"][1]})) as replay:
        answer = connector(replay.url).reread(JPD, [FIRST, SECOND], now=NOW)
    assert answer.missing == frozenset()
    assert [one.native_id for one in answer.posts] == [SECOND]


# ---------------------------------------------------------------- refusals and budget


REFUSALS = {one["sentence"]: one for one in recorded("facebook/refusals")}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_sorted_by_what_it_means(refusal):
    answer = as_json(refusal["body"], status=refusal["status"])
    with Replay(by_path({}, otherwise=answer)) as replay, pytest.raises(ConnectorError) as caught:
        pull(replay.url)
    assert type(caught.value) is (getattr(base, refusal["error"], None) or getattr(refusals, refusal["error"]))
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_json_by_another_content_type_is_json_all_the_same():
    answer = Answer(body=json.dumps(POSTS).encode(), headers={"Content-Type": "text/javascript; charset=UTF-8"})
    with Replay(by_path({"/published_posts": answer})) as replay:
        assert len(pull(replay.url)[0].posts) == 6


USAGES = {
    "the app's": ({"x-app-usage": '{"call_count":96,"total_time":25,"total_cputime":20}'}, timedelta(hours=1)),
    "a business case's": (
        {
            "x-business-use-case-usage": '{"100060000000001":[{"type":"pages","call_count":100,"total_cputime":25,'
            '"total_time":25,"estimated_time_to_regain_access":19}]}'
        },
        timedelta(minutes=19),
    ),
}


@pytest.mark.parametrize(("headers", "wait"), USAGES.values(), ids=USAGES)
def test_a_budget_that_is_all_but_used_up_is_not_used_up(headers, wait):
    answer = as_json(POSTS, **{name.replace("-", "_"): value for name, value in headers.items()})
    with Replay(by_path({"/published_posts": answer})) as replay:
        one = connector(replay.url)
        list(one.pull(JPD, None, now=NOW))
        with pytest.raises(base.RateLimited) as caught:
            list(one.pull(JPD, None, now=NOW))
        assert len(replay.asked) == 1
    assert caught.value.retry_at == NOW + wait


@pytest.mark.parametrize("header", ["", "soon", "[]", '{"call_count":"many"}', "{" * 5000])
def test_a_usage_header_that_cannot_be_read_is_no_usage(header):
    assert all(usage.percent == 0 for usage in parse_usage({"x-app-usage": header}))


def test_a_limit_tells_when_it_ends():
    headers = {"x_business_use_case_usage": '{"1":[{"type":"pages","estimated_time_to_regain_access":5}]}'}
    answer = as_json({"error": {"code": 80001, "message": "too many calls"}}, status=400, **headers)
    with Replay(by_path({"/published_posts": answer})) as replay, pytest.raises(base.RateLimited) as caught:
        pull(replay.url)
    assert (caught.value.retry_at, caught.value.whole_platform) == (NOW + timedelta(minutes=5), False)


def test_the_proof_of_the_app_s_secret_goes_with_every_call():
    with Replay(by_path({"/published_posts": POSTS})) as replay:
        pull(replay.url, app_secret="rahsia-app")
        proof = hmac.new(b"rahsia-app", TOKEN.encode(), hashlib.sha256).hexdigest()
        assert replay.asked[0].query["appsecret_proof"] == proof


@pytest.mark.parametrize("version", ["26.0", "v26.0"])
def test_the_version_stands_in_the_path(version):
    with Replay(by_path({"/published_posts": POSTS})) as replay:
        pull(replay.url, api_version=version)
        assert replay.paths[0].startswith("/v26.0/")


def test_a_version_that_is_none_is_refused_before_any_call():
    with Replay(by_path({})) as replay:
        with pytest.raises(ConnectorMisconfigured, match=r"connectors\.facebook\.api_version"):
            pull(replay.url, api_version="latest")
        assert replay.asked == []


def test_the_token_is_described_and_never_shown():
    data = {"is_valid": True, "expires_at": 1_798_000_000, "scopes": ["pages_read_engagement"]}
    sentence = describe_token({"data": data}, NOW)
    assert "29 days" in sentence
    assert "pages_read_engagement" in sentence


def test_every_exception_of_the_sdk_is_caught():
    classes = {one for _, one in inspect.getmembers(facebook, inspect.isclass) if issubclass(one, Exception)}
    assert classes == {facebook.GraphAPIError}


def test_a_refusal_names_the_platform_that_was_asked():
    other = refusals.Dialect(
        platform="instagram", name="Instagram", holder="account", new_token="make one", grant="ask"
    )
    for code in (1, 4, 10, 32, 100, 102, 190, 368, 803, 2500, 2635, 4711):
        refusal = refusals.parse_refusal({"error": {"code": code, "message": "m"}}, status=400)
        _, sentence = refusals.verdict(refusal, other)
        assert "acebook" not in sentence
        assert "{" not in sentence


ENDS = {"is_valid": True, "expires_at": 1_798_000_000, "data_access_expires_at": 1_797_000_000}


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        pytest.param(as_json({"data": ENDS}), 1_797_000_000, id="whichever ends first"),
        pytest.param(as_json({"data": {"is_valid": True, "expires_at": 0}}), None, id="a token without an end"),
        pytest.param(as_json({"error": {"code": 100}}, status=400), None, id="a token that may not look at itself"),
        pytest.param(as_json([]), None, id="no answer of the Graph API"),
    ],
)
def test_the_end_of_the_token_is_known_before_it_comes(answer, ends):
    with Replay(by_path({"/debug_token": answer})) as site:
        assert connector(site.url).expires_at() == (datetime.fromtimestamp(ends, UTC) if ends else None)


def test_a_refused_token_has_no_end_to_tell_of():
    with (
        Replay(by_path({"/debug_token": as_json({"error": {"code": 190}}, status=400)})) as site,
        pytest.raises(ConnectorError),
    ):
        connector(site.url).expires_at()


def test_the_app_s_usage_is_an_allowance_of_an_hour_in_percent():
    headers = {"X-App-Usage": '{"call_count":28,"total_time":61,"total_cputime":5}'}
    with Replay(by_path({"/debug_token": as_json({"data": ENDS}, **headers)})) as site:
        one = connector(site.url)
        assert one.allowances() == ()
        one.expires_at()
    (told,) = one.allowances()
    assert (told.name, told.limit, told.remaining, told.window) == ("calls", 100, 39, timedelta(hours=1))
