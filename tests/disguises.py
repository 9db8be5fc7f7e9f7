"""Every way we know of writing a word so that people read it and machines do not: plain text in, disguised text out.

`made` disguises all that can be disguised; who evades does less. Each keeps the words' order, so that what is found
plain should be found disguised. Pure; the same text always comes out the same.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping

Disguise = Callable[[str], str]

_WORD = re.compile(r"[A-Za-z]{4,}")
_LETTERS = re.compile(r"[A-Za-z]{2,}")
_RUN = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]{2,}){1,2}")
_CAPITALS, _SMALL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"


def _each(pattern: re.Pattern[str], change: Disguise) -> Disguise:
    return lambda text: pattern.sub(lambda word: change(word[0]), text)


def _mapped(plain: str, other: str) -> Disguise:
    table = str.maketrans(plain, other)
    return lambda text: text.translate(table)


def _alphabet(capital: int, small: int) -> Disguise:
    """Letters from a block of Unicode that holds an alphabet in order."""
    letters = {ord(letter): chr(capital + n) for n, letter in enumerate(_CAPITALS)}
    letters |= {ord(letter): chr(small + n) for n, letter in enumerate(_SMALL)}
    return lambda text: text.translate(letters)


def _between(sign: str, *, words: str = "") -> Disguise:
    def change(text: str) -> str:
        spaced = _LETTERS.sub(lambda word: sign.join(word[0]), text)
        return spaced.replace(" ", words) if words else spaced

    return change


def _spaced(words: str) -> Disguise:
    return lambda text: _RUN.sub(lambda run: words.join(" ".join(word) for word in run[0].split()), text)


def _broken(sign: str) -> Disguise:
    return _each(_WORD, lambda word: word[: len(word) // 2] + sign + word[len(word) // 2 :])


def _stretched(word: str) -> str:
    return re.sub(r"([aeiou])(?=[a-z]*$)", lambda vowel: vowel[0] * (2 + len(word) % 3), word, count=1) + word[-1] * 3


def _glued(capital: bool) -> Disguise:
    def glue(run: re.Match[str]) -> str:
        return "#" + "".join(word.capitalize() if capital else word.lower() for word in run[0].split())

    return lambda text: _RUN.sub(glue, text)


def _without_vowels(mark: str) -> Disguise:
    """Drop the vowels inside a word, or put a mark in their place."""
    return _each(_WORD, lambda word: word[0] + re.sub("[aeiouAEIOU]", mark, word[1:-1]) + word[-1])


def _one_vowel(mark: str) -> Disguise:
    return _each(_WORD, lambda word: word[0] + re.sub("[aeiouAEIOU]", mark, word[1:-1], count=1) + word[-1])


def _mixed(text: str) -> str:
    """Change the look of every other word, each time another way."""
    ways = [_CYRILLIC, _GREEK, _alphabet(0xFF21, 0xFF41), _LEET, _between("\u200b"), _alphabet(0x1D400, 0x1D41A)]
    return _LETTERS.sub(lambda word: ways[zlib.crc32(word[0].encode()) % len(ways)](word[0]), text)


def _number_words(text: str) -> str:
    names = ["kosong", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "lapan", "sembilan"]
    return re.sub(r"\d{4,}", lambda digits: " ".join(names[int(digit)] for digit in digits[0]), text)


def _upside(text: str) -> str:
    table = str.maketrans(_SMALL, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")
    return text.lower().translate(table)[::-1]


_CYRILLIC = _mapped("ABCEHIJKMOPSTXYaceijopsxyhdlqw", "АВСЕНІЈКМОРЅТХҮасеіјорѕхуһԁӏԛԝ")
_GREEK = _mapped("ABEHIKMNOPTXYZaiknoptuvxy", "ΑΒΕΗΙΚΜΝΟΡΤΧΥΖαικηορτυνχγ")
_LEET = _mapped("aeiosAEIOS", "4310543105")

DISGUISES: Mapping[str, Disguise] = {
    "zero-width": _between("\u200b"),
    "joiners": _between("\u2060\u200d"),
    "soft hyphens": _between("\u00ad"),
    "variation selectors": _between("\ufe0f"),
    "combining marks": _each(_LETTERS, lambda word: "".join(letter + "\u0336" for letter in word)),
    "accents": _mapped("aeiounAEIOUN", "äéïöúñÄÉÏÖÚÑ"),
    "strokes": _mapped("bdhlotBDHLOT", "ƀđħłøŧɃĐĦŁØŦ"),
    "Cyrillic": _CYRILLIC,
    "Cyrillic by shape": _mapped("abekmnortuy", "авекмпогтцу"),
    "Greek": _GREEK,
    "Greek by shape": _mapped("abenorstuwx", "αвεησяѕтυωχ"),
    "Cherokee": _mapped("ABCDEGHJKLMPRSTVWZ", "ᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ"),
    "Armenian": _mapped("ghnouqS", "ցհոօսգՏ"),
    "small capitals": _mapped(_SMALL, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡxʏᴢ"),
    "phonetic letters": _mapped("abcegiklnorstuvyz", "ɑɓƈɛɠɨƙɭŋɔɽʂƭʊʋʏʐ"),
    "superscript": _mapped("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ"),
    "full-width": _alphabet(0xFF21, 0xFF41),
    "mathematical bold": _alphabet(0x1D400, 0x1D41A),
    "mathematical script": _alphabet(0x1D4D0, 0x1D4EA),
    "mathematical fraktur": _alphabet(0x1D56C, 0x1D586),
    "double-struck": _mapped("abdeghiklmnorstuyAST", "𝕒𝕓𝕕𝕖𝕘𝕙𝕚𝕜𝕝𝕞𝕟𝕠𝕣𝕤𝕥𝕦𝕪𝔸𝕊𝕋"),
    "monospace": _alphabet(0x1D670, 0x1D68A),
    "circled": _alphabet(0x24B6, 0x24D0),
    "negative circled": _alphabet(0x1F150, 0x1F150),
    "squared": _alphabet(0x1F130, 0x1F130),
    "negative squared": _alphabet(0x1F170, 0x1F170),
    "in parentheses": _alphabet(0x249C, 0x249C),
    "regional indicators": _alphabet(0x1F1E6, 0x1F1E6),
    "tags": lambda text: "".join(chr(0xE0000 + ord(c)) + c for c in text if c.isascii()),
    "upside down": _upside,
    "leet": _LEET,
    "leet, i as 1": _mapped("iaoIAO", "140140"),
    "leet, l as 1": _mapped("laoLAO", "140140"),
    "leet, more": _mapped("aeiostgbAEIOSTGB", "4310579843105798"),
    "leet, signs": _mapped("asiASI", "@$!@$!"),
    "leet, 7 for t": _mapped("tT", "77"),
    "leet, 5 for s": _mapped("sS", "55"),
    "leet, one letter": _each(_WORD, lambda word: re.sub("[aeios]", lambda c: _LEET(c[0]), word, count=1)),
    "stretched": _each(_WORD, _stretched),
    "doubled": _each(_WORD, lambda word: "".join(letter * 2 for letter in word)),
    "spaced, words apart": _spaced("   "),
    "spaced, words alike": _spaced(" "),
    "spaced, all": lambda text: " ".join(text.replace(" ", "  ")),
    "wide": lambda text: _LETTERS.sub(lambda word: "\u3000".join(word[0]), text),
    "dotted": _between("."),
    "dashed": _between("-"),
    "underscored": _between("_"),
    "starred": _between("*"),
    "slashed": _between("/"),
    "barred": _between("|"),
    "comma'd": _between(","),
    "emoji between": _between("🔥"),
    "emoji with selector": _between("❤️"),
    "emoji and space": _between(" 🔥 "),
    "letters on lines": _between("\n", words="\n\n"),
    "broken by a dot": _broken("."),
    "broken by a dash": _broken("-"),
    "broken by a star": _broken("*"),
    "broken by a slash": _broken("/"),
    "broken by an emoji": _broken("🔥"),
    "broken by a line": _broken("\n"),
    "broken by a hyphen and line": _broken("-\n"),
    "broken by a space": _broken(" "),
    "words on lines": lambda text: text.replace(" ", "\n"),
    "underscores for spaces": lambda text: text.replace(" ", "_"),
    "dots for spaces": lambda text: text.replace(" ", "."),
    "hashtags, capitals": _glued(capital=True),
    "hashtags, small": _glued(capital=False),
    "hashtag a word": _each(_LETTERS, lambda word: "#" + word),
    "glued": lambda text: _RUN.sub(lambda run: run[0].replace(" ", ""), text),
    "capitals in between": _each(_LETTERS, lambda w: "".join(c.upper() if n % 2 else c for n, c in enumerate(w))),
    "vowels starred": _without_vowels("*"),
    "one vowel starred": _one_vowel("*"),
    "one vowel dropped": _one_vowel(""),
    "vowels dropped": _without_vowels(""),
    "mixed": _mixed,
    "digits in words": _number_words,
    "digits spaced": lambda text: re.sub(r"\d{4,}", lambda digits: " ".join(digits[0]), text),
    "digits dotted": lambda text: re.sub(r"\d{4,}", lambda digits: ".".join(digits[0]), text),
    "digits full-width": _mapped("0123456789", "０１２３４５６７８９"),
    "digits circled": _mapped("0123456789", "⓪①②③④⑤⑥⑦⑧⑨"),
    "digits Arabic": _mapped("0123456789", "٠١٢٣٤٥٦٧٨٩"),
    "digits as key caps": lambda text: re.sub(r"\d", "\\g<0>\ufe0f\u20e3", text),
}
