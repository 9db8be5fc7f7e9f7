"""A rule as data: what breaks which clause, how grave it is, and what makes it graver or lighter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from monitor.model import Clause, Disclosure, Severity
from monitor.rules.conditions import Condition
from monitor.rules.history import History, SameText
from monitor.rules.opinion import Opinion
from monitor.rules.parts import Part, PatternPart
from monitor.rules.sieve import Sieve

ENGINE = 4  # counted up when the same rules would find something else: evaluations are kept per rule-set hash
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
    history: History | None = None


class OpinionUse(StrEnum):
    """What a rule asks of the learned second opinion.

    LIFTS: to make a low finding medium. CONFIRMS: to let a graver one be as grave; what is not confirmed is low.
    DOUBTS: to make a graver one low when it is all but sure that the post is an ordinary one. Where there is no
    opinion, the rule's own severity stands. DECIDES: whether there is a finding at all, of medium severity; the rule
    names words too common to be listed anywhere without it.
    """

    IGNORED = "ignored"
    LIFTS = "lifts"
    CONFIRMS = "confirms"
    DOUBTS = "doubts"
    DECIDES = "decides"


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
    opinion: OpinionUse = OpinionUse.IGNORED

    @property
    def active(self) -> bool:
        return self.status in {Status.SHADOW, Status.LIVE}


class RuleSet:
    """All rules of a configuration, and the learned opinions by instrument. `hash` tells one set from another."""

    def __init__(
        self, rules: Sequence[Rule], digest: str, opinions: Mapping[str, Opinion] = MappingProxyType({})
    ) -> None:
        self.opinions = opinions
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self.hash = hashlib.sha256(f"{ENGINE}:{digest}".encode()).hexdigest()

    @cached_property
    def sieve(self) -> Sieve:
        """Which of the active rules a text may break; made when the first post comes."""
        active = [rule for rule in self.rules if rule.active]
        decided = [rule for rule in active if rule.opinion is OpinionUse.DECIDES]
        return Sieve(active, {rule.id: self.opinions.get(rule.clause.instrument) for rule in decided})

    @cached_property
    def asking_for_copies(self) -> Mapping[str, timedelta]:
        """Return the active rules that ask for the same text on other accounts, and how far they look for it."""
        spans = {
            rule.id: [part.within for part in rule.parts.values() if isinstance(part, SameText)]
            for rule in self.rules
            if rule.active
        }
        return {name: max(asked) for name, asked in spans.items() if asked}
