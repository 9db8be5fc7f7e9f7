"""The Bluesky connector against a real AppView, which reads a real PDS: what public.api.bsky.app answers."""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import requests
from installation import eventually
from peer_servers import Person, join, running

from connectors.base import AccountNotFound, Wanted
from connectors.bluesky import BlueskyConnector, BlueskySettings
from connectors.bluesky.posts import REPOST
from connectors.bluesky.refusals import AccountHidden
from monitor.model import Account, MediaKind, Post, PostKind
from monitor.settings import Network

NUMBERS = itertools.count(1)
MINUTE = timedelta(minutes=1)
HERE_ONLY = Network(allow=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")))
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636060606000000005000"
    "1a5f645400000000049454e44ae426082"
)


@dataclass
class Servers:
    """The servers, and who lives on them."""

    pds: str
    appview: str
    settle: str

    def join(self) -> Person:
        return join(self.pds, f"jpd{next(NUMBERS)}", admin="admin-pass")

    def settled(self) -> None:
        """Wait until the AppView has read what the PDS has."""
        assert requests.get(self.settle, timeout=60).ok


@pytest.fixture(scope="module")
def network(postgres_server, tmp_path_factory):
    with running("appview.mjs", tmp_path_factory.mktemp("appview"), f"{postgres_server}/postgres") as told:
        yield Servers(**told)


@pytest.fixture
def agency(network):
    return network.join()


@pytest.fixture
def connector(network):
    return BlueskyConnector(BlueskySettings(base_url=network.appview), HERE_ONLY)


def account_of(person: Person, number: int = 1) -> Account:
    return Account(agency="JPD", platform="bluesky", handle=person.handle, native_id=person.did, id=number)


def now() -> datetime:
    return datetime.now(UTC)


def shown(network, connector, person, cursor=None) -> list[Post]:
    network.settled()
    return [post for page in connector.pull(account_of(person), cursor, now=now()) for post in page.posts]


def test_what_is_published_is_read_with_the_words_and_files_that_a_reader_sees(network, agency, connector):
    other = network.join()
    quoted = agency.reference(other.post("Minit mesyuarat SULIT", at=now() - 9 * MINUTE))
    image = {"$type": "app.bsky.embed.images", "images": [{"alt": "Carta", "image": agency.upload(PNG, "image/png")}]}
    card = {"uri": "https://jpd.gov.my/1", "title": "Senarai", "description": "Nama"}
    agency.post("gambar", at=now() - 8 * MINUTE, embed=image, langs=["ms"])
    agency.post("kad", at=now() - 7 * MINUTE, embed={"$type": "app.bsky.embed.external", "external": card})
    agency.post("petik", at=now() - 6 * MINUTE, embed={"$type": "app.bsky.embed.record", "record": quoted})
    agency.post("balas", at=now() - 5 * MINUTE, reply={"root": quoted, "parent": quoted})
    repost = agency.write(REPOST, {"subject": quoted, "createdAt": now().isoformat()})
    posts = shown(network, connector, agency)
    assert [(post.kind, post.text) for post in posts] == [
        (PostKind.REPOST, "Minit mesyuarat SULIT"),
        (PostKind.REPLY, "balas"),
        (PostKind.QUOTE, "petik\n\nMinit mesyuarat SULIT"),
        (PostKind.ORIGINAL, "kad\n\nSenarai\n\nNama"),
        (PostKind.ORIGINAL, "gambar"),
    ]
    assert posts[0].native_id == repost
    assert [(one.kind, one.text) for one in posts[4].media] == [(MediaKind.PICTURE, "Carta")]
    assert (posts[4].language, posts[3].links) == ("ms", ("https://jpd.gov.my/1",))


def test_the_next_pull_brings_what_is_new(network, agency, connector):
    agency.post("lama", at=now() - 30 * MINUTE)
    network.settled()
    cursor = list(connector.pull(account_of(agency), None, now=now()))[-1].cursor
    agency.post("baharu", at=now())
    assert [post.text for post in shown(network, connector, agency, cursor)] == ["baharu", "lama"]


def test_more_posts_than_a_page_holds_are_read_once_each(network, agency, connector):
    writes = [
        {
            "$type": "com.atproto.repo.applyWrites#create",
            "collection": "app.bsky.feed.post",
            "value": {"$type": "app.bsky.feed.post", "text": f"{n}", "createdAt": (now() - n * MINUTE).isoformat()},
        }
        for n in range(105)
    ]
    agency.call("com.atproto.repo.applyWrites", {"repo": agency.did, "writes": writes})
    assert [post.text for post in shown(network, connector, agency)] == [f"{n}" for n in range(105)]


def test_dates_of_one_s_own_choice_are_read_as_the_network_orders_them(network, agency, connector):
    agency.post("lampau", at=now() - timedelta(days=4000))
    agency.post("depan", at=now() + timedelta(days=400))
    ahead, past = shown(network, connector, agency)
    assert (ahead.text, past.text) == ("depan", "lampau")
    assert ahead.published_at <= now()


def test_a_post_that_is_dated_back_is_found_the_next_day(network, agency, connector):
    agency.post("baharu", at=now())
    network.settled()
    cursor = list(connector.pull(account_of(agency), None, now=now()))[-1].cursor
    agency.post("lama", at=now() - timedelta(days=9))
    later = {**cursor, "looked_back": (now() - timedelta(days=2)).isoformat()}
    assert [post.text for post in shown(network, connector, agency, later)] == ["baharu", "lama"]


def test_an_edit_is_another_version_and_a_deletion_is_missed_also_of_a_repost(network, agency, connector):
    other = network.join()
    edited, gone = agency.post("asal", at=now() - MINUTE), agency.post("padam", at=now() - MINUTE)
    shared = [agency.reference(other.post("lain", at=now())) for _ in range(2)]
    kept, undone = (agency.write(REPOST, {"subject": one, "createdAt": now().isoformat()}) for one in shared)
    network.settled()
    agency.post("disunting", at=now(), key=edited.rpartition("/")[2])
    agency.delete(gone)
    agency.delete(undone)

    def read():
        network.settled()
        return connector.reread(account_of(agency), [edited, gone, kept, undone], now=now())

    answer = eventually(lambda: found if (found := read()).missing == {gone, undone} else None, within=20)
    assert {post.native_id: (post.kind, post.text) for post in answer.posts} == {
        edited: (PostKind.ORIGINAL, "disunting"),
        kept: (PostKind.REPOST, "lain"),
    }


def test_posts_and_profiles_of_many_accounts_come_in_one_call(network, agency, connector):
    other = network.join()
    agency.write("app.bsky.actor.profile", {"displayName": "JPD", "description": "Rasmi"}, key="self")
    ids = {1: [agency.post("satu", at=now())], 2: [other.post("dua", at=now())]}
    network.settled()
    people = {1: account_of(agency), 2: account_of(other, 2)}
    wanted = [Wanted(account=people[number], native_ids=ids[number]) for number in people]
    answers = connector.reread_many(wanted, now=now())
    assert {number: answers[number].posts[0].text for number in answers} == {1: "satu", 2: "dua"}
    profiles = connector.resolve_many(list(people.values()))
    assert (profiles[1].name, profiles[1].bio, profiles[2].handle) == ("JPD", "Rasmi", other.handle)


@pytest.mark.parametrize("how", ["deactivated", "taken down"])
def test_an_account_that_is_shown_no_longer_is_hidden_and_its_posts_are_not_deleted(network, agency, connector, how):
    uri = agency.post("ada", at=now())
    assert shown(network, connector, agency)
    if how == "deactivated":
        agency.call("com.atproto.server.deactivateAccount", {})
    else:
        agency.take_down()

    def refusal():
        network.settled()
        try:
            list(connector.pull(account_of(agency), None, now=now()))
        except AccountHidden as error:
            return error
        return None

    assert eventually(refusal, within=20)
    answer = connector.reread(account_of(agency), [uri], now=now())
    assert (answer.hidden, answer.missing) == ({uri}, frozenset())


def test_an_account_that_nobody_has_is_not_found(connector):
    with pytest.raises(AccountNotFound):
        connector.resolve(Account(agency="JPD", platform="bluesky", handle="tiada.test"))
    stranger = Account(agency="JPD", platform="bluesky", handle="x", native_id="did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(AccountNotFound):
        list(connector.pull(stranger, None, now=now()))
    with pytest.raises(AccountNotFound):
        connector.reread(stranger, [f"at://{stranger.native_id}/app.bsky.feed.post/3lquoted22222"], now=now())
