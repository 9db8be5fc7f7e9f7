"""What an edit changed, word by word, for people to read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import islice

MOST_WORDS = 2000  # of a version that are compared: the time grows with their square
AROUND = 4  # unchanged words shown beside a change


class Change(StrEnum):
    SAME = " "
    GONE = "-"
    NEW = "+"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words in a row, and what became of them."""

    change: Change
    words: tuple[str, ...]


def difference(old: str, new: str) -> list[Piece]:
    """Return the pieces of both versions in order. Of very long ones the first words alone are compared."""
    before, after = _words(old), _words(new)
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece(Change.SAME, before[i1:i2]))
            continue
        pieces += [Piece(Change.GONE, before[i1:i2])] if i1 < i2 else []
        pieces += [Piece(Change.NEW, after[j1:j2])] if j1 < j2 else []
    return pieces


def counted(old: str, new: str) -> tuple[int, int]:
    """Return how many words are gone, and how many are new: all that is told where the words themselves must not be."""
    pieces = difference(old, new)
    gone, came = (sum(len(p.words) for p in pieces if p.change is kind) for kind in (Change.GONE, Change.NEW))
    return gone, came


def shown(old: str, new: str) -> str:
    """Return the changes with some words around each: [-gone-] and {+new+}, as `git diff --word-diff` marks them."""
    return " ".join(filter(None, map(_shown, difference(old, new))))


def _shown(piece: Piece) -> str:
    words = " ".join(piece.words)
    if piece.change is Change.GONE:
        return f"[-{words}-]"
    if piece.change is Change.NEW:
        return f"{{+{words}+}}"
    return words if len(piece.words) <= 2 * AROUND + 1 else " ".join(_ends(piece.words))


def _ends(words: tuple[str, ...]) -> Iterator[str]:
    yield from (*words[:AROUND], "…", *words[-AROUND:])


def _words(text: str) -> tuple[str, ...]:
    return tuple(match[0] for match in islice(re.finditer(r"\S+", text), MOST_WORDS))
