"""HTML as a reader sees it: text with link targets and picture descriptions, links, pictures, documents. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TypeVar
from urllib.parse import urlsplit

from connectors.links import absolute
from monitor.model import Media, MediaKind

T = TypeVar("T")
PATIENCE = 50  # tags without an end that are looked into
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".m4v", ".mp3", ".m4a", ".ogg")
DOCUMENT_SUFFIXES = (".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".rtf", ".csv")
HOLDERS = frozenset({"video", "audio", "source", "iframe", "embed", "object"})  # of files
UNSEEN = frozenset({"script", "style", "template", "noscript", "head", "title"})
BLOCKS = frozenset(
    {"p", "div", "br", "hr", "pre", "li", "ul", "ol", "dt", "dd", "blockquote", "address", "table", "tr", "caption"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header", "footer", "main", "aside", "nav", "figure"}
    | {"figcaption", "details", "summary", "form", "fieldset", "legend", "option"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a piece of HTML shows. Links and media are absolute addresses."""

    text: str
    links: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()


def read_html(markup: str, *, base: str) -> Reading:
    """Return what a reader of `markup` sees, with `base` for relative addresses."""
    reader = _Reader(base)
    feed_whole(reader, markup)
    return Reading(text=tidy("".join(reader.pieces)), links=unique(reader.links), media=unique(reader.media))


class LenientParser(HTMLParser):
    """Takes a page for what a browser makes of it: a strange declaration (`<![`) is a comment, and no failure."""

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:  # how html.parser says that it knows no such section
            return self.parse_bogus_comment(i)


def feed_whole(parser: LenientParser, page: str) -> None:
    """Have a whole page read. Of tags that never end, only so many are looked into; then what is left is text.

    For each of them html.parser looks through all the rest of the page, which for a hostile one takes hours.
    """
    parser.feed(page)
    for tries in range(PATIENCE + 1):
        rest = parser.rawdata  # what it could not make sense of yet
        if not rest.startswith("<"):
            break
        following = rest.find("<", 1) if tries < PATIENCE else -1
        parser.rawdata = ""
        parser.handle_data(rest if following < 0 else rest[:following])
        parser.feed("" if following < 0 else rest[following:])
    parser.close()


def tidy(text: str) -> str:
    """Join white space, keep line breaks: at most one empty line between two."""
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in text.replace("\r", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def joined(parts: Iterable[str]) -> str:
    """Join texts with an empty line, leaving out one that an earlier or later one holds already."""
    texts = [text for text in unique(parts) if text]
    kept = [text for text in texts if not any(text != other and text in other for other in texts)]
    return "\n\n".join(kept)


def unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def media_of(url: str, *, kind: str = "", text: str = "") -> Media | None:
    """Return a file as media by its content type, else by its name; None when neither tells."""
    try:
        path = urlsplit(url).path.lower()
    except ValueError:
        return None
    if kind.startswith("image/") or (not kind and path.endswith(PICTURE_SUFFIXES)):
        return Media(kind=MediaKind.PICTURE, url=url, text=text)
    if kind.startswith(("video/", "audio/")) or (not kind and path.endswith(VIDEO_SUFFIXES)):
        return Media(kind=MediaKind.VIDEO, url=url, text=text)
    if kind.startswith("application/") or path.endswith(DOCUMENT_SUFFIXES):
        return Media(kind=MediaKind.DOCUMENT, url=url, text=text)
    return None


def _largest(candidates: str) -> str:
    """Return the address of the last picture of a `srcset`, which by custom is the largest."""
    return next(iter(re.split(r",\s", candidates.strip(", \n"))[-1].split()), "")


class _Reader(LenientParser):
    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.links: list[str] = []
        self.media: list[Media] = []
        self._base = base
        self._unseen = 0
        self._targets: list[tuple[str, int]] = []  # open links: where to, and where their text begins

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in UNSEEN:
            self._unseen += 1
        elif tag in BLOCKS:
            self.pieces.append("\n")
        elif tag == "a":
            self._targets.append((absolute(self._base, given.get("href", "")), len(self.pieces)))
        elif tag == "img":
            self._picture(given)
        elif tag in HOLDERS:
            self._keep_link(absolute(self._base, given.get("src") or given.get("data", "")))
            if still := absolute(self._base, given.get("poster", "")):
                self.media.append(Media(kind=MediaKind.PICTURE, url=still))

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in BLOCKS - {"br", "hr"}:
            self.pieces.append("\n")
        elif tag == "a" and self._targets:
            target, begin = self._targets.pop()
            if target and target not in "".join(self.pieces[begin:]):
                self.pieces.append(f" ({target})")
            self._keep_link(target)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)

    def _keep_link(self, target: str) -> None:
        if not target:
            return
        self.links.append(target)
        found = media_of(target)
        if found is not None and found.kind is MediaKind.DOCUMENT:
            self.media.append(found)

    def _picture(self, given: dict[str, str]) -> None:
        alt = given.get("alt", "").strip()
        named = [given.get("src", ""), given.get("data-src", "")]  # the latter is loaded once it is in view
        named += [_largest(given.get(name, "")) for name in ("srcset", "data-srcset")]
        address = next(filter(None, (absolute(self._base, one) for one in named)), "")
        if alt:
            self.pieces.append(f" {alt} ")
        if address:
            self.media.append(Media(kind=MediaKind.PICTURE, url=address, text=alt))
