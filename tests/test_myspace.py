"""MySpace as it was and as it decays: ActivityStreams in Atom, profile pages, and what is left when both are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from replay import DATA, Answer, Replay, by_path

from connectors import base
from connectors.base import AccountNotFound, AddressRefused, SchemaDrift, Unavailable
from connectors.myspace import MySpaceConnector, MySpaceSettings
from connectors.myspace.atom import parse_atom
from connectors.myspace.profile_page import parse_page
from connectors.seen import remembered
from monitor.model import MediaKind, PostKind
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PAGE = (DATA / "myspace" / "profile.html").read_bytes()
ATOM = (DATA / "myspace" / "activities.atom").read_bytes()
SHELL = b"<!DOCTYPE html><html><head><title>Myspace</title></head><body>Featured</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
ATOM_TYPE = {"Content-Type": "application/atom+xml"}


def pull(base_url: str, *, url: str = "", handle: str = "jpddemo", cursor=None, now: datetime = NOW) -> base.Page:
    connector = MySpaceConnector(MySpaceSettings(base_url=base_url), Network(timeout=timedelta(seconds=5)))
    (page,) = connector.pull(account(handle, "myspace", url=url), cursor, now=now)
    return page


def shown(page: bytes = PAGE, *, handle: str = "jpddemo", cursor=None, now: datetime = NOW):
    return parse_page(
        page.decode(),
        handle=handle,
        url="https://myspace.com/jpddemo",
        what="myspace/jpddemo",
        seen=remembered(cursor),
        now=now,
    )


def atom(body: bytes = ATOM):
    return parse_atom(body, handle="jpddemo", what="myspace/jpddemo")


# ---------------------------------------------------------------- the profile page


def test_a_profile_page_tells_who_it_is():
    profile = shown().profile
    assert (profile.native_id, profile.name, profile.bio) == ("400100200", "JPD Demo & rakan", "Akaun rasmi jabatan")
    assert profile.picture_url.endswith("/300x300.jpg")


def test_posts_of_a_page_are_read_with_links_and_pictures_although_items_are_left_open():
    status, photo = shown().posts
    assert (status.kind, status.published_at) == (PostKind.STATUS, datetime(2015, 3, 2, 8, 0, tzinfo=UTC))
    assert status.text.splitlines()[0].startswith("Sila rujuk nota")
    assert status.url == "https://myspace.com/jpddemo/post/activity_5001"
    assert status.links == ("https://myspace.com/jpddemo/notes/7", "https://www.jpd.example.my/")
    assert "Mar 2" not in status.text
    assert [(media.kind, media.url) for media in photo.media] == [
        (MediaKind.PICTURE, "https://a1-images.myspacecdn.com/lama.jpg")
    ]
    assert photo.text == "Gambar lama\nKaunter lama"


def test_a_post_without_a_date_keeps_its_first_sight():
    with Replay(by_path({"/jpddemo": Answer(body=PAGE, headers=HTML)})) as replay:
        first = pull(replay.url)
        again = pull(replay.url, cursor=first.cursor, now=NOW + timedelta(days=2))
    assert again.posts[1].published_at == first.posts[1].published_at == NOW


def test_a_page_is_known_by_its_scripts_or_by_its_meta_alone():
    no_key = PAGE.replace(b'data-entity-key="profile_400100200"', b"")
    assert shown(no_key).profile.native_id == "400100200"
    no_script = no_key.replace(b"var context", b"var nothing = 1; //").replace(b'"id": 400100200, ', b"")
    assert shown(no_script).profile.native_id == "jpddemo"


def test_a_profile_without_posts_is_empty_and_no_error():
    bare = PAGE.replace(b"status_5001", b"x").replace(b"photo_5002", b"x")
    assert shown(bare).posts == ()


NO_PROFILES = {
    "the empty shell that is left of many": SHELL,
    "the profile of somebody else": PAGE.replace(b"profile_400100200", b"").replace(b"jpddemo", b"oranglain"),
    "nothing": b"",
}


@pytest.mark.parametrize("page", NO_PROFILES.values(), ids=NO_PROFILES)
def test_what_is_no_profile_is_never_no_news(page):
    with pytest.raises(SchemaDrift):
        shown(page)


def test_a_page_that_ends_in_the_middle_is_unavailable():
    with pytest.raises(Unavailable):
        shown(PAGE[: PAGE.index(b"photo_5002")])


def test_the_platform_is_called_degraded():
    assert MySpaceConnector.capabilities.degraded
    assert not MySpaceConnector.capabilities.rereads


# ---------------------------------------------------------------- ActivityStreams in Atom


def test_activities_are_read_with_their_objects():
    status, photo, comment = atom().posts
    assert (status.kind, status.text) == (PostKind.STATUS, "JPD Demo updated status\n\nKaunter dibuka esok")
    assert status.native_id == "tag:myspace.com,2009:/Activity/1"
    assert (photo.kind, photo.media[0].text) == (PostKind.REPOST, "Majlis")
    assert photo.links == ("https://www.jpd.example.my/majlis",)
    assert photo.text.endswith("Majlis perasmian")
    assert comment.kind is PostKind.REPLY
    assert comment.text == "JPD Demo commented\n\nTerima kasih, aduan (https://www.jpd.example.my/aduan) diterima"
    assert comment.published_at == datetime(2012, 10, 3, 9, 15, tzinfo=UTC)


def test_an_activity_that_stands_twice_is_one_post():
    one = ATOM.index(b"<entry>"), ATOM.index(b"</entry>") + len(b"</entry>")
    assert len(atom(ATOM.replace(b"</feed>", ATOM[slice(*one)] + b"</feed>")).posts) == 3


NO_ATOM = {
    "another vocabulary": b'<feed xmlns="urn:other"><entry/></feed>',
    "an entry without an id": ATOM.replace(b"<id>tag:myspace.com,2009:/Activity/1</id>", b"").replace(
        b"<id>tag:myspace.com,2009:/Status/1</id>", b""
    ),
    "an entry without a time": ATOM.replace(b"<updated>2012-10-03T09:15:00Z</updated>", b""),
    "entities that multiply": b'<!DOCTYPE f [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><feed>&b;</feed>',
    "tags that do not fit": ATOM.replace(b"</title>", b"</judul>", 1),
}


@pytest.mark.parametrize("body", NO_ATOM.values(), ids=NO_ATOM)
def test_what_is_no_activity_stream_is_never_no_news(body):
    with pytest.raises(SchemaDrift):
        atom(body)


def test_a_document_that_ends_in_the_middle_is_unavailable():
    with pytest.raises(Unavailable):
        atom(ATOM[:900])


# ---------------------------------------------------------------- which of the two


def served(at_url: Answer) -> Replay:
    return Replay(by_path({"/aktiviti": at_url, "/jpddemo": Answer(body=PAGE, headers=HTML)}))


@pytest.mark.parametrize("headers", [ATOM_TYPE, {"Content-Type": "text/xml"}, {}])
def test_an_address_that_answers_with_atom_is_read_as_activities(headers):
    with served(Answer(body=ATOM, headers=headers)) as replay:
        assert len(pull(replay.url, url=f"{replay.url}/aktiviti").posts) == 3


@pytest.mark.parametrize("answer", [Answer(body=SHELL, headers=HTML), Answer(status=404), Answer(status=410)])
def test_an_address_that_answers_with_anything_else_leaves_the_profile_page(answer):
    with served(answer) as replay:
        assert len(pull(replay.url, url=f"{replay.url}/aktiviti").posts) == 2


@pytest.mark.parametrize("answer", [Answer(body=SHELL, headers=HTML), Answer(status=404), Answer(status=503)])
def test_what_was_atom_once_is_never_read_from_the_page_where_its_posts_have_other_ids(answer):
    with served(Answer(body=ATOM, headers=ATOM_TYPE)) as replay:
        cursor = pull(replay.url, url=f"{replay.url}/aktiviti").cursor
    with served(answer) as replay, pytest.raises(base.ConnectorError):
        pull(replay.url, url=f"{replay.url}/aktiviti", cursor=cursor)


def test_an_address_at_fault_for_now_is_waited_for():
    with served(Answer(status=503)) as replay, pytest.raises(Unavailable):
        pull(replay.url, url=f"{replay.url}/aktiviti")


def test_the_profile_s_own_address_is_read_once():
    with served(Answer(status=404)) as replay:
        assert len(pull(replay.url, url="https://myspace.com/jpddemo").posts) == 2
        assert replay.paths == ["/jpddemo"]


def test_an_atom_address_on_myspace_itself_is_asked_for_at_the_base_url():
    with Replay(by_path({"/jpddemo/activities.atom": Answer(body=ATOM, headers=ATOM_TYPE)})) as replay:
        assert len(pull(replay.url, url="http://www.myspace.com/jpddemo/activities.atom").posts) == 3


def test_an_address_on_a_private_network_is_refused():
    with served(Answer(body=PAGE)) as own, served(Answer(body=ATOM)) as other, pytest.raises(AddressRefused):
        pull(own.url, url=f"{other.url}/aktiviti")


@pytest.mark.parametrize("handle", ["", "https://www.facebook.com/jpd.demo"])
def test_an_account_that_names_no_profile_is_the_register_s_mistake(handle):
    with served(Answer(status=404)) as replay, pytest.raises(AccountNotFound):
        pull(replay.url, handle=handle)


@pytest.mark.parametrize("handle", ["@jpddemo", "https://myspace.com/jpddemo", "myspace.com/jpddemo/"])
def test_a_profile_is_named_as_people_write_it(handle):
    with served(Answer(status=404)) as replay:
        assert pull(replay.url, handle=handle).posts
