"""Runs the console in a thread of its own, on a socket that is bound before anything else starts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from monitor.settings import Web

START_SECONDS = 10.0


class ListenError(Exception):
    """The address of the console cannot be taken. The message says what to do."""


def bind(web: Web) -> socket.socket:
    """Take the address of the console. Raises ListenError."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((web.host, web.port))
        taken.listen(64)
    except (OSError, OverflowError) as error:
        taken.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ListenError(f"web.listen: {web.listen}: cannot be taken ({reason}); choose another port") from None
    return taken


@contextmanager
def serving(app: FastAPI, taken: socket.socket) -> Iterator[str]:
    """Serve until the end of the block; yields the address as a person opens it."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, name="console", daemon=True)
    thread.start()
    host, port = taken.getsockname()[:2]
    try:
        yield f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    finally:
        server.should_exit = True
        thread.join(timeout=START_SECONDS)
