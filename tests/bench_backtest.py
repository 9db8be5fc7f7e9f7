"""`make bench`: a back-test of 1,000,000 posts, under one changed rule and under all."""

from __future__ import annotations

import random
import resource
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from builders import agency
from sqlalchemy import insert

from connectors.sandbox.story import BREACHES, ORDINARY
from monitor import backtest
from monitor.model import Account
from monitor.store.archive import stretch_of
from monitor.store.database import Database, open_database
from monitor.store.register import save_register
from monitor.store.tables import post, post_version

RULES = Path(__file__).parent.parent / "config" / "rules"
CHANGED = "mampu-2009/3c/classification-marking"
POSTS = 1_000_000
LENGTH = 110
BLOCK = 20_000
NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


def fill(db: Database, posts: int) -> None:
    """Store posts of about 110 characters; one in a hundred breaks a rule."""
    accounts = [Account(agency="JPD", platform="x", handle=f"akaun{n}") for n in range(100)]
    save_register(db, [agency()], accounts, now=NOW)
    chance = random.Random(2009)
    words = " ".join((*ORDINARY["ms"], *ORDINARY["en"])).split()
    for first in range(1, posts + 1, BLOCK):
        numbers = range(first, min(first + BLOCK, posts + 1))
        with db.write() as connection:
            connection.execute(insert(post), [_post(number) for number in numbers])
            connection.execute(insert(post_version), [_version(number, _text(chance, words)) for number in numbers])


def _text(chance: random.Random, words: list[str]) -> str:
    if chance.random() < 0.01:
        return chance.choice(BREACHES)[0]
    text = " ".join(chance.choices(words, k=20))
    return text[:LENGTH]


def _post(number: int) -> dict[str, object]:
    return {
        "id": number,
        "account_id": number % 100 + 1,
        "native_id": str(number),
        "url": f"https://x.com/i/status/{number}",
        "published_at": NOW - timedelta(seconds=30 * number),
        "kind": "original",
        "first_seen_at": NOW,
        "back_catalogue": False,
        "content_hash": str(number),
        "versions": 1,
    }


def _version(number: int, text: str) -> dict[str, object]:
    facts = {"id": number, "post_id": number, "number": 1, "seen_at": NOW, "text": text, "language": "ms"}
    return facts | {"links": [], "content_hash": str(number), "raw": {"id": str(number), "text": text}}


def changed_rules(folder: Path) -> Path:
    """Copy the rules, and change one of them."""
    shutil.copytree(RULES, folder)
    file = folder / f"{CHANGED}.yaml"
    text = file.read_text(encoding="utf-8")
    assert "severity: high" in text
    file.write_text(text.replace("severity: high", "severity: medium"), encoding="utf-8")
    return folder


def measure(db: Database, after: Path, before: Path | None, name: str) -> None:
    begin, worked = time.monotonic(), _processor_seconds()
    task = backtest.task_of(db, after, before, today=NOW.date())
    stretch = stretch_of(db, since=None, limit=None)
    assert stretch is not None
    checkpoint = backtest.Checkpoint(stretch=stretch)
    for _ in backtest.run(db, task, checkpoint):
        pass
    seconds, worked = time.monotonic() - begin, _processor_seconds() - worked
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
    outcome = checkpoint.outcome
    fired = sum(change.after for change in outcome.rules.values())
    print(
        f"{name:<12} {outcome.posts:,} posts, {len(task.differing)} rules: {seconds:.1f} s ({worked:.1f} s of processors), {fired:,} hits;"
        f" at most {memory} MB in a process"
    )


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(posts: int = POSTS) -> None:
    with tempfile.TemporaryDirectory() as place:
        db = open_database(f"sqlite:///{place}/pantau.db")
        fill(db, posts)
        measure(db, changed_rules(Path(place) / "rules"), RULES, "one rule")
        measure(db, RULES, None, "all rules")
        db.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else POSTS)
