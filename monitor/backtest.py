"""The back-test at work: which rules differ, the archive in pieces on every processor, and where to go on.

Only reads the database, and so runs beside a daemon. It opens no alert and plans no mail.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED as FIRST
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path

from monitor.rules.backtest import Comparison, Outcome, between, from_json, replay, to_json, with_stored
from monitor.rules.load import load_rules
from monitor.rules.opinion import Opinion
from monitor.rules.rule import OpinionUse, Rule, RuleSet
from monitor.rules.source import read_source
from monitor.store.archive import Archive, Stretch
from monitor.store.database import Database

PIECE = 4000  # posts that one process reads and judges at a time; what an interruption loses at most
ALONE = 5 * PIECE  # fewer posts than this are not worth starting processes for
MOST_PROCESSES = 8
HARMLESS_KEYS = ("version", "title", "disclosure", "tests")  # change nothing of what a rule finds
Progress = Callable[[int, int], None]


class RulesChangedError(Exception):
    """The rule files were changed while the back-test began. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is compared, in a form that another process can take: it loads the rules itself.

    Without `before`, before is what the archive holds.
    """

    url: str
    after: Path
    after_hash: str
    before: Path | None
    before_hash: str
    differing: tuple[str, ...]
    today: date

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.url}\0{self.before_hash}\0{self.after_hash}".encode()).hexdigest()


def task_of(db: Database, after: Path, before: Path | None, *, today: date) -> tuple[Task, RuleSet, RuleSet | None]:
    """Load the rules of both sides and say which differ. Raises ConfigurationError."""
    later = load_rules(after, today=today)
    earlier = load_rules(before, today=today) if before is not None else None
    if earlier is not None:
        differing = differing_rules(earlier, later)
    else:
        differing = [rule.id for rule in later.rules if rule.active]
    task = Task(
        url=db.url.render_as_string(hide_password=False),
        after=after,
        after_hash=later.hash,
        before=before,
        before_hash=earlier.hash if earlier is not None else "stored",
        differing=tuple(differing),
        today=today,
    )
    return task, later, earlier


def differing_rules(before: RuleSet, after: RuleSet) -> list[str]:
    """Return the rules that may find something else on the other side, or are on one side alone."""
    lists: dict[Path, Sequence[str]] = {}
    sides = [{rule.id: _digest(Path(rule.file), lists) for rule in rules.rules} for rules in (before, after)]
    names = sides[0].keys() | sides[1].keys()
    asking = [rule for rule in after.rules if rule.opinion is not OpinionUse.IGNORED]
    weighed = {rule.id for rule in asking if _opinion(rule, before) != _opinion(rule, after)}
    return sorted(name for name in names if sides[0].get(name) != sides[1].get(name) or name in weighed)


def _opinion(rule: Rule, rules: RuleSet) -> Opinion | None:
    return rules.opinions.get(rule.clause.instrument)


def _digest(file: Path, lists: dict[Path, Sequence[str]]) -> str:
    """Return what changes with whatever decides what a rule finds: its file and the lists that it names."""
    source = read_source(file, lists)
    telling = {key: value for key, value in source.data.items() if key not in HARMLESS_KEYS}
    return hashlib.sha256(json.dumps([telling, source.lists], sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- one process's work


class Worker:
    """Judges stretches of the archive; one in each process."""

    def __init__(self, task: Task, db: Database) -> None:
        self._archive = Archive(db)
        self._comparison = _comparison(task)

    def outcome(self, stretch: Stretch) -> Outcome:
        return replay(self._archive.posts(stretch), self._comparison)


def _comparison(task: Task) -> Comparison:
    after = load_rules(task.after, today=task.today, proven=True)
    if task.before is None:
        loaded, comparison = [(after, task.after_hash)], with_stored(after)
    else:
        before = load_rules(task.before, today=task.today, proven=True)
        loaded = [(after, task.after_hash), (before, task.before_hash)]
        comparison = between(before, after, task.differing)
    if any(rules.hash != expected for rules, expected in loaded):
        raise RulesChangedError("the rule files were changed while the back-test began; start it again")
    return comparison


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches all; the first process decides


@cache
def _worker(task: Task) -> Worker:
    return Worker(task, Database(task.url, read_only=True))


def _piece(task: Task, stretch: Stretch) -> Outcome:
    return _worker(task).outcome(stretch)


# ---------------------------------------------------------------- all of it


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """How far a back-test came. `done` are the first ids of the pieces that `outcome` holds."""

    stretch: Stretch
    done: set[int] = field(default_factory=set)
    outcome: Outcome = field(default_factory=Outcome)


class CheckpointFile:
    """Keeps a checkpoint, so that a back-test goes on where it was interrupted; no post's text gets into it."""

    def __init__(self, folder: Path, task: Task, *, since: datetime | None, limit: int | None) -> None:
        key = hashlib.sha256(f"{task.key}\0{since}\0{limit}\0{PIECE}".encode()).hexdigest()
        self.path = folder / f"backtest-{key[:24]}.json"

    def load(self) -> Checkpoint | None:
        """Return what an earlier run left; None when there is nothing, or nothing that can be read."""
        try:
            data = json.loads(self.path.read_bytes())
            since = data["since"] and datetime.fromisoformat(data["since"])
            stretch = Stretch(first=int(data["first"]), last=int(data["last"]), since=since)
            return Checkpoint(stretch=stretch, done=set(data["done"]), outcome=from_json(data["outcome"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it whole or not at all. Without room or rights there is none, and the back-test still ends well."""
        stretch = checkpoint.stretch
        data = {
            "first": stretch.first,
            "last": stretch.last,
            "since": stretch.since.isoformat() if stretch.since else None,
            "done": sorted(checkpoint.done),
            "outcome": to_json(checkpoint.outcome),
        }
        fresh = self.path.with_suffix(".new")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(data), encoding="utf-8")
            fresh.replace(self.path)

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def pieces_of(stretch: Stretch) -> list[Stretch]:
    return [
        Stretch(first=first, last=min(first + PIECE - 1, stretch.last), since=stretch.since)
        for first in range(stretch.first, stretch.last + 1, PIECE)
    ]


def run(
    db: Database, task: Task, checkpoint: Checkpoint, *, processes: int | None = None, progress: Progress | None = None
) -> Iterator[Checkpoint]:
    """Judge what is not done yet, and yield the checkpoint after every piece; the last one is the whole outcome."""
    pieces = pieces_of(checkpoint.stretch)
    todo = [piece for piece in pieces if piece.first not in checkpoint.done]
    if progress is not None:
        progress(len(pieces) - len(todo), len(pieces))
    for piece, outcome in _outcomes(db, task, todo, processes or _processes(len(todo))):
        checkpoint.outcome.add(outcome)
        checkpoint.done.add(piece.first)
        if progress is not None:
            progress(len(checkpoint.done), len(pieces))
        yield checkpoint


def _processes(pieces: int) -> int:
    if pieces * PIECE <= ALONE:
        return 1
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def _outcomes(db: Database, task: Task, todo: Sequence[Stretch], processes: int) -> Iterator[tuple[Stretch, Outcome]]:
    if processes == 1 or not todo:
        worker = Worker(task, db) if todo else None
        for piece in todo:
            assert worker is not None
            yield piece, worker.outcome(piece)
        return
    with _pool(processes) as pool:
        yield from _in_pool(pool, task, todo, ahead=2 * processes)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes that share nothing with this one: a forked database connection would be a broken one."""
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=fresh, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_pool(
    pool: ProcessPoolExecutor, task: Task, todo: Iterable[Stretch], *, ahead: int
) -> Iterator[tuple[Stretch, Outcome]]:
    """Yield the outcomes as they come; only `ahead` pieces are under way, so that an end is near at any time."""
    waiting = iter(todo)
    under_way: dict[Future[Outcome], Stretch] = {}
    while True:
        while len(under_way) < ahead and (piece := next(waiting, None)) is not None:
            under_way[pool.submit(_piece, task, piece)] = piece
        if not under_way:
            return
        for future in wait(under_way, return_when=FIRST).done:
            yield under_way.pop(future), future.result()
