"""Feeds as they are in the wild: recorded shapes, odd encodings, servers that redirect, save bytes or break off."""

from __future__ import annotations

import codecs
import gzip
import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from replay import DATA, Answer, Asked, Replay

from connectors import base
from connectors.base import AccountNotFound, AddressRefused, PermissionMissing, SchemaDrift, Unavailable
from connectors.markup import read_html
from connectors.rss import RssConnector, RssSettings, parse_feed, validators
from connectors.seen import remembered
from monitor.model import MediaKind
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
SERVED = "Tue, 24 Nov 2026 02:00:00 GMT"
ADDRESS = "https://www.jpd.example.my/feed/"


def feed_file(name: str) -> bytes:
    return (DATA / "rss" / f"{name}.xml").read_bytes()


def parse(body: bytes, *, kind: str = "application/rss+xml", url: str = ADDRESS, cursor=None):
    headers = {"Content-Type": kind} if kind else {}
    return parse_feed(body, headers=headers, url=url, what="rss/jpd", seen=remembered(cursor), now=NOW)


def pull(url: str, cursor=None, *, now: datetime = NOW, **network: object) -> base.Page:
    connector = RssConnector(RssSettings(), Network(**{"allow": LOOPBACK, "timeout": timedelta(seconds=5), **network}))
    (page,) = connector.pull(account("jpd", "rss", url=url), cursor, now=now)
    return page


def serve(body: bytes, **how: object) -> Replay:
    return Replay(lambda _: Answer(body=body, **how))


# ---------------------------------------------------------------- what entries say


def test_a_whole_article_is_read_once_with_its_title():
    item = parse(feed_file("wordpress")).posts[0]
    assert item.text.splitlines()[0] == "Kaunter bergerak & waktu operasi"
    assert "jadual penuh" in item.text
    assert "alert(1)" not in item.text
    assert item.native_id == "https://www.jpd.example.my/?p=101"
    assert item.published_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_relative_addresses_are_seen_from_the_feed():
    item = parse(feed_file("wordpress")).posts[0]
    assert "https://www.jpd.example.my/wp-content/uploads/jadual.pdf" in item.links
    assert {media.url.rpartition("/")[2]: media.kind for media in item.media} == {
        "minit.docx": MediaKind.DOCUMENT,
        "klip.mp4": MediaKind.VIDEO,
        "jadual.pdf": MediaKind.DOCUMENT,
        "poster.jpg": MediaKind.PICTURE,
    }
    assert all(media.url.startswith("https://www.jpd.example.my/") for media in item.media)


def test_the_feed_s_title_and_picture_are_its_profile():
    profile = parse(feed_file("wordpress")).profile
    assert (profile.name, profile.bio) == ("Jabatan Perkhidmatan Demo – Berita", "Portal rasmi")
    assert profile.picture_url == "https://www.jpd.example.my/wp-content/logo.png"


def test_an_atom_entry_keeps_its_time_its_update_and_its_base():
    (item,) = parse(feed_file("atom"), kind="application/atom+xml").posts
    assert item.published_at == datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
    assert item.edited_at == datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    assert item.url == "https://www.jpd.example.my/berita/pembetulan"
    assert item.media[0].url == "https://www.jpd.example.my/berita/fail/jadual.pdf"
    assert item.text == "Pembetulan jadual\n\nBaris satu\nbaris dua"


def test_rss_1_0_is_dated_by_its_dublin_core():
    (item,) = parse(feed_file("rdf")).posts
    assert (item.published_at, item.edited_at) == (datetime(2026, 11, 20, 0, 0, tzinfo=UTC), None)


def test_without_ids_and_dates_an_entry_keeps_its_id_and_first_sight():
    with serve(feed_file("bare")) as replay:
        first = pull(replay.url)
        again = pull(replay.url, first.cursor, now=NOW + timedelta(days=1))
    assert [(one.native_id, one.published_at) for one in again.posts] == [(o.native_id, NOW) for o in first.posts]
    assert first.posts[0].native_id.startswith("sha256:")
    assert first.posts[1].url == f"{replay.url}/pautan"


def test_an_entry_of_tomorrow_is_read_and_hides_no_gap_of_today():
    page = lambda *items: b'<rss version="2.0"><channel><title>x</title>' + b"".join(items) + b"</channel></rss>"  # noqa: E731
    item = lambda n, day: f"<item><guid>{n}</guid><pubDate>{day} 2026 00:00:00 GMT</pubDate></item>".encode()  # noqa: E731
    with serve(page(item(1, "31 Dec"), item(2, "20 Nov"))) as replay:
        first = pull(replay.url)
        replay.script = lambda _: Answer(body=page(item(3, "26 Nov"), item(4, "27 Nov")))
        second = pull(replay.url, first.cursor, now=NOW + timedelta(days=5))
    assert first.posts[0].published_at == datetime(2026, 12, 31, tzinfo=UTC)
    assert second.gap is not None
    assert (second.gap.start, second.gap.end) == (NOW, datetime(2026, 11, 26, tzinfo=UTC))


def test_a_post_of_60_kilobytes_is_read_whole():
    body = feed_file("empty").replace(
        b"</channel>", b"<item><guid>1</guid><title>" + b"perkataan " * 6000 + b"</title></item></channel>"
    )
    (item,) = parse(body).posts
    assert len(item.text) == 60_000 - 1


def test_an_id_that_stands_twice_is_one_post_the_upper_one():
    twice = b"<item><guid>1</guid><title>baharu</title></item><item><guid>1</guid><title>lama</title></item>"
    (item,) = parse(feed_file("empty").replace(b"</channel>", twice + b"</channel>")).posts
    assert item.text == "baharu"


@pytest.mark.parametrize("shared", ["/berita", "/"])
def test_entries_without_ids_that_lead_to_one_page_are_posts_of_their_own(shared):
    """Notices on one page, or all on the site's first; of a single one the page may hold another next time."""
    items = "".join(f"<item><title>{words}</title><link>{shared}</link></item>" for words in ("Satu", "Dua"))
    both = f'<rss version="2.0"><channel><title>x</title><link>/</link>{items}</channel></rss>'.encode()
    posts = parse(both).posts
    assert {post.text for post in posts} == {"Satu", "Dua"}
    assert {post.url.rpartition("/")[2] for post in posts} == {shared.strip("/")}
    alone = both.replace(b"<item><title>Satu</title><link>/</link></item>", b"")
    assert {post.native_id for post in parse(alone).posts} <= {post.native_id for post in posts}


def test_an_entry_without_an_id_that_stands_twice_is_known_by_its_page_as_before():
    """I4: under another id it would be a new post, and alert again."""
    item = b"<item><title>Satu</title><link>/berita/1</link><description>a</description></item>"
    feed = b'<rss version="2.0"><channel><title>x</title><link>/</link>%s</channel></rss>'
    for items in (item, item + item, item.replace(b">a<", b">b<") + item):
        assert [post.native_id for post in parse(feed % items).posts] == ["/berita/1"]


# ---------------------------------------------------------------- what feedparser's own tests brought to light


def rss_of(item: str, *, before: str = "", after: str = "</rss>") -> bytes:
    channel = f"<channel><title>JPD</title><item>{item}</item></channel>"
    return f'<?xml version="1.0" encoding="utf-8"?>{before}<rss version="2.0">{channel}{after}'.encode()


def test_an_entry_without_an_id_keeps_its_id_when_the_feed_moves():
    body = rss_of("<description>&lt;a href='/jadual'&gt;Jadual&lt;/a&gt;</description>")
    here, there = (parse(body, url=url).posts[0] for url in (ADDRESS, "https://baharu.jpd.example.my/feed/"))
    assert here.native_id == there.native_id
    assert here.links != there.links


def test_a_feed_that_lacks_only_its_very_last_sign_is_whole():
    assert len(parse(rss_of("<title>satu</title>", after="</rss")).posts) == 1


def test_a_picture_s_title_is_not_the_entry_s():
    entry = "<entry><id>1</id><title>Betul</title><image><title>Salah</title></image></entry>"
    (post,) = parse(f'<feed xmlns="http://www.w3.org/2005/Atom">{entry}</feed>'.encode()).posts
    assert post.text == "Betul"


def test_a_podcast_s_subtitle_is_read():
    subtitle = '<itunes:subtitle xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">Anak tajuk</itunes:subtitle>'
    assert parse(rss_of(f"<title>Episod</title>{subtitle}")).posts[0].text == "Episod\n\nAnak tajuk"


def test_an_enclosure_of_another_kind_is_a_link():
    post = parse(rss_of('<enclosure url="https://jpd.example.my/borang" type="text/html"/>')).posts[0]
    assert (post.media, post.links) == ((), ("https://jpd.example.my/borang",))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("&#55357;&#56832; senyum", "😀 senyum"),
        ("&#xD83D;&#xDE00;", "😀"),
        ("&#xD800; x", "\ufffd x"),
        ("&#55000;", "훘"),
    ],
)
def test_an_emoji_that_is_written_as_two_halves_is_one(written, read):
    assert parse(rss_of(f"<title>{written}</title>")).posts[0].text == read


@pytest.mark.parametrize("value", ["&#160;", " "])
def test_entities_that_stand_for_a_character_are_read(value):
    doctype = f'<!DOCTYPE rss [<!ENTITY nbsp "{value}">]>'
    assert parse(rss_of("<title>satu&nbsp;dua</title>", before=doctype)).posts[0].text == "satu dua"


@pytest.mark.parametrize("address", ["http://[0]/", "http://[jpd", "http://[x]/a.png"])
def test_an_address_that_is_none_spoils_no_feed(address):
    item = f"<title>satu</title><link>{address}</link><enclosure url='{address}' type='image/png'/>"
    body = rss_of(f"{item}<description>&lt;img src='{address}'/&gt;</description>")
    (post,) = parse(body).posts
    assert (post.text, post.url, post.media) == ("satu", "", ())


def test_what_feedparser_trips_over_is_said_so():
    body = rss_of("<title>x</title>").replace(b"utf-8", b"\xa6")
    with pytest.raises(SchemaDrift, match="trips over this feed"):
        parse(body)


FILES = {
    "a picture of several sizes": ('<img srcset="/1.jpg 300w, /2,b.jpg 900w" alt="Peta">', "Peta", ["/2,b.jpg"]),
    "a picture that is loaded once in view": (
        '<img src="data:image/gif;base64,R0" data-srcset="/1.jpg 1x,\n/2.jpg 2x">',
        "",
        ["/2.jpg"],
    ),
    "no size at all": ('<img srcset=" , ">', "", []),
    "a film's still": ('<video src="/a.mp4" poster="/a.png"></video>', "", ["/a.png"]),
    "a document that is shown inside": (
        '<object data="/a.pdf"></object><embed src="/b.pdf">',
        "",
        ["/a.pdf", "/b.pdf"],
    ),
}


@pytest.mark.parametrize(("markup", "text", "files"), FILES.values(), ids=FILES)
def test_files_are_found_however_markup_holds_them(markup, text, files):
    read = read_html(markup, base=ADDRESS)
    found = [media.url.removeprefix("https://www.jpd.example.my") for media in read.media]
    assert (read.text, found) == (text, files)


def test_what_opens_stands_on_a_line_of_its_own():
    read = read_html("<details><summary>Soalan</summary>Jawapan</details><address>Aras 1</address>", base="")
    assert read.text.split() == ["Soalan", "Jawapan", "Aras", "1"]


def test_tags_that_never_end_are_text_and_hold_nobody_up():
    text = read_html("<p>satu</p>" + "<a href='x" * 20_000, base=ADDRESS).text
    assert text.startswith("satu\n<a href='x")
    assert text.count("href") == 20_000


# ---------------------------------------------------------------- bytes


ENCODINGS = {
    "a byte order mark": (codecs.BOM_UTF8 + feed_file("wordpress"), "application/rss+xml"),
    "white space before the declaration": (b"\n\n" + feed_file("wordpress"), "text/xml"),
    "no content type": (feed_file("wordpress"), ""),
    "a content type of HTML": (feed_file("wordpress"), "text/html; charset=utf-8"),
    "a content type of nothing in particular": (feed_file("wordpress"), "application/octet-stream"),
    "text/xml without a charset": (feed_file("wordpress"), "text/xml"),
    "UTF-16": (feed_file("wordpress").decode().replace("UTF-8", "UTF-16").encode("utf-16"), "application/xml"),
}


@pytest.mark.parametrize(("body", "kind"), ENCODINGS.values(), ids=ENCODINGS)
def test_a_feed_is_read_in_spite_of(body, kind):
    feed = parse(body, kind=kind)
    assert feed.profile.name == "Jabatan Perkhidmatan Demo – Berita"
    assert len(feed.posts) == 2


@pytest.mark.parametrize("kind", ["application/rss+xml", "text/xml; charset=ISO-8859-1", "text/xml", ""])
def test_latin_1_is_latin_1(kind):
    assert parse(feed_file("latin1"), kind=kind).posts[0].text == "Résumé jawatan"


def test_a_packed_answer_is_unpacked():
    packed = gzip.compress(feed_file("wordpress"))
    with serve(packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/rss+xml"}) as replay:
        assert len(pull(replay.url).posts) == 2


def test_a_packed_answer_of_too_much_is_refused():
    packed = gzip.compress(b" " * 3_000_000 + feed_file("wordpress"))
    with (
        serve(packed, headers={"Content-Encoding": "gzip"}) as replay,
        pytest.raises(AddressRefused, match="max_bytes"),
    ):
        pull(replay.url, max_bytes=1_000_000)


# ---------------------------------------------------------------- servers


def test_an_unchanged_feed_is_asked_for_with_its_marks_and_keeps_the_cursor():
    marks = {"ETag": '"a1"', "Last-Modified": "Mon, 23 Nov 2026 09:00:00 GMT"}

    def script(asked: Asked) -> Answer:
        same = asked.headers.get("if-none-match") == marks["ETag"]
        return Answer(status=304, headers=marks) if same else Answer(body=feed_file("wordpress"), headers=marks)

    with Replay(script) as replay:
        first = pull(replay.url)
        second = pull(replay.url, first.cursor)
        assert replay.asked[1].headers["if-modified-since"] == marks["Last-Modified"]
    assert (second.posts, second.last, second.cursor) == ((), True, first.cursor)


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        pytest.param({"ETag": 'W/"67ab-5f"'}, 'W/"67ab-5f"', id="a weak tag goes back as it came"),
        pytest.param({"ETag": '"x-gzip"'}, '"x-gzip"', id="a tag of a packed answer"),
        pytest.param({"ETag": f'"{"x" * 600}"'}, "", id="a tag that would have to be cut"),
        pytest.param({}, "", id="no tag"),
    ],
)
def test_a_tag_is_kept_as_it_was_served(headers, kept):
    assert validators(headers)["etag"] == kept


@pytest.mark.parametrize(
    ("modified", "kept"),
    [
        pytest.param("Tue, 24 Nov 2026 01:58:00 GMT", True, id="two minutes before the answer"),
        pytest.param("Tue, 24 Nov 2026 02:00:00 GMT", False, id="in its very second: more may follow in it"),
        pytest.param("Tue, 24 Nov 2026 03:00:00 GMT", False, id="after it"),
        pytest.param("gestern", False, id="no date"),
        pytest.param("", False, id="none"),
    ],
)
def test_a_time_of_change_is_believed_once_it_has_settled(modified, kept):
    assert bool(validators({"Date": SERVED, "Last-Modified": modified})["modified"]) == kept
    assert not validators({"Last-Modified": modified})["modified"]


def test_once_a_day_the_whole_feed_is_asked_for_whatever_the_site_says():
    with serve(feed_file("wordpress"), headers={"ETag": '"for ever"'}) as replay:
        cursor = pull(replay.url).cursor
        for hours in (1, 23, 25, -25):
            pull(replay.url, cursor, now=NOW + timedelta(hours=hours))
    assert ["if-none-match" in asked.headers for asked in replay.asked] == [False, True, True, False, False]


def test_unchanged_is_no_answer_to_a_question_that_was_not_asked():
    with Replay(lambda _: Answer(status=304)) as replay, pytest.raises(Unavailable, match="was not asked"):
        pull(replay.url)


def test_the_marks_of_another_address_are_not_sent():
    with serve(feed_file("empty"), headers={"ETag": '"a1"'}) as replay:
        first = pull(f"{replay.url}/lama")
        pull(f"{replay.url}/baharu", first.cursor)
        assert "if-none-match" not in replay.asked[1].headers


def test_a_redirect_is_followed_and_links_are_seen_from_where_it_leads():
    def script(asked: Asked) -> Answer:
        moved = Answer(status=301, headers={"Location": "/baharu/feed.xml"})
        return moved if asked.path == "/feed" else Answer(body=feed_file("bare"))

    with Replay(script) as replay:
        assert pull(f"{replay.url}/feed").posts[1].url == f"{replay.url}/pautan"


STATUSES = {
    404: AccountNotFound,
    410: AccountNotFound,
    401: PermissionMissing,
    403: PermissionMissing,
    500: Unavailable,
}


@pytest.mark.parametrize(("status", "error"), STATUSES.items())
def test_a_status_says_what_is_wrong(status, error):
    with Replay(lambda _: Answer(status=status, body=feed_file("empty"))) as replay, pytest.raises(error):
        pull(replay.url)


def test_a_busy_site_says_when_to_come_back_and_the_others_go_on():
    busy = Answer(status=503, headers={"Retry-After": "120"})
    with Replay(lambda _: busy) as replay, pytest.raises(base.RateLimited) as caught:
        pull(replay.url)
    assert (caught.value.retry_at, caught.value.whole_platform) == (NOW + timedelta(minutes=2), False)


NO_FEEDS = {
    "a page of HTML": b"<!DOCTYPE html><html><head><title>Utama</title></head><body>Selamat datang</body></html>",
    "JSON": b'{"items": []}',
    "nothing": b"",
    "XML of something else": b'<?xml version="1.0"?><catalogue><book/></catalogue>',
    "entities that multiply": b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss version="2.0"><channel><title>&b;</title></channel></rss>',
}


@pytest.mark.parametrize("body", NO_FEEDS.values(), ids=NO_FEEDS)
def test_what_is_no_feed_is_never_no_news(body):
    with pytest.raises(SchemaDrift):
        parse(body, kind="")


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0"?><!-- <rss> --><CHANNEL HREF="/"><ITEM HREF="/a"><TITLE>Hebahan</TITLE></ITEM></CHANNEL>',
        b"<channel><title>J</title><item><title>Hebahan</title><link>/a</link></item></channel>",
    ],
    ids=["CDF", "RSS without its outermost element"],
)
def test_a_channel_by_itself_is_a_feed(body):
    (post,) = parse(body).posts
    assert (post.text, post.url) == ("Hebahan", "https://www.jpd.example.my/a")
    with pytest.raises(Unavailable):
        parse(body[:-12])
    with pytest.raises(SchemaDrift):
        parse(b"<html>" + body + b"</html>")


def test_what_an_entry_of_atom_refers_to_is_a_link_of_it():
    feed = b"""<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id><title>a</title>
    <link rel='enclosure' type='audio/mpeg' href='/a.mp3'/><link rel='alternate' href='/a'/>
    <link rel='related' href='https://kcm.example.my/b'/><link rel='via' href='/c'/><link rel='self' href='/d'/>
    </entry></feed>"""
    (post,) = parse(feed).posts
    assert post.url == "https://www.jpd.example.my/a"
    assert set(post.links) == {"https://kcm.example.my/b", "https://www.jpd.example.my/c"}


def test_an_empty_feed_is_empty():
    with serve(feed_file("empty")) as replay:
        page = pull(replay.url)
    assert (page.posts, page.last, page.gap) == ((), True, None)


def test_a_feed_that_ends_in_the_middle_is_unavailable():
    with pytest.raises(Unavailable):
        parse(feed_file("wordpress")[:1500])


@pytest.mark.parametrize("address", ["", "ftp://www.jpd.example.my/feed", "http://[bad", "www.jpd.example.my/feed"])
def test_an_address_that_is_none_is_the_register_s_mistake(address):
    with pytest.raises(base.ConnectorError) as caught:
        pull(address)
    assert caught.value.cause in {base.AccountNotFound.cause, AddressRefused.cause}


def test_a_password_in_the_address_is_in_no_error():
    with Replay(lambda _: Answer(status=404)) as replay:
        connector = RssConnector(RssSettings(), Network(allow=LOOPBACK))
        address = replay.url.replace("http://", "http://jpd:rahsia-besar@")
        with pytest.raises(AccountNotFound) as caught:
            list(connector.pull(account("", "rss", url=address), None, now=NOW))
    assert "rahsia-besar" not in str(caught.value)


def test_an_id_that_is_no_address_stays_as_it_is_written_when_the_feed_moves():
    body = b"<rss version='2.0'><channel><title>t</title><item><guid isPermaLink='false'>a1</guid><link>/b/1</link></item></channel></rss>"
    ids = set()
    for url in ("http://old.example.my/rss", "https://new.example.my/feed"):
        feed = parse_feed(body, headers={}, url=url, what="rss/t", seen=remembered(None), now=NOW)
        ids.add(feed.posts[0].native_id)
        assert feed.posts[0].url == url.rpartition("/")[0] + "/b/1"
    assert ids == {"a1"}
