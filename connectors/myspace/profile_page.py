"""The profile page: landmarks of a profile, and the posts found on it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from urllib.parse import urlsplit

from connectors.base import SchemaDrift, Unavailable
from connectors.links import absolute
from connectors.markup import LenientParser, feed_whole, read_html
from connectors.myspace.shown import Shown
from connectors.owners import must_be
from connectors.payload import moment
from connectors.seen import Seen
from connectors.tree import VOID
from monitor.model import Post, PostKind, Profile

PROFILE_KEY = re.compile(r"profile_(\w+)")
ENTRY_KEY = re.compile(r"(?:status|activity|post|blog|note|photo|video)_[\w.:-]+")


def parse_page(page: str, *, handle: str, url: str, what: str, seen: Seen, now: datetime) -> Shown:
    """Map a profile page and the posts on it. Raises SchemaDrift when it has no landmark of a profile."""
    reader = _PageReader()
    feed_whole(reader, page)
    native_id = reader.profile_id or _id_in_scripts(reader.scripts, handle)
    path = urlsplit(reader.meta.get("og:url", "")).path.strip("/")
    own = path.rpartition("/")[2].casefold() == handle.casefold()
    if not native_id and not (own and reader.meta.get("og:title")):
        raise SchemaDrift(f"{what}: the page shows no profile any more; retire the account if it is abandoned")
    if "</html" not in page[-2000:].lower():
        raise Unavailable(f"{what}: the page was cut short")
    is_beside = path.rpartition("/")[0] == urlsplit(url).path.strip("/").rpartition("/")[0]
    must_be(what, [handle], [path.rpartition("/")[2] if native_id and is_beside else ""])
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
    permalink = absolute(base, entry.permalink)
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


class _PageReader(LenientParser):
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
