import io
import zipfile

import pytest

from monitor import media
from monitor.media import Unreadable, read


def docx_with(body="", header="", cell=""):
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_paragraph(body)
    document.sections[0].header.paragraphs[0].text = header
    document.add_table(rows=1, cols=1).cell(0, 0).text = cell
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pdf_with(text):
    stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    begin = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places)
    out += b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % begin
    return bytes(out)


def picture_of(text, size=(900, 200)):
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((30, 50), text, fill="black", font=ImageFont.load_default(size=72))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_a_marking_in_the_header_or_a_table_of_a_document_is_read():
    text = read(docx_with("Minit", header="SULIT", cell="RAHSIA"), name="minit.docx")
    assert {"Minit", "SULIT", "RAHSIA"} <= set(text.split())


def test_a_pdf_s_text_is_read():
    assert "SULIT" in read(pdf_with("SULIT"))


def test_the_text_of_a_picture_is_read():
    assert "SULIT" in read(picture_of("SULIT")).upper()


def test_plain_text_is_read_in_any_bytes():
    assert read(b"\xef\xbb\xbfSULIT \xff", name="a.txt").startswith("SULIT")


def zip_bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (media.MOST_UNPACKED_BYTES + 1))
    return out.getvalue()


def large_picture():
    from PIL import Image

    out = io.BytesIO()
    Image.new("1", (30_000, 2_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: b"", "is empty", id="nothing"),
        pytest.param(lambda: b"MZ\x90\x00", "kind of file", id="a program"),
        pytest.param(lambda: b"\x89PNG\r\n\x1a\n broken", "cannot be decoded", id="a broken picture"),
        pytest.param(lambda: b"%PDF-1.7 broken", "cannot be opened", id="a broken PDF"),
        pytest.param(lambda: b"PK\x03\x04 broken", "is damaged", id="a broken document"),
        pytest.param(lambda: pdf_with(""), "holds no text", id="a PDF of pictures"),
        pytest.param(zip_bomb, "unpacks to too much", id="a document bomb"),
        pytest.param(large_picture, "too many pixels", id="a picture bomb"),
        pytest.param(lambda: b"%PDF-" + b"0" * media.MOST_BYTES, "larger than 20 MB", id="a huge file"),
    ],
)
def test_what_cannot_be_read_says_why_and_harms_nothing(make, reason):
    """Fault 30."""
    with pytest.raises(Unreadable, match=reason):
        read(make())


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    def absent(_data):
        raise ImportError

    monkeypatch.setitem(media.READERS, "pdf", absent)
    with pytest.raises(Unreadable, match=r"pantau\[media\]"):
        read(pdf_with("SULIT"))
