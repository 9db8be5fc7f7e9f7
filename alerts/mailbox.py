"""The mailbox beside the mail server, over IMAP: the journal and what comes back.

The journal gets a copy of every mail, so it tells what became of a mail whose answer was lost. Mails that a server
accepted and could not deliver come back as delivery status notifications (RFC 3464). Of any other mail in the mailbox
nothing but its content type is looked at.
"""

from __future__ import annotations

import email
import imaplib
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from email.parser import HeaderParser
from typing import Any

import structlog

from monitor.disclosure import one_line
from monitor.settings import Mailbox
from monitor.settings.values import is_loopback
from monitor.store import undelivered as store
from monitor.store.database import Database

log = structlog.get_logger(__name__)

FAILED = (OSError, imaplib.IMAP4.error)  # time-outs and TLS failures are OSErrors
SETTLING = timedelta(minutes=2)  # in the journal by then, or never accepted
MARGIN = timedelta(days=2)  # SEARCH knows only days, by the server's own zone and clock
BOUNCES_SINCE = timedelta(days=14)  # older ones are no news, should the mailbox be read for the first time
AT_ONCE = 50
REPORT_BYTES = 400_000  # of a report that brings the whole mail back, the beginning is enough
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905  # strftime would ask the locale
ORIGINALS = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})
STATUSES = frozenset({"message/delivery-status", "message/global-delivery-status"})


class MailboxUnreachable(Exception):
    """The mailbox could not be read. The message says where, why and what to do; it holds no password."""


# ---------------------------------------------------------------- the connection


@contextmanager
def _explained(mailbox: Mailbox) -> Iterator[None]:
    """Turn what imaplib, sockets and TLS raise into MailboxUnreachable."""
    where = f"{mailbox.host}:{mailbox.port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        hint = "check mailbox.host and mailbox.ca_file"
        raise MailboxUnreachable(f"{where}: its certificate is not trusted ({error.verify_message}); {hint}") from error
    except UnicodeError:  # its own words would show a part of the password
        words = "mailbox.username and mailbox.password may hold plain ASCII characters only"
        raise MailboxUnreachable(f"{where}: {words}") from None
    except FAILED as error:
        words = "time-out" if isinstance(error, TimeoutError) else _shown(error, mailbox)
        raise MailboxUnreachable(f"{where}: the mailbox cannot be read ({words}); check [mailbox]") from error


def _shown(error: Exception, mailbox: Mailbox) -> str:
    """Return an error's words as one line, without the password should a server ever echo it."""
    words = next((part for part in error.args if isinstance(part, (str, bytes))), None) or str(error)
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    text = getattr(error, "strerror", None) or text or type(error).__name__
    secret = mailbox.password.reveal()
    return one_line(text.replace(secret, "…") if secret else text, limit=200)


def _connect(mailbox: Mailbox) -> imaplib.IMAP4:
    """Connect, secure and sign in; nothing but greetings is ever sent in clear to another machine."""
    if mailbox.security == "none" and not is_loopback(mailbox.host):
        raise MailboxUnreachable(f'{mailbox.host}: mailbox.security = "none" is for this machine only')
    seconds = mailbox.timeout.total_seconds()
    connection: imaplib.IMAP4
    if mailbox.security == "tls":
        connection = imaplib.IMAP4_SSL(mailbox.host, mailbox.port, ssl_context=_trust(mailbox), timeout=seconds)
    else:
        connection = imaplib.IMAP4(mailbox.host, mailbox.port, timeout=seconds)
    try:
        if mailbox.security == "starttls":
            connection.starttls(ssl_context=_trust(mailbox))
        connection.login(mailbox.username, mailbox.password.reveal())
    except BaseException:
        connection.shutdown()
        raise
    return connection


def _trust(mailbox: Mailbox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(mailbox.ca_file) if mailbox.ca_file else None)


class _Folder:
    """One folder of the mailbox; the connection is made when it is first needed, and anew after a failure."""

    def __init__(self, mailbox: Mailbox, name: str, *, readonly: bool) -> None:
        self.mailbox = mailbox
        self.name = name
        self._readonly = readonly
        self._connection: imaplib.IMAP4 | None = None
        self.validity = 0

    @contextmanager
    def opened(self) -> Iterator[imaplib.IMAP4]:
        """Yield the connection with this folder selected. Raises MailboxUnreachable."""
        with _explained(self.mailbox):
            try:
                if self._connection is None:
                    self._connection = _connect(self.mailbox)
                self._select(self._connection)
                yield self._connection
            except BaseException:
                self._drop()
                raise

    def _select(self, connection: imaplib.IMAP4) -> None:
        """Select the folder, each time anew: only then a server must show what came in meanwhile."""
        _ok(connection.select(_quoted(self.name), readonly=self._readonly), f"folder {self.name}")
        _, numbers = connection.response("UIDVALIDITY")
        self.validity = int(numbers[0]) if numbers and numbers[0] else 0

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.logout()
            except FAILED:
                connection.shutdown()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.shutdown()
            except OSError:
                return  # it is gone already


def _ok(answer: tuple[str, list[Any]], what: str) -> tuple[str, list[Any]]:
    status, data = answer
    if status != "OK":
        words = data[0].decode("utf-8", "replace") if data and isinstance(data[0], bytes) else status
        raise imaplib.IMAP4.error(f"{what}: {words}")
    return answer


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _day(moment: datetime) -> str:
    return f"{moment.day}-{MONTHS[moment.month - 1]}-{moment.year}"


def check(mailbox: Mailbox) -> str:
    """Sign in, open the folders, and return a sentence about it. Raises MailboxUnreachable."""
    named = [name for name in (mailbox.journal, mailbox.bounces) if name]
    for name in named:
        folder = _Folder(mailbox, name, readonly=True)
        with folder.opened():
            pass
        folder.close()
    return f"{mailbox.host}:{mailbox.port} answers, signed in as {mailbox.username}, can read {' and '.join(named)}"


# ---------------------------------------------------------------- the journal


class Journal:
    """The folder with a copy of every mail. Used by one thread at a time."""

    def __init__(self, mailbox: Mailbox, *, settling: timedelta = SETTLING) -> None:
        self.settling = settling
        self._folder = _Folder(mailbox, mailbox.journal, readonly=True)

    def holds(self, message_id: str, *, since: datetime) -> bool:
        """Say whether a mail handed over at `since` is in the journal. Raises MailboxUnreachable."""
        criteria = ("SINCE", _day(since - MARGIN), "HEADER", "Message-ID", _quoted(message_id))
        with self._folder.opened() as connection:
            _, found = _ok(connection.uid("SEARCH", *criteria), "SEARCH")
        return any(part and part.split() for part in found)

    def close(self) -> None:
        self._folder.close()


# ---------------------------------------------------------------- what comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What a report says of one recipient. `addresses`: as the mail was sent, and as it was resolved."""

    addresses: frozenset[str]
    action: str  # "failed", "delayed", "delivered", "relayed", "expanded"
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A delivery status notification about one mail."""

    message_id: str
    fates: tuple[Fate, ...]


def parse_report(content: bytes) -> Report | None:
    """Read a delivery status notification, also one cut off at its end. None: it is none, or names no mail."""
    mail = email.message_from_bytes(content)
    if mail.get_content_type() != "multipart/report":
        return None
    parts = [part for part in mail.walk() if part is not mail]
    blocks = [block for part in parts if part.get_content_type() in STATUSES for block in _blocks(part)]
    originals = (_original_id(part) for part in parts if part.get_content_type() in ORIGINALS)
    envelope_id = next((_plain(block["Original-Envelope-Id"]) for block in blocks if block["Original-Envelope-Id"]), "")
    message_id = next((found for found in originals if found), f"<{envelope_id}>" if envelope_id else "")
    fates = tuple(_fate(block) for block in blocks if block["Action"])
    return Report(message_id=message_id, fates=fates) if message_id and fates else None


def _blocks(part: Message) -> list[Message]:
    """Return a status part's groups of fields: the first is about the mail, each other one about a recipient."""
    payload = part.get_payload()
    if isinstance(payload, list) and len(payload) > 1:
        return [block for block in payload if isinstance(block, Message)]
    text = _text(part) if not isinstance(payload, list) else "\n".join(one.as_string() for one in payload)  # type: ignore[union-attr]  # a list holds messages
    return [HeaderParser().parsestr(block) for block in re.split(r"\r?\n[ \t]*\r?\n", text) if block.strip()]


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _original_id(part: Message) -> str:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else HeaderParser().parsestr(_text(part))
    return _plain(inner["Message-ID"]) if isinstance(inner, Message) else ""


def _plain(value: object) -> str:
    return "".join(str(value or "").split())


def _fate(block: Message) -> Fate:
    named = (block["Original-Recipient"], block["Final-Recipient"])
    addresses = frozenset(_plain(str(name).partition(";")[2]).casefold() for name in named if name)
    said = str(block["Diagnostic-Code"] or "").partition(";")[2]
    words = one_line(f"{_plain(block['Status'])} {said}", limit=300).strip()
    return Fate(addresses=addresses, action=_plain(block["Action"]).casefold(), words=words or "no reason was given")


@dataclass(slots=True, kw_only=True)
class Bounces:
    """What a look at the mailbox found."""

    returned: int = 0
    delayed: int = 0
    unknown: int = 0  # reports about mails that are not ours


class BounceReader:
    """Reads what came back since the last look. Used by one thread at a time.

    Where the last look ended is in the database, with the folder's UIDVALIDITY: when that changed, numbers mean other
    mails, and all are looked at again; a mail known to have come back is not told of twice.
    """

    def __init__(self, mailbox: Mailbox, *, own: Sequence[str] = ()) -> None:
        self._folder = _Folder(mailbox, mailbox.bounces, readonly=False)
        self._own = frozenset(address.casefold() for address in (mailbox.username, *own))
        self._place = f"bounces:{mailbox.username}@{mailbox.host}/{mailbox.bounces}"

    def read(self, db: Database, *, clock: Callable[[], datetime]) -> Bounces:
        """Note every new report about a mail of ours. Raises MailboxUnreachable."""
        found = Bounces()
        try:
            with self._folder.opened() as connection:
                validity, last = store.read_place(db, self._place)
                after = last if validity == self._folder.validity else 0
                for numbers in _portions(_new(connection, after, clock())):
                    for number in _reports(connection, numbers):
                        self._note(db, connection, number, found, clock())
                    store.keep_place(db, self._place, self._folder.validity, numbers[-1])
        finally:
            self._folder.close()
        return found

    def _note(self, db: Database, connection: imaplib.IMAP4, number: int, found: Bounces, now: datetime) -> None:
        report = parse_report(_content(connection, number))
        recipient = store.recipient_of(db, report.message_id) if report else None
        if report is None or recipient is None:
            found.unknown += 1
            log.info("a report about no mail of ours", uid=number)
            return
        for fate in report.fates:
            if concerns(fate, recipient, self._own):
                _take_down(db, report.message_id, fate, found, now)
        connection.uid("STORE", str(number), "+FLAGS.SILENT", r"(\Seen)")


def concerns(fate: Fate, recipient: str, own: frozenset[str]) -> bool:
    """Say whether a fate is that of the mail's recipient, also behind a forward; not that of the journal's copy."""
    return recipient.casefold() in fate.addresses or not fate.addresses & own


def _take_down(db: Database, message_id: str, fate: Fate, found: Bounces, now: datetime) -> None:
    if fate.action == "failed" and store.mark_bounced(db, message_id, fate.words, now):
        found.returned += 1
        log.error("mail returned", message_id=message_id, error=fate.words)
    elif fate.action == "delayed":
        found.delayed += 1
        store.note_delayed(db, message_id, fate.words, now)
        log.warning("mail delayed", message_id=message_id, error=fate.words)


def _new(connection: imaplib.IMAP4, after: int, now: datetime) -> list[int]:
    """Return the numbers of the mails that came after number `after`."""
    span = (f"UID {after + 1}:*", "SINCE", _day(now - BOUNCES_SINCE))
    _, found = _ok(connection.uid("SEARCH", *span), "SEARCH")
    numbers = [int(number) for part in found if part for number in part.split()]
    return sorted(number for number in numbers if number > after)  # "9:*" is the last one too, whatever its number


def _portions(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), AT_ONCE):
        yield numbers[start : start + AT_ONCE]


def _reports(connection: imaplib.IMAP4, numbers: Sequence[int]) -> list[int]:
    """Return which of these mails are reports by their content type; nothing else of them is read."""
    wanted = "(UID BODY.PEEK[HEADER.FIELDS (CONTENT-TYPE)])"
    _, answers = _ok(connection.uid("FETCH", ",".join(map(str, numbers)), wanted), "FETCH")
    found = []
    for answer in answers:
        if isinstance(answer, tuple) and HeaderParser().parsestr(_ascii(answer[1])).get_content_type() == (
            "multipart/report"
        ):
            number = re.search(rb"\bUID (\d+)", answer[0])
            found += [int(number[1])] if number else []
    return found


def _content(connection: imaplib.IMAP4, number: int) -> bytes:
    _, answers = _ok(connection.uid("FETCH", str(number), f"(BODY.PEEK[]<0.{REPORT_BYTES}>)"), "FETCH")
    return next((answer[1] for answer in answers if isinstance(answer, tuple)), b"")


def _ascii(content: bytes) -> str:
    return content.decode("ascii", "replace")
