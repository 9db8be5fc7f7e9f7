"""The canary: a text that a live rule must find, sent the way that alerts go. Once a Malaysian calendar day.

It is keyed by its day, so that neither a restart nor a clock that is set sends a second one. Of its text nothing leaves
this process: the mail names the rule alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from monitor.model import MALAYSIA, Finding, Severity
from monitor.rules.evaluate import evaluate
from monitor.rules.load import subject_of
from monitor.rules.rule import Example, OpinionUse, Rule, RuleSet, Status
from monitor.settings import Canary
from monitor.store.canaries import save_canary
from monitor.store.database import Database

NOTHING_TO_TRY = "no live rule has an example of a plain text that breaks it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the live rules made of the canary. `error` says why there is no alert; empty when there is."""

    rule: str
    evaluated_ms: float | None
    error: str


def due_day(now: datetime, canary: Canary, *, not_before: datetime) -> date | None:
    """Return today when its canary's hour has come; a daemon that was down then still sends it the same day.

    None before the hour, and on the day of the installation (`not_before`) when the hour had passed already.
    """
    local = now.astimezone(MALAYSIA)
    hour = datetime.combine(local.date(), canary.at.replace(tzinfo=None), tzinfo=MALAYSIA)
    return local.date() if canary.enabled and hour <= now and hour >= not_before else None


def canary_of(rules: RuleSet) -> tuple[Rule, Example] | None:
    """Return the live rule that must fire and its own example: of the gravest rules, the first by its name.

    Whether it fires is not looked at: that is what the canary finds out.
    """
    return min(_candidates(rules), key=lambda pair: (_doubtful(pair[0]), -pair[0].severity, pair[0].id), default=None)


def _candidates(rules: RuleSet) -> Iterator[tuple[Rule, Example]]:
    for rule in rules.rules:
        if rule.status is Status.LIVE and "text" in rule.scope:
            plain = (e for e in rule.tests if e.fires and e.history is None and (e.severity or rule.severity).alerts)
            yield from ((rule, example) for example in list(plain)[:1])


def _doubtful(rule: Rule) -> bool:
    """Tell whether a rule's finding may be too low for a mail: what the second opinion or lighter words make of it."""
    return rule.opinion is not OpinionUse.IGNORED or rule.severity < Severity.HIGH


def judge(rules: RuleSet, *, timer: Callable[[], float] = time.perf_counter) -> Judged:
    """Let the live rules look at the canary as they look at a post."""
    chosen = canary_of(rules)
    if chosen is None:
        return Judged(rule="", evaluated_ms=None, error=NOTHING_TO_TRY)
    rule, example = chosen
    began = timer()
    try:
        found = evaluate(rules, subject_of(example))
    except Exception as error:  # noqa: BLE001 (a rule that crashes must be told, not end the tick)
        return Judged(rule=rule.id, evaluated_ms=None, error=f"{rule.id}: the rules raised {type(error).__name__}")
    taken = (timer() - began) * 1000
    return Judged(rule=rule.id, evaluated_ms=taken, error="" if _alerts(found, rule) else _silent(rule))


def _alerts(found: tuple[Finding, ...], rule: Rule) -> bool:
    return any(one.rule == rule.id and one.severity.alerts and not one.shadow for one in found)


def _silent(rule: Rule) -> str:
    return f"{rule.id}: finds nothing worth an alert in its own example; `pantau rules test {rule.id}`"


def begin(db: Database, rules: RuleSet, key: str, *, day: date | None, now: datetime) -> Judged | None:
    """Judge a canary and open its alert. None: that was done before."""
    judged = judge(rules)
    facts = {"rule": judged.rule, "evaluated_ms": judged.evaluated_ms, "error": judged.error}
    return judged if save_canary(db, key, day=day, now=now, **facts) else None  # type: ignore[arg-type]  # as named
