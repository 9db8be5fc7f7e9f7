"""TikTok's Display API as the sandbox speaks it: an envelope around everything, one account a token, tokens renewed.

TOKEN is that of the account that was opened last; "TOKEN.handle" is that of another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from connectors.sandbox.reply import Question, Reply, as_json
from connectors.sandbox.world import Holder, Published, World
from monitor.model import MediaKind

TOKEN = "sandbox"  # noqa: S105 (the sandbox's own; opens nothing else)
CLIENT_KEY = "sandboxclient"
RENEWED = 7200  # seconds
LARGEST_PAGE = 20
LOG_ID = "20261124SANDBOX0000000000000001"
VIDEO_NAMES = (
    "id create_time cover_image_url share_url video_description duration height width title embed_link like_count"
)
USER_NAMES = (
    "open_id union_id avatar_url avatar_url_100 display_name bio_description profile_deep_link is_verified username"
)


def answer(world: World, question: Question) -> Reply:
    """Answer one request as TikTok would."""
    if question.path == "/v2/oauth/token/":
        return _token(question)
    holder = _consenting(world, question.headers.get("authorization", ""))
    if holder is None:
        return _refusal(401, "access_token_invalid", "The access token is invalid or not found in the request.")
    steps = {"/v2/video/list/": _list, "/v2/video/query/": _query}
    is_user, step = question.path == "/v2/user/info/", steps.get(question.path)
    if question.method != ("GET" if is_user else "POST") or not (is_user or step):
        return Reply(status=404, body=b"Unsupported path(Janus)")
    allowed = (USER_NAMES if is_user else VIDEO_NAMES).split()
    fields = [name for name in question.query.get("fields", "").split(",") if name]
    if not fields or any(name not in allowed for name in fields):
        return _refusal(400, "invalid_params", "Fields is invalid or missing")
    return step(world, holder, _body(question), fields) if step else _user(holder, fields)


def _consenting(world: World, header: str) -> Holder | None:
    """Return whose token it is."""
    kind, _, token = header.partition(" ")
    name, _, handle = token.removeprefix("renewed-").partition(".")
    if kind != "Bearer" or name != TOKEN:
        return None
    return world.holder("tiktok", handle) if handle else world.last_holder("tiktok")


def _refusal(status: int, code: str, message: str) -> Reply:
    return as_json({"data": {}, "error": {"code": code, "message": message, "log_id": LOG_ID}}, status=status)


def _ok(data: Mapping[str, Any]) -> Reply:
    return as_json({"data": data, "error": {"code": "ok", "message": "", "log_id": LOG_ID}})


def _user(holder: Holder, fields: list[str]) -> Reply:
    user = {
        "open_id": holder.native_id,
        "union_id": f"u{holder.native_id}",
        "avatar_url": holder.picture_url,
        "display_name": holder.name,
        "username": holder.handle,
        "bio_description": holder.bio,
    }
    return _ok({"user": {key: value for key, value in user.items() if key in fields}})


def _body(question: Question) -> dict[str, Any]:
    try:
        body = json.loads(question.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _list(world: World, holder: Holder, body: Mapping[str, Any], fields: list[str]) -> Reply:
    count, cursor = body.get("max_count", 10), body.get("cursor", 0)
    if not isinstance(count, int) or not 1 <= count <= LARGEST_PAGE or not isinstance(cursor, int):
        return _refusal(400, "invalid_params", "max_count must be between 1 and 20")
    shown = [
        post for post in world.timeline("tiktok", holder.native_id) if not cursor or post.at.timestamp() * 1000 < cursor
    ]
    page = shown[: min(count, world.page_sizes["tiktok"])]
    last = int(page[-1].at.timestamp() * 1000) if page else cursor
    videos = {"videos": [_video(post, holder, fields) for post in page]} if page else {}
    return _ok({**videos, "cursor": last, "has_more": len(page) < len(shown)})


def _query(world: World, holder: Holder, body: Mapping[str, Any], fields: list[str]) -> Reply:
    filters = body.get("filters")
    ids = filters.get("video_ids") if isinstance(filters, dict) else None
    if not isinstance(ids, list) or not 1 <= len(ids) <= LARGEST_PAGE:
        return _refusal(400, "invalid_params", "video_ids must hold between 1 and 20 ids")
    found = [world.find("tiktok", str(one)) for one in ids]
    mine = [post for post in found if post is not None and post.owner == holder.native_id]
    return _ok({"videos": [_video(post, holder, fields) for post in mine]})


def _video(post: Published, holder: Holder, fields: list[str]) -> dict[str, Any]:
    text = " ".join([post.latest.text, *(link for link in post.links if link not in post.latest.text)])
    covers = [media.url for media in post.media if media.kind is MediaKind.PICTURE]
    share = f"https://www.tiktok.com/@{holder.handle}/video/{post.native_id}"
    item = {
        "id": post.native_id,
        "create_time": int(post.at.timestamp()),
        "title": text,
        "video_description": text,
        "duration": 15,
        "share_url": f"{share}?utm_campaign=tt4d_open_api&utm_source={CLIENT_KEY}",
        "cover_image_url": covers[0] if covers else f"https://p16-sign.example.my/{post.native_id}~c5.jpeg?x-expires=1",
        "like_count": 3,
    }
    return {key: value for key, value in item.items() if key in fields}


def _token(question: Question) -> Reply:
    """Renew: "rft.<number>.<handle>" becomes "rft.<number + 1>.<handle>". Which ones are dead is not remembered."""
    form = {key: values[-1] for key, values in parse_qs(question.body.decode()).items()}
    if form.get("client_key") != CLIENT_KEY or form.get("client_secret") != TOKEN:
        return as_json(
            {"error": "invalid_client", "error_description": "Client key or secret is incorrect."}, status=401
        )
    old = re.fullmatch(r"rft\.(\d+)\.(.*)", form.get("refresh_token", ""))
    if form.get("grant_type") != "refresh_token" or old is None:
        told = {"error": "invalid_grant", "error_description": "Refresh token is invalid or expired.", "log_id": LOG_ID}
        return as_json(told, status=400)
    handle = f".{old[2]}" if old[2] else ""
    return as_json(
        {
            "access_token": f"renewed-{TOKEN}{handle}",
            "expires_in": RENEWED,
            "open_id": "0",
            "refresh_expires_in": 15552000,
            "refresh_token": f"rft.{int(old[1]) + 1}.{old[2]}",
            "scope": "user.info.basic,user.info.profile,video.list",
            "token_type": "Bearer",
        }
    )
