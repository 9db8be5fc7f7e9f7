"""YouTube as the sandbox speaks it: channels, uploads and videos of the Data API v3, a channel's feed and page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from connectors.sandbox.reply import Question, Reply, as_json
from connectors.sandbox.world import Holder, Published, World
from monitor.model import MediaKind

KEY = "sandbox"
API = "/youtube/v3/"
FEED_SIZE = 15
LARGEST_PAGE = 50
DEFAULT_PAGE = 5
FORM = "%Y-%m-%dT%H:%M:%SZ"
PARTS = frozenset({"id", "snippet", "contentDetails", "status", "statistics", "liveStreamingDetails"})
PARAMETERS = {
    "channels": {"id", "forHandle", "forUsername"},
    "playlistItems": {"playlistId", "pageToken"},
    "videos": {"id"},
}


def answer(world: World, question: Question) -> Reply:
    """Answer one request: the API below /youtube/v3/, else what the site shows without a key."""
    if question.path.startswith(API):
        return _api(world, question, question.path.removeprefix(API))
    if question.path == "/feeds/videos.xml":
        return _feed(world, question)
    holder = world.holder("youtube", question.path.strip("/").removeprefix("user/").removeprefix("@"))
    return _page(holder) if holder is not None else _html("<title>404 Not Found</title>", status=404)


def _api(world: World, question: Question, method: str) -> Reply:
    asked = question.query
    if method not in PARAMETERS:
        return _html("<title>Error 404 (Not Found)!!1</title>", status=404)
    refused = _key_refused(asked.get("key", "")) or _misasked(asked, method)
    if refused is not None:
        return refused
    parts = set(asked["part"].split(","))
    if method == "channels":
        return _channels(world, asked, parts)
    return _videos(world, asked, parts) if method == "videos" else _uploads(world, asked, parts)


def _misasked(asked: Mapping[str, str], method: str) -> Reply | None:
    parts = set(asked.get("part", "").split(","))
    if not parts <= PARTS or asked.get("part", "") == "":
        return _error(400, "unknownPart", f"'{asked.get('part', '')}'", domain="youtube.part")
    unknown = asked.keys() - PARAMETERS[method] - {"key", "part", "maxResults"}
    if unknown:
        return _error(400, "unexpectedParameter", f"{min(unknown)}")
    size = asked.get("maxResults", str(DEFAULT_PAGE))
    if not size.isdigit() or not 0 <= int(size) <= LARGEST_PAGE:
        return _error(400, "invalidParameter", "Invalid value. Values must be within the range: [0, 50]")
    return None


def _key_refused(key: str) -> Reply | None:
    if key == KEY:
        return None
    if not key:
        message = (
            "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity."
        )
        return _error(403, "forbidden", message, domain="global")
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "youtube.googleapis.com"},
    }
    message = "API key not valid. Please pass a valid API key."
    return _error(400, "badRequest", message, domain="global", details=[detail])


def _error(
    status: int, reason: str, message: str, *, domain: str = "youtube.parameter", details: Sequence[Any] = ()
) -> Reply:
    error: dict[str, Any] = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": domain, "reason": reason}],
    }
    return as_json({"error": error | ({"details": list(details)} if details else {})}, status=status)


def _html(inside: str, *, status: int = 200) -> Reply:
    page = f"<!DOCTYPE html><html lang=en><head>{inside}</head><body></body></html>"
    return Reply(status=status, body=page.encode(), headers={"content-type": "text/html; charset=utf-8"})


def _list(kind: str, items: Sequence[Mapping[str, Any]], *, total: int, **more: str) -> Reply:
    """Google leaves the items of an empty answer to channels.list out."""
    listed = {"items": list(items)} if items or kind != "channel" else {}
    content = {
        "kind": f"youtube#{kind}ListResponse",
        **more,
        "pageInfo": {"totalResults": total, "resultsPerPage": len(items)},
        **listed,
    }
    return as_json({**content, "etag": hashlib.sha256(json.dumps(content).encode()).hexdigest()[:27]})


def _channels(world: World, asked: Mapping[str, str], parts: set[str]) -> Reply:
    filters = asked.keys() & {"id", "forHandle", "forUsername"}
    if len(filters) != 1:
        return _error(
            400, "missingRequiredParameter", "No filter selected. Expected one of: id, forHandle, forUsername"
        )
    names = asked["id"].split(",") if "id" in asked else [asked[filters.pop()].removeprefix("@")]
    if len(names) > LARGEST_PAGE:
        return _error(400, "invalidParameter", "id: too many values")
    holders = [world.holder("youtube", name) for name in names]
    found = [_channel(world, one, parts) for one in holders if one is not None and not one.abandoned]
    return _list("channel", found, total=len(found))


def _channel(world: World, holder: Holder, parts: set[str]) -> dict[str, Any]:
    picture = {"default": {"url": holder.picture_url, "width": 88, "height": 88}}
    whole = {
        "snippet": {
            "title": holder.name,
            "description": holder.bio,
            "customUrl": f"@{holder.handle}",
            "publishedAt": "2012-05-01T00:00:00Z",
            "thumbnails": picture if holder.picture_url else {},
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": _uploads_of(holder)}},
        "statistics": {"videoCount": str(len(world.timeline("youtube", holder.native_id)))},
    }
    return {"kind": "youtube#channel", "id": holder.native_id, **_only(whole, parts)}


def _only(item: Mapping[str, Any], parts: set[str]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key in parts}


def _uploads_of(holder: Holder) -> str:
    return f"UU{holder.native_id[2:]}"


def _uploads(world: World, asked: Mapping[str, str], parts: set[str]) -> Reply:
    playlist, token = asked.get("playlistId", ""), asked.get("pageToken", "")
    holder = world.holder("youtube", f"UC{playlist[2:]}") if playlist.startswith("UU") else None
    posts = world.timeline("youtube", holder.native_id) if holder is not None else []
    if holder is None or not posts:  # a channel without a video has no list of uploads
        message = "The playlist identified with the request's <code>playlistId</code> parameter cannot be found."
        return _error(404, "playlistNotFound", message, domain="youtube.playlistItem")
    if token and not token.removeprefix("EAAaB").isdigit():
        return _error(400, "invalidPageToken", "The request specifies an invalid page token.")
    size = int(asked.get("maxResults", DEFAULT_PAGE))
    begin = int(token.removeprefix("EAAaB") or 0)
    page = posts[begin : begin + min(size, world.page_sizes["youtube"])]
    more = {"nextPageToken": f"EAAaB{begin + len(page)}"} if begin + len(page) < len(posts) else {}
    items = [_item(post, holder, playlist, begin + n, parts) for n, post in enumerate(page)]
    return _list("playlistItem", items, total=len(posts), **more)


def _item(post: Published, holder: Holder, playlist: str, place: int, parts: set[str]) -> dict[str, Any]:
    at = post.at.strftime(FORM)
    whole = {
        "snippet": {
            **_snippet(post, holder),
            "playlistId": playlist,
            "position": place,
            "resourceId": {"kind": "youtube#video", "videoId": post.native_id},
        },
        "contentDetails": {"videoId": post.native_id, "videoPublishedAt": at},
        "status": {"privacyStatus": "public"},
    }
    return {"kind": "youtube#playlistItem", "id": f"VVU{place}{post.native_id}", **_only(whole, parts)}


def _videos(world: World, asked: Mapping[str, str], parts: set[str]) -> Reply:
    ids = [one for one in asked.get("id", "").split(",") if one]
    if not ids:
        return _error(400, "missingRequiredParameter", "No filter selected. Expected one of: id, chart, myRating")
    if len(ids) > LARGEST_PAGE:
        return _error(400, "invalidFilters", "The request specifies an invalid filter parameter: id")
    posts = [post for one in ids if (post := world.find("youtube", one)) is not None]
    items = [_video(post, world.holder("youtube", post.owner), parts) for post in posts]
    return _list("video", items, total=len(items))


def _video(post: Published, holder: Holder | None, parts: set[str]) -> dict[str, Any]:
    language = {"defaultLanguage": post.language, "liveBroadcastContent": "none", "categoryId": "25"}
    whole = {
        "snippet": {**_snippet(post, holder), **language},
        "status": {"uploadStatus": "processed", "privacyStatus": "public", "embeddable": True},
    }
    return {"kind": "youtube#video", "id": post.native_id, **_only(whole, parts)}


def _snippet(post: Published, holder: Holder | None) -> dict[str, Any]:
    title, description = words(post)
    sizes = zip(("high",), _pictures(post), strict=False)
    return {
        "publishedAt": post.at.strftime(FORM),
        "channelId": post.owner,
        "title": title,
        "description": description,
        "thumbnails": {size: {"url": url, "width": 480, "height": 360} for size, url in sizes},
        "channelTitle": holder.name if holder else "",
    }


def words(post: Published) -> tuple[str, str]:
    """Return title and description: a title is one line of a hundred characters at most."""
    first, _, rest = post.latest.text.partition("\n")
    title, over = first[:100], first[100:]
    return title, "\n".join(filter(None, (over, rest, *post.links)))


def _pictures(post: Published) -> list[str]:
    """Return the thumbnail. Only what was published with one has it: nothing here leads out of the machine."""
    return [one.url for one in post.media if one.kind is MediaKind.PICTURE][:1]


def _page(holder: Holder) -> Reply:
    feed = f"https://www.youtube.com/feeds/videos.xml?channel_id={holder.native_id}"
    return _html(
        f'<title>{escape(holder.name)} - YouTube</title><meta itemprop="identifier" content="{holder.native_id}">'
        f'<link rel="alternate" type="application/rss+xml" title="RSS" href="{feed}">'
        f'<link rel="canonical" href="https://www.youtube.com/channel/{holder.native_id}">'
        f'<script>var data = {{"vanityChannelUrl":"http://www.youtube.com/@{holder.handle}"}};</script>'
    )


def _feed(world: World, question: Question) -> Reply:
    holder = world.holder("youtube", question.query.get("channel_id", ""))
    if holder is None or holder.abandoned:
        return _html("<title>Error 404 (Not Found)!!1</title>", status=404)
    shown = world.timeline("youtube", holder.native_id)[: min(FEED_SIZE, world.page_sizes["youtube"])]
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns:media="http://search.yahoo.com/mrss/"'
        ' xmlns="http://www.w3.org/2005/Atom">'
        f"<id>yt:channel:{holder.native_id[2:]}</id><yt:channelId>{holder.native_id}</yt:channelId>"
        f"<title>{escape(holder.name)}</title>{''.join(map(_entry, shown))}</feed>"
    )
    return Reply(body=body.encode(), headers={"content-type": "text/xml; charset=UTF-8"})


def _entry(post: Published) -> str:
    title, description = words(post)
    pictures = "".join(f'<media:thumbnail url="{escape(url)}" width="480" height="360"/>' for url in _pictures(post))
    return (
        f"<entry><id>yt:video:{post.native_id}</id><yt:videoId>{post.native_id}</yt:videoId>"
        f"<yt:channelId>{post.owner}</yt:channelId><title>{escape(title)}</title>"
        f'<link rel="alternate" href="https://www.youtube.com/watch?v={post.native_id}"/>'
        f"<published>{post.at.isoformat()}</published><updated>{post.latest.at.isoformat()}</updated>"
        f"<media:group><media:title>{escape(title)}</media:title>"
        f"{pictures}"
        f"<media:description>{escape(description)}</media:description></media:group></entry>"
    )
