"""The back-test at work: which rules differ, the archive in pieces on every processor, and where to go on.

Only reads the database, and so runs beside a daemon. It opens no alert and plans no mail.
"""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED as FIRST
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from itertools import islice
from pathlib import Path

from monitor.rules.backtest import Comparison, Outcome, between, from_json, replay, to_json, with_stored
from monitor.rules.load import INSTRUMENT_FILE, LISTS_FOLDER, load_rules
from monitor.rules.opinion import Opinion
from monitor.rules.rule import OpinionUse, Rule, RuleSet
from monitor.rules.source import instrument_folder, read_source
from monitor.store.archive import Archive, Stretch
from monitor.store.database import Database

PIECE = 4000  # posts that one process reads and judges at a time; an interruption loses those under way
ALONE = 5 * PIECE  # fewer posts than this are not worth starting processes for
MOST_PROCESSES = 8
SELDOM = 500_000  # new objects: a piece is gone by itself, and garbage is looked for between pieces rather than in them
HARMLESS_KEYS = ("version", "title", "disclosure", "tests")  # change nothing of what a rule finds
Progress = Callable[[int, int], None]
Bar = Callable[[], AbstractContextManager[Progress | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is compared, and which rules differ. Without `before_hash`, before is what the archive holds."""

    url: str
    after_hash: str
    before_hash: str | None
    differing: Sequence[str]
    comparison: Comparison

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.url}\0{self.before_hash or 'stored'}\0{self.after_hash}".encode()).hexdigest()


def task_of(db: Database, after: Path, before: Path | None, *, today: date) -> Task:
    """Load the rules of both sides and say which differ. Raises ConfigurationError.

    The rules of `before` are in force: their tests are not run, nor those of files that are the same in `after`.
    """
    earlier = load_rules(before, today=today, proven=lambda _: True) if before is not None else None
    known = _files_alike(before, after) if before is not None else frozenset()
    later = load_rules(after, today=today, proven=known.__contains__)
    if earlier is not None:
        differing = differing_rules(earlier, later)
        comparison = between(earlier, later, differing)
    else:
        differing = [rule.id for rule in later.rules if rule.active]
        comparison = with_stored(later)
    return Task(
        url=db.url.render_as_string(hide_password=False),
        after_hash=later.hash,
        before_hash=earlier.hash if earlier is not None else None,
        differing=differing,
        comparison=comparison,
    )


def _files_alike(before: Path, after: Path) -> AbstractSet[Path]:
    """Return the files of `after` that say what those of `before` do; none where what all of them share differs."""
    sides = [{file.relative_to(folder): file for file in folder.rglob("*.yaml")} for folder in (before, after)]
    alike = {name for name in sides[0].keys() & sides[1].keys() if _same(sides[0][name], sides[1][name])}
    shared = {
        name for side in sides for name in side if name.name == INSTRUMENT_FILE or name.parent.name == LISTS_FOLDER
    }
    return {sides[1][name] for name in alike} if shared <= alike else frozenset()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False  # what reads the rules says so


def differing_rules(before: RuleSet, after: RuleSet) -> list[str]:
    """Return the rules that may find something else on the other side, or are on one side alone."""
    lists: dict[Path, Sequence[str]] = {}
    sides = [{rule.id: Path(rule.file) for rule in rules.rules} for rules in (before, after)]
    asking = [rule for rule in after.rules if rule.opinion is not OpinionUse.IGNORED]
    differing = {rule.id for rule in asking if _opinion(rule, before) != _opinion(rule, after)}
    differing |= sides[0].keys() ^ sides[1].keys()
    contents = cache(_contents)
    for name in (sides[0].keys() & sides[1].keys()) - differing:
        files = [side[name] for side in sides]
        seen = [(file.read_bytes(), contents(instrument_folder(file) / LISTS_FOLDER)) for file in files]
        # That nothing differs is soon seen; what does takes far longer.
        if seen[0] != seen[1] and len({_digest(file, lists) for file in files}) > 1:
            differing.add(name)
    return sorted(differing)


def _opinion(rule: Rule, rules: RuleSet) -> Opinion | None:
    return rules.opinions.get(rule.clause.instrument)


def _contents(folder: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.yaml")}


def _digest(file: Path, lists: dict[Path, Sequence[str]]) -> str:
    """Return what changes with whatever decides what a rule finds: its file and the lists that it names."""
    source = read_source(file, lists)
    telling = {key: value for key, value in source.data.items() if key not in HARMLESS_KEYS}
    return hashlib.sha256(json.dumps([telling, source.lists], sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- one process's work


class Worker:
    """Judges stretches of the archive; one in each process."""

    def __init__(self, comparison: Comparison, db: Database) -> None:
        self._archive = Archive(db)
        self._comparison = comparison

    def outcome(self, stretch: Stretch) -> Outcome:
        return replay(self._archive.piece(stretch), self._comparison)


_HERE: list[Worker] = []  # the one of this process


def _begin(url: str, comparison: Comparison) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches all; the first process decides
    gc.freeze()  # what was loaded stays: to look through it again and again would copy it
    gc.set_threshold(SELDOM)
    _HERE.append(Worker(comparison, Database(url, read_only=True)))


def _piece(stretch: Stretch) -> Outcome:
    return _HERE[0].outcome(stretch)


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
    db: Database, task: Task, checkpoint: Checkpoint, *, processes: int | None = None, bar: Bar = nullcontext
) -> Iterator[Checkpoint]:
    """Judge what is not done yet, and yield the checkpoint after every piece; the last one is the whole outcome."""
    pieces = pieces_of(checkpoint.stretch)
    todo = [piece for piece in pieces if piece.first not in checkpoint.done]
    with _judged(db, task, todo, processes or _processes(len(todo))) as outcomes, bar() as progress:
        if progress is not None:
            progress(len(checkpoint.done), len(pieces))
        for piece, outcome in outcomes:
            checkpoint.outcome.add(outcome)
            checkpoint.done.add(piece.first)
            if progress is not None:
                progress(len(checkpoint.done), len(pieces))
            yield checkpoint


def _processes(pieces: int) -> int:
    if pieces * PIECE <= ALONE:
        return 1
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


@contextmanager
def _judged(
    db: Database, task: Task, todo: Sequence[Stretch], processes: int
) -> Iterator[Iterator[tuple[Stretch, Outcome]]]:
    """Yield the outcomes as they come. More processes than this one are forks of it: they find the rules loaded.

    They are made before any thread begins, and no connection to the database is open meanwhile.
    """
    if processes == 1 or not todo:
        worker = Worker(task.comparison, db)
        yield ((piece, worker.outcome(piece)) for piece in todo)
        return
    _ = task.comparison.evaluated.sieve  # made once for all
    db.close()
    forks = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(processes, forks, initializer=_begin, initargs=(task.url, task.comparison))
    try:
        waiting = iter(todo)
        under_way = {pool.submit(_piece, piece): piece for piece in islice(waiting, 2 * processes)}
        yield _as_they_come(pool, under_way, waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _as_they_come(
    pool: ProcessPoolExecutor, under_way: dict[Future[Outcome], Stretch], waiting: Iterator[Stretch]
) -> Iterator[tuple[Stretch, Outcome]]:
    """Yield outcomes, and hand out a piece for each that is done: only a few are under way, so an end is near."""
    while under_way:
        for future in wait(under_way, return_when=FIRST).done:
            piece, outcome = under_way.pop(future), future.result()
            under_way |= {pool.submit(_piece, another): another for another in islice(waiting, 1)}
            yield piece, outcome
