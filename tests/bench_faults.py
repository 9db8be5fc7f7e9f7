"""The fault hour: `python tests/bench_faults.py [MINUTES] [SEED] [PLATFORM]`, an hour without a word. See storm.py.

Prints what the storm met, and whether I1 and I8 hold after it: once without answers that deceive (another value, an
earlier answer, another platform's), of which some can be told from true ones by nothing, and once with them. Exit 1
when something is lost, crashed, or memory grew. With a platform, that one alone, and the answers that held what was lost.
"""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from collections import Counter

import structlog
from storm import FAULTS, TELLING, Storm

from monitor.store.database import open_database

GROWTH = 60_000  # KB of resident memory between the first tenth and the end
ROUND = 40  # ticks
HISTORY = 30  # answers, the last ones


def weather(name: str, faults: tuple[str, ...], *, seconds: float, seed: int, platforms: tuple[str, ...]) -> bool:
    """Rage for so long, then look; returns whether all held."""
    with tempfile.TemporaryDirectory() as folder:
        db = open_database(f"sqlite:///{folder}/pantau.db")
        with Storm(db, seed=seed, faults=faults, platforms=platforms) as storm:
            storm.log = [] if platforms else None
            begun, early = time.monotonic(), 0
            while time.monotonic() - begun < seconds:
                storm.rage(ROUND, rate=0.6)
                storm.rage(ROUND // 8, rate=1.0)
                storm.results = [one for one in storm.results if one.failure and "Pantau itself" in one.failure]
                if not early and time.monotonic() - begun > seconds / 10:
                    early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            calls = storm.calls_per_account() / storm.ticks
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - (early or sys.maxsize)
            storm.calm()
            lost, holes, crashes, strange = storm.lost(), storm.holes(), storm.crashes(), storm.strange()
    print(
        f"{name}: {sum(storm.world.met.values())} answers, {storm.ticks} ticks, {calls:.1f} calls a tick and account at most"
    )
    print(
        f"  lost {len(lost)}, of others {len(strange)}, holes {len(holes)}, crashes {len(crashes)}, "
        f"memory {max(grown, 0) / 1000:+.0f} MB"
    )
    for (platform, what), count in sorted(Counter(map(kind_of, lost)).items()):
        print(f"    {platform}: {count} {what}")
    for line in [*lost[:20], *strange, *holes, *crashes]:
        print(f"    {line}")
        for told in storm.history(line.split(" ")[1])[-HISTORY:] if line in lost else ():
            print(f"        {told[:200]}")
    return not (holes or crashes or strange or grown > GROWTH) and (not lost or faults is FAULTS)


def kind_of(line: str) -> tuple[str, str]:
    return line.partition("/")[0], line.rpartition(": ")[2]


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    half, platforms = 30 * minutes, tuple(sys.argv[3:4])
    held = [
        weather("every fault but deceitful answers", TELLING, seconds=half, seed=seed, platforms=platforms),
        weather("every fault", FAULTS, seconds=half, seed=seed, platforms=platforms),
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
