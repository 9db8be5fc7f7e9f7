"""`make bench`, a year: 200 accounts under a clock that is turned, with faults, restarts and people who answer.

A whole year takes 20 minutes to an hour; `python tests/bench_year.py 28` runs so many days.
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
SHOWN = 4  # moments of the settled time, and its end
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
        shown = [settled[len(settled) * part // SHOWN] for part in range(SHOWN)] + settled[-1:]
        print(
            f"year         {ACCOUNTS} accounts, {days} days in {took:.0f} s: {len(year.published)} posts, {alerts} alerts,"
            f" {mails} mails, {dict(year.counted)}; invariants broken: {broken or 'none'}"
        )
        print(
            f"             memory {' → '.join(f'{sample.memory_mb:.0f}' for sample in shown)} MB, handles"
            f" {' → '.join(str(sample.handles) for sample in shown)},"
            f" WAL at most {max(sample.wal_mb for sample in settled):.1f} MB"
        )
        if broken:
            sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
