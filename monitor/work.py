"""Where jobs run: threads of this process. Each platform has its own, so that a slow one holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
LEAST_WORKERS = 2  # of a platform: one account that hangs must not be the end of it


def shares(accounts: Mapping[str, int], *, workers: int) -> dict[str, int]:
    """Return how many of the workers each platform gets, by how many accounts it has; none goes without."""
    total = sum(accounts.values())
    return {name: max(LEAST_WORKERS, round(workers * count / total)) for name, count in accounts.items() if count}


def run(jobs: Sequence[Callable[[], T]], *, workers: int, name: str) -> Iterator[T]:
    """Run every job and yield the results as they come. By contract a job answers for its own failures."""
    if not jobs:
        return
    with ThreadPoolExecutor(max_workers=min(workers, len(jobs)), thread_name_prefix=name) as pool:
        for future in as_completed([pool.submit(job) for job in jobs]):
            yield future.result()


class Crew(Generic[T]):
    """Threads that take jobs as they are given: one that hangs holds its thread, and nobody else.

    By contract a job answers for its own failures.
    """

    def __init__(self, *, workers: int, name: str) -> None:
        self.workers = workers
        self.busy = 0  # jobs that were given and whose results were not taken yet
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name)
        self._done: SimpleQueue[Future[T]] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def give(self, job: Callable[[], T]) -> None:
        self.busy += 1
        self._pool.submit(job).add_done_callback(self._done.put)

    def take(self, *, patience: float) -> Iterator[T]:
        """Yield the results that are there; waits at most `patience` seconds for a first one."""
        try:
            future = self._done.get(timeout=patience)
            while True:
                self.busy -= 1
                yield future.result()
                future = self._done.get_nowait()
        except Empty:
            return
