"""Addresses of accounts on Mastodon and what speaks like it: any host can be one, so the form decides.

`/@user` is read on every host but those that are another network's. The older forms `/users/user` and `/web/@user` are
read where the host's name says what it is.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult

from connectors.addresses.parts import segments_of, split

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?"
DOMAIN = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Hosts on which /@name is somebody else's form.
OTHERS = frozenset(
    [
        "about.me",
        "bsky.app",
        "dev.to",
        "facebook.com",
        "flickr.com",
        "google.com",
        "hive.blog",
        "instagram.com",
        "kick.com",
        "ko-fi.com",
        "lemon8-app.com",
        "linkedin.com",
        "linktr.ee",
        "medium.com",
        "myspace.com",
        "npmjs.com",
        "odysee.com",
        "patreon.com",
        "pinterest.com",
        "rumble.com",
        "steemit.com",
        "substack.com",
        "t.me",
        "telegram.me",
        "threads.com",
        "threads.net",
        "tiktok.com",
        "twitter.com",
        "unsplash.com",
        "vimeo.com",
        "x.com",
        "youtube.com",
    ]
)
TELLING = re.compile(r"(^|\.)(mastodon|masto|mstdn|mas|mamot|fosstodon|hachyderm|infosec|techhub|pawoo|social)\b")


def handle(url: str) -> str | None:
    """Return `user@server` of a profile's or a post's address, or None."""
    parts = split(url)
    server = server_of(parts) if parts is not None else ""
    if parts is None or not server:
        return None
    segments = segments_of(parts.path)
    if segments and segments[0] in {"web", "deck"}:
        segments = segments[1:] if segments[1:2] and segments[1].startswith("@") else []
    if segments and segments[0].startswith("@"):
        return named(segments[0][1:], server)
    is_telling = TELLING.search(parts.hostname or "") is not None
    return named(segments[1], server) if is_telling and len(segments) > 1 and segments[0] == "users" else None


def server_of(parts: SplitResult) -> str:
    """Return the server's name with its port; empty for other networks, and for what is no host of the public web."""
    host = (parts.hostname or "").removesuffix(".")
    bare = re.sub(r"^(www|m|mobile)\.", "", host)
    if any(bare == other or bare.endswith(f".{other}") or _looks_like(bare, other) for other in OTHERS):
        return ""
    if not re.fullmatch(rf"{DOMAIN}|[0-9.]+", host):
        return ""
    return f"{host}:{parts.port}" if parts.port else host


def _looks_like(host: str, other: str) -> bool:
    """Say whether a host borrows another network's name, as nobody does who runs a server of his own."""
    return len(other) > len("x.com") + 3 and other in host


def named(text: str, server: str = "") -> str | None:
    """Return `user@server` of `user`, `@user` or `user@server`; None for what is neither, or names no server."""
    user, _, domain = text.strip().removeprefix("@").partition("@")
    at = domain.lower() or server
    known = re.fullmatch(NAME, user) and re.fullmatch(rf"(?:{DOMAIN}|[0-9.]+)(?::\d{{1,5}})?", at)
    return f"{user}@{at}" if known else None
