"""What Instagram is asked to show of an account and its media, and how that becomes posts and a profile. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import SchemaDrift
from connectors.graph.answers import files_in, items_of, time_of, without_credentials
from connectors.instagram.refusals import DIALECT
from connectors.links import links_in
from connectors.payload import identifier, number, string
from monitor.model import Json, Post, Profile

PROFILE_FIELDS = "id,username,name,biography,profile_picture_url,media_count"
MEDIA_FIELDS = (
    "id,caption,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username,alt_text,"
    "children{id,media_type,media_url,thumbnail_url,alt_text}"
)
# What every version and every way of reading has shown; asked for where the fuller question is refused.
PLAIN_MEDIA_FIELDS = "id,caption,media_type,media_url,permalink,timestamp,username,children{id,media_type,media_url}"


def parse_post(item: Json) -> Post:
    """Return one media object. Raises SchemaDrift when it has no id or no time."""
    raw = without_credentials(item)
    native_id = identifier(raw)
    if not native_id:
        raise DIALECT.drift("a post has no id")
    text = string(raw, "caption")
    return Post(
        native_id=native_id,
        url=_permalink(raw),
        published_at=time_of(raw, "timestamp", DIALECT),
        text=text,
        media=tuple(dict.fromkeys(files_in(raw, page=_permalink(raw)))),
        links=links_in(text),
        raw=raw,
    )


def parse_profile(item: Json) -> Profile:
    """Return what an account says of itself. Raises SchemaDrift."""
    raw = without_credentials(item)
    native_id, username = identifier(raw), string(raw, "username")
    if not native_id or not username:
        raise DIALECT.drift("a profile has no id or no username")
    return Profile(
        native_id=native_id,
        name=string(raw, "name") or username,
        handle=username,
        bio=string(raw, "biography"),
        picture_url=string(raw, "profile_picture_url"),
    )


def parse_items(listing: Json) -> tuple[Post, ...]:
    """Return the posts of one page of media. Raises SchemaDrift."""
    return tuple(map(parse_post, items_of(listing, DIALECT)))


def discovered_media(payload: Json, *, first: bool) -> Json:
    """Return the listing inside an answer of business discovery. Raises SchemaDrift.

    The API leaves an empty listing out: on the first page it must then say itself that there are no posts.
    """
    found = payload.get("business_discovery")
    if not isinstance(found, Mapping):
        raise DIALECT.drift("an answer has no business_discovery")
    media = found.get("media")
    if media is None:
        if first and number(found.get("media_count")) != 0:
            raise SchemaDrift("instagram: an answer shows no media, and does not say that there are none")
        return {"data": []}
    if not isinstance(media, Mapping):
        raise DIALECT.drift("an answer's media are no listing")
    return media


def _permalink(item: Json) -> str:
    if permalink := string(item, "permalink"):
        return permalink
    if shortcode := string(item, "shortcode"):
        return f"https://www.instagram.com/p/{shortcode}/"
    return f"https://www.instagram.com/{string(item, 'username')}"
