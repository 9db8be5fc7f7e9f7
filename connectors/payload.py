"""Answers in JSON taken apart. What is missing, or of another kind than expected, is empty: no ornament breaks a post.

What must be there (an id, a time, a list) is asked for with the functions that return None without it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from connectors.base import SchemaDrift
from monitor.model import Json


def inner(item: Json, *keys: str) -> Json:
    """Return the object at the end of a path."""
    for key in keys:
        value = item.get(key)
        item = value if isinstance(value, Mapping) else {}
    return item


def parts(item: Json, *keys: str) -> list[Json]:
    """Return the objects in the list at the end of a path; what else stands among them is passed over."""
    *path, last = keys
    value = inner(item, *path).get(last)
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def string(item: Json, key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def onward(item: Json, key: str) -> str:
    """Return what leads to the next page; empty at the end. Raises SchemaDrift: what cannot be read is no end."""
    value = item.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise SchemaDrift(f"an answer does not say in words where its next page begins ({key})")


def identifier(item: Json) -> str:
    """Return an object's id, which some servers write as a number."""
    value = item.get("id")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def number(value: object) -> int | None:
    """Return a whole number, also one in digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else None


def objects(value: object) -> list[Json] | None:
    """Return a list in which every item is an object."""
    return value if isinstance(value, list) and all(isinstance(item, Mapping) for item in value) else None


def moment(value: object, *, zone: tzinfo | None = UTC) -> datetime | None:
    """Return a time in ISO 8601 as UTC. One without a zone is of this `zone`; None: then it is no time."""
    try:
        said = datetime.fromisoformat(value) if isinstance(value, str) else None
        if said is None or (said.tzinfo is None and zone is None):
            return None
        return (said if said.tzinfo else said.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
