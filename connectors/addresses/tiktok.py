"""Addresses of TikTok profiles. An account's name begins with @ there; short links name none."""

from __future__ import annotations

import re

from connectors.addresses.parts import host_of, segments_of, split

PROFILE = r"@([A-Za-z0-9_.]{1,24})"


def handle(url: str) -> str | None:
    """Return the username that an address of a profile, or of one of its videos, names, or None."""
    parts = split(url)
    segments = segments_of(parts.path) if parts is not None and host_of(parts) == "tiktok.com" else []
    named = re.fullmatch(PROFILE, segments[0]) if segments else None
    return named[1] if named else None
