"""Text out of pictures and documents. Pure but for the libraries: bytes go in, text comes out, everything is bounded.

The libraries are heavy and come with `pantau[media]`; each is imported when the first file of its kind is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MOST_BYTES = 20_000_000
MOST_UNPACKED_BYTES = 100_000_000  # of a document's zip archive
MOST_PAGES = 100
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 2_400  # larger pictures are scaled down first: the recognition gains nothing
MOST_CHARACTERS = 500_000
EXTRA = "reading it needs pantau[media]; install it with `pip install 'pantau[media]'`"


class Unreadable(Exception):
    """The file gave no text, for the reason in the message. Never holds what is in the file."""


def read(data: bytes, *, content_type: str = "", name: str = "") -> str:
    """Return the text of a picture (PNG, JPEG, WebP, GIF, BMP), a PDF, a Word document or a plain text.

    The first bytes decide what it is; `content_type` and `name` only tell plain text from the unknown.
    Raises Unreadable.
    """
    if not data:
        raise Unreadable("the file is empty")
    if len(data) > MOST_BYTES:
        raise Unreadable(f"the file is larger than {MOST_BYTES // 1_000_000} MB")
    reader = READERS[_kind(data, content_type, name)]
    try:
        return reader(data)[:MOST_CHARACTERS]
    except ImportError:
        raise Unreadable(EXTRA) from None


def _kind(data: bytes, content_type: str, name: str) -> str:
    head = data[:16]
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    ):
        return "picture"
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if head.startswith(b"PK"):
        return "docx"
    if content_type.startswith("text/plain") or name.lower().endswith((".txt", ".csv")):
        return "text"
    raise Unreadable("the kind of file is not one that can be read")


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig", errors="replace")


def _picture(data: bytes) -> str:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable("the picture has too many pixels")
            image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            pixels = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(f"the picture cannot be decoded ({type(error).__name__})") from None
    lines, _ = _recogniser()(pixels)
    return "\n".join(str(line[1]) for line in lines or [])


_LOADED: dict[str, Any] = {}


def _recogniser() -> Any:
    """Return the character recognition, loaded once: it takes a second and 100 MB."""
    if "ocr" not in _LOADED:
        from rapidocr_onnxruntime import RapidOCR

        _LOADED["ocr"] = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    return _LOADED["ocr"]


def _pdf(data: bytes) -> str:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        reason = "needs a password" if "password" in str(error).lower() else "cannot be opened"
        raise Unreadable(f"the PDF {reason}") from None
    try:
        pages = []
        for number in range(min(len(document), MOST_PAGES)):
            pages.append(document[number].get_textpage().get_text_bounded())
            if sum(map(len, pages)) > MOST_CHARACTERS:
                break
    except pypdfium2.PdfiumError:
        raise Unreadable("the PDF is damaged") from None
    finally:
        document.close()
    text = "\n".join(pages)
    if not text.strip():
        raise Unreadable("the PDF holds no text, only pictures of pages")
    return text


def _docx(data: bytes) -> str:
    from docx import Document
    from docx.opc.exceptions import PackageNotFoundError

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED_BYTES:
                raise Unreadable("the document unpacks to too much")
            if "word/document.xml" not in archive.namelist():
                raise Unreadable("the kind of file is not one that can be read")
        return "\n".join(_paragraphs(Document(io.BytesIO(data))))
    except (zipfile.BadZipFile, PackageNotFoundError, KeyError, ValueError, SyntaxError) as error:
        raise Unreadable(f"the document is damaged ({type(error).__name__})") from None


def _paragraphs(document: Any) -> Iterator[str]:
    """Yield all text: `.paragraphs` alone leaves out headers, footers and tables, where markings sit."""
    for section in document.sections:
        for part in (section.header, section.footer, section.first_page_header, section.first_page_footer):
            yield from (node.text for node in _text_nodes(part._element))  # noqa: SLF001 (the only way to all of it)
    yield from (node.text for node in _text_nodes(document.element.body))


def _text_nodes(element: Any) -> Iterator[Any]:
    from docx.oxml.ns import qn
    from docx.text.paragraph import Paragraph

    for node in element.iter(qn("w:p")):
        yield Paragraph(node, None)


READERS: Mapping[str, Callable[[bytes], str]] = {"picture": _picture, "pdf": _pdf, "docx": _docx, "text": _text}
