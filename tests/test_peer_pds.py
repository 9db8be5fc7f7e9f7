"""The Bluesky connector against a real PDS: what it publishes, edits, deletes and takes down over its own API."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
import requests
from installation import LEAK, Installation
from peer_servers import join, running

from connectors.base import AccountNotFound
from connectors.bluesky import BlueskyConnector, BlueskySettings
from connectors.bluesky.posts import REPOST
from connectors.bluesky.refusals import AccountHidden
from monitor.model import Account, MediaKind, PostKind
from monitor.settings import Network

NUMBERS = itertools.count(1)
MINUTE = timedelta(minutes=1)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636060606000000005000"
    "1a5f645400000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def pds(tmp_path_factory):
    with running("pds.mjs", tmp_path_factory.mktemp("pds")) as told:
        yield told["url"]


@pytest.fixture
def agency(pds):
    return join(pds, f"jpd{next(NUMBERS)}")


@pytest.fixture
def connector(pds):
    return BlueskyConnector(BlueskySettings(base_url=pds), Network())


def account_of(person) -> Account:
    return Account(agency="JPD", platform="bluesky", handle=person.handle, native_id=person.did, id=1)


def now() -> datetime:
    return datetime.now(UTC)


def pull(connector, person, cursor=None):
    pages = list(connector.pull(account_of(person), cursor, now=now()))
    return [post for page in pages for post in page.posts], pages[-1]


def test_a_pds_tells_what_it_is_without_a_credential(connector):
    assert connector.check().startswith("bluesky: 127.0.0.1 answers")


def test_what_an_app_publishes_is_read_as_it_was_meant(agency, connector):
    blob = agency.upload(PNG, "image/png")
    picture = {"$type": "app.bsky.embed.images", "images": [{"alt": "Carta", "image": blob}]}
    link = {"$type": "app.bsky.richtext.facet#link", "uri": "https://jpd.gov.my/borang?a=1&b=2"}
    facets = [{"index": {"byteStart": 0, "byteEnd": 6}, "features": [link]}]
    agency.post("Borang ada di sini", at=now(), facets=facets, langs=["ms"], embed=picture)
    (post,) = pull(connector, agency)[0]
    assert (post.text, post.kind, post.language, post.links) == (
        "Borang ada di sini", PostKind.ORIGINAL, "ms", ("https://jpd.gov.my/borang?a=1&b=2",)
    )  # fmt: skip
    assert [(one.kind, one.text) for one in post.media] == [(MediaKind.PICTURE, "Carta")]
    assert requests.get(post.media[0].url, timeout=10).content == PNG


def test_replies_quotations_and_reposts_are_told_apart(agency, connector):
    first = agency.post("asal", at=now())
    cid = {"uri": first, "cid": pull(connector, agency)[0][0].raw["cid"]}
    agency.post("balas", at=now(), reply={"root": cid, "parent": cid})
    agency.post("petik", at=now(), embed={"$type": "app.bsky.embed.record", "record": cid})
    agency.write(REPOST, {"subject": cid, "createdAt": now().isoformat()})
    posts, last = pull(connector, agency)
    assert [post.kind for post in posts] == [PostKind.REPOST, PostKind.QUOTE, PostKind.REPLY, PostKind.ORIGINAL]
    assert (last.last, last.gap) == (True, None)


def test_the_next_pull_brings_what_is_new_and_a_quiet_one_changes_nothing(agency, connector):
    agency.post("lama", at=now())
    cursor = pull(connector, agency)[1].cursor
    agency.post("baharu", at=now())
    posts, page = pull(connector, agency, cursor)
    assert "baharu" in [post.text for post in posts]
    assert pull(connector, agency, page.cursor)[1].cursor == page.cursor


def test_more_posts_than_a_page_holds_are_read_once_each(agency, connector):
    writes = [
        {
            "$type": "com.atproto.repo.applyWrites#create",
            "collection": "app.bsky.feed.post",
            "value": {"$type": "app.bsky.feed.post", "text": f"{n}", "createdAt": now().isoformat()},
        }
        for n in range(130)
    ]
    agency.call("com.atproto.repo.applyWrites", {"repo": agency.did, "writes": writes})
    posts, last = pull(connector, agency)
    assert sorted(int(post.text) for post in posts) == list(range(130))
    assert last.gap is None


def test_an_edit_keeps_the_uri_and_is_another_version(agency, connector):
    uri = agency.post("asal", at=now() - MINUTE)
    (before,) = pull(connector, agency)[0]
    agency.post("disunting", at=before.published_at, key=uri.rpartition("/")[2])
    (after,) = connector.reread(account_of(agency), [uri], now=now()).posts
    assert (after.native_id, after.published_at, after.text) == (uri, before.published_at, "disunting")
    assert after.raw["cid"] != before.raw["cid"]


def test_a_picture_exchanged_under_the_same_words_is_another_version(agency, connector):
    def shown(content: bytes) -> dict[str, object]:
        image = {"alt": "", "image": agency.upload(content, "image/png")}
        return {"$type": "app.bsky.embed.images", "images": [image]}

    uri = agency.post("carta", at=now(), embed=shown(PNG))
    (before,) = pull(connector, agency)[0]
    agency.post("carta", at=before.published_at, key=uri.rpartition("/")[2], embed=shown(PNG + b"\0"))
    (after,) = connector.reread(account_of(agency), [uri], now=now()).posts
    assert after.content_hash != before.content_hash


def test_a_deleted_post_is_missing_and_its_neighbour_is_not(agency, connector):
    gone, stays = agency.post("padam", at=now()), agency.post("kekal", at=now())
    agency.delete(gone)
    answer = connector.reread(account_of(agency), [gone, stays], now=now())
    assert (answer.missing, [post.native_id for post in answer.posts]) == ({gone}, [stays])


@pytest.mark.parametrize("how", ["deactivated", "taken down"])
def test_an_account_that_is_shown_no_longer_is_hidden_and_its_posts_are_not_deleted(agency, connector, how):
    uri = agency.post("ada", at=now())
    if how == "deactivated":
        agency.call("com.atproto.server.deactivateAccount", {})
    else:
        agency.take_down()
    answer = connector.reread(account_of(agency), [uri], now=now())
    assert (answer.hidden, answer.missing) == ({uri}, frozenset())
    with pytest.raises(AccountHidden):
        pull(connector, agency)


def test_a_post_with_a_date_of_its_own_choice_and_one_that_is_no_post_hide_nothing(agency, connector):
    agency.post("ke depan", at=now() + timedelta(days=900))
    bare = {"repo": agency.did, "collection": "app.bsky.feed.post", "rkey": "sendiri", "validate": False}
    agency.call("com.atproto.repo.createRecord", bare | {"record": {"$type": "app.bsky.feed.post", "text": 7}})
    posts, last = pull(connector, agency)
    assert sorted(post.text for post in posts) == ["", "ke depan"]
    assert datetime.fromisoformat(last.cursor["newest"]) <= now()


def test_a_profile_is_read_by_its_handle_and_follows_a_new_one(agency, connector):
    agency.write("app.bsky.actor.profile", {"displayName": "JPD", "description": "Rasmi"}, key="self")
    by_handle = Account(agency="JPD", platform="bluesky", handle=agency.handle)
    found = connector.resolve(by_handle)
    assert (found.native_id, found.name, found.bio) == (agency.did, "JPD", "Rasmi")
    agency.call("com.atproto.identity.updateHandle", {"handle": f"baru{agency.handle}"})
    assert connector.resolve(account_of(agency)).handle == f"baru{agency.handle}"


def test_an_account_that_nobody_holds_is_not_found(connector):
    with pytest.raises(AccountNotFound):
        connector.resolve(Account(agency="JPD", platform="bluesky", handle="tiada.test"))
    stranger = Account(agency="JPD", platform="bluesky", handle="x", native_id="did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(AccountNotFound):
        list(connector.pull(stranger, None, now=now()))
    with pytest.raises(AccountNotFound):  # and its posts are not taken for deleted
        connector.reread(stranger, [f"at://{stranger.native_id}/app.bsky.feed.post/3lquoted22222"], now=now())


def test_the_budget_is_what_the_server_says(agency, connector):
    pull(connector, agency)
    (one,) = connector.allowances()
    assert (one.limit, 0 < one.remaining < 3000, one.resets_at > now()) == (3000, True, True)


def test_a_breach_on_a_real_pds_reaches_the_head_of_department(agency, pds, tmp_path):
    agency.post(LEAK, at=now())
    toml = f"""
[mail]
transport = "folder"
folder = "mail"
sender = "Pantau <pantau@jpd.example.my>"
[digest]
recipients = ["ict@jpd.example.my"]
[operators]
recipients = ["pentadbir@jpd.example.my"]
[connectors.bluesky]
base_url = "{pds}"
"""
    here = Installation(tmp_path, toml, accounts=[("JPD", "bluesky", agency.handle, "")]).write()
    ran = here.run("once")
    assert "1 delivered" in ran.out, ran.err
    assert "ketua@jpd.example.my" in here.mails[0].read_text()
