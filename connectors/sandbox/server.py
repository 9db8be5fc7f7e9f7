"""The sandbox's one web server: every platform's twin under its own prefix, on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.sandbox import (
    bluesky_twin,
    facebook_twin,
    instagram_twin,
    linkedin_twin,
    mastodon_twin,
    myspace_twin,
    rss_twin,
    telegram_twin,
    threads_twin,
    tiktok_twin,
    web_twin,
    x_twin,
    youtube_twin,
)
from connectors.sandbox.mistaken import mistaken
from connectors.sandbox.reply import Question, Reply
from connectors.sandbox.world import Fault, World

HOST = "127.0.0.1"
TWINS: Mapping[str, Callable[[World, Question], Reply]] = {
    "x": x_twin.answer,
    "facebook": facebook_twin.answer,
    "instagram": instagram_twin.answer,
    "threads": threads_twin.answer,
    "tiktok": tiktok_twin.answer,
    "linkedin": linkedin_twin.answer,
    "myspace": myspace_twin.answer,
    "rss": rss_twin.answer,
    "web": web_twin.answer,
    "youtube": youtube_twin.answer,
    "mastodon": mastodon_twin.answer,
    "telegram": telegram_twin.answer,
    "bluesky": bluesky_twin.answer,
    "bluesky-pds": bluesky_twin.answer_plain,  # the same world, as an account's own server shows it
}
START_SECONDS = 10.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends a reset instead of a goodbye


class Sandbox:
    """Shows a world on loopback. `port` 0 takes a free one, known after `start`."""

    def __init__(self, world: World, *, port: int = 0) -> None:
        self.world = world
        self.port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Serve. Raises OSError when the port is taken."""
        listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio sends small answers at once for TCP by name only
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
        except OSError:
            listener.close()
            raise
        listener.listen(512)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            _app(self.world, self._origin),
            http=_Wire,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        self._server = server
        self._thread = threading.Thread(target=_serve, args=(server, listener), name="sandbox", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            self._thread.join(timeout=START_SECONDS)
        self._server = self._thread = None

    @property
    def _origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def base_url(self, platform: str) -> str:
        """Return what a platform's `base_url` must be."""
        return f"{self._origin}/{platform}"

    def feed_url(self, handle: str) -> str:
        """Return what the url of an `rss` account must be."""
        return f"{self.base_url('rss')}/{handle}.xml"

    def page_url(self, handle: str) -> str:
        """Return what the url of a `web` account must be: a page that lists its articles."""
        return f"{self.base_url('web')}/{handle}/berita"


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # faults are made on purpose here
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()


class _Wire(H11Protocol):
    """uvicorn's protocol, which lets a request find its own connection, to break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _app(world: World, origin: str) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.api_route("/{platform}/{path:path}", methods=["GET", "POST"])
    async def serve(platform: str, path: str, request: Request) -> Response:
        if platform not in TWINS:
            return Response(status_code=404)
        fault = world.asked(platform, f"/{path}", request.url.query)
        if wait := world.latency + (fault.hang if fault is not None else 0):
            await asyncio.sleep(wait)
        if fault is not None and (fault.reset or fault.raw):
            return _Broken(b"", raw=fault.raw)
        reply = _faulty(fault) if fault is not None and fault.status else None
        if reply is None:
            question = await _question(request, platform, path, world, origin)
            if fault is not None and fault.mistaken:
                question = mistaken(world, platform, question)
            reply = world.spoil(platform, TWINS[platform](world, question))
        headers = {**reply.headers, **(fault.headers if fault is not None else {})}
        if fault is not None and fault.cut:
            return _Broken(reply.body, status_code=reply.status, headers=headers)
        return Response(reply.body, status_code=reply.status, headers=headers)

    return app


def _faulty(fault: Fault) -> Reply:
    kind = "application/json" if fault.body[:1] in {b"{", b"["} else "text/html; charset=utf-8"
    return Reply(status=fault.status, body=fault.body, headers={"content-type": kind})


async def _question(request: Request, platform: str, path: str, world: World, origin: str) -> Question:
    return Question(
        path=f"/{path}",
        query=dict(request.query_params),
        every={key: request.query_params.getlist(key) for key in request.query_params},
        headers=dict(request.headers),
        base_url=f"{origin}/{platform}",
        now=world.clock(),
        method=request.method,
        body=await request.body() if request.method == "POST" else b"",
    )


class _Broken(Response):
    """An answer whose connection breaks: after half of the body, or at once when there is none, or after raw bytes."""

    def __init__(self, body: bytes, *, raw: bytes = b"", **more: Any) -> None:
        super().__init__(body, **more)
        self._raw = raw

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        if self.body:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            half = bytes(self.body)[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            transport.close()  # sends what is written, then ends
        elif self._raw:
            transport.write(self._raw)
            transport.close()
        else:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
