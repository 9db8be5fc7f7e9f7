"""The connector of web sites, and its settings."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests

from connectors import configured, http
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Bounds,
    Capabilities,
    ConnectorError,
    Cursor,
    Page,
    PermissionMissing,
    Reread,
    SchemaDrift,
    Unavailable,
)
from connectors.rss import Feed, conditions, name_of, parse_feed, validators
from connectors.seen import remembered, window_page
from connectors.web.answers import Answer, Way, is_feed, is_page, main_text
from connectors.web.articles import (
    Article,
    WebPage,
    asks_to_sign_in,
    feeds_of,
    has_list,
    listed_on,
    newest_first,
    parse_article,
    same_site,
    says_too_little,
    site_of,
    sitemaps_of,
)
from connectors.web.posts import PAGE, file_of, post_of
from connectors.web.reading_list import Known, Wanted, as_time, below, burst, known_of, queue
from connectors.web.sitemap import Entry, is_sitemap, parse_sitemap
from monitor.model import Account, Post, Profile
from monitor.settings import Network

ACCEPT = (
    "text/html, application/xhtml+xml, application/atom+xml;q=0.9, application/rss+xml;q=0.9, application/xml;q=0.8"
)
PAGES_A_LOOK = 20  # articles that one pull, or one look again, reads
NEIGHBOURS = 3  # articles that are tried before a site is taken to be half away
SITEMAPS_A_LOOK = 3  # further sitemaps of an index, the newest
TRIES = 10  # of an article that is listed, but not there; the last comes a day after the first
REMEMBERED = 1000  # articles that a cursor remembers beside those that are listed now
INSTALL = "pip install 'pantau[web]'"
GONE = (AccountNotFound, PermissionMissing, SchemaDrift)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Pages need no setting: the register's url says everything."""

    def problems(self) -> configured.Problems:
        return []


class WebConnector:
    """Reads web sites. Thread-safe: the session, and which feed a site has, are shared."""

    platform: ClassVar[str] = "web"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=True)
    Settings: ClassVar[type[WebSettings]] = WebSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing but the page's address in the url column of the register; where you know the site's feed, register "
        "that as rss. Pages that do not mark their text are read better with pantau[web]."
    )

    def __init__(self, settings: WebSettings, network: Network, bounds: Bounds = BOUNDS) -> None:
        self._settings = settings
        self._bounds = bounds
        self._feeds: dict[str, str] = {}  # by account's url: the feed that its page names
        self._guess = main_text if importlib.util.find_spec("trafilatura") else None
        self._session = http.open_session(network=network)

    def resolve(self, account: Account) -> Profile:
        """Return the site's name and icon. Raises ConnectorError."""
        now, what = datetime.now(UTC), name_of(account)
        answer = self._get(account.url, {}, what, now)
        if is_feed(answer.body):
            profile = self._parsed(answer, account, None, now).profile
            return replace(profile, native_id=account.url, handle=account.handle)
        name, bio, picture = site_of(self._page(answer, what))
        host = urlsplit(account.url).hostname or ""
        return Profile(native_id=account.url, name=name or host, handle=account.handle, bio=bio, picture_url=picture)

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield the one page of what is new; what is left to read waits in its cursor. Raises ConnectorError."""
        start = cursor if cursor and cursor.get("v") == 1 and cursor.get("url") == account.url else None
        way = self._way(account, start, now)
        if way.kind == "feed":
            yield self._feed_page(account, way, start, now)
        elif way.kind == "page":
            yield self._own_page(account, way, start, now)
        else:
            yield self._article_page(account, way, start, now)

    def reread(self, account: Account, native_ids: Sequence[str], *, now: datetime) -> Reread:
        """Read known articles again, `PAGES_A_LOOK` of them: 404 and 410 are missing, 401 and 403 hidden.

        An entry of a feed is decided by the feed as far as it still shows it. While the site shows none of the articles
        that it lists nothing is missing. Raises ConnectorError.
        """
        posts: dict[str, Post] = {}
        refused: dict[str, ConnectorError] = {}
        pages = [one for one in dict.fromkeys(native_ids) if one.startswith(PAGE)]
        for one in pages[:PAGES_A_LOOK]:
            wanted = Wanted(url=one.removeprefix(PAGE))
            try:
                posts[one] = post_of(self._article(account, wanted, now), wanted, now, sight=None, is_known=True)
            except ConnectorError as error:
                refused[one] = error
        missing = frozenset(one for one, error in refused.items() if type(error) is AccountNotFound)
        hidden = frozenset(one for one, error in refused.items() if isinstance(error, PermissionMissing))
        if missing and not posts and not self._shows_articles(account, missing, now):
            missing = frozenset()
        posts |= self._entries_again(account, [one for one in native_ids if not one.startswith(PAGE)], now)
        left = frozenset(pages[PAGES_A_LOOK:])
        return Reread(posts=tuple(posts.values()), missing=missing, hidden=hidden, left=left)

    def check(self) -> str:
        found = "is there" if self._guess else f"is not installed ({INSTALL})"
        return f"web: pages need no credential; trafilatura, for pages that do not mark their text, {found}"

    # How the site is read.

    def _way(self, account: Account, start: Cursor | None, now: datetime) -> Way:
        """Return the way with its answer: the one that was found before, else the first that there is."""
        kind, url = str((start or {}).get("way", "")), str((start or {}).get("list", ""))
        if not start or kind == "page":
            return self._find(account, start or {}, now)
        try:
            answer = self._get(url, _asked(start, now), name_of(account), now)
            if kind == "feed" and not answer.unchanged and not is_feed(answer.body):
                raise SchemaDrift(f"{name_of(account)}: what was the site's feed is none any more")
        except (AccountNotFound, SchemaDrift):
            if url == account.url:
                raise
            return self._find(account, {}, now)
        return Way(kind=kind, url=url, answer=answer)

    def _find(self, account: Account, start: Cursor, now: datetime) -> Way:
        what = name_of(account)
        answer = self._get(account.url, _asked(start, now), what, now)
        if answer.unchanged:
            return Way(kind="page", url=account.url, answer=answer)
        if is_feed(answer.body):
            return Way(kind="feed", url=account.url, answer=answer)
        if is_sitemap(answer.body):
            return Way(kind="sitemap", url=account.url, answer=answer)
        page = self._page(answer, what)
        found = self._by_feed(account, page, now)
        if found is None and (has_list(page) or listed_on(page)):
            found = Way(kind="list", url=account.url, answer=answer)
        return found or self._by_sitemap(account, page, now) or self._by_itself(answer, page, what)

    def _by_feed(self, account: Account, page: WebPage, now: datetime) -> Way | None:
        for url in feeds_of(page)[:2]:
            try:
                answer = self._get(url, {}, name_of(account), now)
                self._parsed(answer, account, None, now)
            except GONE:  # the page names a feed that is not there; anything else passes by itself
                continue
            return Way(kind="feed", url=url, answer=answer)
        return None

    def _by_sitemap(self, account: Account, page: WebPage, now: datetime) -> Way | None:
        for url, is_named in sitemaps_of(page)[:2]:
            try:
                answer = self._get(url, {}, name_of(account), now)
                listed = self._in_sitemap(account, answer, now)
            except ConnectorError:  # a guess; the page itself is looked at again at each look
                continue
            if listed or is_named:
                return Way(kind="sitemap", url=url, answer=answer)
        return None

    def _by_itself(self, answer: Answer, page: WebPage, what: str) -> Way:
        if asks_to_sign_in(page):
            raise SchemaDrift(f"{what}: the page asks to sign in; correct the url column")
        if says_too_little(parse_article(page, guess=self._guess)):
            message = "the page shows neither feed, list of articles nor text; it may need a browser"
            raise SchemaDrift(f"{what}: {message}, or the url column is wrong")
        return Way(kind="page", url=answer.url, answer=answer)

    # What the ways bring.

    def _feed_page(self, account: Account, way: Way, start: Cursor | None, now: datetime) -> Page:
        self._feeds[account.url] = way.url
        if way.answer.unchanged:
            return Page(posts=(), cursor=start or {}, last=True)
        own = start if start and start.get("way") == "feed" else None
        feed, extra = self._parsed(way.answer, account, own, now), {**_extra(account, way, now), "way": "feed"}
        return window_page(remembered(own), feed.posts, now=now, undated=feed.undated, extra=extra)

    def _own_page(self, account: Account, way: Way, start: Cursor | None, now: datetime) -> Page:
        if way.answer.unchanged:
            return Page(posts=(), cursor=start or {}, last=True)
        known, wanted = known_of(start), Wanted(url=account.url)
        sight = as_time(known.first_sights.get(wanted.mark, ""))
        article = self._own_article(account, way, known_length=(start or {}).get("length", 0), now=now)
        post = post_of(article, wanted, now, sight=sight, is_known=sight is not None)
        first = {wanted.mark: (sight or post.published_at).isoformat()}
        cursor = {
            "v": 1,
            **_extra(account, way, now),
            "way": "page",
            "first_sights": first,
            "length": len(article.text),
        }
        return Page(posts=(post,), cursor=cursor, last=True)

    def _own_article(self, account: Account, way: Way, *, known_length: int, now: datetime) -> Article:
        """Return what the page itself says; one that says less than before, or has no end, is looked at twice.

        Raises ConnectorError.
        """
        page = way.answer.page
        article = parse_article(page, guess=self._guess)
        if page.ended and len(article.text) >= known_length:
            return article
        again = self._page(self._get(way.url, {}, name_of(account), now), name_of(account))
        second = parse_article(again, guess=self._guess)
        if second.text != article.text and not (again.ended and len(second.text) >= known_length):
            raise Unavailable(f"{name_of(account)}: the page shows something else at each look")
        return second

    def _article_page(self, account: Account, way: Way, start: Cursor | None, now: datetime) -> Page:
        known = known_of(start)
        listed = () if way.answer.unchanged else self._listed(account, way, now)
        wanted, later = queue(known, listed, now)
        read = dict(known.read)
        if not known.read and not known.waiting:  # a first look: how much of the past is read is a choice
            read |= {one.mark: one.modified for one in wanted[self._bounds.back_catalogue :]}
            wanted = wanted[: self._bounds.back_catalogue]
        posts, done, again = self._articles(account, wanted[:PAGES_A_LOOK], known, now)
        read |= {one.mark: one.modified for one in done}
        shown = {Wanted(url=one.url).mark for one in listed}
        sights = {post.native_id: post.published_at.isoformat() for post in posts}
        times = [min(post.published_at, now).isoformat() for post in posts]
        cursor = {
            "v": 1,
            **(_extra(account, way, now) if not way.answer.unchanged else dict(start or {})),
            "way": way.kind,
            "read": _recent(read, shown | {one.mark for one in done}),
            "waiting": [one.as_json for one in [*wanted[PAGES_A_LOOK:], *again, *later][:REMEMBERED]],
            "first_sights": {
                **known.first_sights,
                **{
                    one.mark: at
                    for one in done
                    if (at := sights.get(PAGE + one.url)) and one.mark not in known.first_sights
                },
            },
            "fullest": max(known.fullest, len(listed)),
            "newest": max([known.newest, *times]),
        }
        cursor["first_sights"] = _recent(cursor["first_sights"], shown)
        return Page(posts=tuple(posts), cursor=cursor, last=True, gap=burst(known, listed, posts))

    def _articles(
        self, account: Account, wanted: Sequence[Wanted], known: Known, now: datetime
    ) -> tuple[list[Post], list[Wanted], list[Wanted]]:
        """Return the articles that could be read, those that are done with, and those to ask for again.

        Raises ConnectorError when none could be read for a reason that passes by itself.
        """
        posts: list[Post] = []
        done: list[Wanted] = []
        again: list[Wanted] = []
        passing: list[ConnectorError] = []
        for one in wanted:
            sight = as_time(known.first_sights.get(one.mark, ""))
            try:
                article = self._article(account, one, now)
            except GONE:
                (done if one.tries + 1 >= TRIES else again).append(one.tried(now))
            except ConnectorError as error:
                passing.append(error)
                again.append(replace(one, tries=one.tries + 1))
            else:
                done.append(one)
                posts.append(post_of(article, one, now, sight=sight, is_known=one.mark in known.read))
        if passing and not posts:
            raise passing[0]
        return posts, done, again

    def _shows_articles(self, account: Account, missing: frozenset[str], now: datetime) -> bool:
        """Say whether the site shows an article that it lists, or lists none: one that is half away shows only lists.

        Raises ConnectorError where not even the site itself is there.
        """
        way = self._find(account, {}, now)
        listed = self._listed(account, way, now) if way.kind in {"list", "sitemap"} else ()
        others = [one for one in newest_first(listed) if PAGE + one.url not in missing][:NEIGHBOURS]
        for one in others:
            try:
                self._article(account, Wanted(url=one.url), now)
            except ConnectorError:
                continue
            return True
        return not others

    def _article(self, account: Account, wanted: Wanted, now: datetime) -> Article:
        """Return what an article's page says; what may be a passing fault is believed when a second look finds it too.

        Raises ConnectorError.
        """
        first: Article | None = None
        try:
            first, is_sure = self._look(account, wanted, now)
            if is_sure:
                return first
        except AccountNotFound:
            pass
        differs = Unavailable(f"{name_of(account)}: an article shows something else at each look")
        try:
            second, is_sure = self._look(account, wanted, now)
        except AccountNotFound:
            if first is None:
                raise
            raise differs from None
        if not is_sure and (first is None or second.text != first.text):
            raise differs
        return second

    def _look(self, account: Account, wanted: Wanted, now: datetime) -> tuple[Article, bool]:
        """Read an article's page, and say whether it is whole and an article beyond doubt."""
        what = f"{name_of(account)}: an article"
        answer = self._get(wanted.url, {}, what, now)
        if not same_site(answer.url, wanted.url) or _is_front(answer.url, wanted.url):
            raise SchemaDrift(f"{what}: leads to the front page, or to another site")
        kind = answer.kind.partition(";")[0].strip()
        if not ("html" in kind or is_page(answer.body)) and (file := file_of(wanted, kind)) is not None:
            return file, True
        page = self._page(answer, what)
        article = parse_article(page, guess=self._guess)
        if not article.text or asks_to_sign_in(page):
            raise SchemaDrift(f"{what}: shows no text")
        return article, page.ended and (article.is_marked or not says_too_little(article))

    def _entries_again(self, account: Account, ids: Sequence[str], now: datetime) -> dict[str, Post]:
        if not ids:
            return {}
        url = self._feeds.get(account.url)
        way = (
            Way(kind="feed", url=url, answer=self._get(url, {}, name_of(account), now))
            if url
            else self._find(account, {}, now)
        )
        shown = self._parsed(way.answer, account, None, now).posts if way.kind == "feed" else ()
        return {post.native_id: post for post in shown if post.native_id in ids}

    def _listed(self, account: Account, way: Way, now: datetime) -> tuple[Entry, ...]:
        what = name_of(account)
        if way.kind == "sitemap":
            return self._in_sitemap(account, way.answer, now)
        page = self._page(way.answer, what)
        listed = listed_on(page)
        if not listed and not has_list(page):
            raise SchemaDrift(f"{what}: the page lists no articles any more")
        return listed

    def _in_sitemap(self, account: Account, answer: Answer, now: datetime) -> tuple[Entry, ...]:
        what = name_of(account)
        top = parse_sitemap(answer.body, url=answer.url, what=what)
        entries = list(top.entries)
        for url in top.further[:SITEMAPS_A_LOOK]:
            more = self._get(url, {}, what, now)
            entries += parse_sitemap(more.body, url=more.url, what=what).entries
        return below(account.url, entries)

    def _parsed(self, answer: Answer, account: Account, start: Cursor | None, now: datetime) -> Feed:
        what, seen = name_of(account), remembered(start)
        return parse_feed(answer.body, headers=answer.headers, url=answer.url, what=what, seen=seen, now=now)

    def _page(self, answer: Answer, what: str) -> WebPage:
        if b"<" not in answer.body[:4000]:
            raise SchemaDrift(f"{what}: the answer is no page ({answer.kind[:60] or 'no content type'})")
        page = answer.page
        if page.cut_short:
            raise Unavailable(f"{what}: the page was cut short")
        return page

    def _get(self, url: str, asked: Mapping[str, str], what: str, now: datetime) -> Answer:
        if not url:
            raise AccountNotFound(f"{what}: has no address; write the page's address into the url column")
        try:
            response = self._session.get(url, headers={"Accept": ACCEPT, **asked})
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        except (UnicodeError, ValueError):
            raise AccountNotFound(f"{what}: the url column holds no valid address; correct it") from None
        refused = http.refusal(response, what=what, now=now)
        if refused is not None:
            raise refused
        if response.status_code == requests.codes.not_modified and not asked:
            raise Unavailable(f"{what}: the site says that nothing has changed, but was not asked that")
        return Answer(
            url=response.url,
            body=response.content,
            kind=response.headers.get("Content-Type", "").lower(),
            headers=response.headers,
            unchanged=response.status_code == requests.codes.not_modified,
        )


def _is_front(url: str, wanted: str) -> bool:
    """Say whether an address led to the front page: sites do that with what they removed, and while they are away."""
    return urlsplit(url).path in {"", "/"} and urlsplit(wanted).path not in {"", "/"}


def _asked(start: Cursor, now: datetime) -> dict[str, str]:
    """Return the headers that ask only for what has changed at the address that is read."""
    url = str(start.get("list", ""))
    return conditions({**start, "url": url}, url, now) if url else {}


def _extra(account: Account, way: Way, now: datetime) -> dict[str, Any]:
    return {**validators(way.answer.headers), "whole_at": now.isoformat(), "url": account.url, "list": way.url}


def _recent(table: Mapping[str, str], shown: set[str]) -> dict[str, str]:
    """Return the newest of what is remembered; what is on the list now is never forgotten."""
    old = [key for key in table if key not in shown][-REMEMBERED:]
    kept = {*old, *shown}
    return {key: value for key, value in table.items() if key in kept}
