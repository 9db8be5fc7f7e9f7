"""ActivityStreams in Atom, as MySpace's old API gave them out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.base import SchemaDrift, Unavailable
from connectors.links import absolute
from connectors.markup import Reading, joined, media_of, read_html, tidy, unique
from connectors.myspace.shown import Shown
from connectors.payload import moment
from connectors.tree import VOID
from monitor.model import Media, MediaKind, Post, PostKind, Profile

ATOM = "{http://www.w3.org/2005/Atom}"
ACTIVITY = "{http://activitystrea.ms/spec/1.0/}"


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
        if rel in {"enclosure", "preview"} and absolute("", link.get("href", "")):
            found = media_of(link.get("href", ""), kind=link.get("type", ""), text=link.get("title", ""))
            yield found or Media(kind=MediaKind.PICTURE, url=link.get("href", ""), text=link.get("title", ""))


def _related(links: Sequence[tuple[str, Element]]) -> list[str]:
    return [href for rel, link in links if rel in {"related", "via"} and (href := absolute("", link.get("href", "")))]


def _raw(element: Element) -> Mapping[str, object]:
    children = [_raw(child) for child in element]
    return {
        "tag": str(element.tag),
        **({"attributes": dict(element.attrib)} if element.attrib else {}),
        **({"text": element.text} if element.text and element.text.strip() else {}),
        **({"children": children} if children else {}),
    }
