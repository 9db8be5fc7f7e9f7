"""Links: what is one, where it leads, and whom it imitates."""

from __future__ import annotations

import pytest
from test_rules_detectors import found

from monitor.rules.detectors import DETECTORS
from monitor.rules.detectors.domains import DomainPart
from monitor.rules.detectors.links import domains
from monitor.rules.text import Text

ROWS = [
    ("link", "with its scheme", "Layari https://www.kpkt.gov.my/ms/a?b=1.", ["https://www.kpkt.gov.my/ms/a?b=1"]),
    ("link", "without a scheme", "bit.ly/abc dan contoh.com.my/x", ["bit.ly/abc", "contoh.com.my/x"]),
    ("link", "made harmless", "hxxps://contoh[.]com/a", ["hxxps://contoh[.]com/a"]),
    ("link", "spelled out", "pergi ke contoh dot com", ["contoh dot com"]),
    ("link", "a file", "lihat a.pdf, README.md dan borang.docx", []),
    ("link", "two sentences without a space", "dan lain-lain dll.Sila datang.La kita siap.Jom", []),
    ("link", "slang after a full stop", "nanti.sy datang. boleh.ke", []),
    ("link", "times and prices", "3.30pm 8.30.pm RM3.50 10.2.2026 9.am", []),
    ("link", "a mail address", "aduan@kpkt.gov.my", []),
    ("short-link", "known ones", "https://bit.ly/3xY dan tinyurl.com/abc", ["https://bit.ly/3xY", "tinyurl.com/abc"]),
    ("short-link", "a longer name that ends alike", "https://rabbit.ly/3xY", []),
    ("look-alike-link", "the government under a cheap suffix", "https://bantuan-gov-my.xyz/a", ["https://bantuan-gov-my.xyz/a"]),
    ("look-alike-link", "the government in front of another domain", "lhdn.gov.my.semak.top/a", ["lhdn.gov.my.semak.top/a"]),
    ("look-alike-link", "a bank with a hyphen", "http://maybank2u-secure.top", ["http://maybank2u-secure.top"]),
    ("look-alike-link", "one letter wrong", "www.mayban2u.com.my", ["www.mayban2u.com.my"]),
    ("look-alike-link", "letters swapped", "https://faecbook.com/login", ["https://faecbook.com/login"]),
    ("look-alike-link", "zeros for o", "faceb00k.com/x", ["faceb00k.com/x"]),
    ("look-alike-link", "punycode that reads as a platform", "https://xn--fcebook-2fg.com/a", ["https://xn--fcebook-2fg.com/a"]),
    ("look-alike-link", "an office under a cheap suffix", "https://kwsp-semak.click/a", ["https://kwsp-semak.click/a"]),
    ("look-alike-link", "the real ones", "https://www.maybank2u.com.my https://m.facebook.com/a https://lhdn.gov.my www.hasil.gov.my", []),
    ("look-alike-link", "m written as rn", "rnaybank2u.com/a", ["rnaybank2u.com/a"]),
    ("look-alike-link", "my-gov and an aid's name", "my-gov.top/a str-hasil.top/b", ["my-gov.top/a", "str-hasil.top/b"]),
    ("look-alike-link", "shops and makers abroad", "google.com.sg/a shopee.co.id/b https://telegra.ph/c https://shope.ee/d", []),
    ("look-alike-link", "another government", "https://www.gov.uk https://www.moh.gov.sg", []),
    ("look-alike-link", "a newspaper", "https://www.thestar.com.my/news", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "spans"), [(n, t, s) for n, _, t, s in ROWS], ids=[f"{n}: {i}" for n, i, _, _ in ROWS]
)
def test_links(name, text, spans):
    assert found(name, text) == spans


def test_a_cyrillic_letter_in_a_known_host_is_seen_in_the_original():
    detector = DETECTORS["look-alike-link"]
    assert [len(detector.spans(Text(f"https://www.m{a}ybank2u.com.my"))) for a in ("а", "a")] == [1, 0]


def test_domains_are_the_registered_ones():
    text = "https://a.b.kpkt.gov.my/x bit.ly/1 www.contoh.com.my"
    assert [name for name, _ in domains(text)] == ["kpkt.gov.my", "bit.ly", "contoh.com.my"]


@pytest.mark.parametrize(
    ("listed", "text", "links"),
    [
        ("bit.ly", "bit.ly/a rabbit.ly/b", 1),
        ("contoh.com", "https://a.b.contoh.com bukancontoh.com", 1),
        ("*.xyz", "satu.xyz/a dua.com/xyz", 1),
        ("*.com.my", "contoh.com.my/a contoh.com/b", 1),
        ("blogspot.com", "https://ali.blogspot.com", 1),
    ],
)
def test_a_part_of_domains(listed, text, links):
    import re2

    part, shown = DomainPart(frozenset({listed})), Text(text)
    assert len(part.find(shown)) == links
    assert all(re2.search(pattern, shown.folded) for pattern in part.triggers.folded)
