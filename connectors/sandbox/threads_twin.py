"""The Threads API as the sandbox speaks it: the token's own profile with replies, others by discovery.

The token's own profile is whichever has the handle OWN. A post whose text begins with "@name " answers somebody.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.sandbox.graph_twin import FORM, enter, error, field_names, nonexisting, ok, only, unknown
from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

OWN = "pantau.sandbox"
OWN_ID = "31000000000000001"  # where the world has no such profile
LARGEST_PAGE = 100
BEGAN = 1_688_540_400  # Threads: `since` takes nothing earlier
ATTACHED = "alt_text,link_attachment_url,gif_url,poll_attachment,topic_tag,text_attachment,text_entities"
TOLD = "media_product_type,media_type,media_url,permalink,username,text,timestamp,shortcode,thumbnail_url,children"
RELATED = "is_quote_post,quoted_post,reposted_post,is_reply,replied_to,root_post,has_replies"
POST_FIELDS = frozenset(field_names(f"id,owner,{TOLD},{ATTACHED},{RELATED}"))
OWN_FIELDS = frozenset(field_names("id,username,name,threads_profile_picture_url,threads_biography,is_verified"))
PROFILE_FIELDS = frozenset(field_names("username,name,profile_picture_url,biography,is_verified,follower_count"))


def answer(world: World, question: Question) -> Reply:
    """Answer one request as the Threads API would."""
    entered = enter(question)
    if isinstance(entered, Reply):
        return entered
    path = entered.path
    if path == "me":
        return _me(world, question)
    if path in {"me/threads", "me/replies"}:
        return _listing(world, question, world.holder("threads", OWN), replies=path == "me/replies")
    if path in {"profile_lookup", "profile_posts"}:
        return _discovered(world, question, path)
    if path == "debug_token":
        return ok({"data": {"is_valid": True, "expires_at": 0, "scopes": ["threads_basic", "threads_read_replies"]}})
    return _one(world, question, path)


def _me(world: World, question: Question) -> Reply:
    own = world.holder("threads", OWN)
    item: dict[str, Any] = {"id": OWN_ID, "username": OWN, "name": "Pantau Sandbox"}
    if own is not None:
        item = {"id": own.native_id, "username": own.handle, "name": own.name, "threads_biography": own.bio}
    return _shown(item, question, OWN_FIELDS, "ThreadsUser")


def _shown(item: dict[str, Any], question: Question, allowed: frozenset[str], kind: str) -> Reply:
    names = field_names(question.query.get("fields", "id"))
    if strange := next((name for name in names if name not in allowed), ""):
        return nonexisting(strange, kind)
    return ok(only(item, {"id", *names}.__contains__))


def _discovered(world: World, question: Question, path: str) -> Reply:
    username = question.query.get("username", "")
    if not username:
        return error(100, "(#100) The parameter username is required")
    holder = world.holder("threads", username)
    if holder is None or holder.handle.casefold() != username.casefold():
        return error(100, "Invalid parameter: the requested user could not be found", subcode=4279009)
    if path == "profile_posts":
        return _listing(world, question, holder, replies=False)
    item = {"username": holder.handle, "name": holder.name, "biography": holder.bio, "follower_count": 1200}
    item |= {"profile_picture_url": holder.picture_url}
    return _shown(item, question, PROFILE_FIELDS, "ThreadsUser")


def _listing(world: World, question: Question, holder: Holder | None, *, replies: bool) -> Reply:
    since, until = (int(question.query.get(key) or 0) for key in ("since", "until"))
    if since and (since < BEGAN or (until and until <= since)):
        return error(100, "(#100) The since parameter is not valid")
    names = field_names(question.query.get("fields", "id"))
    if strange := next((name for name in names if name not in POST_FIELDS), ""):
        return nonexisting(strange, "ThreadsMedia")
    shown = [
        post
        for post in (world.timeline("threads", holder.native_id) if holder else [])
        if _is_reply(post) is replies and post.at.timestamp() >= since and (not until or post.at.timestamp() <= until)
    ]
    begin = int(question.query.get("after") or 0)
    size = min(int(question.query.get("limit") or 25), LARGEST_PAGE, world.page_sizes["threads"])
    data = [only(_post(post, holder), {"id", *names}.__contains__) for post in shown[begin : begin + size]]
    cursors = {"before": str(begin), "after": str(begin + len(data))}  # one at the very end as well, and no `next`
    return ok({"data": data, **({"paging": {"cursors": cursors}} if data else {})})


def _one(world: World, question: Question, name: str) -> Reply:
    post = world.find("threads", name) if re.fullmatch(r"\d+", name) else None
    if post is None:
        return unknown(name)
    return _shown(_post(post, world.holder("threads", post.owner)), question, POST_FIELDS, "ThreadsMedia")


def _is_reply(post: Published) -> bool:
    return re.match(r"@[\w.]+ ", post.latest.text) is not None


def _post(post: Published, holder: Holder | None) -> dict[str, Any]:
    handle = holder.handle if holder else ""
    files = [_file(post, number, media) for number, media in enumerate(post.media)]
    item: dict[str, Any] = {
        "id": post.native_id,
        "media_product_type": "THREADS",
        "media_type": "TEXT_POST",
        "permalink": f"https://www.threads.com/@{handle}/post/{post.native_id}",
        "username": handle,
        "text": post.latest.text,
        "timestamp": post.at.strftime(FORM),
        "shortcode": post.native_id,
        "is_quote_post": False,
        "is_reply": _is_reply(post),
    }
    if post.links:
        item["link_attachment_url"] = post.links[0]
        item["text"] = "\n".join([post.latest.text, *post.links[1:]])
    if len(files) > 1:
        return {**item, "media_type": "CAROUSEL_ALBUM", "children": {"data": files}}
    return {**item, **files[0], "id": post.native_id} if files else item


def _file(post: Published, number: int, media: Media) -> dict[str, Any]:
    kind = "VIDEO" if media.kind is MediaKind.VIDEO else "IMAGE"
    item = {"id": f"{post.native_id}{number:02}", "media_type": kind, "media_url": media.url}
    return item | ({"alt_text": media.text} if media.text else {})
