"""Addresses written out in a plain text, for platforms that mark none themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
