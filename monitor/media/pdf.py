"""A PDF's text: what is written on a page, its notes and form fields, and what is only a picture of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.media import picture
from monitor.media.limits import MOST_PAGES, Budget, Unreadable

RENDERED_SIDE = 2_000  # pixels of a page's longer side
HARDLY_ANY = 40  # letters; with fewer, a page is taken for a picture
PICTURE_SHARE = 0.015  # of the page; smaller pictures are ornaments
MOST_OBJECTS = 2_000
PAPER_SIDE = 14_400  # points, the most that PDF allows
ABOUT = ("Title", "Subject", "Keywords")


def read(data: bytes, budget: Budget) -> str:
    """Return a PDF's text, page by page. Raises Unreadable."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        reason = "needs a password" if "password" in str(error).lower() else "cannot be opened"
        raise Unreadable(f"the PDF {reason}") from None
    try:
        text = "\n".join(part for part in _parts(document, budget) if part.strip())
    except pypdfium2.PdfiumError:
        raise Unreadable("the PDF is damaged") from None
    finally:
        document.close()
    if not text.strip():
        raise Unreadable("the PDF holds no text, and its pictures hold none that can be read")
    return text


def _parts(document: Any, budget: Budget) -> Iterator[str]:
    if document.get_formtype():
        document.init_forms()
    about = document.get_metadata_dict()
    yield "\n".join(about[name] for name in ABOUT if about.get(name))
    seen: set[int] = set()
    if len(document) > MOST_PAGES:
        budget.left_out = f"only the first {MOST_PAGES} of {len(document)} pages were read"
    length = 0
    for number in range(min(len(document), MOST_PAGES)):
        page = document[number]
        for part in _of_page(page, budget, seen):
            length += len(part)
            yield part
        page.close()
        if budget.over(length):
            return


def _of_page(page: Any, budget: Budget, seen: set[int]) -> Iterator[str]:
    written = page.get_textpage().get_text_bounded()
    yield written
    yield from _noted(page)
    for box in _pictures(page, scanned=len("".join(written.split())) < HARDLY_ANY):
        image = _rendered(page, box)
        print_of = hash(image.tobytes())
        if print_of not in seen:  # a letterhead on every page is read once
            seen.add(print_of)
            yield picture.lines_on(image, budget)


def _noted(page: Any) -> Iterator[str]:
    """Yield what annotations say and what form fields hold."""
    import ctypes

    from pypdfium2 import raw

    for number in range(min(raw.FPDFPage_GetAnnotCount(page), MOST_OBJECTS)):
        note = raw.FPDFPage_GetAnnot(page, number)
        if not note:
            continue
        for key in (b"Contents", b"V"):
            size = min(raw.FPDFAnnot_GetStringValue(note, key, None, 0), 100_000)
            if size > 2:
                words = ctypes.create_string_buffer(size)
                raw.FPDFAnnot_GetStringValue(note, key, ctypes.cast(words, ctypes.POINTER(raw.FPDF_WCHAR)), size)
                yield words.raw[: size - 2].decode("utf-16-le", errors="replace")
        raw.FPDFPage_CloseAnnot(note)


def _pictures(page: Any, *, scanned: bool) -> Iterator[tuple[float, float, float, float]]:
    """Yield the boxes (left, bottom, right, top) to be recognised: the page, or the pictures on it."""
    from pypdfium2 import raw

    wide, high = page.get_size()
    if scanned:
        yield (0, 0, wide, high)
        return
    found = page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)
    for _, one in zip(range(MOST_OBJECTS), found, strict=False):
        left, bottom, right, top = one.get_bounds()
        box = (max(0.0, left), max(0.0, bottom), min(wide, right), min(high, top))
        if box[2] > box[0] and box[3] > box[1] and (box[2] - box[0]) * (box[3] - box[1]) > PICTURE_SHARE * wide * high:
            yield box


def _rendered(page: Any, box: tuple[float, float, float, float]) -> Any:
    wide, high = page.get_size()
    if max(wide, high) > PAPER_SIDE or min(wide, high) <= 0:
        raise Unreadable("a page of the PDF has no sensible size")
    left, bottom, right, top = box
    crop = (left, bottom, wide - right, high - top)
    whole = RENDERED_SIDE / max(wide, high)
    scale = min(3 * whole, RENDERED_SIDE / max(right - left, top - bottom))
    return page.render(scale=max(scale, 0.01), crop=crop).to_pil().convert("RGB")
