"""RSS 0.9x, 1.0, 2.0 and Atom: what an agency's web site announces. The register's url is what is read.

Read with conditional requests: an unchanged feed answers 304 and costs nothing. feedparser gets bytes and never fetches
anything itself. A feed shows one window of recent entries; there is no way to read an old entry again.
"""

from __future__ import annotations

import calendar
import hashlib
import io
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit
from xml.sax import SAXException
from xml.sax.handler import ContentHandler

import feedparser
import requests
from defusedxml import sax
from defusedxml.common import DefusedXmlException

from connectors import configured, http
from connectors.base import (
    BOUNDS,
    AccountNotFound,
    Bounds,
    Capabilities,
    Cursor,
    Page,
    Reread,
    SchemaDrift,
    Unavailable,
)
from connectors.links import absolute
from connectors.markup import Reading, joined, media_of, read_html, tidy, unique
from connectors.seen import Seen, remembered, window_page
from monitor.model import Account, Media, Post, Profile
from monitor.settings import Network

# Always Python's own parser; feedparser would look for another wherever modules may lie, for each feed anew.
feedparser.api.PREFERRED_XML_PARSERS = []

ACCEPT = "application/atom+xml, application/rss+xml, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.8"
ROOT_ENDS = re.compile(rb"</\s*([\w.-]+:)?(rss|feed|rdf)\s*(>|$)", re.IGNORECASE)
CHANNEL_ENDS = re.compile(rb"</\s*channel\s*>\s*$", re.IGNORECASE)
COMMENT, FIRST_ELEMENT = re.compile(rb"<!--.*?-->", re.DOTALL), re.compile(rb"<([A-Za-z][\w:.-]*)")
LONGEST_HEAD = 4000
# References into the range of half characters, and of what lies just before and behind it.
HALVES = re.compile(rb"(?:&#(?:x0{0,4}[de][0-9a-f]{3}|0{0,4}5[5-7]\d{3});)+", re.IGNORECASE)
SETTLED = timedelta(minutes=1)
WHOLE_EACH = timedelta(days=1)
NEVER = "0001-01-01T00:00:00+00:00"
LONGEST_TAG = 500  # characters; one that is cut would match nothing
# What feedparser is known to raise for feeds that are not well-formed.
TRIPS = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
# An entity that stands for a few characters and for no other entity; some feeds declare those of HTML.
SMALL_ENTITY = re.compile(
    rb"<!ENTITY\s+[\w.-]{1,40}\s+(\"(&#\w{1,8};|[^\"&%<]{0,40})\"|'(&#\w{1,8};|[^'&%<]{0,40})')\s*>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RssSettings:
    """Feeds need no setting: the register's url says everything."""

    def problems(self) -> configured.Problems:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A parsed feed. `undated` are the ids of entries without a date of their own."""

    profile: Profile
    posts: tuple[Post, ...]
    undated: frozenset[str] = frozenset()


class RssConnector:
    """Reads feeds. Thread-safe: only the session is shared."""

    platform: ClassVar[str] = "rss"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=False)
    Settings: ClassVar[type[RssSettings]] = RssSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = "Nothing but the feed's address in the url column of the register."

    def __init__(
        self,
        settings: RssSettings,
        network: Network,
        bounds: Bounds = BOUNDS,  # noqa: ARG002 (a feed shows what it shows, and is read whole)
    ) -> None:
        self._settings = settings
        self._session = http.open_session(network=network)

    def resolve(self, account: Account) -> Profile:
        """Return the feed's title and picture. Raises ConnectorError."""
        now = datetime.now(UTC)
        response = self._get(account, {}, now)
        return _parsed(response, account, remembered(None), now).profile

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield the one page a feed has; an unchanged feed is an empty one. Raises ConnectorError."""
        start = dict(cursor or {})
        asked = conditions(start, account.url, now)
        response = self._get(account, asked, now)
        if response.status_code == requests.codes.not_modified:
            if not asked:
                raise Unavailable(f"{name_of(account)}: the site says that nothing has changed, but was not asked that")
            yield Page(posts=(), cursor=start, last=True)
            return
        seen = remembered(cursor)
        feed = _parsed(response, account, seen, now)
        extra = {**validators(response.headers), "whole_at": now.isoformat(), "url": account.url}
        yield window_page(seen, feed.posts, now=now, undated=feed.undated, extra=extra)

    def reread(self, *_: object, **__: object) -> Reread:
        """A feed has no way to ask for an entry: nothing is decided."""
        return Reread()

    def check(self) -> str:
        return "rss: feeds need no credential"

    def _get(self, account: Account, headers: Mapping[str, str], now: datetime) -> requests.Response:
        what = name_of(account)
        if not account.url:
            raise AccountNotFound(f"{what}: has no address; write the feed's address into the url column")
        try:
            response = self._session.get(account.url, headers={"Accept": ACCEPT, **headers})
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        except (UnicodeError, ValueError):
            raise AccountNotFound(f"{what}: the url column holds no valid address; correct it") from None
        refused = http.refusal(response, what=what, now=now)
        if refused is not None:
            raise refused
        return response


def name_of(account: Account) -> str:
    """Name an account without its address: a feed's address can hold a password."""
    if account.handle:
        return account.label
    try:
        return f"{account.platform}/{urlsplit(account.url).hostname or ''}"
    except ValueError:
        return account.platform


def validators(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what tells later whether a feed has changed, as it was served: a weak tag (W/"…") is one word with its W/.

    A Last-Modified just before the answer's own Date tells nothing: what is added in the same second bears the same
    time, and would never be served (RFC 9110, 8.8.2.2).
    """
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    try:
        settled = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(modified) >= SETTLED
    except (ValueError, TypeError, OverflowError):
        settled = False
    return {"etag": etag if len(etag) <= LONGEST_TAG else "", "modified": modified[:100] if settled else ""}


def conditions(cursor: Mapping[str, Any], url: str, now: datetime) -> dict[str, str]:
    """Return the headers that ask only for what has changed since `cursor`.

    Once a day everything is asked for: a site, or a cache before it, may say for ever that nothing has changed.
    """
    if cursor.get("v") != 1 or cursor.get("url") != url:
        return {}
    if abs(now - datetime.fromisoformat(cursor.get("whole_at", NEVER))) >= WHOLE_EACH:
        return {}
    given = {"If-None-Match": cursor.get("etag"), "If-Modified-Since": cursor.get("modified")}
    return {name: value for name, value in given.items() if value}


def _parsed(response: requests.Response, account: Account, seen: Seen, now: datetime) -> Feed:
    feed = parse_feed(
        response.content, headers=response.headers, url=response.url, what=name_of(account), seen=seen, now=now
    )
    return replace(feed, profile=replace(feed.profile, native_id=account.url, handle=account.handle))


def parse_feed(body: bytes, *, headers: Mapping[str, str], url: str, what: str, seen: Seen, now: datetime) -> Feed:
    """Map a feed. Raises SchemaDrift when it is none, Unavailable when it was cut short."""
    refuse_entities(body, what=what)
    kind = headers.get("Content-Type", "")
    told = {"content-type": kind} if kind else {}
    # Not told where the feed lies: an id stays as it is written, and the same when the feed moves.
    given = io.BytesIO(whole_characters(body))
    try:
        found = feedparser.parse(given, response_headers=told, resolve_relative_uris=False, sanitize_html=False)
    except TRIPS as error:
        name = type(error).__name__
        raise SchemaDrift(f"{what}: feedparser trips over this feed ({name}); have the site validate it") from None
    is_bare = not found.get("version") and bool(found.entries) and is_bare_channel(body)
    if not found.get("version") and not is_bare:
        raise SchemaDrift(f"{what}: the answer is no feed ({kind[:60] or 'no content type'}); correct the url column")
    if found.get("bozo") and not (CHANNEL_ENDS if is_bare else ROOT_ENDS).search(body[-4000:].replace(b"\0", b"")):
        raise Unavailable(f"{what}: the feed was cut short")
    profile = Profile(
        native_id=url,
        name=_text(found.feed.get("title")),
        handle="",
        bio=_text(found.feed.get("subtitle")),
        picture_url=absolute(url, _picture(found.feed)),
    )
    of_several = _of_several(found.entries, str(found.feed.get("link") or ""))
    posts = [_post(entry, url, of_several, seen, now) for entry in found.entries]
    latest = {post.native_id: post for post, _ in reversed(posts)}  # of an id that stands twice the upper one counts
    undated = frozenset(post.native_id for post, dated in posts if not dated)
    return Feed(profile=profile, posts=tuple(latest.values())[::-1], undated=undated)


def is_bare_channel(body: bytes) -> bool:
    """Say whether a document is a channel by itself: an older kind of feed (CDF), or RSS without its root."""
    first = FIRST_ELEMENT.search(COMMENT.sub(b"", body[:LONGEST_HEAD]))
    return first is not None and first[1].lower() == b"channel"


def whole_characters(body: bytes) -> bytes:
    """Return a feed whose references to characters are all of characters: some sites write an emoji as two halves."""
    return HALVES.sub(_joined_halves, body)


def _joined_halves(found: re.Match[bytes]) -> bytes:
    numbers = (int(one[1:], 16) if one[:1] in b"xX" else int(one) for one in re.findall(rb"&#(\w+);", found[0]))
    text = "".join(map(chr, numbers)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.encode("ascii", "xmlcharrefreplace")


def refuse_entities(body: bytes, *, what: str) -> None:
    """Raise SchemaDrift for XML that declares entities, which can fill the memory; those of a few characters cannot."""
    try:
        sax.parseString(body, ContentHandler(), forbid_dtd=False, forbid_entities=True, forbid_external=False)
    except DefusedXmlException:
        if body.count(b"<!ENTITY") != len(SMALL_ENTITY.findall(body)) or b"<!ENTITY" not in body:
            raise SchemaDrift(f"{what}: the XML declares entities, which Pantau does not read") from None
    except (SAXException, ValueError, LookupError, AssertionError):
        return  # not well-formed: feedparser reads it all the same, without a parser that knows entities


def _of_several(entries: Sequence[Mapping[str, Any]], home: str) -> AbstractSet[str]:
    """Return the addresses that tell no entry from another: the site's own, and those that several lead to.

    An entry that stands twice is one: its id must not change for that, or it would be another post.
    """
    told = {(_link(entry), _told(entry)) for entry in entries if not entry.get("id")}
    counted = Counter(link for link, _ in told)
    return {home, *(link for link, times in counted.items() if times > 1)}


def _told(entry: Mapping[str, Any]) -> str:
    """Return what `_digest` tells entries apart by, as it is written."""
    plain = dict(entry)  # as in `_post`
    facts = [plain.get(name) for name in ("title", "published", "created", "updated")]
    return repr(facts if any(facts) else plain.get("summary"))


def _post(
    entry: Mapping[str, Any], base: str, of_several: AbstractSet[str], seen: Seen, now: datetime
) -> tuple[Post, bool]:
    """Return an entry as a post, and whether it has a date of its own."""
    entry = dict(entry)  # feedparser's own mapping answers for a missing `updated` with `published`, and takes its time
    title = _text(_title(entry))
    parts = [*_dicts(entry.get("content")), *_dicts([entry.get("summary_detail"), entry.get("subtitle_detail")])]
    bodies = [_reading(part, base) for part in parts]
    link = _link(entry)
    stated = _moment(entry, "published", "created", "updated")
    own = "" if link in of_several else link
    native_id = str(entry.get("id") or own or _digest(title, stated, parts))
    published = stated or seen.first_sight(native_id, now)
    updated = _moment(entry, "updated")
    post = Post(
        native_id=native_id,
        url=absolute(base, link) if link else base,
        published_at=published,
        edited_at=updated if updated and updated > published else None,
        text=joined([title, *(body.text for body in bodies)]),
        links=unique(
            [*(one for body in bodies for one in body.links), *_beside(entry, base), *_other_files(entry, base)]
        ),
        media=unique([*_files(entry, base), *(one for body in bodies for one in body.media)]),
        raw=_raw(entry),
    )
    return post, stated is not None


def _title(entry: Mapping[str, Any]) -> object:
    """Return the title with its type; of an inner element (a picture) that has one, too, feedparser mixes the two."""
    detail = entry.get("title_detail")
    told = isinstance(detail, Mapping) and (detail.get("value") == entry.get("title") or not entry.get("title"))
    return detail if told else entry.get("title")


def _digest(title: str, stated: datetime | None, parts: Sequence[Mapping[str, Any]]) -> str:
    """Return an id for an entry without one: the same wherever the feed lies."""
    seen = f"{title}\n{stated}" if title or stated else "\n".join(_reading(part, "").text for part in parts)
    return f"sha256:{hashlib.sha256(seen.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _moment(entry: Mapping[str, Any], *names: str) -> datetime | None:
    for name in names:
        parsed = entry.get(f"{name}_parsed")
        if isinstance(parsed, time.struct_time):
            try:
                return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
            except (ValueError, OverflowError, OSError):
                continue
    return None


def _reading(part: Mapping[str, Any], base: str) -> Reading:
    value = str(part.get("value") or "")
    if "html" in str(part.get("type", "")):
        return read_html(value, base=str(part.get("base") or base))
    return Reading(text=tidy(value))


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return _reading(value, "").text
    return read_html(value, base="").text if isinstance(value, str) else ""


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _picture(feed: Mapping[str, Any]) -> str:
    image = feed.get("image")
    given = image.get("href") or image.get("url") if isinstance(image, Mapping) else ""
    return str(given or feed.get("logo") or feed.get("icon") or "")


def _files(entry: Mapping[str, Any], base: str) -> Iterator[Media]:
    """Yield enclosures and Media RSS files; what a thing is follows from its type, else from its name."""
    for one in [*_enclosures(entry), *_dicts(entry.get("media_content")), *_dicts(entry.get("media_thumbnail"))]:
        address = absolute(base, str(one.get("href") or one.get("url") or ""))
        kind = str(one.get("type") or {"image": "image/", "video": "video/"}.get(str(one.get("medium")), ""))
        words = str(one.get("title") or "")
        found = media_of(address, kind=kind.lower(), text=words) if address else None
        if found is not None:
            yield found


def _link(entry: Mapping[str, Any]) -> str:
    """Return where an entry is read; of one that has files as well, feedparser may take a file's address for it."""
    link, links = str(entry.get("link") or ""), _dicts(entry.get("links"))
    pages = [str(one["href"]) for one in links if one.get("rel") == "alternate" and one.get("href")]
    is_file = link not in pages and any(one.get("href") == link for one in _enclosures(entry))
    return pages[0] if is_file and pages else link


def _beside(entry: Mapping[str, Any], base: str) -> Iterator[str]:
    """Yield what an entry refers to beside its words, as Atom's `related` and `via`."""
    for one in _dicts(entry.get("links")):
        if one.get("rel") in {"related", "via"} and (address := absolute(base, str(one.get("href") or ""))):
            yield address


def _enclosures(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [link for link in _dicts(entry.get("links")) if link.get("rel") == "enclosure"]


def _other_files(entry: Mapping[str, Any], base: str) -> Iterator[str]:
    """Yield the addresses of enclosures that are neither picture, video nor document."""
    for one in _enclosures(entry):
        address = absolute(base, str(one.get("href") or ""))
        if address and media_of(address, kind=str(one.get("type") or "").lower()) is None:
            yield address


def _raw(value: Any) -> Any:
    """Return what feedparser found as plain JSON."""
    if isinstance(value, Mapping):
        return {str(key): _raw(part) for key, part in value.items() if not str(key).endswith("_parsed")}
    if isinstance(value, list | tuple):
        return [_raw(part) for part in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
