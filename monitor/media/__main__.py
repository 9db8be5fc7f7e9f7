"""The reading process's side of `monitor.media.worker`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import IO

from monitor.media.kinds import read
from monitor.media.limits import Unreadable
from monitor.media.worker import HEADER, send

MOST_ADDRESSES = 6_000_000_000  # bytes asked for: a bound where the parent cannot see how many are in use


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer one file after the other, until the source ends."""
    send(sink, b"{}")
    while len(header := source.read(HEADER.size)) == HEADER.size:
        about_size, size = HEADER.unpack(header)
        about = json.loads(source.read(about_size))
        try:
            reading = read(source.read(size), **about)
            answer = {"text": reading.text, "left_out": reading.left_out}
        except Unreadable as error:
            answer = {"unreadable": str(error)}
        except Exception as error:  # noqa: BLE001 (a stranger's file must not end the next one's reading)
            answer = {"unreadable": f"reading it failed ({type(error).__name__})"}
        send(sink, json.dumps(answer).encode())


def _bounded() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the file


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def main() -> None:
    """Serve on the pipes this process was started with. The libraries' own words on stdout go nowhere."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _bounded()
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
