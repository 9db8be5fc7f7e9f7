"""Profile addresses as people paste them → (platform, handle). Pure, and light: no platform's library is loaded."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

X_PAGES = frozenset({"home", "search", "explore", "i", "intent", "hashtag", "share", "settings", "login"})
FACEBOOK_PAGES = frozenset({"groups", "events", "watch", "sharer", "login", "help", "marketplace", "share", "photo"})


def match(url: str) -> tuple[str, str] | None:
    """Return (platform, handle) of a profile address, or None when it is not one that is known here."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.").removeprefix("mobile.")
    steps = [step for step in parts.path.split("/") if step]
    if host in {"x.com", "twitter.com"}:
        return _x(steps)
    if host in {"facebook.com", "web.facebook.com", "ms-my.facebook.com", "fb.com"}:
        return _facebook(steps, parts.query)
    if host == "myspace.com" and steps:
        return "myspace", steps[0]
    return None


def _x(steps: list[str]) -> tuple[str, str] | None:
    if steps and steps[0].lower() not in X_PAGES and re.fullmatch(r"@?\w{1,15}", steps[0]):
        return "x", steps[0].lstrip("@")
    return None


def _facebook(steps: list[str], query: str) -> tuple[str, str] | None:
    if steps[:1] == ["profile.php"]:
        ids = parse_qs(query).get("id", [])
        return ("facebook", ids[0]) if ids else None
    if steps[:1] in (["pages"], ["people"]) and len(steps) > 2:
        return "facebook", steps[2]
    if steps[:1] == ["p"] and len(steps) > 1:
        return "facebook", steps[1].rpartition("-")[2]
    if steps and steps[0].lower() not in FACEBOOK_PAGES:
        named = re.fullmatch(r".+-(\d{8,})", steps[0])  # Name-of-the-Page-100064000000000
        return "facebook", named[1] if named else steps[0]
    return None
