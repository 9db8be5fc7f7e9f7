"""From a letter to RFC 5322 bytes. Pure: the same letter is always the same bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.generator import BytesGenerator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

from alerts.policy import ascii_domain
from alerts.rendering import Letter
from monitor.disclosure import one_line
from monitor.model import MALAYSIA

HEADER_WIDTH = 78  # a longer one is folded
WORD_BYTES = 39  # in base64 they leave room for the header's name on a line of 76
LINE_END = re.compile(r"\r\n|\r|\n")
ENCODING = "quoted-printable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A CSV file that goes with a mail, in UTF-8."""

    name: str
    content: bytes


# ---------------------------------------------------------------- a letter of text and page, as most are


def letter_bytes(
    letter: Letter,
    *,
    sender: str,
    recipient: str,
    message_id: str,
    now: datetime,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return the mail as bytes, the same as `mail_bytes` of `mail_message`, in a third of the time.

    The letter has a page. Python's own way makes an object of each header and part, and goes through each text thrice.
    """
    outer = _boundary(message_id, 0)
    named = [
        *_headers(letter, sender, recipient, message_id, now, headers),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{outer}"'),
    ]
    parts = ((_type("plain"), letter.text), (_type("html"), letter.html))
    written = [*(_header_bytes(name, value) for name, value in named)]
    for kind, text in parts:
        head = f"\r\n--{outer}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {ENCODING}\r\n\r\n"
        written += (head.encode("ascii"), _quoted_printable(text))
    written.append(f"\r\n--{outer}--\r\n".encode("ascii"))
    return b"".join(written)


def _header_bytes(name: str, value: str) -> bytes:
    return _POLICY.fold_binary(*_POLICY.header_store_parse(name, value))


def _quoted_printable(text: str) -> bytes:
    """Return a text as quoted-printable (RFC 2045) with CRLF; most lines of letters are the same in all of them."""
    if "\r" in text:
        return LINE_END.sub("\r\n", binascii.b2a_qp(text.encode()).decode("ascii")).encode("ascii")
    *lines, last = text.split("\n")
    return b"".join(map(_quoted_line, lines)) + binascii.b2a_qp(last.encode()).replace(b"\n", b"\r\n")


@lru_cache(maxsize=4096)
def _quoted_line(line: str) -> bytes:
    return binascii.b2a_qp(f"{line}\n".encode()).replace(b"\n", b"\r\n")


# ---------------------------------------------------------------- any mail


def mail_message(
    letter: Letter,
    *,
    sender: str,
    recipient: str,
    message_id: str,
    now: datetime,
    headers: Iterable[tuple[str, str]] = (),
    pictures: Mapping[str, bytes] | None = None,
    attachments: Iterable[Attachment] = (),
) -> EmailMessage:
    """Return the mail: text and HTML, PNG `pictures` by Content-ID. As bytes it is always the same."""
    mail = EmailMessage(policy=_POLICY)
    for header, value in _headers(letter, sender, recipient, message_id, now, headers):
        mail[header] = value
    _write_texts(mail, letter)
    for cid, picture in (pictures or {}).items():
        html = mail.get_payload()[1]  # type: ignore[index]  # the alternative added just above
        assert isinstance(html, EmailMessage)
        html.add_related(picture, "image", "png", cid=f"<{cid}>", disposition="inline", filename=f"{cid}.png")
    for file in attachments:
        mail.add_attachment(file.content, "text", "csv", filename=file.name, params={"charset": "utf-8"})
    _fix_boundaries(mail, message_id)
    return mail


def _write_texts(mail: EmailMessage, letter: Letter) -> None:
    """Write text and page; a short text alone goes as it is, because gateways to telephones decode nothing."""
    if not letter.html and letter.text.isascii():
        mail.set_content(letter.text, cte="7bit")
        return
    mail["MIME-Version"] = "1.0"
    _write_text(mail, letter.text, "plain")
    if letter.html:
        mail.make_alternative()
        page = EmailMessage(policy=mail.policy)
        _write_text(page, letter.html, "html")
        mail.attach(page)


def _write_text(part: EmailMessage, text: str, subtype: str) -> None:
    """Write a text as quoted-printable; Python's own encoder is many times slower than the one in C."""
    part["Content-Type"] = _type(subtype)
    part["Content-Transfer-Encoding"] = ENCODING
    part.set_payload(binascii.b2a_qp(text.encode()).decode("ascii"))


def _fix_boundaries(mail: EmailMessage, message_id: str) -> None:
    """Name the parts' boundaries after the mail, where Python would draw lots: the same mail is the same bytes."""
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(_boundary(message_id, number))


def _boundary(message_id: str, number: int) -> str:
    return f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:24]}_{number}"


def _type(subtype: str) -> str:
    return f'text/{subtype}; charset="utf-8"'


def _headers(
    letter: Letter,
    sender: str,
    recipient: str,
    message_id: str,
    now: datetime,
    more: Iterable[tuple[str, str]],
) -> list[tuple[str, str]]:
    return [
        ("From", _from(sender)),
        ("To", _to(recipient)),
        ("Subject", letter.subject),
        ("Date", format_datetime(now.astimezone(MALAYSIA))),
        ("Message-ID", message_id),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        *more,
    ]


@lru_cache(maxsize=8)
def _from(sender: str) -> str:
    name, address = parseaddr(sender)
    return str(_address(address, one_line(name)) or address)


@lru_cache(maxsize=1024)
def _to(recipient: str) -> str:
    return str(_address(recipient) or "") or "undisclosed-recipients:;"  # the channel refuses what has no ASCII form


def _address(address: str, name: str = "") -> Address | None:
    """Return the address as a header value; None when mail servers would not take it."""
    local, _, domain = address.rpartition("@")
    host = ascii_domain(domain)
    if not local or not host or not (local + host).isascii() or not (local + host).isprintable():
        return None
    return Address(display_name=name, username=local, domain=host)


# ---------------------------------------------------------------- Python's way, mended


class _Policy(EmailPolicy):
    """SMTP's policy, but for subjects, and for headers that need neither encoding nor folding.

    Python folds a non-ASCII word of a subject so that some programs show two spaces. And it parses every header when it
    is set, asked for and written, which takes longer than all the rest of a mail: a plain one stays the text it is.
    """

    def header_max_count(self, name: str) -> int | None:
        return _max_count(name)

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        as_it_is = _plain(name, value) or (_is_subject(name) and value.isprintable())
        return (name, value) if as_it_is else super().header_store_parse(name, value)

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value if _plain(name, value) else super().header_fetch_parse(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        if _plain(name, value):
            return f"{name}: {value}{self.linesep}".encode("ascii")
        if not _is_subject(name) or value.isascii():
            return super().fold_binary(name, value)
        return f"{name}: {f'{self.linesep} '.join(_encoded_words(value))}{self.linesep}".encode("ascii")


_POLICY = _Policy(linesep=SMTP.linesep)


class _Generator(BytesGenerator):
    """Writes each text of a mail at once, where Python goes from line to line."""

    def _write_lines(self, lines: str) -> None:
        self.write(LINE_END.sub(SMTP.linesep, lines))


def mail_bytes(mail: EmailMessage) -> bytes:
    """Return the mail as RFC 5322 bytes."""
    written = BytesIO()
    _Generator(written, policy=mail.policy).flatten(mail)
    return written.getvalue()


@cache
def _max_count(name: str) -> int | None:
    """Return how many of a header a mail may have. Python makes a class to find that out, each time it is asked."""
    return SMTP.header_max_count(name)


def _is_subject(name: str) -> bool:
    return name.lower() == "subject"


def _encoded_words(text: str) -> Iterator[str]:
    """Yield a text as encoded words (RFC 2047), each of whole characters; what stands between them is not shown."""
    rest = text.encode("utf-8", "replace")
    while rest:
        end = min(WORD_BYTES, len(rest))
        while end < len(rest) and rest[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        yield f"=?utf-8?b?{base64.b64encode(rest[:end]).decode()}?="
        rest = rest[end:]


def _plain(name: str, value: object) -> bool:
    """Say whether a header's value goes into a mail as it is: printable ASCII on one line."""
    return type(value) is str and value.isascii() and value.isprintable() and len(name) + len(value) + 2 <= HEADER_WIDTH
