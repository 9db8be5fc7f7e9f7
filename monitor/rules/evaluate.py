"""Rules + a subject → findings. Pure: the same rules and texts always give the same findings, in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from monitor.model import Finding, Severity, Subject
from monitor.rules.conditions import Matches
from monitor.rules.history import NOWHERE, History, HistoryPart, asking
from monitor.rules.opinion import Opinion, View
from monitor.rules.parts import Part
from monitor.rules.passages import passages
from monitor.rules.rule import OpinionUse, Rule, RuleSet, Shift, Status
from monitor.rules.sieve import Suspected
from monitor.rules.text import Span, Text

ENOUGH = 3  # matches at the beginning of a long text: they tell as much as those of all of it, of which a mail shows 3
MARGIN = 500  # characters behind them that are looked at too: what excuses or surrounds a match may stand there
OFFICIAL = 0.8  # how much of an office's voice the middle one of a post's passages must have
SCOPE_OF = {"text": "text", "picture": "picture", "video": "picture", "document": "document"}


def evaluate(rules: RuleSet, subject: Subject, history: History | None = None) -> tuple[Finding, ...]:
    """Return what the active rules find in each text of a post version; shadow findings are marked.

    The passages of a long text are judged by themselves as well. Without a history the parts that ask about it match
    nothing.
    """
    suspicions = [
        Suspicion(suspected, subject, look.field, history, look.start)
        for look in looks(subject.fields)
        if (suspected := rules.sieve.suspected(look.text, history=history is not None)) is not None
    ]
    return united([one for told in convict_all(rules, suspicions) for one in told]) if suspicions else ()


def evaluate_all(
    rules: RuleSet, subjects: Sequence[Subject], histories: Sequence[History] = ()
) -> list[tuple[Finding, ...]]:
    """Return what `evaluate` does of each subject, in less time where many rules are asked.

    `histories` are as many as the subjects, or none.
    """
    places = [(number, look) for number, subject in enumerate(subjects) for look in looks(subject.fields)]
    suspected = rules.sieve.suspected_of([look.text for _, look in places], history=bool(histories))
    found: list[tuple[Finding, ...]] = [()] * len(subjects)
    if not any(suspected):
        return found
    chosen = [(one, place) for one, place in zip(suspected, places, strict=True) if one is not None]
    suspicions = [
        Suspicion(one, subjects[number], look.field, histories[number] if histories else None, look.start)
        for one, (number, look) in chosen
    ]
    for (_, (number, _)), told in zip(chosen, convict_all(rules, suspicions), strict=True):
        found[number] += tuple(told)
    return [united(told) for told in found]


class Look(NamedTuple):
    """What is judged by itself: a whole text of a subject, or the passage of it that begins at `start`."""

    field: str
    text: str
    start: int | None = None


def looks(fields: Mapping[str, str]) -> Iterator[Look]:
    """Yield what is to be judged of a subject's texts."""
    for name, original in fields.items():
        yield Look(name, original)
        for start, end in passages(original):
            yield Look(name, original[start:end], start)


def united(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings with those of one rule in one text as one: at its gravest, with all that matched."""
    known: dict[tuple[str, str], Finding] = {}
    for one in findings:
        place = one.rule, one.field
        known[place] = _both(known[place], one) if place in known else one
    return tuple(known.values())


def _both(one: Finding, other: Finding) -> Finding:
    spans = tuple(merged([*one.spans, *other.spans]))
    return replace(one, severity=max(one.severity, other.severity), spans=spans)


class Suspicion(NamedTuple):
    """One text of a subject, or the passage that begins at `start`, and what the sieve says of it."""

    suspected: Suspected
    subject: Subject
    field: str
    history: History | None = None
    start: int | None = None


def convict_all(rules: RuleSet, suspicions: Sequence[Suspicion]) -> list[list[Finding]]:
    """Return what the candidates of the sieve find in each text.

    Each rule looks at all texts before the next one does: its patterns are at hand in the processor then.
    """
    found: list[list[Finding]] = [[] for _ in suspicions]
    official: dict[tuple[int, str, str], bool] = {}
    opinions = [_Opinions(rules.opinions, one, official) for one in suspicions]
    asked: dict[str, list[tuple[int, Rule, AbstractSet[str]]]] = {}
    for number, one in enumerate(suspicions):
        for rule, absent in one.suspected.candidates:
            asked.setdefault(rule.id, []).append((number, rule, absent))
    for name in sorted(asked):
        for number, rule, absent in asked[name]:
            found[number] += _convicted(rule, suspicions[number], opinions[number], absent)
    return found


def _convicted(rule: Rule, suspicion: Suspicion, opinions: _Opinions, absent: AbstractSet[str]) -> Sequence[Finding]:
    suspected, subject, field, history, start = suspicion
    if start is not None and asking(rule.parts):
        return ()  # history knows of whole posts
    finding = judge(rule, suspected.text, subject, field, absent, history)
    if finding is None:
        return ()
    weighed = opinions.weighed(rule, finding)
    return [_moved(one, start) for one in weighed] if start else weighed


def _moved(finding: Finding, by: int) -> Finding:
    """Return a passage's finding with its places in the whole text."""
    return replace(finding, spans=tuple((start + by, end + by) for start, end in finding.spans))


def judge(
    rule: Rule,
    text: Text,
    subject: Subject,
    field: str,
    absent: AbstractSet[str] = frozenset(),
    history: History | None = None,
) -> Finding | None:
    """Return the rule's finding in one text, or None. Whether the rule is active is the caller's business.

    `absent` names parts that are known not to match.
    """
    if SCOPE_OF[field.partition(":")[0]] not in rule.scope or not _applies(rule, subject):
        return None
    if text.beginning is not None and _is_light(rule, text):
        return None  # asked first where to look for everything takes long
    matches = _matches(rule, text, subject, absent, history)
    if matches is None:
        return None
    spans = [span for span in matches if span != NOWHERE]
    severity = _severity(rule, text, spans)
    if severity is None:
        return None
    return Finding(
        rule=rule.id,
        rule_version=rule.version,
        title_ms=rule.title_ms,
        title_en=rule.title_en,
        clause=rule.clause,
        severity=severity,
        disclosure=rule.disclosure,
        field=field,
        spans=tuple(merged(text.original_span(start, end) for start, end in spans)),
        shadow=rule.status is Status.SHADOW,
    )


class _Opinions:
    """What the learned opinions say of one text, each asked when a rule does."""

    def __init__(
        self, opinions: Mapping[str, Opinion], suspicion: Suspicion, official: dict[tuple[int, str, str], bool]
    ) -> None:
        self._opinions = opinions
        self._suspicion = suspicion
        self._text = suspicion.suspected.text
        self._official = official  # shared by all passages of a text

    def lift(self, rule: Rule) -> bool:
        """Tell whether there is an opinion for the rule, and it says yes."""
        name = rule.clause.instrument
        opinion = self._opinions.get(name)
        return opinion is not None and opinion.lifts(self._view(name), rule.clause.ref) and self._is_official(name)

    def _is_official(self, name: str) -> bool:
        """Tell whether most passages of a post sound like an office: of people's chat one may do so by chance."""
        if self._suspicion.start is None:
            return True
        place = id(self._suspicion.subject), self._suspicion.field, name
        if place not in self._official:
            whole = self._suspicion.subject.fields[self._suspicion.field]
            voices = [self._opinions[name].view(Text(whole[begin:end])).voice for begin, end in passages(whole)]
            self._official[place] = median(voices) >= OFFICIAL
        return self._official[place]

    def weighed(self, rule: Rule, finding: Finding) -> Sequence[Finding]:
        """Return the finding, weighed by the opinion where its rule asks for it."""
        name = rule.clause.instrument
        if not _asks(rule, finding) or (name not in self._opinions and rule.opinion is not OpinionUse.DECIDES):
            return (finding,)
        if rule.opinion is OpinionUse.LIFTS or rule.opinion is OpinionUse.DECIDES:
            if self.lift(rule):
                return (replace(finding, severity=max(finding.severity, Severity.MEDIUM)),)
            return (finding,) if rule.opinion is OpinionUse.LIFTS else ()
        opinion, view = self._opinions[name], self._view(name)
        doubted = rule.opinion is OpinionUse.DOUBTS
        agreed = (
            not opinion.doubts(view) if doubted else opinion.confirms(view, rule.clause.ref) and self._is_official(name)
        )
        return (finding,) if agreed else (replace(finding, severity=Severity.LOW),)

    def _view(self, name: str) -> View:
        return self._opinions[name].view(self._text)


def _asks(rule: Rule, finding: Finding) -> bool:
    """Tell whether the opinion could change anything about the finding."""
    if finding.severity is Severity.LOW:
        return rule.opinion in {OpinionUse.LIFTS, OpinionUse.DECIDES}
    if rule.opinion is OpinionUse.DOUBTS:
        return (
            SCOPE_OF[finding.field.partition(":")[0]] == "text"
        )  # a letter or an advert has no office's voice to miss
    return rule.opinion in {OpinionUse.CONFIRMS, OpinionUse.DECIDES}


def _applies(rule: Rule, subject: Subject) -> bool:
    """Tell whether the circumstances are those the rule asks for; what is not known does not match."""
    if not rule.where:
        return True
    facts = {
        "platform": subject.platform,
        "agency_kind": subject.agency_kind.value if subject.agency_kind else "",
        "kind": subject.kind.value,
        "language": subject.language,
    }
    return all(facts[name] in values for name, values in rule.where.items())


def part_matches(rule: Rule, name: str, text: Text, subject: Subject, history: History | None = None) -> Sequence[Span]:
    """Return the matches of one part; that of a part about history is NOWHERE."""
    part = rule.parts[name]
    if not isinstance(part, HistoryPart):
        return _found(part, text)
    return (NOWHERE,) if history is not None and part.holds(subject, text, history) else ()


def _found(part: Part, text: Text) -> Sequence[Span]:
    known = text.found.get(id(part))
    if known is None:
        known = text.found[id(part)] = part.find(text)
    return known


def _matches(
    rule: Rule, text: Text, subject: Subject, absent: AbstractSet[str], history: History | None
) -> Sequence[Span] | None:
    """Return the matches that make the condition true, without those that an exception covers; None: it is false.

    In a long text they are those of its beginning where that holds enough of them.
    """
    if text.beginning is not None and _may_end_early(rule):
        enough = _matches_at_beginning(rule, text, text.beginning, absent)
        if enough is not None:
            return enough
    known: dict[str, Sequence[Span]] = dict.fromkeys(absent, ())

    def of(name: str) -> Sequence[Span]:
        if name not in known:
            known[name] = part_matches(rule, name, text, subject, history)
        return known[name]

    if history is not None and not _post_allows(rule, text, subject, of):
        return None
    spans = rule.condition.matches(of)
    excuses = [excuse for excuse in rule.exceptions if excuse.covers.present(text)] if spans else []
    excused = sorted(span for excuse in excuses for span in _found(excuse.covers, text))
    if not excused:
        return spans
    return rule.condition.matches(lambda name: [span for span in of(name) if not _covered(span, excused)])


def _may_end_early(rule: Rule) -> bool:
    """Tell whether what is further down can make a finding neither graver nor another one."""
    return not asking(rule.parts) and all(shift.within is None for shift in rule.stronger)


def _matches_at_beginning(rule: Rule, text: Text, beginning: Text, absent: AbstractSet[str]) -> Sequence[Span] | None:
    """Return the matches in the beginning of a text, if they are enough. What must not be there is nowhere in it."""
    forbidden = frozenset(rule.condition.forbidden())
    excused = sorted(span for excuse in rule.exceptions for span in _found(excuse.covers, beginning))

    def up_to(end: int) -> Sequence[Span]:
        def of(name: str) -> Sequence[Span]:
            if name in absent:
                return ()
            if name in forbidden:
                return _found(rule.parts[name], text)
            found = _found(rule.parts[name], beginning)
            return [span for span in found if span[1] <= end and not _covered(span, excused)]

        return rule.condition.matches(of) or ()

    end = len(beginning.folded)
    return up_to(end) if len(merged(up_to(end - MARGIN))) >= ENOUGH else None


def _post_allows(rule: Rule, text: Text, subject: Subject, of: Matches) -> bool:
    """Tell whether the condition can be true if history says yes to everything: else it is not asked."""

    def at_best(name: str) -> Sequence[Span]:
        part = rule.parts[name]
        if isinstance(part, HistoryPart):
            return (NOWHERE,) if part.may_hold(subject, text) else ()
        return of(name)

    return not asking(rule.parts) or rule.condition.matches(at_best) is not None


def _covered(span: Span, excused: Iterable[Span]) -> bool:
    return span != NOWHERE and any(start <= span[0] and span[1] <= end for start, end in excused)


def _severity(rule: Rule, text: Text, spans: Sequence[Span]) -> Severity | None:
    """Return the severity by the words around; None when the lighter ones leave nothing of it."""
    level = int(rule.severity)
    level += sum(shift.by for shift in rule.stronger if _present(shift, text, spans))
    level = min(level, Severity.CRITICAL)
    level -= sum(shift.by for shift in rule.weaker if _present(shift, text, spans))
    return Severity(level) if level >= Severity.LOW else None


def _is_light(rule: Rule, text: Text) -> bool:
    """Tell whether words anywhere in the text leave nothing of the severity, whatever else is found."""
    most = min(int(rule.severity) + sum(shift.by for shift in rule.stronger), Severity.CRITICAL)
    anywhere = [shift for shift in rule.weaker if shift.within is None]
    if most - sum(shift.by for shift in anywhere) >= Severity.LOW:
        return False
    return most - sum(shift.by for shift in anywhere if shift.words.present(text)) < Severity.LOW


def _present(shift: Shift, text: Text, spans: Sequence[Span]) -> bool:
    if shift.within is None:
        return shift.words.present(text)
    found = _found(shift.words, text)
    reach = shift.within
    return any(
        start <= match_end + reach and match_start - reach <= end
        for start, end in found
        for match_start, match_end in spans
    )


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans sorted, each once, overlapping ones joined."""
    ordered = sorted(set(spans))
    joined: list[Span] = []
    for start, end in ordered:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
