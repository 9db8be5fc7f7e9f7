"""Payloads of the Data API as posts and profiles: items of a list of uploads, and videos by themselves. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from connectors.base import SchemaDrift
from connectors.links import links_in
from connectors.markup import joined, tidy
from connectors.payload import inner, moment, objects, string
from connectors.youtube.refusals import DRIFT
from monitor.model import Json, Media, MediaKind, Post, Profile

SITE = "https://www.youtube.com"
THUMBNAILS = ("maxres", "standard", "high", "medium", "default")  # largest first
NOT_THERE = frozenset({"deleted", "failed", "rejected"})  # uploadStatus of a video that nobody can watch


def items_of(payload: object, what: str) -> list[Json]:
    """Return the items of an answer; Google leaves an empty list out. Raises SchemaDrift for what is no answer."""
    if not isinstance(payload, Mapping):
        raise SchemaDrift(f"{what}: the answer is no object; {DRIFT}")
    items = payload.get("items")
    if items is None and ("pageInfo" in payload or str(payload.get("kind", "")).startswith("youtube#")):
        return []
    found = objects(items)
    if found is None:
        raise SchemaDrift(f"{what}: the answer holds no list of items; {DRIFT}")
    return found


def parse_channel(item: Json) -> Profile:
    """Return what a channel says of itself. Raises SchemaDrift without id or title."""
    snippet = inner(item, "snippet")
    native_id, name = string(item, "id"), string(snippet, "title")
    if not native_id or not name:
        raise SchemaDrift(f"youtube: a channel has no id or no title; {DRIFT}")
    return Profile(
        native_id=native_id,
        name=name,
        handle=string(snippet, "customUrl").removeprefix("@"),
        bio=string(snippet, "description"),
        picture_url=_thumbnail(snippet),
    )


def parse_video(item: Json) -> Post:
    """Return a video of videos.list. Raises SchemaDrift without id or time."""
    native_id = string(item, "id")
    return _post(native_id, inner(item, "snippet"), time_of(inner(item, "snippet").get("publishedAt"), native_id), item)


def parse_upload(item: Json) -> Post:
    """Return an item of the list of uploads as a post: title and description are whole there, too."""
    return _post(video_id(item), inner(item, "snippet"), listed_at(item), item)


def _post(native_id: str, snippet: Json, at: datetime, raw: Json) -> Post:
    if not native_id or "title" not in snippet:
        raise SchemaDrift(f"youtube: a video has no id or no title; {DRIFT}")
    title, description = string(snippet, "title"), string(snippet, "description")
    address = watch_url(native_id)
    return Post(
        native_id=native_id,
        url=address,
        published_at=at,
        text=joined([tidy(title), tidy(description)]),
        language=string(snippet, "defaultLanguage") or string(snippet, "defaultAudioLanguage"),
        media=media_of(_thumbnail(snippet), address, tidy(title)),
        links=links_in(description),
        raw=raw,
    )


def media_of(picture: str, address: str, title: str) -> tuple[Media, ...]:
    pictures = [Media(kind=MediaKind.PICTURE, url=picture)] if picture else []
    return (*pictures, Media(kind=MediaKind.VIDEO, url=address, text=title))


def watch_url(native_id: str) -> str:
    return f"{SITE}/watch?v={quote(native_id, safe='')}"


def _thumbnail(snippet: Json) -> str:
    """Return the largest picture; while a broadcast is on, its name ends otherwise, which is no other picture."""
    found = (string(inner(snippet, "thumbnails", size), "url") for size in THUMBNAILS)
    return re.sub(r"_live(?=\.\w+$)", "", next(filter(None, found), ""))


def video_id(item: Json) -> str:
    """Return which video an item of the list of uploads is. Raises SchemaDrift."""
    found = string(inner(item, "contentDetails"), "videoId") or string(inner(item, "snippet", "resourceId"), "videoId")
    if not found:
        raise SchemaDrift(f"youtube: an item of the uploads names no video; {DRIFT}")
    return found


def listed_at(item: Json) -> datetime:
    """Return when an item's video was published; of one that is not shown, when it came into the list."""
    at = inner(item, "contentDetails").get("videoPublishedAt") or inner(item, "snippet").get("publishedAt")
    return time_of(at, video_id(item))


def is_shown(item: Json) -> bool:
    """Say whether an item of the list of uploads is a video that everybody sees."""
    privacy = string(inner(item, "status"), "privacyStatus")
    return bool(inner(item, "contentDetails").get("videoPublishedAt")) and privacy not in {
        "private",
        "privacyStatusUnspecified",
    }


def is_hidden(video: Json) -> bool:
    return string(inner(video, "status"), "privacyStatus") == "private"


def is_gone(video: Json) -> bool:
    return string(inner(video, "status"), "uploadStatus") in NOT_THERE


def time_of(value: object, what: str) -> datetime:
    at = moment(value)
    if at is None:
        raise SchemaDrift(f"youtube: the video {what[:20]} has no time; {DRIFT}")
    return at


def fingerprint(items: Sequence[Json]) -> str:
    """Return a mark of a page of uploads as a reader sees it: the same mark means that nothing is new on it.

    Google's own etag would say so as well, but only Google's.
    """
    seen = [[video_id(one), inner(one, "contentDetails"), inner(one, "status"), _words(one)] for one in items]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _words(item: Json) -> list[str]:
    return [string(inner(item, "snippet"), key) for key in ("title", "description")]
