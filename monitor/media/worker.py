"""One process of its own that reads files: what a hostile file does to the native libraries ends there.

It is started when the first file comes, with no secrets in its environment, and ended when a file takes too long or too
much memory. Over its pipes go two lengths and two bodies each way (`__main__.py` is its side); it ends with its pipe or
its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Self

from monitor.media.kinds import kind_of, read
from monitor.media.limits import Reading, Unreadable

MOST_SECONDS = 60.0  # for one file
START_SECONDS = 60.0  # a loaded machine imports slowly
MOST_MEMORY = 1_500_000_000  # bytes that are really in use
RESTED_MEMORY = 900_000_000  # with more than this after a file, the process has served its time
LOOK_SECONDS = 0.1
HEADER = struct.Struct(">II")
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV")
COMMAND = (sys.executable, "-P", "-m", "monitor.media")


class Stopped(Exception):
    """The program ends; the file was not read, and nothing is known about it."""


class WorkerDown(Exception):
    """The process does not start. The file is not to blame."""


def _never() -> bool:
    return False


class Worker:
    """Reads files in a process of its own, one at a time; threads wait for each other."""

    def __init__(
        self, *, seconds: float = MOST_SECONDS, memory: int = MOST_MEMORY, command: tuple[str, ...] = COMMAND
    ) -> None:
        self._seconds, self._memory, self._command = seconds, memory, command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ending: weakref.finalize[[subprocess.Popen[bytes]], Worker] | None = None

    def read(
        self, data: bytes, *, content_type: str = "", name: str = "", stopped: Callable[[], bool] = _never
    ) -> Reading:
        """Do what `monitor.media.read` does, elsewhere. Raises Unreadable, WorkerDown, or Stopped once `stopped`."""
        if kind_of(data, content_type=content_type, name=name) == "text":
            return read(data, content_type=content_type, name=name)
        while not self._lock.acquire(timeout=LOOK_SECONDS):
            if stopped():
                raise Stopped
        try:
            return self._answer(data, content_type, name, stopped)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process; a later file starts another."""
        if self._ending is not None:
            self._ending()
        self._process = self._ending = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, data: bytes, content_type: str, name: str, stopped: Callable[[], bool]) -> Reading:
        whole = False
        try:
            process = self._started(stopped)
            about = json.dumps({"content_type": content_type, "name": name}).encode()
            try:
                send(process.stdin, about, data)
            except OSError:
                raise Unreadable(f"reading it ended the reader ({_ending_of(process)})") from None
            answer = json.loads(self._receive(process, self._seconds, stopped))
            whole = (_memory_of(process.pid) or 0) < RESTED_MEMORY
        finally:
            if not whole:
                self.close()
        if "unreadable" in answer:
            raise Unreadable(answer["unreadable"])
        return Reading(text=answer["text"], left_out=answer["left_out"])

    def _started(self, stopped: Callable[[], bool]) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        kept = {key: os.environ[key] for key in KEPT_ENVIRONMENT if key in os.environ}
        try:
            process = subprocess.Popen(  # noqa: S603 (this same Python)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=kept,
                start_new_session=True,  # a Ctrl-C is for the program, which then ends this
            )
        except OSError as error:
            raise WorkerDown(f"the reader's process cannot be started ({error.strerror})") from None
        self._process, self._ending = process, weakref.finalize(self, _end, process)
        try:
            self._receive(process, START_SECONDS, stopped)
        except Unreadable:
            raise WorkerDown(f"the reader's process does not start ({_ending_of(process)})") from None
        return process

    def _receive(self, process: subprocess.Popen[bytes], seconds: float, stopped: Callable[[], bool]) -> bytes:
        """Return the body of one answer. Raises Unreadable when it takes too long or too much, or there is none."""
        assert process.stdout is not None
        until = time.monotonic() + seconds
        got = bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while len(got) < HEADER.size or len(got) < HEADER.size + HEADER.unpack_from(got)[0]:
                if ready.select(LOOK_SECONDS):
                    some = os.read(process.stdout.fileno(), 1 << 20)
                    if not some:
                        raise Unreadable(f"reading it ended the reader ({_ending_of(process)})")
                    got += some
                elif stopped():
                    raise Stopped
                elif time.monotonic() > until:
                    raise Unreadable("reading it took too long")
                elif (_memory_of(process.pid) or 0) > self._memory:
                    raise Unreadable("reading it took too much memory")
        return bytes(got[HEADER.size :])


@cache
def shared() -> Worker:
    """Return the one worker of a program that reads one file after the other, such as `pantau evaluate`."""
    return Worker()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what it had not taken yet
            if pipe is not None:
                pipe.close()
    process.wait()


def _ending_of(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "it closed its pipe"
    return f"signal {-code}" if code < 0 else f"exit {code}"


def _memory_of(process_id: int) -> int | None:
    """Return the bytes a process has in use, where the system tells (Linux)."""
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def send(pipe: IO[bytes] | None, *bodies: bytes) -> None:
    """Write one message of one body or two."""
    assert pipe is not None
    sizes = [len(body) for body in bodies]
    pipe.write(HEADER.pack(*(sizes if len(sizes) == 2 else [sizes[0], 0])) + b"".join(bodies))
    pipe.flush()
