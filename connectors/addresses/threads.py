"""Addresses of Threads profiles, on both of its domains. An account's name begins with @ there."""

from __future__ import annotations

import re

from connectors.addresses.parts import host_of, segments_of, split

HOSTS = frozenset({"threads.net", "threads.com"})
PROFILE = r"@([A-Za-z0-9._]{1,30})"


def handle(url: str) -> str | None:
    """Return the username that an address of a profile, or of one of its posts, names, or None."""
    parts = split(url)
    segments = segments_of(parts.path) if parts is not None and host_of(parts) in HOSTS else []
    named = re.fullmatch(PROFILE, segments[0]) if segments else None
    return named[1] if named else None
