"""Question and answer between the server and a platform's twin: plain data, so that a twin is a pure function."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request. `path` begins after the platform's own prefix; `headers` have lower-case names."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    base_url: str
    now: datetime
    method: str = "GET"
    body: bytes = b""
    every: Mapping[str, Sequence[str]] = field(default_factory=dict)  # all values of a key that stands repeatedly


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(content: Any, *, status: int = 200, kind: str = "application/json; charset=utf-8", **headers: str) -> Reply:
    """Return a JSON answer; header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=json.dumps(content).encode(), headers={"content-type": kind} | named)
