"""Reads words that are written so that people read them and machines do not. Pure, and linear in the text's length.

What comes in is folded text, what comes out are edits of it: `s.u.l.i.t` → `sulit`, `m1n1t` → `minit`, `su🔥lit`,
`sul*t`, `suuulit`, `dkumen`, `#minitmesyuarat`. An edit is made only when what it gives is a known word
(`monitor.rules.lexicon`), so that ordinary posts stay as they are; what is not known is left to the squeezed view of
`monitor.rules.text`. What each piece between spaces says is kept, so that an ordinary post costs a look-up a piece.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, filterfalse, islice, product, takewhile

from monitor.rules.jawi import has_arabic, jawi_edits
from monitor.rules.lexicon import commonest, fitting, known, ranks, split, without_some_vowels, word_set

SIGNS_AS_LETTERS = {
    "0": "o",
    "1": "il",
    "2": "z",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "gb",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "il",
    "|": "il",
    "€": "e",
    "£": "l",
    "¥": "y",
    "+": "t",
}
MOST_EDITS = 500  # of one text; what comes later changes nothing
MOST_TEXTS = 64  # that are kept: a text is asked for by the sieve, and again by what judges it
MOST_KEPT = 50_000
MOST_EFFORT = 5_000  # for the strange words of one text, in letters and readings; what comes later stands as it is
_LONGEST_KEPT = 40
_LONGEST_RUN = 100  # letters apart from each other that are read as words
SHORT = 500  # letters of a text that cannot hold too many strange words
_MOST_READINGS = 64
_FEW = 8  # readings, where each takes long
_LEAST = 4  # letters of a word that is put together
_MANY = 8  # words with signs between: hardly a thought that trails off, and one of them may be a price
_GLUED = 10  # letters of what may be several words
_COMMON = 3_000  # how common a shorter one must be
_RARE = 8_000  # from there on words are rare
_SEVERAL = 3  # words with signs for letters: then the rest of the text is read as boldly
_ENDINGS = word_set("an kan nya nye si ku mu al is ly ness ment tion ing ed er")
_BEGINNINGS = word_set("men mem meng pen pem per peng ber ter sub ref ali con dis")

_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_USUAL = frozenset(
    [
        "bl",
        "br",
        "ch",
        "cl",
        "cr",
        "dr",
        "dw",
        "fl",
        "fr",
        "gh",
        "gl",
        "gr",
        "kh",
        "kl",
        "kn",
        "kr",
        "ng",
        "ny",
        "ph",
        "pl",
        "pr",
        "ps",
        "rh",
        "sc",
        "sh",
        "sk",
        "sl",
        "sm",
        "sn",
        "sp",
        "sq",
        "st",
        "sw",
        "sy",
        "th",
        "tr",
        "tw",
        "ts",
        "wh",
        "wr",
        "mr",
        "yg",
        "dg",
    ]
)
_ODD_BEGINNING = "|".join(
    f"{first}[{''.join(second for second in _CONSONANTS if first + second not in _USUAL)}]" for first in _CONSONANTS
)
_EITHER = [sign for sign, letters in SIGNS_AS_LETTERS.items() if len(letters) > 1]
_SIGN = "[" + re.escape("".join(SIGNS_AS_LETTERS)) + "]"
_PUNCTUATION = ".,;:!?()\"'-"
_PIECE = re.compile(r"[^\s,;?()\"<>\[\]{}]+")
_APART = re.compile(r"(?<![a-z0-9@$])[a-z0-9@$](?:[^a-z0-9@$#&]{1,4}[a-z0-9@$]){2,}(?![a-z0-9@$])")
_ONE_APART = re.compile(r"([a-z0-9@$])([^a-z0-9@$]*)")
_OVER_LINES = re.compile(r"(?<![a-z])([a-z]+)-?\n([a-z]+)(?![^\s.,;?!])")
_TAGS = re.compile(r"#[a-z]+(?:\s+#[a-z]+)+")
# What is in every text with an edit that goes over spaces (_APART, _OVER_LINES, _TAGS), as RE2 takes it.
ACROSS = (
    r"(?:^|[^a-z0-9@$])[a-z0-9@$](?:[^a-z0-9@$#&]{1,4}[a-z0-9@$]){2,}(?:[^a-z0-9@$]|$)"
    r"|[a-z]-?\n[a-z]|#[a-z]+\s+#[a-z]"
)
_ADDRESS = re.compile(
    r"://|^www\.|@\w+\.\w|^[@/]"
    r"|\.(?:my|com|net|org|io|gov|edu|me|co|ly|info|xyz|site|top|click|pdf|jpg|local|lan|intra|internal|corp|home)\b"
)
_EDGES = re.compile(r"^[^a-z0-9@$!|]+|[^a-z0-9@$]+$")
_SEGMENTS = re.compile(rf"(?:[a-z*]|{_SIGN})+")
_NUMBER = re.compile(r"[a-z]{0,2}\d[\d.,:+-]*|[a-z]{3}\d{2,}|\d[\d.,:+-]*[a-z]{1,3}|[a-z]{1,2}\d+[a-z]")
_ADDED = re.compile(r"\d+([a-z]+)|([a-z]+)[\d+!|]+")
_ALTERNATING = re.compile(r"[a-z][^a-z]+[a-z]|[^a-z][a-z]+[^a-z]")
_IN_THE_MIDDLE = re.compile(r"[a-z]\d[a-z]|\d[a-z]\d")
_HAS_SIGN = re.compile(_SIGN)
_HIDING = re.compile(rf"{_SIGN}|[^\w\s./'#-]")
_AGAIN = re.compile(r"([a-z])\1+")
_THRICE = re.compile(r"([a-z])\1\1+")
_TWICE_ALL = re.compile(r"(?:([a-z])\1){3,}")
_BARE = re.compile(rf"[{_CONSONANTS}]{{4}}|^(?:{_ODD_BEGINNING})")


@dataclass(frozen=True, slots=True)
class Edit:
    """What stands for [start, end) of the folded text."""

    start: int
    end: int
    text: str


class _Kept(dict[str, tuple[Edit, ...]]):
    """What was read out of what stands between spaces: the same comes again and again."""

    def __init__(self, read: Callable[[str], Iterator[Edit]]) -> None:
        self._read = read

    def __missing__(self, chunk: str) -> tuple[Edit, ...]:
        read = tuple(self._read(chunk))
        if len(chunk) <= _LONGEST_KEPT:
            if len(self) >= MOST_KEPT:
                self.clear()
            self[chunk] = read
        return read


class _Plain(set[str]):
    """What stands between spaces and says just what it shows: nearly all that comes, most of it again and again."""

    def all_of(self, chunks: Sequence[str]) -> bool:
        return all(map(self._takes, filterfalse(self.__contains__, chunks)))

    def _takes(self, chunk: str) -> bool:
        if _READ[chunk]:
            return False
        if len(chunk) <= _LONGEST_KEPT:
            if len(self) >= MOST_KEPT:
                self.clear()
            self.add(chunk)
        return True


def is_plain(folded: str) -> bool:
    """Tell at a glance that nothing between spaces is to be read: then what there are edits of, ACROSS matches."""
    chunks = folded.split()
    if not _PLAIN.issuperset(chunks) and (len(folded) > SHORT or not _PLAIN.all_of(chunks)):
        return False
    return folded.isascii() or not has_arabic(folded)


def are_known_plain(folded: Iterable[str]) -> Iterator[bool]:
    """Tell of each ASCII text, in little time, whether it is plain as others were; `is_plain` knows of more."""
    return map(_PLAIN.issuperset, map(str.split, folded))


@lru_cache(maxsize=MOST_TEXTS)
def edits(folded: str) -> Sequence[Edit]:
    """Return what to read instead, in order, none inside another."""
    chunks = folded.split()
    passed = _passed_over(chunks) if len(folded) > SHORT else frozenset()
    odd = not _PLAIN.all_of([chunk for chunk in chunks if chunk not in passed] if passed else chunks)
    single = list(map(len, chunks)).count(1) >= _LEAST - 1
    if not (single or odd or "\n" in folded or folded.count("#") > 1 or jawi_edits(folded)):
        return ()
    found: Sequence[Edit] = ()
    apart = _letters_apart(folded) if single else iter(())
    for some in (_jawi(folded), apart, _over_lines(folded), _in_chunks(folded, passed, odd=odd), _hashtags(folded)):
        found = _with(found, list(islice(some, MOST_EDITS)))
    return tuple(found)


def _passed_over(chunks: Sequence[str]) -> AbstractSet[str]:
    """Return what is not read in a text with more strange words than any honest one: reading them takes too long."""
    strange = [chunk for chunk in dict.fromkeys(chunks) if chunk.strip(_PUNCTUATION) not in ranks()]
    read = takewhile(lambda effort: effort <= MOST_EFFORT, accumulate(map(_effort, strange)))
    return frozenset(strange[sum(1 for _ in read) :])


def _effort(chunk: str) -> int:
    if chunk.isalpha() or chunk.upper() == chunk:  # a number says nothing
        return len(chunk)
    either = sum(map(chunk.count, _EITHER))
    return len(chunk) * (_MOST_READINGS if "*" in chunk else min(_MOST_READINGS, 1 << either))


def _with(found: Sequence[Edit], more: Sequence[Edit]) -> Sequence[Edit]:
    """Return the edits in order, with those of `more` that overlap none of them."""
    if not more:
        return found
    starts = [one.start for one in found]
    kept = list(found)
    last = 0
    for one in sorted(more, key=lambda edit: edit.start):
        after = bisect_left(starts, one.end)
        if one.start >= last and (not after or found[after - 1].end <= one.start):
            kept.append(one)
            last = one.end
    return sorted(kept, key=lambda edit: edit.start)


def is_deliberate(edit: Edit, folded: str) -> bool:
    """Tell whether the word was written so to be hidden: not stretched, hyphenated, glued or in another script."""
    before = folded[edit.start : edit.end]
    if len(edit.text) < _LEAST or not before[:1].isascii() or edit.text.count(" ") > before.count(" "):
        return False
    apart = not before.isalpha() and len(before) >= 2 * len(edit.text) - 1
    return apart or _HIDING.search(before) is not None


def edited(text: str, changes: Sequence[Edit]) -> str:
    """Return the text with the edits made; what was written in capitals stays so."""
    pieces: list[str] = []
    done = 0
    for edit in changes:
        pieces += text[done : edit.start], _as_written(edit.text, text[edit.start : edit.end])
        done = edit.end
    return "".join([*pieces, text[done:]])


def _as_written(word: str, before: str) -> str:
    if not word.isascii():  # whose letters may become more of them
        return word
    if before.upper() == before and before.lower() != before:
        return word.upper()
    return word.capitalize() if before[:1].isupper() else word


def _jawi(folded: str) -> Iterator[Edit]:
    return (Edit(start, end, word) for start, end, word in jawi_edits(folded))


# ---------------------------------------------------------------- letters apart


def _letters_apart(folded: str) -> Iterator[Edit]:
    for run in _APART.finditer(folded):
        words = list(_words_of_run(run))
        read = [_joined(letters) for _, _, letters in words]
        if not any(len(one) >= _LEAST - 1 for one in read):
            continue
        for (start, end, letters), one in zip(words, read, strict=True):
            if one or (len(letters) > 1 and not letters.isdigit()):
                yield Edit(start, end, one or letters)


def _words_of_run(run: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the words of a run of single letters: where the gap is wider than most, a word ends."""
    every = [(run.start() + match.start(), match[1], match[2]) for match in _ONE_APART.finditer(run[0])]
    usual = Counter(_shape(gap) for _, _, gap in every[:-1]).most_common(1)[0][0]
    start, letters = -1, ""
    for place, letter, gap in every:
        if not letters:
            start = place
        letters += letter
        if _is_wider(_shape(gap), usual):
            yield start, place + 1, letters
            letters = ""
    if letters:
        yield start, every[-1][0] + 1, letters


@lru_cache(maxsize=4_096)
def _shape(gap: str) -> tuple[int, bool]:
    spaces = sum(map(str.isspace, gap))
    return spaces, len(gap) > spaces


def _is_wider(gap: tuple[int, bool], usual: tuple[int, bool]) -> bool:
    return gap[0] > usual[0] or (gap[0] > 0 and usual[1] and not gap[1])


def _joined(letters: str) -> str:
    """Return the word or words that letters standing apart make, or nothing."""
    if sum(map(str.isalpha, letters)) * 2 < len(letters):
        return ""
    if letters.isalpha() and ranks().get(letters, _COMMON) < _COMMON:
        return letters
    if not _LEAST <= len(letters) <= _LONGEST_RUN:
        return ""
    one = letters if known(letters) else _without_signs(letters)
    return one or " ".join(_apart(letters))


def _apart(letters: str) -> Sequence[str]:
    """Return the words that were written as one, if they are likely words."""
    if len(letters) < 2 * _LEAST - 2:
        return ()
    return next(filter(_likely, map(split, _readings(letters))), ())


def _likely(words: Sequence[str]) -> bool:
    """Tell whether these are words written as one, and not a long word with its endings."""
    if len(words) < 2 or words[-1] in _ENDINGS or not _BEGINNINGS.isdisjoint(words):
        return False
    length = sum(map(len, words))
    if sum(len(word) for word in words if word not in ranks()) * 4 > length:
        return False
    return length >= 3.5 * len(words) and sum(len(word) < 3 for word in words) <= max(1, len(words) // 3)


# ---------------------------------------------------------------- across spaces


def _over_lines(folded: str) -> Iterator[Edit]:
    """Yield words that go on in the next line."""
    for match in _OVER_LINES.finditer(folded) if "\n" in folded else ():
        first, second = match[1], match[2]
        whole = first + second
        if whole in ranks() and len(whole) >= _LEAST and ("-" in match[0] or not (known(first) and known(second))):
            yield Edit(*match.span(), whole)


def _hashtags(folded: str) -> Iterator[Edit]:
    """Yield the words of a row of hashtags without their signs, so that they make phrases: `#kad #pengenalan`."""
    for row in _TAGS.finditer(folded) if folded.count("#") > 1 else ():
        yield from (Edit(row.start() + sign.start(), row.start() + sign.end(), "") for sign in re.finditer("#", row[0]))


# ---------------------------------------------------------------- between spaces


def _in_chunks(folded: str, passed: AbstractSet[str], *, odd: bool) -> Iterator[Edit]:
    found = list(_read_by(_READ, folded, passed)) if odd else []
    yield from found
    if not found:
        return
    if sum(_HAS_SIGN.search(folded[one.start : one.end]) is not None for one in found) >= _SEVERAL:
        yield from _read_by(_READ_BOLDLY, folded, passed)


def _read_by(kept: _Kept, folded: str, passed: AbstractSet[str]) -> Iterator[Edit]:
    place = 0
    for chunk in folded.split():
        place = folded.index(chunk, place)
        read = kept[chunk] if chunk not in passed else ()
        if read and not _is_value(folded, place):
            yield from (Edit(place + one.start, place + one.end, one.text) for one in read)
        place += len(chunk)


def _is_value(folded: str, place: int) -> bool:
    """Tell whether what stands there was given a name before: `password: P@ssw0rd` is no disguise."""
    return folded[max(0, place - 2) : place].rstrip(" ")[-1:] in {":", "="}


def _chunk(chunk: str) -> Iterator[Edit]:
    core = chunk.strip(_PUNCTUATION)
    if core.isalpha() and len(chunk) - len(core) < _LEAST:
        if core not in ranks() and (read := _read(core)):
            begin = chunk.index(core)
            yield Edit(begin, begin + len(core), read)
        return
    if _ADDRESS.search(chunk) or chunk.isdigit():
        return
    apart = list(_letters_apart(chunk))
    yield from apart
    for piece in _PIECE.finditer(chunk) if not apart else ():
        yield from _piece(piece, _read)


def _chunk_boldly(chunk: str) -> Iterator[Edit]:
    """Yield the words of short letters and signs that only stand for words in a text full of them: `1n1`, `d1`."""
    for piece in _PIECE.finditer(chunk) if not _ADDRESS.search(chunk) else ():
        yield from _piece(piece, _read_boldly)


def _piece(piece: re.Match[str], read: Callable[[str], str]) -> Iterator[Edit]:
    whole = piece[0]
    begin = match.end() if (match := _EDGES.match(whole)) else 0
    last = _EDGES.search(whole, begin)
    core = whole[begin : last.start() if last and last.end() == len(whole) else len(whole)]
    tag = whole[:begin].endswith("#")
    text = _tag(core) if tag else read(core)
    if text and text != core:
        yield Edit(piece.start() + begin, piece.start() + begin + len(core), text)


def _tag(core: str) -> str:
    return _read(core) or ("" if known(core) or not core.isalpha() else " ".join(_apart(core)))


def _read(core: str) -> str:
    """Return what a piece of text says, or nothing when that is not another thing than it shows."""
    if core.isalpha():
        return "" if len(core) < _LEAST or known(core) or not core.isascii() else _pure(core)
    if len(core) < _LEAST - 1 or _is_apostrophe(core) or (_NUMBER.fullmatch(core) and not _short(core)):
        return ""
    segments = _SEGMENTS.findall(core)
    if len(segments) == 1:
        return _marked(core) if segments[0] == core else ""
    return _broken(segments, core)


def _read_boldly(core: str) -> str:
    if (
        core.isalpha()
        or core.isdigit()
        or not core.isascii()
        or len(core) > _LONGEST_KEPT
        or _HAS_SIGN.search(core) is None
    ):
        return ""
    readings = [reading for reading in _readings(core) if reading.isalpha()]
    if not readings:
        return ""
    best = commonest(readings)
    return best or (readings[0] if len(core) >= _LEAST and _ALTERNATING.search(core) else "")


def _is_apostrophe(core: str) -> bool:
    """Tell whether a sign stands for letters left out of a word, and not in one of many with signs for spaces."""
    return "'" in core and core.count(".") + core.count("_") < _LEAST


def _short(core: str) -> bool:
    """Tell whether it is a word as short as `j0m`: with a sign in its middle, or a letter."""
    return len(core) == _LEAST - 1 and _IN_THE_MIDDLE.fullmatch(core) is not None


def _pure(word: str) -> str:
    """Return what an unknown word of letters stands for: stretched, without vowels, or several written as one."""
    if (_THRICE.search(word) or _TWICE_ALL.search(word)) and len(set(word)) > 1:
        return _unstretched(word)
    if len(word) >= _GLUED and (words := _apart(word)) and all(map(_stands_alone, words)):
        return " ".join(words)
    if _BARE.search(word):
        return next(iter(without_some_vowels(word)), "")
    return ""


def _stands_alone(word: str) -> bool:
    """Tell whether it is hardly a mere beginning or ending of a longer word."""
    return ranks().get(word, _RARE) < (_RARE if len(word) >= _LEAST else _COMMON // 2)


def _unstretched(word: str) -> str:
    """Return the word with its letters as often as a known one has them."""
    single = _AGAIN.sub(r"\1", word)
    twice = _THRICE.sub(r"\1\1", word)
    halved = re.sub(r"([a-z])\1", r"\1", word)
    return commonest([single, halved, twice, *_doubled(single)]) or " ".join(_apart(single))


def _doubled(word: str) -> Iterator[str]:
    return (word[:place] + word[place] + word[place:] for place in range(1, len(word)))


def _marked(word: str) -> str:
    """Return the word in which signs stand for letters."""
    if "*" in word:
        return _starred(word)
    read = _without_signs(word)
    match = _ADDED.fullmatch(word)
    rest = (match[1] or match[2]) if match else ""
    if rest and known(rest) and (len(word) - len(rest) > 1 or rest == commonest([rest, read])):
        return ""  # a word and a number: `5hari`
    return read


def _starred(word: str) -> str:
    letters = word.replace("*", "")
    if not letters.isalpha() or len(letters) < 2:
        return ""
    return letters if len(letters) >= _LEAST and letters in ranks() else fitting(word)


def _without_signs(word: str) -> str:
    """Return the known word that the letters and signs stand for, or nothing."""
    letters = sum(map(str.isalpha, word))
    if not letters or letters == len(word) or (letters < 3 and _ALTERNATING.search(word) is None):
        return ""
    readings = list(_readings(word))
    found = commonest(readings)
    if found and (len(found) >= _LEAST or ranks().get(found, _COMMON) < _COMMON):
        return found
    return next(filter(None, map(_unstretched, readings[:_FEW])), "") if _AGAIN.search(readings[0]) else ""


def _readings(word: str) -> Iterator[str]:
    letters = [SIGNS_AS_LETTERS.get(letter, letter) for letter in word]
    return islice(map("".join, product(*letters)), _MOST_READINGS)


def _broken(segments: Sequence[str], core: str) -> str:
    """Return the words of a piece with other signs in it: one word broken, or several joined."""
    plain = [one if one.isalpha() else _marked(one) or one for one in segments]
    whole = "".join(plain)
    if len(whole) >= _LEAST and whole.isalpha() and whole in ranks():
        return whole
    if whole.isalpha() and _THRICE.search(whole) and (read := _unstretched(whole)):
        return read
    if plain == list(segments) and "_" not in core and len(segments) < (_MANY if ".." in core else _LEAST):
        return ""
    return _between_signs(segments, plain, core) if _mostly_known(plain) else ""


def _mostly_known(words: Sequence[str]) -> bool:
    if sum(not (word.isalpha() or word.isdigit()) for word in words) * _MANY > len(words):
        return False  # a key, or what only its writer knows
    return sum(map(known, words)) >= max(2, 0.6 * len(words))


def _between_signs(segments: Sequence[str], plain: Sequence[str], core: str) -> str:
    """Return the piece with its words undisguised; dots and underscores between words are spaces."""
    rest = core
    read = ""
    for segment, word in zip(segments, plain, strict=True):
        before, _, rest = rest.partition(segment)
        read += (" " if before and set(before) <= {"_", "."} else before) + word
    return read + rest


_READ = _Kept(_chunk)
_PLAIN = _Plain()
_READ_BOLDLY = _Kept(_chunk_boldly)
