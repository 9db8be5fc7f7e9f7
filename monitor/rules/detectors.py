"""Detectors: what a pattern alone cannot tell, because a date, a place code or the words around it decide. Pure.

Facts: `MyKad` is YYMMDD-PB-###G without a check digit; python-stdnum knows the dates and the place codes of JPN.
Valid MyKad numbers by form are also SSM registration numbers of 2001–2012 and mobile numbers written 6011….
"""

from __future__ import annotations

import ipaddress
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from monitor.rules.text import Span

CONTEXT = 300  # characters around a number in which it may be called an identity number
Finder = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds spans in folded text. `trigger` is an RE2 pattern without which it cannot find anything."""

    name: str
    trigger: str
    find: Finder


# ---------------------------------------------------------------- MyKad

_DASHED = re.compile(r"(?<![\w/-])\d{6} ?[-./] ?\d{2} ?[-./] ?\d{4}(?![\w/-])|(?<![\w/-])\d{6} \d{2} \d{4}(?![\w/-])")
_UNDASHED = re.compile(r"(?<![\w.,/-])\d{12}(?![\w/-])")
_CALLED_IDENTITY = re.compile(
    r"\b(?:no\.? ?)?(?:ic|i/c|k/p|k\.p|kp|mykad|my kad|nric|kad pengenalan|no\.? pengenalan)\b"
    r"|\b(?:bin|binti|bt|bte|a/l|a/p|anak lelaki|anak perempuan)\b"
)
_CALLED_COMPANY = re.compile(r"\b(?:syarikat|sdn|bhd|ssm|berhad|enterprise|roc|llp|plt|pendaftaran)\b")
_CALLED_PHONE = re.compile(r"\b(?:whats ?app|wasap|wassap|ws|hubungi|telefon|tel|hp|call|sms|hotline|talian)\b")
_COMPANY_YEARS = re.compile(r"20(?:0[1-9]|1[0-2])0[1-6]\d{6}")  # year, kind of entity, running number
_COMPANY_REACH = 60
_PHONE_REACH = 40


def _mykads(text: str) -> list[Span]:
    dashed = [match.span() for match in _DASHED.finditer(text) if is_mykad(match[0])]
    bare = [match.span() for match in _UNDASHED.finditer(text) if is_mykad(match[0]) and not _is_other(text, match)]
    if bare:
        named = sorted(match.start() for match in _CALLED_IDENTITY.finditer(text))
        if len(bare) + len(dashed) < 2:
            bare = [span for span in bare if _has_near(named, span)]
    return [*dashed, *bare]


def is_mykad(number: str) -> bool:
    """Tell whether twelve digits, dashed or not, have the date and the place code of a MyKad."""
    from stdnum.my import nric

    return bool(nric.is_valid(re.sub(r"\D", "", number)))


def _is_other(text: str, match: re.Match[str]) -> bool:
    """Tell whether an undashed number is rather a company's or a telephone's."""
    start, end = match.span()
    named = [found.end() for found in _CALLED_IDENTITY.finditer(text, max(0, start - 30), start)]
    if named:
        return False
    around = text[max(0, start - _COMPANY_REACH) : end + _COMPANY_REACH]
    if _COMPANY_YEARS.fullmatch(match[0]) and _CALLED_COMPANY.search(around):
        return True
    if match[0].startswith("601"):
        return True
    before = text[max(0, start - _PHONE_REACH) : start]
    return _CALLED_PHONE.search(before) is not None


def _has_near(places: Sequence[int], span: Span) -> bool:
    after = bisect_left(places, span[0] - CONTEXT)
    return after < len(places) and places[after] <= span[1] + CONTEXT


# ---------------------------------------------------------------- file references

_REFERENCE = re.compile(
    r"(?<![\w/.-])(?=[a-z])"
    r"(?P<office>[a-z]{2,12}(?:[./][a-z]{1,12}){0,4})"
    r"(?P<mark> ?\((?:s|r|rb|t|td|x)\)|\.(?:s|r|rb|t)(?=\.))?"
    r"(?P<digits>[ ./-]{0,2}(?:[a-z]{3,6} )?-?\d{1,5}(?:[-/.]\d{1,5}){0,7})"
    r"(?P<volume>[ ./]{0,3}j[lr]d\.? ?[0-9ivx]{1,4})?"
    r"(?P<enclosure> ?\( ?\d{1,4} ?\))?"
    r"(?![\w])"
)


def _file_references(text: str) -> list[Span]:
    """Return spans such as `jpa.bk(s)223/8/2-3 jld.4 (56)`: two of mark, volume and enclosure, or groups and one."""
    found = []
    for match in _REFERENCE.finditer(text):
        signs = sum(match[name] is not None for name in ("mark", "volume", "enclosure"))
        groups = len(re.findall(r"\d+", match["digits"]))
        if signs >= 2 or (signs == 1 and groups >= 3):
            found.append(match.span())
    return found


# ---------------------------------------------------------------- telephone numbers

_MOBILE = re.compile(
    r"(?<![\w+/-])(?:\(?\+?6\)?[ -]?)?\(?(?:01[02-46-9]\)?[ -]?\d{3}[ -]?\d{4}|011\)?[ -]?\d{4}[ -]?\d{4})(?![\w/-])"
)


def _mobiles(text: str) -> list[Span]:
    """Return Malaysian mobile numbers: 01[02-46-9] and seven digits, or 011 and eight."""
    return [match.span() for match in _MOBILE.finditer(text)]


# ---------------------------------------------------------------- keys, passwords, networks

_KEY_FORMS = re.compile(
    r"\bakia[0-9a-z]{16}\b"  # AWS
    r"|\baiza[0-9a-z_-]{35}\b"  # Google
    r"|\bxox[abprs]-[0-9a-z-]{10,}"  # Slack
    r"|\bgh[pousr]_[0-9a-z]{36}\b|\bgithub_pat_[0-9a-z_]{22,}\b"
    r"|\bey[0-9a-z_-]{10,400}\.ey[0-9a-z_-]{10,400}\.[0-9a-z_-]{10,400}"  # JSON Web Token
    r"|-----begin (?:[a-z]{2,9} )?private key-----"
    r"|\b[a-z][a-z0-9+]{2,12}://[^\s:@/]{1,40}:[^\s:@/]{3,40}@[a-z0-9.-]{3,}"  # a connection with its password
)
_NAMED_SECRET = re.compile(
    r"\b(?:kata ?laluan|katalaluan|password|passwd|pwd|pass ?code|pw)\b[^\n:=]{0,25}[:=]{1,2}"
    r" ?[\"']?(?P<value>[^\s\"',]{4,64})"
)
_PLACEHOLDER = re.compile(r"[x*•.…_-]+|<[^>]*>?|\[.*|\(.*|(?:anda|your|awak|baru|new|baharu)\b.*|https?://.*")
LEAST_ENTROPY = 1.5  # bits a character: below it a value is a row of the same signs


def _secrets(text: str) -> Iterator[Span]:
    for match in _KEY_FORMS.finditer(text):
        yield match.span()
    for match in _NAMED_SECRET.finditer(text):
        value = match["value"]
        spelled = any(c.isdigit() for c in value) or any(not c.isalnum() for c in value.rstrip(".!?"))
        if spelled and not _PLACEHOLDER.fullmatch(value) and entropy(value) >= LEAST_ENTROPY:
            yield match.span("value")


def entropy(value: str) -> float:
    """Return Shannon's entropy of a text's characters, in bits a character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\w.]*\d)")
_PRIVATE = tuple(ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))  # RFC 1918


def _private_addresses(text: str) -> list[Span]:
    return [match.span() for match in _IPV4.finditer(text) if _is_private(match[0].partition("/")[0])]


def _is_private(address: str) -> bool:
    try:
        one = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(one in network for network in _PRIVATE)


DETECTORS = {
    detector.name: detector
    for detector in (
        Detector("mykad", r"\d{6}", _mykads),
        Detector("file-reference", r"\(|j[lr]d", _file_references),
        Detector("mobile-number", r"01[\d)]", _mobiles),
        Detector(
            "secret",
            r"akia|aiza|xox|gh[pousr]_|github_pat_|\bey|-----begin|://|laluan|passw|pwd|pass ?code|\bpw\b",
            lambda text: list(_secrets(text)),
        ),
        Detector("private-address", r"\d\.\d", _private_addresses),
    )
}
