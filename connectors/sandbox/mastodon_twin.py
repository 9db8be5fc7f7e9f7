"""A Mastodon server as the sandbox runs it: accounts, their statuses page by page, statuses by id. Version 4.5.

An account that was abandoned is a suspended one: its name is shown, and none of its statuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from connectors.sandbox.reply import Question, Reply, as_json
from connectors.sandbox.world import Holder, Published, World
from monitor.model import MediaKind

TOKEN = "sandbox"  # noqa: S105 (the sandbox's own; opens nothing else)
LARGEST_PAGE = 40
STATUSES_PER_CALL = 20
BUDGET = 300
KINDS = {MediaKind.PICTURE: "image", MediaKind.VIDEO: "video", MediaKind.DOCUMENT: "unknown"}


def answer(world: World, question: Question) -> Reply:
    """Answer one request as Mastodon would."""
    reply = _answer(world, question)
    reset = int(question.now.timestamp()) // 300 * 300 + 300
    at = question.now.fromtimestamp(reset, question.now.tzinfo).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    limits = {"x-ratelimit-limit": str(BUDGET), "x-ratelimit-remaining": str(BUDGET - 1), "x-ratelimit-reset": at}
    return Reply(status=reply.status, body=reply.body, headers={**reply.headers, **limits})


def _answer(world: World, question: Question) -> Reply:
    if question.headers.get("authorization", f"Bearer {TOKEN}") != f"Bearer {TOKEN}":
        return as_json({"error": "The access token is invalid"}, status=401)
    steps = question.path.removeprefix("/api/v1").strip("/").split("/")
    if not question.path.startswith("/api/v1/"):
        return _not_found()
    if steps[0] == "accounts":
        return _accounts(world, question, steps[1:])
    return _statuses(world, question, steps[1:]) if steps[0] == "statuses" else _about(question, steps)


def _about(question: Question, steps: Sequence[str]) -> Reply:
    if steps == ["instance"]:
        return as_json({"uri": "sandbox", "title": "Sandbox", "version": "4.5.0+sandbox"})
    if steps == ["apps", "verify_credentials"]:
        known = "authorization" in question.headers
        return as_json({"name": "Pantau"}) if known else as_json({"error": "The access token is invalid"}, status=401)
    return _not_found()


def _not_found() -> Reply:
    return as_json({"error": "Record not found"}, status=404)


def _accounts(world: World, question: Question, steps: Sequence[str]) -> Reply:
    if steps == ["lookup"]:
        holder = world.holder("mastodon", question.query.get("acct", ""))
        return _not_found() if holder is None else as_json(_account(holder, question))
    holder = world.holder("mastodon", steps[0]) if steps else None
    if holder is None or holder.native_id != steps[0]:
        return _not_found()
    if len(steps) == 1:
        return as_json(_account(holder, question))
    return _listing(world, question, holder) if steps[1:] == ["statuses"] else _not_found()


def _listing(world: World, question: Question, holder: Holder) -> Reply:
    size = question.query.get("limit", "20")
    limit = min(int(size) if size.isdigit() else 20, LARGEST_PAGE, world.page_sizes["mastodon"])
    shown = [] if holder.abandoned else sorted(world.timeline("mastodon", holder.native_id), key=_number, reverse=True)
    bounds = {key: int(question.query[key]) for key in ("max_id", "since_id", "min_id") if question.query.get(key)}
    if "max_id" in bounds:
        shown = [post for post in shown if _number(post) < bounds["max_id"]]
    above = [post for post in shown if _number(post) > max(bounds.get("since_id", 0), bounds.get("min_id", 0))]
    page = above[-limit:] if "min_id" in bounds else above[:limit]
    reply = as_json([_status(post, holder, question) for post in page])
    return Reply(body=reply.body, headers={**reply.headers, **_links(question, page, is_full=len(page) == limit)})


def _links(question: Question, page: Sequence[Published], *, is_full: bool) -> dict[str, str]:
    """Return the Link header, as Mastodon writes it: `next` where the page is full."""
    if not page:
        return {}
    kept = {key: value for key, value in question.query.items() if key not in {"max_id", "min_id", "since_id"}}
    since = {"since_id": question.query["since_id"]} if question.query.get("since_id") else {}
    here = f"{question.base_url}{question.path}"
    found = [f'<{here}?{urlencode({**kept, **since, "max_id": page[-1].native_id})}>; rel="next"'] if is_full else []
    found.append(f'<{here}?{urlencode({**kept, "min_id": page[0].native_id})}>; rel="prev"')
    return {"link": ", ".join(found)}


def _statuses(world: World, question: Question, steps: Sequence[str]) -> Reply:
    asked = [*question.every.get("id[]", ()), *question.every.get("id", ())] if not steps else list(steps[:1])
    if len(asked) > STATUSES_PER_CALL:
        return as_json({"error": "Validation failed"}, status=422)
    found = [post for one in asked if (post := world.find("mastodon", one)) is not None]
    owners = {post.owner: world.holder("mastodon", post.owner) for post in found}
    held = [(post, owners[post.owner]) for post in found]
    shown = [_status(post, owner, question) for post, owner in held if owner and not owner.abandoned]
    if not steps:
        return as_json(shown)
    return as_json(shown[0]) if shown and len(steps) == 1 else _not_found()


def _account(holder: Holder, question: Question) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": holder.native_id,
        "username": holder.handle.partition("@")[0],
        "acct": holder.handle,
        "display_name": holder.name,
        "note": f"<p>{escape(holder.bio)}</p>" if holder.bio else "",
        "url": f"{question.base_url}/@{holder.handle}",
        "avatar": holder.picture_url or f"{question.base_url}/avatars/original/missing.png",
        "fields": [],
        "emojis": [],
    }
    return item | ({"suspended": True, "display_name": "", "note": ""} if holder.abandoned else {})


def _status(post: Published, holder: Holder, question: Question) -> dict[str, Any]:
    is_edited = len(post.versions) > 1
    return {
        "id": post.native_id,
        "created_at": _form(post.at),
        "edited_at": _form(post.latest.at) if is_edited else None,
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "public",
        "language": post.language,
        "uri": f"{question.base_url}/users/{holder.handle}/statuses/{post.native_id}",
        "url": f"{question.base_url}/@{holder.handle}/{post.native_id}",
        "content": _content(post),
        "reblog": None,
        "account": _account(holder, question),
        "media_attachments": [_attachment(post, place) for place in range(len(post.media))],
        "mentions": [],
        "tags": [],
        "quote": None,
        "card": None,
        "poll": None,
    }


def _content(post: Published) -> str:
    """Return a text as Mastodon writes it: paragraphs, and addresses whose ends a reader does not see."""
    paragraphs = "".join(f"<p>{escape(one, quote=False)}</p>" for one in post.latest.text.split("\n\n"))
    text = paragraphs.replace("\n", "<br>")
    for link in post.links:
        text = text.replace(escape(link, quote=False), "") + f"<p>{_anchor(link)}</p>"
    return text


def _anchor(link: str) -> str:
    scheme, _, rest = link.partition("://")
    shown, hidden = escape(rest[:30]), escape(rest[30:])
    kind = "ellipsis" if hidden else ""
    return (
        f'<a href="{escape(link)}" target="_blank" rel="nofollow noopener"><span class="invisible">{scheme}://</span>'
        f'<span class="{kind}">{shown}</span><span class="invisible">{hidden}</span></a>'
    )


def _attachment(post: Published, place: int) -> dict[str, Any]:
    media = post.media[place]
    return {
        "id": f"{post.native_id}{place}",
        "type": KINDS[media.kind],
        "url": media.url,
        "preview_url": media.url,
        "remote_url": None,
        "description": media.text or None,
    }


def _number(post: Published) -> int:
    return int(post.native_id)


def _form(at: Any) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
