"""Mastodon and its like: what many kinds of servers send, mapped; each server by itself; paging that ends."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from installation import LEAK, OPERATOR, Installation
from junk import spoiled
from replay import Answer, Replay, as_json, by_path, recorded

from connectors.base import (
    AccountNotFound,
    Bounds,
    ConnectorError,
    CredentialRefused,
    PermissionMissing,
    RateLimited,
    SchemaDrift,
    Unavailable,
)
from connectors.mastodon import MastodonConnector, MastodonSettings
from connectors.mastodon.listing import following, parse_statuses
from connectors.mastodon.places import Place, place_of
from connectors.mastodon.posts import parse_account, parse_status
from connectors.mastodon.refusals import AccountHidden, ServerLimited
from connectors.owners import AnotherAccount
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from monitor.model import Account, MediaKind, PostKind
from monitor.settings import Network, Secret

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OWNER = "109300000000000001"
LOOPBACK = Network(allow=(ipaddress.ip_network("127.0.0.1/32"),), timeout=timedelta(seconds=5))


def status(number: int, *, text: str = "x", owner: str = OWNER) -> dict[str, object]:
    """Return a status made `number` minutes after the epoch of these tests; ids rise with the time."""
    at = NOW - timedelta(days=1) + number * MINUTE
    return {
        "id": str(1000 + number),
        "created_at": at.isoformat(),
        "content": f"<p>{text}</p>",
        "url": "https://sosial.example.my/@jpd/1",
        "account": {"id": owner, "username": "jpd"},
    }


def reading(script, *, native_id: str = OWNER, **bounds: object) -> tuple[Replay, MastodonConnector, Account]:
    """Return a server, a connector without settings, and an account that names the server by its url."""
    server = Replay(script)
    account = Account(agency="JPD", platform="mastodon", handle="", url=f"{server.url}/@jpd", native_id=native_id, id=1)
    return server, MastodonConnector(MastodonSettings(), LOOPBACK, Bounds(**bounds)), account


def error_of(script, **how: object) -> ConnectorError:
    server, connector, account = reading(script, **how)
    with server, pytest.raises(ConnectorError) as raised:
        list(connector.pull(account, None, now=NOW))
    return raised.value


@pytest.fixture(scope="module")
def posts():
    return {int(post.native_id) % 100: post for post in map(parse_status, recorded("mastodon/statuses"))}


# ---------------------------------------------------------------- statuses


def test_words_come_as_a_reader_sees_them_and_hidden_ends_of_addresses_with_them(posts):
    address = "https://jpd.gov.my/borang/tahunan/2026/senarai.pdf?a=1&b=2"
    words = f"Borang: {address}\nuntuk #Warga dan @kcm\n\nPerenggan <dua> & akhir"
    assert posts[9].text == f"{words}\n\nSenarai peserta\nNama penuh"
    assert posts[9].links == (address,)


def test_a_warning_is_published_and_an_edit_has_its_time(posts):
    assert posts[8].text == "Peringatan: SULIT\n\nKandungan"
    assert posts[8].edited_at == datetime(2026, 11, 23, 8, 10, tzinfo=UTC)


def test_files_of_every_kind_come_with_what_is_said_of_them(posts):
    assert [(one.kind, one.url, one.text) for one in posts[7].media] == [
        (MediaKind.PICTURE, "https://cdn.example.my/media/1/original/a.png", "Carta organisasi"),
        (MediaKind.VIDEO, "https://cdn.example.my/b.mp4", ""),
        (MediaKind.DOCUMENT, "https://cdn.example.my/c.pdf", "Lampiran"),
    ]


def test_the_choices_of_a_poll_are_words_of_the_post(posts):
    assert posts[6].text == "Undian?\n\nYa\nTidak"


def test_a_reply_a_repost_and_a_quotation_are_told_apart(posts):
    kinds = {number: posts[number].kind for number in (9, 5, 4, 3, 2)}
    assert kinds == {
        9: PostKind.ORIGINAL,
        5: PostKind.REPLY,
        4: PostKind.REPOST,
        3: PostKind.QUOTE,
        2: PostKind.QUOTE,
    }


def test_a_repost_shows_the_other_s_words_files_and_address(posts):
    assert (posts[4].text, len(posts[4].media)) == ("Minit mesyuarat SULIT", 1)
    assert posts[4].url == "https://sosial.jpd.gov.my/@jpd/90"


def test_a_quotation_brings_the_quoted_words_once(posts):
    assert posts[3].text == "Lihat\n\nMinit mesyuarat SULIT"
    assert posts[3].links == ("https://mastodon.example.my/@kcm/90",)
    assert posts[3].own is None
    assert posts[2].own == {"content": "<p>Dipadam</p>", "spoiler_text": "", "edited_at": None}


def test_a_server_that_sends_plain_text_numbers_for_ids_and_no_language_is_read_as_well(posts):
    assert (posts[1].text, posts[1].language) == ("Teks biasa\nbaris dua", "")
    assert [one.kind for one in posts[1].media] == [MediaKind.DOCUMENT]
    assert posts[1].published_at == datetime(2026, 11, 22, 17, tzinfo=UTC)


def test_a_link_whose_card_is_still_to_come_is_no_other_version_once_it_is_lost_again():
    item = recorded("mastodon/statuses")[0]
    item["card"] = None
    assert parse_status(item).own["content"] == item["content"]


@pytest.mark.parametrize("key", ["id", "created_at", "content"])
def test_a_status_without_its_landmarks_is_drift(key):
    with pytest.raises(SchemaDrift):
        parse_status({name: value for name, value in status(1).items() if name != key})


@pytest.mark.parametrize("marks", ['class="hashtag"', 'rel="tag"', 'class="x" rel="nofollow tag ugc"'])
def test_a_topic_is_a_word_and_no_address(marks):
    content = f'<p>Hari ini <a href="https://jpd.gov.my/tags/b" {marks}>#<span>Banjir</span></a></p>'
    read = parse_status(status(1) | {"content": content})
    assert (read.text, read.links) == ("Hari ini #Banjir", ())


@pytest.mark.parametrize("marks", ['rel="tag"', 'rel="tagged"', 'rel="nofollow"'])
def test_a_link_that_is_no_topic_is_an_address(marks):
    word = "Hebahan" if marks == 'rel="tag"' else "#Hebahan"
    read = parse_status(status(1) | {"content": f'<p><a href="https://kcm.my/b" {marks}>{word}</a></p>'})
    assert read.links == ("https://kcm.my/b",)


def test_markup_that_never_ends_is_read_in_no_time():
    content = '<a rel="tag ' * 20_000 + '<a class="mention ' * 20_000 + '<p class="quote-inline">' * 20_000
    assert parse_status(status(1) | {"content": content}).published_at


def test_whatever_stands_in_a_field_s_place_is_read_or_is_drift():
    read = drift = 0
    for spoilt in (one for item in recorded("mastodon/statuses") for one in spoiled(item)):
        try:
            read += bool(parse_status(spoilt).content_hash)
        except SchemaDrift:
            drift += 1
    assert read > 1000
    assert drift > 0


@pytest.mark.parametrize("given", [True, "", "a b", "\ud800", 1.5, None])
def test_an_id_that_fits_into_no_address_is_drift(given):
    with pytest.raises(SchemaDrift):
        parse_status(status(1) | {"id": given})


def test_a_profile_says_where_it_has_moved_to_and_what_its_fields_say():
    profile = parse_account(recorded("mastodon/account"), server="sosial.jpd.gov.my")
    assert profile.handle == "jpd@sosial.jpd.gov.my"
    assert profile.bio == "Akaun rasmi & sah\nLaman: https://jpd.gov.my\n→ https://lain.example.my/@jpd"


def test_another_account_s_posts_are_drift():
    with pytest.raises(AnotherAccount, match=f"mastodon/jpd: asked for {OWNER}, the answer is about 7;"):
        parse_statuses([status(1, owner="7")], more=False, owner=OWNER, what="mastodon/jpd")


# ---------------------------------------------------------------- paging


def listing(held, *, heeds=("max_id", "since_id", "limit"), link=True, limit=2):
    """Return the script of a server that heeds some parameters; `held` are statuses, newest first."""

    def script(asked):
        query = {key: value for key, value in asked.query.items() if key in heeds}
        shown = [one for one in held if "max_id" not in query or int(one["id"]) < int(query["max_id"])]
        shown = [one for one in shown if "since_id" not in query or int(one["id"]) > int(query["since_id"])]
        page = shown[:limit] if "limit" in heeds else shown
        where = f'<http://elsewhere.example/api?max_id={page[-1]["id"]}>; rel="next"' if page else ""
        return as_json(page, **({"Link": where} if link and len(page) == limit else {}))

    return by_path({"/statuses": script, f"/{OWNER}": {"id": OWNER, "username": "jpd"}})


HELD = [status(number) for number in range(7, 0, -1)]


@pytest.mark.parametrize("link", [True, False], ids=["by Link", "without Link"])
def test_a_list_is_walked_to_its_end_page_by_page(link):
    server, connector, account = reading(listing(HELD, link=link))
    with server:
        pages = list(connector.pull(account, None, now=NOW))
    assert [post.native_id for page in pages for post in page.posts] == [one["id"] for one in HELD]
    assert (pages[-1].last, pages[-1].gap) == (True, None)


@pytest.mark.parametrize("heeds", [(), ("limit",), ("since_id",)], ids=str)
def test_a_server_that_ignores_what_it_is_asked_is_not_read_for_ever(heeds):
    server, connector, account = reading(listing(HELD, heeds=heeds))
    with server:
        pages = list(connector.pull(account, None, now=NOW))
    assert pages[-1].last
    assert len(server.asked) <= 4


def test_the_next_pull_asks_only_for_what_is_newer_than_what_is_settled():
    held = [status(number) for number in (60, 30, 1)]
    server, connector, account = reading(listing(held, limit=40))
    with server:
        cursor = None
        for _ in range(2):  # what is all there is, and all new, is read once more
            cursor = list(connector.pull(account, cursor, now=NOW))[-1].cursor
        held.insert(0, status(70))
        pages = list(connector.pull(account, cursor, now=NOW))
    assert (cursor["floor"], server.asked[-1].query["since_id"]) == ("1030", "1030")
    assert [post.native_id for page in pages for post in page.posts] == ["1070", "1060"]
    assert pages[-1].cursor["floor"] == "1030"


def test_a_server_that_ignores_since_id_is_read_as_far_as_is_known():
    """Once all that was new has been read a second time."""
    held = [status(number) for number in range(90, 0, -1)]
    server, connector, account = reading(listing(held, heeds=("max_id", "limit"), limit=20))
    with server:
        cursor = list(connector.pull(account, None, now=NOW))[-1].cursor
        again = list(connector.pull(account, cursor, now=NOW))[-1].cursor
        pages = list(connector.pull(account, again, now=NOW))
    assert (len(pages), pages[-1].gap) == (2, None)


def test_of_a_link_only_the_id_is_believed():
    server, connector, account = reading(listing(HELD))
    with server:
        list(connector.pull(account, None, now=NOW))
        assert {asked.headers["host"] for asked in server.asked} == {server.url.removeprefix("http://")}


@pytest.mark.parametrize("link", ["<http://[bad>; rel=next", "rubbish", ""])
def test_a_link_that_is_none_is_the_end(link):
    with Replay(lambda _: Answer(headers={"Link": link})) as server:
        import requests

        assert following(requests.get(server.url, timeout=5), [status(1)]) == ""


# ---------------------------------------------------------------- where an account is

PLACES = {
    "by its handle": (
        "jpd@sosial.my",
        "",
        "",
        Place(user="jpd", domain="sosial.my", base="https://sosial.my", is_guess=True),
    ),
    "by its page": ("", "https://sosial.my/@jpd", "", Place(user="jpd", domain="sosial.my", base="https://sosial.my")),
    "a handle under another domain": (
        "jpd@jpd.gov.my",
        "https://sosial.jpd.gov.my/@jpd",
        "",
        Place(user="jpd", domain="jpd.gov.my", base="https://sosial.jpd.gov.my"),
    ),
    "seen from another server": (
        "",
        "https://mastodon.social/@jpd@sosial.my",
        "",
        Place(user="jpd", domain="sosial.my", base="https://sosial.my", is_guess=True),
    ),
    "through the configured server": (
        "jpd@sosial.my",
        "https://sosial.my/@jpd",
        "https://mastodon.social/",
        Place(user="jpd", domain="sosial.my", base="https://mastodon.social"),
    ),
    "of the configured server": (
        "@jpd",
        "",
        "https://sosial.my",
        Place(user="jpd", domain="sosial.my", base="https://sosial.my"),
    ),
}


@pytest.mark.parametrize(("handle", "url", "base_url", "place"), PLACES.values(), ids=PLACES)
def test_an_account_is_asked_for(handle, url, base_url, place):
    account = Account(agency="JPD", platform="mastodon", handle=handle, url=url)
    assert place_of(account, base_url=base_url) == place


def test_an_account_that_names_no_server_is_said_so():
    with pytest.raises(AccountNotFound, match="user@server"):
        place_of(Account(agency="JPD", platform="mastodon", handle="jpd"))


def webfinger(**links: object):
    return by_path({"/.well-known/webfinger": {"subject": "acct:jpd@gov.my", "links": [{"rel": "self", **links}]}})


@pytest.mark.parametrize(
    ("script", "home"),
    [
        (webfinger(href="https://sosial.jpd.gov.my/users/jpd"), "https://sosial.jpd.gov.my"),
        (webfinger(href=7), ""),
        (by_path({"/.well-known/webfinger": {"links": None}}), ""),
        (by_path({}), ""),
        (by_path({"/.well-known/webfinger": Answer(body=b"<html>")}), ""),
    ],
)
def test_a_domain_says_where_its_server_is_or_is_taken_for_it(script, home):
    server, connector, account = reading(script)
    with server:
        place = Place(user="jpd", domain="gov.my", base=server.url, is_guess=True)
        assert connector._home(account, place, NOW) == (home or server.url)


def test_a_handle_is_looked_up_once_and_its_id_is_kept():
    found = {"id": OWNER, "username": "jpd", "acct": "jpd", "display_name": "JPD", "note": None}
    server, connector, account = reading(by_path({"/lookup": found, f"/{OWNER}": found}), native_id="")
    with server:
        profile = connector.resolve(account)
        connector.resolve(replace(account, native_id=profile.native_id))
    assert [path.rpartition("/")[2] for path in server.paths] == ["lookup", OWNER]
    assert server.asked[0].query == {"acct": "jpd"}


def test_the_configured_server_is_asked_for_the_whole_name_of_another_s_account():
    found = {"id": "7", "username": "jpd", "acct": "jpd@sosial.my"}
    with Replay(by_path({"/lookup": found})) as server:
        connector = MastodonConnector(MastodonSettings(base_url=server.url), Network())
        profile = connector.resolve(Account(agency="JPD", platform="mastodon", handle="jpd@sosial.my"))
    assert (profile.handle, server.asked[0].query) == ("jpd@sosial.my", {"acct": "jpd@sosial.my"})


# ---------------------------------------------------------------- one server and the others


def test_a_dead_server_says_nothing_of_the_others():
    dead = error_of(by_path({"/statuses": Answer(status=503)}))
    limited = error_of(
        by_path({"/statuses": Answer(status=429, headers={"X-RateLimit-Reset": "2026-11-24T02:04:00.5Z"})})
    )
    assert (type(dead), dead.whole_platform) == (Unavailable, False)
    assert (type(limited), limited.whole_platform) == (ServerLimited, False)
    assert limited.retry_at == datetime(2026, 11, 24, 2, 4, 0, 500_000, tzinfo=UTC)


def test_the_patience_of_the_one_configured_server_is_everybody_s():
    with Replay(by_path({"/statuses": Answer(status=429)})) as server:
        connector = MastodonConnector(MastodonSettings(base_url=server.url), Network())
        account = Account(agency="JPD", platform="mastodon", handle="jpd@sosial.my", native_id=OWNER)
        with pytest.raises(RateLimited) as raised:
            list(connector.pull(account, None, now=NOW))
    assert raised.value.whole_platform


def test_each_server_tells_its_own_budget():
    headers = {"X_RateLimit_Limit": "300", "X_RateLimit_Remaining": "120", "X_RateLimit_Reset": "2026-11-24T02:05:00Z"}
    server, connector, account = reading(by_path({"/statuses": as_json([status(1)], **headers)}))
    with server:
        list(connector.pull(account, None, now=NOW))
    (one,) = connector.allowances()
    assert (one.name.startswith("calls to 127.0.0.1:"), one.limit, one.remaining) == (True, 300, 120)


REFUSALS = {
    "for signed-in readers": (401, PermissionMissing, "signed-in readers"),
    "authorised fetch": (403, PermissionMissing, "signed-in readers"),
    "unknown": (404, AccountNotFound, "register"),
    "deleted for good": (410, AccountNotFound, "retire"),
    "another question": (422, SchemaDrift, "422"),
    "not modified": (304, SchemaDrift, "304"),
    "behind a broken gateway": (530, Unavailable, "530"),
}


@pytest.mark.parametrize(("code", "kind", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is(code, kind, words):
    error = error_of(by_path({"/statuses": Answer(status=code, body=b"" if code == 304 else b'{"error": "x"}')}))
    assert (type(error), error.whole_platform) == (kind, False)
    assert words in str(error)


def test_an_empty_list_of_a_suspended_account_is_no_silence():
    suspended = {"id": OWNER, "username": "jpd", "suspended": True}
    error = error_of(by_path({"/statuses": [[]], f"/{OWNER}": suspended}))
    assert isinstance(error, AccountHidden)


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'[{"id": "1"}]'])
def test_an_answer_of_another_shape_is_drift(body):
    assert isinstance(error_of(by_path({"/statuses": Answer(body=body)})), SchemaDrift)


# ---------------------------------------------------------------- the token


def test_a_token_is_shown_to_the_configured_server_and_a_refused_one_is_told():
    with Replay(by_path({"/statuses": Answer(status=401)})) as server:
        settings = MastodonSettings(base_url=server.url, access_token=Secret("rahsia"))
        account = Account(agency="JPD", platform="mastodon", handle="jpd@sosial.my", native_id=OWNER)
        with pytest.raises(CredentialRefused) as raised:
            list(MastodonConnector(settings, Network()).pull(account, None, now=NOW))
    assert server.asked[0].headers["authorization"] == "Bearer rahsia"
    assert "rahsia" not in str(raised.value)


def test_a_token_without_its_server_is_a_mistake():
    (problem,) = MastodonSettings(access_token=Secret("rahsia")).problems()
    assert (problem[0], "base_url" in problem[1], "rahsia" in problem[1]) == ("access_token", True, False)


@pytest.mark.parametrize(("token", "words"), [("", "answers (version"), ("sandbox", "takes the token")])
def test_the_configured_server_is_tried(sandbox, token, words):
    settings = MastodonSettings(base_url=sandbox.base_url("mastodon"), access_token=Secret(token))
    assert words in MastodonConnector(settings, Network()).check()


# ---------------------------------------------------------------- read again


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(World()) as running:
        yield running


@pytest.fixture
def place(sandbox):
    handle = f"jpd{len(sandbox.world.requests)}"
    native_id = sandbox.world.add_account("mastodon", handle, name="JPD")
    connector = MastodonConnector(MastodonSettings(base_url=sandbox.base_url("mastodon")), Network())
    account = Account(agency="JPD", platform="mastodon", handle=handle, native_id=native_id, id=1)
    return sandbox.world, connector, account


def test_many_posts_are_read_again_in_calls_as_large_as_may_be(place):
    world, connector, account = place
    ids = [world.publish("mastodon", account.handle, f"{n}", at=NOW - n * MINUTE) for n in range(45)]
    before = len(world.requests)
    assert [post.native_id for post in connector.reread(account, ids, now=NOW).posts] == ids
    assert len(world.requests) - before == 3


def test_posts_of_a_suspended_account_are_hidden_and_not_deleted(place):
    world, connector, account = place
    ids = [world.publish("mastodon", account.handle, "x", at=NOW)]
    world.abandon("mastodon", account.handle)
    answer = connector.reread(account, ids, now=NOW)
    assert (answer.hidden, answer.missing) == (frozenset(ids), frozenset())


def test_posts_that_a_wrong_server_does_not_know_are_not_deleted(place):
    _, connector, account = place
    with pytest.raises(AccountNotFound):
        connector.reread(replace(account, native_id="7"), ["1"], now=NOW)


def test_a_stretch_of_the_past_is_read_again_and_nothing_else(place):
    world, connector, account = place
    for n in range(10):
        world.publish("mastodon", account.handle, f"{n}", at=NOW - n * MINUTE)
    pages = list(connector.backfill(account, NOW - 6 * MINUTE, NOW - 2 * MINUTE, now=NOW))
    assert [post.text for page in pages for post in page.posts] == ["3", "4", "5", "6"]
    assert (pages[-1].last, pages[-1].gap) == (True, None)


def test_ids_that_begin_with_their_time_lead_straight_into_the_past():
    server, connector, account = reading(listing([]))
    with server:
        list(connector.backfill(account, NOW - timedelta(days=9), NOW - timedelta(days=8), now=NOW))
    at = datetime.fromtimestamp((int(server.asked[0].query["max_id"]) >> 16) / 1000, UTC)
    assert at - (NOW - timedelta(days=8)) < timedelta(seconds=1)


def test_a_server_that_reads_one_status_at_a_time_is_asked_for_one_at_a_time_from_then_on():
    routes = {"/statuses/1001": status(1), "/statuses/1002": Answer(status=404), "/statuses/1003": Answer(status=403)}
    routes[f"/{OWNER}"] = {"id": OWNER, "username": "jpd"}
    server, connector, account = reading(by_path(routes))
    with server:
        answers = [connector.reread(account, ["1001", "1002", "1003"], now=NOW) for _ in range(2)]
    assert [([post.native_id for post in one.posts], one.missing, one.hidden) for one in answers] == [
        (["1001"], {"1002"}, {"1003"})
    ] * 2
    assert server.paths.count("/api/v1/statuses") == 1


def test_a_server_is_asked_for_several_statuses_again_after_an_hour():
    """A passing fault may have made it look like one that reads them one by one."""
    fault = Answer(body=b"<html>busy</html>")
    server, connector, account = reading(by_path({"/statuses": [fault, [status(1)]], "/statuses/1001": status(1)}))
    with server:
        for now in (NOW, NOW + 59 * MINUTE, NOW + 60 * MINUTE):
            assert len(connector.reread(account, ["1001"], now=now).posts) == 1
    assert [path.rpartition("/v1/")[2] for path in server.paths] == [
        "statuses",
        "statuses/1001",
        "statuses/1001",
        "statuses",
    ]


def test_a_server_that_fails_while_posts_are_read_again_decides_nothing():
    server, connector, account = reading(by_path({"/statuses": Answer(status=503)}))
    with server, pytest.raises(Unavailable):
        connector.reread(account, ["1001"], now=NOW)


# ---------------------------------------------------------------- the whole way


def test_an_agency_on_a_dead_server_does_not_keep_another_s_breach_from_its_head(tmp_path):
    held = [status(1440 - 5, text=LEAK.replace("\n", "<br>")) | {"created_at": datetime.now(UTC).isoformat()}]
    known = {"id": OWNER, "username": "jpd", "acct": "jpd", "display_name": "JPD"}
    dead, alive = (
        Replay(lambda _: Answer(status=503)),
        Replay(by_path({"/lookup": known, "/statuses": [held], OWNER: known})),
    )
    toml = f"""
[mail]
transport = "folder"
folder = "mail"
sender = "Pantau <pantau@jpd.example.my>"
[digest]
recipients = ["ict@jpd.example.my"]
[operators]
recipients = ["{OPERATOR}"]
[network]
allow = ["127.0.0.1/32"]
"""
    with dead, alive:
        hosts = [server.url.removeprefix("http://") for server in (dead, alive)]
        accounts = [("JPD", "mastodon", f"jpd@{host}", f"http://{host}/@jpd") for host in hosts]
        here = Installation(tmp_path, toml, accounts=accounts).write()
        ran = here.run("once")
    assert "2 checked, 1 not read" in ran.out, ran.out + ran.err
    assert [mail for mail in here.mails if "ketua@jpd.example.my" in mail.read_text()]
