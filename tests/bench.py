"""`make bench`: how long one whole pass over 1,000 accounts takes, and what the other bench_*.py measure.

The floor of a pass is a bare `requests` loop that asks the same server the same number of questions and throws the
answers away.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import bench_backtest
import bench_delay
import bench_latency
import bench_mail
import bench_media
import bench_reading
import bench_rules
import bench_year
import requests
from installation import AGENCY, Installation

from connectors.sandbox.server import Sandbox
from connectors.sandbox.story import BREACHES, ORDINARY
from connectors.sandbox.world import World

POSTS_EACH = 10
SHARES = (("x", 450), ("facebook", 400), ("rss", 130), ("myspace", 20))
SETTINGS = """[database]
url = "sqlite:///pantau.db"
[mail]
folder = "mail"
[network]
allow = ["127.0.0.1/32"]
[connectors.x]
bearer_token = "sandbox"
base_url = "{origin}/x"
[connectors.facebook]
access_token = "sandbox"
base_url = "{origin}/facebook"
[connectors.myspace]
base_url = "{origin}/myspace"
"""


def accounts(origin: str) -> list[tuple[str, str, str, str]]:
    return [
        (AGENCY["code"], platform, f"akaun{number}", f"{origin}/rss/akaun{number}.xml" if platform == "rss" else "")
        for platform, share in SHARES
        for number in range(share)
    ]


def published() -> World:
    """Open the accounts and let each publish; one post in a hundred breaks a rule."""
    world, now = World(), datetime.now(UTC)
    texts = itertools.cycle(ORDINARY["ms"])
    for number, (_, platform, handle, _) in enumerate(accounts("")):
        world.add_account(platform, handle, name=f"Akaun {handle}")
        for age in range(POSTS_EACH):
            leaks = (number * POSTS_EACH + age) % 100 == 0
            text = BREACHES[number % len(BREACHES)][0] if leaks else next(texts)
            world.publish(platform, handle, f"{text} #{number}", at=now - timedelta(hours=age, seconds=number))
    return world


def _serve(pipe: Connection) -> None:
    world = published()
    with Sandbox(world) as sandbox:
        pipe.send(f"http://127.0.0.1:{sandbox.port}")
        while pipe.recv() == "count":
            pipe.send(len(world.requests))
            world.requests.clear()


@contextmanager
def sandbox() -> Iterator[tuple[str, Callable[[], int]]]:
    """Run the sandbox as a process of its own; yields its origin, and a function that counts requests since last."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()

    def count() -> int:
        ours.send("count")
        return int(ours.recv())

    try:
        yield ours.recv(), count
    finally:
        ours.send("stop")
        process.join(10)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Run a command; returns wall seconds, processor seconds and the most memory it held, in MB."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(said.read().decode())
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def floor_of_a_pass(origin: str, questions: int) -> float:
    session = requests.Session()
    begin = time.monotonic()
    for number in range(questions):
        address = f"{origin}/facebook/v26.0/akaun{number % 400}/published_posts"
        session.get(address, params={"access_token": "sandbox", "limit": "100"}).raise_for_status()
    return time.monotonic() - begin


def bench_passes() -> None:
    with tempfile.TemporaryDirectory() as place, sandbox() as (origin, count):
        here = Installation(Path(place), SETTINGS.format(origin=origin), accounts(origin)).write()
        once = [sys.executable, "-m", "monitor", "--config", str(here.folder), "once"]
        for name in ("first pass", "second pass"):
            count()
            wall, processor, memory = measured(once)
            questions = count()
            floor = floor_of_a_pass(origin, questions)
            print(
                f"{name:<12} {len(here.accounts)} accounts, {questions} requests: {wall:.1f} s wall, {processor:.1f} s"
                f" processor, {memory:.0f} MB; bare requests {floor:.1f} s; ratio {wall / floor:.1f}"
            )
        stored, mails = here.query("select count(*) from post")[0][0], len(here.mails)
        print(f"{'':<12} {stored} posts stored, {mails} mails")


if __name__ == "__main__":
    bench_passes()
    bench_reading.main()
    bench_latency.main()
    bench_delay.main()
    bench_rules.main()
    bench_media.main()
    bench_backtest.main()
    bench_year.main()
    bench_mail.main()
