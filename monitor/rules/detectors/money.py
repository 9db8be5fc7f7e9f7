"""Accounts at a bank. Pure. Account numbers have 10–16 digits and no form of their own: a word has to call them so."""

from __future__ import annotations

import re

from monitor.rules.detectors.detector import Detector, context, words
from monitor.rules.detectors.identity import is_mykad
from monitor.rules.detectors.telephone import is_phone
from monitor.rules.text import Span

_BANKS = (
    r"may ?bank|mbb|cimb|public bank|pbb|pbe|rhb|hong ?leong(?: bank)?|hlb|am ?bank|bsn|bank islam|bimb|bank rakyat|"
    r"bank muamalat|muamalat|affin(?: ?bank)?|agro ?bank|alliance bank|ocbc|uob|hsbc|standard chartered|scb|citi ?bank|"
    r"al[ -]?rajhi|mbsb|gx ?bank|aeon bank|boost bank"  # as people call them (unverified, not complete)
)
_ACCOUNT = r"(?:no\.? ?)?(?:akaun|acc(?:oun)?t?|a/c|acc)(?: ?(?:no\.?|number|num|bank))?"
_CALLED = words(_BANKS, _ACCOUNT)
_OTHER = words(
    "tracking", "pesanan", "order", "resit", "receipt", "invo?is", "invoice", "rujukan", "ruj", "ref",
    "no\\.? siri", "serial", "isbn", "imei", "telefon", "tel", "hp", "whats ?app", "wasap", "pendaftaran", "ssm",
    "konsainan", "parcel", "consignment", "permohonan", "tiket",
)  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.,/+-])\d(?:[ -]?\d){9,15}(?![\w/]|[-.,]\d| ?\d)", re.ASCII)


def _bank_accounts(text: str) -> list[Span]:
    """Return numbers with the word account or a bank's name near. Whose it is (a charity's?) a rule asks."""
    called, other = context(_CALLED, text), context(_OTHER, text)
    return [
        match.span()
        for match in _NUMBER.finditer(text)
        if called.near(match.span(), before=60, after=40)
        and not other.near(match.span(), before=18, after=-len(match[0]))
        and not _is_something_else(match[0])
    ]


def _is_something_else(number: str) -> bool:
    if re.fullmatch(r"\d{6}-\d\d-\d{4}", number) and is_mykad(number):
        return True
    return re.match(r"\(?0|60", number) is not None and is_phone(number)


BANK_ACCOUNT = Detector("bank-account", rf"\b(?:{_BANKS}|{_ACCOUNT})\b", _bank_accounts)
