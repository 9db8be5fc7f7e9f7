"""The passages of a long text, which are judged by themselves too: a breach may stand between paragraphs of notices.

How a whole text sounds says little of one paragraph in it, and neither do words in another one that weaken or excuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from monitor.rules.text import Span

LONG = 240  # characters; shorter texts are one thought
SHORTEST = 60  # a heading belongs to what it heads
MOST = 40  # of one text: those of a longer text are longer
SEEN = 20_000  # characters at its beginning in which they are looked for; both bound the time that one text takes
LONGEST = 480  # a longer paragraph is parted at its lines
_BREAKS = (
    re.compile(r"\n[^\S\n]*\n\s*"),
    re.compile(r"\n\s*(?=[^\sa-z])"),  # where a small letter follows, a page was too narrow for the sentence
)


def passages(text: str) -> Sequence[Span]:
    """Return where the passages of a text stand, in their order; none where it has no more than one."""
    if len(text) < LONG:
        return ()
    seen = min(len(text), SEEN)
    shortest = max(SHORTEST, seen // MOST)
    joined: list[Span] = []
    for start, end in _pieces(text, 0, seen, 0):
        if joined and (joined[-1][1] - joined[-1][0] < shortest or end - start < SHORTEST // 2):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined if len(joined) > 1 else ()


def _pieces(text: str, start: int, end: int, level: int) -> Iterator[Span]:
    """Yield the paragraphs between two places, and of one that is too long its lines."""
    if level == len(_BREAKS) or (level and end - start <= LONGEST):
        yield start, end
        return
    begin = start
    for found in _BREAKS[level].finditer(text, start, end):
        if found.start() > begin:
            yield from _pieces(text, begin, found.start(), level + 1)
        begin = found.end()
    if begin < end:
        yield from _pieces(text, begin, end, level + 1)
