"""Addresses of Facebook pages, in all the forms that the years have left behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qs

from connectors.addresses.parts import hashbang_path, segments_of, split

NOT_PAGES = frozenset(
    [
        "ads",
        "business",
        "dialog",
        "events",
        "events.php",
        "flx",
        "gaming",
        "groups",
        "hashtag",
        "help",
        "home.php",
        "l.php",
        "legal",
        "login",
        "login.php",
        "marketplace",
        "media",
        "messages",
        "notes",
        "notifications",
        "permalink.php",
        "photo",
        "photo.php",
        "photos",
        "plugins",
        "policies",
        "privacy",
        "public",
        "reel",
        "reels",
        "search",
        "settings",
        "share",
        "share.php",
        "sharer",
        "sharer.php",
        "stories",
        "story.php",
        "terms",
        "v2.0",
        "video.php",
        "videos",
        "watch",
    ]
)
NOT_PAGE_HOSTS = frozenset(
    {"l", "lm", "graph", "developers", "business", "apps", "connect", "about", "upload", "video"}
)


def handle(url: str) -> str | None:
    """Return the page's username or numeric id that a pasted profile address names, or None."""
    parts = split(url)
    if parts is None or not _is_page_host((parts.hostname or "").removesuffix(".")):
        return None
    segments = segments_of(hashbang_path(parts))
    if segments and segments[0].lower() == "profile.php":
        return _numeric(parse_qs(parts.query).get("id", [""])[0])
    return _page_segment(segments)


def _is_page_host(host: str) -> bool:
    if host in {"facebook.com", "fb.com", "fb.me"}:
        return True
    name, dot, rest = host.partition(".")
    return bool(dot) and rest in {"facebook.com", "fb.com"} and name not in NOT_PAGE_HOSTS


def _page_segment(segments: Sequence[str]) -> str | None:
    first = segments[0].lower() if segments else ""
    # /pages/Name/123, /pages/category/Kind/Name-123, /people/Name/123, /p/Name-123
    if first in {"pages", "people", "p"}:
        last = segments[-1] if first != "people" else (segments[2] if len(segments) > 2 else "")
        numbers = [s for s in segments[1:] if _numeric(s)]
        return numbers[0] if numbers else _numeric(last.rpartition("-")[2])
    if first == "pg":
        return _page_segment(segments[1:])
    if not first or first in NOT_PAGES or not re.fullmatch(r"[\w.\-]+", first):
        return None
    name = segments[0]
    return _numeric(name.rpartition("-")[2]) if "-" in name else name  # Name-123 is an old form of an unnamed page


def _numeric(text: str) -> str | None:
    return text if re.fullmatch(r"[0-9]{4,20}", text) else None
