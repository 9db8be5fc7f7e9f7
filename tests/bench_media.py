"""`make bench`, media: how long the labelled pictures and documents take on one core, and what the rules make of them."""

from __future__ import annotations

import json
import os
import resource
import time
from datetime import UTC, datetime
from pathlib import Path

from detection import Labelled, Score, summary

from monitor import media
from monitor.model import Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.load import load_rules

MEDIA = Path(__file__).parent / "data" / "media"
RULES = Path(__file__).parent.parent / "config" / "rules"
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}


def main() -> None:
    os.sched_setaffinity(0, {0})
    rules = load_rules(RULES, today=datetime.now(UTC).date())
    rows = [json.loads(line) for line in (MEDIA / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = {"dev": Score(), "frozen": Score()}
    took = []
    media.read((MEDIA / rows[0]["file"]).read_bytes(), name=rows[0]["file"])  # loads the models
    for row in rows:
        begin = time.perf_counter()
        text = media.read((MEDIA / row["file"]).read_bytes(), name=row["file"]).text
        if Path(row["file"]).suffix in PICTURES:
            took.append(time.perf_counter() - begin)
        found = evaluate(rules, Subject(fields={"picture:0": text}))
        clauses = frozenset(finding.clause.ref for finding in found if finding.severity.alerts)
        post = Labelled(text=text, breach=row["breach"], clause=row["clause"], topic=row["topic"])
        scores[row["part"]].alerted.append((post, clauses))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{'pictures':<12} {len(took)} on one core: mean {sum(took) / len(took):.2f} s, slowest {max(took):.2f} s;"
        f" most memory {memory:.0f} MB"
    )
    for part, score in scores.items():
        print("\n".join(summary(f"media {part}", score)[:2]))
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


if __name__ == "__main__":
    main()
