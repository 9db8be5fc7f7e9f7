"""Addresses of MySpace profiles."""

from __future__ import annotations

import re

from connectors.addresses.parts import host_of, segments_of, split

NOT_PROFILES = frozenset(
    ["discover", "featured", "pages", "search", "signin", "signup", "music", "video", "photo", "music-videos"]
)


def handle(url: str) -> str | None:
    parts = split(url)
    segments = segments_of(parts.path) if parts is not None and host_of(parts) == "myspace.com" else []
    if segments and segments[0].lower() not in NOT_PROFILES and re.fullmatch(r"[\w.\-]{1,64}", segments[0]):
        return segments[0]
    return None
