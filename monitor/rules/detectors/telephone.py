"""Telephone numbers of persons. Hotlines and the agency's own numbers are none. Pure.

Facts: mobile numbers are 01[02-46-9] and seven digits, or 011 and eight; landlines 03 and eight, others nine in all (by
Google's libphonenumber). Short codes, 1-300 and 1-800 are public.
"""

from __future__ import annotations

import re
from functools import lru_cache

from monitor.rules.detectors.detector import Detector, context, words
from monitor.rules.text import Span

_SEP = r"(?: ?[-.] ?| )?"
_SEVEN = (
    rf"(?:\d{{7}}|\d{{3}}{_SEP}\d{{4}}|\d{{4}}{_SEP}\d{{3}}|\d{{2}}{_SEP}\d{{5}}|\d{{3}}{_SEP}\d{{2}}{_SEP}\d{{2}})"
)
_EIGHT = rf"(?:\d{{8}}|\d{{4}}{_SEP}\d{{4}}|\d{{3}}{_SEP}\d{{5}}|\d{{2}}{_SEP}\d{{3}}{_SEP}\d{{3}})"
_COUNTRY = r"(?:\(?\+?6\)?[ -]?\(?0\)?[ -]{0,3}(?:\(0\) ?)?|\(?0)"
_MOBILE_FORM = rf"{_COUNTRY}(?:1[02-46-9]\)?{_SEP}{_SEVEN}|11\)?{_SEP}{_EIGHT})"
_LEFT = r"(?:(?<![\w+/.-])|(?<=\d/)|(?<=wa\.me/)|(?<=\bhp\.)|(?<=\btel\.))"
_MOBILE = re.compile(rf"{_LEFT}{_MOBILE_FORM}(?!\w|-\w)", re.ASCII)

_LANDLINE_FORM = r"\(?0[3-9]\)?(?:[ .)-]{0,2}\d){7,8}"
_ABROAD_FORM = r"(?:\+|\b00)[1-9](?:[ .()-]{0,2}\d){7,14}|\+60 ?\(?\d\)?(?:[ .-]{0,2}\d){7,9}|wa\.me/\+?\d{9,15}"
_ANY = re.compile(
    rf"{_LEFT}(?:(?P<mobile>{_MOBILE_FORM})|(?P<landline>{_LANDLINE_FORM})|(?P<abroad>{_ABROAD_FORM}))(?!\w|-\w)",
    re.ASCII,
)
_CALLED_PUBLIC = words(
    "talian", "hotline", "helpline", "careline", "pusat panggilan", "call cent(?:re|er)", "pejabat", "office",
    "kaunter", "counter", "counselling", "kaunseling", "balai", "klinik", "clinic", "hospital", "fax", "faks",
    "jabatan", "hubungi kami", "contact us", "call us", "bilik gerakan", "urus ?setia", "sekretariat", "pertanyaan",
    "enquir(?:y|ies)",
)  # fmt: skip
_PUBLIC_REACH = 60
HOTLINES = frozenset({"+60380008000"})  # 1MOCC, the government's call centre


def mobile_number(known: frozenset[str] = frozenset()) -> Detector:
    """Return the detector of Malaysian mobile numbers. `known` are numbers that are nobody's, in any spelling."""
    quiet = _spelled_alike(known)

    def find(text: str) -> list[Span]:
        return [match.span() for match in _MOBILE.finditer(text) if not quiet or _international(match[0]) not in quiet]

    return Detector("mobile-number", _MOBILE_FORM, find)


def phone_number(known: frozenset[str] = frozenset()) -> Detector:
    """Return the detector of a person's numbers, Malaysian and foreign. A landline called an office's is none."""
    quiet = _spelled_alike(known) | HOTLINES

    def find(text: str) -> list[Span]:
        public = context(_CALLED_PUBLIC, text)
        return [
            match.span()
            for match in _ANY.finditer(text)
            if _international(match[0]) not in {*quiet, ""}
            and not (match["landline"] and public.near(match.span(), before=_PUBLIC_REACH, after=_PUBLIC_REACH))
        ]

    return Detector("phone-number", f"{_MOBILE_FORM}|{_LANDLINE_FORM}|{_ABROAD_FORM}", find)


def is_phone(number: str) -> bool:
    """Tell whether digits, spaces and dashes are a number that can be called, as written in Malaysia."""
    return bool(_international(number))


def _spelled_alike(numbers: frozenset[str]) -> frozenset[str]:
    return frozenset(_international(number) for number in numbers) - {""}


@lru_cache(maxsize=4096)
def _international(number: str) -> str:
    """Return a person's number in the form +60123456789; empty when it is none, or anybody may call it."""
    import phonenumbers
    from phonenumbers import PhoneNumberType as Kind

    digits = re.sub(r"[^\d+]", "", number.removeprefix("wa.me/").replace("(0)", ""))
    if number.startswith("wa.me/") or digits.startswith("60"):
        digits = "+" + digits.lstrip("+")
    try:
        parsed = phonenumbers.parse(re.sub(r"^00", "+", digits), "MY")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    if phonenumbers.number_type(parsed) in {Kind.TOLL_FREE, Kind.SHARED_COST, Kind.PREMIUM_RATE, Kind.UAN}:
        return ""
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
