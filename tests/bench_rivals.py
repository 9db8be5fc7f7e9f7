"""Other programs that read feeds and timelines, run as they are: rss2email, urlwatch, twarc.

They stand in a virtual environment of their own, `make rivals`; the project needs none of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

RIVALS = Path(os.environ.get("BENCH_RIVALS", ".venv/rivals"))
# twarc hard-codes X's host: the one thing that is changed about it is where its requests go.
TWARC_HERE = """
import sys, requests
origin = sys.argv.pop(1)
before = requests.Session.request
def request(self, method, url, *args, **options):
    return before(self, method, url.replace("https://api.twitter.com", origin), *args, **options)
requests.Session.request = request
from twarc.command2 import twarc2
twarc2()
"""


def missing(program: str) -> str:
    """Return why a program cannot be compared with; empty when it can."""
    return "" if (RIVALS / "bin" / program).exists() else f"{program} is not in {RIVALS}; `make rivals` installs it"


def twarc(origin: str, ids: Sequence[str], folder: Path) -> list[str]:
    """Return the command that reads the timelines of these accounts."""
    (folder / "ids.txt").write_text("\n".join(ids) + "\n")
    script = folder / "twarc_here.py"
    script.write_text(TWARC_HERE)
    options = ["--bearer-token", "sandbox", "--app-auth", "--config", str(folder / "twarc.conf"), "--log", os.devnull]
    files = [str(folder / "ids.txt"), str(folder / "timelines.jsonl")]
    return [str(RIVALS / "bin/python"), str(script), origin, *options, "timelines", "--hide-progress", *files]


def rss2email(feeds: Sequence[str], port: int, folder: Path) -> list[str]:
    """Return the command for one run, without `--no-send` or with."""
    mail = {
        "to": "ketua@jpd.example.my",
        "from": "r2e@pantau.example.my",
        "email-protocol": "smtp",
        "smtp-server": "127.0.0.1",
        "smtp-port": str(port),
        "smtp-ssl": "False",
        "smtp-auth": "False",
        "verbose": "error",
    }
    lines = ["[DEFAULT]", *(f"{key} = {value}" for key, value in mail.items())]
    for number, feed in enumerate(feeds):
        lines += [f"[feed.f{number}]", f"url = {feed}"]
    (folder / "r2e.cfg").write_text("\n".join(lines) + "\n")
    files = ["-c", str(folder / "r2e.cfg"), "-d", str(folder / "r2e.json")]
    return [str(RIVALS / "bin/python"), str(RIVALS / "bin/r2e"), *files, "run"]


def urlwatch(feeds: Sequence[str], port: int, folder: Path) -> list[str]:
    (folder / "urls.yaml").write_text("\n---\n".join(f"url: {feed}" for feed in feeds) + "\n")
    (folder / "urlwatch.yaml").write_text(
        f"""display: {{new: false, error: true, unchanged: false}}
report:
  text: {{details: true, footer: true, line_length: 75, minimal: false}}
  stdout: {{enabled: false}}
  email:
    enabled: true
    from: urlwatch@pantau.example.my
    to: ketua@jpd.example.my
    subject: changes
    method: smtp
    smtp: {{host: 127.0.0.1, port: {port}, starttls: false, auth: false}}
"""
    )
    files = {"--urls": "urls.yaml", "--config": "urlwatch.yaml", "--cache": "cache.db", "--hooks": "hooks.py"}
    options = [part for key, name in files.items() for part in (key, str(folder / name))]
    return [str(RIVALS / "bin/python"), str(RIVALS / "bin/urlwatch"), *options]
