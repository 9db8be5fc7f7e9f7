"""Folded text with offsets back to the original: what every rule matches on. Pure and linear in the text's length.

Views of one text:
- `exact`: compatibility forms decomposed (NFKD), marks and invisible characters removed, look-alikes mapped to ASCII,
  and words that are plainly disguised (`s.u.l.i.t`, `m1n1t`, Jawi) read (`monitor.rules.disguise`, `.jawi`);
- `folded`: the same, case-folded, character for character: both share their places;
- `squeezed`: folded, with spaced letters (`s u l i t`) and broken words (`su.lit`) joined, letters written as digits
  (`5ulit`) and repeated letters undone. It sees more and errs more, so a part of a rule asks for it by name.

Behind the folded text of a post in which somebody hides words stands a mark (HIDING), for rules and the opinion.

Rules measure in places of the folded text, so that invisible filling puts nothing out of reach. Most posts are plain
and match nothing: all that takes a walk over the single characters is done when it is first asked for.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, chain, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING

import re2

from monitor.rules.disguise import MOST_TEXTS, SHORT, Edit, are_known_plain, edited, edits, is_deliberate, is_plain

if TYPE_CHECKING:
    from monitor.rules.opinion import Opinion, View

# Letters of other scripts that look like Latin ones and have no ASCII form of their own (by eye).
_LOOK_ALIKES = {
    "A": "АΑᎪ",
    "B": "ВΒᏴ",
    "C": "СϹᏟ",
    "D": "ᎠԀ",
    "E": "ЕΕᎬ",
    "G": "ԌᏀ",
    "H": "НΗᎻ",
    "I": "ІΙӀᏆ|",
    "J": "ЈᎫ",
    "K": "КΚᏦ",
    "L": "ᏞԼ",
    "M": "МΜᎷ",
    "N": "ΝＮ",
    "O": "ОΟՕ〇",
    "P": "РΡᏢ",
    "Q": "Ԛ",
    "R": "ᎡᏒ",
    "S": "ЅᏚՏ",
    "T": "ТΤᎢ",
    "U": "Ս",
    "V": "ѴᏙ",
    "W": "ԜᎳ",
    "X": "ХΧ",
    "Y": "ҮΥУ",
    "Z": "ΖᏃ",
    "a": "аαɑ",
    "b": "ЬƄ",
    "c": "сϲ",
    "d": "ԁɗ",
    "e": "еєҽ",
    "g": "ɡց",
    "h": "һհ",
    "i": "іıɩι",
    "j": "јϳ",
    "k": "кκ",
    "l": "ⅼӏ",
    "m": "м",
    "n": "ոп",
    "o": "оοօσ",
    "p": "рρ",
    "q": "ԛ",
    "r": "гʀ",
    "s": "ѕꜱ",
    "t": "тτ",
    "u": "υսᴜ",
    "v": "ѵν",
    "w": "ԝѡ",
    "x": "хχ",
    "y": "уγ",
    "z": "ᴢ",
}
# The same by the shape that writers who mean to hide take them for, and letters of fancy alphabets.
_BY_SHAPE = {
    "a": "ᴀɑᗩꓮ",
    "b": "ʙɓƀвьᗷꓐβ",
    "c": "ᴄƈɔᑕꓚ",
    "d": "ᴅđɖᗪꓓ",
    "e": "ᴇɛəεеᗴꓰ",
    "f": "ꜰƒᖴꓝ",
    "g": "ɢɠǥᏀꓖ",
    "h": "ʜħɦнᕼꓧ",
    "i": "ɪɨꓲ",
    "j": "ᴊɟʝᒍꓙ",
    "k": "ᴋƙᛕꓗ",
    "l": "ʟłɭƚᒪꓡ",
    "m": "ᴍɱᗰꓟ",
    "n": "ɴŋɲηпᑎꓠ",
    "o": "ᴏøɵθᗝꓳ",
    "p": "ᴘƥᑭꓑ",
    "q": "ǫᑫ",
    "r": "ʀɽяᖇꓣ",
    "s": "ꜱʂςᔕꓢ",
    "t": "ᴛŧƭтꓔ",
    "u": "ᴜʊµμцᑌꓴ",
    "v": "ᴠʋᐯꓦ",
    "w": "ᴡɯωшᗯꓪ",
    "x": "χ᙭ꓫ",
    "y": "ʏɏƴꓬ",
    "z": "ᴢʐᘔꓜ",
    "B": "Ƀ",
    "D": "ĐƉ",
    "H": "Ħ",
    "L": "Ł",
    "O": "Ø",
    "T": "Ŧ",
}
LOOK_ALIKES = {other: letter for letter, others in _LOOK_ALIKES.items() for other in others if not other.isascii()}
LOOK_ALIKES |= {other: letter for letter, others in _BY_SHAPE.items() for other in others if other not in LOOK_ALIKES}
LOOK_ALIKES |= {chr(0x249C + n): chr(97 + n) for n in range(26)}  # in parentheses: they would stay
LOOK_ALIKES |= {chr(0x1F150 + n): chr(65 + n) for n in range(26)}  # negative circled letters have no decomposition
LOOK_ALIKES |= {chr(0x1F170 + n): chr(65 + n) for n in range(26)}  # nor have negative squared ones
DROPPED = frozenset({"Mn", "Me", "Cf"})
FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u034f")  # letters by category, invisible by design
DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
QUOTES = dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟″", '"')
QUOTES |= {"\ufffd": "'"}  # mostly what a wrong encoding left of one
_SIGNS = "013457@$!|"
AS_LETTERS = tuple(str.maketrans(_SIGNS, letters) for letters in ("oieastasii", "oleastasll"))  # 1, !, |: an i or an l
ARABIC_SIGNS = dict(zip("،؛؟٪", ",;?%", strict=True))
Span = tuple[int, int]
BEGINNING = 8_000  # characters of a long text that are looked at before all of it is
LONG = 16_000  # characters of a long text

# A sign among letters, or one at a word's end; spaced letters; a word broken by dots, dashes or emoji. RE2 takes these
# too, and tries them on every post together with the rules: without one of them nothing but repeated letters differs.
# Only spaced letters go over spaces: without them, what each word says is read once and kept.
_LEET = rf"[a-z][{_SIGNS}]{{1,2}}[a-z]|\b[01345][a-z]{{3}}|[$@][a-z]{{3}}|[a-z]{{3}}[013457]\b"
SPACED = r"\b[^\W_](?:[\W_]{1,3}[^\W_]){2,}\b"
_BROKEN = r"\b[a-z]{1,4}(?:(?:_|[^\w\s,;:!?()&@/'\"$|]{1,2})[a-z]{1,4}){1,12}\b"
DISGUISED = f"{_LEET}|{_BROKEN}"

_FIND_SPACED = re2.compile(SPACED)
_FIND_DISGUISED = re2.compile(DISGUISED)
_JOINED = re.compile(f"{SPACED}|{_BROKEN}", re.ASCII)
_BETWEEN = re.compile(r"[\W_]+", re.ASCII)
_DISGUISED_WORD = re.compile(r"[$@]?[^\W_]+(?:[@$!|]+[^\W_]+)*", re.ASCII)
_LEET_WORD = re.compile(_LEET, re.ASCII)
_EITHER = re.compile(r"[1!|]")
_AGAIN = re.compile(r"([a-z])\1+")


class Text:
    """One text in all its views, each made when it is first asked for."""

    def __init__(self, original: str) -> None:
        self.original = original
        self.found: dict[int, list[Span]] = {}  # matches of parts that rules share, by their identity
        self.views: list[tuple[Opinion, View]] = []  # what learned opinions think of it

    @cached_property
    def exact(self) -> str:
        return edited(self._shown, self.edits) + self._mark

    @cached_property
    def folded(self) -> str:
        return fold(self.original)

    @cached_property
    def edits(self) -> Sequence[Edit]:
        """Return what was written in disguise, by its places in the text before it was read."""
        return edits(self._shown_small)

    @cached_property
    def beginning(self) -> Text | None:
        """Return what a long text begins with; None for others."""
        return _Beginning(self) if len(self.folded) >= LONG else None

    @cached_property
    def _mark(self) -> str:
        return _mark(self.original, self._shown_small, self.edits)

    @cached_property
    def _shown(self) -> str:
        return plain(_spelled_out(_upright(self.original)))

    @cached_property
    def _shown_small(self) -> str:
        return _small(_spelled_out(_upright(self.original)))

    @cached_property
    def squeezed(self) -> tuple[Squeezed, ...]:
        """Return the readings of the view: two where a sign stands for either of two letters (s1ot)."""
        folded = self.folded
        encoded = folded.encode()  # RE2 need not count characters then
        spaced = _FIND_SPACED.search(encoded) is not None
        if not spaced and _FIND_DISGUISED.search(encoded) is None:
            return (Squeezed(folded),)
        return tuple(readings(folded, spaced=spaced))

    @property
    def _keeps_places(self) -> bool:
        return self.original.isascii() and not self.edits

    @cached_property
    def _places(self) -> Sequence[int]:
        """Return for each character of the text before it was read its place in the original."""
        upright = _upright(self.original)
        places = _turned(self.original)
        places += [places[place] for _, place in _tags(upright)]
        spelled = _spelled_out(upright)
        lengths = {character: len(_plain(character)) for character in set(spelled)}
        if set(lengths.values()) <= {1}:
            return places
        return list(chain.from_iterable(map(repeat, places, map(lengths.__getitem__, spelled))))

    @cached_property
    def _edited_at(self) -> Sequence[int]:
        """Return where in the folded text what was read begins."""
        longer = accumulate((len(edit.text) - (edit.end - edit.start) for edit in self.edits), initial=0)
        return [edit.start + more for edit, more in zip(self.edits, longer, strict=False)]

    def _origin(self, place: int) -> Span:
        """Return what is behind one character in the original: of a word that was read, all that it was read from."""
        if place >= len(self.folded) - len(self._mark):
            return 0, len(self.original)
        number = bisect_right(self._edited_at, place) - 1
        if number >= 0:
            edit = self.edits[number]
            behind = place - self._edited_at[number] - len(edit.text)
            if behind < 0:
                whole = self._places[edit.start : edit.end]
                return min(whole), max(whole) + 1
            place = edit.end + behind
        return self._places[place], self._places[place] + 1

    def original_span(self, start: int, end: int) -> Span:
        """Return the half-open span of the original text behind [start, end) of the folded one."""
        if self._keeps_places and end <= len(self.original):
            return start, end
        first, last = self._origin(start), self._origin(end - 1)
        return min(first[0], last[0]), max(first[1], last[1])


# ---------------------------------------------------------------- words, read once

MOST_BY_WORDS = 4_000  # characters: a longer text may hold many words that nobody wrote before, and is read as a whole
_MOST_WORDS = 50_000
_LONGEST_KEPT = 40


class _Words(dict[str, str]):
    """What is read out of single words, kept because the same ones come again and again."""

    def __missing__(self, word: str) -> str:
        read = self._read(word)
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= _MOST_WORDS:
                self.clear()
            self[word] = read
        return read

    def _read(self, word: str) -> str:
        raise NotImplementedError

    def in_text(self, text: str) -> str:
        """Return the text with each of its words as it is read."""
        return " ".join(map(self.__getitem__, text.split(" ")))


# ---------------------------------------------------------------- exact and folded

_STRANGE = re.compile(r"[^\x00-\x7f]+")


def plain(text: str) -> str:
    """Return the exact view of a text."""
    return text if text.isascii() else _STRANGE.sub(_plain_run, text)


class _FoldedWords(_Words):
    def _read(self, word: str) -> str:
        return plain(word).casefold()


_FOLDED_WORDS = _FoldedWords()


@lru_cache(maxsize=MOST_TEXTS)
def fold(text: str) -> str:
    """Return the folded view of a text; it has the places of the exact one."""
    small = _small(_spelled_out(_upright(text)))
    changes = edits(small)
    if not changes and (text.isascii() or not _has_odd_letters(text)):
        return small
    return edited(small, changes) + _mark(text, small, changes)


def fold_plain(text: str) -> str | None:
    """Return the folded view of a text in which no single word is disguised; None for others.

    Where ACROSS matches it, more words may be, and then it is not the folded view.
    """
    spelled = _spelled_out(text)
    if spelled.isascii():
        small = spelled.lower()
        return small if is_plain(small) else None
    if len(spelled) > SHORT and not _PLAIN_WORDS.keys() >= set(spelled.split(" ")):
        return None  # to read so many words may take long: `edits` knows a bound
    return _if_plain(_PLAIN_WORDS.in_text(spelled))


def fold_plain_all(texts: Sequence[str]) -> list[str | None]:
    """Return what `fold_plain` does of each text, in less time: most are ASCII, of words that are known to be plain."""
    simple = [text if text.isascii() and "#" not in text else "" for text in texts]
    small = list(map(str.lower, simple))
    others = _fold_plain_others([text for text in texts if not text.isascii()])
    return [
        folded if plain and folded else fold_plain(text) if text.isascii() else next(others)
        for text, folded, plain in zip(texts, small, are_known_plain(small), strict=True)
    ]


def _fold_plain_others(texts: Sequence[str]) -> Iterator[str | None]:
    """Yield what `fold_plain` does of each text that is not ASCII: short ones are read as if they were one."""
    if max(map(len, texts), default=0) > SHORT:
        return map(fold_plain, texts)
    whole = _BETWEEN_TEXTS.join(map(_spelled_out, texts))
    if whole.count(_BETWEEN_TEXTS.strip(" ")) != len(texts) - 1:
        return map(fold_plain, texts)
    return map(_if_plain, _PLAIN_WORDS.in_text(whole).split(_BETWEEN_TEXTS))


def _if_plain(folded: str) -> str | None:
    return folded if _DISGUISED_SIGN not in folded else None


class _PlainWords(_Words):
    """Folded words, of those that are not disguised; a sign stands for others."""

    def _read(self, word: str) -> str:
        small = _FOLDED_WORDS[word]
        return small if not _ODD_LETTER.search(word) and is_plain(small) else _DISGUISED_SIGN


_PLAIN_WORDS = _PlainWords()
_DISGUISED_SIGN = "\x1d"  # a text that has it is merely not folded in one step
_BETWEEN_TEXTS = " \x1e "


class _Beginning(Text):
    """The first words of a long text; its places are those of the whole one."""

    def __init__(self, whole: Text) -> None:
        super().__init__(whole.original)
        self._whole = whole
        self.folded = whole.folded[:BEGINNING].rpartition(" ")[0] or whole.folded[:BEGINNING]

    @cached_property
    def exact(self) -> str:
        return self._whole.exact[: len(self.folded)]

    def original_span(self, start: int, end: int) -> Span:
        return self._whole.original_span(start, end)


def _mark(original: str, small: str, changes: Sequence[Edit]) -> str:
    """Return what to put behind a folded text in which somebody hides words; of a few words nothing can be said."""
    odd = not original.isascii() and _has_odd_letters(original)
    hidden = odd and (_HIDDEN.search(original) or _UPSIDE.search(original))
    if not (hidden or any(is_deliberate(edit, small) for edit in changes)):
        return ""
    return f"\n{HIDING}" if len(edited(small, changes).split()) >= LEAST_WORDS else ""


@lru_cache(maxsize=MOST_TEXTS)
def _has_odd_letters(text: str) -> bool:
    """Tell whether there is any letter at all that may hide words or stand on its head: most posts have none."""
    return _ODD_LETTER.search(text) is not None


def _small(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _FOLDED_WORDS.in_text(text) if len(text) <= MOST_BY_WORDS else plain(text).casefold()


HIDING = "\ue000"  # for private use: no text has it, and rules can look for it
LEAST_WORDS = 4
_INVISIBLE = "\u200b-\u200f\u2060-\u2064\ufeff\u034f"
_OTHER_SCRIPT = "\u0370-\u03ff\u0400-\u058f\u13a0-\u13ff"
# Letters that come one by one where Chinese is written, and in whole words from who hides them.
_WIDE = "\uff21-\uff3a\uff41-\uff5a"
_HIDDEN = re.compile(
    f"[A-Za-z][{_INVISIBLE}]+[A-Za-z]|[A-Za-z][{_OTHER_SCRIPT}]|[{_OTHER_SCRIPT}][A-Za-z]|[{_WIDE}]{{4}}"
)
_UPSIDE_DOWN = dict(zip("ɐɔǝɟƃɓɥᴉıɾʞʃɯɹʇʌʍʎ∀ƆϽƎℲ⅁⅄˥┴∩Λ", "acefgghiijklmrtvwyACCEFGYLTUV", strict=True))
_TURNED_TOO = dict(zip("bdpqunlosxzHINOSXZ", "qpdbnulosxzHINOSXZ", strict=True))
_STANDING = "ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ∀ƎℲ⅁˥┴"
_UPSIDE = re.compile(f"(?:[{_STANDING}][^\n]*){{4}}")
_TURNED = f"(?:[{''.join(_UPSIDE_DOWN | _TURNED_TOO)}\\d_]|[^\\w\\s])++(?!\\S)"  # a word without any other letter
_TURNED_WORDS = re.compile(rf"(?<!\S){_TURNED}(?:[ \t]+{_TURNED})*")
_ODD_LETTER = re.compile(f"[{_INVISIBLE}{_OTHER_SCRIPT}{_STANDING}{_WIDE}]")  # in all that _HIDDEN and _UPSIDE find
_TURN = str.maketrans(_UPSIDE_DOWN | _TURNED_TOO)


def _upright(text: str) -> str:
    """Return the text with the words that stand on their head turned round; nothing gets longer or shorter."""
    if not _has_upside_down(text):
        return text
    return _TURNED_WORDS.sub(lambda run: run[0].translate(_TURN)[::-1] if _UPSIDE.search(run[0]) else run[0], text)


def _turned(text: str) -> list[int]:
    """Return for each character of the upright text its place in the text."""
    places = list(range(len(text)))
    for run in _TURNED_WORDS.finditer(text) if _has_upside_down(text) else ():
        if _UPSIDE.search(run[0]):
            places[run.start() : run.end()] = reversed(places[run.start() : run.end()])
    return places


def _has_upside_down(text: str) -> bool:
    return not text.isascii() and _has_odd_letters(text) and _UPSIDE.search(text) is not None


_TAG = re.compile(r"#\w*[a-z][A-Z]\w*")
MOST_TAGS = 100


def _spelled_out(text: str) -> str:
    """Return the text with the words of hashtags once more at its end: `#SlotGacorMalamIni` is four of them."""
    if "#" not in text:
        return text
    return text + "".join(character for character, _ in _tags(text))


def _tags(text: str) -> Iterator[tuple[str, int]]:
    """Yield the characters of the hashtags' words, each with its place in the text."""
    if "#" not in text:
        return
    for tag in islice(_TAG.finditer(text), MOST_TAGS):
        yield "\n", tag.start()
        for place in range(tag.start() + 1, tag.end()):
            if text[place].isupper() and not text[place - 1].isupper():
                yield " ", place
            yield text[place], place


def _plain_run(run: re.Match[str]) -> str:
    return "".join(map(_plain, run[0]))


@lru_cache(maxsize=20_000)
def _plain(character: str) -> str:
    """Return what is left of one character: nothing, itself, or its ASCII form."""
    if character.isascii():
        return character
    return "".join(map(_plain_part, LOOK_ALIKES.get(character) or unicodedata.normalize("NFKD", character)))


def _plain_part(part: str) -> str:
    category = unicodedata.category(part)
    if category in DROPPED or part in FILLERS:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(part))
    if category == "Cs":
        return "\ufffd"  # a lone surrogate: no engine takes it
    if category in {"Zl", "Zp"}:
        return "\n"
    if category == "Zs":
        return " "
    read = ARABIC_SIGNS.get(part) or DASHES.get(part) or QUOTES.get(part) or LOOK_ALIKES.get(part, part)
    return read if len(read.casefold()) == len(read) else read.casefold()  # ß: case folding must keep the places


# ---------------------------------------------------------------- squeezed


class _SingleWords(_Words):
    def _read(self, word: str) -> str:
        return _AGAIN.sub(itemgetter(1), word)  # a template takes longer


_SINGLE_WORDS = _SingleWords()


def single(folded: str) -> str:
    """Return the text with repeated letters dropped."""
    return _SINGLE_WORDS.in_text(folded) if len(folded) <= MOST_BY_WORDS else _AGAIN.sub(itemgetter(1), folded)


def is_disguised(folded: str) -> bool:
    """Tell whether squeezing undoes more than repeated letters."""
    return _FIND_SPACED.search(folded) is not None or _FIND_DISGUISED.search(folded) is not None


@lru_cache(maxsize=1)
def _joined(text: str) -> str:
    """Return a text with its spaced letters and broken words joined; both readings begin with it."""
    return _JOINED.sub(lambda run: _BETWEEN.sub("", run[0]), text)


@lru_cache(maxsize=1)
def _disguised(joined: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return what stands between spaces and has signs for letters: single words, and what is more than one."""
    signed = [one for one in dict.fromkeys(joined.split(" ")) if not one.isalpha()]
    words = set(filter(_DISGUISED_WORD.fullmatch, signed))
    return list(filter(_LEET_WORD.search, words)), [one for one in signed if one not in words]


class _ReadWords(_Words):
    """Spaced letters and broken words joined, and signs in words as the letters that they stand for here."""

    def __init__(self, signs: Mapping[int, int]) -> None:
        self._signs = signs
        self.single = _ReadSingleWords(self)

    def _read(self, word: str) -> str:
        return self.whole(word)

    def whole(self, text: str) -> str:
        """Return a text that is not to be read word by word: it is long, or there are spaced letters in it."""
        joined = _joined(text)
        if _LEET_WORD.search(joined) is None:
            return joined
        words = joined.split(" ")
        spelt = dict(zip(words, joined.translate(self._signs).split(" "), strict=True))
        whole, partly = _disguised(joined)
        read = {word: spelt[word] for word in whole}
        read |= {one: _DISGUISED_WORD.sub(lambda word: _without_signs(word[0], self._signs), one) for one in partly}
        return " ".join([read.get(word, word) for word in words])


class _OtherwiseReadWords(_ReadWords):
    """The same with the other letter of a sign that stands for either of two."""

    def _read(self, word: str) -> str:
        return self.whole(word) if _EITHER.search(word) else _READ_WORDS[word]


class _ReadSingleWords(_Words):
    """Words that were read, without repeated letters."""

    def __init__(self, words: _ReadWords) -> None:
        self._words = words

    def _read(self, word: str) -> str:
        return single(self._words[word])


_READ_WORDS, _OTHERWISE_READ_WORDS = _ReadWords(AS_LETTERS[0]), _OtherwiseReadWords(AS_LETTERS[1])


class Squeezed:
    """One reading of a folded text: spaced letters and broken words joined, signs in words read as letters, repeated
    letters dropped: three steps, of which the second alone keeps all places.
    """

    def __init__(self, folded: str, words: _ReadWords | None = None, *, spaced: bool = False) -> None:
        """`words` take the first two steps, of the whole text if it is `spaced`; None: they change nothing."""
        self._folded = folded
        self._words = words
        if words is None or spaced:
            self._read = words.whole(folded) if words is not None else folded
            self.text = single(self._read)
        else:
            self.text = words.single.in_text(folded)

    @cached_property
    def _read(self) -> str:
        return self._words.in_text(self._folded) if self._words is not None else self._folded

    @cached_property
    def _between(self) -> _Dropped:
        return _between(self._folded) if self._words is not None else _Dropped(())

    @cached_property
    def _again(self) -> _Dropped:
        return _Dropped((match.start() + 1, match.end()) for match in _AGAIN.finditer(self._read))

    def folded_span(self, start: int, end: int) -> Span:
        """Return the half-open span of the folded text behind [start, end) of this reading."""
        return self._place(start), self._place(end - 1) + 1

    def _place(self, place: int) -> int:
        return self._between.before(self._again.before(place))


class _Dropped:
    """What was left out of a text: where the rest stood before."""

    def __init__(self, spans: Iterable[Span]) -> None:
        left = list(spans)
        self._lengths = list(accumulate((end - start for start, end in left), initial=0))
        # Places in the rest, after each of which more was left out.
        self._at = [start - length for (start, _), length in zip(left, self._lengths, strict=False)]

    def before(self, place: int) -> int:
        """Return the place in the whole text of one in the rest."""
        return place + self._lengths[bisect_right(self._at, place)]


@lru_cache(maxsize=1)
def _between(folded: str) -> _Dropped:
    """Return what was left out where spaced letters and broken words were joined: the same in both readings."""
    return _Dropped(_inner(_JOINED, _BETWEEN, folded))


def readings(folded: str, *, spaced: bool) -> Iterator[Squeezed]:
    """Yield the readings of a disguised text: a second one where a sign stands for either of two letters.

    `spaced`: there are letters with spaces between.
    """
    spaced |= len(folded) > MOST_BY_WORDS
    first = Squeezed(folded, _READ_WORDS, spaced=spaced)
    yield first
    if _EITHER.search(folded):
        second = Squeezed(folded, _OTHERWISE_READ_WORDS, spaced=spaced)
        if second.text != first.text:
            yield second


def _without_signs(word: str, signs: Mapping[int, int]) -> str:
    return word.translate(signs) if _LEET_WORD.search(word) else word


def _inner(outer: re.Pattern[str], inner: re.Pattern[str], text: str) -> Iterator[Span]:
    for run in outer.finditer(text):
        yield from (match.span() for match in inner.finditer(text, *run.span()))
