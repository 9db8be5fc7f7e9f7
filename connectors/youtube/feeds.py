"""A channel's feed, which needs no key: its newest 15 videos. Pure."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.base import SchemaDrift, Unavailable
from connectors.links import links_in
from connectors.markup import joined, tidy
from connectors.youtube.posts import media_of, time_of, watch_url
from monitor.model import Post, Profile

ATOM = "{http://www.w3.org/2005/Atom}"
MEDIA = "{http://search.yahoo.com/mrss/}"
YT = "{http://www.youtube.com/xml/schemas/2015}"


def parse_feed(body: bytes, *, what: str) -> tuple[Profile, tuple[Post, ...]]:
    """Return channel and videos of a channel's feed. Raises SchemaDrift, or Unavailable when it was cut short."""
    try:
        feed = fromstring(body, forbid_dtd=False)
    except DefusedXmlException:
        raise SchemaDrift(f"{what}: the XML declares entities, which Pantau does not read") from None
    except (ParseError, ValueError, LookupError):
        if re.match(rb"\s*(<\?xml[^>]*>\s*)?<feed\b", body) and not re.search(rb"</feed\s*>\s*$", body):
            raise Unavailable(f"{what}: the feed was cut short") from None
        raise SchemaDrift(f"{what}: the answer is no feed of YouTube's") from None
    channel = _under(feed, f"{YT}channelId")
    if feed.tag != f"{ATOM}feed" or not (channel or _under(feed, f"{ATOM}title")):
        raise SchemaDrift(f"{what}: the answer is XML, but no feed of YouTube's")
    posts = {post.native_id: post for post in (_entry(entry, what) for entry in feed.findall(f"{ATOM}entry"))}
    profile = Profile(native_id=channel, name=_under(feed, f"{ATOM}title"), handle="")
    return profile, tuple(posts.values())


def _entry(entry: Element, what: str) -> Post:
    native_id, title = _under(entry, f"{YT}videoId"), _under(entry, f"{ATOM}title")
    if not native_id:
        raise SchemaDrift(f"{what}: an entry of the feed names no video")
    group = entry.find(f"{MEDIA}group")
    described = _under(group, f"{MEDIA}description") if group is not None else ""
    picture = group.find(f"{MEDIA}thumbnail") if group is not None else None
    found = picture.get("url", "") if picture is not None else ""
    published = _under(entry, f"{ATOM}published")
    raw = {"videoId": native_id, "title": title, "description": described, "published": published, "thumbnail": found}
    return Post(
        native_id=native_id,
        url=watch_url(native_id),
        published_at=time_of(published, native_id),
        text=joined([tidy(title), tidy(described)]),
        media=media_of(found, watch_url(native_id), tidy(title)),
        links=links_in(described),
        raw={**raw, "updated": _under(entry, f"{ATOM}updated")},
    )


def _under(holder: Element, name: str) -> str:
    return (holder.findtext(name) or "").strip()
