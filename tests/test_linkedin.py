"""LinkedIn as its versioned API answers: recorded shapes, its way to write text, what is named elsewhere."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote

import pytest
import requests
from builders import account
from hypothesis import given
from hypothesis import strategies as st
from replay import Answer, Replay, as_json, by_path, recorded

from connectors import base
from connectors.base import AccountNotFound, ConnectorError, ConnectorMisconfigured, PermissionMissing, SchemaDrift
from connectors.linkedin import LinkedInConnector, LinkedInSettings
from connectors.linkedin.connector import page_of
from connectors.linkedin.posts import parse_post
from connectors.linkedin.text import little, plain
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.model import Media, MediaKind, PostKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOKEN = "AQVplantedTokenThatNobodyMaySee"
JPD = account("jabatan-demo", "linkedin", id=1, native_id="2414183")
POSTS, ORGANISATIONS = recorded("linkedin/posts"), recorded("linkedin/organizations")
SHARE = "urn:li:share:70450204416099368"
PARENT = {
    "id": f"{SHARE}00",
    "commentary": "Kata laluan: Kolam\\#2026",
    "publishedAt": 1795000000000,
    "content": {"media": {"id": "urn:li:document:D1", "title": "Jadual"}},
}
FILES = {
    "images": {"urn:li:image:D4E10AQE71V5w1": {"downloadUrl": "https://media.licdn.com/dms/image/1/0?e=1&t=a"}},
    "videos": {
        "urn:li:video:C5F10AQGKQg": {"downloadUrl": "https://dms.licdn.com/v.mp4?e=1", "thumbnail": "https://a/t"}
    },
    "documents": {"urn:li:document:D1": {"downloadUrl": "https://media.licdn.com/dms/document/d.pdf?e=1"}},
}


def connector(url: str, *, token: str = TOKEN, version: str = "202605", **how: object) -> LinkedInConnector:
    settings = LinkedInSettings(access_token=Secret(token), base_url=url, version=version)
    bounds = base.Bounds(**{"back_catalogue": 3200, **how})
    return LinkedInConnector(settings, Network(timeout=timedelta(seconds=5)), bounds)


def pull(url: str, cursor=None, *, of=JPD, **how: object) -> list[base.Page]:
    return list(connector(url, **how).pull(of, cursor, now=NOW))


def item(number: int, **more: object) -> dict[str, object]:
    at = int((NOW - number * HOUR).timestamp() * 1000)
    times = {"createdAt": at, "publishedAt": at, "lastModifiedAt": at}
    return {"id": f"{SHARE}{number:02}", "commentary": f"kata {number}", "lifecycleState": "PUBLISHED", **times, **more}


def listing(*items: object, links: object = (), **paging: object) -> dict[str, object]:
    return {"paging": {"start": 0, "count": 100, "links": list(links), **paging}, "elements": list(items)}


def server(posts: object, *, batch: object = None, files: object = None):
    """Answer finders with `posts`, look-ups of posts with `batch`, and of files with FILES."""
    finders = iter(posts) if isinstance(posts, list) else None

    def script(asked):
        name = asked.path.rpartition("/")[2]
        if name in FILES:
            return files or as_json({"results": FILES[name], "statuses": {}, "errors": {}})
        if "ids" in asked.query:
            return batch if isinstance(batch, Answer) else as_json(batch or {"results": {PARENT["id"]: PARENT}})
        answer = next(finders) if finders else posts
        return answer if isinstance(answer, Answer) else as_json(answer)

    return script


# ---------------------------------------------------------------- text


LITTLE = {
    "Hello World": "Hello World",
    "{hashtag|\\#|Borang}": "#Borang",
    "{hashtag|#|KL\\_2026}": "#KL_2026",
    "@[Kementerian Contoh](urn:li:organization:1)": "Kementerian Contoh",
    "@[Devtestco] (urn:li:organization:2414183)": "Devtestco",
    "@[A \\(B\\)](urn:li:person:x)": "A (B)",
    "\\(KCM\\) \\*tebal\\* a\\_b \\\\ \\@x \\#y": "(KCM) *tebal* a_b \\ @x #y",
    "emel: a@b.my [1] (2) {3} \\n": "emel: a@b.my [1] (2) {3} \\n",
    "": "",
}


@pytest.mark.parametrize(("written", "shown"), LITTLE.items())
def test_text_is_read_as_it_is_shown(written, shown):
    assert plain(written) == shown


@given(st.text())
def test_what_is_escaped_is_read_back(text):
    assert plain(little(text)) == text


# ---------------------------------------------------------------- what posts say


@pytest.fixture(scope="module")
def posts():
    with Replay(server(POSTS)) as replay:
        (page,) = pull(replay.url)
    names = ["images", "article", "poll", "quote", "repost", "video"]
    return dict(zip(names, page.posts, strict=True))


def test_mentions_and_hashtags_are_words_and_links_are_found(posts):
    shown = "Bersama Kementerian Contoh (KCM): #Borang baharu_2026 di https://www.jpd.example.my/borang."
    assert posts["images"].text == shown
    assert posts["images"].links == ("https://www.jpd.example.my/borang",)


def test_articles_polls_and_landing_pages_are_part_of_a_post(posts):
    assert posts["article"].text == "Laporan tahunan\n\nRingkasan"
    assert posts["article"].links == ("https://www.jpd.example.my/berita/1",)
    assert posts["poll"].text == "Undi sekarang\n\nKaunter mana?\nPutrajaya\nKajang"
    assert posts["video"].links == ("https://www.jpd.example.my/daftar",)


def test_files_have_their_addresses_and_words(posts):
    (picture,) = posts["images"].media
    assert (picture.kind, picture.text) == (MediaKind.PICTURE, "Muka hadapan borang")
    assert [media.kind for media in posts["video"].media] == [MediaKind.PICTURE, MediaKind.VIDEO]


def test_what_is_passed_on_is_read_as_well(posts):
    assert (posts["quote"].kind, posts["repost"].kind) == (PostKind.QUOTE, PostKind.REPOST)
    assert posts["quote"].text == "Baca ini\n\nKata laluan: Kolam#2026\n\nJadual"
    assert posts["quote"].media[0].kind is MediaKind.DOCUMENT


def test_a_part_that_cannot_be_read_is_no_edit(posts):
    assert posts["repost"].own == {"id": f"{SHARE}95", "commentary": None, "content": None}
    assert posts["images"].own is not None  # the second picture has no address
    assert posts["quote"].own is None


def test_an_edit_is_told_and_the_touch_after_publishing_is_none(posts):
    assert posts["images"].edited_at == datetime.fromtimestamp(1795603600, UTC)
    assert posts["poll"].edited_at is None  # without the mark, and within the second


def test_times_are_those_of_publication_and_addresses_those_of_the_feed(posts):
    assert posts["poll"].published_at == datetime.fromtimestamp(1795400000.658, UTC)
    assert posts["images"].url == f"https://www.linkedin.com/feed/update/{SHARE}91/"


def test_votes_are_no_edit():
    poll = POSTS["elements"][2]
    voted = json.loads(json.dumps(poll).replace('"voteCount": 5', '"voteCount": 9'))
    assert parse_post(poll).content_hash == parse_post(voted).content_hash


DRIFTS = {
    "nothing the API ever sends": {"unexpected": True},
    "elements that are no list": {"elements": {}},
    "a post that is no object": listing("1"),
    "a post without an id": listing({"publishedAt": 1795600000000, "lastModifiedAt": 1795600000000}),
    "a post without a time": listing({"id": f"{SHARE}01"}),
    "a time in seconds": listing({"id": f"{SHARE}01", "publishedAt": 1795600000}),
}


@pytest.mark.parametrize("payload", DRIFTS.values(), ids=DRIFTS)
def test_a_changed_schema_is_never_no_news(payload):
    with Replay(server(payload)) as replay, pytest.raises(SchemaDrift):
        pull(replay.url)


# ---------------------------------------------------------------- the walk


def test_a_page_is_asked_for_as_the_documents_say():
    with Replay(server(listing(item(1)))) as replay:
        pull(replay.url)
        asked = replay.asked[0]
    assert asked.path == "/rest/posts"
    assert (asked.query["q"], asked.query["author"]) == ("author", "urn:li:organization:2414183")
    assert (asked.query["count"], asked.query["start"], asked.query["sortBy"]) == ("100", "0", "LAST_MODIFIED")
    assert asked.headers["linkedin-version"] == "202605"
    assert (asked.headers["x-restli-protocol-version"], asked.headers["x-restli-method"]) == ("2.0.0", "FINDER")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


NEXT = {"rel": "next", "href": "/rest/posts?q=author&count=10&start=10", "type": "application/json"}
ENDS = {
    "a link to the next page": (listing(item(1), links=[NEXT]), "10"),
    "a link without a place": (listing(item(1), item(2), links=[{"rel": "next", "href": ":"}]), "2"),
    "a total that is not reached": (listing(item(1), total=5), "1"),
    "a post that is shown twice": (listing(item(1), item(1), total=5), "1"),
    "a full page and no word on links": ({"paging": {"count": 2}, "elements": [item(1), item(2)]}, "2"),
    "a link to the page before alone": (listing(item(1), links=[{"rel": "prev", "href": "?start=0"}]), ""),
    "no links": (listing(item(1)), ""),
    "a page that is not full": ({"paging": {"count": 10}, "elements": [item(1)]}, ""),
    "no word on paging": ({"elements": [item(1)]}, ""),
}


@pytest.mark.parametrize(("first", "start"), ENDS.values(), ids=ENDS)
def test_where_a_listing_goes_on(first, start):
    with Replay(server([first, listing(item(9))])) as replay:
        pages = pull(replay.url)
        assert [asked.query["start"] for asked in replay.asked] == ["0", *([start] if start else [])]
    assert pages[-1].gap is None


def test_a_server_whose_list_never_ends_is_left():
    with Replay(server(listing(item(1), links=[NEXT]))) as replay:
        assert pull(replay.url)[-1].gap is not None
        assert len(replay.asked) <= 4


def test_a_post_that_was_made_long_before_it_came_out_is_found():
    """Listed by change: what is scheduled, or edited, is at the top on the day it shows."""
    old = int((NOW - 100 * HOUR).timestamp() * 1000)
    scheduled = item(1, createdAt=old)
    edited = item(1, id=f"{SHARE}77", createdAt=old, publishedAt=old, lifecycleStateInfo={"isEditedByAuthor": True})
    cursor = {"v": 1, "newest": (NOW - 5 * HOUR).isoformat()}
    with Replay(server(listing(scheduled, edited, item(9)))) as replay:
        (page,) = pull(replay.url, cursor)
    assert [post.native_id[-2:] for post in page.posts] == ["01", "77", "09"]
    assert page.posts[1].edited_at == NOW - HOUR
    assert page.cursor["newest"] == (NOW - HOUR).isoformat()


def test_a_stretch_of_the_past_is_read_again():
    with Replay(server([listing(item(1), item(3), links=[NEXT]), listing(item(5), item(9))])) as replay:
        pages = list(connector(replay.url).backfill(JPD, NOW - 6 * HOUR, NOW - 2 * HOUR, now=NOW))
    assert [post.native_id[-2:] for page in pages for post in page.posts] == ["03", "05"]
    assert (pages[-1].last, pages[-1].gap) == (True, None)


def test_files_that_are_closed_to_the_token_do_not_hide_the_post():
    closed = as_json({"status": 403, "code": "ACCESS_DENIED", "message": TOKEN}, status=403)
    with Replay(server(POSTS, batch=closed, files=closed)) as replay:
        (page,) = pull(replay.url)
    assert len(page.posts) == 6
    assert [media.kind for media in page.posts[5].media] == [MediaKind.VIDEO]
    assert page.posts[3].text == "Baca ini"


def test_files_and_reshared_posts_are_asked_for_once_an_hour():
    with Replay(server(POSTS)) as replay:
        one = connector(replay.url)
        counts = []
        for minutes in (0, 5, 65):
            (page,) = one.pull(JPD, None, now=NOW + timedelta(minutes=minutes))
            counts.append(len(replay.asked))
            assert len(page.posts[0].media) == 1
            assert page.posts[3].text.startswith("Baca ini\n\nKata laluan")
    assert counts == [5, 6, 11]  # the posts, what is reshared, pictures, films, documents


# ---------------------------------------------------------------- pages


def test_a_page_is_found_by_its_name():
    with Replay(by_path({"/rest/organizations": ORGANISATIONS})) as replay:
        profile = connector(replay.url).resolve(account("jabatan-demo", "linkedin"))
        assert replay.asked[0].query == {"q": "vanityName", "vanityName": "jabatan-demo"}
    assert (profile.native_id, profile.name, profile.handle) == ("2414183", "Jabatan Perkhidmatan Demo", "jabatan-demo")
    assert (profile.bio, profile.picture_url) == ("Akaun rasmi", "urn:li:image:C4D0BAQoriginal")


@pytest.mark.parametrize("native_id", ["2414183", "urn:li:organization:2414183"])
def test_a_page_is_looked_up_by_its_number(native_id):
    with Replay(by_path({"/rest/organizations/2414183": ORGANISATIONS["elements"][0]})) as replay:
        assert connector(replay.url).resolve(account("lama", "linkedin", native_id=native_id)).native_id == "2414183"


def test_a_showcase_page_keeps_its_whole_urn():
    brand = {
        **ORGANISATIONS["elements"][0],
        "id": 5,
        "$URN": "urn:li:organizationBrand:5",
        "vanityName": "program-demo",
    }
    routes = {"/rest/organizations": {"elements": [brand]}, "/rest/posts": listing(item(1))}
    with Replay(by_path(routes)) as replay:
        pull(replay.url, of=account("program-demo", "linkedin"))
        assert replay.asked[1].query["author"] == "urn:li:organizationBrand:5"


def test_a_name_that_no_page_has_is_not_found():
    with Replay(by_path({"/rest/organizations": {"elements": []}})) as replay, pytest.raises(AccountNotFound):
        connector(replay.url).resolve(account("tiada", "linkedin"))


NAMES = {
    "a name": ("jabatan-demo", "", "jabatan-demo"),
    "a number": ("2414183", "", "2414183"),
    "a pasted address": ("https://www.linkedin.com/company/jabatan-demo/about/", "", "jabatan-demo"),
    "the address where the handle is a title": ("Jabatan Demo", "https://my.linkedin.com/company/jpd", "jpd"),
}


@pytest.mark.parametrize(("handle", "url", "page"), NAMES.values(), ids=NAMES)
def test_a_page_is_asked_for_by(handle, url, page):
    assert page_of(account(handle, "linkedin", url=url)) == page


@pytest.mark.parametrize("handle", ["Jabatan Demo", "", "https://www.linkedin.com/in/pegawai", "a&q=b"])
def test_what_is_no_page_is_never_asked_for(handle):
    with pytest.raises(AccountNotFound):
        page_of(account(handle, "linkedin"))


# ---------------------------------------------------------------- read again


def test_known_posts_are_read_fifty_a_call_with_their_urns_escaped():
    known = {f"{SHARE}{n}": item(n, id=f"{SHARE}{n}") for n in range(100, 160)}
    with Replay(server({}, batch={"results": known})) as replay:
        answer = connector(replay.url).reread(JPD, list(known), now=NOW)
        sizes = [asked.query["ids"].count("urn") for asked in replay.asked]
        assert {asked.headers["x-restli-method"] for asked in replay.asked} == {"BATCH_GET"}
    assert sizes == [50, 10]
    assert len(answer.posts) == 60


def test_deleted_taken_back_and_closed_are_told_apart():
    ids = [f"{SHARE}0{n}" for n in range(1, 6)]
    batch = {
        "results": {ids[0]: item(1), ids[1]: item(2, lifecycleState="DRAFT")},
        "statuses": {ids[2]: 404},
        "errors": {ids[3]: {"status": 403, "message": "x"}},
    }
    with Replay(server({}, batch=batch)) as replay:
        answer = connector(replay.url).reread(JPD, ids, now=NOW)
    assert [post.native_id for post in answer.posts] == ids[:1]
    assert (answer.missing, answer.hidden) == ({ids[1], ids[2]}, {ids[3]})  # and of the last nothing is known


def test_when_nothing_is_left_the_listing_has_the_last_word():
    ids = [f"{SHARE}01", f"{SHARE}02"]
    batch = {"results": {}, "statuses": dict.fromkeys(ids, 404)}
    with Replay(server(listing(item(1)), batch=batch)) as replay:
        answer = connector(replay.url).reread(JPD, ids, now=NOW)
    assert ([post.native_id for post in answer.posts], answer.missing) == (ids[:1], {ids[1]})


def test_a_lost_role_is_no_deletion():
    denied = as_json({"status": 403, "code": "ACCESS_DENIED", "message": "x"}, status=403)
    with Replay(server(denied, batch=denied)) as replay, pytest.raises(PermissionMissing):
        connector(replay.url).reread(JPD, [f"{SHARE}01"], now=NOW)


def test_a_server_that_reads_posts_one_by_one_is_asked_so():
    gone = as_json({"status": 404, "code": "RESOURCE_NOT_FOUND", "message": "x"}, status=404)

    def script(asked):
        path = unquote(asked.path)
        return as_json(item(1)) if path.endswith(f"{SHARE}01") else gone if path.endswith("02") else Answer(status=404)

    with Replay(script) as replay:
        answer = connector(replay.url).reread(JPD, [f"{SHARE}01", f"{SHARE}02", f"{SHARE}03"], now=NOW)
    assert ([post.native_id[-2:] for post in answer.posts], answer.missing) == (["01"], {f"{SHARE}02"})


# ---------------------------------------------------------------- refusals


REFUSALS = {
    "a token that has ended": ("EXPIRED_ACCESS_TOKEN", 401, base.CredentialRefused),
    "a consent that was withdrawn": ("REVOKED_ACCESS_TOKEN", 401, base.CredentialRefused),
    "a page that the member does not administer": ("ACCESS_DENIED", 403, PermissionMissing),
    "a version that is over": ("NONEXISTENT_VERSION", 426, ConnectorMisconfigured),
    "calls used up": ("TOO_MANY_REQUESTS", 429, base.RateLimited),
    "a question that is not understood": ("ILLEGAL_ARGUMENT", 400, SchemaDrift),
    "a passing fault": ("INTERNAL_SERVER_ERROR", 500, base.Unavailable),
    "a server that is turned away": ("", 999, base.Unavailable),
}


@pytest.mark.parametrize(("code", "status", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_sorted_by_what_it_means(code, status, kind):
    answer = as_json({"status": status, "code": code, "message": f"no {TOKEN}"}, status=status)
    with Replay(server(answer)) as replay, pytest.raises(ConnectorError) as caught:
        pull(replay.url)
    assert type(caught.value) is kind
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_day_s_budget_is_free_again_at_midnight():
    told = "Resource level throttle APPLICATION DAY limit for calls to this resource is reached."
    answer = as_json({"status": 429, "code": "TOO_MANY_REQUESTS", "message": told}, status=429)
    with Replay(server(answer)) as replay, pytest.raises(base.RateLimited) as caught:
        pull(replay.url)
    assert caught.value.retry_at == datetime(2026, 11, 25, tzinfo=UTC)


def test_the_token_is_described_by_what_it_administers():
    acls = [{"organization": f"urn:li:organization:{n}", "role": "ADMINISTRATOR"} for n in (1, 2, 2)]
    with Replay(by_path({"/rest/organizationAcls": {"elements": acls}})) as replay:
        assert connector(replay.url).check() == "linkedin: the token is accepted; its member administers 2 pages"


def test_a_token_that_may_not_list_its_pages_is_accepted_all_the_same():
    denied = as_json({"status": 403, "code": "ACCESS_DENIED", "message": "x"}, status=403)
    with Replay(lambda _: denied) as replay:
        assert connector(replay.url).check().startswith("linkedin: the token is accepted, but")


# ---------------------------------------------------------------- a token that is renewed


APP = {"client_id": "86a", "client_secret": Secret("rahsia"), "refresh_token": Secret("AQX.refresh")}


class Renewing:
    """LinkedIn's side: tokens by number, each good for `seconds`; whatever is older is refused."""

    def __init__(self, *, seconds: int = 5184000, refusal: Answer | None = None) -> None:
        self.renewals = 0
        self.seconds = seconds
        self.refusal = refusal

    def __call__(self, asked):
        if asked.path == "/oauth/v2/accessToken":
            assert dict(parse_qsl(asked.body.decode())) == {
                "grant_type": "refresh_token",
                "client_id": "86a",
                "client_secret": "rahsia",
                "refresh_token": "AQX.refresh",
            }
            self.renewals += 1
            told = {"access_token": f"AQV.{self.renewals}", "expires_in": self.seconds}
            told |= {"refresh_token_expires_in": 86400}
            return self.refusal or as_json(told)
        if asked.headers["authorization"] != f"Bearer AQV.{self.renewals}":
            return as_json({"status": 401, "code": "EXPIRED_ACCESS_TOKEN", "message": "x"}, status=401)
        return as_json(listing(item(1)))


def renewing(replay: Replay, *, token: str = "") -> LinkedInConnector:
    token_url = f"{replay.url}/oauth/v2/accessToken"
    settings = LinkedInSettings(access_token=Secret(token), base_url=replay.url, token_url=token_url, **APP)
    return LinkedInConnector(settings, Network(timeout=timedelta(seconds=5)))


@pytest.mark.parametrize("token", ["", "AQV.old"])
def test_a_token_is_renewed_when_there_is_none_or_it_is_refused(token):
    platform = Renewing()
    with Replay(platform) as replay:
        one = renewing(replay, token=token)
        for _ in range(2):
            assert len(next(one.pull(JPD, None, now=NOW)).posts) == 1
    assert platform.renewals == 1


def test_a_token_is_renewed_before_it_ends():
    platform = Renewing(seconds=7200)
    with Replay(platform) as replay:
        one = renewing(replay)
        for minutes, renewals in ((0, 1), (59, 1), (61, 2)):
            list(one.pull(JPD, None, now=NOW + timedelta(minutes=minutes)))
            assert platform.renewals == renewals
    assert one.expires_at() == NOW + timedelta(days=1, minutes=61)


GRANTS = {
    "a consent that has ended": (as_json({"error": "invalid_grant"}, status=400), base.CredentialRefused),
    "a wrong app": (as_json({"error": "invalid_client"}, status=401), ConnectorMisconfigured),
    "a passing fault": (Answer(status=503, body=b"<html>"), base.Unavailable),
    "an answer without a token": (as_json({"expires_in": 1}), SchemaDrift),
    "an unknown refusal": (as_json({"error": {"code": 1}}, status=400), base.CredentialRefused),
}


@pytest.mark.parametrize(("refusal", "kind"), GRANTS.values(), ids=GRANTS)
def test_a_renewal_that_is_refused_says_why(refusal, kind):
    with Replay(Renewing(refusal=refusal)) as replay, pytest.raises(ConnectorError) as caught:
        list(renewing(replay).pull(JPD, None, now=NOW))
    assert type(caught.value) is kind
    assert "AQX" not in "".join(traceback.format_exception(caught.value))


def test_what_can_be_renewed_is_not_missing():
    assert LinkedInSettings(**APP).lacks() == ()
    assert LinkedInSettings().lacks() == ("access_token",)


# ---------------------------------------------------------------- the sandbox


def test_the_sandbox_s_files_are_found_by_their_urns():
    media = [
        Media(kind=MediaKind.PICTURE, url="https://a/1.jpg", text="satu"),
        Media(kind=MediaKind.DOCUMENT, url="https://a/2.pdf"),
    ]
    with Sandbox(World()) as sandbox:
        sandbox.world.add_account("linkedin", "jpd", name="JPD")
        sandbox.world.publish("linkedin", "jpd", "dengan {fail} (dua)", at=NOW - HOUR, media=media)
        (page,) = pull(sandbox.base_url("linkedin"), of=account("jpd", "linkedin"), token="sandbox")
    assert (page.posts[0].text, page.posts[0].media) == ("dengan {fail} (dua)", tuple(media))


STRICT = {
    "a version": ({"LinkedIn-Version": ""}, "VERSION_MISSING"),
    "a version that is served": ({"LinkedIn-Version": "202401"}, "NONEXISTENT_VERSION"),
    "the protocol's version": ({"X-Restli-Protocol-Version": "1.0.0"}, "ILLEGAL_ARGUMENT"),
    "a token": ({"Authorization": "Bearer x"}, "INVALID_ACCESS_TOKEN"),
}


@pytest.mark.parametrize(("headers", "code"), STRICT.values(), ids=STRICT)
def test_the_sandbox_wants(headers, code):
    right = {"Authorization": "Bearer sandbox", "LinkedIn-Version": "202605", "X-Restli-Protocol-Version": "2.0.0"}
    with Sandbox(World()) as sandbox:
        address = f"{sandbox.base_url('linkedin')}/rest/posts?q=author&author=urn%3Ali%3Aorganization%3A1"
        assert requests.get(address, headers={**right, **headers}, timeout=5).json()["code"] == code
