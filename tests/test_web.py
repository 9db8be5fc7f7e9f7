"""Web sites as they are: which way they are read, what an article says, and what lists and pages do over time."""

from __future__ import annotations

import gzip
import ipaddress
import json
from datetime import UTC, datetime, timedelta

import pytest
from builders import account
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import Answer, Asked, Replay

from connectors import base
from connectors.base import AccountNotFound, AddressRefused, ConnectorError, PermissionMissing, SchemaDrift, Unavailable
from connectors.web import WebConnector, WebSettings
from connectors.web import connector as web
from connectors.web.answers import decoded, main_text
from connectors.web.articles import feeds_of, listed_on, parse_article, read_page
from connectors.web.sitemap import parse_sitemap
from monitor.model import Account, MediaKind
from monitor.settings import Network

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
SITE = "https://www.jpd.example.my/berita"
TEXT = " ".join(f"perkataan{n}" for n in range(40))


def connector(**bounds: object) -> WebConnector:
    network = Network(allow=LOOPBACK, timeout=timedelta(seconds=5))
    return WebConnector(WebSettings(), network, base.Bounds(**{"back_catalogue": 3200, **bounds}))


def at(replay: Replay, path: str = "/berita") -> Account:
    return account("jpd", "web", id=1, url=f"{replay.url}{path}")


def pull(of: Account, cursor=None, *, now: datetime = NOW, **how: object) -> base.Page:
    (page,) = connector(**how).pull(of, cursor, now=now)
    return page


def html(body: str, *, head: str = "") -> str:
    return f"<!DOCTYPE html><html lang='ms'><head>{head}</head><body>{body}</body></html>"


def article(text: str = TEXT, *, title: str = "Tajuk", day: int = 20, **more: object) -> str:
    data = {"@type": "NewsArticle", "headline": title, "datePublished": f"2026-11-{day:02}T10:00:00+08:00", **more}
    head = f'<script type="application/ld+json">{json.dumps(data)}</script>'
    return html(f"<article><h1>{title}</h1><p>{text}</p></article>", head=head)


def listing(*paths: str) -> str:
    items = [{"@type": "ListItem", "position": n, "url": path} for n, path in enumerate(paths)]
    data = json.dumps({"@type": "ItemList", "itemListElement": items})
    return html("<h1>Berita</h1>", head=f'<script type="application/ld+json">{data}</script>')


def in_turn(pages: dict[str, list[object]]) -> Replay:
    """Serve each path's answers one after the other, the last one from then on."""

    def script(asked: Asked) -> Answer:
        left = pages.get(asked.path, [Answer(status=404)])
        page = left.pop(0) if len(left) > 1 else left[0]
        kind = {"Content-Type": "text/html; charset=utf-8"}
        return page if isinstance(page, Answer) else Answer(body=str(page).encode(), headers=kind)

    return Replay(script)


def site(pages: dict[str, object]) -> Replay:
    """Serve pages by path; what is no text is an answer of its own."""

    def script(asked: Asked) -> Answer:
        page = pages.get(asked.path)
        if page is None:
            return Answer(status=404, body=b"<html>404</html>", headers={"Content-Type": "text/html"})
        kind = {"Content-Type": "text/html; charset=utf-8"}
        return page if isinstance(page, Answer) else Answer(body=str(page).encode(), headers=kind)

    return Replay(script)


def titles(page: base.Page) -> list[str]:
    return [post.text.splitlines()[0] for post in page.posts]


# ---------------------------------------------------------------- the way a site is read


FEED = (
    '<rss version="2.0"><channel><title>JPD</title><item><guid>a-1</guid><title>Dari suapan</title>'
    "<pubDate>Fri, 20 Nov 2026 02:00:00 GMT</pubDate></item></channel></rss>"
)
NAMED = '<link rel="alternate" type="application/rss+xml" href="/suapan.xml">'


def test_a_feed_that_the_page_names_is_read_as_a_feed_and_asked_for_directly_after_that():
    with site({"/berita": html("", head=NAMED), "/suapan.xml": FEED}) as replay:
        first = pull(at(replay))
        replay.asked.clear()
        second = pull(at(replay), first.cursor)
    assert [(post.native_id, post.text) for post in first.posts] == [("a-1", "Dari suapan")]
    assert (second.cursor, replay.paths) == (first.cursor, ["/suapan.xml"])


def test_a_feed_that_is_named_but_not_there_is_passed_over_and_one_that_fails_is_not():
    pages = {"/berita": html(f"<p>{TEXT}</p>", head=NAMED)}
    with site(pages) as replay:
        assert pull(at(replay)).cursor["way"] == "page"
    with site({**pages, "/suapan.xml": Answer(status=503)}) as replay, pytest.raises(Unavailable):
        pull(at(replay))


def test_a_site_whose_feed_is_gone_is_looked_at_anew():
    pages: dict[str, object] = {"/berita": html("", head=NAMED), "/suapan.xml": FEED}
    with site(pages) as replay:
        cursor = pull(at(replay)).cursor
        pages |= {"/berita": listing("/berita/1"), "/berita/1": article()}
        del pages["/suapan.xml"]
        page = pull(at(replay), cursor)
    assert (page.cursor["way"], titles(page)) == ("list", ["Tajuk"])


def test_a_list_of_articles_is_read_each_from_its_own_page():
    with site(
        {
            "/berita": listing("/berita/1", "/berita/2"),
            "/berita/1": article(title="Satu"),
            "/berita/2": article(title="Dua"),
        }
    ) as replay:
        page = pull(at(replay))
        assert {post.native_id for post in page.posts} == {f"page:{replay.url}/berita/{n}" for n in (1, 2)}
    assert sorted(titles(page)) == ["Dua", "Satu"]
    assert page.posts[0].published_at == datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


LISTS = {
    "a graph": {
        "@graph": [{"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": {"@id": "/berita/1"}}]}]
    },
    "addresses alone": {"@type": "ItemList", "itemListElement": ["/berita/1"]},
    "articles": {"@type": "Blog", "blogPost": [{"@type": "BlogPosting", "url": "/berita/1"}]},
    "an article by its page": [{"@type": ["NewsArticle"], "mainEntityOfPage": {"@id": "/berita/1#a"}}],
}


@pytest.mark.parametrize("data", LISTS.values(), ids=LISTS)
def test_structured_data_lists_by(data):
    head = f'<script type="application/ld+json">{json.dumps(data)}</script>'
    assert [one.url for one in listed_on(read_page(html("", head=head), SITE))] == [f"{SITE}/1"]


MARKUP = {
    "several articles": "<article><h2><a href='/berita/1'>a</a></h2><time datetime='2026-11-20'></time></article>"
    "<article><h2><a href='/berita/2'>b</a></h2></article>",
    "microdata": "<div itemscope itemtype='https://schema.org/BlogPosting'><h2 itemprop='headline'><a href='/berita/1'>a</a></h2></div>"
    "<div itemscope itemtype='https://schema.org/BlogPosting'><a itemprop='url' href='/berita/2'>b</a></div>",
}


@pytest.mark.parametrize("body", MARKUP.values(), ids=MARKUP)
def test_a_page_s_own_marks_list_by(body):
    assert [one.url for one in listed_on(read_page(html(body), SITE))] == [f"{SITE}/1", f"{SITE}/2"]


def test_ways_back_other_sites_and_the_page_itself_are_no_articles():
    crumbs = {"@type": "BreadcrumbList", "itemListElement": [{"@type": "ListItem", "item": "/"}]}
    items = {"@type": "ItemList", "itemListElement": ["https://lain.example.my/1", SITE, "javascript:x", "http://["]}
    head = f'<script type="application/ld+json">{json.dumps([crumbs, items])}</script>'
    assert listed_on(read_page(html("", head=head), SITE)) == ()


def test_the_feed_of_comments_is_not_the_site_s():
    head = NAMED.replace("/suapan", "/comments/feed") + NAMED
    assert feeds_of(read_page(html("", head=head), SITE)) == ("https://www.jpd.example.my/suapan.xml",)


def sitemap(*entries: tuple[str, str]) -> str:
    pages = "".join(f"<url><loc>{url}</loc><lastmod>{at}</lastmod></url>" for url, at in entries)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{pages}</urlset>'


def test_a_sitemap_names_the_pages_below_the_account_s_address():
    pages: dict[str, object] = {
        "/berita": html("<h1>Berita</h1>"),
        "/berita/1": article(title="Satu"),
        "/hubungi": article(),
    }
    with site(pages) as replay:
        pages["/sitemap.xml"] = sitemap(
            (f"{replay.url}/berita/1", "2026-11-20"),
            (f"{replay.url}/hubungi", "2026-11-20"),
            ("https://x.my/berita/2", "2026-11-20"),
        )
        page = pull(at(replay))
        assert (page.cursor["way"], titles(page)) == ("sitemap", ["Satu"])
        pages["/sitemap.xml"] = str(pages["/sitemap.xml"]).replace("2026-11-20", "2026-11-23")
        pages["/berita/1"] = article(title="Satu", text="disunting")
        later = pull(at(replay), page.cursor, now=NOW + HOUR)
    assert [post.text for post in later.posts] == ["Satu\n\ndisunting"]
    assert later.posts[0].edited_at == NOW + HOUR


def test_an_index_of_sitemaps_packed_ones_and_news_are_read():
    index = "<sitemapindex><sitemap><loc>/peta-lama.xml</loc><lastmod>2020-01-01</lastmod></sitemap><sitemap><loc>/peta-news.xml.gz</loc></sitemap></sitemapindex>"
    assert parse_sitemap(index.encode(), url=SITE, what="web/jpd").further[0].endswith("/peta-news.xml.gz")
    news = '<urlset xmlns:news="x"><url><loc>/b/1</loc><news:news><news:publication_date>2026-11-20T10:00:00+08:00</news:publication_date></news:news></url></urlset>'
    (entry,) = parse_sitemap(gzip.compress(news.encode()), url=SITE, what="web/jpd").entries
    assert (entry.url, entry.news, entry.published) == (
        "https://www.jpd.example.my/b/1",
        True,
        datetime(2026, 11, 20, 2, tzinfo=UTC),
    )


NO_SITEMAPS = {
    "a bomb": (gzip.compress(b"<urlset>" + b" " * 60_000_000), SchemaDrift),
    "half of one": (b"<urlset><url><loc>https://x.my/", Unavailable),
    "half of a packed one": (gzip.compress(b"<urlset><url>" * 99)[:60], Unavailable),
    "entities that multiply": (b'<!DOCTYPE u [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><urlset>&b;</urlset>', SchemaDrift),
    "something else": (b"<rss/>", SchemaDrift),
}


@pytest.mark.parametrize(("body", "error"), NO_SITEMAPS.values(), ids=NO_SITEMAPS)
def test_a_sitemap_that_is_none_is_told_apart(body, error):
    with pytest.raises(error):
        parse_sitemap(body, url=SITE, what="web/jpd")


def test_a_page_that_says_it_all_is_the_one_post_and_a_change_of_it_a_new_version():
    pages: dict[str, object] = {"/berita": html(f"<main><h1>Notis</h1><p>{TEXT}</p></main>")}
    with site(pages) as replay:
        first = pull(at(replay))
        pages["/berita"] = str(pages["/berita"]).replace("perkataan7", "SULIT")
        second = pull(at(replay), first.cursor, now=NOW + HOUR)
        assert {post.native_id for post in (*first.posts, *second.posts)} == {f"page:{replay.url}/berita"}
    (before,), (after,) = first.posts, second.posts
    assert (before.published_at, after.published_at, after.edited_at) == (NOW, NOW, NOW + HOUR)
    assert "SULIT" in after.text


def test_a_page_of_its_own_is_left_for_a_feed_as_soon_as_there_is_one():
    pages: dict[str, object] = {"/berita": html(f"<p>{TEXT}</p>")}
    with site(pages) as replay:
        cursor = pull(at(replay)).cursor
        pages |= {"/berita": html(f"<p>{TEXT}</p>", head=NAMED), "/suapan.xml": FEED}
        assert titles(pull(at(replay), cursor)) == ["Dari suapan"]


NOT_TO_BE_READ = {
    "a shell that needs a browser": html("<div id='root'></div><script src='/app.js'></script>"),
    "a form to sign in": html(f"<p>{TEXT}</p><form><input type='password'></form>"),
    "JSON": '{"items": []}',
    "nothing": "",
}


@pytest.mark.parametrize("page", NOT_TO_BE_READ.values(), ids=NOT_TO_BE_READ)
def test_a_page_is_never_no_news_that_is(page):
    with site({"/berita": page}) as replay, pytest.raises(SchemaDrift):
        pull(at(replay))


def test_a_list_that_lists_nothing_any_more_is_not_recognised():
    pages: dict[str, object] = {"/berita": listing("/berita/1"), "/berita/1": article()}
    with site(pages) as replay:
        cursor = pull(at(replay)).cursor
        pages["/berita"] = html(f"<p>{TEXT}</p>")
        with pytest.raises(SchemaDrift, match="lists no articles"):
            pull(at(replay), cursor)


# ---------------------------------------------------------------- lists over time


def test_a_look_reads_so_many_articles_and_the_others_wait_for_the_next():
    paths = [f"/berita/{n}" for n in range(45)]
    with site({"/berita": listing(*paths), **{path: article(title=path) for path in paths}}) as replay:
        cursor, found = None, []
        for _ in range(4):
            page = pull(at(replay), cursor)
            cursor, found = page.cursor, [*found, *titles(page)]
    assert sorted(found) == sorted(paths)
    assert cursor["waiting"] == []


def test_how_much_of_the_past_is_read_is_a_choice():
    paths = [f"/berita/{n}" for n in range(9)]
    with site({"/berita": listing(*paths), **{path: article(title=path) for path in paths}}) as replay:
        first = pull(at(replay), back_catalogue=4)
        second = pull(at(replay), first.cursor, back_catalogue=4)
    assert (titles(first), second.posts) == (paths[:4], ())


def test_a_dead_link_holds_nothing_up_and_is_left_after_some_tries():
    pages: dict[str, object] = {"/berita": listing("/berita/mati", "/berita/1"), "/berita/1": article()}
    with site(pages) as replay:
        page = pull(at(replay))
        assert titles(page) == ["Tajuk"]
        assert pull(at(replay), page.cursor).cursor == page.cursor  # the next try comes later
        for day in range(1, web.TRIES + 1):
            page = pull(at(replay), page.cursor, now=NOW + day * 24 * HOUR)
        replay.asked.clear()
        assert pull(at(replay), page.cursor, now=NOW + 24 * day * HOUR).cursor == page.cursor
    assert replay.paths == ["/berita"]


def test_an_article_that_is_away_for_an_hour_is_read_when_it_is_back():
    """I1: a site that is half away shows its list, and none of its articles."""
    pages: dict[str, object] = {"/berita": listing("/berita/1"), "/berita/1": Answer(status=404)}
    with site(pages) as replay:
        cursor = None
        for minute in range(0, 60, 2):
            cursor = pull(at(replay), cursor, now=NOW + minute * HOUR / 60).cursor
        assert replay.paths.count("/berita/1") < 20
        pages["/berita/1"] = article()
        assert titles(pull(at(replay), cursor, now=NOW + 3 * HOUR)) == ["Tajuk"]


def test_a_site_that_fails_for_every_article_is_unavailable_and_nothing_is_lost():
    pages: dict[str, object] = {"/berita": listing("/berita/1"), "/berita/1": Answer(status=500)}
    with site(pages) as replay:
        with pytest.raises(Unavailable):
            pull(at(replay))
        pages["/berita/1"] = article()
        assert titles(pull(at(replay))) == ["Tajuk"]


def test_an_unchanged_list_costs_one_question_and_the_waiting_are_read_all_the_same():
    marked = lambda body: Answer(body=body.encode(), headers={"ETag": '"a"', "Content-Type": "text/html"})  # noqa: E731
    paths = [f"/berita/{n}" for n in range(web.PAGES_A_LOOK + 1)]
    pages: dict[str, object] = {"/berita": marked(listing(*paths)), **{path: article(title=path) for path in paths}}
    with site(pages) as replay:
        first = pull(at(replay))
        pages["/berita"] = Answer(status=304)
        second = pull(at(replay), first.cursor)
        third = pull(at(replay), second.cursor)
    assert [len(page.posts) for page in (first, second, third)] == [web.PAGES_A_LOOK, 1, 0]
    assert third.cursor == second.cursor
    assert replay.asked[-1].headers["if-none-match"] == '"a"'


def test_a_site_that_says_unasked_that_nothing_has_changed_is_not_believed():
    with site({"/berita": Answer(status=304)}) as replay, pytest.raises(Unavailable):
        pull(at(replay))


def test_an_article_that_is_a_file_is_a_document():
    file = Answer(body=b"%PDF-1.7", headers={"Content-Type": "application/pdf"})
    with site({"/berita": listing("/fail/minit-sulit.pdf"), "/fail/minit-sulit.pdf": file}) as replay:
        (post,) = pull(at(replay)).posts
    assert (post.text, [one.kind for one in post.media]) == ("minit-sulit.pdf", [MediaKind.DOCUMENT])


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/octet-stream", ""])
def test_a_page_under_the_name_of_a_file_is_a_page_all_the_same(kind):
    named = Answer(body=b"\xef\xbb\xbf" + article(text="Hebahan").encode(), headers={"Content-Type": kind})
    with site({"/berita": listing("/berita/1"), "/berita/1": named}) as replay:
        (post,) = pull(at(replay)).posts
    assert (post.text.splitlines()[-1], post.media) == ("Hebahan", ())


@pytest.mark.parametrize("kind", ["application/json", "application/rss+xml; charset=utf-8", "application/xml"])
def test_what_machines_say_to_each_other_is_no_document(kind):
    error = Answer(body=b'<?xml version="1.0"?><error/>', headers={"Content-Type": kind})
    with site({"/berita": listing("/berita/1"), "/berita/1": error}) as replay:
        assert pull(at(replay)).posts == ()


@pytest.mark.parametrize("where", ["http://10.0.0.1/rahsia", "http://[::1]/", "file:///etc/passwd"])
def test_a_list_leads_nowhere_that_the_register_did_not_allow(where):
    hidden = Answer(status=302, headers={"Location": where})
    with site({"/berita": listing("/berita/1"), "/berita/1": hidden}) as replay, pytest.raises(AddressRefused):
        pull(at(replay))


# ---------------------------------------------------------------- articles read again


def test_an_article_is_read_again_by_its_address():
    pages: dict[str, object] = {
        "/berita": listing("/berita/1"),
        "/berita/1": article(text="disunting"),
        "/berita/3": Answer(status=403),
        "/berita/4": Answer(status=503),
        "/berita/5": Answer(status=302, headers={"Location": "/"}),
        "/": html(f"<p>{TEXT}</p>"),
    }
    with site(pages) as replay:
        ids = {n: f"page:{replay.url}/berita/{n}" for n in range(1, 6)}
        answer = connector().reread(at(replay), list(ids.values()), now=NOW)
    assert [(post.native_id, post.text, post.edited_at) for post in answer.posts] == [
        (ids[1], "Tajuk\n\ndisunting", NOW)
    ]
    assert (answer.missing, answer.hidden) == ({ids[2]}, {ids[3]})


def test_nothing_is_missing_while_the_site_itself_is_away():
    with site({}) as replay, pytest.raises(AccountNotFound):
        connector().reread(at(replay), [f"page:{replay.url}/berita/1"], now=NOW)


def test_no_look_again_reads_more_pages_than_its_bound():
    with site({"/berita": listing("/berita/1")}) as replay:
        ids = [f"page:{replay.url}/berita/{n}" for n in range(50)]
        answer = connector().reread(at(replay), ids, now=NOW)
    assert len(answer.missing) == web.PAGES_A_LOOK
    assert answer.left == frozenset(ids[web.PAGES_A_LOOK :])


CUT = article(text=TEXT)[: -len("</article></body></html>") - 60]
FAULTS = {
    "a 404": Answer(status=404),
    "a page that is cut": CUT,
    "a notice of maintenance": html("<p>Laman sedang diselenggara</p>"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_a_passing_fault_shows_of_an_article_is_neither_deletion_nor_edit(fault):
    with in_turn({"/berita/1": [fault, article()], "/berita": [listing("/berita/1")]}) as replay:
        answer = connector().reread(at(replay), [f"page:{replay.url}/berita/1"], now=NOW)
    assert ([post.text for post in answer.posts], answer.missing) == (["Tajuk\n\n" + TEXT], frozenset())


def test_an_article_that_shows_something_else_at_each_look_is_undecided():
    for first, second in ((CUT, CUT[:-40]), (CUT, Answer(status=404)), (Answer(status=404), CUT)):
        with in_turn({"/berita/1": [first, second], "/berita": [listing("/berita/1")]}) as replay:
            answer = connector().reread(at(replay), [f"page:{replay.url}/berita/1"], now=NOW)
        assert (answer.posts, answer.missing) == ((), frozenset())


def test_a_page_without_end_tags_is_read_all_the_same():
    with in_turn({"/berita/1": [CUT]}) as replay:
        answer = connector().reread(at(replay), [f"page:{replay.url}/berita/1"], now=NOW)
    assert len(answer.posts) == 1


def test_nothing_is_missing_while_a_site_shows_none_of_the_articles_that_it_lists():
    pages: dict[str, object] = {"/berita": listing("/berita/1", "/berita/2")}
    with site(pages) as replay:
        one = f"page:{replay.url}/berita/1"
        assert connector().reread(at(replay), [one], now=NOW).missing == frozenset()
        pages["/berita/2"] = article()
        assert connector().reread(at(replay), [one], now=NOW).missing == {one}


def test_a_page_of_its_own_that_says_less_is_read_twice():
    whole, less = (html(f"<main><h1>Notis</h1><p>{text}</p></main>") for text in (TEXT, TEXT[:300]))
    with in_turn({"/berita": [whole, less, whole, less, less]}) as replay:
        first = pull(at(replay))
        passing = pull(at(replay), first.cursor)
        lasting = pull(at(replay), passing.cursor)
    assert passing.posts[0].text == first.posts[0].text != lasting.posts[0].text


def test_entries_of_a_feed_are_decided_by_the_feed_as_far_as_it_shows_them():
    with site({"/berita": html("", head=NAMED), "/suapan.xml": FEED}) as replay:
        answer = connector().reread(at(replay), ["a-1", "a-0"], now=NOW)
    assert ([post.native_id for post in answer.posts], answer.missing) == (["a-1"], frozenset())


# ---------------------------------------------------------------- what an article says


def said(body: str, *, head: str = "", guess=None, url: str = f"{SITE}/1"):
    return parse_article(read_page(html(body, head=head), url), guess=guess)


def test_only_what_belongs_to_the_article_is_its_text():
    found = said(
        "<nav>Utama</nav><aside>Lain</aside><article><h1>Tajuk</h1><p>Isi <a href='/fail/jadual.pdf'>jadual</a>.</p>"
        "<img src='/g.jpg' alt='Poster'><div class='share-buttons'>Kongsi</div><p>Hits: 1,234</p><p>Dibaca: 7 kali</p>"
        "</article><footer>Hak cipta</footer>"
    )
    assert found.text == "Tajuk\n\nIsi jadual (https://www.jpd.example.my/fail/jadual.pdf).\nPoster"
    assert {one.kind for one in found.media} == {MediaKind.PICTURE, MediaKind.DOCUMENT}
    assert found.links == ("https://www.jpd.example.my/fail/jadual.pdf",)


def test_a_wrapper_that_merely_names_a_sidebar_is_no_sidebar():
    assert "rahsia" in said("<div class='content has-sidebar'><p>rahsia</p></div><div class='sidebar'>Lain</div>").text


def test_a_page_of_which_all_stands_beside_is_read_as_it_is():
    assert "rahsia" in said("<div class='widget'><p>rahsia</p></div>").text


def test_the_whole_article_in_structured_data_counts_more_than_a_teaser():
    data = json.dumps({"@type": "NewsArticle", "headline": "Tajuk", "articleBody": f"<p>{TEXT}</p>"})
    found = said(
        "<article><h1>Tajuk</h1><p>perkataan0 …</p></article>",
        head=f'<script type="application/ld+json">{data}</script>',
    )
    assert found.text == f"Tajuk\n\n{TEXT}"


DATES = {
    "structured data": (
        "",
        '<script type="application/ld+json">{"@type":"Article","datePublished":"2026-11-20T10:00:00+08:00"}</script>',
    ),
    "Open Graph": ("", '<meta property="article:published_time" content="2026-11-20T10:00:00+08:00">'),
    "microdata": ("", '<meta itemprop="datePublished" content="2026-11-20T10:00:00">'),
    "a time in the article": ("<time datetime='2026-11-20T02:00:00Z'>20 Nov</time>", ""),
}


@pytest.mark.parametrize(("body", "head"), DATES.values(), ids=DATES)
def test_an_article_is_dated_by(body, head):
    assert said(f"<article>{body}<p>isi</p></article>", head=head).published == datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def test_a_page_that_marks_nothing_is_guessed_and_read_whole_without_a_guess():
    menu = "<div class='top'><ul><li><a href='/'>Utama</a></li></ul></div>"
    body = f"{menu}<div id='c'><h1>Notis</h1>{f'<p>{TEXT}.</p>' * 3}</div>"
    guessed, whole = said(body, guess=main_text).text, said(body).text
    assert (TEXT in guessed, "Utama" in guessed) == (True, False)
    assert (TEXT in whole, "Utama" in whole) == (True, True)


def test_a_card_that_is_marked_as_the_article_does_not_stand_for_the_text_beside_it():
    card = "<article><h3><a href='/lain'>Lain</a></h3><p>Baca juga</p></article>"
    body = f"<div id='c'><h1>Notis</h1>{f'<p>{TEXT}.</p>' * 3}</div>{card}"
    assert TEXT in said(body, guess=main_text).text
    short = said("<article><h1>Notis</h1><p>Kaunter ditutup.</p></article><div>Lain</div>", guess=main_text)
    assert short.text.split() == ["Notis", "Kaunter", "ditutup."]


def test_pictures_that_load_late_are_pictures_and_a_missing_address_is_none():
    found = said("<article><p>isi</p><img src='data:image/gif;base64,R0' data-src='/g.jpg'><img alt='x'></article>")
    assert [one.url for one in found.media] == ["https://www.jpd.example.my/g.jpg"]


def test_the_longer_of_what_is_marked_and_what_is_guessed_is_not_cut():
    marked = said(
        f"<article><h1>Tajuk</h1><p>{TEXT}</p><table><tr><td>250731-14-0002</td></tr></table></article>",
        guess=main_text,
    )
    assert "250731-14-0002" in marked.text


def test_a_page_of_endless_nesting_and_tags_that_never_end_is_read_in_a_moment():
    nested = read_page("<article><h2><a href='/berita/1'>t</a>" * 400, SITE)
    assert [one.url for one in listed_on(nested)] == [f"{SITE}/1"]
    unending = "<a href='x" * 5_000
    assert "href" in said(f"<p>rahsia</p>{unending}").text
    assert main_text(read_page("<br>" * 40_001, SITE)) is None


@pytest.mark.parametrize("noise", ["<![", "<![ ", "<![siapa ", "<![if IE]>", "<![CDATA[", "<![" * 3])
def test_a_declaration_that_means_nothing_is_no_failure(noise):
    assert said(f"{noise}<p>perkataan</p><p>rahsia</p>").text.endswith("rahsia")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="<>/= \"'{}[]:,@artice-!\n", max_size=200), st.integers(0, 700))
def test_whatever_a_page_holds_is_an_article_or_one_of_our_errors(noise, place):
    page = article()
    with_noise = read_page(page[:place] + noise + page[place:], SITE)
    assert isinstance(parse_article(with_noise).text, str)
    assert all(one.url.startswith("http") for one in listed_on(with_noise))


def test_a_site_s_profile_is_its_name_and_icon():
    head = (
        '<meta property="og:site_name" content="Jabatan Demo"><meta property="og:image" content="/hari-ini.jpg">'
        '<meta name="description" content="Portal rasmi"><link rel="shortcut icon" href="/ikon.png"><title>Utama</title>'
    )
    with site({"/berita": html("<p>x</p>", head=head)}) as replay:
        profile = connector().resolve(at(replay))
        assert (profile.name, profile.bio, profile.native_id) == (
            "Jabatan Demo",
            "Portal rasmi",
            f"{replay.url}/berita",
        )
        assert profile.picture_url == f"{replay.url}/ikon.png"


CHARSETS = {
    "its header": (
        Answer(body=html("<p>é</p>").encode("latin-1"), headers={"Content-Type": "text/html; charset=latin-1"})
    ),
    "its own word": (
        Answer(
            body=html("<p>é</p>", head='<meta charset="windows-1252">').encode("cp1252"),
            headers={"Content-Type": "text/html"},
        )
    ),
    "no word at all": (Answer(body=html("<p>é</p>").encode(), headers={"Content-Type": "text/html"})),
    "a name that nobody knows": (
        Answer(body=html("<p>é</p>").encode(), headers={"Content-Type": "text/html; charset=x-klingon"})
    ),
    "a name of what is no encoding of pages": (
        Answer(body=html("<p>é</p>").encode(), headers={"Content-Type": "text/html; charset=idna"})
    ),
}


@pytest.mark.parametrize("answer", CHARSETS.values(), ids=CHARSETS)
def test_characters_are_read_by(answer):
    found = decoded(answer.body, answer.headers["Content-Type"].lower())
    assert "<p>é</p>" in found


@pytest.mark.parametrize(("status", "error"), [(404, AccountNotFound), (403, PermissionMissing), (500, Unavailable)])
def test_a_status_says_what_is_wrong(status, error):
    with site({"/berita": Answer(status=status)}) as replay, pytest.raises(error) as refused:
        pull(at(replay))
    assert isinstance(refused.value, ConnectorError)
    assert not refused.value.whole_platform
