"""Addresses: those written out in a plain text, for platforms that mark none, and links of a page made whole. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

ADDRESS = re.compile(r"https?://[^\s<>\"'“”‘’`\\^{}|\x00-\x1f]+", re.IGNORECASE)
AFTER = ".,;:!?…·。，、)]»*_~"  # closes the sentence around an address, rather than ends it


def links_in(text: str) -> tuple[str, ...]:
    """Return the addresses in the order in which they stand, each once, without what closes the sentence."""
    return tuple(dict.fromkeys(_addresses(text)))


def _addresses(text: str) -> Iterator[str]:
    for found in ADDRESS.finditer(text):
        address = _bare(found[0])
        if address.partition("://")[2]:
            yield address


def _bare(address: str) -> str:
    while address and address[-1] in AFTER:
        if address[-1] == ")" and address.count("(") >= address.count(")"):
            break  # the brackets belong to the address
        address = address[:-1]
    return address


def absolute(base: str, link: str) -> str:
    """Return `link` seen from `base`; empty when there is none, or it is no web address."""
    try:
        joined = urljoin(base, link.strip()) if link.strip() else ""
        return joined if urlsplit(joined).scheme in {"http", "https"} else ""
    except ValueError:  # brackets that hold no address
        return ""
