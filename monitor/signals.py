"""SIGTERM and SIGINT, which are one and the same here. Light on purpose: this is loaded before anything else."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

ASKED = (signal.SIGTERM, signal.SIGINT)
WORKERS = frozenset({"run", "once", "demo"})  # the commands that a supervisor starts and ends
CUT_AFTER_SECONDS = 6.0  # of the ten that the contract allows
INTERRUPTED = 130  # what a shell tells of a command that Ctrl-C ended
LAST_WORDS = "stopped with work in hand; nothing is lost, it is begun again the next time"
LAST_WORDS_SECONDS = 1.0  # whoever reads our output may have stopped reading


def end_while_loading(arguments: Sequence[str]) -> None:
    """Let a signal end the process while its modules load: nothing has begun that would have to be finished.

    A worker ends with 0, any other command on Ctrl-C with 130, as the shell has it; neither with a traceback.
    """
    if WORKERS.intersection(arguments):
        for number in ASKED:
            signal.signal(number, lambda *_: os._exit(0))
    elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was started to ignore it
        signal.signal(signal.SIGINT, _end_interrupted)


def loaded() -> None:
    """Let Ctrl-C be heeded by the command from here on, which may have something to put away."""
    if signal.getsignal(signal.SIGINT) is _end_interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_interrupted(*_: object) -> None:
    os._exit(INTERRUPTED)


def stop_on_signals(*, within: float = CUT_AFTER_SECONDS) -> threading.Event:
    """Return the event that a signal sets. A process that still works `within` seconds later is cut off with 0.

    A thread hears of the signal through a pipe: the main thread may be inside a call that does not end.
    """
    stop = threading.Event()
    heard, told = socket.socketpair()
    told.setblocking(False)
    for number in ASKED:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def heed() -> None:
        with told:
            heard.recv(1)
            stop.set()
            time.sleep(within)
            threading.Timer(LAST_WORDS_SECONDS, os._exit, (0,)).start()
            sys.stderr.write(f"{LAST_WORDS}\n")
            sys.stderr.flush()
            os._exit(0)

    threading.Thread(target=heed, name="signals", daemon=True).start()
    return stop
