"""Instagram as the Graph API answers: recorded shapes, the own account and others, and what documents leave out."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from replay import Answer, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, ConnectorMisconfigured, SchemaDrift
from connectors.instagram import InstagramConnector, InstagramSettings
from connectors.instagram.connector import username_of
from connectors.instagram.posts import parse_items, parse_post
from connectors.owners import AnotherAccount
from connectors.sandbox.instagram_twin import OWN
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.model import Cause, MediaKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ASKER = "17841400000000001"
TOKEN = "EAABplantedTokenThatNobodyMaySee"
JPD = account("jpd.demo", "instagram", id=1, native_id="17841401441775531")
FIRST_PAGE, LAST_PAGE = recorded("instagram/discovery"), recorded("instagram/discovery_last")
OWN_MEDIA = recorded("instagram/own_media")


def connector(url: str, *, token: str = TOKEN, user_id: str = ASKER, app_secret: str = "", **how: object):
    settings = InstagramSettings(
        access_token=Secret(token), app_secret=Secret(app_secret), user_id=user_id, base_url=url
    )
    bounds = base.Bounds(**{"back_catalogue": 3200, **how})
    return InstagramConnector(settings, Network(timeout=timedelta(seconds=5)), bounds)


def pull(url: str, cursor=None, *, of=JPD, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(of, cursor, now=NOW))


def ids(pages) -> list[str]:
    return [post.native_id[-2:] for page in pages for post in page.posts]


def discovered(items, *, after: str = "", count: int = 9):
    paging = {"paging": {"cursors": {"after": after}}} if after else {}
    media = {"media": {"data": items, **paging}} if items is not None else {}
    return {"business_discovery": {"id": "17841401441775531", "media_count": count, **media}, "id": ASKER}


def item(number: int, **more: object) -> dict[str, object]:
    created = NOW - number * HOUR
    facts = {"id": f"1790000{number:02}", "caption": f"hantaran {number}", "media_type": "IMAGE"}
    return {**facts, "timestamp": created.strftime("%Y-%m-%dT%H:%M:%S+0000"), **more}


# ---------------------------------------------------------------- what posts say


@pytest.fixture(scope="module")
def posts():
    found = parse_items(FIRST_PAGE["business_discovery"]["media"])
    return dict(zip(["album", "reel", "bare", "unknown"], found, strict=True))


def test_an_album_shows_each_part_once_with_its_words(posts):
    media = posts["album"].media
    names = [one.url.partition("?")[0].rpartition("/")[2] for one in media]
    assert names == ["one.jpg", "two.jpg", "two.mp4"]
    assert media[0].text == "Muka hadapan borang"
    assert [one.kind for one in media] == [MediaKind.PICTURE, MediaKind.PICTURE, MediaKind.VIDEO]


def test_a_caption_s_addresses_are_links_without_the_full_stop(posts):
    assert posts["album"].links == ("https://www.jpd.example.my/borang?jenis=a&bil=2",)


def test_a_video_under_copyright_is_named_by_its_page(posts):
    assert posts["reel"].media[-1].url == "https://www.instagram.com/reel/DAreel00002/"
    assert posts["reel"].media[-1].kind is MediaKind.VIDEO


def test_a_post_without_words_is_a_post(posts):
    assert (posts["bare"].text, len(posts["bare"].media)) == ("", 1)


def test_nulls_a_number_for_an_id_and_an_unknown_kind_are_no_drift(posts):
    post = posts["unknown"]
    assert (post.native_id, post.text, post.media) == ("18012345678900004", "", ())
    assert post.published_at == datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    assert post.url == "https://www.instagram.com/jpd.demo"


def test_another_signature_on_a_file_is_no_edit_and_another_caption_is():
    one = FIRST_PAGE["business_discovery"]["media"]["data"][0]
    again = json.loads(json.dumps(one).replace("oh=00_A", "oh=00_Z"))
    assert parse_post(one).content_hash == parse_post(again).content_hash
    assert parse_post(one).content_hash != parse_post({**one, "caption": "lain"}).content_hash


def test_no_credential_is_kept_with_a_post():
    children = {"data": [], "paging": {"next": f"https://graph.facebook.com/1?access_token={TOKEN}"}}
    assert TOKEN not in json.dumps(parse_post(item(1, children=children)).raw)


DRIFTS = {
    "nothing the API ever sends": {"unexpected": True},
    "media that are no listing": {"business_discovery": {"media": []}},
    "data that is no list": {"business_discovery": {"media": {"data": {}}}},
    "a post that is no object": discovered(["1"]),
    "a post without an id": discovered([{"timestamp": "2026-11-23T09:00:00+0000"}]),
    "a post without a time": discovered([{"id": "1"}]),
    "a time without a zone": discovered([{"id": "1", "timestamp": "2026-11-23T09:00:00"}]),
    "no media where there must be some": discovered(None, count=12),
    "no media and no count": {"business_discovery": {"id": "1"}},
}


@pytest.mark.parametrize("payload", DRIFTS.values(), ids=DRIFTS)
def test_a_changed_schema_is_never_no_news(payload):
    with Replay(lambda _: as_json(payload)) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


def test_an_account_that_counts_no_posts_has_none():
    with Replay(lambda _: as_json(discovered(None, count=0))) as replay:
        (page,) = pull(replay.url)
    assert (page.posts, page.last, page.gap) == ((), True, None)


# ---------------------------------------------------------------- the walk


def test_others_are_read_by_discovery_in_the_name_of_the_own_account():
    with Replay(by_path({f"/v26.0/{ASKER}": [FIRST_PAGE, LAST_PAGE]})) as replay:
        pages = pull(replay.url)
        first, second = (asked.query["fields"] for asked in replay.asked)
    assert first.startswith("business_discovery.username(jpd.demo){")
    assert "media.limit(50){id,caption," in first
    assert "media.limit(50).after(QVFIUmZAsecondPage){" in second
    assert ids(pages) == ["01", "02", "03", "04", "05"]
    assert pages[-1].gap is None


def test_a_cursor_that_leads_to_the_same_page_again_is_the_end():
    items = [item(n) for n in range(1, 4)]
    numbers = itertools.count()
    with Replay(lambda _: as_json(discovered(items, after=f"c{next(numbers)}"))) as replay:
        pages = pull(replay.url)
        assert len(replay.asked) == 2
    assert pages[-1].last
    assert pages[-1].gap is None


def test_a_cursor_cannot_change_the_question():
    payload = discovered([item(1)], after="x){id}}&fields=email(")
    with Replay(lambda _: as_json(payload)) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


def test_a_field_that_discovery_does_not_show_is_left_out():
    refusal = {"error": {"message": "(#100) Please read documentation for supported fields.", "code": 100}}
    with Replay(by_path({f"/{ASKER}": [as_json(refusal, status=400), discovered([item(1)])]})) as replay:
        one = connector(replay.url)
        for _ in range(2):
            assert len(next(one.pull(JPD, None, now=NOW)).posts) == 1
        asked = ["alt_text" in asked.query["fields"] for asked in replay.asked]
    assert asked == [True, False, False]


def test_too_much_at_once_is_asked_for_in_smaller_pages():
    refusal = {"error": {"message": "Please reduce the amount of data you're asking for, then retry", "code": 1}}
    with Replay(by_path({f"/{ASKER}": [as_json(refusal, status=500), discovered([item(1)])]})) as replay:
        pull(replay.url)
        assert "media.limit(25)" in replay.asked[1].query["fields"]


def test_a_stretch_of_the_past_is_read_again():
    with Replay(by_path({f"/{ASKER}": [FIRST_PAGE, LAST_PAGE]})) as replay:
        start, end = (datetime(2026, 11, day, tzinfo=UTC) for day in (20, 22))
        pages = list(connector(replay.url).backfill(JPD, start, end, now=NOW))
    assert ids(pages) == ["03", "04"]
    assert (pages[-1].last, pages[-1].gap) == (True, None)


# ---------------------------------------------------------------- accounts


NAMES = {
    "a username": ("jpd.demo", "", "jpd.demo"),
    "a username with an at sign": ("@jpd_demo", "", "jpd_demo"),
    "a pasted address": ("https://www.instagram.com/jpd.demo/?hl=ms", "", "jpd.demo"),
    "the address where the handle is a title": ("Jabatan Demo", "https://instagram.com/jpd.demo", "jpd.demo"),
}


@pytest.mark.parametrize(("handle", "url", "name"), NAMES.values(), ids=NAMES)
def test_an_account_is_asked_for_by(handle, url, name):
    assert username_of(account(handle, "instagram", url=url)) == name


@pytest.mark.parametrize("handle", ["Jabatan Demo", "", "jpd){id}", "https://facebook.com/jpd"])
def test_what_is_no_username_is_never_asked_for(handle):
    with pytest.raises(AccountNotFound):
        username_of(account(handle, "instagram"))


def test_a_profile_is_told_by_discovery():
    with Replay(by_path({f"/{ASKER}": recorded("instagram/profile")})) as replay:
        profile = connector(replay.url).resolve(account("JPD.Demo", "instagram"))
    assert (profile.native_id, profile.name, profile.handle) == (
        "17841401441775531",
        "Jabatan Perkhidmatan Demo",
        "jpd.demo",
    )
    assert profile.bio == "Akaun rasmi\nHotline 15999"


PAGES = {"data": [{"id": "1"}, {"id": "2", "instagram_business_account": {"id": ASKER, "username": "pantau.demo"}}]}


def test_the_own_account_is_found_by_the_token_once():
    routes = {"/me/accounts": PAGES, f"/{ASKER}": recorded("instagram/profile")}
    with Replay(by_path(routes)) as replay:
        one = connector(replay.url, user_id="")
        for _ in range(2):
            one.resolve(account("jpd.demo", "instagram"))
        assert replay.paths == ["/v26.0/me/accounts", f"/v26.0/{ASKER}", f"/v26.0/{ASKER}"]


def test_one_that_signed_in_to_instagram_itself_is_found_as_well():
    nobody = {"error": {"message": "(#100) Tried accessing nonexisting field (accounts) on node type (IGUser)"}}
    nobody["error"]["code"] = 100
    routes = {
        "/me/accounts": as_json(nobody, status=400),
        "/me": {"user_id": ASKER, "username": "pantau.demo"},
        f"/{ASKER}/media": OWN_MEDIA,
    }
    with Replay(by_path(routes)) as replay:
        assert ids(pull(replay.url, user_id="", of=account("pantau.demo", "instagram"))) == ["01", "02"]


def test_one_that_signed_in_itself_keeps_the_id_it_is_asked_for_by():
    """To such a token it tells another id of itself, which no question takes."""
    routes = {
        "/me/accounts": Answer(status=404),
        "/me": {"id": "28001", "user_id": ASKER, "username": "pantau.demo"},
        f"/{ASKER}": {"id": "28001", "username": "pantau.demo", "name": "Pantau"},
    }
    with Replay(by_path(routes)) as replay:
        one = connector(replay.url, user_id="")
        mine = account("pantau.demo", "instagram")
        assert one.resolve(mine).native_id == ASKER
        replay.script = by_path({f"/{ASKER}": {"id": "28002", "username": "kcm.demo", "name": "KCM"}})
        with pytest.raises(AnotherAccount, match=r"about 28002;"):
            one.resolve(mine)


def test_the_own_account_s_page_without_a_post_of_its_own_is_another_s_but_one_with_some_is_not():
    """Posts published together with others may bear their names."""
    items = [{"id": f"1{n}", "timestamp": "2026-11-23T01:00:00+0000", "username": "kcm.demo"} for n in (1, 2)]
    mixed = [items[0], {**items[1], "username": "Pantau.Demo"}]
    routes = {"/me/accounts": PAGES, f"/{ASKER}/media": [{"data": mixed}, {"data": items}]}
    with Replay(by_path(routes)) as replay:
        one, mine = connector(replay.url, user_id=""), account("pantau.demo", "instagram", native_id=ASKER)
        assert ids(list(one.pull(mine, None, now=NOW))) == ["11", "12"]
        with pytest.raises(AnotherAccount, match=r"asked for pantau\.demo, the answer is about kcm\.demo;"):
            list(one.pull(mine, None, now=NOW))


def test_a_token_without_an_account_of_its_own_names_the_remedy():
    remedy = pytest.raises(ConnectorMisconfigured, match=r"connectors\.instagram\.user_id")
    for routes in ({"/me/accounts": {"data": [{"id": "1"}]}}, {}):
        with Replay(by_path(routes)) as replay, remedy:
            pull(replay.url, user_id="")


def test_a_page_s_own_token_shows_the_account_of_its_page():
    page = {"id": "1", "instagram_business_account": {"id": ASKER, "username": "pantau.demo"}}
    routes = {"/me/accounts": Answer(status=404), "/me": page, f"/{ASKER}": [FIRST_PAGE, LAST_PAGE]}
    with Replay(by_path(routes)) as replay:
        assert len(pull(replay.url, user_id="")[0].posts) == 4


# ---------------------------------------------------------------- the own account


MINE = account("pantau.demo", "instagram", id=2, native_id=ASKER)
GONE = {
    "error": {
        "message": "Unsupported get request. Object with ID '17900000000000002' does not exist",
        "code": 100,
        "error_subcode": 33,
    }
}


def test_the_own_media_end_where_there_is_no_next_even_with_cursors():
    with Replay(by_path({f"/{ASKER}/media": OWN_MEDIA})) as replay:
        (page,) = pull(replay.url, of=MINE)
        assert len(replay.asked) == 1
    assert ids([page]) == ["01", "02"]


def test_own_posts_are_read_again_in_one_call():
    both = {one["id"]: one for one in OWN_MEDIA["data"]}
    with Replay(by_path({"/v26.0/": both})) as replay:
        answer = connector(replay.url).reread(MINE, list(both), now=NOW)
        assert len(replay.asked) == 1
    assert [post.native_id for post in answer.posts] == list(both)


def test_a_deleted_own_post_is_missing_and_its_neighbours_are_read():
    items = {f"179{n:02}": {**OWN_MEDIA["data"][0], "id": f"179{n:02}"} for n in range(16)}
    del items["17905"]

    def script(asked):
        wanted = asked.query["ids"].split(",") if "ids" in asked.query else [asked.path.rpartition("/")[2]]
        if any(one not in items for one in wanted):
            return as_json(GONE, status=400)
        return as_json({one: items[one] for one in wanted} if "ids" in asked.query else items[wanted[0]])

    with Replay(script) as replay:
        answer = connector(replay.url).reread(MINE, [f"179{n:02}" for n in range(16)], now=NOW)
        assert len(replay.asked) == 9  # halved until the bad one is alone
    assert answer.missing == {"17905"}
    assert len(answer.posts) == 15


def test_when_the_own_account_s_posts_are_all_gone_the_listing_has_the_last_word():
    known = [one["id"] for one in OWN_MEDIA["data"]]
    with Replay(by_path({f"/{ASKER}/media": OWN_MEDIA}, otherwise=as_json(GONE, status=400))) as replay:
        answer = connector(replay.url).reread(MINE, known, now=NOW)
    assert answer.missing == frozenset()
    assert len(answer.posts) == 2


def test_a_server_that_reads_no_post_by_id_loses_none():
    with Replay(by_path({f"/{ASKER}/media": OWN_MEDIA})) as replay:
        assert connector(replay.url).reread(MINE, ["17900000000000001"], now=NOW).missing == frozenset()


def test_the_sandbox_s_own_account_is_read_by_id():
    with Sandbox(World()) as sandbox:
        native_id = sandbox.world.add_account("instagram", OWN, name="Pantau")
        gone, stays = (sandbox.world.publish("instagram", OWN, t, at=NOW - HOUR) for t in ("padam", "kekal"))
        sandbox.world.delete("instagram", gone)
        one = connector(sandbox.base_url("instagram"), user_id="", token="sandbox")
        mine = account(OWN, "instagram", native_id=native_id)
        answer = one.reread(mine, [gone, stays], now=NOW)
        assert [len(page.posts) for page in one.pull(mine, None, now=NOW)] == [1]
    assert (answer.missing, [post.text for post in answer.posts]) == ({gone}, ["kekal"])


# ---------------------------------------------------------------- others' posts read again


def test_others_posts_are_read_by_id_in_one_call_where_instagram_shows_them_so():
    both = {one["id"]: one for one in FIRST_PAGE["business_discovery"]["media"]["data"][:2]}
    with Replay(by_path({"/v26.0/": both})) as replay:
        answer = connector(replay.url).reread(JPD, list(both), now=NOW)
        assert [asked.query["ids"] for asked in replay.asked] == [",".join(both)]
    assert [post.native_id for post in answer.posts] == list(both)


def test_a_known_post_is_looked_up_in_the_listing_and_no_further():
    routes = {f"/{ASKER}": FIRST_PAGE, "/v26.0/": as_json(GONE, status=400)}
    known = {"18012345678900001": datetime(2026, 11, 23, 9, 0, tzinfo=UTC)}
    with Replay(by_path(routes)) as replay:
        one = connector(replay.url)
        for _ in range(2):
            assert [post.native_id for post in one.reread_listed(JPD, known, now=NOW).posts] == list(known)
        assert replay.paths == ["/v26.0/", f"/v26.0/{ASKER}", f"/v26.0/{ASKER}"]  # by id it is not tried again


def test_a_post_that_the_listing_should_have_shown_is_missing():
    known = {"gone": datetime(2026, 11, 22, 20, 0, tzinfo=UTC)}
    with Replay(by_path({f"/{ASKER}": FIRST_PAGE, "/v26.0/": as_json(GONE, status=400)})) as replay:
        one = connector(replay.url)
        assert [one.reread_listed(JPD, known, now=NOW).missing for _ in range(2)] == [{"gone"}] * 2
        assert replay.paths == ["/v26.0/", f"/v26.0/{ASKER}"] * 2


# ---------------------------------------------------------------- refusals and budget


REFUSALS = {one["sentence"]: one for one in recorded("instagram/refusals")}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_sorted_by_what_it_means(refusal):
    body = refusal["body"]
    answer = Answer(status=refusal["status"], body=body.encode()) if isinstance(body, str) else None
    answer = answer or as_json(body, status=refusal["status"])
    with Replay(lambda _: answer) as replay, pytest.raises(ConnectorError) as caught:
        pull(replay.url)
    assert type(caught.value) is getattr(base, refusal["error"])
    assert "facebook" not in str(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_the_budget_is_told_and_not_overdrawn():
    usage = {"x_business_use_case_usage": '{"1":[{"type":"instagram","call_count":97,"total_time":5}]}'}
    with Replay(lambda _: as_json(FIRST_PAGE, **usage)) as replay:
        one = connector(replay.url)
        next(one.pull(JPD, None, now=NOW))
        with pytest.raises(base.RateLimited) as caught:
            next(one.pull(JPD, None, now=NOW))
        assert len(replay.asked) == 1
    (left,) = one.allowances()
    assert (left.limit, left.remaining, left.resets_at) == (100, 3, NOW + HOUR)
    assert (caught.value.cause, caught.value.retry_at) == (Cause.RATE_LIMIT, NOW + HOUR)


def test_the_proof_of_the_app_s_secret_goes_with_every_call():
    with Replay(lambda _: as_json(FIRST_PAGE)) as replay:
        next(connector(replay.url, app_secret="rahsia-app").pull(JPD, None, now=NOW))
        proof = hmac.new(b"rahsia-app", TOKEN.encode(), hashlib.sha256).hexdigest()
        assert replay.asked[0].query["appsecret_proof"] == proof


def test_the_token_is_described_with_whom_it_asks_for():
    token = {"data": {"is_valid": True, "expires_at": 0, "scopes": ["instagram_basic"]}}
    with Replay(by_path({"/debug_token": token, f"/{ASKER}": {"id": ASKER, "username": "pantau.demo"}})) as replay:
        sentence = connector(replay.url).check()
    assert sentence == (
        "instagram: the token is valid without an end; it grants instagram_basic; it asks in the name of @pantau.demo"
    )


def test_an_own_account_that_is_not_shown_is_a_mistake_of_the_configuration():
    remedy = pytest.raises(ConnectorMisconfigured, match=r"instagram\.user_id")
    with Replay(by_path({}, otherwise=as_json(GONE, status=400))) as replay, remedy:
        connector(replay.url).check()


def test_the_sandbox_finds_its_own_account():
    with Sandbox(World()) as sandbox:
        one = connector(sandbox.base_url("instagram"), user_id="", token="sandbox")
        assert f"@{OWN}" in one.check()
