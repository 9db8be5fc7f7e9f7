"""Whose an answer is: what is another account's is refused by name, and what may stand in an account's own is not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import account
from replay import DATA, Answer, Replay, by_path, recorded

from connectors.base import SchemaDrift, Wanted
from connectors.bluesky.listing import parse_feed
from connectors.facebook import FacebookConnector, FacebookSettings
from connectors.facebook.posts import must_hold_posts_of
from connectors.linkedin import LinkedInConnector, LinkedInSettings
from connectors.mastodon.listing import parse_statuses
from connectors.owners import AnotherAccount, must_answer, must_be, must_hold_own
from connectors.telegram.pages import parse_preview
from connectors.threads import ThreadsConnector, ThreadsSettings
from connectors.tiktok import TikTokConnector, TikTokSettings
from connectors.x import XConnector, XSettings
from connectors.youtube import YouTubeConnector, YouTubeSettings
from monitor.model import Cause
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DID, OTHER_DID = f"did:plc:{'a' * 24}", f"did:plc:{'b' * 24}"
AT = "2026-11-23T01:00:00+0000"


# ---------------------------------------------------------------- names held against names

SAME = {
    "another letter case": (["JPDemo"], ["jpdEMO"]),
    "an id as a number": (["1410"], [1410]),
    "nothing told": (["jpd"], [None, "", 0, False]),
    "nobody asked for by name": ([""], ["kcm"]),
    "one of several names": (["jpd", "jpd_rasmi"], ["jpd_rasmi", "JPD"]),
}


@pytest.mark.parametrize(("asked", "told"), SAME.values(), ids=SAME)
def test_an_answer_is_believed_that_tells(asked, told):
    must_be("x/jpd", asked, told)


def test_one_strange_name_among_own_ones_is_another_account():
    with pytest.raises(AnotherAccount) as refused:
        must_be("x/jpd", ["14"], ["14", 15, "15"])
    assert isinstance(refused.value, SchemaDrift)  # the check fails, nothing is stored, the next one asks again
    assert (refused.value.cause, refused.value.whole_platform) == (Cause.SCHEMA_DRIFT, False)
    assert str(refused.value).startswith("x/jpd: asked for 14, the answer is about 15; nothing of it was taken.")


def test_a_list_with_one_own_post_is_the_account_s():
    must_hold_own("facebook/jpd", ["1"], [["2"], ["1", "3"]])
    must_hold_own("facebook/jpd", ["1"], [["2"], []])  # whose the second is, it does not tell
    must_hold_own("facebook/jpd", ["1"], [])
    with pytest.raises(AnotherAccount, match="asked for 1, the answer is about 2, 4;"):
        must_hold_own("facebook/jpd", ["1"], [["2"], ["4", "3"]])


def test_a_message_shows_a_few_names_and_nothing_else_of_what_a_server_calls_them():
    with pytest.raises(AnotherAccount) as refused:
        must_answer("x", ["a"], ["<script>", "b" * 500, "c\r\nd", "e", "f"])
    assert re.search(r"the answer is about \?script\?, b{80}, c\?\?d and 2 more;", str(refused.value))


# ---------------------------------------------------------------- what may stand in an account's own list


def test_boosts_pins_and_replies_in_an_author_s_feed_are_his():
    view = {"uri": f"at://{DID}/app.bsky.feed.post/3k", "cid": "c", "record": {"text": "a", "createdAt": AT}}
    own = {**view, "author": {"did": DID, "handle": "jpd.example.my"}}
    foreign = {**view, "uri": f"at://{OTHER_DID}/app.bsky.feed.post/3k", "author": {"did": OTHER_DID}}
    boost = {"$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": DID}, "indexedAt": AT}
    feed: list[dict[str, Any]] = [
        {"post": own, "reply": {"root": foreign, "parent": foreign}},
        {"post": foreign, "reason": boost},
        {"post": own, "reason": {"$type": "app.bsky.feed.defs#reasonPin"}},
    ]
    assert len(parse_feed({"feed": feed}, owner=DID).posts) == 3
    for strange in ({"post": foreign}, {"post": own, "reason": {**boost, "by": {"did": OTHER_DID}}}):
        with pytest.raises(AnotherAccount, match=OTHER_DID):
            parse_feed({"feed": [*feed, strange]}, owner=DID, what="bluesky/jpd")


def test_a_boost_on_mastodon_is_of_who_boosts():
    boost = {"id": "2", "created_at": AT, "content": "", "account": {"id": 7}}
    boost |= {"reblog": {"id": "1", "content": "a", "account": {"id": "8"}}}
    assert len(parse_statuses([boost], more=False, owner="7").posts) == 1


def post_of(page: str, *, publisher: str) -> dict[str, Any]:
    return {"id": f"{page}_9", "created_time": AT, **({"from": {"id": publisher}} if publisher else {})}


def test_what_others_publish_with_a_page_is_told_by_its_id_or_by_the_page_s_own_posts():
    for own in (post_of("1", publisher="1"), post_of("1", publisher="2"), post_of("2", publisher="1"), {"id": "5"}):
        must_hold_posts_of("1", {"data": [own, post_of("2", publisher="2")]}, what="facebook/jpd")
    with pytest.raises(AnotherAccount, match="asked for 1, the answer is about 2, 3;"):
        must_hold_posts_of(
            "1", {"data": [post_of("2", publisher="2"), post_of("3", publisher="")]}, what="facebook/jpd"
        )


def test_a_feed_of_visitors_posts_alone_is_the_page_s_and_one_of_another_page_s_visitors_is_not():
    feed = {"data": [post_of("1", publisher="7"), {**post_of("1", publisher="8"), "id": "1_8"}]}
    with Replay(by_path({"/1/feed": feed, "/2/feed": feed})) as server:
        settings = FacebookSettings(access_token=Secret("t"), base_url=server.url)
        assert pulled(FacebookConnector(settings, Network()), account("jpd", "facebook", native_id="1", id=1)) == []
        with pytest.raises(AnotherAccount, match="asked for 2, the answer is about 7, 8;"):
            pulled(FacebookConnector(settings, Network()), account("kcm", "facebook", native_id="2", id=1))


def test_a_known_post_that_facebook_answers_under_another_id_costs_other_pages_no_look():
    own, strange = post_of("1", publisher="1"), post_of("3", publisher="3")
    with Replay(by_path({"/v26.0/": {"1_9": own, "2_9": strange}})) as server:
        facebook = FacebookConnector(FacebookSettings(access_token=Secret("t"), base_url=server.url), Network())
        pages = [
            account(name, "facebook", native_id=str(number), id=number) for number, name in ((1, "jpd"), (2, "kcm"))
        ]
        wanted = [Wanted(account=page, native_ids=[f"{page.native_id}_9"]) for page in pages]
        answers = facebook.reread_many(wanted, now=NOW)
    assert [post.native_id for post in answers[1].posts] == ["1_9"]
    with pytest.raises(AnotherAccount, match="facebook/kcm: known posts: asked for 2_9, the answer is about 3_9;"):
        raise answers[2]


PAGE = (DATA / "telegram" / "preview.html").read_text()


def test_a_channel_of_several_names_is_known_by_its_number():
    number = parse_preview(PAGE, name="jpdemo", what="telegram/jpd").profile.native_id
    assert parse_preview(PAGE, name="jpdemo_rasmi", known=number, what="telegram/jpd").posts
    with pytest.raises(AnotherAccount, match="asked for jpdemo_rasmi, the answer is about jpdemo;"):
        parse_preview(PAGE, name="jpdemo_rasmi", what="telegram/jpd")


# ---------------------------------------------------------------- through the connectors


def pulled(connector: Any, of: Any) -> list[str]:
    return [post.native_id for page in connector.pull(of, None, now=NOW) for post in page.posts]


def test_posts_of_x_that_do_not_tell_their_author_are_taken():
    timeline = recorded("x/timeline")
    for item in timeline["data"]:
        del item["author_id"]
    with Replay(by_path({"/tweets": {**timeline, "meta": {"result_count": 3}}})) as server:
        x = XConnector(XSettings(bearer_token=Secret("t"), base_url=server.url), Network())
        assert len(pulled(x, account("jpd", "x", native_id="77", id=1))) == len(timeline["data"])
        assert "author_id" in server.asked[0].query["tweet.fields"]


def test_users_of_x_that_nobody_asked_for_are_no_word_on_who_is_not_there():
    users = {"data": [{"id": "9", "username": "kcm", "name": "KCM"}]}
    with Replay(by_path({"/2/users": users, "/2/users/by": users})) as server:
        x = XConnector(XSettings(bearer_token=Secret("t"), base_url=server.url), Network())
        for asked, named in ((account("jpd", "x", native_id="77", id=1), "77"), (account("JPD", "x", id=1), "jpd")):
            with pytest.raises(AnotherAccount, match=f"asked for {named}, the answer is about (9|kcm);"):
                x.resolve(asked)


def test_a_repost_on_threads_may_bear_any_name_and_a_post_only_the_profile_s():
    post = {"id": "1", "media_type": "TEXT_POST", "username": "JPD.demo", "text": "a", "timestamp": AT}
    repost = {"id": "2", "media_type": "REPOST_FACADE", "username": "kcm", "timestamp": AT}
    routes: dict[str, Any] = {"/me": {"id": "5", "username": "pantau"}, "/profile_posts": {"data": [post, repost]}}
    with Replay(by_path(routes)) as server:
        threads = ThreadsConnector(ThreadsSettings(access_token=Secret("t"), base_url=server.url), Network())
        jpd = account("jpd.demo", "threads", native_id="jpd.demo", id=1)
        assert pulled(threads, jpd) == ["1", "2"]
        server.script = by_path({**routes, "/profile_posts": {"data": [{**post, "username": "kcm"}]}})
        with pytest.raises(AnotherAccount, match=r"threads/jpd\.demo: posts: asked for jpd\.demo, .* about kcm;"):
            pulled(threads, jpd)


def test_the_own_profile_on_threads_may_have_a_new_name_which_the_next_check_learns():
    post = {"id": "1", "media_type": "TEXT_POST", "username": "baharu", "text": "a", "timestamp": AT}
    routes: dict[str, Any] = {
        "/me": [{"id": "5", "username": "lama"}, {"id": "5", "username": "baharu"}],
        "/me/threads": {"data": [post]},
        "/me/replies": {"data": []},
    }
    with Replay(by_path(routes)) as server:
        threads = ThreadsConnector(ThreadsSettings(access_token=Secret("t"), base_url=server.url), Network())
        own = account("lama", "threads", native_id="5", id=1)
        with pytest.raises(AnotherAccount, match="asked for lama, the answer is about baharu;"):
            pulled(threads, own)
        assert pulled(threads, own) == ["1"]


def test_a_brand_s_page_on_linkedin_is_known_by_its_number():
    item = {"id": "urn:li:share:1", "commentary": "a", "publishedAt": 1795400000000, "lastModifiedAt": 1795400000000}
    with Replay(by_path({"/rest/posts": {"elements": [{**item, "author": "urn:li:organizationBrand:5"}]}})) as server:
        linkedin = LinkedInConnector(LinkedInSettings(access_token=Secret("t"), base_url=server.url), Network())
        assert pulled(linkedin, account("jpd", "linkedin", native_id="5", id=1)) == ["urn:li:share:1"]
        with pytest.raises(AnotherAccount, match="asked for 6, the answer is about 5;"):
            pulled(linkedin, account("jpd", "linkedin", native_id="6", id=1))


def test_videos_published_with_other_channels_stand_in_the_uploads():
    channel = "UCJabatanPerkhidmatanDem"
    uploads = recorded("youtube/uploads")
    for item in uploads["items"]:
        item["snippet"] |= {"channelId": "UCothers", "videoOwnerChannelId": "UCothers"}
    routes = {"/playlistItems": uploads, "/videos": {"items": []}}
    with Replay(by_path(routes)) as server:
        youtube = YouTubeConnector(YouTubeSettings(api_key=Secret("k"), base_url=server.url), Network())
        assert pulled(youtube, account("jpd", "youtube", native_id=channel, id=1))
        with pytest.raises(AnotherAccount, match="about UUJabatanPerkhidmatanDem;"):
            pulled(youtube, account("jpd", "youtube", native_id="UCKementerianContohMalaysi", id=1))


FEED = (DATA / "youtube" / "feed.xml").read_text()


@pytest.mark.parametrize("told", ["UCJabatanPerkhidmatanDem", "JabatanPerkhidmatanDem", ""])
def test_a_channel_s_feed_tells_its_id_with_or_without_its_first_letters(told):
    feed = re.sub(r"<yt:channelId>[^<]*(?=</yt:channelId>)", f"<yt:channelId>{told}", FEED, count=1)
    with Replay(by_path({"/feeds/videos.xml": Answer(body=feed.encode())})) as server:
        youtube = YouTubeConnector(YouTubeSettings(feed_url=server.url), Network())
        assert pulled(youtube, account("jpd", "youtube", native_id="UCJabatanPerkhidmatanDem", id=1))
        other = account("jpd", "youtube", native_id="UCKementerianContohMalaysi", id=1)
        if told:
            with pytest.raises(AnotherAccount, match=f"about {told};"):
                pulled(youtube, other)


@pytest.mark.parametrize("name", ["JPDemo", "kcm", ""])
def test_a_channel_s_page_is_believed_where_it_tells_the_name_that_was_asked_for(name):
    told = f'"vanityChannelUrl":"http://www.youtube.com/@{name}"' if name else ""
    page = f'<meta itemprop="identifier" content="UCJabatanPerkhidmatanDem"><script>{{{told}}}</script>'
    routes = {"/@jpdemo": Answer(body=page.encode()), "/feeds/videos.xml": Answer(body=FEED.encode())}
    with Replay(by_path(routes)) as server:
        youtube = YouTubeConnector(YouTubeSettings(feed_url=server.url), Network())
        if name == "kcm":
            with pytest.raises(AnotherAccount, match="asked for jpdemo, the answer is about kcm;"):
                youtube.resolve(account("jpdemo", "youtube"))
        else:
            assert youtube.resolve(account("jpdemo", "youtube")).native_id == "UCJabatanPerkhidmatanDem"


def test_whose_a_video_is_stands_in_its_address_on_tiktok():
    def listing(name: str) -> dict[str, Any]:
        video = {
            "id": "7001",
            "create_time": 1795400000,
            "title": "a",
            "share_url": f"https://www.tiktok.com/{name}7001",
        }
        return {"data": {"videos": [video], "has_more": False, "cursor": 0}, "error": {"code": "ok"}}

    user = {"data": {"user": {"open_id": "5", "username": "jpd.demo", "display_name": "JPD"}}, "error": {"code": "ok"}}
    jpd = account("jpd.demo", "tiktok", native_id="5", id=1)
    for name in ("@JPD.demo/video/", "video/"):
        with Replay(by_path({"/v2/user/info/": user, "/v2/video/list/": listing(name)})) as server:
            settings = TikTokSettings(access_token=Secret("t"), base_url=server.url)
            assert pulled(TikTokConnector(settings, Network()), jpd) == ["7001"]
    with Replay(by_path({"/v2/user/info/": user, "/v2/video/list/": listing("@kcm/video/")})) as server:
        tiktok = TikTokConnector(TikTokSettings(access_token=Secret("t"), base_url=server.url), Network())
        with pytest.raises(AnotherAccount, match=r"asked for jpd\.demo, the answer is about kcm;"):
            pulled(tiktok, jpd)
