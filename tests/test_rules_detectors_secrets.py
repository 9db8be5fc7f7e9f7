"""Passwords and keys, and what the inside of a network shows."""

from __future__ import annotations

import pytest
from test_rules_detectors import found

A40 = "Ab1" * 14
ROWS = [
    ("secret", "Google", "AIza" + "Sy1" * 11 + "ab", True),
    ("secret", "Slack", "xoxb-" + "123456789012-abcdef", True),
    ("secret", "GitLab", "glpat-" + "abcDEF123456ghiJKL78", True),
    ("secret", "Telegram's bot", "123456789:AA" + "Hd1x_" * 6 + "abc", True),
    ("secret", "Stripe", "sk_live_" + "51abcDEF123456ghi", True),
    ("secret", "JSON Web Token", "ey" + "JhbGciOiJI.ey" + "JzdWIiOiIx.SflKxwRJSMeKKF2Q", True),
    ("secret", "Azure storage", "DefaultEndpointsProtocol=https;AccountKey=" + A40 + "==", True),
    ("secret", "Azure signature", "?sv=2025-01-01&sig=" + A40, True),
    ("secret", "a connection string", "Server=db1;User Id=sa;Password=Kpkt@2025;", True),
    ("secret", "an address with its password", "ftp://admin:Rahsia9@10.1.1.1/a", True),
    ("secret", "a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", True),
    ("secret", "katalaluan in one word", "katalaluan: Staf#9981", True),
    ("secret", "pwd with equals", "pwd=Staf9981", True),
    ("secret", "password is", "the password is Mesy2027!", True),
    ("secret", "Malay ialah", "Kata laluan portal ialah hadir@2027", True),
    ("secret", "pass with colon", "user: hr01 pass: cuti1234", True),
    ("secret", "passwordnya", "passwordnya Kpkt1234", True),
    ("secret", "a PIN", "pin: 482913", True),
    ("secret", "Wi-Fi pw", "wifi aras 3, pw: pejabat3a", True),
    ("secret", "straight after the word", "username finance01 password Budget2027!", True),
    ("secret", "asked for silence and told all the same", "jgn bagitau org, password: Staf#9981", True),
    ("secret", "awareness: do not use it", "Jangan guna kata laluan: 123456abc", False),
    ("secret", "awareness: an example", "Contoh kata laluan: K0p1-Pagi!", False),
    ("secret", "advice on length", "Kata laluan mestilah 12 aksara, huruf A-Z dan 0-9", False),
    ("secret", "advice with a double word", "Tukar kata laluan kepada sekurang-kurangnya 12 aksara", False),
    ("secret", "stars", "Login: admin Password: ********", False),
    ("secret", "a place holder in brackets", "password: <kata-laluan-1>", False),
    ("secret", "the same digit", "pin: 0000", False),
    ("secret", "a PIN's length", "PIN 6 digit diperlukan", False),
    ("secret", "a boarding pass", "Boarding pass: A12-44", False),
    ("secret", "an address without a password", "https://www.kpkt.gov.my:8443/a@b", False),
    ("secret", "a link behind the word", "lupa password lagi, tengok sini https://t.co/k4uzW0uf2X", False),
    ("private-address", "unique local of version 6", "fd12:3456:789a::1", True),
    ("private-address", "global of version 6", "2001:db8::1", False),
    ("private-address", "a program's version", "versi 10.1.2.3", False),
    ("private-address", "a date", "Mesyuarat 10.2.2026", False),
    ("internal-host", "by role and number", "server srv-db01 rosak", True),
    ("internal-host", "a domain controller", "dc01.agensi.local", True),
    ("internal-host", "an intranet's section", "https://intranet.kpkt.gov.my/a", True),
    ("internal-host", "an inner suffix", "fail.kewangan.internal", True),
    ("internal-host", "a share", r"fail di \\pelayan1\kongsi$\gaji", True),
    ("internal-host", "a public site", "www.kpkt.gov.my", False),
    ("internal-host", "an illness, a year, a fashion", "covid-19, db-2024, web-3", False),
    ("internal-host", "a backslash alone", r"dan\atau", False),
    ("file-reference", "a tender", "Tender KKR/PER/2025/014 dibuka", False),
    ("file-reference", "the gazette", "P.U.(A) 395/1993 dan P.U.(B) 12/2026", False),
    ("file-reference", "an act and its year", "Akta 88 (1972), Peraturan 3 (2)", False),
    ("file-reference", "a meeting's number", "Mesyuarat Bil. 2/2026 (12)", False),
]


@pytest.mark.parametrize(
    ("name", "text", "is_one"), [(n, t, s) for n, _, t, s in ROWS], ids=[f"{n}: {i}" for n, i, _, _ in ROWS]
)
def test_secrets_and_networks(name, text, is_one):
    assert bool(found(name, text)) is is_one


def test_the_value_is_found_without_the_words_and_the_full_stop():
    assert found("secret", "Kata laluan wifi ialah Hadir@2027.") == ["Hadir@2027"]
