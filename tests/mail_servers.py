"""Mail servers on loopback that take mails, or fail in one given way, and certificates for them."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Fault = Callable[[SMTP], Awaitable[str | None]]


def read_mail(content: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@dataclass
class Postbox:
    """What a server took. `faults` are what becomes of the next mails, first come first served; then it takes them.

    A fault is an answer ("451 …"), or a coroutine over the server that returns an answer or None for "taken".
    """

    faults: list[str | Fault] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # recipient → answer
    mails: list[tuple[str, bytes]] = field(default_factory=list)  # (recipient, content) of what was taken
    handed_over: list[str] = field(default_factory=list)  # Message-ID of every mail whose bytes came in whole
    sessions: int = 0

    def message_ids(self) -> list[str]:
        """Return what the mails are known by. No property: aiosmtpd looks at all of ours with each connection."""
        return [str(read_mail(content)["Message-ID"]) for _, content in self.mails]

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.sessions += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.handed_over.append(str(read_mail(envelope.content)["Message-ID"]))
        if self.faults:
            fault = self.faults.pop(0)
            answer = fault if isinstance(fault, str) else await fault(server)
            if answer is not None:
                return answer
        self.mails += [(recipient, envelope.content) for recipient in envelope.rcpt_tos]
        return "250 OK, taken"


async def taken(server: SMTP) -> str | None:
    """Take the mail: no fault at all."""


async def hang_up(server: SMTP) -> str | None:
    """Close the connection without an answer; the mail is lost on the way."""
    server.transport.abort()
    return "451 nobody hears this"


async def taken_then_hung_up(server: SMTP) -> str | None:
    """Take the mail, and lose the answer."""
    server.transport.abort()
    return None


async def say_goodbye(server: SMTP) -> str | None:
    """Answer 421 and close, as a server does that shuts down."""
    await server.push("421 4.3.2 shutting down")
    server.transport.close()
    return "451 nobody hears this"


@contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end_tasks() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def smtp_server(box: Postbox, *, implicit_tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """Serve SMTP into `box`; yields the port. `options` are aiosmtpd's (tls_context, authenticator …)."""
    with looping() as loop:
        sessions: WeakSet[SMTP] = WeakSet()  # an ended one is forgotten: there may be a year of them

        def session() -> SMTP:
            sessions.add(begun := SMTP(box, loop=loop, **options))
            return begun

        async def start() -> asyncio.Server:
            return await loop.create_server(session, "127.0.0.1", 0, ssl=implicit_tls)

        server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(_close(server, [s.transport for s in sessions]), loop).result(10)


async def _close(server: asyncio.Server, transports: list[asyncio.Transport | None]) -> None:
    server.close()
    for transport in transports:
        # Python 3.11.2 fails to abort a TLS transport that is closed already.
        if transport is not None and not transport.is_closing():
            transport.abort()
    await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn


@contextmanager
def scripted_server(answers: dict[str, str], heard: list[str], in_one_go: list[str] | None = None) -> Iterator[int]:
    """Serve a script in clear: verb → answer; everything a client says ends up in `heard`, line by line.

    `in_one_go` gets what came in at once. An answer 421 ends the connection. Between 354 and "." nothing is answered.
    """
    transports: list[asyncio.Transport | None] = []
    chunks = in_one_go if in_one_go is not None else []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transports.append(writer.transport)  # type: ignore[arg-type]  # a stream's transport is a full one
        writer.write(b"220 scripted\r\n")
        rest, in_mail = b"", False
        while chunk := await reader.read(65536):
            chunks.append(chunk.decode("latin-1"))
            *lines, rest = (rest + chunk).split(b"\r\n")
            for line in lines:
                said = line.decode("latin-1")
                heard.append(said)
                if in_mail and said != ".":
                    continue
                verb = said.split(" ")[0].upper()
                answer = answers.get(verb, "500 what?")
                in_mail = verb == "DATA" and answer.startswith("354")
                writer.write(f"{answer}\r\n".encode())
                if verb == "QUIT" or answer.startswith("421"):
                    writer.close()
                    return
        writer.close()

    with looping() as loop:
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(talk, "127.0.0.1", 0), loop).result(10)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(_close(server, transports), loop).result(10)


@dataclass(frozen=True)
class Certificates:
    """A CA's certificate as a file, and server contexts under it."""

    ca_file: Path
    localhost: ssl.SSLContext
    another_name: ssl.SSLContext


def make_certificates(folder: Path) -> Certificates:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test CA {folder.name}")])
    ca = (
        _certificate(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    here = _server(folder / "here.pem", key, name, [x509.DNSName("localhost"), address])
    other = _server(folder / "other.pem", key, name, [x509.DNSName("mail.example.my")])
    return Certificates(ca_file=ca_file, localhost=here, another_name=other)


def _server(
    path: Path, ca_key: ec.EllipticCurvePrivateKey, ca_name: x509.Name, names: list[x509.GeneralName]
) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    certificate = (
        _certificate(subject, ca_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(_usage(ca=False), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
