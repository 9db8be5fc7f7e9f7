"""Numbers that name a person: MyKad, passport, service number of police and army, tax number. Pure.

Facts: a MyKad is YYMMDD-PB-###G without a check digit (as python-stdnum has it); python-stdnum knows
the dates and the place codes. Valid MyKad numbers by form are also registration numbers of the Companies Commission
(SSM) of 2001–2012, and mobile numbers written 6011….
"""

from __future__ import annotations

import re
from itertools import islice

from monitor.rules.detectors.detector import Context, Detector, context, words
from monitor.rules.text import Span

MOST_TRIED = 500  # numbers of one text; a longer list of them is a leak all the same
CONTEXT = 300  # characters around a number in which it may be called an identity number

# ---------------------------------------------------------------- MyKad

_D = r"[\doil]"  # a reader of pictures takes 0 for O, and 1 for I or l
_LEFT = r"(?:(?<![a-z0-9/-])|(?<=ic)|(?<=kp))"  # also "ic850213-14-0001"
_RIGHT = r"(?![a-z0-9]|[/-][a-z0-9])"
_DASHED_FORM = (
    rf"{_D}{{6}} ?[-./] ?{_D}{{2}} ?[-./] ?{_D}{{4}}|\d{{6}} \d{{2}} \d{{4}}"
    r"|(?:\d ){6}[-./ ]{0,2}\d \d [-./ ]{0,2}(?:\d ){3}\d"
)
_UNDASHED_FORM = r"\d{12}|\d{6}[-./ ]\d{6}|\d{8}[-./ ]\d{4}"
_DASHED = re.compile(f"{_LEFT}(?:{_DASHED_FORM}){_RIGHT}", re.ASCII)
_NO_ROW = r"(?<!\d{6} )(?!(?:\d{6} ){2}\d{6})"  # six digits after six after six are dates or figures
_UNDASHED = re.compile(f"(?<![.,])(?:{_LEFT}){_NO_ROW}(?:{_UNDASHED_FORM}){_RIGHT}", re.ASCII)
_AS_DIGIT = str.maketrans("oil", "011")
_LEAST_DIGITS = 7  # of the twelve that must have been read as digits
_IDENTITY_WORDS = (
    r"(?:no\.? ?)?(?:ic|i/c|i\.c|k/p|k\.p|kp|nokp|mykad|my kad|mykid|nric|identity card|kad pengenalan|"
    r"pengenalan(?: diri)?)|bin|binti|bt|bte|a/l|a/p|s/o|d/o|anak lelaki|anak perempuan"
)
_CALLED_IDENTITY = words(_IDENTITY_WORDS, "nama", "name", "encik", "puan", "cik")
_JUST_CALLED = re.compile(rf"(?:\b|(?<=\.))(?:{_IDENTITY_WORDS})\b[^\n\d]{{0,25}}\Z", re.ASCII)
_CALLED_COMPANY = words("syarikat", "sdn", "bhd", "ssm", "berhad", "enterprise", "roc", "llp", "plt", "pendaftaran")
_CALLED_PHONE = words(
    "whats ?app", "wasap", "wassap", "ws", "hubungi", "telefon", "tel", "hp", "call", "sms", "hotline", "talian"
)
_COMPANY_YEARS = re.compile(r"20(?:0[1-9]|1[0-2])0[1-6]\d{6}", re.ASCII)  # year, kind of entity, running number
_COMPANY_REACH = 60
_PHONE_REACH = 40
_CALLED_SAMPLE = words("contoh", "cth", "sample", "specimen", "spesimen", "example", "e\\.g", "format", "misalnya")
_SAMPLE_SERIALS = frozenset({"1234", "2345", "4321", "5678", "6789", *(4 * digit for digit in "0123456789")})
_SAMPLE_REACH = 80


def _mykads(text: str) -> list[Span]:
    """Return identity numbers. Undashed ones only in context, or two and more on one list; samples not at all."""
    samples = context(_CALLED_SAMPLE, text)
    dashed = [match.span() for match in islice(_DASHED.finditer(text), MOST_TRIED) if is_mykad(match[0])]
    bare = [match.span() for match in islice(_UNDASHED.finditer(text), MOST_TRIED) if is_mykad(match[0])]
    if bare:
        companies, phones = context(_CALLED_COMPANY, text), context(_CALLED_PHONE, text)
        bare = [span for span in bare if not _is_other(text, span, companies, phones)]
    if bare and len(bare) + len(dashed) < 2:
        named = context(_CALLED_IDENTITY, text)
        bare = [s for s in bare if named.near(s, before=CONTEXT, after=CONTEXT) or _is_called_so(text, s[0])]
    return sorted(span for span in (*dashed, *bare) if not _is_sample(text, span, samples))


def is_mykad(number: str) -> bool:
    """Tell whether twelve digits, dashed or not, have the date and the place code of a MyKad."""
    from stdnum.my import nric

    if sum(character.isdigit() for character in number) < _LEAST_DIGITS:
        return False
    return bool(nric.is_valid(_digits(number)))


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number.translate(_AS_DIGIT))


def _is_called_so(text: str, start: int) -> bool:
    """Tell whether the words straight in front of a number call it an identity card's."""
    return _JUST_CALLED.search(text[max(0, start - 60) : start]) is not None


def _is_other(text: str, span: Span, companies: Context, phones: Context) -> bool:
    """Tell whether an undashed number is rather a company's or a telephone's."""
    start, end = span
    if _is_called_so(text, start):
        return False
    digits = _digits(text[start:end])
    if _COMPANY_YEARS.fullmatch(digits) and companies.near(span, before=_COMPANY_REACH, after=_COMPANY_REACH):
        return True
    return digits.startswith("601") or phones.near(span, before=_PHONE_REACH, after=-(end - start))


def _is_sample(text: str, span: Span, samples: Context) -> bool:
    """Tell whether a post shows how a number looks: it says so, and the number counts 1234 at its end.

    A number that is only called an example may still be somebody's; a rule weighs the word.
    """
    serial = _digits(text[slice(*span)])[-4:]
    return serial in _SAMPLE_SERIALS and samples.near(span, before=_SAMPLE_REACH, after=_SAMPLE_REACH // 2)


MYKAD = Detector("mykad", f"{_DASHED_FORM}|{_UNDASHED_FORM}", _mykads)

# ---------------------------------------------------------------- passports

_PASSPORT = re.compile(r"(?<![a-z0-9])(?:[ahk] ?\d{8}|[a-z]{1,2}\d{6,8})(?![a-z0-9])", re.ASCII)
_PASSPORT_WORDS = r"pas+ports?|paspot|travel document|dokumen perjalanan"
_CALLED_PASSPORT = words(_PASSPORT_WORDS)


def _passports(text: str) -> list[Span]:
    """Return numbers called a passport's: A, H or K and eight digits, foreign ones alike (unverified)."""
    called = context(_CALLED_PASSPORT, text)
    return [m.span() for m in _PASSPORT.finditer(text) if called.near(m.span(), before=60, after=40)]


PASSPORT = Detector("passport", rf"\b(?:{_PASSPORT_WORDS})\b", _passports)

# ---------------------------------------------------------------- police and army

_SERVICE_WORDS = (
    r"(?:no\.?|nombor|number) ?(?:kad (?:kuasa|pengenalan) )?"
    r"(?:tentera|polis|askar|badan|anggota|perkhidmatan|military|police|army|service)"
    r"|(?:military|army|police|service) (?:no\.?|number|id)"
)
_SERVICE = re.compile(
    rf"(?<![a-z0-9])(?:{_SERVICE_WORDS})(?: ialah| adalah| is)?[ :.=-]{{0,4}}"
    r"(?P<number>(?:[a-z]{1,3}[ /-]?)?\d{4,8})(?![a-z0-9]|[/-]\d)",
    re.ASCII,
)


def _service_numbers(text: str) -> list[Span]:
    """Return numbers straight after what calls them a soldier's or an officer's (RF12345, T1234567: unverified)."""
    return [match.span("number") for match in _SERVICE.finditer(text)]


SERVICE_NUMBER = Detector("service-number", _SERVICE_WORDS, _service_numbers)

# ---------------------------------------------------------------- tax numbers

_PERSONS_TAX = r"(?:ig|sg|og)[ -]?\d{9,11}"
_ENTITYS_TAX = r"(?:cs?|d|tf|tc|tn|ta|tp|tr|pt|fa?|le|j|e)[ -]?\d{10,11}"
_TAX = re.compile(rf"(?<![a-z0-9])(?:(?P<person>{_PERSONS_TAX})|{_ENTITYS_TAX})(?![a-z0-9]|[-/]\d)", re.ASCII)
_CALLED_TAX = words("tin", "cukai", "tax", "lhdn", "hasil", "e-?invois", "e-?invoice")
_HANDLE_PHONE = re.compile(r"ig[ -]01\d{8,9}", re.ASCII)  # Instagram, and then a telephone


def _tax_numbers(text: str) -> list[Span]:
    """Return tax numbers: IG (older SG, OG) and 9–11 digits entities' 10–11 with a word near (prefixes unverified)."""
    called = context(_CALLED_TAX, text)
    return [
        match.span()
        for match in _TAX.finditer(text)
        if called.near(match.span(), before=60, after=30) or (match["person"] and not _HANDLE_PHONE.fullmatch(match[0]))
    ]


TIN = Detector("tin", rf"\b(?:{_PERSONS_TAX}|{_ENTITYS_TAX})", _tax_numbers)
