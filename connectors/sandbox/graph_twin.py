"""What Meta's Graph APIs have in common in the sandbox: the way in, the shape of answers, the way to say no."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.sandbox.reply import Question, Reply, as_json

TOKEN = "sandbox"  # noqa: S105 (the sandbox's own; opens nothing else)
TRACE = "AsandboxTrace00"
FORM = "%Y-%m-%dT%H:%M:%S+0000"
USAGE = '{"call_count":3,"total_cputime":1,"total_time":2}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A request with a version and the right token."""

    version: str
    path: str


def enter(question: Question) -> Entered | Reply:
    """Look at version and token, as the API does before anything else."""
    version, _, path = question.path.strip("/").partition("/")
    if not re.fullmatch(r"v\d+\.\d+", version):
        return error(2500, f"Unknown path components: /{version}", kind="OAuthException")
    token = question.query.get("access_token", "")
    if not token:
        return error(104, "An access token is required to request this resource.", kind="OAuthException")
    if token != TOKEN:
        return error(190, "Invalid OAuth access token - Cannot parse access token", kind="OAuthException")
    return Entered(version=version, path=path.strip("/"))


def ok(content: Any, *, business: str = "") -> Reply:
    """Return an answer with the app's usage, or with that of one of its business accounts."""
    plain = as_json(content, facebook_api_version="v26.0", x_fb_trace_id=TRACE)
    usage = {"x-business-use-case-usage": business} if business else {"x-app-usage": USAGE}
    return replace(plain, headers={**plain.headers, **usage})


def error(
    code: int, message: str, *, kind: str = "OAuthException", subcode: int | None = None, status: int = 400
) -> Reply:
    told: dict[str, Any] = {"message": message, "type": kind, "code": code, "fbtrace_id": TRACE}
    if subcode is not None:
        told["error_subcode"] = subcode
    return as_json({"error": told}, status=status)


def unknown(name: str) -> Reply:
    if not re.fullmatch(r"[\d_]+", name):
        message = f"(#803) Some of the aliases you requested do not exist: {name}"
        return error(803, message, status=404)
    message = (
        f"Unsupported get request. Object with ID '{name}' does not exist, "
        "cannot be loaded due to missing permissions, or does not support this operation"
    )
    return error(100, message, kind="GraphMethodException", subcode=33)


def field_names(text: str) -> tuple[str, ...]:
    """Return the names in a list of fields; what stands in braces or brackets belongs to the field before it."""
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", "", text)
    return tuple(name.partition(".")[0] for name in re.sub(r"\([^()]*\)", "", text).split(",") if name)


def fields_of(question: Question) -> Callable[[str], bool]:
    """Say which fields are asked for."""
    return {"id", *field_names(question.query.get("fields", "id,name"))}.__contains__


def only(item: Mapping[str, Any], asked: Callable[[str], bool]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if asked(key)}


def nonexisting(field: str, kind: str) -> Reply:
    return error(100, f"(#100) Tried accessing nonexisting field ({field}) on node type ({kind})")
