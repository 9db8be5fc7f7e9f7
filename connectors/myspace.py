"""MySpace, which the circular names: profile pages, and ActivityStreams of its old API where any are left.

The API has shown no sign of life since about 2013, and pages of abandoned profiles lose their content. So the
capability says "degraded", and a page without the landmarks of a profile is SchemaDrift: the account shows as blind,
which is what a head of department needs to know of an abandoned profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from html.parser import HTMLParser
from typing import ClassVar
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element, ParseError

import requests
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors import addresses, configured, http
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
from connectors.markup import Reading, feed_whole, joined, media_of, read_html, tidy, unique
from connectors.payload import moment
from connectors.seen import Seen, remembered, window_page
from monitor.model import Account, Cause, Media, MediaKind, Post, PostKind, Profile
from monitor.settings import Network

ORIGIN = "https://myspace.com"
ATOM = "{http://www.w3.org/2005/Atom}"
ACTIVITY = "{http://activitystrea.ms/spec/1.0/}"
PROFILE_KEY = re.compile(r"profile_(\w+)")
ENTRY_KEY = re.compile(r"(?:status|activity|post|blog|note|photo|video)_[\w.:-]+")
FOR_GOOD = frozenset({Cause.NOT_FOUND, Cause.PERMISSION})  # what a dead address answers; the rest passes by itself
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MySpaceSettings:
    base_url: str = ORIGIN

    def problems(self) -> configured.Problems:
        return configured.only(base_url=configured.base_url_mistake(self.base_url, usual=ORIGIN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a page or document shows. `undated` are ids of posts without a date of their own."""

    profile: Profile
    posts: tuple[Post, ...]
    undated: frozenset[str] = frozenset()
    atom: bool = False


class MySpaceConnector:
    """Reads profiles. Thread-safe: only the session is shared."""

    platform: ClassVar[str] = "myspace"
    capabilities: ClassVar[Capabilities] = Capabilities(rereads=False, degraded=True)
    Settings: ClassVar[type[MySpaceSettings]] = MySpaceSettings
    credentials: ClassVar[tuple[str, ...]] = ()
    obtain: ClassVar[str] = (
        "Nothing: profiles are public as far as they still exist; the url column may name an ActivityStreams document."
    )

    def __init__(
        self,
        settings: MySpaceSettings,
        network: Network,
        bounds: Bounds = BOUNDS,  # noqa: ARG002 (a profile shows one page, and is read whole)
    ) -> None:
        self._base_url = settings.base_url.rstrip("/")
        own = (ORIGIN, "https://www.myspace.com", "http://myspace.com", "http://www.myspace.com")
        self._session = http.open_session(base_url=self._base_url, network=network, replaces=own)

    def resolve(self, account: Account) -> Profile:
        """Return what the profile says of itself. Raises ConnectorError."""
        return self._shown(account, remembered(None), datetime.now(UTC)).profile

    def pull(self, account: Account, cursor: Cursor | None, *, now: datetime) -> Iterator[Page]:
        """Yield the one page a profile has. Raises ConnectorError."""
        seen = remembered(cursor)
        shown = self._shown(account, seen, now, was_atom=bool(cursor and cursor.get("atom")))
        yield window_page(seen, shown.posts, now=now, undated=shown.undated, extra={"atom": shown.atom})

    def reread(self, *_: object, **__: object) -> Reread:
        """MySpace has no way left to ask for a post: nothing is decided."""
        return Reread()

    def check(self) -> str:
        return "myspace: profile pages need no credential; the platform is degraded"

    def _shown(self, account: Account, seen: Seen, now: datetime, *, was_atom: bool = False) -> Shown:
        """Read the account's Atom document where its url leads to one, else its profile page.

        Posts have other ids there than on the page: what was or names itself Atom is that or an error, never the page.
        """
        what, handle = account.label, handle_of(account)
        if leads_elsewhere(account.url):
            response = self._get(account.url, what)
            refused = http.refusal(response, what=what, now=now)
            if refused is None and is_atom(response):
                return parse_atom(response.content, handle=handle, what=what)
            if was_atom or names_atom(account.url) or (refused is not None and refused.cause not in FOR_GOOD):
                raise refused or SchemaDrift(f"{what}: the answer is no Atom document; correct the url column")
        if not handle:
            raise AccountNotFound(f"{what}: names no MySpace profile; write its name into the handle column")
        response = self._get(f"{self._base_url}/{quote(handle, safe='')}", what)
        refused = http.refusal(response, what=what, now=now)
        if refused is not None:
            raise refused
        page = response.content.decode("utf-8", errors="replace")
        return parse_page(page, handle=handle, url=response.url, what=what, seen=seen, now=now)

    def _get(self, url: str, what: str) -> requests.Response:
        try:
            return self._session.get(url)
        except requests.RequestException as error:
            raise http.failure(error, what=what) from None
        except (UnicodeError, ValueError):
            raise AccountNotFound(f"{what}: the url column holds no valid address; correct it") from None


def handle_of(account: Account) -> str:
    """Return the profile's name: the handle, or what the address names."""
    handle = account.handle.strip().removeprefix("@")
    pasted = addresses.match(handle if "/" in handle else account.url) if "/" in handle or not handle else None
    if pasted is not None:
        return pasted[1] if pasted[0] == "myspace" else ""
    return "" if "/" in handle else handle


def leads_elsewhere(url: str) -> bool:
    """Say whether an address is another one than the profile page's own."""
    return bool(url) and (addresses.match(url) is None or names_atom(url))


def names_atom(url: str) -> bool:
    return re.split("[?#]", url.strip())[0].lower().endswith(".atom")


def is_atom(response: requests.Response) -> bool:
    kind = response.headers.get("Content-Type", "").lower()
    return "atom" in kind or re.search(rb"<(\w+:)?feed[\s>]", response.content[:2000]) is not None


# ---------------------------------------------------------------- ActivityStreams in Atom


def parse_atom(body: bytes, *, handle: str, what: str) -> Shown:
    """Map an ActivityStreams Atom document. Raises SchemaDrift, or Unavailable when it was cut short."""
    try:
        feed = fromstring(body, forbid_dtd=False)
    except DefusedXmlException:
        raise SchemaDrift(f"{what}: the XML declares entities, which Pantau does not read") from None
    except ParseError:
        if re.search(rb"</\s*(\w+:)?feed\s*>\s*$", body):
            raise SchemaDrift(f"{what}: the document is not well-formed XML") from None
        raise Unavailable(f"{what}: the document was cut short") from None
    except (ValueError, LookupError):
        raise SchemaDrift(f"{what}: the document is in an unknown encoding") from None
    if feed.tag != f"{ATOM}feed":
        raise SchemaDrift(f"{what}: the document is XML, but no Atom feed")
    profile = Profile(
        native_id=_value(feed, "id") or handle,
        name=_value(feed, "title"),
        handle=handle,
        bio=_value(feed, "subtitle"),
        picture_url=_value(feed, "logo") or _value(feed, "icon"),
    )
    posts = {post.native_id: post for post in (_activity(entry, what) for entry in feed.findall(f"{ATOM}entry"))}
    return Shown(profile=profile, posts=tuple(posts.values()), atom=True)


def _activity(entry: Element, what: str) -> Post:
    """Map an entry: what was done (verb), with what (object), to what (target)."""
    things = [*entry.findall(f"{ACTIVITY}object"), *entry.findall(f"{ACTIVITY}target")]
    native_id = _value(entry, "id") or next(filter(None, (_value(one, "id") for one in things)), "")
    if not native_id:
        raise SchemaDrift(f"{what}: an entry has no id")
    published, updated = moment(_value(entry, "published")), moment(_value(entry, "updated"))
    at = published or updated
    if at is None:
        raise SchemaDrift(f"{what}: an entry has no time")
    holders = [entry, *things]
    readings = [_words(holder, name) for holder in holders for name in ("title", "summary", "content")]
    links = [(link.get("rel", "alternate"), link) for holder in holders for link in holder.findall(f"{ATOM}link")]
    return Post(
        native_id=native_id,
        url=next((link.get("href", "") for rel, link in links if rel == "alternate"), ""),
        published_at=at,
        edited_at=updated if updated and updated > at else None,
        text=joined(reading.text for reading in readings),
        kind=_kind(entry),
        media=unique([*_attached(links), *(one for reading in readings for one in reading.media)]),
        links=unique([*_related(links), *(one for reading in readings for one in reading.links)]),
        raw=_raw(entry),
    )


def _kind(entry: Element) -> PostKind:
    verb = (entry.findtext(f"{ACTIVITY}verb") or "").strip().rpartition("/")[2]
    kinds = {(one.text or "").strip().rpartition("/")[2] for one in entry.iter(f"{ACTIVITY}object-type")}
    if verb == "share":
        return PostKind.REPOST
    if "comment" in kinds:
        return PostKind.REPLY
    return PostKind.STATUS if "status" in kinds else PostKind.ORIGINAL


def _value(holder: Element, name: str) -> str:
    found = holder.find(f"{ATOM}{name}")
    return "" if found is None else tidy("".join(found.itertext()))


def _words(holder: Element, name: str) -> Reading:
    found = holder.find(f"{ATOM}{name}")
    if found is None:
        return Reading(text="")
    if found.get("type") == "xhtml":
        return read_html(_as_html(found), base="")
    value = "".join(found.itertext())
    return read_html(value, base="") if "html" in found.get("type", "") else Reading(text=tidy(value))


def _as_html(element: Element) -> str:
    """Write XHTML without its namespace, for a reader of HTML."""
    inner = escape(element.text or "") + "".join(_as_html(child) + escape(child.tail or "") for child in element)
    name = str(element.tag).rpartition("}")[2]
    given = "".join(f' {key}="{escape(value)}"' for key, value in element.attrib.items())
    return f"<{name}{given}>" if name in VOID else f"<{name}{given}>{inner}</{name}>"


def _attached(links: Sequence[tuple[str, Element]]) -> Iterator[Media]:
    for rel, link in links:
        if rel in {"enclosure", "preview"} and http.absolute("", link.get("href", "")):
            found = media_of(link.get("href", ""), kind=link.get("type", ""), text=link.get("title", ""))
            yield found or Media(kind=MediaKind.PICTURE, url=link.get("href", ""), text=link.get("title", ""))


def _related(links: Sequence[tuple[str, Element]]) -> list[str]:
    return [
        href for rel, link in links if rel in {"related", "via"} and (href := http.absolute("", link.get("href", "")))
    ]


def _raw(element: Element) -> Mapping[str, object]:
    children = [_raw(child) for child in element]
    return {
        "tag": str(element.tag),
        **({"attributes": dict(element.attrib)} if element.attrib else {}),
        **({"text": element.text} if element.text and element.text.strip() else {}),
        **({"children": children} if children else {}),
    }


# ---------------------------------------------------------------- the profile page


def parse_page(page: str, *, handle: str, url: str, what: str, seen: Seen, now: datetime) -> Shown:
    """Map a profile page and the posts on it. Raises SchemaDrift when it has no landmark of a profile."""
    reader = _PageReader()
    feed_whole(reader, page)
    native_id = reader.profile_id or _id_in_scripts(reader.scripts, handle)
    own = urlsplit(reader.meta.get("og:url", "")).path.strip("/").rpartition("/")[2].casefold() == handle.casefold()
    if not native_id and not (own and reader.meta.get("og:title")):
        raise SchemaDrift(f"{what}: the page shows no profile any more; retire the account if it is abandoned")
    if "</html" not in page[-2000:].lower():
        raise Unavailable(f"{what}: the page was cut short")
    posts = [_shown_post(entry, url, seen, now) for entry in reader.entries]
    profile = Profile(
        native_id=native_id or handle,
        name=reader.meta.get("og:title", ""),
        handle=handle,
        bio=reader.meta.get("og:description", ""),
        picture_url=reader.meta.get("og:image", ""),
    )
    return Shown(
        profile=profile,
        posts=tuple({post.native_id: post for post, _ in posts}.values()),
        undated=frozenset(post.native_id for post, dated in posts if not dated),
    )


def _id_in_scripts(scripts: Sequence[str], handle: str) -> str:
    """Find the profile's number beside its name in the JSON of the page's scripts."""
    name = re.escape(handle)
    for script in scripts:
        for inner in re.findall(r"\{[^{}]*\}", script):
            number = re.search(r'"(?:id|profileId|entityId)"\s*:\s*"?(\d+)', inner)
            if number and re.search(rf'"(?:username|urlName|profileName)"\s*:\s*"{name}"', inner, re.IGNORECASE):
                return number[1]
    return ""


def _shown_post(entry: _Entry, base: str, seen: Seen, now: datetime) -> tuple[Post, bool]:
    """Return a post of the page, and whether it has a date of its own."""
    markup = "".join(entry.pieces)
    reading = read_html(markup, base=base)
    stated = moment(entry.time)
    permalink = http.absolute(base, entry.permalink)
    post = Post(
        native_id=entry.key,
        url=permalink or base,
        published_at=stated or seen.first_sight(entry.key, now),
        text=reading.text,
        kind=PostKind.STATUS if entry.key.startswith("status_") else PostKind.ORIGINAL,
        media=reading.media,
        links=tuple(link for link in reading.links if link != permalink),
        raw={"html": markup[:100_000], "time": entry.time, "url": permalink},
    )
    return post, stated is not None


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A post of the page while it is read: its markup without the link to itself and its time."""

    key: str
    tag: str
    depth: int = 1
    pieces: list[str] = field(default_factory=list)
    time: str = ""
    permalink: str = ""


class _PageReader(HTMLParser):
    """Collects the landmarks of a profile and the markup of each post."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.meta: dict[str, str] = {}
        self.scripts: list[str] = []
        self.profile_id = ""
        self.entries: list[_Entry] = []
        self._open: _Entry | None = None
        self._script = False
        self._in_time = False  # a time's words are not the post's, nor is the link to itself
        self._in_permalink = False

    def close(self) -> None:
        super().close()
        self._end_entry()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        key = given.get("data-entity-key", "")
        self._script = tag == "script"
        if tag == "meta" and (given.get("property") or given.get("name")):
            self.meta.setdefault(given.get("property") or given["name"], given.get("content", "").strip())
        if (profile := PROFILE_KEY.fullmatch(key)) and not self.profile_id:
            self.profile_id = profile[1]
        begins = ENTRY_KEY.fullmatch(key) is not None and tag not in VOID
        if begins and (self._open is None or self._open.tag == tag):  # HTML may leave out the end of a list's item
            self._end_entry()
            self._open = _Entry(key=key, tag=tag)
        elif self._open is not None:
            self._inside(self._open, tag, given)

    def _inside(self, entry: _Entry, tag: str, given: dict[str, str]) -> None:
        entry.depth += tag == entry.tag
        if tag == "time":
            entry.time = entry.time or given.get("datetime", "")
            self._in_time = True
        elif tag == "a" and "permalink" in given.get("class", "").split():
            entry.permalink = given.get("href", "")
            self._in_permalink = True
        elif not self._in_time:
            entry.pieces.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self._script = False
        if self._open is None:
            return
        self._open.depth -= tag == self._open.tag
        if self._open.depth == 0:
            self._end_entry()
        elif tag == "time":
            self._in_time = False
        elif tag == "a" and self._in_permalink:
            self._in_permalink = False
        elif not self._in_time:
            self._open.pieces.append(f"</{tag}>")

    def _end_entry(self) -> None:
        if self._open is not None:
            self.entries.append(self._open)
        self._open, self._in_time, self._in_permalink = None, False, False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts.append(data)
        elif self._open is not None and not self._in_time:
            self._open.pieces.append(escape(data))
