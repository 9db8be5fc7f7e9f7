"""Where pieces of text lie on a page: the page's angle, and which of them make one line. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LENGTHWISE = 1.5  # a piece this many times longer than high shows which way its line runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A box around some text: its middle, its length along the line, its height, the line's angle in degrees."""

    x: float
    y: float
    length: float
    height: float
    angle: float

    def scaled(self, factor: float) -> Piece:
        """Return the same piece on a picture that is so many times as large."""
        sizes = (self.x * factor, self.y * factor, self.length * factor, self.height * factor)
        return Piece(x=sizes[0], y=sizes[1], length=sizes[2], height=sizes[3], angle=self.angle)


def page_angle(pieces: Sequence[Piece]) -> float:
    """Return the angle most of the text runs along, in [-90, 90): long pieces count by their length."""
    long = [piece for piece in pieces if piece.length >= LENGTHWISE * piece.height]
    if not long:
        return 0.0

    def backing(one: Piece) -> float:
        return sum(other.length for other in long if abs(apart(one.angle, other.angle)) <= 5)

    best = max(long, key=backing).angle
    near = [(apart(piece.angle, best), piece.length) for piece in long if abs(apart(piece.angle, best)) <= 5]
    shift = sum(off * length for off, length in near) / sum(length for _, length in near)
    return (best + shift + 90) % 180 - 90


def apart(one: float, other: float) -> float:
    """Return the angle between two lines, in [-90, 90)."""
    return (one - other + 90) % 180 - 90


def same_place(one: Piece, other: Piece) -> bool:
    """Return whether `one` lies in `other`, is about as high and runs the same way: the same words, seen twice."""
    along = math.radians(other.angle)
    x, y = one.x - other.x, one.y - other.y
    inside = (
        abs(x * math.cos(along) + y * math.sin(along)) < other.length / 2
        and abs(y * math.cos(along) - x * math.sin(along)) < other.height / 2
    )
    return inside and abs(apart(one.angle, other.angle)) < 8 and one.height < 1.7 * other.height


def rows(found: Sequence[tuple[Piece, str]], page: float) -> list[str]:
    """Return the lines in reading order: what stands on one line along the page's angle is joined.

    A wide gap, as between two columns of a table, becomes a tab.
    """
    cos, sin = math.cos(math.radians(page)), math.sin(math.radians(page))
    placed = sorted(
        ((piece.x * cos + piece.y * sin, piece.y * cos - piece.x * sin, piece, text) for piece, text in found),
        key=lambda one: one[0] - one[2].length / 2,
    )
    lined: list[list[tuple[float, float, Piece, str]]] = []
    for one in placed:
        row = min(
            (row for row in lined if _beside(row[-1], one)), key=lambda row: abs(row[-1][1] - one[1]), default=None
        )
        if row is None:
            lined.append([one])
        else:
            row.append(one)
    lined.sort(key=lambda row: sum(y for _, y, _, _ in row) / len(row))
    return [_joined(row) for row in lined]


def _beside(left: tuple[float, float, Piece, str], right: tuple[float, float, Piece, str]) -> bool:
    (x, y, one, _), (other_x, other_y, other, _) = left, right
    lower, higher = sorted((one.height, other.height))
    starts, ends = other_x - other.length / 2, x + one.length / 2
    return abs(y - other_y) < 0.5 * lower and higher < 3 * lower and starts > ends - lower


def _joined(row: Sequence[tuple[float, float, Piece, str]]) -> str:
    text = row[0][3]
    for (x, _, left, _), (other_x, _, right, words) in pairwise(row):
        gap = (other_x - right.length / 2) - (x + left.length / 2)
        text += ("\t" if gap > 1.5 * max(left.height, right.height) else " ") + words
    return text
