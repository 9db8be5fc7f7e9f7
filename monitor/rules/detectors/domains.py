"""The part of a rule that names domains. Apart from the detectors, because it is made from a rule's own list."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.rules.detectors.links import DOT, links
from monitor.rules.parts import MOST_SPANS, Triggers
from monitor.rules.text import Span, Text


@dataclass(frozen=True, slots=True)
class DomainPart:
    """Finds links to some domains and to all below them; `*.xyz` stands for all below a suffix. Is a `Part`."""

    domains: frozenset[str]

    @property
    def triggers(self) -> Triggers:
        last = sorted({domain.rpartition(".")[2] for domain in self.domains})
        return Triggers(folded=(rf"{DOT}(?:{'|'.join(map(re.escape, last))})\b",))

    def find(self, text: Text) -> list[Span]:
        return [link.span for link in links(text.folded) if self._names(link.host)][:MOST_SPANS]

    def _names(self, host: str) -> bool:
        labels = host.split(".")
        above = [".".join(labels[n:]) for n in range(len(labels))]
        return any(name in self.domains for name in above) or any(f"*.{name}" in self.domains for name in above[1:])
