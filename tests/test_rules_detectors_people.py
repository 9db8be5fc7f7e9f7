"""Names, lists of persons, their homes and addresses."""

from __future__ import annotations

import pytest
from test_rules_detectors import found

from monitor.rules.detectors import DETECTORS
from monitor.rules.text import Text

ROWS = [
    ("person-name", "joined by bin", "Tahniah kepada Ali bin Abu atas kejayaan", ["Ali bin Abu"]),
    ("person-name", "joined by binti, long", "Nur Aina Sofea binti Mohd Razak, 12 tahun", ["Nur Aina Sofea binti Mohd Razak"]),
    ("person-name", "joined by a/l and a/p", "Raju a/l Muthu dan Devi a/p Raman", ["Raju a/l Muthu", "Devi a/p Raman"]),
    ("person-name", "titled", "Pertanyaan: Puan Salwa (urus setia)", ["Puan Salwa"]),
    ("person-name", "titled in English", "left by Ms Chua at the counter", ["Ms Chua"]),
    ("person-name", "Tuan/Puan is nobody", "Tuan/Puan dijemput hadir", []),
    ("person-name", "tuan rumah is a host", "Johor tuan rumah SUKMA", []),
    ("person-name", "Encik dan Puan are nobody", "Encik dan Puan sekalian", []),
    ("person-name", "a bin for rubbish", "Use the recycling bin provided", []),
    ("person-name", "a number after the title", "cikgu 30 orang", []),
    ("person-name", "a shop and a program are nobody", "Mr DIY buka. Ms Excel. Cik Siti Wan", ["Cik Siti Wan"]),
    ("person-name", "where she lives is not her name", "Siti binti Omar tinggal di sini", ["Siti binti Omar"]),
    ("person-list", "three lines", "1. Ali bin Abu\n2. Siti binti Omar\n3. Raju a/l Muthu", ["1. Ali bin Abu", "2. Siti binti Omar", "3. Raju a/l Muthu"]),
    ("person-list", "between commas", "Hadir: Ali bin Abu, Siti binti Omar, Raju a/l Muthu", ["Hadir: Ali bin Abu", "Siti binti Omar", "Raju a/l Muthu"]),
    ("person-list", "numbered in one line with numbers", "1) Chong Wei Jie 120304100789 2) Priya a/p Raman 120611080456 3) Ahmad Faiz 120911080457", ["1) Chong Wei Jie 120304100789", "2) Priya a/p Raman 120611080456", "3) Ahmad Faiz 120911080457"]),
    ("person-list", "common names without a join", "Tan Mei Ling\nNurul Huda\nSuresh Pillai", ["Tan Mei Ling", "Nurul Huda", "Suresh Pillai"]),
    ("person-list", "two are no list", "Ali bin Abu, Siti binti Omar", []),
    ("person-list", "what to bring", "1. Kad pengenalan\n2. Salinan sijil\n3. Borang permohonan\n4. Gambar pasport", []),
    ("person-list", "names far from each other", ("Ali bin Abu\n" + "x" * 200 + "\n") * 3, []),
    ("private-email", "free mail", "emel: siti99@gmail.com", ["siti99@gmail.com"]),
    ("private-email", "a person's name at an office", "nurul.hidayah@moh.gov.my", ["nurul.hidayah@moh.gov.my"]),
    ("private-email", "written around the sign", "siti99 [at] gmail [dot] com", ["siti99 [at] gmail [dot] com"]),
    ("private-email", "roles", "webmaster@kpkt.gov.my aduan@kpkt.gov.my info@mbpj.gov.my pro.media@jpa.gov.my", []),
    ("private-email", "an office at free mail", "ppdjohor@gmail.com, urusetia.sukan@yahoo.com", []),
    ("private-email", "a mention", "terima kasih @siti.aminah", []),
    ("home-address", "a house called a home", "rumah pengadu tu kat No 8 Jalan Teratai", ["No 8 Jalan Teratai"]),
    ("home-address", "a person and a postcode", "Ali bin Abu, No. 12, Jalan Mawar 3, Taman Indah, 43000 Kajang", ["No. 12, Jalan Mawar 3, Taman Indah, 43000 Kajang"]),
    ("home-address", "a village", "dia tinggal di Kampung Baru Hulu, 09100 Baling", ["Kampung Baru Hulu, 09100 Baling"]),
    ("home-address", "people counted in a village", "rumah di Kampung Baru 2, 43000 penduduk terjejas", []),
    ("home-address", "houses for sale", "Rumah mampu milik di Jalan Cheras, 43000 Kajang dibuka", []),
    ("home-address", "an office", "Pejabat Tanah: No. 3, Jalan Pejabat, 40000 Shah Alam", []),
    ("home-address", "a clinic with a doctor", "Klinik Puan Salmah, No. 3, Jalan Besar, 40000 Shah Alam", []),
    ("home-address", "an open house", "Majlis rumah terbuka di Dewan, No. 1 Jalan Raya, 50000 Kuala Lumpur", []),
    ("home-address", "nobody's", "Lelongan: No. 5, Jalan Bunga, 43000 Kajang", []),
    ("home-address", "a road that is closed", "Jalan Raja Laut ditutup, tinggal satu lorong", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "spans"), [(n, t, s) for n, _, t, s in ROWS], ids=[f"{n}: {i}" for n, i, _, _ in ROWS]
)
def test_people(name, text, spans):
    assert found(name, text) == spans


def test_numbered_lines_in_capitals_are_persons_and_in_small_letters_are_not():
    text = "SENARAI\n1. KHAW SU YIN\n2. DZULKIFLEE ANUAR\n3. LETCHUMANAN PILLAY\n"
    detector = DETECTORS["person-list"]
    assert [len(detector.spans(Text(shown))) for shown in (text, text.lower())] == [3, 0]
