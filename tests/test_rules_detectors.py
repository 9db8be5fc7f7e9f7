"""Detectors: what the form of a number says, and what the words around it decide."""

from __future__ import annotations

import pytest

from monitor.rules.detectors import DETECTORS
from monitor.rules.text import Text


def found(name: str, text: str) -> list[str]:
    folded = Text(text)
    return [text[slice(*folded.original_span(*span))] for span in DETECTORS[name].find(folded.folded)]


MYKAD = [
    ("dashed", "No. KP 850213-14-0001", ["850213-14-0001"]),
    ("dashed with en dashes", "880229–07–0003", ["880229–07–0003"]),
    ("full-width digits", "８５０２１３-14-0001", ["８５０２１３-14-0001"]),
    ("undashed, called an identity card", "ic 910704100002", ["910704100002"]),
    ("undashed beside a patronymic", "Ali bin Abu 910704100002", ["910704100002"]),
    ("undashed, two on one list", "1. Siti 910704100002\n2. Wei 880229070003", ["910704100002", "880229070003"]),
    ("undashed and alone says nothing", "kod 910704100002", []),
    ("a day that is none", "ic 910732-10-0002", []),
    ("29 February of a common year", "ic 890229-07-0003", []),
    ("a place code that is none", "ic 910704-00-0002", []),
    ("masked", "900101-XX-XXXX", []),
    ("a sample of zeros", "Contoh: 000000-00-0000", []),
    ("an SSM number of a company", "Maju Sdn. Bhd. (201101012345)", []),
    ("a phone number with its country code", "WhatsApp kami di 601112345678", []),
    ("two phone numbers with their country code", "601112345678 / 601112345679", []),
    ("an ISBN", "ISBN 978-967-0000-12-3", []),
    ("inside a longer number", "ic 1910704-10-00023", []),
]


@pytest.mark.parametrize(("text", "spans"), [row[1:] for row in MYKAD], ids=[row[0] for row in MYKAD])
def test_mykad(text, spans):
    assert found("mykad", text) == spans


REFERENCES = [
    "MAMPU.BDPICT (S) 700-6/1/3 (21)",
    "MAMPU.100-1/9/1 (15)",
    "JPA.BK(S)223/8/2-3 Jld.4 (56)",
    "JPA.BK(S) 343/7-4(14)",
    "JKM/100/03/1/Jld. 4 ( 13 )",
    "PM 13719 Jrd.4 (18)",
    "KP/JPK/BPKPK/03/01/Jld. III ( 40 )",
    "MCMC (X) DIGD -1/2/2025/003",
    "KDN.S.600-2/1/4 Jld.3 (17)",
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_file_reference_is_found_whole(reference):
    assert found("file-reference", f"Ruj. Kami: {reference} bertarikh") == [reference]


@pytest.mark.parametrize(
    "text",
    ["KKR/PER/2025/014", "P.U.(A) 395/1993", "had laju 60 km/j", "Mesyuarat Bil. 3/2025 (12)", "Akta 88 (1972)"],
)
def test_what_only_looks_like_a_file_reference(text):
    assert found("file-reference", text) == []


PHONES = [
    ("hubungi 012-345 6789", ["012-345 6789"]),
    ("011-1234 5678", ["011-1234 5678"]),
    ("+60123456789", ["+60123456789"]),
    ("03-8000 8000 atau 1-300-88-1234, 999", []),
    ("015-345 6789", []),
    ("ID 20120123456789", []),
]


@pytest.mark.parametrize(("text", "spans"), PHONES)
def test_mobile_numbers(text, spans):
    assert found("mobile-number", text) == spans


SECRETS = [
    ("AKIA" + "IOSFODNN7EXAMPLE", True),
    ("ghp_" + "a1B2" * 9, True),
    ("postgresql://admin:" + "Rahsia9@db.dalaman/sistem", True),
    ("-----BEGIN RSA PRIVATE KEY-----", True),
    ("Password wifi pejabat: Kpkt@2025!", True),
    ("kata laluan = Staf#9981", True),
    ("kata laluan: xxxxxxxx", False),
    ("Tukar kata laluan: gunakan huruf dan nombor", False),
    ("Jangan kongsi kata laluan anda", False),
    ("https://www.kpkt.gov.my/masuk", False),
]


@pytest.mark.parametrize(("text", "is_one"), SECRETS)
def test_secrets_by_their_form(text, is_one):
    assert bool(found("secret", text)) is is_one


def test_private_addresses_are_those_of_rfc_1918():
    text = "192.168.1.1 10.20.0.0/16 172.31.9.9 172.32.9.9 8.8.8.8 10.1.2"
    assert found("private-address", text) == ["192.168.1.1", "10.20.0.0/16", "172.31.9.9"]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(
    "text", ["0" * 60_000, "ey-" * 20_000, "a/1" * 20_000, "1.1" * 20_000, "pwd " * 15_000, "ic " * 20_000]
)
def test_hostile_text_is_bounded(name, text):
    assert len(found(name, text)) <= 60_000
