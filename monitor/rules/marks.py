"""What the look of a text tells the learned opinion, whatever its words say. Pure, and quick.

Words of writers of whom the model never read anything say little to it; how they write says more: a leak told in
passing is short and begins small, a notice has lines, times and full stops, a list of people capitals in its midst.
Each kind of thing is counted, and its mark names the greatest step that the count reaches; it stands for the smaller
ones too, so that what is learned of few holds for many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LONGEST = 4_000  # characters that are looked at; what comes later changes nothing

# Small letters stand as `a`, capitals as `A`, figures as `0`; of every character beyond ASCII its first byte.
_SHAPES = bytes.maketrans(
    b"bcdefghijklmnopqrstuvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"a" * 25 + b"A" * 25 + b"0" * 9
)
_LATER_BYTES = bytes(range(0x80, 0xC0))
_TYPESET, _EMOJI = b"\xe2", b"\xf0"  # the first bytes of typeset quotes and dashes, and of emoji
_COUNTED: Mapping[str, tuple[tuple[bytes, ...], tuple[int, ...]]] = {
    "words": ((b" ", b"\n"), (4, 8, 12, 17, 23, 30, 40, 55)),
    "capitalised": ((b"a Aa", b", Aa"), (1, 2, 3, 5, 8)),  # in the midst of a sentence
    "in capitals": ((b"AAA",), (1, 2, 4, 8)),
    "capitals": ((b"A",), (1, 2, 4, 7, 12, 20)),
    "figures": ((b"0",), (1, 3, 6, 10, 16, 30)),
    "numbers": ((b" 0", b"\n0"), (1, 2, 4, 7)),
    "long numbers": ((b"00000",), (1, 2, 4)),
    "!": ((b"!",), (1, 2, 3)),
    "?": ((b"?",), (1, 2)),
    "..": ((b"..",), (1, 2)),
    "(": ((b"(",), (1, 2)),
    ":": ((b":",), (1, 2, 4)),
    "lines": ((b"\n",), (1, 2, 4, 8)),
    "quotes": ((b'"', _TYPESET), (1, 2, 4)),
    "emoji": ((_EMOJI,), (1, 2, 4)),
    "#": ((b"#",), (1, 2, 4)),
    "@": ((b"@",), (1,)),
    ",": ((b",",), (1, 2, 3, 5, 8)),
    "sentences": ((b". ", b".\n"), (1, 2, 3, 5)),
    "%": ((b"%",), (1,)),
    "/": ((b"/",), (1, 3)),
    "-": ((b"-",), (1, 2, 4)),
    "'": ((b"'",), (1, 2)),
    ";": ((b";",), (1,)),
}
_ENDS = {b".": "ends .", b"a": "ends a", b"A": "ends a", b"0": "ends a"}
_BEGINS = {b"a": "begins a"}


def marks(text: str) -> Sequence[str]:
    """Return the marks of a text as it was written, one a kind at most. Each has a space in it: none is a word."""
    shape = text[:LONGEST].encode(errors="replace").translate(_SHAPES, _LATER_BYTES)
    count = shape.count
    found = [reached[min(count(sign), last)] for sign, reached, last in _OF_ONE]
    found += [reached[min(count(one) + count(other), last)] for one, other, reached, last in _OF_TWO]
    found += _ENDS.get(shape.rstrip()[-1:], ""), _BEGINS.get(shape[:1], "")
    return list(filter(None, found))


def upto(mark: str) -> Sequence[str]:
    """Return the mark and the smaller ones of its kind."""
    return _UPTO.get(mark, (mark,))


def _reached(name: str, steps: Sequence[int]) -> Sequence[str]:
    """Return the mark of each count up to the greatest step."""
    return [
        max(((step, f"{name} {step}") for step in steps if step <= count), default=(0, ""))[1]
        for count in range(steps[-1] + 1)
    ]


_OF_ONE = [(signs[0], _reached(name, steps), steps[-1]) for name, (signs, steps) in _COUNTED.items() if len(signs) == 1]
_OF_TWO = [(*signs, _reached(name, steps), steps[-1]) for name, (signs, steps) in _COUNTED.items() if len(signs) == 2]
_UPTO: Mapping[str, Sequence[str]] = {
    f"{name} {steps[place]}": [f"{name} {step}" for step in steps[: place + 1]]
    for name, (_, steps) in _COUNTED.items()
    for place in range(len(steps))
}
EVERY: Sequence[str] = [*_UPTO, *dict.fromkeys(_ENDS.values()), *_BEGINS.values()]
