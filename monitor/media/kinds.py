"""What kind of file it is, by its first bytes, and who reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monitor.media import office, pdf, picture
from monitor.media.limits import EXTRA, MOST_BYTES, Budget, Reading, Unreadable

PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
PLAIN = frozenset({"text/plain", "text/csv"})
UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream"})
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
OLD_FORMATS = {"WordDocument": ".doc", "Workbook": ".xls", "Book": ".xls", "PowerPoint Document": ".ppt"}


def read(data: bytes, *, content_type: str = "", name: str = "") -> Reading:
    """Return the text of a picture, a PDF, a Word, Excel, PowerPoint or OpenDocument file, or a plain text.

    The first bytes decide what it is; `content_type` and `name` only tell plain text from the unknown.
    Raises Unreadable.
    """
    kind = kind_of(data, content_type=content_type, name=name)
    budget = Budget()
    try:
        text = budget.text(READERS[kind](data, budget))
    except ModuleNotFoundError:
        raise Unreadable(EXTRA) from None
    except ImportError as error:  # such as libGL.so.1, which OpenCV loads
        raise Unreadable(f"reading it needs a library of the system: {error.msg}") from None
    except (MemoryError, RecursionError):
        raise Unreadable("reading it needs too much memory") from None
    return Reading(text=text, left_out=budget.left_out)


def kind_of(data: bytes, *, content_type: str = "", name: str = "") -> str:
    """Return "picture", "pdf", "office" or "text". Raises Unreadable for anything else."""
    if not data:
        raise Unreadable("the file is empty")
    if len(data) > MOST_BYTES:
        raise Unreadable(f"the file is larger than {MOST_BYTES // 1_000_000} MB")
    if data.startswith(PICTURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return "picture"
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(b"PK"):
        return "office"
    if data.startswith(OLE):
        raise Unreadable(_old(data))
    if _is_plain(content_type, name):
        return "text"
    raise Unreadable("the kind of file is not one that can be read")


def _is_plain(content_type: str, name: str) -> bool:
    """Plain text has no first bytes to know it by: the server's word counts, and the name where it says nothing."""
    told = content_type.partition(";")[0].strip().lower()
    return told in PLAIN or (told in UNTOLD and name.lower().endswith((".txt", ".csv")))


def _old(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "the document needs a password"
    for stream, ending in OLD_FORMATS.items():
        if stream.encode("utf-16-le") in data:
            return f"the document has the old format {ending}, which is not read"
    return "the kind of file is not one that can be read"


def _text(data: bytes, _budget: Budget) -> str:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace")


READERS: Mapping[str, Callable[[bytes, Budget], str]] = {
    "picture": picture.read,
    "pdf": pdf.read,
    "office": office.read,
    "text": _text,
}
