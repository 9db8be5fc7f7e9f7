"""Scores the rules on labelled posts: precision, recall, right clause; false alarms per clause, recall per evasion."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.model import Subject
from monitor.rules.evaluate import evaluate
from monitor.rules.rule import RuleSet

POSTS = Path(__file__).parent / "data" / "detection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    text: str
    breach: bool
    clause: str
    topic: str = ""
    evasion: str = ""


@dataclass(slots=True, kw_only=True)
class Score:
    """What became of labelled posts. `alerted` holds each post's clauses with a finding of medium or above."""

    alerted: list[tuple[Labelled, frozenset[str]]] = field(default_factory=list)

    def chosen(self, *, breach: bool, alert: bool) -> list[Labelled]:
        return [post for post, clauses in self.alerted if post.breach is breach and bool(clauses) is alert]

    @property
    def found(self) -> list[Labelled]:
        return self.chosen(breach=True, alert=True)

    @property
    def missed(self) -> list[Labelled]:
        return self.chosen(breach=True, alert=False)

    @property
    def false_alarms(self) -> list[Labelled]:
        return self.chosen(breach=False, alert=True)

    @property
    def precision(self) -> float:
        return len(self.found) / max(1, len(self.found) + len(self.false_alarms))

    @property
    def recall(self) -> float:
        return len(self.found) / max(1, len(self.found) + len(self.missed))

    @property
    def right_clause(self) -> float:
        return sum(p.clause in clauses for p, clauses in self.alerted if p.breach and clauses) / max(1, len(self.found))

    def recall_by(self, key: str) -> dict[str, tuple[int, int]]:
        """Return (found, all) breaches by one of a post's labels."""
        found = Counter(getattr(post, key) for post in self.found)
        every = found + Counter(getattr(post, key) for post in self.missed)
        return {name: (found[name], every[name]) for name in sorted(every)}


def labelled(path: Path) -> list[Labelled]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Labelled(
            text=row["text"],
            breach=row["breach"],
            clause=row["clause"],
            topic=row.get("topic", ""),
            evasion=row.get("evasion", ""),
        )
        for row in rows
    ]


def clauses_alerted(rules: RuleSet, text: str) -> frozenset[str]:
    """Return the clauses of the findings that would be mailed: medium and above."""
    found = evaluate(rules, Subject(fields={"text": text}))
    return frozenset(finding.clause.ref for finding in found if finding.severity.alerts)


def score(rules: RuleSet, posts: Iterable[Labelled]) -> Score:
    return Score(alerted=[(post, clauses_alerted(rules, post.text)) for post in posts])


def summary(name: str, scored: Score) -> Sequence[str]:
    """Return what `make bench` prints of one set."""
    plain = [p for p in scored.alerted if not p[0].evasion]
    hidden = Score(alerted=[p for p in scored.alerted if p[0].evasion])
    alarms = Counter(post.clause for post in scored.false_alarms)
    figures = (
        f"precision {scored.precision:.3f}, recall {scored.recall:.3f} (without evasion"
        f" {Score(alerted=plain).recall:.3f}, with {hidden.recall:.3f}), right clause {scored.right_clause:.3f}"
    )
    return (
        f"{name:<12} {len(scored.alerted)} posts: {figures}",
        f"{'':<12} recall by clause: {_shares(scored.recall_by('clause'))}; false alarms by clause: {dict(alarms) or 0}",
        f"{'':<12} recall by evasion: {_shares(hidden.recall_by('evasion'))}",
    )


def _shares(found: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {hits}/{every}" for name, (hits, every) in found.items())
