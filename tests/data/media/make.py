"""Make the pictures and documents beside this file, with their labels. Invented data; the same each time, but for the clock in zip files.

Run with Pillow, numpy, python-docx, openpyxl and python-pptx at hand, and Debian's fonts-dejavu-core:
`python tests/data/media/make.py`. The texts were written before the rules were read.
"""

import io
import json
import random
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
FONTS = Path("/usr/share/fonts/truetype/dejavu")
INK = (30, 30, 40)


def font(size, face="DejaVuSans"):
    return ImageFont.truetype(FONTS / f"{face}.ttf", size)


# ---- layouts -------------------------------------------------------------------------------------------------------


def letter(lines, *, size=(1000, 1300), top="", face="DejaVuSerif", px=24, paper="white"):
    """Draw a typed page; `top` stands in the middle of head and foot, as a classification does."""
    image = Image.new("RGB", size, paper)
    pen = ImageDraw.Draw(image)
    if top:
        for y in (40, size[1] - 80):
            pen.text((size[0] / 2, y), top, font=font(34, "DejaVuSans-Bold"), fill=INK, anchor="mt")
    y = 130
    for line in lines:
        bold = line.isupper() and len(line) > 8
        pen.text((90, y), line, font=font(px, "DejaVuSerif-Bold" if bold else face), fill=INK)
        y += int(px * 1.7) if line else px
    return image


def poster(lines, *, size=(900, 900), back=(20, 60, 120), ink="white", px=52):
    image = Image.new("RGB", size, back)
    pen = ImageDraw.Draw(image)
    pen.rectangle((20, 20, size[0] - 20, size[1] - 20), outline=ink, width=6)
    y = (size[1] - len(lines) * px * 1.6) / 2
    for line in lines:
        fitting = px
        while font(fitting, "DejaVuSans-Bold").getlength(line) > size[0] - 90:
            fitting -= 2
        pen.text((size[0] / 2, y), line, font=font(fitting, "DejaVuSans-Bold"), fill=ink, anchor="mt")
        y += px * 1.6
    return image


def chat(turns, *, dark=False, title="Kumpulan Unit ICT", px=24, width=620):
    """Draw a messenger: (who is right?, words, time)."""
    back, ink = ((18, 27, 33), "white") if dark else ((236, 229, 221), "black")
    image = Image.new("RGB", (width, 110 + 105 * len(turns)), back)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width, 70), fill=(7, 94, 84))
    pen.text((30, 20), title, font=font(px + 4, "DejaVuSans-Bold"), fill="white")
    y = 95
    for right, words, at in turns:
        length = font(px).getlength(words) + 40
        x = width - length - 20 if right else 20
        fill = ((0, 92, 75) if right else (32, 44, 51)) if dark else ((220, 248, 198) if right else "white")
        pen.rounded_rectangle((x, y, x + length, y + 82), 14, fill=fill)
        pen.text((x + 20, y + 12), words, font=font(px), fill=ink)
        pen.text((x + length - 70, y + 54), at, font=font(16), fill=(140, 140, 140))
        y += 102
    return image


def table(title, rows, *, widths, px=22, lined=True, row=46):
    width = sum(widths) + 60
    image = Image.new("RGB", (width, 120 + row * len(rows)), "white")
    pen = ImageDraw.Draw(image)
    pen.text((30, 30), title, font=font(px + 4, "DejaVuSans-Bold"), fill=INK)
    y = 90
    for number, cells in enumerate(rows):
        x = 30
        if number == 0:
            pen.rectangle((30, y, width - 30, y + row), fill=(215, 225, 240))
        for cell, wide in zip(cells, widths, strict=True):
            if lined:
                pen.rectangle((x, y, x + wide, y + row), outline=(150, 150, 150))
            pen.text(
                (x + 10, y + 10), cell, font=font(px, "DejaVuSans-Bold" if number == 0 else "DejaVuSans"), fill=INK
            )
            x += wide
        y += row
    return image


def card(heading, pairs, *, size=(800, 480), back=(205, 222, 235), px=28):
    """Draw labels at the left and values at the right, as on an identity card."""
    image = Image.new("RGB", size, back)
    pen = ImageDraw.Draw(image)
    pen.text((40, 30), heading, font=font(px + 6, "DejaVuSans-Bold"), fill=INK)
    y = 120
    for label, value in pairs:
        pen.text((40, y), label, font=font(px - 4), fill=(60, 60, 90))
        pen.text((320, y), value, font=font(px, "DejaVuSans-Bold"), fill=INK)
        y += 62
    return image


# ---- what happens to a page ------------------------------------------------------------------------------------------


def stamp(image, words, angle, *, at=(0.62, 0.16), px=54, ink=(190, 25, 35), alpha=215):
    ink_box = font(px, "DejaVuSans-Bold").getbbox(words)
    wide, high = ink_box[2] + 50, ink_box[3] + 40
    mark = Image.new("RGBA", (wide, high), (0, 0, 0, 0))
    pen = ImageDraw.Draw(mark)
    pen.rectangle((3, 3, wide - 4, high - 4), outline=(*ink, alpha), width=5)
    pen.text((25, 16), words, font=font(px, "DejaVuSans-Bold"), fill=(*ink, alpha))
    mark = mark.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
    image = image.copy()
    x, y = int(image.width * at[0] - mark.width / 2), int(image.height * at[1] - mark.height / 2)
    image.paste(mark, (max(0, x), max(0, y)), mark)
    return image


def turned(image, angle, *, fill="white"):
    return image.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=fill)


def photo(image, *, angle=2.0, skew=0.06, light=0.45, contrast=0.8, noise=6, blur=0.6, seed=1):
    """Return the page as a telephone sees it: on a table, askew, lit from one side, soft and noisy."""
    chance = np.random.default_rng(seed)
    desk = Image.new("RGB", (int(image.width * 1.16), int(image.height * 1.14)), (120, 96, 74))
    desk.paste(image, (int(image.width * 0.08), int(image.height * 0.07)))
    desk = desk.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=(120, 96, 74))
    w, h = desk.size
    d = skew * w
    desk = desk.transform(
        (w, h), Image.Transform.QUAD, (-d * 0.6, 0, d * 0.2, h, w - d * 0.3, h, w + d, -d * 0.2),
        resample=Image.Resampling.BICUBIC, fillcolor=(120, 96, 74),
    )  # fmt: skip
    pixels = np.asarray(desk, dtype=np.float32)
    across, down = np.meshgrid(np.linspace(0, 1, w), np.linspace(0, 1, h))
    shade = 1 - light * (0.7 * across + 0.3 * down)
    pixels = (128 + (pixels - 128) * contrast) * shade[..., None] + chance.normal(0, noise, (h, w, 1))
    soft = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
    return soft.resize((int(w * 0.9), int(h * 0.9)), Image.Resampling.BICUBIC)


# ---- files ---------------------------------------------------------------------------------------------------------


def png(image, colours=16):
    out = io.BytesIO()
    image.convert("RGB").quantize(colours).save(out, "PNG", optimize=True)
    return out.getvalue()


def jpeg(image, quality=60, **options):
    while True:
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=quality, **options)
        if len(out.getvalue()) <= 38_000 or quality < 12:
            return out.getvalue()
        quality -= 6


def webp(image):
    out = io.BytesIO()
    image.save(out, "WEBP", quality=50)
    return out.getvalue()


def gif(*images):
    out = io.BytesIO()
    frames = [image.convert("RGB").quantize(8) for image in images]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=900, loop=0)
    return out.getvalue()


def lying(image):
    """Return a JPEG whose pixels lie on the side and whose EXIF says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(image.rotate(90, expand=True), exif=exif)


def see_through(lines):
    image = Image.new("LA", (700, 90 + 60 * len(lines)), (0, 0))
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((40, 40 + 60 * number), line, font=font(34, "DejaVuSans-Bold"), fill=(0, 255))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def pdf(pages):
    """Return a PDF; a page is a list of lines, a picture, or both as a pair."""
    objects, kids = (
        [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>"],
        [],
    )

    def add(body):
        objects.append(body)
        return len(objects)

    def stream(words, data):
        return add(b"<< " + words + b" /Length %d >>\nstream\n" % len(data) + data + b"\nendstream")

    for page in pages:
        lines, image = page if isinstance(page, tuple) else (page, None) if isinstance(page, list) else ([], page)
        drawn, extra = b"", b""
        if image is not None:
            data = jpeg(image.convert("L"), 45)
            picture = stream(
                b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8"
                b" /Filter /DCTDecode" % image.size, data
            )  # fmt: skip
            box = b"595 0 0 842 0 0" if not lines else b"200 0 0 %d 330 640" % (200 * image.height // image.width)
            drawn, extra = b"q %s cm /P Do Q\n" % box, b" /XObject << /P %d 0 R >>" % picture
        for number, line in enumerate(lines):
            shown = line.replace("\\", "").replace("(", "\\(").replace(")", "\\)").encode("latin-1")
            drawn += b"BT /F 13 Tf 60 %d Td (%s) Tj ET\n" % (780 - 20 * number, shown)
        content = stream(b"/Filter /FlateDecode", zlib.compress(drawn))
        kids.append(
            add(
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
                b" /Resources << /Font << /F 3 0 R >>%s >> >>" % (content, extra)
            )
        )
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(b"%d 0 R" % k for k in kids))
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    begin = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % p for p in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, begin)
    return bytes(out)


def docx(lines=(), *, header="", footer="", rows=(), box="", comment=""):
    from docx import Document
    from docx.oxml import parse_xml

    document = Document()
    paragraphs = [document.add_paragraph(line) for line in lines]
    document.sections[0].header.paragraphs[0].text = header
    document.sections[0].footer.paragraphs[0].text = footer
    if rows:
        grid = document.add_table(rows=0, cols=len(rows[0]))
        for cells in rows:
            for place, words in zip(grid.add_row().cells, cells, strict=True):
                place.text = words
    if box:
        w, v = "http://schemas.openxmlformats.org/wordprocessingml/2006/main", "urn:schemas-microsoft-com:vml"
        document.add_paragraph()._p.append(
            parse_xml(
                f'<w:r xmlns:w="{w}" xmlns:v="{v}"><w:pict><v:shape style="width:200pt;height:60pt"><v:textbox>'
                f"<w:txbxContent><w:p><w:r><w:t>{box}</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r>"
            )
        )
    if comment:
        document.add_comment(paragraphs[0].runs, text=comment, author="Pejabat")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def xlsx(*sheets):
    """Make a workbook of (name, hidden?, rows)."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, hidden, rows in sheets:
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if hidden else "visible"
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pptx(*slides):
    """Make a talk of (title, body, notes)."""
    from pptx import Presentation

    talk = Presentation()
    for title, body, notes in slides:
        slide = talk.slides.add_slide(talk.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    out = io.BytesIO()
    talk.save(out)
    return out.getvalue()


# ---- contents ------------------------------------------------------------------------------------------------------

MINUTES = [
    "MINIT MESYUARAT JAWATANKUASA KESELAMATAN", "Bil. 3/2026", "", "Tarikh : 12 Ogos 2026", "Tempat : Bilik Gerakan, Aras 9",
    "", "1. Pengerusi memaklumkan bahawa cadangan penempatan", "semula pegawai di pos kawalan sempadan perlu",
    "dimuktamadkan sebelum hujung bulan.", "", "2. Semua ahli diingatkan supaya tidak membincangkan", "perkara ini di luar mesyuarat.",
]  # fmt: skip
ORDER = [
    "JABATAN PERLINDUNGAN AWAM CONTOH", "Ruj. Kami : JPAC.S.100-2/4/7 Jld. 2", "Tarikh : 3 September 2026", "", "Semua Ketua Cawangan", "",
    "PELAN OPERASI PINTASAN BIL. 4", "", "Dengan hormatnya saya merujuk perkara di atas.", "2. Pasukan akan bergerak pada jam 0300 dari pangkalan",
    "hadapan dan laluan sebenar hanya dimaklumkan kepada", "ketua pasukan.", "", "Sekian, terima kasih.",
]  # fmt: skip
MEMO = [
    "MEMO DALAMAN", "", "Kepada : Semua pegawai Bahagian Kewangan", "Daripada : Timbalan Pengarah", "", "PEMOTONGAN PERUNTUKAN 2027", "",
    "Memo ini untuk edaran dalaman sahaja dan tidak boleh", "disebarkan kepada pihak luar. Cadangan pemotongan",
    "sebanyak RM 4.2 juta belum diumumkan.",
]  # fmt: skip
CABINET = [
    "MEMORANDUM JEMAAH MENTERI", "", "daripada", "MENTERI PEMBANGUNAN CONTOH", "", "CADANGAN PENSTRUKTURAN SEMULA", "TARIF BEKALAN AIR", "",
    "1. Jemaah Menteri adalah dipohon menimbang dan", "meluluskan cadangan kenaikan tarif berperingkat.",
]  # fmt: skip
PEOPLE = [
    ("Bil", "Nama", "No. K/P", "No. Telefon"),
    ("1", "Aminah binti Salleh", "840312-10-5528", "012-345 8891"),
    ("2", "Chong Wei Han", "790825-08-6117", "016-778 2034"),
    ("3", "Suresh a/l Maniam", "910107-05-5093", "019-220 4467"),
    ("4", "Rosnah binti Daud", "880619-03-5774", "013-902 1158"),
    ("5", "Faizal bin Othman", "760230-14-5341", "017-664 0923"),
]
AID = [
    ("Bil", "Penerima", "Bank", "No. Akaun", "Jumlah"),
    ("1", "Zainab binti Harun", "Bank Contoh", "1640 2291 7735", "RM 500"),
    ("2", "Lim Siew Eng", "Bank Teladan", "5141 8830 2296", "RM 500"),
    ("3", "Muthu a/l Rajan", "Bank Contoh", "1640 7718 0042", "RM 350"),
]
GUARDS = [
    ("Tarikh", "Syif", "Pengawal", "Pos", "Telefon"),
    ("1 Okt", "0700-1500", "Kpl. Hamid", "Pintu utama", "011-2883 4471"),
    ("1 Okt", "1500-2300", "Kpl. Rajoo", "Stor senjata", "014-337 9020"),
    ("2 Okt", "2300-0700", "Kpl. Ismail", "Bilik server", "018-465 2217"),
]
NETWORK = [
    ("Peranti", "Alamat IP", "Pengguna", "Kata laluan"),
    ("Firewall", "10.17.4.1", "admin", "Tembok#2026"),
    ("Pelayan fail", "10.17.4.20", "root", "Gudang!88"),
    ("Suis aras 3", "10.17.4.33", "cisco", "suis3lama"),
]
PASSWORDS = [
    (False, "Assalamualaikum, sistem e-cuti tak boleh masuk", "9:12"),
    (True, "Guna akaun admin dulu ye", "9:13"),
    (True, "username: admin.hr", "9:13"),
    (True, "password: Cuti@2026!", "9:13"),
    (False, "Ok dah boleh, terima kasih", "9:15"),
]
WIFI = [
    (False, "Apa kata laluan wifi bilik gerakan?", "14:02"),
    (True, "SSID: BG-DALAMAN", "14:03"),
    (True, "Kata laluan: Gerak4n#Aras9", "14:03"),
]
SLOT = [
    "SLOT ONLINE PALING GACOR",
    "BONUS 100% DEPOSIT PERTAMA",
    "DAFTAR: WWW.JUTAWIN88.EXAMPLE",
    "MINIMUM DEPOSIT RM10",
]
CASINO = ["KASINO LIVE 24 JAM", "FREE CREDIT RM30", "TANPA DEPOSIT", "4D TOTO JACKPOT", "WHATSAPP 011-2345 6789"]
CRYPTO = [
    "OFFICIAL GIVEAWAY",
    "5,000 BTC & ETH",
    "SEND 0.1 BTC GET 0.2 BTC BACK",
    "bc1q9exampleinventedaddr7k2m",
    "HURRY! ENDS TODAY",
]
DEFACED = ["HACKED BY", "D4RK G4RUDA TEAM", "YOUR SECURITY IS ZERO", "ADMIN, PATCH YOUR SYSTEM"]
PARTY = ["UNDI CALON NO. 2", "PARTI CONTOH BERSATU", "PILIHAN RAYA DUN BUKIT ARA", "TUMBANGKAN PARTI LAWAN!"]
HATE = ["BANGSA PENDATANG", "BALIK KE NEGARA ASAL!", "TANAH INI BUKAN MILIK KAMU", "BANGKIT SEMUA, HALAU MEREKA"]
SALES = [
    "KURUS CEPAT DALAM 7 HARI",
    "PRODUK TERBAIK, STOK TERHAD",
    "ORDER SEKARANG DENGAN SAYA",
    "WHATSAPP 012-555 0177",
    "JADI EJEN, UNTUNG BESAR",
]
CHAIN = [
    "PENTING! SEBARKAN SEGERA",
    "Kerajaan akan tutup semua bank esok",
    "Keluarkan duit anda sekarang",
    "Hantar kepada 20 kumpulan",
    "Sumber: orang dalam",
]
IDENTITY = [
    ("No. Kad Pengenalan", "850417-14-5236"),
    ("Nama", "NORAINI BINTI YAHYA"),
    ("Alamat", "17 JALAN MELUR 3"),
    ("", "43650 BANDAR CONTOH"),
]


def lines_of(rows):
    return [" ".join(row) for row in rows]


def said(turns):
    return [words for _, words, _ in turns]


B, OK = True, False
# file, breach, clause, topic, the lines on it, the bytes
ITEMS = [
    ("stamp-sulit-0.png", B, "3c", "marking", ["SULIT", *MINUTES], lambda: png(stamp(letter(MINUTES), "SULIT", 0, at=(0.8, 0.06)))),
    ("stamp-rahsia-7.png", B, "3c", "marking", ["RAHSIA", *ORDER], lambda: png(stamp(letter(ORDER), "RAHSIA", 7, at=(0.78, 0.08)))),
    ("stamp-sulit-20.jpg", B, "3c", "marking", ["SULIT", *MINUTES], lambda: jpeg(stamp(letter(MINUTES), "SULIT", 20, at=(0.75, 0.82)))),
    ("stamp-rahsia-45.png", B, "3c", "marking", ["RAHSIA", *ORDER], lambda: png(stamp(letter(ORDER), "RAHSIA", 45, at=(0.75, 0.84), px=64))),
    ("stamp-terhad-30.jpg", B, "3c", "marking", ["TERHAD", *MEMO], lambda: jpeg(stamp(letter(MEMO), "TERHAD", -30, at=(0.7, 0.75), px=60))),
    ("page-sulit-90.png", B, "3c", "marking", ["SULIT", *MINUTES], lambda: png(turned(letter(MINUTES, top="SULIT"), 90))),
    ("page-sulit-180.png", B, "3c", "marking", ["SULIT", *ORDER], lambda: png(turned(letter(ORDER, top="SULIT"), 180))),
    ("page-rahsia-270.jpg", B, "3c", "marking", ["RAHSIA", *ORDER], lambda: jpeg(turned(letter(ORDER, top="RAHSIA"), 270))),
    ("page-rahsia-20.jpg", B, "3c", "marking", ["RAHSIA", *MINUTES], lambda: jpeg(turned(letter(MINUTES, top="RAHSIA"), 20))),
    ("page-sulit-45.jpg", B, "3c", "marking", ["SULIT", *ORDER], lambda: jpeg(turned(letter(ORDER, top="SULIT"), 45, fill=(90, 90, 90)))),
    ("photo-sulit.jpg", B, "3c", "marking", ["SULIT", *MINUTES], lambda: jpeg(photo(letter(MINUTES, top="SULIT"), angle=3, seed=3))),
    ("photo-rahsia-besar.jpg", B, "3c", "marking", ["RAHSIA BESAR", *ORDER], lambda: jpeg(photo(letter(ORDER, top="RAHSIA BESAR"), angle=-8, skew=0.09, light=0.6, seed=4))),
    ("photo-faint-terhad.jpg", B, "3c", "marking", ["TERHAD", *MINUTES], lambda: jpeg(photo(letter(MINUTES, top="TERHAD"), contrast=0.35, light=0.3, noise=4, seed=5))),
    ("photo-memo.jpg", B, "3c", "internal", MEMO, lambda: jpeg(photo(letter(MEMO), angle=5, seed=6))),
    ("memo.png", B, "3c", "internal", MEMO, lambda: png(letter(MEMO))),
    ("cabinet.png", B, "3c", "cabinet", ["RAHSIA", *CABINET], lambda: png(letter(CABINET, top="RAHSIA"))),
    ("photo-cabinet.jpg", B, "3c", "cabinet", ["RAHSIA", *CABINET], lambda: jpeg(photo(letter(CABINET, top="RAHSIA"), angle=-4, seed=7))),
    ("exif-sulit.jpg", B, "3c", "marking", ["SULIT", *ORDER], lambda: lying(letter(ORDER, top="SULIT"))),
    ("large-rahsia.png", B, "3c", "marking", ["RAHSIA", *MINUTES], lambda: png(letter(MINUTES, top="RAHSIA").resize((3000, 3900), Image.Resampling.LANCZOS), 2)),
    ("chat-password.png", B, "4", "credentials", said(PASSWORDS), lambda: png(chat(PASSWORDS, width=700))),
    ("chat-password-dark.jpg", B, "4", "credentials", said(PASSWORDS), lambda: jpeg(chat(PASSWORDS, dark=True, width=700))),
    ("chat-wifi-small.png", B, "4", "credentials", said(WIFI), lambda: png(chat(WIFI, px=20, dark=True).resize((370, 250), Image.Resampling.LANCZOS), 24)),
    ("through-password.png", B, "4", "credentials", ["Username: pentadbir", "Password: P3jabat#77"], lambda: see_through(["Username: pentadbir", "Password: P3jabat#77"])),
    ("table-people.png", B, "4", "personal", ["SENARAI PEMOHON BANTUAN", *lines_of(PEOPLE)], lambda: png(table("SENARAI PEMOHON BANTUAN", PEOPLE, widths=(60, 330, 220, 210)))),
    ("photo-table-people.jpg", B, "4", "personal", ["SENARAI PEMOHON BANTUAN", *lines_of(PEOPLE)], lambda: jpeg(photo(table("SENARAI PEMOHON BANTUAN", PEOPLE, widths=(60, 330, 220, 210), px=24), angle=4, seed=8))),
    ("table-aid.png", B, "4", "personal", ["SENARAI PENERIMA BANTUAN TUNAI", *lines_of(AID)], lambda: png(table("SENARAI PENERIMA BANTUAN TUNAI", AID, widths=(60, 290, 200, 250, 140), lined=False))),
    ("roster-guards.png", B, "4", "roster", ["JADUAL TUGAS PENGAWAL KESELAMATAN", *lines_of(GUARDS)], lambda: png(table("JADUAL TUGAS PENGAWAL KESELAMATAN", GUARDS, widths=(110, 170, 200, 190, 220)))),
    ("roster-guards-90.jpg", B, "4", "roster", ["JADUAL TUGAS PENGAWAL KESELAMATAN", *lines_of(GUARDS)], lambda: jpeg(turned(table("JADUAL TUGAS PENGAWAL KESELAMATAN", GUARDS, widths=(110, 170, 200, 190, 220)), 90))),
    ("network.png", B, "4", "network", ["INVENTORI RANGKAIAN DALAMAN", *lines_of(NETWORK)], lambda: png(table("INVENTORI RANGKAIAN DALAMAN", NETWORK, widths=(210, 190, 190, 230)))),
    ("identity.jpg", B, "4", "personal", ["KAD PENGENALAN", *lines_of(IDENTITY)], lambda: jpeg(card("KAD PENGENALAN", IDENTITY))),
    ("identity-photo.jpg", B, "4", "personal", ["KAD PENGENALAN", *lines_of(IDENTITY)], lambda: jpeg(photo(card("KAD PENGENALAN", IDENTITY), angle=12, seed=9))),
    ("gambling.gif", B, "3a", "gambling", SLOT, lambda: gif(poster(["SELAMAT DATANG"], size=(700, 400), back=(10, 10, 10)), poster(SLOT, size=(700, 400), back=(10, 10, 10), ink=(250, 210, 60), px=40))),
    ("gambling.jpg", B, "3a", "gambling", CASINO, lambda: jpeg(poster(CASINO, back=(90, 0, 20), ink=(255, 230, 120)))),
    ("crypto.png", B, "3b", "hijack", CRYPTO, lambda: png(poster(CRYPTO, back=(15, 15, 30), ink=(240, 185, 30)))),
    ("defaced.jpg", B, "3b", "hijack", DEFACED, lambda: jpeg(poster(DEFACED, back=(0, 0, 0), ink=(60, 220, 60)))),
    ("party.webp", B, "3a", "politics", PARTY, lambda: webp(poster(PARTY, back=(200, 30, 30)))),
    ("hate.png", B, "3b", "incitement", HATE, lambda: png(poster(HATE, back=(30, 30, 30)))),
    ("sales.jpg", B, "3a", "commerce", SALES, lambda: jpeg(poster(SALES, back=(230, 120, 160)))),
    ("chain.png", B, "3a", "hoax", CHAIN, lambda: png(poster(CHAIN, back="white", ink="black", px=40))),
    ("header-sulit.docx", B, "3c", "marking", ["SULIT", *MINUTES], lambda: docx(MINUTES, header="SULIT")),
    ("footer-rahsia.docx", B, "3c", "marking", [*ORDER, "RAHSIA"], lambda: docx(ORDER, footer="RAHSIA")),
    ("box-sulit.docx", B, "3c", "marking", [*MINUTES, "SULIT"], lambda: docx(MINUTES, box="SULIT")),
    ("comment-password.docx", B, "4", "credentials", ["Panduan sistem e-cuti", "Kata laluan admin: Cuti@2026!"], lambda: docx(["Panduan sistem e-cuti"], comment="Kata laluan admin: Cuti@2026!")),
    ("table-people.docx", B, "4", "personal", lines_of(PEOPLE), lambda: docx(["Senarai pemohon bantuan"], rows=PEOPLE)),
    ("hidden-people.xlsx", B, "4", "personal", ["Ringkasan 2026", "Jumlah pemohon 5", *lines_of(PEOPLE)], lambda: xlsx(("Ringkasan 2026", False, [("Jumlah pemohon", 5)]), ("Senarai penuh", True, PEOPLE))),
    ("aid.xlsx", B, "4", "personal", lines_of(AID), lambda: xlsx(("Penerima", False, AID))),
    ("notes-sulit.pptx", B, "3c", "marking", ["Taklimat operasi", "Garis masa", "SULIT - jangan edarkan slaid ini"], lambda: pptx(("Taklimat operasi", "Garis masa", "SULIT - jangan edarkan slaid ini"))),
    ("slide-network.pptx", B, "4", "network", lines_of(NETWORK), lambda: pptx(("Inventori rangkaian dalaman", "\n".join(lines_of(NETWORK)), ""))),
    ("sulit.pdf", B, "3c", "marking", ["SULIT", *MINUTES], lambda: pdf([["SULIT", *MINUTES]])),
    ("scan-terhad.pdf", B, "3c", "marking", ["TERHAD", *ORDER], lambda: pdf([letter(ORDER, top="TERHAD")])),
    ("scan-sulit-90.pdf", B, "3c", "marking", ["SULIT", *MINUTES], lambda: pdf([["Lampiran A"], turned(letter(MINUTES, top="SULIT"), 90)])),
    ("stamped.pdf", B, "3c", "marking", [*ORDER, "RAHSIA"], lambda: pdf([(["", "", "", "", "", "", *ORDER], stamp(Image.new("RGB", (420, 220), "white"), "RAHSIA", 8, at=(0.5, 0.5)))])),
    ("people.pdf", B, "4", "personal", lines_of(PEOPLE), lambda: pdf([["Senarai pemohon bantuan", *lines_of(PEOPLE)]])),
]  # fmt: skip

KIND = {
    "event.png": ["BENGKEL KEUSAHAWANAN DESA", "SABTU 10 OKTOBER 2026", "DEWAN SERBAGUNA BUKIT ARA", "TEMPAT TERHAD, DAFTAR SEGERA"],
    "event-run.jpg": ["LARIAN MERDEKA 5KM", "YURAN PERCUMA", "TERHAD KEPADA 300 PESERTA", "PENDAFTARAN: 03-8000 1234"],
    "hotline.png": ["TALIAN KHIDMAT NASIHAT", "1-800-88-0000", "24 JAM SEHARI", "SEMUA PERBUALAN ADALAH SULIT", "DAN DIRAHSIAKAN"],
    "flood.jpg": ["BILIK GERAKAN BANJIR", "03-8064 2400", "HUBUNGI 999 JIKA KECEMASAN", "KEKAL TENANG, IKUT ARAHAN"],
    "password-advice.png": ["JANGAN KONGSI KATA LALUAN", "Tukar kata laluan setiap 90 hari", "Jangan dedahkan OTP kepada sesiapa", "#KeselamatanSiber"],
    "scam-warning.png": ["AWAS SCAM KRIPTO!", "Pelaburan pulangan berganda", "adalah PENIPUAN", "Lapor kepada NSRC 997"],
    "no-gambling.jpg": ["KATAKAN TIDAK KEPADA", "JUDI DALAM TALIAN", "Kempen Kesedaran Belia 2026", "Jauhi slot dan kasino haram"],
    "vote.png": ["JOM MENGUNDI", "PILIHAN RAYA KECIL 2026", "SEMAK DAFTAR PEMILIH ANDA", "WAKTU MENGUNDI 8 PAGI - 6 PETANG"],
    "archive.png": ["PAMERAN ARKIB NEGERI", "SURAT-SURAT RAHSIA 1948", "KINI DIBUKA KEPADA UMUM", "MASUK PERCUMA"],
    "unity.jpg": ["BERBEZA KAUM, SATU NEGARA", "Hari Perpaduan 2026", "Rumah terbuka semua bangsa", "Semua dijemput hadir"],
    "hoax-denial.png": ["TIDAK BENAR!", "Dakwaan bank akan ditutup esok", "adalah PALSU", "Jangan sebarkan berita tidak sahih"],
    "market.jpg": ["PASAR TANI SABTU", "Sayur, buah dan ikan segar", "Harga berpatutan", "8 pagi hingga 1 petang"],
}  # fmt: skip
CERTIFICATE = ["SIJIL PENGHARGAAN", "", "Dengan ini disahkan bahawa", "AZMI BIN RAHIM", "telah menyertai Kursus Asas Komputer", "anjuran Jabatan Contoh pada 5 Mei 2026."]  # fmt: skip
TENDER = [
    "KENYATAAN TENDER", "", "No. Tender : JC/T/14/2026", "Tajuk : Kerja menaik taraf dewan serbaguna", "Tawaran adalah terhad kepada kontraktor berdaftar",
    "dengan CIDB gred G3.", "Tarikh tutup : 30 Oktober 2026, jam 12.00 tengah hari", "Dokumen tender boleh dibeli di kaunter aras 2.",
]  # fmt: skip
PRESS = [
    "KENYATAAN MEDIA", "UNTUK SIARAN SEGERA", "", "Jabatan Contoh mengesahkan bahawa tiada maklumat", "rahsia bocor dalam kejadian semalam.",
    "Orang ramai diminta merujuk saluran rasmi sahaja.", "", "Unit Komunikasi Korporat",
]  # fmt: skip
MASKED = [
    ("Bil", "Nama", "No. K/P"),
    ("1", "Aminah S.", "840312-**-****"),
    ("2", "Chong W. H.", "790825-**-****"),
    ("3", "Suresh M.", "910107-**-****"),
]
HOURS = [
    ("Kaunter", "Isnin-Khamis", "Jumaat"),
    ("Pendaftaran", "8.00-16.30", "8.00-12.15"),
    ("Bayaran", "8.30-15.30", "8.30-11.45"),
]
DIRECTORY = [
    ("Bahagian", "Telefon pejabat", "E-mel"),
    ("Aduan", "03-8000 5500", "aduan@jc.example"),
    ("Lesen", "03-8000 5511", "lesen@jc.example"),
]
FAQ = [
    (False, "Saya terlupa kata laluan akaun saya", "10:01"),
    (True, "Tekan Lupa kata laluan di laman log masuk", "10:02"),
    (False, "Terima kasih", "10:04"),
]
STATS = [("Negeri", "2024", "2025"), ("Johor", 1204, 1318), ("Kedah", 877, 902), ("Sabah", 1033, 1120)]
LESSON = "Empat peringkat: RAHSIA BESAR, RAHSIA, SULIT dan TERHAD\nPegawai pengelas melantik dan menilai\nLatihan untuk semua pegawai baharu"
SAMPLE = [("No. Kad Pengenalan", "XXXXXX-XX-XXXX"), ("Nama", "CONTOH NAMA PENUH"), ("Alamat", "ALAMAT DI SINI")]

COLOURS = [(20, 60, 120), (0, 110, 90), (120, 50, 10), (245, 245, 235), (70, 20, 90)]
for _number, (_file, _lines) in enumerate(KIND.items()):
    _back = COLOURS[_number % 5]
    _picture = lambda lines=_lines, back=_back: poster(lines, back=back, ink="black" if sum(back) > 500 else "white")  # noqa: E731
    _save = png if _file.endswith("png") else jpeg
    ITEMS.append((_file, OK, "", "poster", _lines, lambda save=_save, picture=_picture: save(picture())))
ITEMS += [
    ("certificate.png", OK, "", "certificate", CERTIFICATE, lambda: png(letter(CERTIFICATE, size=(1000, 700), px=30))),
    ("certificate-photo.jpg", OK, "", "certificate", CERTIFICATE, lambda: jpeg(photo(letter(CERTIFICATE, size=(1000, 700), px=30), angle=6, seed=10))),
    ("tender.png", OK, "", "notice", TENDER, lambda: png(letter(TENDER))),
    ("tender-90.jpg", OK, "", "notice", TENDER, lambda: jpeg(turned(letter(TENDER), 90))),
    ("press.jpg", OK, "", "notice", PRESS, lambda: jpeg(photo(letter(PRESS), angle=2, seed=11))),
    ("masked.png", OK, "", "masked", ["KEPUTUSAN PERMOHONAN", *lines_of(MASKED)], lambda: png(table("KEPUTUSAN PERMOHONAN", MASKED, widths=(70, 300, 260)))),
    ("blurred.jpg", OK, "", "masked", ["KAD PENGENALAN"], lambda: jpeg(card("KAD PENGENALAN", IDENTITY).filter(ImageFilter.GaussianBlur(9)))),
    ("sample-card.png", OK, "", "masked", ["KAD PENGENALAN", *lines_of(SAMPLE)], lambda: png(card("KAD PENGENALAN", SAMPLE))),
    ("hours.png", OK, "", "notice", ["WAKTU OPERASI KAUNTER", *lines_of(HOURS)], lambda: png(table("WAKTU OPERASI KAUNTER", HOURS, widths=(220, 220, 220)))),
    ("directory.png", OK, "", "notice", ["DIREKTORI PEJABAT", *lines_of(DIRECTORY)], lambda: png(table("DIREKTORI PEJABAT", DIRECTORY, widths=(200, 240, 300)))),
    ("chat-faq.png", OK, "", "chat", said(FAQ), lambda: png(chat(FAQ, title="Khidmat Pelanggan", width=700))),
    ("press.docx", OK, "", "notice", PRESS, lambda: docx(PRESS, header="Jabatan Contoh", footer="Muka 1")),
    ("statistics.xlsx", OK, "", "statistics", ["Lesen dikeluarkan", "Negeri 2024 2025"], lambda: xlsx(("Lesen dikeluarkan", False, STATS))),
    ("lesson.pptx", OK, "", "lesson", ["Kursus pengurusan dokumen terperingkat", *LESSON.splitlines()], lambda: pptx(("Kursus pengurusan dokumen terperingkat", LESSON, "Ingatkan peserta mengisi borang maklum balas"))),
    ("tender.pdf", OK, "", "notice", TENDER, lambda: pdf([TENDER])),
    ("scan-tender.pdf", OK, "", "notice", TENDER, lambda: pdf([letter(TENDER)])),
]  # fmt: skip

# Stamps across the lines came later, and the way to read them was found on them: all of them are "dev".
LONG = [*MINUTES, "", *ORDER[6:]]
ACROSS = [
    ("across-sulit.jpg", B, "3c", "marking", ["SULIT", *LONG], lambda: jpeg(stamp(letter(LONG), "SULIT", 15, at=(0.45, 0.3), px=70))),
    ("across-rahsia-photo.jpg", B, "3c", "marking", ["RAHSIA", *LONG], lambda: jpeg(photo(stamp(letter(LONG), "RAHSIA", 30, at=(0.5, 0.4), px=80, alpha=150), angle=3, seed=12))),
    ("watermark-terhad.png", B, "3c", "marking", ["TERHAD", *LONG], lambda: png(stamp(letter(LONG), "TERHAD", 40, at=(0.5, 0.45), px=170, ink=(90, 90, 90), alpha=60), 8)),
    ("watermark-sample.png", OK, "", "notice", ["CONTOH", *TENDER], lambda: png(stamp(letter(TENDER), "CONTOH", 40, at=(0.5, 0.25), px=150, ink=(90, 90, 90), alpha=60), 8)),
]  # fmt: skip


def main():
    chance, total, labels = random.Random(2009), 0, []
    for breach in (True, False):
        names = sorted(item[0] for item in ITEMS if item[1] is breach)
        chance.shuffle(names)
        dev = set(names[: len(names) // 2])
        dev |= {item[0] for item in ACROSS}
        for file, _, clause, topic, lines, make in (item for item in [*ITEMS, *ACROSS] if item[1] is breach):
            data = make()
            assert len(data) <= 60_000, (file, len(data))
            total += len(data)
            (HERE / file).write_bytes(data)
            part = "dev" if file in dev else "frozen"
            text = "\n".join(line for line in lines if line)
            labels.append(
                {"file": file, "part": part, "breach": breach, "clause": clause, "topic": topic, "text": text}
            )
    assert total < 2_000_000, total
    written = "".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels)
    (HERE / "labels.jsonl").write_text(written, encoding="utf-8")
    print(len(labels), "files,", total, "bytes")  # noqa: T201


if __name__ == "__main__":
    main()
