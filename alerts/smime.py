"""S/MIME: a mail to a recipient with a certificate is encrypted for it, its subject included (RFC 8551, RFC 9788).

Outside stay what the mail servers and the journal need: From, To, Date, Message-ID, and a subject that says nothing.
The library `cryptography` is loaded only when certificates are configured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from alerts.message import mail_bytes
from monitor.model import MALAYSIA
from monitor.problems import ConfigurationError, Problem
from monitor.settings.values import is_mail_address

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

log = structlog.get_logger(__name__)

PLACE = "mail.certificates"
LEAST_BITS = 2048
BODY_HEADERS = frozenset({"mime-version", "content-type", "content-transfer-encoding"})  # others stay outside as well


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates of recipients, by address in small letters."""

    by_address: Mapping[str, tuple[Certificate, ...]] = field(default_factory=dict)

    def of(self, address: str, now: datetime) -> tuple[Certificate, ...]:
        """Return the address's certificates that hold now; none for an address without.

        One that ran out while the service runs counts as none: the mail then says no more than any plain one.
        """
        known = self.by_address.get(address.casefold(), ())
        valid = tuple(one for one in known if one.not_valid_before_utc <= now < one.not_valid_after_utc)
        if known and not valid:
            log.warning("no certificate holds any more: the mail goes unencrypted", recipient=address)
        return valid

    def until(self) -> Iterator[tuple[str, datetime]]:
        """Yield each address with the moment from which its mails are no longer encrypted."""
        for address, known in sorted(self.by_address.items()):
            yield address, max(one.not_valid_after_utc for one in known)


def read_certificates(folder: Path | None, *, now: datetime | None = None) -> Certificates:
    """Read the folder's <address>.pem files. Raises ConfigurationError with every mistake; expiry is one with `now`."""
    problems: list[Problem] = []
    found: dict[str, tuple[Certificate, ...]] = {}
    for path in _files(folder, problems):
        certificates = _of_file(path, now, problems)
        if certificates:
            found[path.stem.casefold()] = certificates
    if problems:
        raise ConfigurationError(problems)
    return Certificates(found)


def mistakes(folder: Path | None, *, now: datetime) -> Sequence[Problem]:
    """Return what is wrong with the folder and its certificates."""
    try:
        read_certificates(folder, now=now)
    except ConfigurationError as error:
        return error.problems
    return ()


def _files(folder: Path | None, problems: list[Problem]) -> list[Path]:
    if folder is None:
        return []
    if not folder.is_dir():
        message = "is no folder; make it, and put each recipient's certificate into <address>.pem"
        problems.append(Problem(file=str(folder), place=PLACE, message=message))
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".pem")


def _of_file(path: Path, now: datetime | None, problems: list[Problem]) -> tuple[Certificate, ...]:
    from cryptography.x509 import load_pem_x509_certificates

    def wrong(message: str) -> tuple[Certificate, ...]:
        problems.append(Problem(file=str(path), place=PLACE, message=message))
        return ()

    if not is_mail_address(path.stem):
        return wrong("the file's name is no mail address; name it <address>.pem")
    try:
        certificates = tuple(load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        return wrong(f"cannot be read ({error.strerror})")
    except ValueError:
        return wrong("holds no certificate; give the recipient's S/MIME certificate as PEM (BEGIN CERTIFICATE)")
    unfit = [reason for one in certificates if (reason := _unfit(one, now))]
    return wrong(unfit[0]) if unfit else certificates


def _unfit(certificate: Certificate, now: datetime | None) -> str:
    """Return why a mail cannot be encrypted for the certificate; empty when it can."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import ExtensionNotFound, KeyUsage

    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        return "its key is no RSA key, and mails can be encrypted for RSA alone; ask its owner for an RSA certificate"
    if key.key_size < LEAST_BITS:
        return f"its key has {key.key_size} bits; at least {LEAST_BITS} are needed"
    try:
        usage = certificate.extensions.get_extension_for_class(KeyUsage).value
        if not usage.key_encipherment:
            return "it is for signing only (no keyEncipherment); ask its owner for the one for encryption"
    except ExtensionNotFound:
        pass
    return _out_of_date(certificate, now.astimezone(MALAYSIA).date()) if now is not None else ""


def _out_of_date(certificate: Certificate, today: date) -> str:
    """Judge by whole days: one issued this morning is as good as one that ends tonight."""
    begin, end = (
        at.astimezone(MALAYSIA).date() for at in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    if end < today:
        return f"it expired on {end}; ask its owner for the new one, or remove it"
    return f"it is not valid before {begin}" if begin > today else ""


def sealed(mail: EmailMessage, certificates: Sequence[Certificate], *, outside: str) -> bytes:
    """Return the mail's bytes: encrypted for the certificates, with `outside` for its subject; as it is without any."""
    if not certificates:
        return mail_bytes(mail)
    return mail_bytes(_outer(mail, _encrypted(_inner(mail, outside), certificates), outside))


def _inner(mail: EmailMessage, outside: str) -> bytes:
    """Return what is encrypted: the whole mail, marked so that programs take subject and addresses from it."""
    mail.set_param("hp", "cipher")
    mail.set_param("protected-headers", "v1")  # what Thunderbird and others looked for before RFC 9788
    for name, value in _kept(mail, outside):
        mail["HP-Outer"] = f"{name}: {value}"
    return mail_bytes(mail)


def _kept(mail: EmailMessage, outside: str) -> list[tuple[str, str]]:
    """Return the headers that stay outside, but those of the body."""
    named = [(name, str(value)) for name, value in mail.items() if name.lower() not in {*BODY_HEADERS, "hp-outer"}]
    return [(name, outside if name.lower() == "subject" else value) for name, value in named]


def _encrypted(content: bytes, certificates: Sequence[Certificate]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options

    builder = PKCS7EnvelopeBuilder().set_data(content).set_content_encryption_algorithm(AES256)
    for certificate in certificates:
        builder = builder.add_recipient(certificate)
    return builder.encrypt(Encoding.DER, [PKCS7Options.Binary])


def _outer(mail: EmailMessage, content: bytes, outside: str) -> EmailMessage:
    outer = EmailMessage(policy=mail.policy)
    for name, value in _kept(mail, outside):
        outer[name] = value
    outer.set_content(content, "application", "pkcs7-mime", filename="smime.p7m", disposition="attachment")
    outer.set_param("name", "smime.p7m")
    outer.set_param("smime-type", "enveloped-data")
    return outer
