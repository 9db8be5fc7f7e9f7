"""Instagram's part of the Graph API as the sandbox speaks it: business discovery, own media, objects by id.

The token's own account is whichever has the handle OWN; others are shown by discovery alone, and only what discovery
shows: their media cannot be read by id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from connectors.sandbox.graph_twin import FORM, Entered, enter, error, field_names, nonexisting, ok, only, unknown
from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

OWN = "pantau.sandbox"
OWN_ID = "17841400000000001"  # where the world has no such account
LARGEST_PAGE = 100
USAGE = '{"17841400000000001":[{"type":"instagram","call_count":3,"total_cputime":1,"total_time":2}]}'
NAMES = "id,ig_id,username,name,biography,website,profile_picture_url,media_count,media,followers_count"
USER_FIELDS = frozenset(field_names(NAMES))
MEDIA = (
    "id,caption,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username,alt_text,children"
)
MEDIA_FIELDS = frozenset(field_names(MEDIA)) | {"like_count", "comments_count", "owner"}
DISCOVERY = re.compile(r"business_discovery\.username\(([^(){}]+)\)\{(.*)\}", re.DOTALL)
EDGE = re.compile(r"media((?:\.\w+\([^()]*\))*)\{((?:[^{}]|\{[^{}]*\})*)\}")


def answer(world: World, question: Question) -> Reply:
    """Answer one request as the Graph API would."""
    entered = enter(question)
    return entered if isinstance(entered, Reply) else _answer(world, question, entered)


def _answer(world: World, question: Question, entered: Entered) -> Reply:
    if not entered.path:
        return _many(world, question)
    if entered.path == "me/accounts":
        linked = {"id": _own_id(world), "username": OWN}
        page = {"id": "100000000000001", "instagram_business_account": linked}
        return _ok({"data": [page], "paging": {"cursors": {"before": "a", "after": "b"}}})
    if entered.path == "debug_token":
        return _ok(
            {"data": {"is_valid": True, "expires_at": 0, "scopes": ["instagram_basic", "pages_read_engagement"]}}
        )
    name, _, edge = entered.path.partition("/")
    if edge:
        return _edge(world, question, entered, name, edge)
    found = DISCOVERY.fullmatch(question.query.get("fields", ""))
    if found and name == _own_id(world):
        return _discovery(world, found[1], found[2])
    return _one(world, question, name)


def _ok(content: Any) -> Reply:
    return ok(content, business=USAGE)


def _own_id(world: World) -> str:
    holder = world.holder("instagram", OWN)
    return holder.native_id if holder else OWN_ID


def _discovery(world: World, username: str, fields: str) -> Reply:
    holder = world.holder("instagram", username)
    if holder is None or holder.handle.casefold() != username.casefold():
        return error(110, "Invalid user id", subcode=2207013)
    names = field_names(fields)
    if unknown_field := next((name for name in names if name not in USER_FIELDS), ""):
        return nonexisting(unknown_field, "ShadowIGUser")
    shown = only(_user(world, holder), {"id", *names}.__contains__)
    if "media" in names:
        media = _discovered_media(world, holder, fields)
        if isinstance(media, Reply):
            return media
        shown |= {"media": media} if media["data"] else {}
    return _ok({"business_discovery": shown, "id": _own_id(world)})


def _discovered_media(world: World, holder: Holder, fields: str) -> dict[str, Any] | Reply:
    edge = EDGE.search(fields)
    options = dict(re.findall(r"\.(\w+)\(([^()]*)\)", edge[1])) if edge else {}
    names = field_names(edge[2]) if edge else ("id",)
    if any(name not in MEDIA_FIELDS for name in names):
        return error(100, "(#100) Please read documentation for supported fields.")
    begin, end, posts = _page(world, holder, options)
    cursors = ({"before": str(begin)} if begin else {}) | ({"after": str(end)} if end < len(posts) else {})
    data = [only(_media(post, holder), {"id", *names}.__contains__) for post in posts[begin:end]]
    return {"data": data, "paging": {"cursors": cursors}}  # discovery gives no address of the next page


def _page(world: World, holder: Holder, options: Mapping[str, str]) -> tuple[int, int, Sequence[Published]]:
    since, until = (int(options.get(key) or 0) for key in ("since", "until"))
    posts = [
        post
        for post in world.timeline("instagram", holder.native_id)
        if post.at.timestamp() >= since and (not until or post.at.timestamp() <= until)
    ]
    begin = int(options.get("after") or 0)
    size = min(int(options.get("limit") or 25), LARGEST_PAGE, world.page_sizes["instagram"])
    return begin, min(begin + size, len(posts)), posts


def _edge(world: World, question: Question, entered: Entered, name: str, edge: str) -> Reply:
    holder = world.holder("instagram", name)
    if holder is None or holder.native_id != _own_id(world):
        return unknown(name)
    if edge != "media":
        return nonexisting(edge, "IGUser")
    begin, end, posts = _page(world, holder, question.query)
    asked = {"id", *field_names(question.query.get("fields", "id"))}.__contains__
    content: dict[str, Any] = {"data": [only(_media(post, holder), asked) for post in posts[begin:end]]}
    if content["data"]:
        content["paging"] = {"cursors": {"before": str(begin), "after": str(end)}}
    if end < len(posts):  # the address carries the token, as the real one does
        again = urlencode({**question.query, "after": str(end)})
        content["paging"]["next"] = f"{question.base_url}/{entered.version}/{name}/media?{again}"
    return _ok(content)


def _one(world: World, question: Question, name: str) -> Reply:
    found = _object(world, name)
    if found is None:
        return unknown(name)
    item, allowed, kind = found
    names = field_names(question.query.get("fields", "id"))
    if unknown_field := next((one for one in names if one not in allowed), ""):
        return nonexisting(unknown_field, kind)
    return _ok(only(item, {"id", *names}.__contains__))


def _many(world: World, question: Question) -> Reply:
    names = [name for name in question.query.get("ids", "").split(",") if name]
    if not names:
        return error(100, "(#100) The parameter ids is required")
    replies = {name: _object(world, name) for name in names}
    if missing := next((name for name, found in replies.items() if found is None), ""):
        return unknown(missing)
    asked: Callable[[str], bool] = {"id", *field_names(question.query.get("fields", "id"))}.__contains__
    return _ok({name: only(found[0], asked) for name, found in replies.items() if found})


def _object(world: World, name: str) -> tuple[dict[str, Any], frozenset[str], str] | None:
    """Return what may be read by id: the own account and its media."""
    own = world.holder("instagram", OWN)
    if name == _own_id(world):
        return (_user(world, own) if own else {"id": OWN_ID, "username": OWN}), USER_FIELDS, "IGUser"
    post = world.find("instagram", name)
    if own is not None and post is not None and post.owner == own.native_id:
        return _media(post, own), MEDIA_FIELDS, "IGMedia"
    return None


def _user(world: World, holder: Holder) -> dict[str, Any]:
    item: dict[str, Any] = {"id": holder.native_id, "username": holder.handle, "name": holder.name}
    item |= {"biography": holder.bio} if holder.bio else {}
    item |= {"profile_picture_url": holder.picture_url} if holder.picture_url else {}
    return item | {"media_count": len(world.timeline("instagram", holder.native_id))}


def _media(post: Published, holder: Holder) -> dict[str, Any]:
    files = [_file(post, number, media) for number, media in enumerate(post.media)]
    item: dict[str, Any] = {
        "id": post.native_id,
        "caption": _caption(post),
        "media_product_type": "FEED",
        "media_type": "IMAGE",
        "media_url": f"https://scontent.example.my/{post.native_id}.jpg?oh=1",
        "permalink": f"https://www.instagram.com/p/{post.native_id}/",
        "timestamp": post.at.strftime(FORM),
        "username": holder.handle,
    }
    if len(files) > 1:
        return {**item, "media_type": "CAROUSEL_ALBUM", "media_url": files[0]["media_url"], "children": {"data": files}}
    return {**item, **files[0], "id": post.native_id} if files else item


def _caption(post: Published) -> str:
    """Instagram marks no links: they stand in the caption."""
    unseen = [link for link in post.links if link not in post.latest.text]
    return "\n".join([post.latest.text, *unseen])


def _file(post: Published, number: int, media: Media) -> dict[str, Any]:
    kind = "VIDEO" if media.kind is MediaKind.VIDEO else "IMAGE"
    item = {"id": f"{post.native_id}{number:02}", "media_type": kind, "media_url": media.url}
    item |= {"thumbnail_url": f"{media.url}.jpg"} if kind == "VIDEO" else {}
    return item | ({"alt_text": media.text} if media.text else {})
