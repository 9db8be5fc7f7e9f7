"""Facebook's Graph API as the sandbox speaks it: pages, their posts, objects by id, and its way to say no."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from connectors.sandbox.graph_twin import FORM, TOKEN, enter, error, fields_of, ok, only, unknown
from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

LARGEST_PAGE = 100
MOST_IDS = 50  # of one call


def answer(world: World, question: Question) -> Reply:
    """Answer one request as the Graph API would."""
    if question.method == "POST":
        form = dict(parse_qsl(question.body.decode()))
        question = replace(question, query={**question.query, **form})
    entered = enter(question)
    return entered if isinstance(entered, Reply) else _answer(world, question, entered.version, entered.path)


def _answer(world: World, question: Question, version: str, path: str) -> Reply:
    if not path and "batch" in question.query:
        return _batch(world, question, version)
    if not path:
        return _many(world, question, version)
    if path == "debug_token":
        return _debug_token(question)
    if path == "me":
        return ok({"id": "100000000000001", "name": "Pantau Sandbox"})
    name, _, edge = path.partition("/")
    return _edge(world, question, version, name, edge) if edge else _one(world, question, version, name)


def _edge(world: World, question: Question, version: str, name: str, edge: str) -> Reply:
    holder = world.holder("facebook", name)
    if holder is None:
        return unknown(name)
    if edge == "published_posts":
        return _published_posts(world, question, version, holder)
    return error(100, f"Tried accessing nonexisting field ({edge}) on node type (Page)", kind="OAuthException")


def _object(world: World, question: Question, version: str, name: str) -> dict[str, Any] | None:
    asked = fields_of(question)
    if (holder := world.holder("facebook", name)) is not None:
        return only(_page(holder), asked) | _expanded(world, question, version, holder)
    if (post := world.find("facebook", name)) is not None:
        owner = world.holder("facebook", post.owner)
        return only(_post(post, owner), asked)
    return None


def _expanded(world: World, question: Question, version: str, holder: Holder) -> dict[str, Any]:
    """Return a page's posts as a field of the page; the API leaves an edge out where it is empty."""
    begins = re.search(r"(?:^|,)published_posts((?:\.\w+\(\d+\))*)(\{?)", question.query.get("fields", ""))
    if begins is None:
        return {}
    asked = dict(re.findall(r"\.(\w+)\((\d+)\)", begins[1]))
    if begins[2]:
        asked["fields"] = _braced(question.query["fields"][begins.end() :])
    token = {"access_token": question.query["access_token"]}
    listing = _listing(world, replace(question, query={**token, **asked}), version, holder)
    return {"published_posts": listing} if listing["data"] else {}


def _braced(text: str) -> str:
    """Return what stands before the brace that closes."""
    depth = 1
    for place, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if not depth:
            return text[:place]
    return text


def _one(world: World, question: Question, version: str, name: str) -> Reply:
    found = _object(world, question, version, name)
    return unknown(name) if found is None else ok(found)


def _many(world: World, question: Question, version: str) -> Reply:
    names = [name for name in question.query.get("ids", "").split(",") if name]
    if not names:
        return error(100, "(#100) The parameter ids is required", kind="OAuthException")
    if len(names) > MOST_IDS:
        return error(100, f"(#100) Too many IDs. Maximum: {MOST_IDS}. Provided: {len(names)}.", kind="OAuthException")
    found = {name: _object(world, question, version, name) for name in names}
    for name, item in found.items():
        if item is None:
            return unknown(name)
    return ok(found)


def _batch(world: World, question: Question, version: str) -> Reply:
    """Answer several questions in one call, each as if it had come alone."""
    asked = json.loads(question.query["batch"])
    if len(asked) > MOST_IDS:
        message = f"Too many requests in batch message. Maximum batch size is {MOST_IDS}"
        return error(0, message, kind="GraphBatchException")
    return ok([_batched(world, question, version, one["relative_url"]) for one in asked])


def _batched(world: World, question: Question, version: str, relative: str) -> dict[str, Any]:
    path, _, query = relative.partition("?")
    token = {"access_token": question.query["access_token"]}
    reply = _answer(world, replace(question, query={**token, **dict(parse_qsl(query))}), version, path.strip("/"))
    headers = [{"name": name, "value": value} for name, value in reply.headers.items()]
    return {"code": reply.status, "headers": headers, "body": reply.body.decode()}


def _published_posts(world: World, question: Question, version: str, holder: Holder) -> Reply:
    return ok(_listing(world, question, version, holder))


def _listing(world: World, question: Question, version: str, holder: Holder) -> dict[str, Any]:
    limit = min(int(question.query.get("limit", "25")), LARGEST_PAGE, world.page_sizes["facebook"])
    since, until = (int(question.query[key]) if key in question.query else None for key in ("since", "until"))
    shown = [
        post
        for post in world.timeline("facebook", holder.native_id, since=None if since is None else _at(since))
        if (since is None or post.at.timestamp() >= since) and (until is None or post.at.timestamp() <= until)
    ]
    begin = int(question.query.get("after") or 0)
    page = shown[begin : begin + limit]
    asked = fields_of(question)
    content: dict[str, Any] = {"data": [only(_post(post, holder), asked) for post in page]}
    if page:
        content["paging"] = _paging(question, version, holder, begin, begin + len(page), len(shown))
    return content


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _paging(question: Question, version: str, holder: Holder, begin: int, end: int, total: int) -> dict[str, Any]:
    paging: dict[str, Any] = {"cursors": {"before": str(begin), "after": str(end)}}
    if end < total:  # the address carries the token, as the real one does
        again = urlencode({**question.query, "after": str(end)})
        paging["next"] = f"{question.base_url}/{version}/{holder.native_id}/published_posts?{again}"
    return paging


def _page(holder: Holder) -> dict[str, Any]:
    item: dict[str, Any] = {"id": holder.native_id, "name": holder.name, "username": holder.handle}
    if holder.bio:
        item["about"] = holder.bio
    return item | {"picture": {"data": {"url": holder.picture_url}}}


def _post(post: Published, holder: Holder | None) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": post.native_id,
        "message": post.latest.text,
        "created_time": post.at.strftime(FORM),
        "updated_time": post.latest.at.strftime(FORM),
        "permalink_url": f"https://www.facebook.com/{post.native_id.replace('_', '/posts/')}",
        "from": {"id": post.owner, "name": holder.name if holder else ""},
        "is_published": True,
        "is_hidden": False,
        "status_type": "mobile_status_update",
    }
    if attached := [*map(_attached_media, post.media), *map(_attached_link, post.links)]:
        item["attachments"] = {"data": _grouped(attached)}
    return item


def _grouped(attached: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Several pictures are an album whose own picture is the first one again."""
    photos = [one for one in attached if one["media_type"] == "photo"]
    if len(photos) < 2:
        return list(attached)
    others = [one for one in attached if one["media_type"] != "photo"]
    album = {"media_type": "album", "url": photos[0]["url"], "media": photos[0]["media"]}
    return [{**album, "subattachments": {"data": photos}}, *others]


def _attached_media(media: Media) -> dict[str, Any]:
    words = {"description": media.text} if media.text else {}
    if media.kind is MediaKind.PICTURE:
        page = "https://www.facebook.com/photo.php?fbid=1"
        return {"media_type": "photo", "url": page, "media": {"image": {"src": media.url}}, **words}
    if media.kind is MediaKind.VIDEO:
        return {"media_type": "video", "url": media.url, "media": {"source": media.url}, **words}
    return {"media_type": "file", "url": media.url, "unshimmed_url": media.url, **words}


def _attached_link(link: str) -> dict[str, Any]:
    shim = f"https://l.facebook.com/l.php?{urlencode({'u': link, 'h': 'AT0'})}"
    return {"media_type": "link", "url": shim, "unshimmed_url": link}


def _debug_token(question: Question) -> Reply:
    valid = question.query.get("input_token") == TOKEN
    return ok(
        {
            "data": {
                "app_id": "100000000000009",
                "type": "SYSTEM_USER",
                "application": "Pantau",
                "expires_at": 0,
                "is_valid": valid,
                "scopes": ["pages_read_engagement", "pages_read_user_content"] if valid else [],
            }
        }
    )
