"""Mail over SMTP: verified TLS or nothing, one lasting connection, and an honest word on what became of a mail.

The commands are given here instead of through `smtplib.sendmail`, because only then it is known whether a lost
connection came before the mail was handed over (try again) or after (it may have been accepted). They go together to
a server that takes them so (RFC 2920).
"""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parseaddr

from alerts.channel import DeliveryFailed, ascii_address
from alerts.policy import mail_domain
from monitor.disclosure import one_line
from monitor.settings import Mail
from monitor.settings.values import is_loopback

LOST = (OSError, smtplib.SMTPServerDisconnected)  # time-outs and TLS failures are OSErrors
IDLE_SECONDS = 20.0  # an unused connection is kept for so long; mail servers close one after minutes
SENDERS_FAULT = frozenset({530, 534, 535, 538})  # "authenticate first": no fault of the recipient's
RELAY_REFUSED = re.compile(r"relay|not permitted to send|authenticat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Reply:
    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


class SmtpChannel:
    """Sends through one mail server. Used by one thread at a time; keeps its connection until `close`."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._connection: smtplib.SMTP | None = None
        self._sender = parseaddr(mail.sender)[1]
        self._used = 0.0
        self._announced: tuple[str, ...] = ()

    def announce(self, *, recipient: str, message_id: str) -> None:
        """Send the commands that begin the mail, where a connection is open and takes them so; `send` reads on.

        What fails here shows there: a lost connection is replaced, an address that cannot be is refused.
        """
        self._withdraw()
        connection = self._connection
        if connection is None or not connection.has_extn("pipelining"):
            return
        with suppress(DeliveryFailed, *LOST):
            commands = _commands(connection, self._own_address(), ascii_address(recipient), message_id)
            _send_together(connection, commands)
            self._announced = commands

    def _withdraw(self) -> None:
        """Let go of a connection on which a mail was begun that was never handed over: the server forgets the mail."""
        if self._announced:
            self._drop()

    def send(self, mail: bytes, *, recipient: str, message_id: str) -> str:
        address = ascii_address(recipient)
        connection = self._begin_mail(address, message_id)
        reply = self._hand_over(connection, mail)
        self._used = time.monotonic()
        if reply.code == 250:
            return f"{self._where}: {reply}"
        self._reset(connection)
        raise DeliveryFailed(f"{self._where}: the mail was refused: {reply}", permanent=reply.code >= 500)

    def check(self) -> str:
        """Connect, secure and sign in. Raises DeliveryFailed."""
        self.close()
        self._open()
        self.close()
        signed_in = f", signed in as {self._mail.username}" if self._mail.username else ""
        return f"{self._where} answers ({self._mail.security}{signed_in})"

    def rest(self) -> None:
        self._withdraw()
        if self._connection is not None and time.monotonic() - self._used > IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        self._withdraw()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (*LOST, smtplib.SMTPException):
                connection.close()

    @property
    def _where(self) -> str:
        return f"{self._mail.host}:{self._mail.port}"

    def _begin_mail(self, address: str, message_id: str) -> smtplib.SMTP:
        """Return a connection that waits for the mail's bytes; a stale one is replaced, once. Raises DeliveryFailed."""
        sender = self._own_address()
        reused = self._connection is not None
        connection = self._connection or self._open()
        commands = _commands(connection, sender, address, message_id)
        if self._announced and self._announced != commands:
            self._withdraw()
            return self._begin_mail(address, message_id)
        replies = self._replies(connection, commands)
        try:
            reply = next(replies)
            if reply.code == 421 and reused:
                raise smtplib.SMTPServerDisconnected(str(reply))
        except LOST as error:
            self._drop()
            if reused:
                return self._begin_mail(address, message_id)
            raise DeliveryFailed(f"{self._where}: the connection was lost ({_why(error)})", server=True) from error
        try:
            self._judge(reply, replies, address)
        except LOST as error:
            self._drop()
            raise DeliveryFailed(f"{self._where}: the connection was lost ({_why(error)}); will be retried") from error
        return connection

    def _replies(self, connection: smtplib.SMTP, commands: Sequence[str]) -> Iterator[_Reply]:
        """Yield the server's answer to each command; what is not asked for is not sent, unless all went together."""
        if connection.has_extn("pipelining"):
            announced, self._announced = self._announced, ()
            if not announced:
                _send_together(connection, commands)
            for _ in commands:
                yield self._read(connection)
        else:
            for command in commands:
                yield self._command(connection, command)

    def _judge(self, sender: _Reply, replies: Iterator[_Reply], address: str) -> None:
        """Return when the server waits for the mail. Raises DeliveryFailed, with the connection ready or dropped."""
        if sender.code != 250:
            self._back_out(sender, replies)
            raise DeliveryFailed(
                f"{self._where}: the server refuses mail from {self._sender}: {sender}; "
                "check mail.sender and mail.username",
                server=sender.code >= 500 or sender.code == 421,
            )
        recipient = next(replies)
        if recipient.code not in {250, 251, 252}:
            self._back_out(recipient, replies)
            raise self._refused_recipient(recipient, address)
        data = next(replies)
        if data.code != 354:
            self._back_out(data, replies)
            raise DeliveryFailed(f"{self._where}: the mail was refused: {data}", permanent=data.code >= 500)

    def _back_out(self, refusal: _Reply, replies: Iterator[_Reply]) -> None:
        """Leave a mail that was refused, and the connection too when the server waits for its bytes all the same."""
        connection = self._connection
        if connection is None or refusal.code == 421:
            self._drop()
        elif not connection.has_extn("pipelining") or all(reply.code != 354 for reply in replies):
            self._reset(connection)
        else:
            self._drop()

    def _refused_recipient(self, reply: _Reply, address: str) -> DeliveryFailed:
        ours = reply.code in SENDERS_FAULT
        if ours or (reply.code >= 500 and RELAY_REFUSED.search(reply.text)):
            return DeliveryFailed(
                f"{self._where}: the server does not send to {address} for us: {reply}; check the address, "
                "mail.username and the server's relay rules",
                server=ours,
                unrelayed=not ours,
            )
        return DeliveryFailed(f"{self._where}: {address} was refused: {reply}", permanent=reply.code >= 500)

    def _own_address(self) -> str:
        try:
            return ascii_address(self._sender)
        except DeliveryFailed as error:
            raise DeliveryFailed(f"mail.sender: {error}", server=True) from None

    def _hand_over(self, connection: smtplib.SMTP, mail: bytes) -> _Reply:
        """Send the mail's bytes and return the server's word on them. Raises DeliveryFailed when that was lost."""
        try:
            connection.send(wire_form(mail))  # the end mark goes last: if this fails, the mail was not handed over
        except LOST as error:
            self._drop()
            raise DeliveryFailed(f"{self._where}: the connection was lost ({_why(error)}); will be retried") from error
        try:
            reply = self._read(connection)
        except LOST as error:
            self._drop()
            raise DeliveryFailed(
                f"{self._where}: the answer was lost after the mail was handed over ({_why(error)})", uncertain=True
            ) from error
        if not 200 <= reply.code < 600:
            self._drop()
            raise DeliveryFailed(f"{self._where}: an answer that is none ({reply})", uncertain=True)
        return reply

    def _command(self, connection: smtplib.SMTP, command: str) -> _Reply:
        connection.putcmd(command)
        return self._read(connection)

    def _read(self, connection: smtplib.SMTP) -> _Reply:
        try:
            code, text = connection.getreply()
        except smtplib.SMTPResponseException as error:  # a line longer than the protocol allows
            raise smtplib.SMTPServerDisconnected(str(error.smtp_code)) from error
        return _Reply(code, self._shown(text))

    def _shown(self, text: bytes | str) -> str:
        """Return a server's words for people: one line, without the password should a server ever echo it."""
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        secret = self._mail.password.reveal()
        return one_line(words.replace(secret, "…") if secret else words)

    def _reset(self, connection: smtplib.SMTP) -> None:
        try:
            if self._command(connection, "RSET").code != 250:
                self._drop()
        except LOST:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._announced = ()
        if connection is not None:
            connection.close()

    def _open(self) -> smtplib.SMTP:
        """Connect, secure and sign in; nothing but greetings is ever sent in clear. Raises DeliveryFailed."""
        try:
            connection = self._connect()
        except ssl.SSLCertVerificationError as error:
            message = f"its certificate is not trusted ({error.verify_message}); check mail.host and mail.ca_file"
            raise DeliveryFailed(f"{self._where}: {message}", server=True) from error
        except smtplib.SMTPResponseException as error:
            reply = _Reply(error.smtp_code, self._shown(error.smtp_error))
            hint = "; check mail.username and mail.password" if reply.code in SENDERS_FAULT else ""
            raise DeliveryFailed(f"{self._where}: the server refuses us: {reply}{hint}", server=True) from error
        except smtplib.SMTPNotSupportedError as error:
            message = "offers no way to sign in; remove mail.username, or check mail.port and mail.security"
            raise DeliveryFailed(f"{self._where}: {message}", server=True) from error
        except UnicodeError:  # its own words would show a part of the password
            message = "mail.username and mail.password may hold plain ASCII characters only"
            raise DeliveryFailed(f"{self._where}: {message}", server=True) from None
        except (*LOST, ValueError) as error:
            message = f"cannot be reached ({self._shown(_why(error))}); check mail.host, mail.port and mail.security"
            raise DeliveryFailed(f"{self._where}: {message}", server=True) from error
        self._connection = connection
        return connection

    def _connect(self) -> smtplib.SMTP:
        mail = self._mail
        if mail.security == "none" and not is_loopback(mail.host):
            raise DeliveryFailed(f'{self._where}: mail.security = "none" is for this machine only', server=True)
        seconds = mail.timeout.total_seconds()
        name = mail_domain(mail.sender)
        connection: smtplib.SMTP
        if mail.security == "tls":
            context = _trust(mail)
            connection = smtplib.SMTP_SSL(mail.host, mail.port, local_hostname=name, timeout=seconds, context=context)
        else:
            connection = smtplib.SMTP(mail.host, mail.port, local_hostname=name, timeout=seconds)
        try:
            self._secure_and_sign_in(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _secure_and_sign_in(self, connection: smtplib.SMTP) -> None:
        connection.ehlo_or_helo_if_needed()
        if self._mail.security == "starttls":
            if not connection.has_extn("starttls"):
                raise DeliveryFailed(
                    f"{self._where}: offers no STARTTLS, and nothing is sent in clear; ask the mail administrator, "
                    'or use mail.security = "tls" with port 465',
                    server=True,
                )
            connection.starttls(context=_trust(self._mail))
            connection.ehlo_or_helo_if_needed()
        if self._mail.username:
            connection.login(self._mail.username, self._mail.password.reveal())


def _trust(mail: Mail) -> ssl.SSLContext:
    """Return a context that verifies: smtplib's own default would not. Raises DeliveryFailed for a bad mail.ca_file."""
    try:
        return ssl.create_default_context(cafile=str(mail.ca_file) if mail.ca_file else None)
    except OSError as error:  # ssl's errors are OSErrors as well
        message = f"mail.ca_file: {mail.ca_file}: cannot be used ({_why(error)}); give the CA's certificate as PEM"
        raise DeliveryFailed(message, server=True) from error


def wire_form(mail: bytes) -> bytes:
    """Return the mail as the protocol wants it: CRLF line ends, leading dots doubled, the end mark after it."""
    lines = [b"." + line if line.startswith(b".") else line for line in mail.splitlines() or [b""]]
    return b"\r\n".join([*lines, b".", b""])


def _commands(connection: smtplib.SMTP, sender: str, address: str, message_id: str) -> tuple[str, str, str]:
    """Return the commands that begin a mail. A report of its failure is to name it, and to bring no text back."""
    if not connection.has_extn("dsn"):
        return f"MAIL FROM:<{sender}>", f"RCPT TO:<{address}>", "DATA"
    identity = _xtext(message_id.strip("<>"))
    wish = f"NOTIFY=FAILURE,DELAY ORCPT=rfc822;{_xtext(address)}"
    return f"MAIL FROM:<{sender}> RET=HDRS ENVID={identity}", f"RCPT TO:<{address}> {wish}", "DATA"


def _send_together(connection: smtplib.SMTP, commands: Sequence[str]) -> None:
    connection.send("".join(f"{command}\r\n" for command in commands))


def _xtext(value: str) -> str:
    """Return a value as parameters of SMTP carry it (RFC 3461)."""
    return re.sub(r"[^!-*,-<>-~]", lambda odd: "".join(f"+{byte:02X}" for byte in odd[0].encode()), value)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "time-out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
