"""What TikTok is asked to show of an account and its videos, and how that becomes posts and a profile. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from connectors.base import SchemaDrift
from connectors.links import links_in
from connectors.markup import joined
from connectors.payload import identifier, objects, string
from monitor.model import Json, Media, MediaKind, Post, Profile

VIDEO_FIELDS = "id,create_time,share_url,title,video_description,cover_image_url,duration"
USER_FIELDS = "open_id,avatar_url,display_name,username,bio_description"
BASIC_USER_FIELDS = "open_id,avatar_url,display_name"  # what the scope user.info.basic shows
MILLISECONDS = 13  # digits of a time in milliseconds, until the year 2286
CHANGED = "TikTok's API has changed, see connectors.tiktok.base_url and its documents"


def parse_listing(data: Json) -> tuple[Post, ...]:
    """Return the videos of one answer. Raises SchemaDrift where neither videos nor the end of them are told."""
    videos = data.get("videos")
    if videos is None and isinstance(data.get("has_more"), bool):
        return ()  # an empty list is left out
    items = objects(videos)
    if items is None:
        raise SchemaDrift(f"tiktok: an answer has no list of videos; {CHANGED}")
    return tuple(map(parse_post, items))


def parse_post(item: Json) -> Post:
    """Return one video. Raises SchemaDrift when it has no id or no time."""
    native_id = identifier(item)
    share_url = string(item, "share_url").partition("?")[0]  # behind it: counters of clicks
    if not native_id:
        raise SchemaDrift(f"tiktok: a video has no id; {CHANGED}")
    url = share_url or f"https://www.tiktok.com/video/{native_id}"
    text = joined((string(item, "title"), string(item, "video_description")))
    cover = string(item, "cover_image_url")
    pictures = (Media(kind=MediaKind.PICTURE, url=cover),) if cover else ()
    return Post(
        native_id=native_id,
        url=url,
        published_at=_moment(item.get("create_time"), native_id),
        text=text,
        media=(*pictures, Media(kind=MediaKind.VIDEO, url=url)),
        links=links_in(text),
        raw=dict(item),
    )


def author_of(post: Post) -> str:
    """Return whose video it is by its address, which need not say so."""
    named = re.match(r"https?://[^/]+/@([^/?#]+)/", post.url)
    return named[1] if named else ""


def parse_profile(user: Json, *, handle: str = "") -> Profile:
    """Return what an account says of itself; `handle` serves a consent that shows no username. Raises SchemaDrift."""
    open_id = string(user, "open_id")
    username = string(user, "username") or handle
    if not open_id:
        raise SchemaDrift(f"tiktok: a profile has no open_id; {CHANGED}")
    return Profile(
        native_id=open_id,
        name=string(user, "display_name") or username,
        handle=username,
        bio=string(user, "bio_description"),
        picture_url=string(user, "avatar_url"),
    )


def _moment(value: object, native_id: str) -> datetime:
    """Read seconds since 1970, as a number or in digits."""
    digits = re.fullmatch(r"\d{9,11}", str(value)) if not isinstance(value, bool) else None
    if digits is None:
        raise SchemaDrift(f"tiktok: video {native_id[:64]}: create_time is no time in seconds; {CHANGED}")
    return datetime.fromtimestamp(int(digits[0]), UTC)


def again_from(cursor: int) -> int:
    """Return the cursor from which the second that this one names is shown as well, where it names a time."""
    return cursor + 1000 if len(str(cursor)) == MILLISECONDS else cursor


def next_cursor(data: Json, before: int | None) -> int | None:
    """Return where the next page begins; None at the end, and where the server would lead to the same page again."""
    if data.get("has_more") not in (True, False, None):
        raise SchemaDrift(f"tiktok: an answer does not say whether there is more; {CHANGED}")
    cursor = data.get("cursor")
    told = int(cursor) if isinstance(cursor, int | str) and re.fullmatch(r"\d{1,16}", str(cursor)) else None
    return told if data.get("has_more") is True and told and told != before else None
