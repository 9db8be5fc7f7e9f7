"""Pages of web sites: which articles a page lists, and what an article says. Pure.

What a site says in structured data (JSON-LD, schema.org's microdata, Open Graph) counts first, then HTML's own marks
for an article; only then is the main text guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urldefrag, urlsplit

from connectors.links import absolute
from connectors.markup import Reading, joined, read_html, tidy, unique
from connectors.payload import string
from connectors.tree import Element, read_tree
from connectors.web.sitemap import Entry, moment
from monitor.model import Json, Media, MediaKind

ARTICLES = re.compile(r"(?:.*/)?(?:\w*NewsArticle|Article|BlogPosting|LiveBlogPosting|Report|SpecialAnnouncement)")
WAYS_ABOUT = frozenset({"BreadcrumbList", "SiteNavigationElement", "WPHeader", "WPFooter"})
FEED_TYPES = frozenset({"application/rss+xml", "application/atom+xml", "application/rdf+xml"})
BESIDE_TAGS = frozenset(
    {"script", "style", "noscript", "template", "nav", "aside", "footer", "form", "button", "dialog", "time"}
)
BESIDE_ROLES = frozenset({"navigation", "banner", "contentinfo", "complementary", "search"})
# Whole names only: "has-sidebar" is what stands around the text.
BESIDE_CLASSES = frozenset(
    [
        "breadcrumb",
        "breadcrumbs",
        "comments",
        "comments-area",
        "cookie-notice",
        "menu",
        "navbar",
        "pagination",
        "pager",
        "related",
        "related-posts",
        "share",
        "sharing",
        "share-buttons",
        "sidebar",
        "social-share",
        "widget",
        "widget-area",
    ]
)
# How often a page was seen is no part of what it says, and would look like an edit.
COUNTER = re.compile(
    r"(?i)^\W*(hits?|views?|dilihat|dibaca|tontonan|paparan|kunjungan|(bilangan|jumlah) (paparan|pelawat|kunjungan))"
    r"\W*[\d.,]+\s*(kali|times)?\W*$"
)
MOST_LISTED = 200  # blocks of one page that are looked into: no honest page shows more at a time
BLOCK = 400  # elements of such a block
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5"})
TEASER = 60  # words; what a page marks as its article may be a card beside it
FEWEST_WORDS = 20  # what a page must say to be read for itself: less is a shell, a notice or a form


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPage:
    """A page taken apart once: its tree, and the objects of its structured data."""

    url: str
    source: str
    tree: Element
    objects: tuple[Json, ...]
    cut_short: bool  # it ends in the middle of a tag or of its structured data
    ended: bool  # by its last tag; HTML may leave that out

    def meta(self, *names: str) -> str:
        for name in names:
            for one in self.tree.all("meta"):
                if name in {one.get("property"), one.get("name"), one.get("itemprop")} and one.get("content").strip():
                    return one.get("content").strip()
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    title: str
    text: str
    links: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    published: datetime | None = None
    modified: datetime | None = None
    language: str = ""
    raw: Mapping[str, object] = field(default_factory=dict)
    is_marked: bool = True  # the page says that this is an article: a notice of maintenance is none


def read_page(page: str, url: str) -> WebPage:
    tree = read_tree(page)
    objects, broken = _linked_data(tree)
    ended = re.search(r"</(html|body)\s*>", page[-2000:], re.IGNORECASE) is not None
    in_a_tag = re.search(r"<[^<>]*$", page[-2000:]) is not None
    cut_short = not ended and (broken or in_a_tag)
    return WebPage(url=url, source=page, tree=tree, objects=objects, cut_short=cut_short, ended=ended)


# ---------------------------------------------------------------- structured data


def _linked_data(tree: Element) -> tuple[tuple[Json, ...], bool]:
    """Return every object of the page's JSON-LD, inner ones as well, and whether a script of it was broken."""
    objects: list[Json] = []
    broken = False
    for script in tree.all("script"):
        if script.get("type").lower() == "application/ld+json":
            try:
                objects += _inner_objects(json.loads(script.text))
            except (ValueError, RecursionError):
                broken = True
    return tuple(objects), broken


def _inner_objects(value: Any) -> Iterator[Json]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, Mapping) and not set(_types(one)) & WAYS_ABOUT:
            yield one
            waiting += reversed([part for part in one.values() if isinstance(part, Mapping | list)])


def _types(item: Json) -> list[str]:
    kinds = item.get("@type")
    return [str(kind).rpartition("/")[2] for kind in (kinds if isinstance(kinds, list) else [kinds])]


def _is_article(item: Json) -> bool:
    return any(ARTICLES.fullmatch(kind) for kind in _types(item))


def _address(item: Json, base: str) -> str:
    whole = item.get("mainEntityOfPage")
    known = [item.get("url"), whole.get("@id") if isinstance(whole, Mapping) else whole, item.get("@id")]
    return next((url for one in known if isinstance(one, str) and (url := page_address(base, one))), "")


def page_address(base: str, link: str) -> str:
    """Return a page's address without the place on it; empty when it is none of the web."""
    return urldefrag(absolute(base, link)).url


# ---------------------------------------------------------------- what a page lists


def feeds_of(page: WebPage) -> tuple[str, ...]:
    """Return the feeds that a page names, in its order, without those of comments."""
    links = [link for link in page.tree.all("link") if "alternate" in link.get("rel").lower().split()]
    feeds = [link for link in links if link.get("type").lower().partition(";")[0].strip() in FEED_TYPES]
    wanted = (
        link
        for link in feeds
        if not re.search(r"comment|komen", f"{link.get('title')} {link.get('href')}", re.IGNORECASE)
    )
    return unique(filter(None, (absolute(page.url, link.get("href")) for link in wanted)))


def sitemaps_of(page: WebPage) -> tuple[tuple[str, bool], ...]:
    """Return where the site's sitemap is, and whether the page says so or it is only the usual place."""
    named = (absolute(page.url, link.get("href")) for link in page.tree.all("link") if link.get("rel") == "sitemap")
    return (*((url, True) for url in unique(filter(None, named))), (absolute(page.url, "/sitemap.xml"), False))


def has_list(page: WebPage) -> bool:
    """Say whether a page states a list of its own, be it an empty one."""
    return any("ItemList" in _types(item) for item in page.objects)


def listed_on(page: WebPage) -> tuple[Entry, ...]:
    """Return the articles of the same site that a page lists, in its order; none for a page that is itself one."""
    found: dict[str, Entry] = {}
    for entry in [*_in_linked_data(page), *_in_microdata(page), *_in_articles(page)]:
        if entry.url != page_address(page.url, page.url) and same_site(entry.url, page.url):
            known = found.get(entry.url)
            if known is None or (known.published is None and entry.published is not None):
                found[entry.url] = entry
    return tuple(found.values())


def same_site(url: str, other: str) -> bool:
    return _host(url) == _host(other) != ""


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def _in_linked_data(page: WebPage) -> Iterator[Entry]:
    for item in page.objects:
        if _is_article(item):
            yield _entry(item, _address(item, page.url))
        elif "ItemList" in _types(item):
            listed = item.get("itemListElement")
            for one in listed if isinstance(listed, list) else []:
                yield from _list_item(one, page.url)


def _list_item(one: object, base: str) -> Iterator[Entry]:
    if isinstance(one, str):
        yield Entry(url=page_address(base, one))
    elif isinstance(one, Mapping):
        inner = one.get("item")
        item = inner if isinstance(inner, Mapping) else one
        url = page_address(base, inner) if isinstance(inner, str) else _address(item, base) or _address(one, base)
        yield _entry(item, url)


def _entry(item: Json, url: str) -> Entry:
    return Entry(url=url, published=_stated(item, "datePublished"), modified=_stated(item, "dateModified"))


def _stated(item: Json, key: str) -> datetime | None:
    value = item.get(key)
    return moment(value) if isinstance(value, str) else None


def _in_microdata(page: WebPage) -> Iterator[Entry]:
    marked = (one for one in page.tree.all(having="itemtype") if ARTICLES.fullmatch(one.get("itemtype")))
    for one in islice(marked, MOST_LISTED):
        yield from _linked_from(one, page.url)


def _in_articles(page: WebPage) -> Iterator[Entry]:
    marked = list(islice(page.tree.all("article"), MOST_LISTED))
    for one in marked if len(marked) > 1 else []:
        yield from _linked_from(one, page.url)


def _linked_from(block: Element, base: str) -> Iterator[Entry]:
    """Yield where the heading of a block leads, with the block's date."""
    inside = list(islice(block.walk(), BLOCK))
    headings = (one for one in inside if one.tag in HEADINGS or "headline" in one.get("itemprop"))
    named = (one for one in inside if one.tag == "a" and one.get("itemprop") == "url")
    in_headings = (one for heading in headings for one in islice(heading.walk(), 20) if one.tag == "a")
    first = next((url for link in (*named, *in_headings) if (url := _led_to(base, link))), "")
    if first:
        times = (moment(one.get("datetime")) for one in inside if one.tag == "time")
        yield Entry(url=first, published=next(filter(None, times), None))


def _led_to(base: str, link: Element) -> str:
    return page_address(base, link.get("href")) if link.get("href") else ""


def _time_in(block: Element) -> datetime | None:
    return next(filter(None, (moment(one.get("datetime")) for one in block.all("time", having="datetime"))), None)


# ---------------------------------------------------------------- what an article says


def parse_article(page: WebPage, *, guess: Any = None) -> Article:
    """Return what a page says. `guess` finds the main text of a page that marks none, or returns None."""
    told = next((item for item in page.objects if _is_article(item)), {})
    main, is_marked = main_of(page.tree)
    kept = main.without(_is_beside)
    reading = read_html(kept.markup, base=page.url)
    if not reading.text:  # what usually stands beside the text is all that there is
        reading = read_html(main.markup, base=page.url)
    is_sure = is_marked and len(reading.text.split()) >= TEASER
    body = _body(told, reading, None if is_sure or guess is None else guess(page), is_marked=is_marked)
    title = tidy(
        string(told, "headline") or page.meta("og:title") or _heading(main) or _heading(page.tree) or _title(page.tree)
    )
    return Article(
        title=title,
        text=joined([title, _without_counters(body)]),
        links=reading.links,
        media=reading.media or _shared_picture(page),
        published=_stated(told, "datePublished")
        or moment(page.meta("article:published_time", "datePublished"))
        or _own_time(main),
        modified=_stated(told, "dateModified") or moment(page.meta("article:modified_time", "dateModified")),
        language=next((one.get("lang") for one in page.tree.all("html")), "").partition("-")[0].lower(),
        raw={"url": page.url, "title": title, "html": kept.markup[:100_000], "data": dict(told) if told else {}},
        is_marked=bool(told) or is_marked or page.meta("og:type") == "article",
    )


def says_too_little(article: Article) -> bool:
    return len(article.text.split()) < FEWEST_WORDS


def asks_to_sign_in(page: WebPage) -> bool:
    return any(one.get("type").lower() == "password" for one in page.tree.all("input"))


def main_of(tree: Element) -> tuple[Element, bool]:
    """Return what holds the article, and whether the page itself marks it as that."""
    for marked in (
        [one for one in tree.all(having="itemprop") if "articleBody" in one.get("itemprop").split()],
        list(tree.all("article")),
    ):
        if len(marked) == 1:
            return marked[0], True
    for held in (tree.all("main"), (one for one in tree.walk() if one.get("role") == "main"), tree.all("body")):
        if (found := next(iter(held), None)) is not None:
            return found, False
    return tree, False


def _is_beside(one: Element) -> bool:
    names = {name.lower() for name in (*one.classes, one.get("id"))}
    return (
        one.tag in BESIDE_TAGS
        or one.get("role") in BESIDE_ROLES
        or (one.tag == "header" and one.first("nav") is not None)
        or one.get("aria-hidden") == "true"
        or "hidden" in one.attributes
        or not BESIDE_CLASSES.isdisjoint(names)
    )


def _body(told: Json, reading: Reading, guessed: str | None, *, is_marked: bool) -> str:
    """Return the longest honest text: structured data may hold a summary only, and a mark stand on a card beside it."""
    said = string(told, "articleBody")
    said = read_html(said, base="").text if "<" in said else tidy(said)
    seen = reading.text
    if guessed and (not is_marked or len(guessed) > 3 * len(seen)):
        seen = guessed
    return said if len(said) > len(seen) else seen


def _without_counters(text: str) -> str:
    return tidy("\n".join(line for line in text.split("\n") if not COUNTER.match(line)))


def _heading(block: Element) -> str:
    found = block.first("h1") or block.first("h2")
    return read_html(found.markup, base="").text if found is not None else ""


def _title(tree: Element) -> str:
    found = tree.first("title")
    return tidy(found.text) if found is not None else ""


def _own_time(main: Element) -> datetime | None:
    marked = [
        one
        for one in main.all("time", having="datetime")
        if "datePublished" in one.get("itemprop") or "pubdate" in one.attributes
    ]
    stated = next(filter(None, (moment(one.get("datetime")) for one in marked)), None)
    return stated or _time_in(main)


def _shared_picture(page: WebPage) -> tuple[Media, ...]:
    address = absolute(page.url, page.meta("og:image"))
    return (Media(kind=MediaKind.PICTURE, url=address, text=page.meta("og:image:alt")),) if address else ()


def site_of(page: WebPage) -> tuple[str, str, str]:
    """Return a site's name, what it says of itself, and its icon: a picture of the day would look like a change."""
    name = page.meta("og:site_name") or _title(page.tree) or page.meta("og:title")
    icons = [link for link in page.tree.all("link") if "icon" in link.get("rel").lower()]
    icon = next(filter(None, (absolute(page.url, link.get("href")) for link in icons)), "")
    return name, page.meta("description", "og:description"), icon


def newest_first(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries by date, those without one in the order of the page before all others."""
    return sorted(entries, key=lambda one: -_age(one))


def _age(one: Entry) -> float:
    at = one.modified or one.published
    return at.timestamp() if at else float("inf")
