"""The stem of a word, as far as the learned opinion needs it: Malay affixes and English endings off, chat spelt out.

Not a linguist's: two forms of a word should come to the same, and it does no harm when two words do. Pure.
"""

from __future__ import annotations

import re

_LEAST = 4  # letters that must be left
_VOWEL = "[aeiou]"
_BEFORE = re.compile(
    rf"(?P<p>[mp]em(?={_VOWEL}))|(?P<t>[mp]en(?={_VOWEL}))|(?P<s>[mp]eny(?={_VOWEL}))"  # they swallow a letter
    r"|[mp]em(?=[bpf])|[mp]en(?=[cdjtsz])|[mp]eng(?=[aeioughk])|[mp]e(?=[lmnrwy])|[bt]er|bel(?=aj)|per|di|[ks]e"
)
_BEHIND = re.compile(r"(?:kanya|kan|anya|nya|lah|kah|an|i|s|ed|ing)$")
_CHAT = {
    "bukan": "bkn",
    "dalam": "dlm",
    "dapat": "dpt",
    "dengan": "dgn",
    "di": "kat kt dkt dekat",
    "kami": "kitorang kitaorang",
    "kamu": "korang hangpa",
    "kepada": "kpd",
    "kerana": "krn",
    "lagi": "lg",
    "macam": "mcm",
    "mahu": "nak nk hendak",
    "malam": "mlm",
    "mereka": "diorang dorang depa",
    "orang": "org",
    "pada": "pd",
    "pukul": "pkl jam",
    "sahaja": "je jer ja saja",
    "saya": "sy aku",
    "sebab": "sbb",
    "sekarang": "skrg",
    "seperti": "spt",
    "sudah": "dah dh telah",
    "tak": "x tk tidak",
    "tengok": "tgk",
    "tiada": "takde takda takdak tkde xde",
    "untuk": "utk",
    "yang": "yg",
    "jangan": "jgn",
    "belum": "blm lom",
    "bagi": "bg",
    "cakap": "ckp",
    "dari": "dr",
    "ini": "ni",
    "itu": "tu",
}
_SPELT_OUT = {short: word for word, shorts in _CHAT.items() for short in shorts.split()}


def stem(word: str) -> str:
    """Return the stem of a folded word; of what is no word, the same."""
    word = _SPELT_OUT.get(word, word)
    if len(word) <= _LEAST or not word.isalpha():
        return word
    before = _BEFORE.match(word)
    left = (before.lastgroup or "") + word[before.end() :] if before else word
    left = left if len(left) >= _LEAST else word
    shorter = _BEHIND.sub("", left) if len(left) > _LEAST + 1 else left
    return shorter if len(shorter) >= _LEAST else left
