"""Word, Excel, PowerPoint and OpenDocument files: all of them are zip archives of XML.

One streaming reader instead of a library for each: it finds text wherever it stands (headers, footers, text boxes,
tables, notes, comments, hidden sheets, properties), which python-docx, openpyxl and python-pptx each leave out in part,
and it builds no tree that a hostile file could swell.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO
from xml.sax import SAXException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from monitor.media import picture
from monitor.media.limits import MOST_CHARACTERS, MOST_PICTURES, MOST_UNPACKED_BYTES, Budget, Unreadable

PARTS = re.compile(  # in the order in which they are read
    r"(?P<first>xl/workbook\.xml|xl/sharedStrings\.xml)"
    r"|(?P<body>word/(document|header|footer|footnotes|endnotes|comments)\d*\.xml|xl/worksheets/[^/]+\.xml"
    r"|ppt/slides/[^/]+\.xml|content\.xml)"
    r"|(?P<more>xl/(comments|drawings|charts|threadedComments)[^_]*\.xml|ppt/(notesSlides|comments|diagrams|charts)/[^_]*\.xml"
    r"|word/(diagrams|charts)/[^_]*\.xml|styles\.xml|docProps/(core|custom)\.xml|meta\.xml)"
)
PICTURE = re.compile(r"(word/media|xl/media|ppt/media|Pictures)/[^/]+\.(png|jpe?g|gif|bmp|webp|tiff?)", re.IGNORECASE)
SMALLEST_PICTURE = 2_000  # bytes; below are ornaments
WORDS = frozenset(
    {"t", "delText", "v", "oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter", "text"}
)
ABOUT = frozenset(
    {"title", "subject", "description", "keywords", "keyword", "category", "contentStatus", "lpwstr", "user-defined"}
)
CELLS = frozenset({"tc", "c", "table-cell"})
LINES = frozenset({"p", "h", "si", "row", "tr", "table-row", "cm", "comment", *ABOUT})
SHEET_CODE = re.compile(r"&(\"[^\"]*\"|\d+|[A-Z])")


def read(data: bytes, budget: Budget) -> str:
    """Return all text of an office file, then the lines on its pictures. Raises Unreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "\n".join(text for text in _parts(archive, budget) if text)
    except (zipfile.BadZipFile, zlib.error, SAXException, EOFError, OSError, KeyError, ValueError) as error:
        raise Unreadable(f"the document is damaged ({type(error).__name__})") from None
    except NotImplementedError:
        raise Unreadable("the document is packed in a way that is not read") from None


def _parts(archive: zipfile.ZipFile, budget: Budget) -> Iterator[str]:
    parts = [(match.lastgroup, one) for one in archive.infolist() if (match := PARTS.fullmatch(one.filename))]
    if not any(group == "body" for group, _ in parts):
        raise Unreadable("the kind of file is not one that can be read")
    if any(one.flag_bits & 1 for _, one in parts):
        raise Unreadable("the document needs a password")
    meter = _Meter()
    shared: list[str] = []
    order = ("first", "body", "more")
    for _, one in sorted(parts, key=lambda part: (order.index(part[0] or "more"), _natural(part[1].filename))):
        with archive.open(one) as packed:
            text = _text(meter.wrap(packed), one.filename, shared)
        if one.filename == "xl/sharedStrings.xml":
            shared = text.split("\x00")
        else:
            yield text
    yield from _pictures(archive, meter, budget)


def _natural(name: str) -> list[str | int]:
    """Sort sheet10 after sheet9."""
    return [int(bit) if bit.isdigit() else bit for bit in re.split(r"(\d+)", name)]


def _pictures(archive: zipfile.ZipFile, meter: _Meter, budget: Budget) -> Iterator[str]:
    found = (one for one in archive.infolist() if PICTURE.fullmatch(one.filename) and one.file_size >= SMALLEST_PICTURE)
    for _, one in zip(range(MOST_PICTURES), found, strict=False):
        with archive.open(one) as packed:
            data = meter.wrap(packed).read()
        try:
            yield picture.read(data, budget)
        except Unreadable:
            budget.left_out = "one of its pictures cannot be read"


class _Meter:
    """Counts what really comes out of an archive: the sizes in its directory may lie."""

    def __init__(self) -> None:
        self._left = MOST_UNPACKED_BYTES

    def wrap(self, packed: IO[bytes]) -> io.BufferedReader:
        return io.BufferedReader(_Metered(packed, self._take), 65_536)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Unreadable("the document unpacks to too much")


class _Metered(io.RawIOBase):
    def __init__(self, packed: IO[bytes], take: Callable[[int], None]) -> None:
        self._packed, self._take = packed, take

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]  # typeshed asks for any buffer
        data = self._packed.read(len(into))
        self._take(len(data))
        into[: len(data)] = data
        return len(data)


class _EnoughError(Exception):
    """There is more text than is kept."""


def _text(source: IO[bytes], name: str, shared: list[str]) -> str:
    heard = _Listener(name, shared)
    parser = defusedxml.sax.make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(heard)
    try:
        parser.parse(source)
    except _EnoughError:
        pass
    except DefusedXmlException:
        raise Unreadable("the document's XML is one that office programs do not write") from None
    return heard.result()


class _Listener(ContentHandler):
    """Gathers text as it streams by: a paragraph or a row is a line, cells of a row are parted by tabs."""

    def __init__(self, name: str, shared: list[str]) -> None:
        super().__init__()
        self._shared = shared
        self._strings = name == "xl/sharedStrings.xml"
        self._open = not name.startswith(("word/", "xl/", "ppt/", "docProps/"))  # OpenDocument: all text counts
        self._about = name.startswith("docProps/")
        self._sheet = name.startswith("xl/worksheets/")
        self._buffers: list[list[str]] = [[]]
        self._hearing = 0
        self._skipping = 0
        self._cell_type = ""
        self._length = 0

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 (SAX)
        local = name.rpartition(":")[2]
        if self._skipping or local in {"Fallback", "rPh"}:  # the same text again, for old programs; pronunciation
            self._skipping += 1
            return
        if local in CELLS or local == "txbxContent":
            self._buffers.append([])
            self._cell_type = attrs.get("t", "") if self._sheet else ""
        elif local == "sheet" and "name" in attrs:
            self._say(attrs["name"] + "\n")
        elif local in {"tab", "s"} and not self._sheet:
            self._say("\t" if local == "tab" else " ")
        elif local in {"br", "cr", "line-break"}:
            self._say("\n")
        self._hearing += self._is_words(local)

    def _is_words(self, local: str) -> bool:
        return local in (ABOUT if self._about else {"p", "h", *ABOUT} if self._open else WORDS)

    def characters(self, content: str) -> None:
        if self._hearing and not self._skipping:
            self._say(content)

    def _say(self, words: str) -> None:
        self._buffers[-1].append(words)
        self._length += len(words)
        if self._length > MOST_CHARACTERS:
            raise _EnoughError

    def endElement(self, name: str) -> None:  # noqa: N802 (SAX)
        local = name.rpartition(":")[2]
        if self._skipping:
            self._skipping -= 1
            return
        self._hearing -= self._is_words(local)
        if local in CELLS and len(self._buffers) > 1:
            cell = " ".join("".join(self._buffers.pop()).split())
            self._buffers[-1].append(self._value(cell) + "\t")
        elif local == "txbxContent" and len(self._buffers) > 1:
            box = "".join(self._buffers.pop()).strip()
            self._buffers[-1].append(f"\n{box}\n")
        elif local.endswith(("Header", "Footer")) and self._sheet:
            self._say("\n")
        elif local in LINES:
            self._say("\x00" if self._strings and local == "si" else "\n")

    def _value(self, cell: str) -> str:
        """Return what a sheet shows: a shared string by its number, a whole number without an exponent."""
        if not self._sheet:
            return cell
        if self._cell_type == "s":
            return self._shared[int(cell)] if cell.isdigit() and int(cell) < len(self._shared) else ""
        if self._cell_type in {"", "n"} and "E" in cell:
            try:
                return str(int(float(cell)))
            except (ValueError, OverflowError):
                return cell
        return cell

    def result(self) -> str:
        text = "".join(part for buffer in self._buffers for part in buffer)
        if self._strings:
            return text
        if self._sheet:
            text = SHEET_CODE.sub(" ", text)
        return "\n".join(line for line in (line.strip() for line in text.splitlines()) if line)
