"""From false alarms to exceptions: phrases around the matches that silence them and nothing that was right. Pure.

Everything is tried by the engine itself: a phrase is proposed when the rule with it as an exception no longer alerts
on a false alarm, and still alerts on everything that somebody confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from monitor.model import Finding, Subject
from monitor.rules.evaluate import judge
from monitor.rules.parts import BadPattern, phrases
from monitor.rules.rule import SCOPES, Excuse, Rule
from monitor.rules.text import Span, Text

CONTEXTS = ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (2, 2))  # words taken before and after a match
MOST_WORDS = 8
MOST_DIGITS = 4  # more may be somebody's number, which does not belong into a rule
MOST_ALARMS = 50  # of one rule; more make nobody wiser
_EDGES = "\"'“”‘’.,;:!?()[]{}<>…*"


class Answer(StrEnum):
    """What somebody said of an alert, as far as it tells whether the rule was right."""

    FALSE_ALARM = "false alarm"
    CONFIRMED = "confirmed"
    OPEN = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A text that a rule fired on, the field it stands in, and what somebody said of it."""

    case: str
    field: str
    text: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Phrases for one exception: the false alarms that they silence, and the undecided findings that go with them."""

    covers: tuple[str, ...]
    silences: tuple[str, ...]  # cases
    undecided: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What can be done about a rule's false alarms. `unsafe` are cases for which no phrase is safe, with the reason."""

    rule: str
    false_alarms: int
    confirmed: int
    quiet_already: tuple[str, ...]
    proposals: tuple[Proposal, ...]
    unsafe: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A text made ready once for many trials."""

    told: Told
    text: Text


def suggest(rule: Rule, told: Sequence[Told]) -> Suggestion:
    """Propose exceptions, the safest first. The same texts always give the same proposals."""
    alarms = [one for one in told if one.answer is Answer.FALSE_ALARM]
    rule = replace(rule, where={}, scope=frozenset(SCOPES))  # the circumstances were those it asks for
    loud = [one for one in (_Read(one, Text(one.text)) for one in told) if _alerts(rule, one)]
    waiting = [one.told for one in loud if one.told.answer is Answer.FALSE_ALARM][:MOST_ALARMS]
    tried = sorted(set(_candidates(rule, [one for one in loud if one.told in waiting])))
    candidates = {covers: _trial(rule, covers, loud) for covers in tried}
    safe = {c: silenced for c, silenced in candidates.items() if not _of(silenced, Answer.CONFIRMED)}
    proposals = []
    while chosen := _best(safe, waiting):
        silenced = safe.pop(chosen)
        done = [one for one in waiting if one in silenced]
        waiting = [one for one in waiting if one not in silenced]
        undecided = tuple(sorted({one.case for one in _of(silenced, Answer.OPEN)}))
        cases = tuple(sorted({one.case for one in done}))
        proposals.append(Proposal(covers=chosen, silences=cases, undecided=undecided))
    fired = {one.told.case for one in loud}
    return Suggestion(
        rule=rule.id,
        false_alarms=len({one.case for one in alarms}),
        confirmed=len({one.told.case for one in loud if one.told.answer is Answer.CONFIRMED}),
        quiet_already=tuple(sorted({one.case for one in alarms} - fired)),
        proposals=tuple(proposals),
        unsafe=tuple(sorted({(one.case, _reason(one, candidates)) for one in waiting})),
    )


def _reason(one: Told, candidates: dict[tuple[str, ...], list[Told]]) -> str:
    if any(one in silenced for silenced in candidates.values()):
        return "every phrase that silences it would silence a confirmed alert as well"
    return "no phrase around its matches silences it"


def _of(told: Sequence[Told], answer: Answer) -> list[Told]:
    return [one for one in told if one.answer is answer]


def _best(safe: dict[tuple[str, ...], list[Told]], waiting: Sequence[Told]) -> tuple[str, ...] | None:
    """Return the phrases that silence no undecided finding, most false alarms, in the fewest letters; None: none do."""

    def order(covers: tuple[str, ...]) -> tuple[int, int, int, tuple[str, ...]]:
        silenced = safe[covers]
        gained = sum(one in silenced for one in waiting)
        return len(_of(silenced, Answer.OPEN)), -gained, sum(map(len, covers)), covers

    useful = [covers for covers, silenced in safe.items() if any(one in silenced for one in waiting)]
    return min(useful, key=order, default=None)


def _trial(rule: Rule, covers: tuple[str, ...], loud: Sequence[_Read]) -> list[Told]:
    """Return the texts that the rule would no longer alert on with these phrases as an exception."""
    try:
        words = phrases(covers)
    except BadPattern:
        return []
    excuse = Excuse(name="suggested", covers=words, reason="", owner="", expires=date.max)
    milder = replace(rule, exceptions=(*rule.exceptions, excuse))
    needed = [[Text(word).folded for word in phrase.split()] for phrase in covers]
    return [
        one.told
        for one in loud
        if any(all(word in one.text.folded for word in phrase) for phrase in needed)
        and words.find(one.text)
        and not _alerts(milder, one)
    ]


def _alerts(rule: Rule, one: _Read) -> bool:
    finding = _finding(rule, one)
    return finding is not None and finding.severity.alerts


def _finding(rule: Rule, one: _Read) -> Finding | None:
    return judge(rule, one.text, Subject(fields={one.told.field: one.told.text}), one.told.field)


# ---------------------------------------------------------------- phrases around matches


def _candidates(rule: Rule, alarms: Sequence[_Read]) -> Iterator[tuple[str, ...]]:
    """Yield one phrase around one match, and one phrase around each of the matches together."""
    for one in alarms:
        finding = _finding(rule, one)
        spans = finding.spans if finding is not None else ()
        for before, after in CONTEXTS:
            around = [_phrase(one.told.text, span, spans, before, after) for span in spans]
            yield from ((phrase,) for phrase in around if phrase)
            if len(around) > 1 and all(around):
                yield tuple(sorted({phrase for phrase in around if phrase}))


def _phrase(text: str, span: Span, spans: Sequence[Span], before: int, after: int) -> str:
    """Return the words of a match with some before and after it; empty when that is no phrase for a rule.

    At least one word must be none of the matches: a phrase of matches alone is the very thing that the rule is for.
    """
    words = [match.span() for match in re.finditer(r"\S+", text)]
    matched = [n for n, word in enumerate(words) if _overlap(word, span)]
    if not matched:
        return ""
    first, last = matched[0] - before, matched[-1] + after
    if first < 0 or last >= len(words):
        return ""
    if all(any(_overlap(word, one) for one in spans) for word in words[first : last + 1]):
        return ""
    tokens = [text[start:end] for start, end in words[first : last + 1]]
    tokens[0], tokens[-1] = tokens[0].lstrip(_EDGES), tokens[-1].rstrip(_EDGES)
    phrase = " ".join(tokens).casefold()
    unfit = len(tokens) > MOST_WORDS or sum(map(str.isdigit, phrase)) > MOST_DIGITS or "*" in phrase
    return "" if unfit or not (tokens[0] and tokens[-1]) else phrase


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
