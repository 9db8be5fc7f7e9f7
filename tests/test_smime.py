"""Mails encrypted for their recipient: what openssl reads of them, what stays outside, and what is a mistake."""

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from builders import NOW, alert, delivery, finding, post, week_report
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from installation import Installation
from mail_servers import read_mail
from test_compose import html_of, text_of

from alerts import smime
from alerts.compose import compose_alert, compose_digest, compose_group, compose_test
from alerts.envelope import Envelope, envelope_of
from monitor.configuration import load_configuration
from monitor.doctor import _certificates
from monitor.model import Disclosure, Language, Severity
from monitor.problems import ConfigurationError
from monitor.settings.load import load_settings

HEAD = "ketua@jpd.example.my"
MARKER = "RAHSIA-MARKER-7313"
SECRET = alert(
    post=post(text=f"SULIT minit {MARKER}"),
    findings=(finding(disclosure=Disclosure.NONE, spans=((0, 5),)),),
)


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key, *, until=NOW + timedelta(days=365), since=NOW - timedelta(days=2), usage=None):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ketua Pengarah")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    if usage is not None:
        flags = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"), False
        )
        flags |= {"digital_signature": True, "key_encipherment": usage, "encipher_only": False, "decipher_only": False}
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    return builder.sign(key, hashes.SHA256())


def pem(*certificates):
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


@pytest.fixture
def folder(tmp_path, rsa_key):
    place = tmp_path / "certificates"
    place.mkdir()
    (place / f"{HEAD}.pem").write_bytes(pem(certificate(rsa_key)))
    (tmp_path / "key.pem").write_bytes(
        rsa_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return place


@pytest.fixture
def envelope(folder):
    return Envelope(
        sender="Pantau <pantau@jdn.example.my>",
        slogans=("MALAYSIA MADANI",),
        post_link=True,
        public_url="https://pantau.example.my",
        certificates=smime.read_certificates(folder),
    )


def decrypted(raw, folder, *, key="key.pem"):
    """Return what openssl makes of an encrypted mail."""
    mail = folder.parent / "mail.eml"
    mail.write_bytes(raw)
    command = ["openssl", "cms", "-decrypt", "-in", str(mail), "-inkey", str(folder.parent / key)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


# ---------------------------------------------------------------- what a recipient reads, and what anyone can


def test_the_recipient_reads_the_same_letter_as_without_encryption(envelope, folder):
    plain = read_mail(compose_alert(SECRET, delivery(), replace(envelope, certificates=smime.Certificates()), now=NOW))
    inner = read_mail(decrypted(compose_alert(SECRET, delivery(), envelope, now=NOW), folder))
    for kind in (text_of, html_of):
        assert kind(inner) == kind(plain)
    for header in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Importance"):
        assert inner[header] == plain[header]


def test_outside_stay_the_headers_that_servers_need_and_a_subject_that_says_nothing(envelope):
    raw = compose_alert(SECRET, delivery(), envelope, now=NOW)
    mail = read_mail(raw)
    assert {name: str(mail[name]) for name in ("From", "To", "Date", "Message-ID", "Auto-Submitted", "Subject")} == {
        "From": "Pantau <pantau@jdn.example.my>",
        "To": HEAD,
        "Date": "Tue, 24 Nov 2026 12:00:00 +0800",
        "Message-ID": "<pantau.1@pantau.example.my>",
        "Auto-Submitted": "auto-generated",
        "Subject": "PTU-2026-000001",
    }
    assert mail.get_content_type() == "application/pkcs7-mime"
    assert mail.get_param("smime-type") == "enveloped-data"
    assert mail.get_filename() == "smime.p7m"
    for word in (MARKER, "MARKER", "x/jpd", "3(c)", "x.com", "PERENGGAN", "Aminah"):
        assert word.encode() not in raw
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_mail_program_is_told_to_take_the_subject_from_inside(envelope, folder):
    """RFC 9788; the older mark is for programs that are older than it."""
    inner = read_mail(decrypted(compose_alert(SECRET, delivery(), envelope, now=NOW), folder))
    assert inner.get_param("hp") == "cipher"
    assert inner.get_param("protected-headers") == "v1"
    assert "Subject: PTU-2026-000001" in inner.get_all("HP-Outer")
    assert "MUNGKIN MELANGGAR" in inner["Subject"]


def test_the_content_is_encrypted_with_aes_of_256_bits(envelope, folder):
    raw = compose_alert(SECRET, delivery(), envelope, now=NOW)
    (folder.parent / "mail.eml").write_bytes(raw)
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-in", str(folder.parent / "mail.eml")],
        check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
    assert b"aes-256-cbc" in shown


def test_each_of_several_certificates_in_a_file_opens_the_mail(folder, envelope, rsa_key):
    second = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / f"{HEAD}.pem").write_bytes(pem(certificate(rsa_key), certificate(second)))
    (folder.parent / "second.pem").write_bytes(
        second.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    both = replace(envelope, certificates=smime.read_certificates(folder))
    raw = compose_alert(SECRET, delivery(), both, now=NOW)
    assert "PTU-2026-000001" in text_of(read_mail(decrypted(raw, folder)))
    assert "PTU-2026-000001" in text_of(read_mail(decrypted(raw, folder, key="second.pem")))


def test_another_recipient_gets_the_mail_as_always(envelope):
    mail = read_mail(compose_alert(SECRET, delivery(recipient="timbalan@jpd.example.my"), envelope, now=NOW))
    assert mail.get_content_type() == "multipart/alternative"


def test_an_address_is_known_in_any_letter_case(envelope):
    mail = read_mail(compose_alert(SECRET, delivery(recipient="KETUA@JPD.example.my"), envelope, now=NOW))
    assert mail.get_content_type() == "application/pkcs7-mime"


def test_every_other_kind_of_mail_is_encrypted_as_well(envelope, folder):
    digest = delivery(template="digest", alert_id=None, period="2026-W47")
    mails = {
        "PTU-2026-000001": compose_group([SECRET], delivery(template="group"), envelope, now=NOW),
        "PTU-2026-000001 +1": compose_group(
            [SECRET, replace(SECRET, id=2, case="PTU-2026-000002")], delivery(template="group"), envelope, now=NOW
        ),
        "Pantau 2026-W47": compose_digest(week_report(), digest, envelope, now=NOW),
        "Pantau": compose_test(HEAD, envelope, now=NOW)[1],
    }
    for subject, raw in mails.items():
        assert read_mail(raw)["Subject"] == subject
        assert read_mail(decrypted(raw, folder)).get_body(("html",)) is not None


# ---------------------------------------------------------------- disclosure


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("has_certificate", [False, True])
@pytest.mark.parametrize("language", Language)
def test_a_none_rule_shows_a_masked_excerpt_only_inside_and_only_where_the_configuration_allows_it(
    envelope, folder, allowed, has_certificate, language
):
    """I12: the match itself is masked even then, and outside there is not a word."""
    about = replace(SECRET, post=post(text="SULIT minit mesyuarat 900101-14-5678"))
    given = envelope.certificates if has_certificate else smime.Certificates()
    raw = compose_alert(
        about, delivery(language=language), replace(envelope, certificates=given, encrypted_excerpt=allowed), now=NOW
    )
    seen = decrypted(raw, folder) if has_certificate else raw
    mail = read_mail(seen)
    for words in (text_of(mail), html_of(mail)):
        assert ("minit mesyuarat" in words) is (allowed and has_certificate)
        assert "SULIT" not in words
        assert "900101" not in words
    assert b"minit" not in raw


def test_a_certificate_that_ran_out_counts_as_none_and_shows_no_excerpt(folder, envelope):
    later = NOW + timedelta(days=400)
    raw = compose_alert(SECRET, delivery(), replace(envelope, encrypted_excerpt=True), now=later)
    mail = read_mail(raw)
    assert mail.get_content_type() == "multipart/alternative"
    assert MARKER not in text_of(mail)


# ---------------------------------------------------------------- mistakes


def wrong(folder, now=NOW):
    return [problem.message for problem in smime.mistakes(folder, now=now)]


def test_good_certificates_are_no_mistake_and_other_files_are_left_alone(folder, rsa_key):
    (folder / "README.txt").write_text("nothing")
    (folder / "a@b.my.pem").write_bytes(pem(certificate(rsa_key, usage=True)))
    assert wrong(folder) == []
    assert smime.mistakes(None, now=NOW) == ()


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("a@b.my", lambda key: pem(certificate(ec.generate_private_key(ec.SECP256R1()))), "no RSA key"),
        ("a@b.my", lambda key: pem(certificate(key, until=NOW - timedelta(hours=13))), "expired on 2026-11-23"),
        ("a@b.my", lambda key: pem(certificate(key, since=NOW + timedelta(days=2))), "not valid before 2026-11-26"),
        ("a@b.my", lambda key: pem(certificate(key, usage=False)), "for signing only"),
        ("a@b.my", lambda key: b"nothing of the kind", "holds no certificate"),
        ("a@b.my", lambda key: b"", "holds no certificate"),
        ("ketua", lambda key: pem(certificate(key)), "no mail address"),
    ],
    ids=["elliptic curve", "expired", "not yet valid", "signing only", "no certificate", "empty", "file name"],
)
def test_a_certificate_that_cannot_be_used_is_a_mistake_that_says_what_to_do(folder, rsa_key, name, make, said):
    (folder / f"{name}.pem").write_bytes(make(rsa_key))
    (problem,) = smime.mistakes(folder, now=NOW)
    assert said in problem.message
    assert problem.place == "mail.certificates"
    assert problem.file.endswith(f"{name}.pem")


def test_a_certificate_of_today_is_good_whatever_the_hour(tmp_path, folder, rsa_key):
    """The configuration is judged by the day."""
    (folder / "a@b.my.pem").write_bytes(pem(certificate(rsa_key, since=NOW + timedelta(hours=8))))
    here = Installation(tmp_path / "config", f'[mail]\ncertificates = "{folder}"\n').write()
    assert load_configuration(here.folder, {}, today=date(2026, 11, 24)).settings.mail.certificates == folder


def test_a_weak_key_is_a_mistake(folder):
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    (folder / "a@b.my.pem").write_bytes(pem(certificate(weak)))
    assert "1024 bits" in wrong(folder)[0]


def test_all_mistakes_are_told_at_once(folder):
    for name in ("a@b.my", "c@d.my"):
        (folder / f"{name}.pem").write_bytes(b"x")
    assert len(wrong(folder)) == 2


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path):
    assert "is no folder" in wrong(tmp_path / "nowhere")[0]


def test_the_configuration_is_refused_with_a_certificate_that_cannot_be_used(tmp_path, folder):
    here = Installation(
        tmp_path / "config", f'[mail]\ncertificates = "{folder}"\nencrypted_excerpt = "masked"\n'
    ).write()
    assert load_configuration(here.folder, {}, today=date(2026, 11, 24)).settings.mail.certificates == folder
    (folder / "a@b.my.pem").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="holds no certificate"):
        load_configuration(here.folder, {}, today=date(2026, 11, 24))


def test_the_envelope_takes_the_certificates_of_the_settings(tmp_path, folder):
    (tmp_path / "pantau.toml").write_text('[mail]\ncertificates = "certificates"\nencrypted_excerpt = "masked"\n')
    envelope = envelope_of(load_settings(tmp_path, {}))
    assert envelope.encrypted_excerpt
    assert len(envelope.certificates.of(HEAD, NOW)) == 1


def test_an_excerpt_for_encrypted_mails_needs_certificates(tmp_path):
    (tmp_path / "pantau.toml").write_text('[mail]\nencrypted_excerpt = "masked"\n')
    with pytest.raises(ConfigurationError, match=r"needs mail\.certificates"):
        load_settings(tmp_path, {})


def test_doctor_names_the_certificate_that_runs_out_soon(tmp_path, folder):
    here = Installation(tmp_path / "config", f'[mail]\ncertificates = "{folder}"\n').write()
    configuration = load_configuration(here.folder, {}, today=date(2026, 11, 24))
    assert _certificates(configuration, NOW).state == "ok"
    soon = _certificates(configuration, datetime(2027, 11, 10, tzinfo=UTC))
    assert soon.state == "note"
    assert HEAD in soon.message
    assert "2027-11-24" in soon.message


def test_a_grave_alert_stays_marked_as_such_outside(envelope):
    raw = compose_alert(replace(SECRET, severity=Severity.CRITICAL), delivery(), envelope, now=NOW)
    assert read_mail(raw)["Importance"] == "high"
