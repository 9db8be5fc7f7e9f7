"""The demo: a real configuration in a folder of its own, a sandbox of the platforms, and the daemon between them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from connectors.sandbox.server import Sandbox
from connectors.sandbox.story import ACCOUNTS, AGENCIES, begin, scenes
from connectors.sandbox.world import World
from monitor.app.service import utc_now
from monitor.model import Account
from monitor.register import NEED_URL, write_accounts, write_agencies
from monitor.settings import FILE_NAME
from monitor.store.database import sole_process

TOKEN = "sandbox"  # noqa: S105 (the sandbox's own, known to everybody)


@contextmanager
def demo_folder(config: Path) -> Iterator[tuple[Path, Callable[[threading.Event, Callable[[str], None]], None]]]:
    """Start the sandbox and write a fresh demo configuration; yields its folder and a function that plays the story.

    Nothing of the real configuration is touched; its rules are copied. Raises DatabaseBusyError beside another demo.
    """
    folder = config.resolve() / "var" / "demo"
    with sole_process(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        world = World()
        begin(world, utc_now())
        with Sandbox(world) as sandbox:
            _write(folder, sandbox, rules=config / "rules")
            yield folder, lambda stop, say: _play(world, stop, say)


def _write(folder: Path, sandbox: Sandbox, *, rules: Path) -> None:
    register = folder / "register"
    register.mkdir()
    (register / "agencies.csv").write_bytes(write_agencies(AGENCIES))
    (register / "accounts.csv").write_bytes(write_accounts([_placed(one, sandbox) for one in ACCOUNTS]))
    shutil.copytree(rules, folder / "rules")
    (folder / FILE_NAME).write_text(
        f"""# Written by `pantau demo` at each start; changes here are lost.
[database]
url = "sqlite:///pantau.db"
[mail]
transport = "folder"
folder = "mail"
sender = "Pantau <pantau@demo.example.my>"
[digest]
recipients = ["keselamatan-ict@demo.example.my"]
[operators]
recipients = ["pentadbir@demo.example.my"]
[web]
listen = "127.0.0.1:0"
[polling]
min_interval = "2s"
max_interval = "5s"
recheck_waits = ["30s", "1m", "5m", "1h"]
recheck_confirm = "5s"
[network]
allow = ["127.0.0.1/32"]
[connectors.x]
bearer_token = "{TOKEN}"
base_url = "{sandbox.base_url("x")}"
[connectors.facebook]
access_token = "{TOKEN}"
base_url = "{sandbox.base_url("facebook")}"
[connectors.youtube]
api_key = "{TOKEN}"
base_url = "{sandbox.base_url("youtube")}"
daily_units = 100000
[connectors.linkedin]
access_token = "{TOKEN}"
base_url = "{sandbox.base_url("linkedin")}"
[connectors.tiktok]
access_token = "{TOKEN}"
base_url = "{sandbox.base_url("tiktok")}"
[connectors.threads]
access_token = "{TOKEN}"
base_url = "{sandbox.base_url("threads")}"
daily_calls = 1000000
[connectors.instagram]
access_token = "{TOKEN}"
base_url = "{sandbox.base_url("instagram")}"
[connectors.telegram]
base_url = "{sandbox.base_url("telegram")}"
[connectors.myspace]
base_url = "{sandbox.base_url("myspace")}"
[connectors.mastodon]
base_url = "{sandbox.base_url("mastodon")}"
[connectors.bluesky]
base_url = "{sandbox.base_url("bluesky")}"
[log]
level = "error"
""",
        encoding="utf-8",
    )


def _placed(one: Account, sandbox: Sandbox) -> Account:
    urls = {"rss": sandbox.feed_url, "web": sandbox.page_url}
    return replace(one, url=urls[one.platform](one.handle)) if one.platform in NEED_URL else one


def _play(world: World, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Let the accounts publish, scene by scene, until `stop`."""
    for scene in scenes():
        if stop.wait(scene.after.total_seconds()):
            return
        scene.act(world, utc_now())
        say(scene.caption)
