"""Sitemaps: which pages a site has, and when each was changed. Pure.

Source: the sitemaps.org protocol, and Google's extension for news.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors import payload
from connectors.base import SchemaDrift, Unavailable
from connectors.links import absolute
from monitor.model import MALAYSIA

GZIP = b"\x1f\x8b"
LARGEST = 50_000_000  # the protocol's bound for one sitemap, unpacked
MOST = 50_000  # addresses of one sitemap, by the protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page of the site. `published` is told by news sitemaps alone."""

    url: str
    published: datetime | None = None
    modified: datetime | None = None
    news: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap:
    """Pages, or further sitemaps with when each was changed, the newest first."""

    entries: tuple[Entry, ...] = ()
    further: tuple[str, ...] = ()


def is_sitemap(body: bytes) -> bool:
    return body.startswith(GZIP) or re.search(rb"<(\w+:)?(urlset|sitemapindex)[\s>]", body[:4000]) is not None


def parse_sitemap(body: bytes, *, url: str, what: str) -> Sitemap:
    """Map a sitemap or an index of sitemaps. Raises SchemaDrift, or Unavailable when it was cut short."""
    try:
        root = fromstring(_unpacked(body, what), forbid_dtd=False)
    except DefusedXmlException:
        raise SchemaDrift(f"{what}: the sitemap declares entities, which Pantau does not read") from None
    except (ParseError, ValueError, LookupError):
        if is_sitemap(body) and not re.search(rb"</(\w+:)?(urlset|sitemapindex)\s*>\s*$", body):
            raise Unavailable(f"{what}: the sitemap was cut short") from None
        raise SchemaDrift(f"{what}: the answer is no sitemap") from None
    kind = _name(root)
    if kind not in {"urlset", "sitemapindex"}:
        raise SchemaDrift(f"{what}: the answer is XML, but no sitemap")
    found = [entry for _, entry in zip(range(MOST), _entries(root, url), strict=False)]
    if kind == "urlset":
        return Sitemap(entries=tuple(found))
    newest_first = sorted(found, key=lambda one: ("news" in one.url.lower(), _stamp(one)), reverse=True)
    return Sitemap(further=tuple(one.url for one in newest_first))


def _unpacked(body: bytes, what: str) -> bytes:
    """Return the bytes of a sitemap that is kept packed; never more than the protocol's bound."""
    if not body.startswith(GZIP):
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(body, LARGEST)
    except zlib.error:
        raise SchemaDrift(f"{what}: the sitemap cannot be unpacked") from None
    if unpacker.unconsumed_tail:
        raise SchemaDrift(f"{what}: the sitemap is larger than its protocol allows")
    return text


def _entries(root: Element, base: str) -> Iterator[Entry]:
    for holder in root:
        parts = {_name(part): (part.text or "").strip() for part in holder.iter() if part is not holder}
        url = absolute(base, parts.get("loc", ""))
        if url:
            yield Entry(
                url=url,
                published=moment(parts.get("publication_date", "")),
                modified=moment(parts.get("lastmod", "")),
                news="news" in parts,
            )


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _stamp(one: Entry) -> float:
    at = one.modified or one.published
    return at.timestamp() if at else 0.0


def moment(text: str) -> datetime | None:
    """Return a time as pages write it (ISO 8601, or its date alone); without a zone it is Malaysia's."""
    return payload.moment(text.strip(), zone=MALAYSIA)
