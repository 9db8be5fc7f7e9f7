"""From words to a finished mail: three template files by name and language, then RFC 5322 bytes. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.generator import BytesGenerator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import cache, lru_cache
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from alerts.policy import ascii_domain
from monitor.disclosure import one_line
from monitor.model import MALAYSIA, Language

TEMPLATES = Path(__file__).parent / "templates"
SUBJECT_LIMIT = 240  # code points; a mail program shows far fewer
ELEMENT = re.compile(r"<([a-z][a-z0-9]*)((?:\s[^<>]*)?)>")  # values are escaped: no other "<" stands in a page
TEXT_ONLY = frozenset({"out_of_band"})  # templates without a page: gateways to telephones read plain text
TEXT_WIDTH = 76
HEADER_WIDTH = 78  # a longer one is folded
WORD_BYTES = 39  # in base64 they leave room for the header's name on a line of 76
HANGING = re.compile(r" +(?:\([a-z]\) |- |.{15}: )?")  # where the lines below an indented one begin
LINE_END = re.compile(r"\r\n|\r|\n")
CLASSES = re.compile(r'\sclass="([\w\s-]*)"')


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
    part = b""
    for character in text:
        more = character.encode("utf-8", "replace")
        if len(part) + len(more) > WORD_BYTES:
            yield f"=?utf-8?b?{base64.b64encode(part).decode()}?="
            part = b""
        part += more
    yield f"=?utf-8?b?{base64.b64encode(part).decode()}?="


def _plain(name: str, value: object) -> bool:
    """Say whether a header's value goes into a mail as it is: printable ASCII on one line."""
    return type(value) is str and value.isascii() and value.isprintable() and len(name) + len(value) + 2 <= HEADER_WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail's three texts, as its templates gave them. `html` is empty for a mail of plain text alone."""

    subject: str
    text: str
    html: str

    def folded(self) -> Letter:
        """Return the letter with the lines of its text folded, for mail programs that do not do it themselves."""
        if not self.html:
            return self  # a short message is one line
        lines = (folded for line in self.text.splitlines() for folded in _folded(line))
        text = "".join(f"{line}\n" for line in lines)
        return replace(self, text=re.sub(r"\n{3,}", "\n\n", text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A CSV file that goes with a mail, in UTF-8."""

    name: str
    content: bytes


@cache
def _environment() -> Environment:
    """Texts are escaped in HTML, and a name that a template misspells is an error, not a hole in a letter."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # templates are part of the program
    )
    environment.filters["line"] = one_line
    return environment


def render(template: str, language: Language, words: Mapping[str, object]) -> Letter:
    """Render `template` (subject.txt, txt, html) in the language. Raises jinja2.TemplateError for a mistake in it.

    The letter's form numbers paragraphs from the second on: a template asks for the next number with `nr()`, and for
    the next item of its list, "(a)", with `item()`.
    """
    place = f"{language.value}/{template}"
    subject = one_line(_rendered(f"{place}.subject.txt", words), limit=SUBJECT_LIMIT)
    words = {**words, "subject": subject, "language": language.value}
    page = "" if template in TEXT_ONLY else _inlined(_rendered(f"{place}.html", words))
    return Letter(subject=subject, text=_rendered(f"{place}.txt", words), html=page)


def _rendered(name: str, words: Mapping[str, object]) -> str:
    items = count()
    counters = {"nr": count(2).__next__, "item": lambda: f"({chr(ord('a') + next(items))})"}
    return _environment().get_template(name).render({**words, **counters})


@lru_cache(maxsize=1024)  # most lines of letters are the same in all of them
def _folded(line: str) -> tuple[str, ...]:
    """Fold a line below where its words begin; an address stays whole."""
    if " " not in line.strip() or (len(line) <= TEXT_WIDTH and line.isprintable()):
        return (line.rstrip(),)
    indented = HANGING.match(line)
    below = " " * len(indented[0]) if indented else ""
    lines = textwrap.wrap(line, TEXT_WIDTH, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)
    return tuple(lines)


@cache
def _styles() -> Mapping[str, str]:
    """Return the style sheet's declarations by selector ("p", ".case"), ready for an attribute."""
    sheet = re.sub(r"/\*.*?\*/", "", (TEMPLATES / "letter.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    rules = re.findall(r"([\w.-]+)\s*\{([^}]*)\}", sheet)
    return {selector: " ".join(declarations.replace('"', "'").split()) for selector, declarations in rules}


def _inlined(page: str) -> str:
    """Write the style sheet into the page's elements: several mail programs read no other styles."""
    head, body, rest = page.partition("<body")
    return head + ELEMENT.sub(_styled, body + rest)


def _styled(element: re.Match[str]) -> str:
    tag, attributes = element.groups()
    classes = CLASSES.search(attributes)
    style = _style(tag, classes[1] if classes else "")
    return f'<{tag}{attributes} style="{style}">' if style else element[0]


@cache
def _style(tag: str, classes: str) -> str:
    selectors = [tag, *(f".{name}" for name in classes.split())]
    return " ".join(found for selector in selectors if (found := _styles().get(selector)))


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
    mail = EmailMessage(policy=_Policy(linesep=SMTP.linesep))
    name, address = parseaddr(sender)
    mail["From"] = str(_address(address, one_line(name)) or address)
    mail["To"] = (
        str(_address(recipient) or "") or "undisclosed-recipients:;"
    )  # the channel refuses what has no ASCII form
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(now.astimezone(MALAYSIA))
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    for header, value in headers:
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
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    part.set_payload(binascii.b2a_qp(text.encode()).decode("ascii"))


def _address(address: str, name: str = "") -> Address | None:
    """Return the address as a header value; None when mail servers would not take it."""
    local, _, domain = address.rpartition("@")
    host = ascii_domain(domain)
    if not local or not host or not (local + host).isascii() or not (local + host).isprintable():
        return None
    return Address(display_name=name, username=local, domain=host)


def _fix_boundaries(mail: EmailMessage, message_id: str) -> None:
    """Name the parts' boundaries after the mail, where Python would draw lots: the same mail is the same bytes."""
    identity = hashlib.sha256(message_id.encode()).hexdigest()[:24]
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"=_{identity}_{number}")
