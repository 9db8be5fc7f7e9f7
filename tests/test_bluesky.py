"""Bluesky: what an AppView and a PDS send, mapped; what they refuse, named."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from junk import spoiled
from replay import Answer, Replay, as_json, by_path, recorded

from connectors.base import (
    AccountNotFound,
    Bounds,
    ConnectorError,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
    Unavailable,
    Wanted,
)
from connectors.bluesky import BlueskyConnector, BlueskySettings
from connectors.bluesky import posts as atproto
from connectors.bluesky.connector import actor_of
from connectors.bluesky.listing import Stream, parse_feed, ready
from connectors.bluesky.refusals import AccountHidden
from connectors.owners import AnotherAccount
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.model import Account, MediaKind, PostKind
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DID = "did:plc:7iza6de2dwap2sbkpav7c6c6"
OTHER = "did:plc:z72i7hdynmk6r22z27h6tvur"
ACCOUNT = Account(agency="JPD", platform="bluesky", handle="jpd.gov.my", native_id=DID, id=1)
MINUTE = timedelta(minutes=1)
LOOPBACK = Network(allow=(ipaddress.ip_network("127.0.0.1/32"),), timeout=timedelta(seconds=5))
BLOBS = "https://pds.example.my/xrpc/com.atproto.sync.getBlob"
NO_APPVIEW = as_json({"error": "InvalidRequest", "message": "No service configured for app.bsky.x"}, status=400)


def key(at: datetime, number: int = 0) -> str:
    """Return the key (TID) of a record made then."""
    value = int(at.timestamp() * 1_000_000) << 10 | number
    return "".join(atproto.SORTED[value >> 5 * place & 31] for place in reversed(range(13)))


def record(at: datetime, text: str = "x", collection: str = atproto.POST, **more: object) -> dict[str, object]:
    said = {"$type": collection, "text": text, "createdAt": at.isoformat(), **more}
    return {"uri": f"at://{DID}/{collection}/{key(at)}", "cid": f"bafy{text}", "value": said}


def reading(script, **bounds: object) -> tuple[Replay, BlueskyConnector]:
    server = Replay(script)
    return server, BlueskyConnector(BlueskySettings(base_url=server.url), LOOPBACK, Bounds(**bounds))


def error_of(script, *, account: Account = ACCOUNT) -> ConnectorError:
    server, connector = reading(script)
    with server, pytest.raises(ConnectorError) as raised:
        list(connector.pull(account, None, now=NOW))
    return raised.value


@pytest.fixture(scope="module")
def feed():
    return {post.native_id.rpartition("/")[2][-1]: post for post in parse_feed(recorded("bluesky/author_feed")).posts}


# ---------------------------------------------------------------- an AppView's feed


def test_the_whole_address_behind_a_shortened_one_is_a_link(feed):
    assert feed["a"].links == ("https://jpd.gov.my/borang/tahunan/2026.pdf?a=1&b=2",)
    assert (feed["a"].kind, feed["a"].language) == (PostKind.ORIGINAL, "ms")
    assert feed["a"].url == "https://bsky.app/profile/jpd.gov.my/post/3lpost222222a"


def test_pictures_come_in_full_size_with_their_descriptions(feed):
    assert [(one.kind, one.text) for one in feed["b"].media] == [
        (MediaKind.PICTURE, "Ketua Pengarah di pentas"),
        (MediaKind.PICTURE, ""),
    ]
    assert all("feed_fullsize" in one.url for one in feed["b"].media)


def test_a_quotation_brings_the_quoted_words_and_an_address_that_a_new_handle_does_not_change(feed):
    assert feed["c"].kind is PostKind.QUOTE
    assert feed["c"].text == "Lihat ini\n\nMinit mesyuarat SULIT"
    assert feed["c"].links == (f"https://bsky.app/profile/{OTHER}/post/3lquoted22222",)
    assert feed["c"].own is None


def test_a_quotation_that_is_not_shown_is_marked_so_that_its_return_is_no_edit(feed):
    assert (feed["d"].kind, feed["d"].text) == (PostKind.QUOTE, "Video dan petikan")
    assert feed["d"].own == {"cid": "bafyreicid3lpost222222d"}
    assert [(one.kind, one.text) for one in feed["d"].media] == [(MediaKind.VIDEO, "Taklimat")]


def test_the_words_of_a_link_s_card_are_published_as_well(feed):
    assert feed["e"].text == "Berita\n\nSenarai peserta\n\nNama dan nombor telefon"
    assert feed["e"].links == ("https://www.jpd.gov.my/berita/1",)
    assert [one.kind for one in feed["e"].media] == [MediaKind.PICTURE]


def test_a_reply_to_what_is_gone_or_blocked_is_a_reply(feed):
    assert (feed["f"].kind, feed["f"].text) == (PostKind.REPLY, "Terima kasih")


def test_a_repost_has_an_id_and_a_time_of_its_own_and_the_other_s_words(feed):
    repost = feed["2"]
    assert (repost.native_id, repost.kind) == (f"at://{DID}/app.bsky.feed.repost/3lrepost22222", PostKind.REPOST)
    assert (repost.text, repost.published_at.hour) == ("Hebahan kementerian", 3)
    assert repost.url == "https://bsky.app/profile/kcm.gov.my/post/3lpost222222g"


def test_a_repost_of_an_older_server_is_known_by_who_and_what():
    item = recorded("bluesky/author_feed")["feed"][6]
    del item["reason"]["uri"]
    (post,) = parse_feed({"feed": [item]}).posts
    assert post.native_id == f"repost:{DID}:at://{OTHER}/app.bsky.feed.post/3lpost222222g"


def test_a_time_without_a_zone_is_utc_and_a_language_is_its_first_part(feed):
    assert feed["h"].published_at == datetime(2023, 6, 1, tzinfo=UTC)
    assert feed["h"].language == "en"


def test_a_post_that_is_dated_ahead_was_made_when_the_network_first_saw_it():
    item = recorded("bluesky/author_feed")["feed"][0]
    item["post"]["record"]["createdAt"] = "2031-01-01T00:00:00Z"
    assert parse_feed({"feed": [item]}).posts[0].published_at == datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_pinned_post_does_not_say_how_far_the_feed_has_come():
    item = recorded("bluesky/author_feed")["feed"][7] | {"reason": {"$type": "app.bsky.feed.defs#reasonPin"}}
    listed = parse_feed({"feed": [item]})
    assert (len(listed.posts), listed.times) == (1, ())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda view: view.pop("uri"),
        lambda view: view.pop("cid"),
        lambda view: view.pop("author"),
        lambda view: view.update(record=None),
        lambda view: view.update(uri="https://bsky.app/x"),
        lambda view: (view["record"].pop("createdAt"), view.pop("indexedAt")),
    ],
)
def test_a_post_without_its_landmarks_is_drift(spoil):
    item = recorded("bluesky/author_feed")["feed"][0]
    spoil(item["post"])
    with pytest.raises(SchemaDrift):
        parse_feed({"feed": [item]})


def test_an_embed_of_a_kind_that_nobody_knows_is_no_reason_to_lose_the_post():
    item = recorded("bluesky/author_feed")["feed"][0]
    item["post"]["embed"] = {"$type": "app.bsky.embed.hologram#view", "record": {"uri": 7}, "images": "?"}
    (post,) = parse_feed({"feed": [item]}).posts
    assert (post.kind, post.media) == (PostKind.ORIGINAL, ())


def test_the_pictures_of_a_gallery_are_read_from_a_feed_and_from_a_pds():
    seen = {"alt": "Poster", "fullsize": "https://cdn.invalid/whole", "thumbnail": "https://cdn.invalid/small"}
    item = recorded("bluesky/author_feed")["feed"][0]
    item["post"]["embed"] = {"$type": "app.bsky.embed.gallery#view", "items": [seen, {"$type": "hologram"}, 7]}
    (post,) = parse_feed({"feed": [item]}).posts
    assert [(one.kind, one.url, one.text) for one in post.media] == [
        (MediaKind.PICTURE, "https://cdn.invalid/whole", "Poster")
    ]
    blob = {"$type": "blob", "ref": {"$link": "bafkgallery"}, "mimeType": "image/jpeg", "size": 1}
    embed = {"$type": "app.bsky.embed.gallery", "items": [{"alt": "Poster", "image": blob}]}
    (media,) = record_of(record(NOW, embed=embed)).media
    assert media.url.endswith("&cid=bafkgallery")
    assert media.text == "Poster"


@pytest.mark.parametrize("kind", ["app.bsky.feed.generator", "app.bsky.graph.list", "app.bsky.graph.starterpack"])
def test_a_shared_list_is_no_quotation(kind):
    embed = {"$type": "app.bsky.embed.record#view", "record": {"uri": f"at://{OTHER}/{kind}/a"}}
    assert atproto.quoted_in(embed) is None


@pytest.mark.parametrize("name", ["author_feed", "records"])
def test_whatever_stands_in_a_field_s_place_is_read_or_is_drift(name):
    items = recorded(f"bluesky/{name}")["feed" if name == "author_feed" else "records"]
    read = drift = 0
    for spoilt in (one for item in items for one in spoiled(item)):
        try:
            post = parse_feed({"feed": [spoilt]}).posts[0] if name == "author_feed" else record_of(spoilt)
            read += bool(post.content_hash)
        except SchemaDrift:
            drift += 1
    assert read > 400
    assert drift > 0


def record_of(item):
    assert atproto.listed_at(item)
    return atproto.parse_record(item, blobs=BLOBS)


def test_a_feed_that_repeats_itself_ends_with_a_gap():
    server, connector = reading(by_path({"getAuthorFeed": recorded("bluesky/author_feed")}))
    with server:
        pages = list(connector.pull(ACCOUNT, {"v": 1, "newest": "2020-01-01T00:00:00+00:00"}, now=NOW))
    assert len(server.asked) == 3
    assert pages[-1].gap is not None


# ---------------------------------------------------------------- a PDS's records


@pytest.fixture(scope="module")
def records():
    return [
        atproto.parse_record(item, blobs=BLOBS, handle="jpd.gov.my") for item in recorded("bluesky/records")["records"]
    ]


def test_a_file_of_a_pds_is_fetched_from_the_pds(records):
    assert records[0].media[0].url == f"{BLOBS}?did={DID.replace(':', '%3A')}&cid=bafkreione"
    assert [(one.kind, one.text) for one in records[1].media] == [(MediaKind.VIDEO, "Taklimat")]
    assert [one.url[-10:] for one in records[2].media] == ["bafkreiold"]


def test_another_picture_is_another_content(records):
    changed = replace(records[0].media[0], url=records[0].media[0].url.replace("bafkreione", "bafkreitwo"))
    assert replace(records[0], media=(changed,)).content_hash != records[0].content_hash


def test_a_pds_names_what_is_quoted_and_does_not_show_it(records):
    assert (records[1].kind, records[1].text) == (PostKind.QUOTE, "Petikan")
    assert records[1].links == (f"https://bsky.app/profile/{OTHER}/post/3lquoted22222",)


def test_a_record_that_is_no_post_at_all_does_not_hide_the_others(records):
    assert (records[3].text, records[3].published_at) == ("", atproto.FIRST_TID)


@pytest.mark.parametrize(("text", "year"), [("3m65l4njygs2f", 2025), ("2222222222222", None), ("sendiri", None)])
def test_a_key_tells_the_time_only_when_it_is_one(text, year):
    found = atproto.time_of_key(text)
    assert (found.year if found else None) == year


def test_posts_and_reposts_of_a_pds_come_in_one_order():
    posts, reposts = Stream(atproto.POST), Stream(atproto.REPOST)
    posts.take({"records": [record(NOW - n * MINUTE, f"p{n}") for n in (0, 2, 4)], "cursor": "a"})
    reposts.take({"records": [record(NOW - n * MINUTE, f"r{n}", atproto.REPOST) for n in (1, 3, 5)], "cursor": "b"})
    assert [item["value"]["text"] for item in ready([posts, reposts])] == ["p0", "r1", "p2", "r3", "p4"]
    posts.ended = reposts.ended = True
    assert [item["value"]["text"] for item in ready([posts, reposts])] == ["r5"]


def plain(posts, reposts=(), **more):
    """Return the script of a PDS with one answer of each list."""

    def listing(asked):
        held = {atproto.POST: posts, atproto.REPOST: reposts}[asked.query["collection"]]
        if asked.query.get("cursor"):
            return {"records": []}
        return {"records": list(held)} | ({"cursor": "akhir"} if held else {})

    routes = {"listRecords": listing, "describeRepo": {"did": DID, "handle": "jpd.gov.my"}}
    return by_path({"getAuthorFeed": NO_APPVIEW, "getProfile": NO_APPVIEW, "getPosts": NO_APPVIEW} | routes | more)


def test_a_pds_is_found_out_once_and_its_lists_are_read():
    shared = {"subject": {"uri": f"at://{OTHER}/app.bsky.feed.post/3lquoted22222", "cid": "bafy"}}
    reposts = [record(NOW - 2 * MINUTE, collection=atproto.REPOST, **shared)]
    server, connector = reading(plain([record(NOW - MINUTE, "satu")], reposts))
    with server:
        pages = [list(connector.pull(ACCOUNT, None, now=NOW)) for _ in range(2)]
    kinds = [post.kind for page in pages[0] for post in page.posts]
    assert kinds == [PostKind.ORIGINAL, PostKind.REPOST]
    assert pages[0][-1].cursor["newest"] == (NOW - MINUTE).isoformat()
    assert sum(path.endswith("getAuthorFeed") for path in server.paths) == 1


def test_a_list_whose_cursor_brings_nothing_new_ends():
    same = {"records": [record(NOW - MINUTE)], "cursor": "sama"}
    server, connector = reading(by_path({"getAuthorFeed": NO_APPVIEW, "listRecords": same}))
    with server:
        pages = list(connector.pull(ACCOUNT, None, now=NOW))
    assert (pages[-1].gap, len(server.asked) <= 6) == (None, True)


def test_an_appview_that_asks_for_a_login_once_is_not_taken_for_a_pds_for_ever():
    login = as_json({"error": "AuthMissing", "message": "Authentication Required"}, status=401)
    unknown = as_json({"error": "MethodNotImplemented", "message": "Method Not Implemented"}, status=501)
    server, connector = reading(by_path({"getAuthorFeed": [login, {"feed": []}], "listRecords": unknown}))
    with server:
        with pytest.raises(SchemaDrift, match="base_url"):
            list(connector.pull(ACCOUNT, None, now=NOW))
        (page,) = connector.pull(ACCOUNT, None, now=NOW)
    assert page.posts == ()


def test_a_pds_says_who_an_account_is_by_its_repository():
    profile = {"uri": f"at://{DID}/app.bsky.actor.profile/self", "cid": "bafy", "value": {"displayName": "JPD"}}
    routes = {"resolveHandle": {"did": DID}, "getRecord": profile}
    server, connector = reading(plain([], **routes))
    with server:
        found = connector.resolve(replace(ACCOUNT, native_id=""))
    assert (found.native_id, found.handle, found.name) == (DID, "jpd.gov.my", "JPD")


NOBODY = as_json({"error": "InvalidRequest", "message": "Unable to resolve handle"}, status=400)
BEHIND = {
    "leads to that account": ({"did": DID}, None),
    "leads to another": ({"did": OTHER}, AnotherAccount),
    "leads to nobody": (NOBODY, AnotherAccount),
    "is not answered for now": (Answer(status=429, headers={"RateLimit-Reset": "1795500000"}), RateLimited),
}


@pytest.mark.parametrize(("behind", "kind"), BEHIND.values(), ids=BEHIND)
def test_an_account_that_calls_itself_by_another_name_is_the_one_asked_for_where_that_name(behind, kind):
    server, connector = reading(by_path({"getProfile": {"did": DID, "handle": "lain.gov.my"}, "resolveHandle": behind}))
    with server:
        named = replace(ACCOUNT, native_id="")
        if kind is None:
            assert connector.resolve(named).native_id == DID
        else:
            with pytest.raises(kind):
                connector.resolve(named)


def test_an_account_of_a_pds_need_not_say_anything_of_itself():
    none = as_json({"error": "RecordNotFound", "message": f"Could not locate record: at://{DID}/x/self"}, status=400)
    server, connector = reading(plain([], getRecord=none))
    with server:
        assert connector.resolve(ACCOUNT).name == ""


# ---------------------------------------------------------------- read again


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(World()) as running:
        yield running


@pytest.fixture(params=["bluesky", "bluesky-pds"])
def place(request, sandbox):
    """An account with posts, and a connector that reads it from an AppView or from a PDS."""
    handle = f"jpd{len(sandbox.world.requests)}.example.my"
    native_id = sandbox.world.add_account("bluesky", handle, name="JPD")
    connector = BlueskyConnector(BlueskySettings(base_url=sandbox.base_url(request.param)), Network())
    return sandbox.world, connector, replace(ACCOUNT, handle=handle, native_id=native_id)


def test_many_posts_are_read_again_in_calls_as_large_as_may_be(place):
    world, connector, account = place
    ids = [world.publish("bluesky", account.handle, f"{n}", at=NOW - n * MINUTE) for n in range(60)]
    answer = connector.reread(account, ids, now=NOW)
    assert [post.native_id for post in answer.posts] == ids


def test_posts_of_many_accounts_are_read_again_in_the_calls_of_one(place, sandbox):
    world, connector, account = place
    other = replace(account, id=2, handle="kcm.example.my")
    other = replace(other, native_id=world.add_account("bluesky", other.handle, name="KCM"))
    ids = {one.id: [world.publish("bluesky", one.handle, "x", at=NOW) for _ in range(5)] for one in (account, other)}
    world.delete("bluesky", ids[2][0])
    wanted = [Wanted(account=one, native_ids=[*ids[one.id], "repost:x", "at://x"]) for one in (account, other)]
    before = len(world.requests)
    answers = connector.reread_many(wanted, now=NOW)
    assert [post.native_id for post in answers[1].posts] == ids[1]
    assert (answers[2].missing, len(answers[2].posts)) == ({ids[2][0]}, 4)
    if not connector._plain_server.holds(NOW):
        assert len(world.requests) - before == 2  # the posts, and the profile of who lacks one


def test_many_profiles_come_in_one_call_and_who_is_not_among_them_says_why(place, sandbox):
    world, connector, account = place
    gone = replace(account, id=2, handle="gone.example.my")
    gone = replace(gone, native_id=world.add_account("bluesky", gone.handle, name="X"))
    world.abandon("bluesky", gone.handle)
    nameless = replace(account, id=3, handle="Jabatan", native_id="")
    answers = connector.resolve_many([account, gone, nameless])
    assert answers[1].native_id == account.native_id
    assert type(answers[2]) is AccountHidden
    assert type(answers[3]) is AccountNotFound


def test_after_a_refusal_for_all_nobody_is_asked_for_any_more():
    server, connector = reading(lambda _: Answer(status=429))
    accounts = [replace(ACCOUNT, id=n) for n in range(40)]
    uri = f"at://{DID}/app.bsky.feed.post/3lquoted22222"
    with server:
        answers = connector.resolve_many(accounts)
        again = connector.reread_many([Wanted(account=one, native_ids=[uri]) for one in accounts], now=NOW)
    assert {type(one) for one in [*answers.values(), *again.values()]} == {RateLimited}
    assert len(server.asked) == 3


def test_posts_of_a_deactivated_account_are_hidden_and_not_deleted(place):
    world, connector, account = place
    ids = [world.publish("bluesky", account.handle, "x", at=NOW)]
    world.abandon("bluesky", account.handle)
    answer = connector.reread(account, ids, now=NOW)
    assert (answer.hidden, answer.missing) == (frozenset(ids), frozenset())
    with pytest.raises(AccountHidden, match="deactivated"):
        list(connector.pull(account, None, now=NOW))


def test_posts_that_a_wrong_server_does_not_hold_are_not_deleted(place):
    _, connector, account = place
    stranger = replace(account, native_id="did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(AccountNotFound):
        connector.reread(stranger, [f"at://{stranger.native_id}/app.bsky.feed.post/3lquoted22222"], now=NOW)


def test_a_stretch_of_the_past_is_read_again_and_nothing_else(place):
    world, connector, account = place
    for n in range(10):
        world.publish("bluesky", account.handle, f"{n}", at=NOW - n * MINUTE)
    pages = list(connector.backfill(account, NOW - 6 * MINUTE, NOW - 2 * MINUTE, now=NOW))
    assert [post.text for page in pages for post in page.posts] == ["3", "4", "5", "6"]
    assert [pages[-1].last, pages[-1].gap] == [True, None]


def test_a_post_that_is_dated_back_is_found_once_a_day(place, sandbox):
    world, connector, account = place
    world.publish("bluesky", account.handle, "baharu", at=NOW - MINUTE)
    first = None
    for _ in range(2):  # what is all there is, and all new, is read once more
        first = list(connector.pull(account, first, now=NOW))[-1].cursor
    world.publish("bluesky", account.handle, "lama", at=NOW - timedelta(days=9))
    for n in range(9):
        world.publish("bluesky", account.handle, "x", at=NOW - timedelta(hours=n + 1))
    world.page_sizes["bluesky"] = 5
    hour = list(connector.pull(account, first, now=NOW + timedelta(hours=1)))
    day = list(connector.pull(account, hour[-1].cursor, now=NOW + timedelta(days=1)))
    world.page_sizes["bluesky"] = 100
    assert "lama" not in [post.text for page in hour for post in page.posts]
    assert "lama" in [post.text for page in day for post in page.posts]
    assert hour[-1].cursor["looked_back"] == first["looked_back"] == NOW.isoformat()
    assert (day[-1].cursor["looked_back"], day[-1].gap) == ((NOW + timedelta(days=1)).isoformat(), None)


def test_a_handle_finds_the_account_and_its_new_handle_after_a_change(place):
    _, connector, account = place
    assert connector.resolve(replace(account, native_id="")).native_id == account.native_id
    assert connector.resolve(account).handle == account.handle


def known(view=None, **routes):
    posts = {"posts": [view] if view else []}
    return by_path({"getPosts": posts, "getProfile": {"did": DID, "handle": "jpd.gov.my"}, **routes})


REPOSTED = f"at://{DID}/app.bsky.feed.repost/{key(NOW)}"


def test_a_post_with_a_label_that_hides_it_from_everybody_is_hidden():
    view = recorded("bluesky/author_feed")["feed"][0]["post"]
    view["labels"] = [{"val": "!takedown", "src": OTHER}, {"val": "spam"}]
    server, connector = reading(known(view))
    with server:
        answer = connector.reread(ACCOUNT, [view["uri"]], now=NOW)
    assert (answer.hidden, answer.missing, answer.posts) == ({view["uri"]}, frozenset(), ())


def test_a_repost_is_read_again_by_its_record_and_brings_the_words():
    view = recorded("bluesky/author_feed")["feed"][0]["post"]
    held = {"uri": REPOSTED, "cid": "bafy", "value": {"subject": {"uri": view["uri"], "cid": "bafy"}}}
    server, connector = reading(known(view, getRecord=held))
    with server:
        (post,) = connector.reread(ACCOUNT, [REPOSTED], now=NOW).posts
    assert (post.native_id, post.kind, post.published_at) == (REPOSTED, PostKind.REPOST, NOW)
    assert post.text.startswith("Borang di")


def test_a_repost_that_was_taken_back_is_missing():
    gone = as_json({"error": "InvalidRequest", "message": "Could not locate record: at://x"}, status=400)
    server, connector = reading(known(getRecord=gone))
    with server:
        assert connector.reread(ACCOUNT, [REPOSTED], now=NOW).missing == {REPOSTED}


def test_a_repost_without_a_record_of_its_own_is_left_undecided():
    server, connector = reading(known())
    with server:
        answer = connector.reread(ACCOUNT, [f"repost:{DID}:at://{OTHER}/app.bsky.feed.post/3lquoted22222"], now=NOW)
    assert (answer.posts, answer.missing, answer.hidden) == ((), frozenset(), frozenset())


# ---------------------------------------------------------------- refusals, budget, settings

REFUSALS = {
    "unknown, in words": (400, {"error": "InvalidRequest", "message": "Profile not found"}, AccountNotFound, "handle"),
    "no DID or handle": (
        400,
        {"error": "InvalidRequest", "message": "Error: actor must be a valid did or a handle"},
        AccountNotFound,
        "DID",
    ),
    "taken down": (
        400,
        {"error": "AccountTakedown", "message": "Account has been suspended"},
        AccountHidden,
        "suspended",
    ),
    "deactivated": (400, {"error": "AccountDeactivated", "message": ""}, AccountHidden, "deactivated"),
    "blocks": (400, {"error": "BlockedByActor", "message": ""}, PermissionMissing, "blocked"),
    "another question": (400, {"error": "InvalidRequest", "message": "Error: limit"}, SchemaDrift, "HTTP 400"),
    "no JSON": (400, None, SchemaDrift, "HTTP 400"),
    "upstream": (502, {"error": "UpstreamFailure", "message": "pipethrough network error"}, Unavailable, "host"),
    "being copied": (400, {"error": "RepoDesynchronized"}, Unavailable, "tried again"),
    "too often": (429, {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}, RateLimited, "patience"),
    "a firewall": (403, None, PermissionMissing, "403"),
    "an informational answer": (304, None, SchemaDrift, "304"),
}


@pytest.mark.parametrize(("status", "body", "kind", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is(status, body, kind, words):
    answer = (
        as_json(body, status=status)
        if body
        else Answer(status=status, body=b"" if status == 304 else b"<html>no</html>")
    )
    error = error_of(by_path({"getAuthorFeed": answer, "getProfile": answer}))
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.parametrize("body", [b"[]", b'{"feed": {}}', b'{"feed": [1]}', b"{}"])
def test_an_answer_of_another_shape_is_drift(body):
    assert isinstance(error_of(by_path({"getAuthorFeed": Answer(body=body)})), SchemaDrift)


def test_the_budget_is_what_the_last_answer_said():
    told = {"RateLimit-Limit": "3000", "RateLimit-Remaining": "2990", "RateLimit-Reset": "1795485900"}
    server, connector = reading(
        by_path({"getAuthorFeed": as_json({"feed": []}, **{k.replace("-", "_"): v for k, v in told.items()})})
    )
    with server:
        assert connector.allowances() == ()
        list(connector.pull(ACCOUNT, None, now=NOW))
    (one,) = connector.allowances()
    assert (one.limit, one.remaining, one.resets_at) == (3000, 2990, datetime(2026, 11, 24, 2, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("handle", "url", "named"),
    [
        ("jpd.gov.my", "", "jpd.gov.my"),
        ("@JPD.gov.my", "", "jpd.gov.my"),
        (DID, "", DID),
        ("https://bsky.app/profile/jpd.gov.my", "", "jpd.gov.my"),
        ("Jabatan", f"https://bsky.app/profile/{DID}", DID),
        ("", "https://jpd.bsky.social/", "jpd.bsky.social"),
    ],
)
def test_an_account_is_asked_for_by(handle, url, named):
    assert actor_of(replace(ACCOUNT, native_id="", handle=handle, url=url)) == named


def test_a_handle_that_is_none_is_said_before_anything_is_asked():
    server, connector = reading(by_path({}))
    with server, pytest.raises(AccountNotFound, match="domain name"):
        connector.resolve(replace(ACCOUNT, native_id="", handle="Jabatan Demo"))
    assert server.asked == []
