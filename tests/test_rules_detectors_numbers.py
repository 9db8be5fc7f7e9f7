"""Numbers that lead to a person or a purse: what is found whole, and what only looks alike."""

from __future__ import annotations

import pytest
from test_rules_detectors import found

from monitor.rules.detectors import detectors

# detector, a sentence, text, what is found
ROWS = [
    ("mykad", "spaced in its three groups", "KP 850213 14 0001", ["850213 14 0001"]),
    ("mykad", "with dots", "KP 850213.14.0001", ["850213.14.0001"]),
    ("mykad", "with slashes", "KP 850213/14/0001", ["850213/14/0001"]),
    ("mykad", "with spaces around the dashes", "KP 850213 - 14 - 0001", ["850213 - 14 - 0001"]),
    ("mykad", "digit by digit", "8 5 0 2 1 3 1 4 0 0 0 1", ["8 5 0 2 1 3 1 4 0 0 0 1"]),
    ("mykad", "one dash only, called so", "no. ic 850213-140001", ["850213-140001"]),
    ("mykad", "glued to its name", "ic850213140001", ["850213140001"]),
    ("mykad", "read from a picture with O and l", "85O2l3-14-OOO1", ["85O2l3-14-OOO1"]),
    ("mykad", "a word of the letters o, i and l", "oilloi-oi-loil", []),
    ("mykad", "a name within reach decides", "Encik Ramli" + " x" * 100 + " 850213140001", ["850213140001"]),
    ("mykad", "a name out of reach does not", "Encik Ramli" + " x" * 200 + " 850213140001", []),
    ("mykad", "a company's, called an identity card", "Syarikat A, pengarah no. ic 201101012345", ["201101012345"]),
    ("mykad", "the sample of an awareness post", "Contoh pengisian: 900101-01-1234", []),
    ("mykad", "a real number called an example", "Contoh ic dia: 900101-01-5377", ["900101-01-5377"]),
    ("mykad", "a row of dates", "150312 150314 150315 150515 150516 150517", []),
    (
        "mykad",
        "halves with a blank on a list",
        "Aina 900202 105544, Raju 910303 085521",
        ["900202 105544", "910303 085521"],
    ),
    ("mykad", "masked at its end", "850213-14-****", []),
    ("mykad", "masked at its beginning", "XXXXXX-14-0001", []),
    ("passport", "Malaysian", "No. pasport A12345678", ["A12345678"]),
    ("passport", "the word after it", "K23456789 (passport Ms Chua)", ["K23456789"]),
    ("passport", "foreign", "Passport: AB1234567", ["AB1234567"]),
    ("passport", "without the word it may be anything", "kod A12345678", []),
    ("passport", "the word alone", "Pasport anda siap dalam masa sejam di UTC", []),
    ("service-number", "of an officer", "No. polis: RF123456", ["RF123456"]),
    ("service-number", "of a soldier", "nombor tentera T1234567 dan", ["T1234567"]),
    ("service-number", "a call for help", "Hubungi polis 999 atau balai 03-3376 2222", []),
    ("service-number", "a number of policemen", "Sebanyak 12000 anggota polis bertugas", []),
    ("tin", "a person's by its form", "TIN: IG12345678901", ["IG12345678901"]),
    ("tin", "an older one", "SG 10234567090", ["SG 10234567090"]),
    ("tin", "an entity's with the word", "No. cukai C 2584563202", ["C 2584563202"]),
    ("tin", "an entity's without it", "kod C2584563202", []),
    ("tin", "Instagram and a telephone", "IG 0123456789", []),
    ("mobile-number", "country code and blank", "+60 12-345 6789", ["+60 12-345 6789"]),
    ("mobile-number", "no plus", "6012-3456789", ["6012-3456789"]),
    ("mobile-number", "with dots", "012.345.6789", ["012.345.6789"]),
    ("mobile-number", "two with a stroke", "012-3456789/019-8765432", ["012-3456789", "019-8765432"]),
    ("mobile-number", "split late", "013-22 11445", ["013-22 11445"]),
    ("mobile-number", "behind wa.me", "https://wa.me/60123456789", ["60123456789"]),
    ("mobile-number", "a year and a count", "2015 345 6789 unit", []),
    ("mobile-number", "an account that begins alike", "0123456789012", []),
    ("phone-number", "a landline", "rumah dia 03-7956 7001", ["03-7956 7001"]),
    ("phone-number", "a landline in Sabah", "call 088-252525", ["088-252525"]),
    ("phone-number", "Singapore", "ws dia +65 9123 4567", ["+65 9123 4567"]),
    ("phone-number", "Indonesia with zeros", "tel 0062 812 3456 7890", ["0062 812 3456 7890"]),
    ("phone-number", "a helpline's landline", "Confidential counselling for students, call 03-7956 7000", []),
    ("phone-number", "a police station's", "Orang hilang, hubungi balai polis 03-3376 2222", []),
    ("phone-number", "the government's call centre", "03-8000 8000, 03 80008000, +603-80008000", []),
    ("phone-number", "short codes and 1-300", "999, 994, 991, 15999, 15555, 1-300-80-8000, 1-800-88-6000", []),
    ("phone-number", "money and dates", "RM 1,200.00 pada 03.10.2026 hingga 04-11-2026, 08:30", []),
    ("phone-number", "a number nobody has", "+999 1234 56789", []),
    ("bank-account", "a bank's name", "Maybank 164012345678 Ali", ["164012345678"]),
    ("bank-account", "the word account", "no. akaun 8600-1234-567 ya", ["8600-1234-567"]),
    ("bank-account", "the bank behind it", "7012345678 (CIMB)", ["7012345678"]),
    ("bank-account", "sixteen digits that begin like a mobile", "BSN 0110041000123456", ["0110041000123456"]),
    ("bank-account", "a telephone beside a bank", "Maybank, hubungi 0123456789", []),
    ("bank-account", "an identity card beside a bank", "akaun CIMB, kp 850213-14-0001", []),
    ("bank-account", "a parcel", "bayar Maybank. Tracking no. 630012345678", []),
    ("bank-account", "no word", "kod 164012345678", []),
    ("bank-account", "too short", "Maybank 123456789", []),
    ("car-plate", "beside its car", "kereta dia Myvi VAB 1234 warna merah", ["VAB 1234"]),
    ("car-plate", "with the word", "no plat WXY1234A", ["WXY1234A"]),
    ("car-plate", "Sarawak", "kenderaan QAA 5566", ["QAA 5566"]),
    ("car-plate", "a month is none", "lesen kereta tamat Mac 2026", []),
    ("car-plate", "money is none", "saman kereta RM 300", []),
    ("car-plate", "a train and a van", "kereta api 9001, van 12 penumpang, kereta EV 2026", []),
    ("car-plate", "without a vehicle", "VAB 1234", []),
]


@pytest.mark.parametrize(
    ("name", "text", "spans"), [(n, t, s) for n, _, t, s in ROWS], ids=[f"{n}: {i}" for n, i, _, _ in ROWS]
)
def test_numbers(name, text, spans):
    assert found(name, text) == spans


@pytest.mark.parametrize("name", ["mobile-number", "phone-number"])
def test_the_agencys_own_number_is_no_leak_however_it_is_spelled(name):
    ours = detectors(frozenset({"+60 12-345 6789", "nonsense"}))[name]
    assert [len(ours.find(text)) for text in ("012-3456789", "(+6)012 345 6789", "012-345 6780")] == [0, 0, 1]
