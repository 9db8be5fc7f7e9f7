"""Profile addresses as people paste them → (platform, handle). Pure, and light: no platform's library is loaded.

One file a platform, with `handle(url)`: what the address calls the account, or None when it is none of the platform's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.addresses import (
    bluesky,
    facebook,
    instagram,
    linkedin,
    mastodon,
    myspace,
    telegram,
    threads,
    tiktok,
    x,
    youtube,
)

HANDLES: Mapping[str, Callable[[str], str | None]] = {
    "x": x.handle,
    "myspace": myspace.handle,
    "facebook": facebook.handle,
    "youtube": youtube.handle,
    "telegram": telegram.handle,
    "instagram": instagram.handle,
    "bluesky": bluesky.handle,
    "threads": threads.handle,
    "tiktok": tiktok.handle,
    "linkedin": linkedin.handle,
    "mastodon": mastodon.handle,  # the last: on hosts that nobody else claims the form alone decides
}


def match(url: str) -> tuple[str, str] | None:
    """Return (platform, handle) of a profile address, or None when it is not one that is known here."""
    for platform, handle in HANDLES.items():
        if name := handle(url):
            return platform, name
    return None
