"""Text out of pictures and documents, and what cannot be read; the worker has tests of its own."""

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from monitor.media import MOST_BYTES, Unreadable, kinds, limits, read

DATA = Path(__file__).parent / "data" / "media"
LABELS = {line["file"]: line for line in map(json.loads, (DATA / "labels.jsonl").read_text("utf-8").splitlines())}
WORDS = "MINIT MESYUARAT SULIT"


def pdf_with(text, extra=b""):
    stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> %s >>"
        % extra,
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


def drawn(text, size=(900, 200), *, ink="black", paper="white", px=52):
    image = Image.new("RGB", size, paper)
    ImageDraw.Draw(image).text((30, 50), text, fill=ink, font=ImageFont.load_default(size=px))
    return image


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def archive(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in parts.items():
            made.writestr(name.replace("__", "/") + ".xml", body)
    return out.getvalue()


def file(name):
    return (DATA / name).read_bytes()


# ---------------------------------------------------------------- documents


@pytest.mark.parametrize("name", sorted(name for name in LABELS if name.endswith((".docx", ".xlsx", ".pptx", ".pdf"))))
def test_every_line_of_a_document_is_read(name):
    """Headers, footers, boxes, comments, notes, hidden sheets; scanned pages word by word, nearly all of them."""
    expected = LABELS[name]["text"].split()
    found = set(read(file(name)).text.split())
    missing = [word for word in expected if word not in found]
    assert len(missing) <= (0.1 * len(expected) if "scan" in name else 0), missing


def test_a_row_of_a_sheet_or_table_is_one_line():
    row = "1\tAminah binti Salleh\t840312-10-5528\t012-345 8891"
    for name in ("table-people.docx", "hidden-people.xlsx"):
        assert row in read(file(name)).text.splitlines()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(
            {"word__document": "<w:p xmlns:w='w'><w:r><w:t>SU</w:t></w:r><w:r><w:t>LIT</w:t></w:r></w:p>"},
            "SULIT", id="a word in two pieces stays one word",
        ),
        pytest.param(
            {"word__document": "<d xmlns:m='m'><m:Choice><t>SULIT</t></m:Choice><m:Fallback><t>SULIT</t></m:Fallback></d>"},
            "SULIT", id="a text box is read once, not again for old programs",
        ),
        pytest.param(
            {"xl__workbook": "<w><sheet name='Rahsia' state='veryHidden'/></w>", "xl__worksheets__sheet1": "<s/>"},
            "Rahsia", id="the name of a hidden sheet",
        ),
        pytest.param(
            {"xl__worksheets__sheet1": "<s><row><c><v>8.40312105528E11</v></c></row></s>"},
            "840312105528", id="a long number without its exponent",
        ),
        pytest.param(
            {"xl__worksheets__sheet1": '<s><headerFooter><oddHeader>&amp;L&amp;"Arial"SULIT</oddHeader></headerFooter></s>'},
            "SULIT", id="the header of a sheet without its codes",
        ),
        pytest.param(
            {"word__document": "<d/>", "docProps__custom": "<p><property><vt:lpwstr xmlns:vt='v'>TERHAD</vt:lpwstr></property></p>"},
            "TERHAD", id="a property of the document",
        ),
        pytest.param(
            {"content": "<o xmlns:t='t'><t:p>Minit <t:span>SULIT</t:span></t:p></o>", "styles": "<o xmlns:t='t'><t:p>RAHSIA</t:p></o>"},
            "Minit SULIT\nRAHSIA", id="an OpenDocument text and its header",
        ),
    ],
)  # fmt: skip
def test_text_is_found_wherever_an_office_file_keeps_it(parts, expected):
    assert read(archive(**parts)).text.strip() == expected


def test_a_note_on_a_pdf_s_page_is_read():
    note = b"/Annots [<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (kata laluan: x) >>]"
    assert "kata laluan: x" in read(pdf_with("Borang permohonan bantuan tahun 2026 untuk semua", note)).text


def test_a_picture_inside_a_document_is_read():
    out = io.BytesIO(archive(word__document="<d/>"))
    with zipfile.ZipFile(out, "a") as made:
        made.writestr("word/media/image1.png", saved(drawn(WORDS)))
    assert WORDS in read(out.getvalue()).text


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfSULIT \xff", "SULIT".encode("utf-16")], ids=["UTF-8", "UTF-16"])
def test_plain_text_is_read_in_any_bytes(data):
    assert read(data, name="a.txt").text.startswith("SULIT")


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("angle", [0, 7, 20, 45, 90, 135, 180, 200, 270, 340])
def test_a_page_is_read_whatever_way_it_lies_and_its_words_stay_apart(angle):
    page = drawn(WORDS, (800, 330)).copy()
    ImageDraw.Draw(page).text((30, 200), "Tarikh 12 Mei 2026", fill="black", font=ImageFont.load_default(size=44))
    lines = read(saved(page.rotate(angle, expand=True, fillcolor="white"))).text.splitlines()
    assert lines[0] == WORDS
    assert "Mei 2026" in lines[1]


@pytest.mark.parametrize(
    "name", ["stamp-rahsia-7.png", "stamp-sulit-20.jpg", "stamp-terhad-30.jpg", "stamp-rahsia-45.png"]
)
def test_a_stamp_at_an_angle_of_its_own_is_read(name):
    assert LABELS[name]["text"].split()[0] in read(file(name)).text.splitlines()


@pytest.mark.parametrize(
    "name",
    ["photo-sulit.jpg", "photo-rahsia-besar.jpg", "photo-faint-terhad.jpg", "large-rahsia.png", "exif-sulit.jpg"],
)
def test_a_photographed_letter_shows_its_heading_first(name):
    assert read(file(name)).text.splitlines()[0] == LABELS[name]["text"].splitlines()[0]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("photo-table-people.jpg", "840312-10-5528 012-345 8891"),
        ("table-aid.png", "1 Zainab binti Harun Bank Contoh 1640 2291 7735 RM 500"),
        ("identity-photo.jpg", "No. Kad Pengenalan 850417-14-5236"),
        ("chat-password-dark.jpg", "password: Cuti@2026!"),
        ("chat-wifi-small.png", "Kata laluan: Gerak4n#Aras9"),
        ("through-password.png", "Password: P3jabat#77"),
    ],
)
def test_a_label_and_its_value_or_a_row_stand_on_one_line(name, line):
    assert any(line in " ".join(one.split()) for one in read(file(name)).text.splitlines())


def test_a_later_frame_of_an_animation_is_read_and_repeated_lines_stand_once():
    text = read(file("gambling.gif")).text
    assert "SLOT ONLINE" in text
    same = [drawn(WORDS).convert("P"), drawn(WORDS, ink="grey").convert("P")]
    assert read(saved(same[0], "GIF", save_all=True, append_images=same[1:])).text == WORDS


def test_light_letters_on_nothing_are_read():
    image = Image.new("LA", (900, 200), (0, 0))
    ImageDraw.Draw(image).text((30, 50), WORDS, fill=(255, 255), font=ImageFont.load_default(size=52))
    assert read(saved(image)).text == WORDS


def test_a_long_screenshot_is_read_to_its_end():
    image = Image.new("RGB", (700, 6_000), "white")
    for y in range(40, 5_900, 400):
        ImageDraw.Draw(image).text((40, y), f"Baris nombor {y}", fill="black", font=ImageFont.load_default(size=36))
    lines = read(saved(image)).text.splitlines()
    assert lines == [f"Baris nombor {y}" for y in range(40, 5_900, 400)]


def test_a_picture_without_words_gives_none():
    assert read(saved(Image.new("RGB", (300, 300), "navy"))).text == ""


# ---------------------------------------------------------------- what cannot be read


def bomb(kind="word/document.xml"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(kind, b"<a>" + b" " * (limits.MOST_UNPACKED_BYTES + 1))
    return out.getvalue()


def lying_bomb():
    """A bomb whose directory says that it is small."""
    data = bytearray(bomb())
    place = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, place + 24, 1_000)
    return bytes(data)


def locked(data):
    """Mark a zip archive's first file as encrypted."""
    changed = bytearray(data)
    changed[6] |= 1
    changed[changed.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def large_header():
    """A PNG that says it has 10^10 pixels, in 60 bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def locked_pdf():
    words = b"<< /Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s> >>" % (b"ab" * 32, b"cd" * 32)
    return pdf_with("SULIT").replace(b"/Root 1 0 R", b"/Root 1 0 R /ID [<00> <00>] /Encrypt " + words)


def ole(stream):
    return kinds.OLE + b"\0" * 600 + stream.encode("utf-16-le") + b"\0" * 64


ENTITIES = "<!DOCTYPE a [<!ENTITY x 'xxxxxxxx'><!ENTITY y '&x;&x;&x;'>]><a><t>&y;</t></a>"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: b"", "is empty", id="nothing"),
        pytest.param(lambda: b"MZ\x90\x00", "kind of file", id="a program"),
        pytest.param(lambda: archive(readme="<a/>"), "kind of file", id="an archive of something else"),
        pytest.param(lambda: b"\x89PNG\r\n\x1a\n broken", "cannot be decoded", id="a broken picture"),
        pytest.param(lambda: saved(drawn(WORDS))[:300], "cannot be decoded", id="half a picture"),
        pytest.param(lambda: b"%PDF-1.7 broken", "cannot be opened", id="a broken PDF"),
        pytest.param(lambda: b"PK\x03\x04 broken", "is damaged", id="a broken document"),
        pytest.param(lambda: file("header-sulit.docx")[:9_000], "is damaged", id="half a document"),
        pytest.param(lambda: archive(word__document="<a><b>"), "is damaged", id="broken XML"),
        pytest.param(lambda: archive(word__document=ENTITIES), "do not write", id="an entity bomb"),
        pytest.param(lambda: pdf_with(""), "holds no text", id="a PDF of nothing"),
        pytest.param(locked_pdf, "needs a password", id="a PDF with a password"),
        pytest.param(lambda: locked(archive(word__document="<a/>")), "needs a password", id="an encrypted archive"),
        pytest.param(lambda: ole("EncryptedPackage"), "needs a password", id="a Word file with a password"),
        pytest.param(lambda: ole("WordDocument"), "old format .doc", id="an old Word file"),
        pytest.param(lambda: ole("Workbook"), "old format .xls", id="an old Excel file"),
        pytest.param(bomb, "unpacks to too much", id="a document bomb"),
        pytest.param(lambda: bomb("xl/worksheets/sheet1.xml"), "unpacks to too much", id="a sheet bomb"),
        pytest.param(lying_bomb, "unpacks to too much|is damaged", id="a bomb that lies about its size"),
        pytest.param(lambda: saved(Image.new("1", (30_000, 2_000))), "too many pixels", id="a picture bomb"),
        pytest.param(large_header, "too many pixels|cannot be decoded", id="a picture that says it is endless"),
        pytest.param(lambda: b"%PDF-" + b"0" * MOST_BYTES, "larger than 20 MB", id="a huge file"),
    ],
)
def test_what_cannot_be_read_says_why_and_harms_nothing(make, reason):
    """Fault 30."""
    with pytest.raises(Unreadable, match=reason):
        read(make())


def test_the_first_bytes_decide_whatever_a_file_is_called():
    assert "SULIT" in read(file("header-sulit.docx"), name="gambar.png", content_type="image/png").text
    assert WORDS in read(saved(drawn(WORDS)), name="minit.docx").text


def test_text_without_end_is_cut_and_that_is_said():
    reading = read(b"a" * (limits.MOST_CHARACTERS + 1), name="a.txt")
    assert len(reading.text) == limits.MOST_CHARACTERS
    assert "cut" in reading.left_out
    long = archive(word__document="<d><t>" + "a" * (limits.MOST_CHARACTERS + 9) + "</t></d>")
    assert "cut" in read(long).left_out


def test_pages_and_pictures_beyond_the_bounds_are_named(monkeypatch):
    monkeypatch.setattr("monitor.media.limits.MOST_PICTURES", 0)
    assert "pictures were not read" in read(saved(drawn(WORDS))).left_out
    monkeypatch.setattr("monitor.media.pdf.MOST_PAGES", 0)
    with pytest.raises(Unreadable):
        read(pdf_with("SULIT"))


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    def absent(_data, _budget):
        raise error

    monkeypatch.setattr("monitor.media.kinds.READERS", {"pdf": absent})
    error = ModuleNotFoundError("No module named 'pypdfium2'")
    with pytest.raises(Unreadable, match=r"pantau\[media\]"):
        read(pdf_with("SULIT"))
    error = ImportError("libGL.so.1: cannot open shared object file")
    with pytest.raises(Unreadable, match="library of the system: libGL"):
        read(pdf_with("SULIT"))


def test_a_page_is_no_plain_text_whatever_its_address_ends_in():
    assert "SULIT" in read(b"SULIT", content_type="text/csv; charset=utf-8").text
    assert "SULIT" in read(b"SULIT", name="a.txt", content_type="application/octet-stream").text
    with pytest.raises(Unreadable, match="kind of file"):
        read(b"<html>SULIT</html>", name="a.txt", content_type="text/html")
