"""LinkedIn's versioned REST API as the sandbox speaks it: pages by name, their posts by last change, things by urn."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from connectors.linkedin.text import little
from connectors.sandbox.reply import Question, Reply, as_json
from connectors.sandbox.world import Holder, Published, World
from monitor.model import Media, MediaKind

TOKEN = "sandbox"  # noqa: S105 (the sandbox's own; opens nothing else)
LARGEST_PAGE = 100
KINDS: Mapping[MediaKind, str] = {MediaKind.PICTURE: "image", MediaKind.VIDEO: "video", MediaKind.DOCUMENT: "document"}


def answer(world: World, question: Question) -> Reply:
    """Answer one request as LinkedIn would."""
    token = question.headers.get("authorization", "").removeprefix("Bearer ")
    if not token:
        return _refusal(401, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token", 65604)
    if token != TOKEN:
        return _refusal(401, "INVALID_ACCESS_TOKEN", "Invalid access token", 65600)
    if not re.fullmatch(r"20\d{4}", version := question.headers.get("linkedin-version", "")):
        return _refusal(400, "VERSION_MISSING", "A version must be present. Please specify a version")
    if version < "202512":
        return _refusal(426, "NONEXISTENT_VERSION", f"Requested version {version} is not active")
    if question.headers.get("x-restli-protocol-version") != "2.0.0":
        return _refusal(400, "ILLEGAL_ARGUMENT", "Syntax exception in path variables")
    return _answer(world, question, question.path.removeprefix("/rest/").strip("/"))


def _answer(world: World, question: Question, path: str) -> Reply:
    resource, _, one = path.partition("/")
    if resource == "posts":
        return _posts(world, question, unquote(one))
    if resource == "organizations":
        return _organizations(world, question, one)
    if resource == "organizationAcls" and question.query.get("q") == "roleAssignee":
        return _finder(
            [{"role": "ADMINISTRATOR", "state": "APPROVED", "organization": "urn:li:organization:1"}], 0, 1, 1
        )
    if resource in {"images", "videos", "documents"}:
        return _files(world, question, resource.removesuffix("s"))
    return _refusal(404, "RESOURCE_NOT_FOUND", "No virtual resource found")


def _refusal(status: int, code: str, message: str, service: int = 0) -> Reply:
    content: dict[str, Any] = {"status": status, "code": code, "message": message}
    return as_json(content | ({"serviceErrorCode": service} if service else {}), status=status)


def _finder(elements: Sequence[Any], start: int, count: int, total: int) -> Reply:
    links: list[dict[str, str]] = []
    if start + len(elements) < total:
        href = f"/rest/posts?q=author&count={count}&start={start + len(elements)}"
        links.append({"type": "application/json", "rel": "next", "href": href})
    return as_json({"paging": {"start": start, "count": count, "links": links}, "elements": list(elements)})


def _posts(world: World, question: Question, one: str) -> Reply:
    if one:
        post = world.find("linkedin", one)
        return as_json(_post(post)) if post else _refusal(404, "RESOURCE_NOT_FOUND", "Post not found")
    if "ids" in question.query:
        return _batch(question, lambda urn: _maybe_post(world, urn))
    author, sort = question.query.get("author", ""), question.query.get("sortBy", "LAST_MODIFIED")
    if question.query.get("q") != "author" or not author.startswith("urn:li:organization:") or sort != "LAST_MODIFIED":
        return _refusal(400, "ILLEGAL_ARGUMENT", "Invalid query parameters passed to request")
    holder = world.holder("linkedin", author.rpartition(":")[2])
    if holder is None:
        return _refusal(403, "ACCESS_DENIED", "Not enough permissions to access: posts.FINDER-author", 100)
    count = int(question.query.get("count", "10"))
    if not 1 <= count <= LARGEST_PAGE:
        return _refusal(400, "PARAM_INVALID", "count must be between 1 and 100")
    start, size = int(question.query.get("start", "0")), min(count, world.page_sizes["linkedin"])
    timeline = world.timeline("linkedin", holder.native_id)
    shown = sorted(timeline, key=lambda post: (post.latest.at, post.native_id), reverse=True)
    return _finder([_post(post) for post in shown[start : start + size]], start, size, len(shown))


def _batch(question: Question, read: Callable[[str], Mapping[str, Any] | None]) -> Reply:
    listed = re.fullmatch(r"List\((.+)\)", question.query.get("ids", ""))
    if listed is None or question.headers.get("x-restli-method") != "BATCH_GET":
        return _refusal(400, "ILLEGAL_ARGUMENT", "Syntax exception in path variables")
    found = {urn: read(urn) for urn in listed[1].split(",")}
    missing = {urn: 404 for urn, item in found.items() if item is None}
    errors = {urn: {"status": 404, "code": "RESOURCE_NOT_FOUND", "message": "Not found"} for urn in missing}
    return as_json(
        {"results": {urn: item for urn, item in found.items() if item}, "statuses": missing, "errors": errors}
    )


def _maybe_post(world: World, urn: str) -> dict[str, Any] | None:
    post = world.find("linkedin", urn)
    return _post(post) if post else None


def _organizations(world: World, question: Question, one: str) -> Reply:
    name = one or question.query.get("vanityName", "")
    holder = world.holder("linkedin", name)
    if one:
        return as_json(_organization(holder)) if holder else _refusal(404, "RESOURCE_NOT_FOUND", "Not found")
    if question.query.get("q") != "vanityName" or not name:
        return _refusal(400, "ILLEGAL_ARGUMENT", "Invalid query parameters passed to request")
    found = [_organization(holder)] if holder and holder.handle.casefold() == name.casefold() else []
    return _finder(found, 0, 10, len(found))


def _organization(holder: Holder) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": int(holder.native_id),
        "$URN": f"urn:li:organization:{holder.native_id}",
        "vanityName": holder.handle,
        "localizedName": holder.name,
    }
    item |= {"localizedDescription": holder.bio} if holder.bio else {}
    return item | ({"logoV2": {"original": f"urn:li:image:{holder.picture_url}"}} if holder.picture_url else {})


def _post(post: Published) -> dict[str, Any]:
    made = int(post.at.timestamp() * 1000)
    unseen = [link for link in post.links[1:] if link not in post.latest.text]
    item: dict[str, Any] = {
        "id": post.native_id,
        "author": f"urn:li:organization:{post.owner}",
        "commentary": "\n".join([little(post.latest.text), *unseen]),
        "createdAt": made,
        "publishedAt": made,
        "lastModifiedAt": int(post.latest.at.timestamp() * 1000),
        "lifecycleState": "PUBLISHED",
        "lifecycleStateInfo": {"isEditedByAuthor": len(post.versions) > 1},
        "visibility": "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED", "thirdPartyDistributionChannels": []},
        "isReshareDisabledByAuthor": False,
    }
    files = [{"id": _urn(post, number, media), "altText": media.text} for number, media in enumerate(post.media)]
    if len(files) > 1:
        return {**item, "content": {"multiImage": {"images": files}}}
    if files:
        return {**item, "content": {"media": files[0]}}
    return {**item, "content": {"article": {"source": post.links[0], "title": post.links[0]}}} if post.links else item


def _urn(post: Published, number: int, media: Media) -> str:
    return f"urn:li:{KINDS[media.kind]}:{post.native_id.rpartition(':')[2]}-{number}"


def _files(world: World, question: Question, kind: str) -> Reply:
    def read(urn: str) -> dict[str, Any] | None:
        found = re.fullmatch(rf"urn:li:{kind}:(\d+)-(\d+)", urn)
        post = world.find("linkedin", f"urn:li:share:{found[1]}") if found else None
        if found is None or post is None or int(found[2]) >= len(post.media):
            return None
        return {"id": urn, "downloadUrl": post.media[int(found[2])].url, "status": "AVAILABLE"}

    return _batch(question, read)
