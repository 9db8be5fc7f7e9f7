"""X's API v2 as the sandbox speaks it: users, timelines and posts by id, in the shapes of X's own documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from connectors.sandbox.reply import Question, Reply, as_json
from connectors.sandbox.world import SNOWFLAKE_EPOCH_MS, Holder, Published, Version, World
from monitor.model import Media, MediaKind

TOKEN = "sandbox"  # noqa: S105 (the sandbox's own; opens nothing else)
DEPTH = 3200
FIRST_TIME = datetime(2010, 11, 6, tzinfo=UTC)
SHORT = 280
PROBLEMS = "https://api.twitter.com/2/problems"
BUDGET = 10_000


def answer(world: World, question: Question) -> Reply:
    """Answer one request as X would."""
    reply = _answer(world, question)
    reset = str(int(question.now.timestamp()) // 900 * 900 + 900)
    limits = {"x-rate-limit-limit": str(BUDGET), "x-rate-limit-remaining": str(BUDGET - 1), "x-rate-limit-reset": reset}
    return Reply(status=reply.status, body=reply.body, headers={**reply.headers, **limits})


def _answer(world: World, question: Question) -> Reply:
    if question.headers.get("authorization") != f"Bearer {TOKEN}":
        return _problem(401, "Unauthorized")
    steps = question.path.strip("/").split("/")
    if steps == ["2", "users", "by"]:
        return _users(world, question.query.get("usernames", ""), "usernames")
    if steps == ["2", "users"]:
        return _users(world, question.query.get("ids", ""), "ids")
    if steps == ["2", "tweets"]:
        return _tweets(world, question)
    if len(steps) == 4 and steps[:2] == ["2", "users"] and steps[3] == "tweets":
        return _timeline(world, question, steps[2])
    return _problem(404, "Not Found")


def _problem(status: int, title: str) -> Reply:
    kind = "application/problem+json"
    return as_json({"title": title, "type": "about:blank", "status": status, "detail": title}, status=status, kind=kind)


def _not_found(value: str, parameter: str, kind: str) -> dict[str, str]:
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": f"{PROBLEMS}/resource-not-found",
    }


def _invalid(parameter: str, value: str, message: str) -> Reply:
    problem = {
        "errors": [{"parameters": {parameter: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": f"{PROBLEMS}/invalid-request",
    }
    return as_json(problem, status=400, kind="application/problem+json")


def _users(world: World, asked: str, parameter: str) -> Reply:
    names = [name for name in asked.split(",") if name]
    if not 1 <= len(names) <= 100:
        return _invalid(
            parameter, asked, f"The number of values in the `{parameter}` query parameter list is not 1-100"
        )
    holders = {name: world.holder("x", name) for name in names}
    payload: dict[str, Any] = {}
    if found := [_user(holder) for holder in holders.values() if holder is not None]:
        payload["data"] = found
    if errors := [_not_found(name, parameter, "user") for name, holder in holders.items() if holder is None]:
        payload["errors"] = errors
    return as_json(payload)


def _user(holder: Holder) -> dict[str, Any]:
    return {
        "id": holder.native_id,
        "name": holder.name,
        "username": holder.handle,
        "description": holder.bio,
        "profile_image_url": holder.picture_url,
        "verified": True,
        "protected": False,
    }


def _tweets(world: World, question: Question) -> Reply:
    asked = [one for one in question.query.get("ids", "").split(",") if one]
    if not 1 <= len(asked) <= 100:
        return _invalid("ids", "", "The number of values in the `ids` query parameter list is not 1-100")
    found = {one: world.find("x", one) for one in asked}
    shown = [(post, _version(post, one)) for one, post in found.items() if post is not None]
    payload = _posts(shown)
    if errors := [_not_found(one, "ids", "tweet") for one, post in found.items() if post is None]:
        payload["errors"] = errors
    return as_json(payload)


def _version(post: Published, one: str) -> Version:
    return next(version for version in post.versions if version.id == one)


def _timeline(world: World, question: Question, owner: str) -> Reply:
    holder = world.holder("x", owner)
    if holder is None or holder.native_id != owner:
        return as_json({"errors": [_not_found(owner, "id", "user")]})
    size = question.query.get("max_results", "10")
    if not size.isdigit() or not 5 <= int(size) <= 100:
        message = f"The `max_results` query parameter value [{size}] is not between 5 and 100"
        return _invalid("max_results", size, message)
    if (refused := _wrong_times(question)) is not None:
        return refused
    posts = world.timeline("x", owner)[:DEPTH] if "end_time" in question.query else _newest(world, question, owner)
    shown = sorted(posts, key=lambda post: int(post.latest.id), reverse=True)
    shown = [post for post in shown if _is_wanted(post, question)]
    begin = int(question.query.get("pagination_token") or 0)
    page = shown[begin : begin + min(int(size), world.page_sizes["x"])]
    following = begin + len(page) if begin + len(page) < len(shown) else 0
    payload = _posts([(post, post.latest) for post in page])
    payload["meta"] = _meta(page, begin, following)
    return as_json(payload)


def _newest(world: World, question: Question, owner: str) -> list[Published]:
    return world.timeline("x", owner, since=_from(question))[:DEPTH]


def _wrong_times(question: Question) -> Reply | None:
    """Refuse bounds that X refuses: from before its time, of the last ten seconds, or the wrong way round."""
    given = {key: question.query[key] for key in ("start_time", "end_time") if key in question.query}
    try:
        moments = {key: datetime.fromisoformat(value) for key, value in given.items()}
    except ValueError:
        return _invalid(*next(iter(given.items())), "is not a valid RFC3339 date-time")
    start, end = moments.get("start_time"), moments.get("end_time")
    if start is not None and start < FIRST_TIME:
        return _invalid("start_time", given["start_time"], "'start_time' must be on or after 2010-11-06T00:00:00Z")
    if end is not None and end > question.now - timedelta(seconds=10):
        return _invalid(
            "end_time", given["end_time"], "'end_time' must be a minimum of 10 seconds prior to the request"
        )
    if start is not None and end is not None and start >= end:
        return _invalid("start_time", given["start_time"], "'start_time' must be before 'end_time'")
    return None


def _from(question: Question) -> datetime | None:
    """Return from when on posts can be wanted at all."""
    start, number = question.query.get("start_time"), int(question.query.get("since_id") or 0)
    if start:
        return datetime.fromisoformat(start)
    return datetime.fromtimestamp(((number >> 22) + SNOWFLAKE_EPOCH_MS) / 1000, UTC) if number > 1 << 40 else None


def _is_wanted(post: Published, question: Question) -> bool:
    since, start = question.query.get("since_id"), question.query.get("start_time")
    if since and int(post.latest.id) <= int(since):
        return False
    until, end = question.query.get("until_id"), question.query.get("end_time")
    if until and int(post.latest.id) >= int(until):
        return False
    if end and post.at >= datetime.fromisoformat(end):
        return False
    return not start or post.at >= datetime.fromisoformat(start)


def _meta(page: Sequence[Published], begin: int, following: int) -> dict[str, Any]:
    meta: dict[str, Any] = {"result_count": len(page)}
    if page:
        meta |= {"newest_id": page[0].latest.id, "oldest_id": page[-1].latest.id}
    if following:
        meta["next_token"] = str(following)
    if begin:
        meta["previous_token"] = "0"  # noqa: S105 (a place in a list)
    return meta


def _posts(shown: Sequence[tuple[Published, Version]]) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    if shown:
        payload["data"] = [_post(post, version) for post, version in shown]
    if media := [_media(post, n, one) for post, _ in shown for n, one in enumerate(post.media)]:
        payload["includes"] = {"media": media}
    return payload


def _post(post: Published, version: Version) -> dict[str, Any]:
    short = version.text if len(version.text) <= SHORT else f"{version.text[: SHORT - 26]}… https://t.co/Sandbox001"
    item: dict[str, Any] = {
        "id": version.id,
        "text": escape(short, quote=False),
        "created_at": version.at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "edit_history_tweet_ids": [v.id for v in post.versions if int(v.id) <= int(post.latest.id)],
        "author_id": post.owner,
        "lang": {"ms": "in"}.get(post.language, post.language),  # X takes Malay for Indonesian
    }
    if len(version.text) > SHORT:
        item["note_tweet"] = {"text": escape(version.text, quote=False)}
    if post.media:
        item["attachments"] = {"media_keys": [_key(post, n) for n in range(len(post.media))]}
    if post.links:
        item["entities"] = {"urls": [_url(n, link) for n, link in enumerate(post.links)]}
    return item


def _url(number: int, link: str) -> dict[str, Any]:
    short = f"https://t.co/Sandbox{number:03}"
    return {"start": 0, "end": len(short), "url": short, "expanded_url": link, "display_url": link[8:34]}


def _key(post: Published, number: int) -> str:
    return f"3_{post.native_id}{number}"


def _media(post: Published, number: int, media: Media) -> dict[str, Any]:
    item: dict[str, Any] = {"media_key": _key(post, number)}
    if media.kind is MediaKind.PICTURE:
        item |= {"type": "photo", "url": media.url}
    else:
        files = [{"bit_rate": 832000, "content_type": "video/mp4", "url": media.url}]
        item |= {"type": "video", "preview_image_url": f"{media.url}.jpg", "variants": files}
    return item | ({"alt_text": media.text} if media.text else {})
