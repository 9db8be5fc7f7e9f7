"""Addresses of YouTube channels: by id, by handle, and the two older forms of a name."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs

from connectors.addresses.parts import segments_of, split

HOSTS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "studio.youtube.com"})
CHANNEL_ID = re.compile(r"UC[A-Za-z0-9_-]{22}")
NAME = re.compile(r"[\w.\-·]{1,100}")
NOT_CHANNELS = frozenset(
    [
        "about",
        "account",
        "ads",
        "api",
        "attribution_link",
        "channel",
        "channels",
        "clip",
        "creators",
        "embed",
        "feed",
        "feeds",
        "gaming",
        "hashtag",
        "howyoutubeworks",
        "kids",
        "live",
        "live_chat",
        "login",
        "movies",
        "oembed",
        "playlist",
        "post",
        "premium",
        "redirect",
        "results",
        "shorts",
        "signin",
        "source",
        "t",
        "tv",
        "upload",
        "v",
        "verify",
        "watch",
    ]
)


def handle(url: str) -> str | None:
    """Return the channel's id or name that an address gives, or None; an address of a video names no channel."""
    parts = split(url)
    if parts is None or (parts.hostname or "").removesuffix(".") not in HOSTS:
        return None
    first, *rest = [*segments_of(parts.path), ""]
    if first.lower() in {"feeds", "playlist"}:
        return _in_query(parts)
    if first.lower() == "channel":
        return rest[0] if CHANNEL_ID.fullmatch(rest[0]) else None
    if first.lower() in {"user", "c"}:
        return _name(rest[0])
    return _name(first.removeprefix("@")) if first.startswith("@") or first.lower() not in NOT_CHANNELS else None


def user(url: str) -> str | None:
    """Return the name in an address of the oldest form, /user/NAME: it can be another channel than @NAME."""
    parts = split(url)
    steps = segments_of(parts.path) if parts is not None and handle(url) else []
    return steps[1] if len(steps) > 1 and steps[0].lower() == "user" else None


def _in_query(parts: SplitResult) -> str | None:
    """Return the channel of its feed, or of the list of its uploads, whose id differs in one letter."""
    asked = parse_qs(parts.query)
    channel = asked.get("channel_id", [""])[0] or asked.get("list", [""])[0].replace("UU", "UC", 1)
    return channel if CHANNEL_ID.fullmatch(channel) else None


def _name(text: str) -> str | None:
    return text if NAME.fullmatch(text) else None
