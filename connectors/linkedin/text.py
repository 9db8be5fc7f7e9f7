"""LinkedIn's way to write text ("little"): mentions, hashtags and escaped signs, read as a reader sees them. Pure.

Source: the Posts API's documents on the little text format.
"""

from __future__ import annotations

import re

RESERVED = r"[\\|{}@\[\]()<>#*_~]"
ELEMENT = re.compile(
    r"\{hashtag\|\\?[#＃]\|(?P<tag>(?:\\.|[^\\}|])*)\}"
    r"|@\[(?P<name>(?:\\.|[^\\\]])*)\]\s?\(urn:[^()\s]*\)"
    rf"|\\(?P<sign>{RESERVED})"
)


def plain(little: str) -> str:
    r"""Return the text as it is shown: "{hashtag|\#|kata}" is "#kata", "@[Nama](urn:…)" is "Nama", "\(" is "("."""
    return ELEMENT.sub(_shown, little)


def _shown(found: re.Match[str]) -> str:
    if found["tag"] is not None:
        return f"#{_unescaped(found['tag'])}"
    return _unescaped(found["name"]) if found["name"] is not None else found["sign"]


def _unescaped(text: str) -> str:
    return re.sub(rf"\\({RESERVED})", r"\1", text)


def little(text: str) -> str:
    """Return a text as LinkedIn writes it, with its reserved signs escaped."""
    return re.sub(rf"({RESERVED})", r"\\\1", text)
