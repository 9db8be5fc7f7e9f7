"""What was wrong with an input, where, and what to do: the shape of every mistake Pantau reports."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

MOST_NAMED = 30  # of the words that are known; more of them bury what is wrong


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One mistake in an input.

    `file` is a path as the person knows it, `place` is a line or a dotted key inside it,
    `message` says what is wrong and what to do.
    """

    file: str
    place: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.message) if part)


class ConfigurationError(Exception):
    """Input that cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def suggestion(word: str, known: Iterable[str], *, aliases: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return "; did you mean …?" for the known word nearest to `word`, or the list of known words unless it is long.

    A near alias (an old name) suggests the word that it stands for.
    """
    names = sorted(known)
    written = {name.casefold(): name for name in names} | {old.casefold(): new for old, new in aliases.items()}
    near = difflib.get_close_matches(word.casefold(), written, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {written[near[0]]}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= MOST_NAMED else ""
