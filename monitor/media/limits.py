"""What a file may cost, and what it is when it costs more."""

from __future__ import annotations

import time
from dataclasses import dataclass

MOST_BYTES = 20_000_000
MOST_UNPACKED_BYTES = 100_000_000  # of a zip archive, counted while it unpacks
MOST_PAGES = 100
MOST_PICTURES = 20  # recognised in one file: scanned pages, pictures in a document, frames of an animation
MOST_PIXELS = 50_000_000
MOST_CHARACTERS = 500_000
RECOGNITION_SECONDS = 40.0  # for all pictures of one file; then what was read so far stands
EXTRA = "reading it needs pantau[media]; install it with `pip install 'pantau[media]'`"


class Unreadable(Exception):
    """The file gave no text, for the reason in the message. Never holds what is in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The text of a file. `left_out` says what was not read of it, or is empty."""

    text: str
    left_out: str = ""


class Budget:
    """Counts what one file costs; each step asks before it takes."""

    def __init__(self) -> None:
        self.left_out = ""
        self._pictures = MOST_PICTURES
        self._characters = MOST_CHARACTERS
        self._until = time.monotonic() + RECOGNITION_SECONDS

    def picture(self) -> bool:
        """Take one picture; False when enough were read."""
        if self._pictures <= 0 or time.monotonic() > self._until:
            self.left_out = self.left_out or "some of its pictures were not read: there are too many"
            return False
        self._pictures -= 1
        return True

    def text(self, words: str) -> str:
        """Return what may still be kept of `words`."""
        kept = words[: self._characters]
        if len(kept) < len(words):
            self.left_out = "the text was cut: it is too long"
        self._characters -= len(kept)
        return kept

    def over(self, length: int) -> bool:
        """Return whether so many characters are more than will be kept."""
        return length > self._characters
