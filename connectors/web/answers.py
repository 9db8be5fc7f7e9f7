"""What a site answers: a page, a feed, or a sitemap, and the way that it is read from then on. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.web.articles import WebPage, read_page

MOST_TAGS = 40_000  # of a page whose text is guessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that may be read. `unchanged` is the site's word that nothing is new since the marks that were sent."""

    url: str
    body: bytes
    kind: str  # content type, in small letters
    headers: Mapping[str, str]
    unchanged: bool = False

    @property
    def page(self) -> WebPage:
        return read_page(decoded(self.body, self.kind), self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a site is read: by its `feed`, the `list` on a page, its `sitemap`, or the `page` itself; and where."""

    kind: str
    url: str
    answer: Answer


def is_feed(body: bytes) -> bool:
    return re.search(rb"<(?:rss|feed|rdf:RDF|(?:\w+:)?feed)[\s>]", body[:4000]) is not None


def is_page(body: bytes) -> bool:
    """Say whether a body begins as a page does, whatever its header says: that slip would make an article a file."""
    begins = rb"(?i)\s*(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)\b"
    return re.match(begins, body[:4000]) is not None


def decoded(body: bytes, kind: str) -> str:
    """Return a page's characters by its header, else by its own word, else as UTF-8."""
    named = re.search(r"charset=[\"']?([\w-]+)", kind)
    own = re.search(rb"<meta[^>]+charset=[\"']?([\w-]+)", body[:4000], re.IGNORECASE)
    name = named[1] if named else (own[1].decode() if own else "utf-8")
    try:
        return body.decode(name, errors="replace")
    except (LookupError, UnicodeError):  # "idna" and the like are names of no page's encoding
        return body.decode("utf-8", errors="replace")


def main_text(page: WebPage) -> str | None:
    """Guess the text of a page that marks none, by trafilatura; it takes minutes for pages of very many tags."""
    if page.source.count("<") > MOST_TAGS:
        return None
    import trafilatura  # heavy, and an extra

    found: str | None = trafilatura.extract(
        page.source, include_comments=False, include_tables=True, favor_recall=True, deduplicate=False
    )
    return found
