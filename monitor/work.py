"""Where jobs run: threads of this process. Each platform has its own, so that a slow one holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")


def run(jobs: Sequence[Callable[[], T]], *, workers: int, name: str) -> Iterator[T]:
    """Run every job and yield the results as they come. By contract a job answers for its own failures."""
    if not jobs:
        return
    with ThreadPoolExecutor(max_workers=min(workers, len(jobs)), thread_name_prefix=name) as pool:
        for future in as_completed([pool.submit(job) for job in jobs]):
            yield future.result()
