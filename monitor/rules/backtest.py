"""What a change of the rules would have done to stored posts. Pure: posts with what was found in them → an outcome.

A rule is counted once for a post, at its gravest over all versions and texts of the post, because a post is what
somebody looks at. Outcomes are sums: those of any parts of an archive add up to that of the whole.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count, islice
from typing import Any, NamedTuple, Protocol, TypeVar

from monitor.model import MALAYSIA, AgencyKind, Finding, PostKind, Severity, Subject
from monitor.rules.evaluate import Suspicion, convict_all
from monitor.rules.history import asking
from monitor.rules.passages import LONG, passages
from monitor.rules.rule import Rule, RuleSet
from monitor.rules.sieve import Suspected

MOST_REFERENCES = 500  # of a rule's changes in one direction; the counts are of all
BEFORE = " (before)"  # marks the earlier form of a rule while both run in one pass
T = TypeVar("T")
R = TypeVar("R")
Strength = tuple[Severity, bool]  # how grave, and whether it is live


class Holder(NamedTuple):
    """Whose post it is, as far as rules may ask."""

    agency: str
    platform: str
    agency_kind: AgencyKind | None


class Stored(NamedTuple):
    """A finding of the archive."""

    rule: str
    severity: Severity
    live: bool


class Version(NamedTuple):
    """A version's texts by field. `first` is the first one's number in its piece; the others follow."""

    language: str
    fields: Mapping[str, str]
    first: int


class ArchivedPost(NamedTuple):
    """A stored post. What was read from media is a version of its own."""

    id: int
    holder: Holder
    published_at: datetime
    kind: PostKind
    versions: Sequence[Version]
    stored: Sequence[Stored] = ()
    confirmed: Sequence[str] = ()  # cases of its alerts that somebody confirmed


class _Look(NamedTuple):
    """What is judged by itself: a text of a piece, by its number, or the passage of it that begins at `start`."""

    number: int
    text: str
    start: int | None = None


class Piece(Protocol):
    """Posts that were read together: they are only made of what was read where there is something to judge."""

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def posts(self) -> int: ...

    @property
    def versions(self) -> int: ...

    def worth(self, numbers: Collection[int]) -> Iterable[ArchivedPost]:
        """Make the posts of these texts, and all in which something was found before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Before and after. `before_is_stored`: before is what the archive holds; else it is evaluated beside after.

    `unchanged` names the rules that are the same on both sides, and those that ask about history, which is not played
    again: what the archive holds of them counts for both.
    """

    evaluated: RuleSet
    before_is_stored: bool
    unchanged: frozenset[str] = frozenset()


def with_stored(after: RuleSet) -> Comparison:
    """Compare what the archive holds with what these rules find."""
    asking_history = _asking_history(after)
    replayed = RuleSet([rule for rule in after.rules if rule.id not in asking_history], after.hash, after.opinions)
    return Comparison(evaluated=replayed, before_is_stored=True, unchanged=asking_history)


def _asking_history(rules: RuleSet) -> frozenset[str]:
    return frozenset(rule.id for rule in rules.rules if rule.active and asking(rule.parts))


def between(before: RuleSet, after: RuleSet, differing: Collection[str]) -> Comparison:
    """Compare two rule sets. Only the rules that differ run, both forms of each in one pass over a text."""
    differing = set(differing) - _asking_history(after)
    earlier = [_earlier(rule) for rule in before.rules if rule.id in differing]
    later = [rule for rule in after.rules if rule.id in differing]
    same = frozenset(rule.id for rule in after.rules if rule.id not in differing and rule.active)
    opinions = {**after.opinions, **{name + BEFORE: opinion for name, opinion in before.opinions.items()}}
    both = RuleSet([*earlier, *later], f"{before.hash}:{after.hash}", opinions)
    return Comparison(evaluated=both, before_is_stored=False, unchanged=same)


def _earlier(rule: Rule) -> Rule:
    """Return the rule under a name of its own, and of an instrument of its own: opinions are by instrument."""
    clause = replace(rule.clause, instrument=rule.clause.instrument + BEFORE)
    return replace(rule, id=rule.id + BEFORE, clause=clause)


@dataclass(slots=True, kw_only=True)
class RuleChange:
    """What becomes of one rule: posts it fired on before and after, and the newest of those where that differs."""

    before: int = 0
    after: int = 0
    fired: int = 0
    quiet: int = 0
    shifted: int = 0  # another severity, or shadow on one side and live on the other
    fired_on: list[tuple[int, str]] = field(default_factory=list)  # (post id, severity)
    quiet_on: list[tuple[int, str]] = field(default_factory=list)
    shifted_on: list[tuple[int, str]] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        return bool(self.fired or self.quiet or self.shifted)

    def add(self, other: RuleChange) -> None:
        for name in ("before", "after", "fired", "quiet", "shifted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("fired_on", "quiet_on", "shifted_on"):
            if more := getattr(other, name):
                setattr(self, name, sorted([*getattr(self, name), *more])[-MOST_REFERENCES:])


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a change would have done. `mails` counts, by agency and ISO week of the posts, mails before and after.

    `lost` are posts with a confirmed alert that would alert nobody any more, with their cases.
    """

    posts: int = 0
    versions: int = 0
    failed: int = 0  # texts that a rule could not judge
    rules: dict[str, RuleChange] = field(default_factory=dict)
    mails: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    lost: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.posts += other.posts
        self.versions += other.versions
        self.failed += other.failed
        for rule, change in other.rules.items():
            self.rules.setdefault(rule, RuleChange()).add(change)
        for key, (before, after) in other.mails.items():
            known = self.mails.get(key, (0, 0))
            self.mails[key] = (known[0] + before, known[1] + after)
        self.lost = sorted([*self.lost, *other.lost])


def replay(piece: Piece, comparison: Comparison) -> Outcome:
    """Evaluate the posts and sum up what differs."""
    outcome = Outcome(posts=piece.posts, versions=piece.versions)
    rules = comparison.evaluated
    texts = piece.texts
    looks = [*map(_Look, count(), texts), *_passages(texts)]
    answers = _by_halves(rules.sieve.suspected_of, [one.text for one in looks], None, outcome)
    suspected: dict[int, list[tuple[Suspected, int | None]]] = {}
    for look, one in zip(looks, answers, strict=True):
        if one is not None:
            suspected.setdefault(look.number, []).append((one, look.start))
    posts = list(piece.worth(list(suspected)))
    suspicions = [list(_suspicions(post, suspected)) for post in posts]
    every = [one for several in suspicions for one in several]
    none: list[Finding] = []
    findings = iter(_by_halves(partial(convict_all, rules), every, none, outcome))
    for post, several in zip(posts, suspicions, strict=True):
        found = _gravest(one for told in islice(findings, len(several)) for one in told)
        if found or post.stored:
            _compare(post, found, comparison, outcome)
    return outcome


def _by_halves(do: Callable[[Sequence[T]], Sequence[R]], texts: Sequence[T], nothing: R, outcome: Outcome) -> list[R]:
    """Do it to all texts at once; where one makes it fail, that one is counted, and nothing comes of it alone."""
    try:
        return list(do(texts))
    except Exception:  # noqa: BLE001 (one poison text must not stop a million others)
        if len(texts) <= 1:
            outcome.failed += len(texts)
            return [nothing] * len(texts)
    middle = len(texts) // 2
    return [one for half in (texts[:middle], texts[middle:]) for one in _by_halves(do, half, nothing, outcome)]


def _passages(texts: Sequence[str]) -> Iterator[_Look]:
    for number, text in enumerate(texts):
        if text and len(text) >= LONG:
            for start, end in passages(text):
                yield _Look(number, text[start:end], start)


def _suspicions(
    post: ArchivedPost, suspected: Mapping[int, Sequence[tuple[Suspected, int | None]]]
) -> Iterator[Suspicion]:
    for version in post.versions:
        subject = _subject(post, version)
        for number, name in enumerate(version.fields, version.first):
            for one, start in suspected.get(number, ()):
                yield Suspicion(one, subject, name, None, start)


def _gravest(findings: Iterable[Finding]) -> dict[str, Strength]:
    """Return the rules that fire on any text of a post, each at its gravest."""
    found: dict[str, Strength] = {}
    for one in findings:
        _raise(found, one.rule, (one.severity, not one.shadow))
    return found


def _subject(post: ArchivedPost, version: Version) -> Subject:
    holder = post.holder
    return Subject(
        fields=version.fields,
        platform=holder.platform,
        agency=holder.agency,
        agency_kind=holder.agency_kind,
        kind=post.kind,
        language=version.language,
        published_at=post.published_at,
    )


def _raise(found: dict[str, Strength], rule: str, strength: Strength) -> None:
    known = found.get(rule)
    if known is None or strength > known:
        found[rule] = strength


def _compare(post: ArchivedPost, found: Mapping[str, Strength], comparison: Comparison, outcome: Outcome) -> None:
    stored: dict[str, Strength] = {}
    for rule, severity, live in post.stored:
        _raise(stored, rule, (severity, live))
    if comparison.before_is_stored:
        before = stored
        after = {**found, **{rule: one for rule, one in stored.items() if rule in comparison.unchanged}}
        same: dict[str, Strength] = {}
    else:
        before = {rule.removesuffix(BEFORE): one for rule, one in found.items() if rule.endswith(BEFORE)}
        after = {rule: one for rule, one in found.items() if not rule.endswith(BEFORE)}
        same = {rule: one for rule, one in stored.items() if rule in comparison.unchanged}
    for rule in before.keys() | after.keys():
        _count(outcome.rules.setdefault(rule, RuleChange()), post.id, before.get(rule), after.get(rule))
    alerted = [any(map(_alerts, (*side.values(), *same.values()))) for side in (before, after)]
    if any(alerted):
        key = (post.holder.agency, week_of(post.published_at))
        known = outcome.mails.get(key, (0, 0))
        outcome.mails[key] = (known[0] + alerted[0], known[1] + alerted[1])
    if alerted == [True, False]:
        outcome.lost += [(post.id, case) for case in post.confirmed]


def _alerts(strength: Strength) -> bool:
    severity, live = strength
    return live and severity.alerts


def _count(change: RuleChange, post_id: int, before: Strength | None, after: Strength | None) -> None:
    change.before += before is not None
    change.after += after is not None
    if before is None and after is not None:
        change.fired += 1
        _refer(change.fired_on, post_id, _shown(after))
    elif before is not None and after is None:
        change.quiet += 1
        _refer(change.quiet_on, post_id, _shown(before))
    elif before is not None and after is not None and before != after:
        change.shifted += 1
        _refer(change.shifted_on, post_id, f"{_shown(before)} → {_shown(after)}")


def _shown(strength: Strength) -> str:
    severity, live = strength
    return severity.label if live else f"{severity.label} (shadow)"


def _refer(references: list[tuple[int, str]], post_id: int, shown: str) -> None:
    insort(references, (post_id, shown))
    del references[:-MOST_REFERENCES]


def week_of(moment: datetime) -> str:
    year, week, _ = moment.astimezone(MALAYSIA).isocalendar()
    return f"{year:04d}-W{week:02d}"


# ---------------------------------------------------------------- as JSON, for a checkpoint


def to_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "posts": outcome.posts,
        "versions": outcome.versions,
        "failed": outcome.failed,
        "rules": {
            rule: {name: getattr(change, name) for name in RuleChange.__slots__}
            for rule, change in outcome.rules.items()
        },
        "mails": [[*key, *counts] for key, counts in outcome.mails.items()],
        "lost": outcome.lost,
    }


def from_json(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    return Outcome(
        posts=int(data["posts"]),
        versions=int(data["versions"]),
        failed=int(data["failed"]),
        rules={rule: _change_from(change) for rule, change in data["rules"].items()},
        mails={(agency, week): (int(before), int(after)) for agency, week, before, after in data["mails"]},
        lost=[(int(post_id), str(case)) for post_id, case in data["lost"]],
    )


def _change_from(data: Mapping[str, Any]) -> RuleChange:
    lists = {name: [(int(number), str(shown)) for number, shown in data[name]] for name in data if name.endswith("_on")}
    return RuleChange(**{**data, **lists})
