"""Which language a post is in: a guess by script and by the small words that every sentence needs. Pure.

It tells Malay, English and anything else apart, and says nothing of a text that shows too little. Jawi is Malay too, so
that Arabic letters alone tell nothing; Indonesian counts as Malay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from monitor.rules.lexicon import word_set

MALAY, ENGLISH, OTHER, UNKNOWN = "ms", "en", "other", ""
LEAST_WORDS = 2  # small words of one language before it is believed
LEAST_OTHER = 3  # of the languages that nobody expects, one more: some of their words are names or Malay
LEAST_LETTERS = 8
MOST_READ = 2_000  # characters; a language shows long before
_WORDS: Mapping[str, frozenset[str]] = {
    MALAY: word_set(
        "yang dan di ke dari daripada untuk dengan ini itu pada adalah akan telah tidak tak boleh kepada oleh dalam "
        "juga kami kita anda saya mereka atau sila jika bagi semua lebih sudah belum masih seperti kerana apabila "
        "serta antara bukan ada lagi saja sahaja sebagai supaya hendaklah kini bagaimana nak dah dgn yg utk bg"
    ),
    ENGLISH: word_set(
        "the and of to in is are was were for with that this these on at from by be been will have has had not you "
        "your our we they their it its as or an can do does all now what when who how if but so i my me he she us"
    ),
    OTHER: word_set(
        "el los las una del por para con que más está como pero sus muy "  # Spanish
        "não uma com mais são dos das ao você isso "  # Portuguese
        "le les des une est dans pour pas vous nous sur avec qui ce cette sont "  # French
        "der die das und ist nicht ein eine mit auf den sie wir für von zu "  # German
        "ve bir bu için ile çok değil olarak ama daha "  # Turkish
        "và của là không được cho với những các một có "  # Vietnamese
        "ang mga ng sa ako ikaw hindi kayo namin natin ito"  # Filipino
    ),
}
_NEUTRAL = ("LATIN", "ARABIC")  # scripts that Malay is written in
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"https?://\S+|[@#]\w+")


def guess(text: str) -> str:
    """Return MALAY, ENGLISH, OTHER, or UNKNOWN when the text shows too little or too much at once."""
    shown = _ADDRESS.sub(" ", text[:MOST_READ])
    if not shown.isascii() and _is_foreign(shown):
        return OTHER
    words = _WORD.findall(shown.casefold())
    counts = {language: sum(word in small for word in words) for language, small in _WORDS.items()}
    best = max(counts, key=counts.__getitem__)
    least = LEAST_OTHER if best == OTHER else LEAST_WORDS
    second = max(count for language, count in counts.items() if language != best)
    return best if counts[best] >= least and counts[best] >= 2 * second else UNKNOWN


def _is_foreign(text: str) -> bool:
    """Tell whether most letters are of a script that neither Malay nor English is written in."""
    letters = [c for c in unicodedata.normalize("NFKC", text) if c.isalpha()]
    strange = sum(not c.isascii() and not unicodedata.name(c, "").startswith(_NEUTRAL) for c in letters)
    return strange >= LEAST_LETTERS and strange * 2 > len(letters)
