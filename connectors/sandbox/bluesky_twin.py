"""Bluesky as the sandbox speaks it: an AppView with its views, and a PDS that holds records and knows no app.bsky.*.

An account that was abandoned is a deactivated one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors.sandbox.reply import Question, Reply, as_json
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

LARGEST_PAGE = 100
POSTS_PER_CALL = 25
BUDGET = 3000
POST, PROFILE = "app.bsky.feed.post", "app.bsky.actor.profile"
FILTERS = ("posts_with_replies", "posts_no_replies", "posts_with_media", "posts_and_author_threads", "posts_with_video")


def answer(world: World, question: Question) -> Reply:
    """Answer one request as an AppView would."""
    return _limited(_of_appview(world, question), question)


def answer_plain(world: World, question: Question) -> Reply:
    """Answer one request as a PDS without an AppView would."""
    return _limited(_of_pds(world, question), question)


def _limited(reply: Reply, question: Question) -> Reply:
    reset = str(int(question.now.timestamp()) // 300 * 300 + 300)
    limits = {"ratelimit-limit": str(BUDGET), "ratelimit-remaining": str(BUDGET - 1), "ratelimit-reset": reset}
    return Reply(status=reply.status, body=reply.body, headers={**reply.headers, **limits})


def _error(name: str, message: str, *, status: int = 400) -> Reply:
    return as_json({"error": name, "message": message}, status=status)


def _size(question: Question, world: World) -> int | Reply:
    text = question.query.get("limit", "50")
    if not text.isdigit() or int(text) < 1:
        return _error("InvalidRequest", f"Error: Params must have the property limit as an integer, got {text}")
    if int(text) > LARGEST_PAGE:
        return _error("InvalidRequest", "Error: limit can not be greater than 100")
    return min(int(text), world.page_sizes["bluesky"])


# ---------------------------------------------------------------- the AppView


def _of_appview(world: World, question: Question) -> Reply:
    method = question.path.removeprefix("/xrpc/")
    if method == "_health":
        return as_json({"version": "sandbox"})
    if method not in METHODS:
        return _error("MethodNotImplemented", "Method Not Implemented", status=501)
    return METHODS[method](world, question)


def _actor(world: World, question: Question) -> Holder | Reply:
    name = question.query.get("actor", "")
    if not name:
        return _error("InvalidRequest", 'Error: Params must have the property "actor"')
    holder = world.holder("bluesky", name)
    if holder is None:
        return _error("InvalidRequest", "Profile not found")
    return _error("AccountDeactivated", "Account is deactivated") if holder.abandoned else holder


def _profile(world: World, question: Question) -> Reply:
    holder = _actor(world, question)
    if isinstance(holder, Reply):
        return holder
    count = len(world.timeline("bluesky", holder.native_id))
    return as_json(
        {**_author(holder), "description": holder.bio, "postsCount": count, "indexedAt": "2023-04-01T00:00:00Z"}
    )


def _profiles(world: World, question: Question) -> Reply:
    asked = question.every.get("actors", ())
    if not 1 <= len(asked) <= POSTS_PER_CALL:
        return _error("InvalidRequest", "Error: actors must not have more than 25 elements")
    found = [holder for name in asked if (holder := world.holder("bluesky", name)) is not None]
    shown = [{**_author(holder), "description": holder.bio} for holder in found if not holder.abandoned]
    return as_json({"profiles": shown})


def _author(holder: Holder) -> dict[str, Any]:
    item = {"did": holder.native_id, "handle": holder.handle, "displayName": holder.name, "labels": []}
    return item | ({"avatar": holder.picture_url} if holder.picture_url else {})


def _feed(world: World, question: Question) -> Reply:
    holder, size = _actor(world, question), _size(question, world)
    if isinstance(holder, Reply):  # of a deactivated account the feed says no more than of one that never was
        return _error("InvalidRequest", "Profile not found")
    if isinstance(size, Reply):
        return size
    if question.query.get("filter", FILTERS[0]) not in FILTERS:
        return _error("InvalidRequest", f"Error: filter must be one of ({'|'.join(FILTERS)})")
    cursor = question.query.get("cursor", "")
    shown = [post for post in world.timeline("bluesky", holder.native_id) if not cursor or _place(post) < cursor][:size]
    content: dict[str, Any] = {"feed": [{"post": _view(post, holder)} for post in shown]}
    return as_json(content | ({"cursor": _place(shown[-1])} if shown else {}))


def _place(post: Published) -> str:
    return f"{post.at:%Y-%m-%dT%H:%M:%S.%fZ}::{_key(post)}"


def _posts(world: World, question: Question) -> Reply:
    asked = question.every.get("uris", ())
    if not 1 <= len(asked) <= POSTS_PER_CALL:
        return _error("InvalidRequest", "Error: uris must not have more than 25 elements")
    found = [post for uri in asked if (post := world.find("bluesky", uri)) is not None]
    holders = {post.owner: world.holder("bluesky", post.owner) for post in found}
    shown = [(post, holders[post.owner]) for post in found]
    return as_json({"posts": [_view(post, owner) for post, owner in shown if owner and not owner.abandoned]})


def _view(post: Published, holder: Holder) -> dict[str, Any]:
    item: dict[str, Any] = {
        "uri": post.native_id,
        "cid": _cid(post),
        "author": _author(holder),
        "record": _signed(post),
        "replyCount": 0,
        "repostCount": 0,
        "likeCount": 0,
        "quoteCount": 0,
        "indexedAt": _form(post),
        "labels": [],
    }
    pictures = [one for one in post.media if one.kind is MediaKind.PICTURE]
    if pictures:
        shown = [{"thumb": one.url, "fullsize": one.url, "alt": one.text} for one in pictures]
        item["embed"] = {"$type": "app.bsky.embed.images#view", "images": shown}
    elif post.media:
        first = post.media[0]
        item["embed"] = {
            "$type": "app.bsky.embed.video#view",
            "cid": _blob(first),
            "playlist": first.url,
            "alt": first.text,
        }
    return item


# ---------------------------------------------------------------- the PDS


def _of_pds(world: World, question: Question) -> Reply:
    method = question.path.removeprefix("/xrpc/")
    if method == "_health":
        return as_json({"version": "sandbox"})
    if method == "com.atproto.identity.resolveHandle":
        holder = world.holder("bluesky", question.query.get("handle", ""))
        known = holder is not None and not holder.abandoned
        return (
            as_json({"did": holder.native_id})
            if holder and known
            else _error("InvalidRequest", "Unable to resolve handle")
        )
    if method == "com.atproto.repo.describeRepo":
        return _described(world, question)
    if method == "com.atproto.repo.listRecords":
        return _listed(world, question)
    if method == "com.atproto.repo.getRecord":
        return _record(world, question)
    return _error("InvalidRequest", f"No service configured for {method}")


def _described(world: World, question: Question) -> Reply:
    did = question.query.get("repo", "")
    holder = world.holder("bluesky", did)
    if holder is None:
        return _error("RepoNotFound", f"Could not find repo for DID: {did}")
    if holder.abandoned:
        return _error("RepoDeactivated", f"Repo has been deactivated: {did}")
    named = {"handle": holder.handle, "did": holder.native_id, "didDoc": {"id": holder.native_id}}
    return as_json({**named, "collections": [PROFILE, POST], "handleIsCorrect": True})


def _listed(world: World, question: Question) -> Reply:
    holder, size = world.holder("bluesky", question.query.get("repo", "")), _size(question, world)
    if holder is None or holder.abandoned:
        return _error("InvalidRequest", f"Could not find repo: {question.query.get('repo', '')}")
    if isinstance(size, Reply):  # the real one breaks on a limit of its own
        return _error("InternalServerError", "Internal Server Error", status=500)
    posts = world.timeline("bluesky", holder.native_id) if question.query.get("collection") == POST else []
    posts = sorted(posts, key=_key, reverse=True)
    cursor = question.query.get("cursor", "")
    shown = [post for post in posts if not cursor or _key(post) < cursor][:size]
    content: dict[str, Any] = {"records": [_item(post) for post in shown]}
    return as_json(content | ({"cursor": _key(shown[-1])} if shown else {}))


def _record(world: World, question: Question) -> Reply:
    repo, collection, key = (question.query.get(name, "") for name in ("repo", "collection", "rkey"))
    uri, holder = f"at://{repo}/{collection}/{key}", world.holder("bluesky", repo)
    if holder is None or holder.abandoned:
        return _error("InvalidRequest", "Could not locate record")
    if (collection, key) == (PROFILE, "self"):
        value = {"$type": PROFILE, "displayName": holder.name, "description": holder.bio}
        return as_json({"uri": uri, "cid": _hashed(holder.name), "value": value})
    post = world.find("bluesky", uri)
    return as_json(_item(post)) if post else _error("RecordNotFound", f"Could not locate record: {uri}")


def _item(post: Published) -> dict[str, Any]:
    return {"uri": post.native_id, "cid": _cid(post), "value": _signed(post)}


# ---------------------------------------------------------------- what an account signed


def _signed(post: Published) -> dict[str, Any]:
    text = post.latest.text
    record: dict[str, Any] = {"$type": POST, "text": text, "createdAt": _form(post), "langs": [post.language]}
    if post.links:
        whole = {"byteStart": 0, "byteEnd": len(text.encode())}
        links = [{"$type": "app.bsky.richtext.facet#link", "uri": link} for link in post.links]
        record["facets"] = [{"index": whole, "features": links}]
    if images := [_image(one) for one in post.media if one.kind is MediaKind.PICTURE]:
        record["embed"] = {"$type": "app.bsky.embed.images", "images": images}
    elif post.media:
        video = {"$type": "blob", "ref": {"$link": _blob(post.media[0])}, "mimeType": "video/mp4", "size": 1}
        record["embed"] = {"$type": "app.bsky.embed.video", "video": video, "alt": post.media[0].text}
    return record


def _image(media: Media) -> dict[str, Any]:
    blob = {"$type": "blob", "ref": {"$link": _blob(media)}, "mimeType": "image/png", "size": 1}
    return {"alt": media.text, "image": blob}


def _form(post: Published) -> str:
    return f"{post.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _key(post: Published) -> str:
    return post.native_id.rpartition("/")[2]


def _cid(post: Published) -> str:
    return _hashed(post.latest.text, *post.links, *(one.url for one in post.media))


def _blob(media: Media) -> str:
    return _hashed(media.url).replace("bafyrei", "bafkrei")


def _hashed(*parts: str) -> str:
    digest = base64.b32encode(hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest()).decode()
    return f"bafyrei{re.sub('=', '', digest).lower()}"


METHODS: Mapping[str, Callable[[World, Question], Reply]] = {
    "app.bsky.actor.getProfile": _profile,
    "app.bsky.actor.getProfiles": _profiles,
    "app.bsky.feed.getAuthorFeed": _feed,
    "app.bsky.feed.getPosts": _posts,
    "com.atproto.repo.getRecord": _record,
}
