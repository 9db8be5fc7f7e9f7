"""Addresses of Bluesky accounts: a handle is a domain name, and behind it stands a DID that never changes."""

from __future__ import annotations

import re

from connectors.addresses.parts import host_of, segments_of, split

HOSTS = frozenset({"bsky.app", "main.bsky.dev", "staging.bsky.app"})
HOSTING = ".bsky.social"  # Bluesky's own handles are host names that lead to the profile
DID = r"did:(?:plc:[a-z2-7]{24}|web:[A-Za-z0-9.%:-]{1,200})"
DOMAIN = r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
NOT_HANDLES = frozenset({"handle.invalid"})  # shown while a handle's domain does not confirm the account


def handle(url: str) -> str | None:
    """Return the domain name or DID that a profile's or a post's address names, or None."""
    parts = split(url)
    if parts is None:
        return None
    host, segments = host_of(parts), segments_of(parts.path)
    if host in HOSTS:
        return named(segments[1]) if len(segments) > 1 and segments[0].lower() == "profile" else None
    return named(host) if host.endswith(HOSTING) and host.count(".") == 2 and not segments else None


def named(text: str) -> str | None:
    """Return a handle or DID as it is written everywhere, without `@`; None for what is neither."""
    bare = text.strip().removeprefix("@")
    if re.fullmatch(DID, bare):
        return bare
    lower = bare.lower()
    return lower if re.fullmatch(DOMAIN, lower) and lower not in NOT_HANDLES else None
