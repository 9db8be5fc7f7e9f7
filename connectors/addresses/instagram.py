"""Addresses of Instagram profiles. A post's address names no account, unless it stands behind the account's name."""

from __future__ import annotations

import re

from connectors.addresses.parts import host_of, segments_of, split

HOSTS = frozenset({"instagram.com", "instagr.am", "ig.me"})
NOT_ACCOUNTS = frozenset(
    [
        "about",
        "accounts",
        "ads",
        "api",
        "archive",
        "challenge",
        "create",
        "data",
        "developer",
        "direct",
        "directory",
        "emails",
        "explore",
        "graphql",
        "legal",
        "locations",
        "nametag",
        "oauth",
        "p",
        "press",
        "privacy",
        "qr",
        "reel",
        "reels",
        "session",
        "share",
        "stories",
        "terms",
        "topics",
        "tv",
        "web",
    ]
)
BEFORE_A_NAME = frozenset({"_u", "m", "stories"})  # instagram.com/_u/name, ig.me/m/name, instagram.com/stories/name/1
NOT_STORIES = frozenset({"highlights"})


def handle(url: str) -> str | None:
    """Return the username that an address of a profile, or of what lies below it, names, or None."""
    parts = split(url)
    if parts is None or host_of(parts) not in HOSTS:
        return None
    segments = segments_of(parts.path)
    if len(segments) > 1 and segments[0].lower() in BEFORE_A_NAME:
        segments = segments[1:]
        if segments[0].lower() in NOT_STORIES:
            return None
    name = segments[0].removeprefix("@") if segments else ""
    return name if re.fullmatch(r"[A-Za-z0-9._]{1,30}", name) and name.lower() not in NOT_ACCOUNTS else None
