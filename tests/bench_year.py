"""`make bench`, a year: 200 accounts under a clock that is turned, with faults, restarts and people who answer.

A whole year takes 20 minutes to an hour; `python tests/bench_year.py 28` runs so many days. What the process takes is
told by month, without the world that it watches; in the second half, when caches are filled, it may not grow.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import linear_regression, median

import structlog
from year import Sample, Year

from monitor.memory import return_what_is_freed

ACCOUNTS, DAYS = 200, 365
MONTH = 30  # days
LEAST_SAMPLES = 12  # to tell growth from the ups and downs of a week
# A month, at most. Words that nobody wrote before fill what is kept of 50,000 of them by 0.4 MB a month.
GROWTH = {"memory_mb": 2.0, "handles": 1.0, "wal_mb": 0.5}


def main(days: int = DAYS) -> None:
    return_what_is_freed()  # as the daemon does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as place:
        year = Year(folder=Path(place), accounts=ACCOUNTS, days=days)
        begin = time.monotonic()
        year.run()
        took = time.monotonic() - begin
        broken = year.broken()
        mails = year.here.query("select count(*) from notification where state = 'accepted'")[0][0]
        alerts = year.here.query("select count(*) from alert")[0][0]
    print(
        f"year         {ACCOUNTS} accounts, {days} days in {took:.0f} s: {len(year.published)} posts, {alerts} alerts,"
        f" {mails} mails, {dict(year.counted)}; invariants broken: {broken or 'none'}"
    )
    later = [sample for sample in year.samples if sample.day >= days / 2]
    growing = tell(year.samples, later)
    if broken or growing:
        sys.exit(1)


def tell(samples: Sequence[Sample], later: Sequence[Sample]) -> bool:
    """Print what the process took. Returns whether it grew among the later samples."""
    print(
        f"             by month: memory {by_month(samples, 'memory_mb')} MB (and the world beside it"
        f" {by_month(samples, 'world_mb')}), handles {by_month(samples, 'handles')},"
        f" WAL at most {max(sample.wal_mb for sample in samples):.1f} MB"
    )
    if len(later) < LEAST_SAMPLES:
        return False
    grown = {name: a_month(later, name) for name in GROWTH}
    too_much = [name for name, slope in grown.items() if slope > GROWTH[name]]
    slopes = ", ".join(f"{name} {slope:+.2f}" for name, slope in grown.items())
    print(f"             growth a month in the second half: {slopes}; too much: {', '.join(too_much) or 'nothing'}")
    return bool(too_much)


def by_month(samples: Sequence[Sample], name: str) -> str:
    """Return the median of each month."""
    months = groupby(samples, key=lambda sample: sample.day // MONTH)
    return " ".join(f"{median(getattr(sample, name) for sample in month):.0f}" for _, month in months)


def a_month(samples: Sequence[Sample], name: str) -> float:
    """Return by how much something grows in a month, as the straight line through all samples does."""
    line = linear_regression([sample.day for sample in samples], [getattr(sample, name) for sample in samples])
    return line.slope * MONTH


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
