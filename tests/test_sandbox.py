"""The platforms' twins, asked as anybody would ask them: they must be as strict as what they stand for."""

from __future__ import annotations

import itertools
import socket
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import requests

from connectors.sandbox import instagram_twin, story
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.model import Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.load import load_rules

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BEARER = {"Authorization": "Bearer sandbox"}
KEY = {"access_token": "sandbox"}


@pytest.fixture(scope="module")
def running():
    with Sandbox(World()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.world.heal()
    return running


NUMBERS = itertools.count(1)


def opened(sandbox: Sandbox, platform: str) -> tuple[str, str]:
    """Open an account and return its handle and native id."""
    handle = f"demo{next(NUMBERS)}"
    return handle, sandbox.world.add_account(platform, handle, name="Jabatan Demo", bio="Akaun rasmi")


def ask(sandbox: Sandbox, platform: str, path: str, **how: object) -> requests.Response:
    return requests.get(f"{sandbox.base_url(platform)}{path}", timeout=5, **how)


def on_x(sandbox: Sandbox, path: str, **query: object) -> dict[str, object]:
    return ask(sandbox, "x", path, headers=BEARER, params=query).json()


def on_facebook(sandbox: Sandbox, path: str, **query: object) -> requests.Response:
    return ask(sandbox, "facebook", path, params={**KEY, **query})


# ---------------------------------------------------------------- X


def test_x_wants_its_token(sandbox):
    assert ask(sandbox, "x", "/2/users/by?usernames=a").status_code == 401


def test_x_tells_known_from_unknown_names_in_one_answer(sandbox):
    handle, native_id = opened(sandbox, "x")
    answer = on_x(sandbox, "/2/users/by", usernames=f"{handle.upper()},tiada")
    assert [user["id"] for user in answer["data"]] == [native_id]
    assert [error["value"] for error in answer["errors"]] == ["tiada"]


def test_x_refuses_a_page_size_that_it_does_not_have(sandbox):
    _, native_id = opened(sandbox, "x")
    answer = ask(sandbox, "x", f"/2/users/{native_id}/tweets?max_results=4", headers=BEARER)
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid Request")


def test_x_pages_from_the_newest_and_since_an_id(sandbox):
    handle, native_id = opened(sandbox, "x")
    ids = [sandbox.world.publish("x", handle, f"{n}", at=NOW + n * MINUTE) for n in range(12)]
    first = on_x(sandbox, f"/2/users/{native_id}/tweets", max_results=5, since_id=ids[1])
    second = on_x(
        sandbox,
        f"/2/users/{native_id}/tweets",
        max_results=5,
        since_id=ids[1],
        pagination_token=first["meta"]["next_token"],
    )
    assert [item["id"] for item in [*first["data"], *second["data"]]] == ids[:1:-1]
    assert "next_token" not in second["meta"]


def test_x_says_of_no_posts_only_that_there_are_none(sandbox):
    _, native_id = opened(sandbox, "x")
    assert on_x(sandbox, f"/2/users/{native_id}/tweets") == {"meta": {"result_count": 0}}


def test_an_edit_on_x_is_a_new_id_and_a_deletion_an_error_on_a_success(sandbox):
    handle, _ = opened(sandbox, "x")
    first = sandbox.world.publish("x", handle, "asal", at=NOW)
    sandbox.world.edit("x", first, "disunting", at=NOW + MINUTE)
    old = on_x(sandbox, "/2/tweets", ids=first)["data"][0]
    newest = old["edit_history_tweet_ids"][-1]
    assert (old["text"], newest == first) == ("asal", False)
    assert on_x(sandbox, "/2/tweets", ids=newest)["data"][0]["text"] == "disunting"
    sandbox.world.delete("x", first)
    gone = on_x(sandbox, "/2/tweets", ids=first)
    assert ("data" in gone, gone["errors"][0]["resource_id"]) == (False, first)


def test_x_cuts_long_texts_and_writes_ampersands_as_html_does(sandbox):
    handle, native_id = opened(sandbox, "x")
    sandbox.world.publish("x", handle, "<b> & " + "panjang " * 60, at=NOW)
    item = on_x(sandbox, f"/2/users/{native_id}/tweets")["data"][0]
    assert item["text"].startswith("&lt;b&gt; &amp; ")
    assert item["text"].endswith("… https://t.co/Sandbox001")
    assert item["note_tweet"]["text"].count("panjang") == 60


# ---------------------------------------------------------------- Facebook


@pytest.mark.parametrize(("query", "code"), [({}, 104), ({"access_token": "lama"}, 190)])
def test_facebook_wants_its_token(sandbox, query, code):
    answer = ask(sandbox, "facebook", "/v26.0/me", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_facebook_wants_a_version(sandbox):
    assert on_facebook(sandbox, "/me").json()["error"]["code"] == 2500


def test_facebook_shows_the_fields_that_are_asked_for(sandbox):
    handle, native_id = opened(sandbox, "facebook")
    assert on_facebook(sandbox, f"/v26.0/{handle}").json() == {"id": native_id, "name": "Jabatan Demo"}
    shown = on_facebook(sandbox, f"/v26.0/{handle}", fields="about,picture{url}").json()
    assert shown.keys() == {"id", "about", "picture"}


def test_one_bad_id_spoils_a_call_for_many(sandbox):
    handle, native_id = opened(sandbox, "facebook")
    assert on_facebook(sandbox, "/v26.0/", ids=handle).json()[handle]["id"] == native_id
    assert on_facebook(sandbox, "/v26.0/", ids=f"{handle},tiada").json()["error"]["code"] == 803


def test_a_further_page_has_an_address_that_carries_the_token(sandbox):
    handle, _ = opened(sandbox, "facebook")
    for number in range(3):
        sandbox.world.publish("facebook", handle, f"{number}", at=NOW + number * MINUTE)
    first = on_facebook(sandbox, f"/v26.0/{handle}/published_posts", limit=2, fields="message").json()
    second = requests.get(first["paging"]["next"], timeout=5).json()
    assert [item["message"] for item in [*first["data"], *second["data"]]] == ["2", "1", "0"]
    assert "access_token=sandbox" in first["paging"]["next"]
    assert "next" not in second["paging"]


def test_a_deleted_post_of_a_page_is_an_unsupported_request(sandbox):
    handle, _ = opened(sandbox, "facebook")
    post = sandbox.world.publish("facebook", handle, "padam", at=NOW)
    sandbox.world.delete("facebook", post)
    error = on_facebook(sandbox, f"/v26.0/{post}").json()["error"]
    assert (error["code"], error["error_subcode"]) == (100, 33)


# ---------------------------------------------------------------- Instagram


def on_instagram(sandbox: Sandbox, path: str, **query: object) -> requests.Response:
    return ask(sandbox, "instagram", path, params={**KEY, **query})


def discovered(sandbox: Sandbox, handle: str, fields: str) -> requests.Response:
    asked = f"business_discovery.username({handle}){{{fields}}}"
    return on_instagram(sandbox, f"/v26.0/{instagram_twin.OWN_ID}", fields=asked)


def test_instagram_shows_others_by_discovery_page_by_page_and_not_by_id(sandbox):
    handle, native_id = opened(sandbox, "instagram")
    posts = [sandbox.world.publish("instagram", handle, f"{n}", at=NOW + n * MINUTE) for n in range(3)]
    first = discovered(sandbox, handle, "username,media.limit(2){caption}").json()["business_discovery"]
    assert (first["id"], [one["caption"] for one in first["media"]["data"]]) == (native_id, ["2", "1"])
    after = first["media"]["paging"]["cursors"]["after"]
    second = discovered(sandbox, handle, f"media.limit(2).after({after}){{caption}}").json()["business_discovery"]
    assert second["media"] == {"data": [{"id": posts[0], "caption": "0"}], "paging": {"cursors": {"before": "2"}}}
    assert on_instagram(sandbox, f"/v26.0/{posts[0]}").json()["error"]["error_subcode"] == 33


def test_instagram_refuses_unknown_names_and_fields_and_leaves_an_empty_listing_out(sandbox):
    handle, native_id = opened(sandbox, "instagram")
    assert discovered(sandbox, "tiada", "id").json()["error"]["code"] == 110
    assert "nonexisting field" in discovered(sandbox, handle, "email").json()["error"]["message"]
    assert "supported fields" in discovered(sandbox, handle, "media{ig_id}").json()["error"]["message"]
    shown = discovered(sandbox, handle, "media_count,media{id}").json()["business_discovery"]
    assert shown == {"id": native_id, "media_count": 0}


# ---------------------------------------------------------------- Mastodon


def test_mastodon_pages_down_by_max_id_and_up_by_min_id(sandbox):
    handle, native_id = opened(sandbox, "mastodon")
    ids = [sandbox.world.publish("mastodon", handle, f"{n}", at=NOW + n * MINUTE) for n in range(5)]
    path = f"/api/v1/accounts/{native_id}/statuses"
    first = ask(sandbox, "mastodon", path, params={"limit": 2})
    further = requests.get(first.links["next"]["url"], timeout=5).json()
    upwards = ask(sandbox, "mastodon", path, params={"limit": 2, "min_id": ids[0]}).json()
    assert [item["id"] for item in [*first.json(), *further]] == ids[:0:-1]
    assert [item["id"] for item in upwards] == [ids[2], ids[1]]


def test_a_suspended_account_of_mastodon_lists_nothing_and_says_why(sandbox):
    handle, native_id = opened(sandbox, "mastodon")
    sandbox.world.publish("mastodon", handle, "x", at=NOW)
    sandbox.world.abandon("mastodon", handle)
    assert ask(sandbox, "mastodon", f"/api/v1/accounts/{native_id}/statuses").json() == []
    assert ask(sandbox, "mastodon", f"/api/v1/accounts/lookup?acct={handle}").json()["suspended"] is True


def test_mastodon_takes_no_token_but_its_own_and_no_more_ids_than_it_reads(sandbox):
    wrong = {"Authorization": "Bearer lama"}
    assert ask(sandbox, "mastodon", "/api/v1/instance", headers=wrong).status_code == 401
    assert ask(sandbox, "mastodon", "/api/v1/statuses", params={"id[]": ["1"] * 21}).status_code == 422


# ---------------------------------------------------------------- Bluesky


def test_bluesky_shows_a_page_of_views_and_where_the_next_begins(sandbox):
    handle, native_id = opened(sandbox, "bluesky")
    ids = [sandbox.world.publish("bluesky", handle, f"{n}", at=NOW + n * MINUTE) for n in range(3)]
    asked = {"actor": handle, "limit": 2}
    first = ask(sandbox, "bluesky", "/xrpc/app.bsky.feed.getAuthorFeed", params=asked).json()
    asked["cursor"] = first["cursor"]
    second = ask(sandbox, "bluesky", "/xrpc/app.bsky.feed.getAuthorFeed", params=asked).json()
    assert [item["post"]["uri"] for item in [*first["feed"], *second["feed"]]] == ids[::-1]
    assert first["feed"][0]["post"]["author"]["did"] == native_id


def test_an_edit_on_bluesky_keeps_the_uri_and_changes_the_cid(sandbox):
    handle, _ = opened(sandbox, "bluesky")
    uri = sandbox.world.publish("bluesky", handle, "asal", at=NOW)
    one = ask(sandbox, "bluesky", "/xrpc/app.bsky.feed.getPosts", params={"uris": [uri]}).json()["posts"][0]
    sandbox.world.edit("bluesky", uri, "disunting", at=NOW + MINUTE)
    other = ask(sandbox, "bluesky", "/xrpc/app.bsky.feed.getPosts", params={"uris": [uri]}).json()["posts"][0]
    assert (one["uri"] == other["uri"], one["cid"] == other["cid"]) == (True, False)


@pytest.mark.parametrize(("limit", "uris"), [(101, 1), (50, 26)])
def test_bluesky_refuses_more_than_it_gives(sandbox, limit, uris):
    handle, _ = opened(sandbox, "bluesky")
    feed = ask(sandbox, "bluesky", "/xrpc/app.bsky.feed.getAuthorFeed", params={"actor": handle, "limit": limit})
    posts = ask(sandbox, "bluesky", "/xrpc/app.bsky.feed.getPosts", params={"uris": ["at://a/b/c"] * uris})
    assert 400 in {feed.status_code, posts.status_code}


def test_a_pds_knows_no_feed_and_lists_records(sandbox):
    handle, native_id = opened(sandbox, "bluesky")
    uri = sandbox.world.publish("bluesky", handle, "asal", at=NOW)
    assert "No service" in ask(sandbox, "bluesky-pds", f"/xrpc/app.bsky.feed.getAuthorFeed?actor={handle}").text
    asked = {"repo": native_id, "collection": "app.bsky.feed.post"}
    listed = ask(sandbox, "bluesky-pds", "/xrpc/com.atproto.repo.listRecords", params=asked).json()
    assert ([item["uri"] for item in listed["records"]], listed["cursor"]) == ([uri], uri.rpartition("/")[2])


# ---------------------------------------------------------------- Threads


def on_threads(sandbox: Sandbox, path: str, **query: object) -> requests.Response:
    return ask(sandbox, "threads", path, params={**KEY, **query})


def test_threads_shows_profiles_by_name_and_a_cursor_at_the_very_end(sandbox):
    handle, _ = opened(sandbox, "threads")
    post = sandbox.world.publish("threads", handle, "hai", at=NOW)
    profile = on_threads(sandbox, "/v1.0/profile_lookup", username=handle, fields="username,name").json()
    assert (profile["username"], profile["name"]) == (handle, "Jabatan Demo")
    page = on_threads(sandbox, "/v1.0/profile_posts", username=handle, fields="text").json()
    assert page == {"data": [{"id": post, "text": "hai"}], "paging": {"cursors": {"before": "0", "after": "1"}}}
    assert on_threads(sandbox, "/v1.0/profile_posts", username=handle, after="1").json() == {"data": []}


def test_threads_refuses_unknown_profiles_fields_and_times_before_its_own(sandbox):
    handle, _ = opened(sandbox, "threads")
    assert on_threads(sandbox, "/v1.0/profile_posts", username="tiada").json()["error"]["code"] == 100
    strange = on_threads(sandbox, "/v1.0/profile_posts", username=handle, fields="caption").json()
    assert "nonexisting field (caption)" in strange["error"]["message"]
    assert "since" in on_threads(sandbox, "/v1.0/profile_posts", username=handle, since="1").json()["error"]["message"]


# ---------------------------------------------------------------- MySpace and feeds


def test_an_abandoned_profile_answers_with_an_empty_shell(sandbox):
    handle, _ = opened(sandbox, "myspace")
    assert "data-entity-key" in ask(sandbox, "myspace", f"/{handle}").text
    sandbox.world.abandon("myspace", handle)
    answer = ask(sandbox, "myspace", f"/{handle}")
    assert (answer.status_code, handle in answer.text) == (200, False)


def test_an_unchanged_feed_costs_nothing(sandbox):
    handle, _ = opened(sandbox, "rss")
    mark = requests.get(sandbox.feed_url(handle), timeout=5).headers["etag"]
    again = {"If-None-Match": mark}
    assert requests.get(sandbox.feed_url(handle), headers=again, timeout=5).status_code == 304
    sandbox.world.publish("rss", handle, "baharu", at=NOW)
    assert requests.get(sandbox.feed_url(handle), headers=again, timeout=5).status_code == 200


@pytest.mark.parametrize("platform", ["myspace", "rss", "telegram"])
def test_markup_of_a_post_is_no_markup_of_the_page(sandbox, platform):
    handle, _ = opened(sandbox, platform)
    sandbox.world.publish(platform, handle, "<script>alert(1)</script>", at=NOW)
    path = {"myspace": f"/{handle}", "rss": f"/{handle}.xml", "telegram": f"/s/{handle}"}[platform]
    assert "<script>alert" not in ask(sandbox, platform, path).text


# ---------------------------------------------------------------- YouTube


def on_youtube(sandbox: Sandbox, method: str, **query: object) -> requests.Response:
    return ask(sandbox, "youtube", f"/youtube/v3/{method}", params={"key": "sandbox", "part": "snippet", **query})


def refused_by_youtube(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_youtube_wants_its_key_and_no_question_that_it_does_not_know(sandbox):
    assert refused_by_youtube(on_youtube(sandbox, "channels", id="UC1", key="")) == (403, "forbidden")
    wrong = on_youtube(sandbox, "channels", id="UC1", key="lama")
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert refused_by_youtube(on_youtube(sandbox, "channels", id="UC1", part="all")) == (400, "unknownPart")
    assert refused_by_youtube(on_youtube(sandbox, "videos", id="1", q="x")) == (400, "unexpectedParameter")
    assert refused_by_youtube(on_youtube(sandbox, "videos", id="1", maxResults=51)) == (400, "invalidParameter")
    assert on_youtube(sandbox, "search", q="x").status_code == 404


def test_youtube_finds_a_channel_by_name_and_leaves_the_items_of_nothing_out(sandbox):
    handle, native_id = opened(sandbox, "youtube")
    (channel,) = on_youtube(sandbox, "channels", forHandle=f"@{handle}").json()["items"]
    assert (channel["id"], channel["snippet"]["customUrl"]) == (native_id, f"@{handle}")
    assert "items" not in on_youtube(sandbox, "channels", forHandle="@tiada").json()


def test_youtube_pages_a_channel_s_uploads_of_which_an_empty_channel_has_no_list(sandbox):
    handle, native_id = opened(sandbox, "youtube")
    uploads = f"UU{native_id[2:]}"
    assert refused_by_youtube(on_youtube(sandbox, "playlistItems", playlistId=uploads)) == (404, "playlistNotFound")
    for number in range(3):
        sandbox.world.publish("youtube", handle, f"{number}", at=NOW + number * MINUTE)
    first = on_youtube(sandbox, "playlistItems", playlistId=uploads, maxResults=2).json()
    token = first["nextPageToken"]
    second = on_youtube(sandbox, "playlistItems", playlistId=uploads, maxResults=2, pageToken=token).json()
    assert [item["snippet"]["title"] for item in [*first["items"], *second["items"]]] == ["2", "1", "0"]
    assert "nextPageToken" not in second


# ---------------------------------------------------------------- Telegram


def test_telegram_shows_the_oldest_message_first_and_pages_by_number(sandbox):
    handle, _ = opened(sandbox, "telegram")
    ids = [sandbox.world.publish("telegram", handle, f"{n}", at=NOW + n * MINUTE) for n in range(25)]
    page = ask(sandbox, "telegram", f"/s/{handle}").text
    assert page.index(f'data-post="{handle}/{ids[5]}"') < page.index(f'data-post="{handle}/{ids[24]}"')
    assert f'data-before="{ids[5]}"' in page
    older = ask(sandbox, "telegram", f"/s/{handle}", params={"before": ids[5]}).text
    assert f'data-post="{handle}/{ids[0]}"' in older
    assert "data-before" not in older


def test_telegram_says_of_a_deleted_message_and_of_an_unknown_name_what_they_are(sandbox):
    handle, _ = opened(sandbox, "telegram")
    post = sandbox.world.publish("telegram", handle, "padam", at=NOW)
    assert "padam" in ask(sandbox, "telegram", f"/{handle}/{post}", params={"embed": "1"}).text
    sandbox.world.delete("telegram", post)
    assert "Post not found" in ask(sandbox, "telegram", f"/{handle}/{post}", params={"embed": "1"}).text
    assert ask(sandbox, "telegram", "/s/tiada").url.endswith("/telegram/tiada")
    assert "you can contact" in ask(sandbox, "telegram", "/s/tiada").text


# ---------------------------------------------------------------- web sites


def test_a_site_lists_its_articles_and_shows_each_until_it_is_deleted(sandbox):
    handle, _ = opened(sandbox, "web")
    post = sandbox.world.publish("web", handle, "Tajuk\nisi", at=NOW)
    address = f"{sandbox.page_url(handle)}/{post}"
    listed = requests.get(sandbox.page_url(handle), timeout=5)
    assert address in listed.text
    again = {"If-None-Match": listed.headers["etag"]}
    assert requests.get(sandbox.page_url(handle), headers=again, timeout=5).status_code == 304
    assert "<h1>Tajuk</h1>" in requests.get(address, timeout=5).text
    assert address.replace("berita", "arkib") in ask(sandbox, "web", f"/{handle}/peta.xml").text
    sandbox.world.delete("web", post)
    assert requests.get(address, timeout=5).status_code == 404
    assert address not in requests.get(sandbox.page_url(handle), timeout=5).text


# ---------------------------------------------------------------- the server


def test_a_fault_happens_as_often_as_it_was_ordered_and_only_where(sandbox):
    sandbox.world.fail("rss", status=503, times=2, path_contains="sini")
    assert [ask(sandbox, "rss", "/sini.xml").status_code for _ in range(3)] == [503, 503, 404]
    sandbox.world.fail("rss", status=503, path_contains="sini")
    assert ask(sandbox, "rss", "/sana.xml").status_code == 404


@pytest.mark.parametrize("fault", [{"reset": True}, {"cut": True}])
def test_a_broken_connection_is_broken_for_the_reader(sandbox, fault):
    handle, _ = opened(sandbox, "rss")
    sandbox.world.fail("rss", **fault)
    with pytest.raises(requests.RequestException):
        requests.get(sandbox.feed_url(handle), timeout=5)
    assert requests.get(sandbox.feed_url(handle), timeout=5).status_code == 200


def test_an_unknown_platform_is_not_there(sandbox):
    assert requests.get(sandbox.base_url("friendster"), timeout=5).status_code == 404


def test_a_taken_port_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = Sandbox(World(), port=taken.getsockname()[1])
        with pytest.raises(OSError, match="use"):
            other.start()


def test_a_sandbox_that_is_stopped_gives_its_port_back():
    with Sandbox(World()) as first:
        port = first.port
    with Sandbox(World(), port=port) as second:
        assert requests.get(second.base_url("rss"), timeout=5).status_code == 404


# ---------------------------------------------------------------- the demo's story


def test_the_story_breaks_a_rule_within_a_minute():
    world = World()
    story.begin(world, NOW)
    at, scenes = NOW, story.scenes()
    while story.LEAK not in _texts(world, "x", "jpdemo"):
        scene = next(scenes)
        at += scene.after
        scene.act(world, at)
    assert at - NOW <= MINUTE


def test_the_story_edits_deletes_and_renames():
    world = World()
    story.begin(world, NOW)
    for number, scene in enumerate(itertools.islice(story.scenes(), 60)):
        scene.act(world, NOW + number * MINUTE)
    assert story.INTERNAL in _texts(world, "facebook", "mpsampel")
    assert story.HIJACK not in _texts(world, "x", "visitdemo")
    assert world.holder("x", "visitdemo").name == "Solana Airdrop"


def _texts(world: World, platform: str, handle: str) -> list[str]:
    return [post.latest.text for post in world.timeline(platform, world.holder(platform, handle).native_id)]


def test_nobody_of_the_story_can_be_written_to():
    addresses = [value for agency in story.AGENCIES for value in _addresses(agency.contacts)]
    assert len(addresses) >= 4 * len(story.AGENCIES)
    assert all(address.endswith(".example.my") for address in addresses)


def _addresses(contacts) -> list[str]:
    return [getattr(contacts, name) for name in ("head_email", "deputy_email", "ictso_email", "comms_email")]


def test_every_planned_breach_of_the_demo_alerts_and_no_ordinary_post_does():
    rules = load_rules(Path(__file__).parent.parent / "config" / "rules", today=date(2026, 11, 24))

    def alerts(text: str) -> bool:
        return any(found.severity.alerts for found in evaluate(rules, Subject(fields={"text": text})))

    assert [text for text, _ in story.BREACHES if not alerts(text)] == []
    assert [text for texts in story.ORDINARY.values() for text in texts if alerts(text)] == []
