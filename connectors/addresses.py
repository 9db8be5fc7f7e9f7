"""Profile addresses as people paste them → (platform, handle). Pure, and light: no platform's library is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

X_HOSTS = frozenset({"x.com", "twitter.com"})
NOT_X_ACCOUNTS = frozenset(
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
NOT_MYSPACE_PROFILES = frozenset(
    ["discover", "featured", "pages", "search", "signin", "signup", "music", "video", "photo", "music-videos"]
)


def match(url: str) -> tuple[str, str] | None:
    """Return (platform, handle) of a profile address, or None when it is not one that is known here."""
    parts = _split(url)
    if parts is None:
        return None
    host = parts.hostname or ""
    plain = re.sub(r"^(www|m|mobile)\.", "", host).removesuffix(".")
    if plain in X_HOSTS:
        return _x(_segments(_path(parts)))
    if plain == "myspace.com":
        return _myspace(_segments(parts.path))
    page = facebook_page(url)
    return ("facebook", page) if page else None


def facebook_page(url: str) -> str | None:
    """Return the page's username or numeric id that a pasted profile address names, or None."""
    parts = _split(url)
    if parts is None or not _is_page_host((parts.hostname or "").removesuffix(".")):
        return None
    segments = _segments(_path(parts))
    if segments and segments[0].lower() == "profile.php":
        return _numeric(parse_qs(parts.query).get("id", [""])[0])
    return _page_segment(segments)


def _split(url: str) -> SplitResult | None:
    text = url.strip().rstrip(".,;)")
    try:
        parts = urlsplit(text if "//" in text else f"https://{text}")
        known = bool(parts.hostname) and parts.scheme in {"http", "https"}
    except ValueError:
        return None
    return parts if known else None


def _path(parts: SplitResult) -> str:
    """Return the path; before 2012 both X and Facebook wrote it behind `#!`."""
    return parts.fragment.removeprefix("!") if parts.fragment.startswith("!/") else parts.path


def _segments(path: str) -> list[str]:
    return [unquote(segment).strip() for segment in path.split("/") if segment.strip()]


def _x(segments: Sequence[str]) -> tuple[str, str] | None:
    if segments and segments[0].lower() not in NOT_X_ACCOUNTS and re.fullmatch(r"@?\w{1,15}", segments[0], re.ASCII):
        return "x", segments[0].lstrip("@")
    return None


def _myspace(segments: Sequence[str]) -> tuple[str, str] | None:
    if segments and segments[0].lower() not in NOT_MYSPACE_PROFILES and re.fullmatch(r"[\w.\-]{1,64}", segments[0]):
        return "myspace", segments[0]
    return None


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
