"""A mail server as a process of its own that writes down what it takes, and loses a share of its answers.

`python mail_sink.py LOG [--maildir DIR] [--lose 0.2] [--seed 1]` prints its port. LOG gets one line a mail: "taken" or
"lost" (taken, but its 250 never left), and the Message-ID. The journal's copy is written before the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GREETING = b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
ANSWERS = {b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n", b"RSET": b"250 ok\r\n", b"NOOP": b"250 ok\r\n"}
MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>]*>)", re.IGNORECASE | re.MULTILINE)


class Mails:
    """Where taken mails go."""

    def __init__(self, log: Path, maildir: Path | None, lose: float, seed: int) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._maildir = maildir
        self._lose = lose
        self._random = random.Random(seed)
        self._number = itertools.count()

    def take(self, mail: bytes) -> bool:
        """Take a mail. False: its answer is to be lost."""
        found = MESSAGE_ID.search(mail.partition(b"\r\n\r\n")[0])
        message_id = found[1] if found else b"-"
        if self._maildir is not None:
            self._file(mail, self._maildir)
        lost = self._random.random() < self._lose
        os.write(self._log, (b"lost " if lost else b"taken ") + message_id + b"\n")
        return not lost

    def _file(self, mail: bytes, maildir: Path) -> None:
        name = f"{os.getpid()}.{next(self._number)}.sink"
        (maildir / "tmp" / name).write_bytes(mail)
        (maildir / "tmp" / name).rename(maildir / "new" / name)


class Session(asyncio.Protocol):
    """One client's conversation; commands may come together."""

    def __init__(self, mails: Mails) -> None:
        self._mails = mails
        self._buffer = b""
        self._in_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._transport.is_closing() and self._step():
            pass

    def _step(self) -> bool:
        if self._in_mail:
            mail, end, rest = self._buffer.partition(b"\r\n.\r\n")
            if end:
                self._buffer, self._in_mail = rest, False
                self._end_of_mail(mail + b"\r\n")
            return bool(end)
        line, end, rest = self._buffer.partition(b"\r\n")
        if end:
            self._buffer = rest
            self._command(line[:4].upper())
        return bool(end)

    def _end_of_mail(self, mail: bytes) -> None:
        if self._mails.take(mail):
            self._transport.write(b"250 ok, taken\r\n")
        else:
            self._transport.abort()

    def _command(self, verb: bytes) -> None:
        if verb in {b"EHLO", b"HELO"}:
            self._transport.write(GREETING)
        elif verb == b"DATA":
            self._in_mail = True
            self._transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
        else:
            self._transport.write(ANSWERS.get(verb, b"500 what?\r\n"))


async def serve(mails: Mails) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Session(mails), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 (its port is its only output)
    await server.serve_forever()


@dataclass(frozen=True)
class Sink:
    """A running sink, seen from outside."""

    port: int
    log: Path

    def lines(self) -> list[tuple[str, str]]:
        """Return (taken or lost, Message-ID) of every mail, in order."""
        text = self.log.read_text() if self.log.exists() else ""
        return [(word, message_id) for word, _, message_id in (line.partition(" ") for line in text.splitlines())]

    def count(self) -> int:
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    def times(self) -> Counter[str]:
        return Counter(message_id for _, message_id in self.lines())

    def lost_answers(self) -> set[str]:
        return {message_id for word, message_id in self.lines() if word == "lost"}


@contextmanager
def sink(log: Path, *, maildir: Path | None = None, lose: float = 0.0, seed: int = 1) -> Iterator[Sink]:
    command = [sys.executable, __file__, str(log), "--lose", str(lose), "--seed", str(seed)]
    command += ["--maildir", str(maildir)] if maildir else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Sink(port=int(process.stdout.readline()), log=log)
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("--maildir", type=Path)
    parser.add_argument("--lose", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(serve(Mails(given.log, given.maildir, given.lose, given.seed)))


if __name__ == "__main__":
    main()
