"""Addresses of X accounts, on both of its domains."""

from __future__ import annotations

import re

from connectors.addresses.parts import hashbang_path, host_of, segments_of, split

HOSTS = frozenset({"x.com", "twitter.com"})
NOT_ACCOUNTS = frozenset(
    [
        "home",
        "search",
        "explore",
        "i",
        "intent",
        "hashtag",
        "share",
        "settings",
        "login",
        "signup",
        "tos",
        "privacy",
        "about",
    ]
)


def handle(url: str) -> str | None:
    """Return the username that a profile's or a post's address names, or None."""
    parts = split(url)
    if parts is None or host_of(parts) not in HOSTS:
        return None
    segments = segments_of(hashbang_path(parts))
    if segments and segments[0].lower() not in NOT_ACCOUNTS and re.fullmatch(r"@?\w{1,15}", segments[0], re.ASCII):
        return segments[0].lstrip("@")
    return None
