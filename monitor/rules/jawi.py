"""Reads Malay in Arabic letters (Jawi) as the same words in Latin ones. Pure.

Jawi leaves out many vowels, so a word is looked up by its consonants among known words (`monitor.rules.lexicon`), and
that one is taken whose vowels fit best. What is not known is spelled letter for letter: names, mostly. Arabic itself
stays as it is: it has none of the letters that Malay needs, and hardly any of its words reads well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice, product

from monitor.rules.lexicon import ranks

_CONSONANTS = {
    "ب": "b", "ت": "t", "ث": "s", "ج": "j", "چ": "c", "ح": "h", "خ": "K", "د": "d", "ذ": "z", "ر": "r", "ز": "z",
    "س": "s", "ش": "S", "ص": "s", "ض": "d", "ط": "t", "ظ": "z", "ع": "-k", "غ": "G", "ڠ": "N", "ف": "fp", "ڤ": "pf",
    "ق": "k", "ك": "k", "ک": "k", "گ": "g", "ڬ": "g", "ݢ": "g", "ل": "l", "م": "m", "ن": "n", "ه": "h", "ہ": "h",
    "ة": "th", "ۃ": "th", "ڽ": "Y", "ۏ": "v", "پ": "p", "ء": "-",
}  # fmt: skip
_VOWELS = {"ا": "A", "و": "W", "ي": "I", "ی": "I", "ى": "I", "ئ": "I", "ؤ": "W"}
_SPELLED = {"N": "ng", "Y": "ny", "K": "kh", "S": "sy", "G": "gh", "A": "a", "W": "u", "I": "i", "-": ""}
_DIGRAPHS = {"ng": "N", "ny": "Y", "kh": "K", "sy": "S", "gh": "G"}
_AS_VOWEL = {"a": "A", "e": "I", "i": "I", "o": "W", "u": "W", "w": "W", "y": "I"}
_OMITTED = {"a": 0.2, "e": 0.1, "i": 0.6, "o": 0.6, "u": 0.6, "w": 0.9, "y": 0.9}
_UNHEARD = 0.8  # a vowel that is written and not in the word
MOST_WORDS = 800  # different ones of one text, more than an honest one has; what comes later stands as it is
LONGEST_WORD = 40  # letters; a longer row of them is no word, and would be fitted for a second
_MOST_FITTED = 40  # words with the same consonants
_GOOD = 0.75  # what a word's vowels may cost, alone among Latin ones
_FAIR = 1.3
_PREFIXES = {"د": "di ", "ک": "ke ", "ك": "ke ", "س": "se", "بر": "ber", "تر": "ter"}
_SUFFIXES = {"ڽ": "nya", "له": "lah", "کن": "kan", "كن": "kan", "ن": "an", "ي": "i", "کو": "ku", "مو": "mu"}
_ARABIC = re.compile(r"[\u0620-\u065f\u066e-\u06d3\u0750-\u077f]+")
_WORD = re.compile(r"\w+")
_MALAY_LETTERS = re.compile(r"[ڠڤڽݢڬۏ]")
_FIXED_PAIRS = """
اين=ini ايت=itu اد=ada دان=dan يڠ=yang کڤد=kepada درڤد=daripada اونتوق=untuk سموا=semua کامي=kami کيت=kita
دڠن=dengan تيدق=tidak بوليه=boleh جاڠن=jangan اورڠ=orang اتاو=atau ڤد=pada اوليه=oleh دالم=dalam مريک=mereka
انق=anak سده=sudah هاري=hari راي=raya نݢري=negeri کراجاءن=kerajaan منتري=menteri ايسوق=esok اکن=akan دي=di د=di
ک=ke رم=rm جک=jika سهاج=sahaja ڤون=pun دري=dari هرݢ=harga کرج=kerja الله=allah موک=muka لاݢي=lagi تيݢ=tiga
دوا=dua ستو=satu بوکن=bukan کات=kata ماس=masa کد=kad ليم=lima بنت=binti دڤن=depan ݢمبر=gambar اسلام=islam
نام=nama تمڤت=tempat قوم=kaum حق=hak جمعة=jumaat نق=nak ايم=ayam عموم=umum يه=ya جم=jam کبل=kebal ڤوست=pusat
ويديو=video مودل=modal بايو=bio صبح=subuh جوتاون=jutawan واي=wi فاي=fi وايفاي=wifi تريما=terima لام=lama
حاضر=hadir فقه=fiqah بڠک=bank ستاف=staf لچ=laci راج=raja رعية=rakyat سيڤ=siapa سياڤ=siapa سام=sama ايبو=ibu
باڤ=bapa تله=telah اداله=adalah کران=kerana تياد=tiada
"""
_FIXED: Mapping[str, str] = dict(pair.split("=") for pair in _FIXED_PAIRS.split())
_SAME = str.maketrans({"ك": "ک", "ڬ": "ݢ", "گ": "ݢ", "ی": "ي", "ى": "ي"})


def has_arabic(text: str) -> bool:
    """Tell whether there are letters that may be Jawi."""
    return _ARABIC.search(text) is not None


def jawi_edits(folded: str) -> Sequence[tuple[int, int, str]]:
    """Return the Jawi words with their places in the folded text, and what each says in Latin letters."""
    if folded.isascii():
        return ()
    words = list(_ARABIC.finditer(folded))
    if not words:
        return ()
    likely = (word[0] for word in words if len(word[0]) <= LONGEST_WORD)
    fitted = set(islice(dict.fromkeys(likely), MOST_WORDS))
    read = [_read(word[0]) if word[0] in fitted else ("", _FAIR * 2) for word in words]
    if not _MALAY_LETTERS.search(folded) and not _reads_well([cost for _, cost in read], folded):
        return ()
    mixed = not _MALAY_LETTERS.search(folded)
    return [
        (*word.span(), text)
        for word, (text, cost) in zip(words, read, strict=True)
        if text and (cost <= _GOOD or not mixed)
    ]


def _reads_well(costs: Sequence[float], folded: str) -> bool:
    """Tell whether a text without a letter that only Malay has is Malay: most of it in Latin, or all of it known."""
    good = sum(cost <= _GOOD for cost in costs)
    return len(costs) * 3 <= len(_WORD.findall(folded)) or good == len(costs)


@lru_cache(maxsize=20_000)
def _read(word: str) -> tuple[str, float]:
    """Return what the word says, and how badly its vowels fit; spelled out, it costs more than any known word."""
    fixed = _FIXED.get(word.translate(_SAME))
    if fixed:
        return fixed, 0.0
    if word.startswith("ال"):
        return "", _FAIR * 2  # an Arabic article
    best, cost = _nearest(word)
    if cost <= _FAIR:
        return best, cost
    for text, part in _parts(word):
        if part <= _FAIR:
            return text, part
    return _spelled(word), _FAIR * 2


def _parts(word: str) -> Iterator[tuple[str, float]]:
    """Yield readings of the word as another one with a beginning or an ending."""
    for letters, prefix in _PREFIXES.items():
        if word.startswith(letters) and len(word) > len(letters) + 2:
            stem, cost = _nearest(word.removeprefix(letters))
            yield prefix + stem, cost
    for letters, suffix in _SUFFIXES.items():
        if word.endswith(letters) and len(word) > len(letters) + 2:
            stem, cost = _nearest(word.removesuffix(letters))
            yield stem + suffix, cost


def _spelled(word: str) -> str:
    letters = (_CONSONANTS.get(one, _VOWELS.get(one, ""))[:1] for one in word)
    return "".join(_SPELLED.get(one, one) for one in letters)


def _nearest(word: str) -> tuple[str, float]:
    """Return the known word with these consonants whose vowels fit best, the commoner of two alike."""
    best, least = "", _FAIR * 2
    for reading in _readings(word):
        key = "".join(one for one in reading if one not in "AWI")
        for likely in _by_consonants().get(key, ())[:_MOST_FITTED]:
            cost = _cost(reading, likely) + min(0.3, ranks()[likely] / 40_000)
            if cost < least:
                best, least = likely, cost
    return best, least


def _readings(word: str) -> Iterator[str]:
    """Yield the word's consonants and vowels (A, W, I), one reading for each sound that a letter may stand for."""
    sounds = [_CONSONANTS.get(one) or _VOWELS.get(one, "") for one in word]
    for chosen in product(*(sound for sound in sounds if sound)):
        yield "".join(chosen).replace("-", "")


@cache
def _by_consonants() -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for word in ranks():
        found.setdefault("".join(one for one in _sounds(word) if one not in _AS_VOWEL), []).append(word)
    return found


@lru_cache(maxsize=20_000)
def _sounds(word: str) -> str:
    """Return the word with one sign for each sound; letters written twice count once."""
    for two, one in _DIGRAPHS.items():
        word = word.replace(two, one)
    return re.sub(r"(.)\1", r"\1", word.replace("q", "k").replace("x", "ks")) if word else ""


def _cost(jawi: str, word: str) -> float:
    """Return how badly the written vowels fit those of the word: an edit distance with a price for each."""
    said = _sounds(word)
    start = jawi.removeprefix("A") if jawi[:2] in {"AW", "AI"} or said[:1] == "e" else jawi
    row = [0.0]
    for sound in start:
        row.append(row[-1] + (_UNHEARD if sound in "AWI" else 9.0))
    for letter in said:
        above, row = row, [row[0] + _OMITTED.get(letter, 9.0)]
        for place, sound in enumerate(start, start=1):
            same = _AS_VOWEL.get(letter, letter) == sound
            row.append(
                min(
                    above[place - 1] + (0.0 if same else 9.0),
                    above[place] + _OMITTED.get(letter, 9.0),
                    row[place - 1] + (_UNHEARD if sound in "AWI" else 9.0),
                )
            )
    return row[-1]
