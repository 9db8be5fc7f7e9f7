"""Parts of a rule that ask about what happened before: same text elsewhere, bursts, hours, domains, profile, language.

Pure: a `History` answers for one post, and is asked only when a rule's other parts leave the matter open. What is not
known does not match. A new condition is one small class and its entry in KINDS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from monitor.model import MALAYSIA, PROFILE_FIELDS, Subject
from monitor.problems import suggestion
from monitor.rules import language
from monitor.rules.conditions import And, Condition, Near, Not, Or
from monitor.rules.conditions import Part as Asked
from monitor.rules.detectors.links import domains
from monitor.rules.document import Value
from monitor.rules.parts import Part, Triggers
from monitor.rules.text import Span, Text, fold, single
from monitor.settings.values import duration

NOWHERE: Span = (0, 0)  # the match of a part that holds of the whole post
MOST_WITHIN = timedelta(days=31)
LEAST_LETTERS = 25  # of a text before it can be "the same": greetings are everybody's
LEAST_POSTS_FOR_HOURS = 50  # known posts before an hour, a domain or a language can be unusual
LEAST_POSTS_FOR_DOMAINS = 20
LEAST_POSTS_FOR_LANGUAGES = 20
RARE = 50  # one post in so many is "hardly ever"
EXAMPLE_AT = datetime(2026, 1, 5, 2, 0, tzinfo=MALAYSIA)  # when the posts of a rule's own tests were published


class Copies(NamedTuple):
    """How many registered accounts, and of how many agencies, published one text; this account included."""

    accounts: int = 1
    agencies: int = 1


class Known(NamedTuple):
    """The registered domains that an account linked to before, and out of how many posts that is known."""

    posts: int
    domains: Container[str]


ALONE = Copies()
NOTHING_KNOWN = Known(0, ())


class History(Protocol):
    """What is known around one post, at the moment of it. Every answer may cost a query: ask late."""

    def accounts_with_same_text(self, within: timedelta) -> Copies:
        """Count accounts that published the same text at most `within` before or after."""

    def posts_within(self, within: timedelta) -> int:
        """Count the account's posts in the time before, this one included."""

    def hours(self) -> Sequence[int]:
        """Return how many earlier posts the account published in each hour of the day, Malaysian time."""

    def known_domains(self) -> Known:
        """Return the domains of the account's earlier posts."""

    def profile_changes(self, within: timedelta) -> frozenset[str]:
        """Return which of PROFILE_FIELDS were seen to change at most `within` before or after."""

    def languages(self) -> Mapping[str, int]:
        """Return how many earlier posts of the account are in each language, as `language.guess` tells them."""


# ---------------------------------------------------------------- the conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPart:
    """Is a `Part` that matches nowhere in a text; whether it holds, a history says."""

    keys: ClassVar[tuple[str, ...]] = ()  # of the part in a rule file, beside `history`
    required: ClassVar[tuple[str, ...]] = ()

    @property
    def triggers(self) -> Triggers:
        return Triggers(always=True)

    def find(self, text: Text) -> list[Span]:  # noqa: ARG002 (a text alone tells no history)
        return []

    def may_hold(self, subject: Subject, text: Text) -> bool:  # noqa: ARG002
        """Tell whether it could hold, by the post alone: else its history is not asked."""
        return True

    def holds(self, subject: Subject, text: Text, history: History) -> bool:
        raise NotImplementedError

    @classmethod
    def read(cls, keys: Mapping[str, Value]) -> Self | None:
        """Return the part as its keys ask for it; None after a mistake was reported."""
        read = {key: _READERS[key](value) for key, value in keys.items()}
        return cls(**read) if None not in read.values() else None

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        """Return what a rule's own test says, as fields of `Stated`; None after a mistake was reported."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SameText(HistoryPart):
    """The same text on several registered accounts."""

    keys: ClassVar = ("accounts", "agencies", "within")
    required: ClassVar = ("accounts", "within")
    accounts: int
    within: timedelta
    agencies: int = 1

    def holds(self, subject: Subject, text: Text, history: History) -> bool:  # noqa: ARG002
        copies = history.accounts_with_same_text(self.within)
        return copies.accounts >= self.accounts and copies.agencies >= self.agencies

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        """Return N accounts of as many agencies; `[5, 1]`: five accounts of one agency."""
        if value.is_list:
            counts = [item.integer(least=1, most=9_999) for item in value.items()]
            if len(counts) != 2:
                value.wrong("expected [accounts, agencies]")
            return {"copies": Copies(*counts)} if len(counts) == 2 and None not in counts else None  # type: ignore[arg-type]  # no None
        count = value.integer(least=1, most=9_999)
        return {"copies": Copies(count, count)} if count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posts(HistoryPart):
    """Many posts of the account in a short time."""

    keys: ClassVar = ("at_least", "within")
    required: ClassVar = ("at_least", "within")
    at_least: int
    within: timedelta

    def holds(self, subject: Subject, text: Text, history: History) -> bool:  # noqa: ARG002
        return history.posts_within(self.within) >= self.at_least

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        count = value.integer(least=1, most=9_999)
        return {"posts": count} if count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusualHour(HistoryPart):
    """An hour, or one beside it, in which the account hardly ever publishes."""

    def holds(self, subject: Subject, text: Text, history: History) -> bool:  # noqa: ARG002
        if subject.published_at is None:
            return False
        hours = history.hours()
        if sum(hours) < LEAST_POSTS_FOR_HOURS:
            return False
        hour = subject.published_at.astimezone(MALAYSIA).hour
        return sum(hours[(hour + step) % 24] for step in (-1, 0, 1)) * RARE <= sum(hours)

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        is_so = value.choice(_YES_OR_NO)
        by_day = [0] * 9 + [10] * 8 + [0] * 7
        return None if is_so is None else {"at": tuple(by_day) if is_so else (10,) * 24}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain(HistoryPart):
    """A link to a registered domain that the account never linked to before; one of the government's is no news."""

    keys: ClassVar = ("other_than",)
    other_than: frozenset[str] = frozenset()  # domains and suffixes that are no news either

    def may_hold(self, subject: Subject, text: Text) -> bool:
        return bool(self._news(subject, text))

    def holds(self, subject: Subject, text: Text, history: History) -> bool:
        linked = self._news(subject, text)
        if not linked:
            return False
        known = history.known_domains()
        return known.posts >= LEAST_POSTS_FOR_DOMAINS and any(name not in known.domains for name in linked)

    def _news(self, subject: Subject, text: Text) -> list[str]:
        no_news = self.other_than | {OFFICIAL}
        return [name for name in linked_domains(text.folded, subject.links) if not is_below(name, no_news)]

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        is_so = value.choice(_YES_OR_NO)
        return None if is_so is None else {"linked": Known(LEAST_POSTS_FOR_DOMAINS if is_so else 0, ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChanged(HistoryPart):
    """Name, handle, picture or bio of the account changed."""

    keys: ClassVar = ("fields", "within")
    required: ClassVar = ("within",)
    within: timedelta
    fields: frozenset[str] = frozenset(PROFILE_FIELDS)

    def holds(self, subject: Subject, text: Text, history: History) -> bool:  # noqa: ARG002
        return not self.fields.isdisjoint(history.profile_changes(self.within))

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        fields = _fields(value)
        return None if fields is None else {"changed": fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherLanguage(HistoryPart):
    """A language that the account hardly ever writes in."""

    def may_hold(self, subject: Subject, text: Text) -> bool:  # noqa: ARG002
        return language.guess(text.original) != language.UNKNOWN

    def holds(self, subject: Subject, text: Text, history: History) -> bool:  # noqa: ARG002
        spoken = language.guess(text.original)
        if spoken == language.UNKNOWN:
            return False
        told = {name: count for name, count in history.languages().items() if name != language.UNKNOWN}
        return sum(told.values()) >= LEAST_POSTS_FOR_LANGUAGES and told.get(spoken, 0) * RARE <= sum(told.values())

    @staticmethod
    def stated(value: Value) -> dict[str, Any] | None:
        is_so = value.choice(_YES_OR_NO)
        return None if is_so is None else {"spoken": {"another": LEAST_POSTS_FOR_LANGUAGES} if is_so else {}}


KINDS: Mapping[str, type[HistoryPart]] = {
    "same-text": SameText,
    "posts": Posts,
    "unusual-hour": UnusualHour,
    "new-domain": NewDomain,
    "profile-changed": ProfileChanged,
    "other-language": OtherLanguage,
}


# ---------------------------------------------------------------- as rule files write them

_YES_OR_NO = {"true": True, "false": False}


def _within(value: Value) -> timedelta | None:
    text = value.text()
    try:
        span = duration(text) if text is not None else None
    except ValueError as error:
        value.wrong(str(error))
        return None
    if span is not None and span > MOST_WITHIN:
        value.wrong(f"'{text}': at most {MOST_WITHIN.days}d")
        return None
    return span


def _fields(value: Value) -> frozenset[str] | None:
    names = value.texts()
    unknown = [name for name in names if name not in PROFILE_FIELDS]
    for name in unknown:
        value.wrong(f"'{name}': unknown{suggestion(name, PROFILE_FIELDS)}")
    return frozenset(names) if names and not unknown else None


def _suffixes(value: Value) -> frozenset[str] | None:
    names = [name.casefold() for name in value.texts()]
    wrong = [name for name in names if not re.fullmatch(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", name)]
    for name in wrong:
        value.wrong(f"'{name}': expected a domain or a suffix, such as youtube.com or my")
    return frozenset(names) if names and not wrong else None


_READERS: Mapping[str, Any] = {
    "accounts": lambda value: value.integer(least=2, most=9_999),
    "agencies": lambda value: value.integer(least=1, most=9_999),
    "at_least": lambda value: value.integer(least=2, most=9_999),
    "within": _within,
    "fields": _fields,
    "other_than": _suffixes,
}


def read_part(value: Value) -> HistoryPart | None:
    """Return the part that a mapping with the key `history` asks for; None after a mistake was reported."""
    every = {key for kind in KINDS.values() for key in kind.keys}
    name = value.peek("history")
    kind = KINDS.get(name) if name is not None else None
    keys = value.keys(("history", *(kind.keys if kind else every)), required=kind.required if kind else ())
    if kind is None:
        keys["history"].choice(KINDS)
        return None
    own = {key: inner for key, inner in keys.items() if key != "history"}
    return kind.read(own) if set(kind.required) <= own.keys() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The history that a rule's own test states. Is a `History`."""

    copies: Copies = ALONE
    posts: int = 1
    at: Sequence[int] = ()
    linked: Known = NOTHING_KNOWN
    changed: frozenset[str] = frozenset()
    spoken: Mapping[str, int] = field(default_factory=dict)

    def accounts_with_same_text(self, within: timedelta) -> Copies:  # noqa: ARG002
        return self.copies

    def posts_within(self, within: timedelta) -> int:  # noqa: ARG002
        return self.posts

    def hours(self) -> Sequence[int]:
        return self.at

    def known_domains(self) -> Known:
        return self.linked

    def profile_changes(self, within: timedelta) -> frozenset[str]:  # noqa: ARG002
        return self.changed

    def languages(self) -> Mapping[str, int]:
        return self.spoken


def read_stated(value: Value) -> Stated:
    """Return the history of a rule's own test: the kinds of KINDS, each with what is so."""
    facts: dict[str, Any] = {}
    for name, inner in value.keys(KINDS).items():
        facts |= KINDS[name].stated(inner) or {}
    return Stated(**facts)


# ---------------------------------------------------------------- in a condition


def asking(parts: Mapping[str, Part]) -> frozenset[str]:
    """Return the names of the parts that ask about history."""
    return frozenset(name for name, part in parts.items() if isinstance(part, HistoryPart))


def mistakes(condition: Condition, parts: Mapping[str, Part]) -> list[str]:
    """Say what a condition wants of a part about history that it cannot give: a place, a count, an absence."""
    names = asking(parts)
    found = []
    for one in _every(condition):
        inside = sorted(names.intersection(one.parts()))
        if isinstance(one, Near) and inside:
            found.append(f"'{inside[0]}' asks about history and stands nowhere in the text; join it with and, not near")
        if isinstance(one, Not) and inside:
            found.append(f"'{inside[0]}' asks about history, of which little may be known; not cannot stand before it")
        if isinstance(one, Asked) and inside and one.at_least > 1:
            found.append(f"'{one.name}' asks about history and matches once at most; put the number into the part")
    return found


def _every(condition: Condition) -> list[Condition]:
    match condition:
        case And() | Or() | Near():
            return [condition, *_every(condition.left), *_every(condition.right)]
        case Not():
            return [condition, *_every(condition.inner)]
    return [condition]


# ---------------------------------------------------------------- what a text is known by

_ADDRESS = re.compile(r"https?://\S+")
_NO_LETTERS = re.compile(r"[\W\d_]+")
OFFICIAL = "gov.my"
_WRAPPER = "t.co"  # X puts it around every address


@lru_cache(maxsize=512)
def text_key(text: str) -> str | None:
    """Return what equal texts share whatever their links, spacing, signs and repeated letters; None for short ones."""
    letters = _NO_LETTERS.sub("", single(_NO_LETTERS.sub("", _ADDRESS.sub(" ", fold(text)))))
    if len(letters) < LEAST_LETTERS:
        return None
    return hashlib.blake2b(letters.encode("utf-8", "replace"), digest_size=16).hexdigest()


def linked_domains(folded: str, links: Sequence[str] = ()) -> set[str]:
    """Return the registered domains behind the links of a folded text, and behind those that the platform names."""
    named = " ".join(links).casefold()
    return {name for name, _ in (*domains(folded), *domains(named)) if name != _WRAPPER}


def is_below(domain: str, others: AbstractSet[str]) -> bool:
    """Tell whether a domain is one of the others or lies below one."""
    labels = domain.split(".")
    return any(".".join(labels[n:]) in others for n in range(len(labels)))
