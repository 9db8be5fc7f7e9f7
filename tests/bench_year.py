"""`make bench`, a year: 200 accounts under a clock that is turned, with faults, restarts and people who answer.

A whole year takes about an hour; `python tests/bench_year.py 28` runs so many days.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import structlog
from year import Year

ACCOUNTS, DAYS = 200, 365
SETTLING_SHARE = 0.25  # of the time, until caches are filled


def main(days: int = DAYS) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as place:
        year = Year(folder=Path(place), accounts=ACCOUNTS, days=days)
        begin = time.monotonic()
        year.run()
        took = time.monotonic() - begin
        broken = year.broken()
        mails = year.here.query("select count(*) from notification where state = 'accepted'")[0][0]
        alerts = year.here.query("select count(*) from alert")[0][0]
        settled = [sample for sample in year.samples if sample.day >= days * SETTLING_SHARE]
        first, last = settled[0], settled[-1]
        print(
            f"year         {ACCOUNTS} accounts, {days} days in {took:.0f} s: {len(year.published)} posts, {alerts} alerts,"
            f" {mails} mails, {dict(year.counted)}; invariants broken: {broken or 'none'}"
        )
        print(
            f"             memory {first.memory_mb:.0f} → {last.memory_mb:.0f} MB, handles {first.handles} → {last.handles},"
            f" WAL at most {max(sample.wal_mb for sample in settled):.1f} MB"
        )
        if broken:
            sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
