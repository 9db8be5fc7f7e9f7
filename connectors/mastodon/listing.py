"""An account's statuses, page by page: what an answer shows, and where the next one begins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import requests

from connectors.base import Cursor, SchemaDrift
from connectors.mastodon.posts import CHANGED, identified, parse_status
from connectors.owners import must_be
from connectors.payload import objects
from connectors.walk import Listed, Walk, listed
from monitor.model import Json, Post


def parse_statuses(payload: object, *, more: bool, owner: str = "", what: str = "mastodon") -> Listed:
    """Map one answer of an account's statuses, boosts among them. Raises SchemaDrift; AnotherAccount, when not his."""
    items = statuses_in(payload)
    must_be(what, [owner], (identified(item.get("account"), "a status's author") for item in items))
    return listed([parse_status(item) for item in items], more=more)


def statuses_in(payload: object) -> list[Json]:
    statuses = objects(payload)
    if statuses is None:
        raise SchemaDrift(f"mastodon: the answer is no list of statuses; {CHANGED}")
    return statuses


def following(response: requests.Response, statuses: Sequence[Json]) -> str:
    """Return the max_id of the next page: as the Link header has it, else the last status's id; empty at the end.

    Of the header nothing but the id is taken: the address in it may lead anywhere.
    """
    link = response.links.get("next", {}).get("url", "")
    try:
        told = parse_qs(urlsplit(link).query).get("max_id", [""])[0]
    except ValueError:
        told = ""
    if told or "Link" in response.headers:
        return told
    return identified(statuses[-1], "a status") if statuses else ""


def floor_of(posts: Sequence[Post], walk: Walk, before: Cursor, after: Cursor) -> str:
    """Return the id after which the next pull begins: the newest post that is older than the overlap.

    While something is to be read once more it stays where it was.
    """
    if "again" in after or not after.get("newest"):
        return str(before.get("floor", "")) if after.get("newest") else ""
    newest = datetime.fromisoformat(after["newest"])
    settled = [post for post in posts if post.published_at < newest - walk.bounds.overlap]
    latest = max(settled, key=lambda post: post.published_at, default=None)
    return latest.native_id if latest else str(before.get("floor", ""))
