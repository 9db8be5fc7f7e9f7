"""A rule as data: what breaks which clause, how grave it is, and what makes it graver or lighter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Any

import re2

from monitor.model import Clause, Disclosure, Severity
from monitor.rules.conditions import Condition
from monitor.rules.parts import Part, PatternPart, options
from monitor.rules.text import Text

ENGINE = 1  # counted up when the same rules would find something else: evaluations are kept per rule-set hash
SCOPES = ("text", "picture", "document")


class Status(StrEnum):
    DRAFT = "draft"  # loaded and tested, never used on posts
    SHADOW = "shadow"  # finds, and is counted in the digest; alerts nobody
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Words that make a finding graver or lighter, anywhere in the text or within `within` characters of a match."""

    words: PatternPart
    by: int
    within: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """Phrases that take the matches they cover out of account; never the whole post."""

    name: str
    covers: PatternPart
    reason: str
    owner: str
    expires: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A rule's own test. `spans` are texts that must be among the matches; `severity` the one it must have."""

    text: str
    fires: bool
    key: str  # where it stands in the file
    spans: tuple[str, ...] = ()
    severity: Severity | None = None
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    version: int
    status: Status
    title_ms: str
    title_en: str
    clause: Clause
    severity: Severity
    disclosure: Disclosure
    scope: frozenset[str]
    where: Mapping[str, frozenset[str]]  # platform, agency_kind, kind, language → the values it applies to
    parts: Mapping[str, Part]
    condition: Condition
    stronger: tuple[Shift, ...]
    weaker: tuple[Shift, ...]
    exceptions: tuple[Excuse, ...]
    tests: tuple[Example, ...]
    file: str

    @property
    def active(self) -> bool:
        return self.status in {Status.SHADOW, Status.LIVE}


class RuleSet:
    """All rules of a configuration; `hash` tells one set from another.

    One pass of RE2 over a text says which parts can match at all; nothing else is looked for.
    """

    def __init__(self, rules: Sequence[Rule], digest: str) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self.hash = hashlib.sha256(f"{ENGINE}:{digest}".encode()).hexdigest()

    @cached_property
    def _sieves(self) -> dict[str, tuple[Any, list[list[tuple[int, str]]]]]:
        """Return by view: RE2's set of all triggers, and behind each of them the parts (number of the rule, name)."""
        wanted: dict[str, dict[str, list[tuple[int, str]]]] = {}
        for number, rule in enumerate(self.rules):
            for name, part in rule.parts.items() if rule.active else ():
                for view, pattern in part.triggers:
                    wanted.setdefault(view, {}).setdefault(pattern, []).append((number, name))
        sieves = {}
        for view, triggers in wanted.items():
            sieve = re2.Set.SearchSet(options())
            for pattern in triggers:
                sieve.Add(pattern)
            sieve.Compile()
            sieves[view] = (sieve, list(triggers.values()))
        return sieves

    def candidates(self, text: Text) -> list[tuple[Rule, set[str]]]:
        """Return the active rules that can match, in the order of their ids, each with the parts that can."""
        found: dict[int, set[str]] = {}
        for view, (sieve, parts) in self._sieves.items():
            for trigger in sieve.Match(text.view(view)) or ():
                for number, name in parts[trigger]:
                    found.setdefault(number, set()).add(name)
        return [(self.rules[number], found[number]) for number in sorted(found)]
