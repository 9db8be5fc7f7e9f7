"""What of a post may leave the process. Pure; every mail, log line, metric and page title goes through here.

An alert does not repeat the leak: the strictest level of all findings of a post decides. Whatever leaves is made
harmless as well: no control characters, no bidirectional overrides, nothing invisible, no live links.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from monitor.model import PROFILE_FIELDS, Disclosure, Finding, Profile

EXCERPT_LIMIT = 280  # code points, masks included
MASK = "█████"  # always this long: the length of what was masked must not tell
ELLIPSIS = "…"
_HIDDEN = "\ue000"  # stands for one masked stretch while an excerpt is cut; private-use input never gets this far
_DROPPED = frozenset({"Cf", "Cs", "Co", "Cn"})  # invisible, bidirectional, surrogates, private use, unassigned
_SPACES = frozenset({"Cc", "Zl", "Zp", "Zs"})
_ARROW = "→"
_MARKS_IN_A_ROW = 3  # towers of combining marks cover the lines around them
_WINDOWS = 3  # matches that get a piece of the excerpt of their own

# Repetitions are bounded, so that no text, however long, makes these slow.
_DIGITS = re.compile(r"\d(?:[\s./()–—‑-]{0,2}\d){4,}")
_MAIL = re.compile(r"[\w.+%-]{1,64}\s?[@＠]\s?[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
_NAMED_SECRET = re.compile(
    r"(?:kata\s{0,3}laluan|pass\s?word|passwd|pwd|pin|token|api[_ -]?key|secret|kunci)\s{0,3}[:=]\s{0,3}(\S{1,200})",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[A-Za-z0-9_+/=.-]{16,}")
_ODD = re.compile(r"[^ -~]+")  # all else is seen as it is
_SCHEME = re.compile(r"://")
_DOT_IN_A_NAME = re.compile(r"(?<=[A-Za-z0-9-])\.(?=[a-z]{2})")


def level_of(findings: Iterable[Finding]) -> Disclosure:
    """Return the strictest level of the findings; NONE when there is none to allow more."""
    return min((finding.disclosure for finding in findings), default=Disclosure.NONE)


def one_line(text: str, *, limit: int = 200) -> str:
    """Return `text` as one visible line of at most `limit` code points, fit for a header, a log or a title."""
    line = " ".join(_ODD.sub(_visible_run, text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + ELLIPSIS


def excerpt(text: str, findings: Sequence[Finding], level: Disclosure, *, sealed: bool = False) -> str | None:
    """Return what a mail may show of a post's text: None, a masked excerpt, or a plain one.

    `level` is the alert's; the findings can only make it stricter. Spans of other fields (pictures, documents) are
    not in this text. The result is one line of at most EXCERPT_LIMIT code points with its links made dead. `sealed`:
    the mail is encrypted for its reader, who may see the masked excerpt where others see none.
    """
    level = min(level, level_of(findings))
    if level is Disclosure.NONE:
        if not sealed:
            return None
        level = Disclosure.MASKED
    visible, origin = _visible(text)
    spans = [
        (bisect_left(origin, start), bisect_left(origin, end))
        for finding in findings
        if finding.field == "text"
        for start, end in finding.spans
    ]
    matches = _merged(spans)
    if level is Disclosure.FULL:
        return _cut(visible, [start for start, _ in matches])
    hidden, focus = _hide(visible, matches)
    return _cut(hidden, focus)


def name_shown(name: str, level: Disclosure, *, limit: int = 80) -> str:
    """Return what a mail may show of a name that an account gives itself: public, but a hijacker may have written it.

    Empty at NONE; else one line with dead links, and below FULL with what looks like personal data masked.
    """
    if level is Disclosure.NONE:
        return ""
    visible, _ = _visible(name)
    hidden = visible if level is Disclosure.FULL else _hide(visible, ())[0]
    return one_line(_harmless(hidden).replace(_HIDDEN, MASK), limit=limit)


def profile_detail(before: Profile, after: Profile) -> str:
    """Return what differs between two snapshots as an alert's detail: a line a field, "name: Jabatan Digital → Shib".

    Picture and description are only named as changed. `profile_changes` reads it back.
    """
    changed = after.changes_since(before)
    told = {"name": (before.name, after.name), "handle": (before.handle, after.handle)}
    lines = []
    for field in (field for field in PROFILE_FIELDS if field in changed):
        old, new = (one_line(value).replace(_ARROW, "->") for value in told.get(field, ("", "")))
        lines.append(f"{field}: {old} {_ARROW} {new}" if field in told else f"{field}: changed")
    return "\n".join(lines)


def profile_changes(detail: str) -> list[tuple[str, str, str]]:
    """Return (field, before, after) of what `profile_detail` wrote; both empty for what is only named as changed."""
    found = []
    for line in detail.split("\n"):
        field, _, rest = line.partition(": ")
        before, arrow, after = rest.partition(f" {_ARROW} ")
        if field in PROFILE_FIELDS:
            found.append((field, before, after) if arrow else (field, "", ""))
    return found


def _visible_run(run: re.Match[str]) -> str:
    return _visible(run[0])[0]


def _visible(text: str) -> tuple[str, list[int]]:
    """Return `text` without what cannot be seen, and for each kept character its place in the original."""
    kept: list[str] = []
    origin: list[int] = []
    marks = 0
    for place, character in enumerate(text):
        shown = character
        if not (character.isascii() and character.isprintable()):
            category = unicodedata.category(character)
            marks = marks + 1 if category in {"Mn", "Me"} else 0
            if category in _DROPPED or marks > _MARKS_IN_A_ROW:
                continue
            shown = " " if category in _SPACES else _plain_digit(character)
        else:
            marks = 0
        kept.append(shown)
        origin.append(place)
    return "".join(kept), origin


def _plain_digit(character: str) -> str:
    """Return the ASCII digit of a circled, superscript or foreign digit, which would otherwise slip past a mask."""
    value = unicodedata.digit(character, None)
    return character if value is None else str(value)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _hide(text: str, matches: Sequence[tuple[int, int]]) -> tuple[str, list[int]]:
    """Return `text` with every stretch to mask as one _HIDDEN, and where those of the matches stand."""
    pieces: list[str] = []
    focus: list[int] = []
    done = length = 0
    for start, end in _merged([*matches, *_repeated(text, matches), *_sensitive(text)]):
        pieces += [text[done:start], _HIDDEN]
        length += start - done + 1
        if any(start < match_end and match_start < end for match_start, match_end in matches[:_WINDOWS]):
            focus.append(length - 1)
        done = end
    return "".join([*pieces, text[done:]]), focus


def _repeated(text: str, matches: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the other places where a matched text stands: a rule may have needed only one of them."""
    words = {text[start:end].strip() for start, end in matches[:50]}
    for word in sorted(word for word in words if 3 <= len(word) <= 200):
        for match in re.finditer(re.escape(word), text, re.IGNORECASE):
            yield match.span()


def _sensitive(text: str) -> Iterator[tuple[int, int]]:
    """Yield what is masked in any text: long numbers, mail addresses, passwords and tokens."""
    for pattern in (_DIGITS, _MAIL):
        for match in pattern.finditer(text):
            yield match.span()
    for match in _NAMED_SECRET.finditer(text):
        yield match.span(1)
    for match in _TOKEN.finditer(text):
        token = match[0]
        if any(c.isdigit() for c in token) and any(c.isalpha() for c in token):
            yield match.span()


def _cut(text: str, focus: Sequence[int]) -> str:
    """Return the pieces of `text` around the first places of `focus` (or its beginning), as one bounded line."""
    places = list(focus[:_WINDOWS]) or [0]
    reach = EXCERPT_LIMIT // (2 * len(places)) - 4 * len(MASK)
    windows = _merged((max(0, place - reach), min(len(text), place + reach)) for place in places)
    if not focus or (windows and windows[0][0] == 0 and len(places) == 1):
        windows = [(0, min(len(text), EXCERPT_LIMIT))]
    line = ""
    for start, end in windows:
        line += (f" {ELLIPSIS} " if start else "") + text[start:end]
    if windows and windows[-1][1] < len(text):
        line += f" {ELLIPSIS}"
    line = _harmless(" ".join(line.split())).replace(_HIDDEN, MASK)
    return line if len(line) <= EXCERPT_LIMIT else line[: EXCERPT_LIMIT - 1].rstrip() + ELLIPSIS


def _harmless(line: str) -> str:
    """Break every address: mail programs make links of them, and a hijacked account's link must not be one tap away."""
    return _DOT_IN_A_NAME.sub("[.]", _SCHEME.sub("[:]//", line))
