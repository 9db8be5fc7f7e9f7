"""A configuration with as many rules as asked for, of the make of the design's sample and with words of real posts."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

PACK = Path(__file__).parent.parent / "config" / "rules"
POSTS = Path(__file__).parent / "data" / "detection"
RULE = """\
id: mampu-2009/{clause}/made-{number}
version: 1
status: live
title: {{ms: "Peraturan {number}", en: "Rule {number}"}}
clause: {{instrument: mampu-2009, ref: "{clause}"}}
severity: medium
disclosure: masked
parts:
  what: {{phrases: {what}, views: [folded, squeezed]}}
  mark: {{phrases: {mark}, case: exact}}
  around: {{phrases: {around}}}
condition: (what near 60 around) or (mark and around)
weaker: [{{phrases: {weaker}, by: 1}}]
exceptions: [{{name: kept, covers: {covers}, reason: ujian, owner: ict-sec, expires: 2036-12-31}}]
tests:
  fire:
    - {{text: {fire}}}
    - {{text: {fire_mark}}}
  quiet:
    - {{text: {quiet}}}
"""


def write(folder: Path, count: int) -> Path:
    """Write that many rules below `folder`, the same ones every time."""
    (folder / "mampu-2009").mkdir(parents=True)
    shutil.copy(PACK / "mampu-2009" / "instrument.yaml", folder / "mampu-2009")
    dice = random.Random(7)
    words = _words()
    for number in range(count):
        clause = dice.choice(("3a", "3b", "3c", "4"))
        file = folder / "mampu-2009" / clause / f"made-{number}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(_rule(dice, words, clause, number), encoding="utf-8")
    return folder


def _words() -> Sequence[str]:
    """Return the words of the labelled posts: what rules are made of, and what they stumble over."""
    text = " ".join(json.loads(line)["text"] for line in (POSTS / "posts.jsonl").read_text("utf-8").splitlines())
    return sorted({word for word in text.lower().split() if word.isascii() and word.isalpha() and len(word) > 3})


def _rule(dice: random.Random, words: Sequence[str], clause: str, number: int) -> str:
    what = [" ".join(dice.sample(words, dice.choice((1, 2, 2, 3)))) for _ in range(6)]
    what = [phrase if " " in phrase else f"{phrase}{dice.choice('aeiou')}{dice.choice(words)[:4]}" for phrase in what]
    mark = [" ".join(dice.sample(words, 2)).upper() for _ in range(3)]
    around = dice.sample(words, 8)
    texts = (
        ("fire", f"{what[0]} dan {around[0]}"),
        ("fire_mark", f"{mark[0]} {around[1]}"),
        ("quiet", f"hari ini {around[2]}"),
    )
    lists = {"what": what, "mark": mark, "around": around, "weaker": dice.sample(words, 4), "covers": [what[1]]}
    return RULE.format(
        clause=clause,
        number=number,
        **{name: json.dumps(value) for name, value in lists.items()},
        **{name: json.dumps(text) for name, text in texts},
    )
