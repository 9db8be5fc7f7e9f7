"""A server that answers from a script: what the sandbox's twins would never say, recorded shapes, broken bodies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`pause` seconds pass before each byte of `drip`, which follows the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: bytes = b""
    pause: float = 0


Script = Callable[[Asked], Answer]


class Replay:
    """Serves one script on loopback and remembers what was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are written apart: a body would wait 40 ms for the head

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def do_GET(self) -> None:
                self._serve(b"")

            def _serve(self, body: bytes) -> None:
                parts = urlsplit(self.path)
                query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(path=parts.path, query=query, headers=headers, method=self.command, body=body)
                replay.asked.append(asked)
                self._write(replay.script(asked))

            def _write(self, answer: Answer) -> None:
                length = len(answer.body) + len(answer.drip)
                headers = {"Content-Length": str(length), **answer.headers}
                self.send_response(answer.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(answer.body)
                    for byte in answer.drip:
                        time.sleep(answer.pause)
                        self.wfile.write(bytes([byte]))
                except OSError:  # the reader has left, as it should
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def as_json(content: Any, *, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status=status, body=json.dumps(content).encode(), headers=kind | named)


def recorded(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def by_path(routes: Mapping[str, Any], *, otherwise: Answer | None = None) -> Script:
    """Return a script that answers by the end of the path; a list is answered page by page, its last for ever."""
    left = {path: list(pages) if isinstance(pages, list) else [pages] for path, pages in routes.items()}

    def script(asked: Asked) -> Answer:
        for path, pages in left.items():
            if asked.path.endswith(path):
                return _answer(_next(pages), asked)
        return otherwise or Answer(status=404, body=b"not found")

    return script


def _next(pages: list[Any]) -> Any:
    return pages.pop(0) if len(pages) > 1 else pages[0]


def _answer(page: Any, asked: Asked) -> Answer:
    if callable(page):
        page = page(asked)
    return page if isinstance(page, Answer) else as_json(page)


def texts(posts: Sequence[Any]) -> list[str]:
    return [post.text for post in posts]
