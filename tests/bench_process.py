"""What the benches that run Pantau as a process share: the sandbox beside it, and what a process has cost."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from installation import LEAK

from connectors.sandbox.crowd import Crowd, populate
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World

LATENCY = 0.05
QUIET_FOR = timedelta(days=10)  # longer than posts are looked at again


@dataclass(frozen=True)
class Cost:
    """What a process has cost: wall and processor seconds, and the most memory it held, in MB."""

    wall: float
    processor: float
    memory: float


def measured(command: list[str]) -> Cost:
    """Run a command to its end. It may keep its bytecode, as whatever is installed does."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(said.read().decode()[-4000:])
    return Cost(time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


@dataclass(frozen=True)
class Crowded:
    """A sandbox in a process of its own, with a crowd on it."""

    origin: str
    pipe: Connection

    def ask(self, what: str) -> Any:
        self.pipe.send(what)
        return self.pipe.recv()

    def requests(self) -> int:
        """Return how many requests came since the last look."""
        return int(self.ask("count"))

    def publish(self) -> int:
        """Let every account publish a leak; returns how many did."""
        return int(self.ask("publish"))

    def native_ids(self) -> list[str]:
        return list(self.ask("ids"))


@contextmanager
def crowded(platform: str, *, accounts: int, posts: int, latency: float = LATENCY) -> Iterator[Crowded]:
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, platform, accounts, posts, latency)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
    process.start()
    try:
        yield Crowded(ours.recv(), ours)
    finally:
        ours.send("stop")
        process.join(10)


def _serve(pipe: Connection, platform: str, accounts: int, posts: int, latency: float) -> None:
    world, until = World(), datetime.now(UTC) - QUIET_FOR
    world.latency = latency
    crowd = Crowd(platform=platform, accounts=accounts, posts=posts, until=until, span=timedelta(days=60))
    handles = populate(world, crowd)
    asked: dict[str, Callable[[], Any]] = {
        "count": lambda: _count(world, platform),
        "publish": lambda: len([_publish(world, platform, handle) for handle in handles]),
        "ids": lambda: [world.holder(platform, handle).native_id for handle in handles],  # type: ignore[union-attr]
    }
    with Sandbox(world) as sandbox:
        pipe.send(f"http://127.0.0.1:{sandbox.port}")
        while (what := pipe.recv()) != "stop":
            pipe.send(asked[what]())


def _count(world: World, platform: str) -> int:
    count = world.asked_in_all.pop(platform, 0)
    world.requests.clear()
    return count


def _publish(world: World, platform: str, handle: str) -> str:
    return world.publish(platform, handle, f"{LEAK}\n{handle}", at=datetime.now(UTC))
