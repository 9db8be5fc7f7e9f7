"""Addresses of LinkedIn pages: companies, schools, showcase pages. A member's is none: those posts are closed."""

from __future__ import annotations

import re

from connectors.addresses.parts import host_of, segments_of, split

PAGES = frozenset({"company", "school", "showcase", "company-beta", "organization"})
HOST = r"(?:[a-z]{2}\.)?linkedin\.com"  # my.linkedin.com is Malaysia's


def handle(url: str) -> str | None:
    """Return the page's name or number that an address names, or None."""
    parts = split(url)
    if parts is None or not re.fullmatch(HOST, host_of(parts)):
        return None
    segments = segments_of(parts.path)
    if len(segments) < 2 or segments[0].lower() not in PAGES:
        return None
    name = segments[1]
    return name if re.fullmatch(r"[\w\-.]{1,120}", name) and name.lower() not in {"setup", "unavailable"} else None
