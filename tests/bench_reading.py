"""`python tests/bench_reading.py [part …] [--accounts N] [--posts N] [--feeds N]`: how fast accounts are read.

Parts, each with the figure that is wanted: `x` and `facebook` (a whole pass over 10,000 accounts with nothing new),
`stored` (that pass beside a million stored posts), `twarc` (1,000 timelines, against twarc2), `rss` (2,000 feeds with
one new, mailed entry each, against rss2email and urlwatch, and what a SIGKILL in the middle does to each). The sandbox
is a process of its own and takes 50 ms for each answer; every pass is `pantau once`, from its start to its end.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bench_rivals as rivals
from bench_mail import journal
from bench_process import Cost, Crowded, crowded, load, measured
from installation import AGENCY, Installation
from mail_sink import Sink, sink
from postoffice import PASSWORD, missing, needs_root

SETTINGS = """[database]
url = "sqlite:///pantau.db"
[mail]
sender = "Pantau <pantau@pantau.example.my>"
{mail}
[canary]
enabled = false
[network]
allow = ["127.0.0.1/32"]
[log]
level = "warning"
[connectors.x]
bearer_token = "sandbox"
base_url = "{origin}/x"
[connectors.facebook]
access_token = "sandbox"
base_url = "{origin}/facebook"
"""
TO_FOLDER = 'folder = "mail"'
TO_SINK = """transport = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
group_interval = "1s\""""
IN_MAILBOX = """
[mailbox]
host = "127.0.0.1"
port = {box.port}
security = "none"
username = "{box.username}"
password = "{password}"
journal = "{box.journal}\""""
WANTED_SECONDS = {"x": 60, "facebook": 30}
WANTED_CALLS = {"x": 1.0, "facebook": 0.03}
WANTED_MEMORY_MB = 250
WANTED_GROWTH = 1.1
WANTED_AGAINST_TWARC = 10
WANTED_AGAINST_RSS2EMAIL = 5
TIMELINES, KILLED_FEEDS = 1000, 200
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Sizes:
    accounts: int = 10_000
    posts: int = 1_000_000
    feeds: int = 2_000


@contextmanager
def installed(
    platform: str, count: int, origin: str, *, mail: str = TO_FOLDER, agencies: int = 1
) -> Iterator[Installation]:
    """Write an installation with so many accounts, in turn of so many agencies."""
    codes = [f"A{number}" for number in range(agencies)]
    heads = [{**AGENCY, "code": code, "head_email": f"ketua@{code.lower()}.example.my"} for code in codes]
    handles = [f"akaun{number}" for number in range(count)]
    urls = [f"{origin}/rss/{handle}.xml" if platform == "rss" else "" for handle in handles]
    owned = [(codes[n % agencies], platform, handle, urls[n]) for n, handle in enumerate(handles)]
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder:
        yield Installation(Path(folder), SETTINGS.format(origin=origin, mail=mail), owned, heads).write()


def once(here: Installation) -> list[str]:
    return [sys.executable, "-m", "monitor", "--config", str(here.folder), "once"]


def verdict(measured_value: float, most: float) -> str:
    return f"wanted {most:g}" if measured_value <= most else f"WANTED {most:g}"


# ---------------------------------------------------------------- nothing new


def bench_nothing_new(platform: str, sizes: Sizes) -> None:
    count = sizes.accounts
    with crowded(platform, accounts=count, posts=2 * count) as world, installed(platform, count, world.origin) as here:
        first, first_calls = measured(once(here)), world.requests()
        cost, calls = measured(once(here)), world.requests() / count
    print(
        f"{platform:<12} {count} accounts, nothing new: {cost.wall:.1f} s ({verdict(cost.wall, WANTED_SECONDS[platform])}),"
        f" {calls:.3f} calls each ({verdict(calls, WANTED_CALLS[platform])}), {cost.processor:.1f} s processor,"
        f" {max(cost.memory, first.memory):.0f} MB ({verdict(max(cost.memory, first.memory), WANTED_MEMORY_MB)});"
        f" first pass {first.wall:.0f} s, {first_calls} calls; {load()}"
    )


# ---------------------------------------------------------------- a million stored posts


def bench_stored(sizes: Sizes) -> None:
    """Compare passes of the same accounts, in turn, beside few posts and beside many."""
    count = max(10, sizes.accounts // 5)
    with crowded("x", accounts=count, posts=count) as world, installed("x", count, world.origin) as few:
        measured(once(few))
        many = Installation(
            Path(shutil.copytree(few.folder, f"{few.folder}-many")), few.toml, few.accounts, few.agencies
        )
        try:
            add_old_posts(few.database, sizes.posts // 100)
            add_old_posts(many.database, sizes.posts)
            costs = [(measured(once(few)), measured(once(many))) for _ in range(3)]
        finally:
            shutil.rmtree(many.folder)
    ratio = min(b.wall for _, b in costs) / min(a.wall for a, _ in costs)
    busy = min(b.processor for _, b in costs) / min(a.processor for a, _ in costs)
    print(
        f"stored       {count} X accounts, {sizes.posts} stored posts: {ratio:.2f} times the pass beside {sizes.posts // 100}"
        f" ({verdict(ratio, WANTED_GROWTH)}), processor {busy:.2f} times, {costs[0][1].memory:.0f} MB; {load()}"
    )


def add_old_posts(database: Path, count: int) -> None:
    """Write posts of the last ten years into a database, as a first pass long ago would have left them."""
    with closing(sqlite3.connect(database)) as raw, raw:
        raw.execute("PRAGMA synchronous=OFF")
        holders = [row[0] for row in raw.execute("SELECT id FROM account ORDER BY id")]
        rule_set = raw.execute("SELECT max(rule_set) FROM evaluation").fetchone()[0] or "none"
        last = max(
            raw.execute("SELECT coalesce(max(id), 0) FROM post").fetchone()[0],
            raw.execute("SELECT coalesce(max(id), 0) FROM post_version").fetchone()[0],
        )
        for begin in range(0, count, ROWS_AT_ONCE):
            numbers = range(begin, min(count, begin + ROWS_AT_ONCE))
            rows = [_old_post(last + 1 + number, holders[number % len(holders)], number) for number in numbers]
            raw.executemany(OLD_POST, rows)
            raw.executemany(OLD_VERSION, rows)
            raw.executemany(OLD_EVALUATION, [{**row, "rule_set": rule_set} for row in rows])


def _old_post(number: int, holder: int, place: int) -> dict[str, object]:
    at = (datetime.now(UTC) - timedelta(days=30, minutes=5 * place % 5_000_000)).strftime("%Y-%m-%d %H:%M:%S.000000")
    text = f"Kaunter perkhidmatan dibuka seperti biasa, 8.00 pagi hingga 5.00 petang. (Bil. {number})"
    raw = f'{{"id": "{number}", "text": "{text}", "created_at": "{at}", "edit_history_tweet_ids": ["{number}"], "lang": "in"}}'
    hashed = f"{number:064x}"
    return {"id": number, "holder": holder, "at": at, "text": text, "raw": raw, "hash": hashed, "key": f"{number:032x}"}


OLD_POST = """INSERT INTO post (id, account_id, native_id, url, published_at, kind, first_seen_at, back_catalogue, content_hash,
 versions) VALUES (:id, :holder, 'lama' || :id, 'https://x.com/i/status/' || :id, :at, 'original', :at, 0, :hash, 1)"""
OLD_VERSION = """INSERT INTO post_version (id, post_id, number, seen_at, text, language, links, content_hash, raw, text_key)
 VALUES (:id, :id, 1, :at, :text, 'in', '[]', :hash, :raw, :key)"""
OLD_EVALUATION = """INSERT INTO evaluation (post_version_id, field, rule_set, evaluated_at, error)
 VALUES (:id, 'text', :rule_set, :at, '')"""


# ---------------------------------------------------------------- against twarc


def bench_twarc(sizes: Sizes) -> None:
    count = min(TIMELINES, sizes.accounts)
    with crowded("x", accounts=count, posts=3 * count) as world, installed("x", count, world.origin) as here:
        first, next_pass = measured(once(here)), measured(once(here))
        told = f"first pass {first.wall:.1f} s, next {next_pass.wall:.1f} s"
        if reason := rivals.missing("twarc2"):
            print(f"twarc        {count} X accounts: {told}; twarc skipped: {reason}")
            return
        world.requests()
        theirs = measured(rivals.twarc(f"{world.origin}/x", world.native_ids(), here.folder))
        calls = world.requests() / count
    times = theirs.wall / next_pass.wall
    print(
        f"twarc        {count} X accounts: {told}; twarc2 timelines {theirs.wall:.1f} s, {calls:.2f} calls each:"
        f" {times:.1f} times (wanted {WANTED_AGAINST_TWARC}), of the first pass {theirs.wall / first.wall:.1f} times; {load()}"
    )


# ---------------------------------------------------------------- feeds


def bench_rss(sizes: Sizes) -> None:
    ours = feeds_by_us(sizes.feeds)
    print(
        f"rss          {sizes.feeds} feeds, one new entry each, mailed: {ours.wall:.1f} s, {ours.processor:.1f} s processor"
    )
    for name, wanted, sends in (("rss2email", WANTED_AGAINST_RSS2EMAIL, "r2e"), ("urlwatch", 1, "urlwatch")):
        if reason := rivals.missing(sends):
            print(f"             {name} skipped: {reason}")
            continue
        theirs = feeds_by(name, sizes.feeds)
        print(
            f"             {name} {theirs.wall:.1f} s: {theirs.wall / ours.wall:.1f} times (wanted {wanted}); {load()}"
        )
    kills(min(KILLED_FEEDS, sizes.feeds))


@contextmanager
def feeds(count: int, *, maildir: Path | None = None) -> Iterator[tuple[Crowded, Sink, Path]]:
    with (
        tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder,
        crowded("rss", accounts=count, posts=3 * count) as world,
        sink(Path(folder) / "log", maildir=maildir) as box,
    ):
        yield world, box, Path(folder)


def feeds_by_us(count: int) -> Cost:
    with feeds(count) as (world, box, _):
        mail = TO_SINK.format(port=box.port)
        with installed("rss", count, world.origin, mail=mail, agencies=count) as here:
            measured(once(here))
            world.publish()
            cost = measured(once(here))
        assert box.count() == count, f"{box.count()} of {count} mails"
        return cost


def addresses(world: Crowded, count: int) -> list[str]:
    return [f"{world.origin}/rss/akaun{number}.xml" for number in range(count)]


PROGRAMS: dict[str, Callable[[Sequence[str], int, Path], list[str]]] = {
    "rss2email": rivals.rss2email,
    "urlwatch": rivals.urlwatch,
}


def feeds_by(name: str, count: int) -> Cost:
    with feeds(count) as (world, box, folder):
        command = PROGRAMS[name](addresses(world, count), box.port, folder)
        measured([*command, "--no-send"] if name == "rss2email" else command)
        world.publish()
        cost = measured(command)
        assert box.count() >= (count if name == "rss2email" else 1), f"{box.count()} mails"
        return cost


def kills(count: int) -> None:
    """Kill each in the middle of its mails, start it again, and count what came of the entries.

    With a journal of what the server took, as the README advises, a mail whose answer the kill has lost is found there.
    """
    journalled = not (needs_root() or missing())
    with journal(journalled) as (box, maildir), feeds(count, maildir=maildir) as (world, to, _):
        mail = TO_SINK.format(port=to.port) + (IN_MAILBOX.format(box=box, password=PASSWORD) if box else "")
        with installed("rss", count, world.origin, mail=mail, agencies=count) as here:
            measured(once(here))
            world.publish()
            for share in (0.25, 0.5, 0.75):
                killed_at(once(here), to, int(count * share))
            measured(once(here))
        times = to.times()
        doubled = sum(1 for one in times.values() if one > 1)
        print(
            f"             {count} feeds, killed at 1/4, 1/2, 3/4 of the mails: {count - len(times)} lost, {doubled} doubled"
            f" (wanted 0, 0), journal {'on' if journalled else 'off: an answer lost by a kill is a mail sent again'}"
        )
    if not rivals.missing("r2e"):
        with feeds(count) as (world, box, folder):
            command = rivals.rss2email(addresses(world, count), box.port, folder)
            measured([*command, "--no-send"])
            world.publish()
            killed_at(command, box, count // 2)
            measured(command)
            extra = box.count() - count
            print(f"             rss2email, killed at 1/2 of the mails: {max(0, -extra)} lost, {max(0, extra)} doubled")


def killed_at(command: list[str], box: Sink, mails: int) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while box.count() < mails and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)


PARTS: dict[str, Callable[[Sizes], None]] = {
    "x": lambda sizes: bench_nothing_new("x", sizes),
    "facebook": lambda sizes: bench_nothing_new("facebook", sizes),
    "stored": bench_stored,
    "twarc": bench_twarc,
    "rss": bench_rss,
}


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    for name in ("accounts", "posts", "feeds"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Sizes, name))
    given = parser.parse_args(arguments)
    sizes = Sizes(accounts=given.accounts, posts=given.posts, feeds=given.feeds)
    for name in given.parts or PARTS:
        PARTS[name](sizes)


if __name__ == "__main__":
    main(*sys.argv[1:])
