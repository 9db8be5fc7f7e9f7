"""Links: any, shortened, and those whose host imitates another. Pure; the list of public suffixes is a package's.

A text written without a scheme (bit.ly/abc) is a link, and so is one that was made harmless: hxxp, [.], "dot com".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from monitor.rules.detectors.detector import Detector
from monitor.rules.lexicon import word_set
from monitor.rules.text import Span, Text

DOT = r"(?:\.| ?[\[({] ?(?:\.|dot|titik) ?[\])}] ?| (?:dot|titik) )"
_SCHEME = r"(?:h(?:tt|xx)ps?|ftp)(?::|\[:\])//"
_LABEL = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_LINK = re.compile(
    rf"(?<![\w@.-])(?P<scheme>{_SCHEME})?(?:[^\s/@:]{{1,40}}:[^\s/@]{{1,40}}@)?"
    rf"(?P<host>{_LABEL}(?:{DOT}{_LABEL}){{1,9}})(?![\w@-])"
    r"(?P<rest>(?::\d{2,5})?(?:[/?#][^\s<>\"]{0,2000})?)",
    re.ASCII,
)
_TRIGGER = rf"[a-z0-9]{DOT}[a-z]"
_DOTS = re.compile(DOT, re.ASCII)
# Country codes that are Malay or English words, and endings of files: no host without a scheme, "www." or a path.
_WORDLIKE = word_set(
    "sy ni la je ke so at be do am as by is it in no to us me pm mu se sa an id my md py zip mov rs sh ps pl cc ai "
    "app doc hr bh ba bi ga ma na pa ya tu mr ms dr st"
) - {"my", "id", "me", "cc", "us", "ai", "app"}  # fmt: skip
_TIME = re.compile(r"[\d.]+\.(?:am|pm)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    host: str
    registered: str  # domain: kpkt.gov.my, bit.ly
    span: Span
    host_span: Span


def links(text: str) -> Iterator[Link]:
    for match in _LINK.finditer(text):
        host = _DOTS.sub(".", match["host"])
        registered = _registered(host)
        if not registered or not (match["scheme"] or match["rest"] or _is_bare_host(host)):
            continue
        end = match.end() - len(match["rest"]) + len(match["rest"].rstrip(".,;:!?)]}'"))
        yield Link(host, registered, (match.start(), end), match.span("host"))


def _is_bare_host(host: str) -> bool:
    """Tell whether a name without scheme and path is a host, and no sentence without a space, time or file."""
    if host.startswith("www."):
        return True
    return host.rpartition(".")[2] not in _WORDLIKE and not _TIME.fullmatch(host)


@lru_cache(maxsize=1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False)


@lru_cache(maxsize=4096)
def _registered(host: str) -> str:
    return _suffixes().privatesuffix(host) or ""


def domains(text: str) -> list[tuple[str, Span]]:
    """Return the registered domain of each link in folded text, in order, with the link's span."""
    return [(link.registered, link.span) for link in links(text)]


SHORTENERS = word_set(
    "bit.ly bitly.com tinyurl.com t.co goo.gl ow.ly is.gd v.gd buff.ly rebrand.ly cutt.ly shorturl.at shorturl.asia "
    "rb.gy s.id t.ly tiny.cc lnkd.in adf.ly bl.ink soo.gd short.io n9.cl urlz.fr qrco.de linktr.ee surl.li dub.sh"
)

# ---------------------------------------------------------------- hosts that imitate others

_BRANDS: dict[str, tuple[str, ...]] = {
    # name in a host: the domains that may use it (from memory, unverified)
    "maybank2u": ("maybank2u.com.my", "maybank2u.com"),
    "maybank": ("maybank.com", "maybank.com.my"),
    "cimb": ("cimb.com", "cimb.com.my", "cimb.com.sg"),
    "cimbclicks": ("cimbclicks.com.my", "cimbclicks.com.sg"),
    "rhbgroup": ("rhbgroup.com",),
    "rhb": ("rhbgroup.com",),
    "pbebank": ("pbebank.com",),
    "publicbank": ("publicbank.com.my", "publicbankgroup.com"),
    "bankislam": ("bankislam.com", "bankislam.com.my", "bankislam.biz"),
    "bankrakyat": ("bankrakyat.com.my",),
    "hongleong": ("hlb.com.my", "hongleong.com"),
    "ambank": ("ambank.com.my", "ambankgroup.com"),
    "mybsn": ("mybsn.com.my", "bsn.com.my"),
    "agrobank": ("agrobank.com.my",),
    "touchngo": ("touchngo.com.my", "tngdigital.com.my"),
    "shopee": ("shopee.com.my", "shopee.com", "shopee.sg", "shope.ee"),
    "lazada": ("lazada.com.my", "lazada.com", "lazada.sg"),
    "poslaju": ("pos.com.my", "poslaju.com.my"),
    "facebook": ("facebook.com",),
    "instagram": ("instagram.com",),
    "whatsapp": ("whatsapp.com", "whatsapp.net"),
    "telegram": ("telegram.org", "telegram.me", "telegram.dog", "telegra.ph"),
    "tiktok": ("tiktok.com",),
    "twitter": ("twitter.com",),
    "google": ("google.com", "google.com.my", "google.co.uk"),
    "youtube": ("youtube.com",),
    "microsoft": ("microsoft.com", "microsoftonline.com"),
    "paypal": ("paypal.com", "paypal.me"),
    "netflix": ("netflix.com",),
}
_OFFICES = word_set(
    "gov mygov kerajaan malaysia madani rahmah str hasil jpa "
    "mysejahtera lhdn kwsp perkeso socso jpj myjpj jpn pdrm sprm mysikap padu mykasih bnm bantuan mysubsidi subsidi "
    "brim bkm budimadani kkm spr moh myeg mysalam"
)
_CHEAP = word_set(
    "xyz top click link icu cyou sbs buzz cfd rest quest vip win bid loan shop online site live store fun space "
    "club pw tk ml ga cf gq"
)
_GOV = re.compile(
    r"(?:^|[.-])my-gov(?:[.-]|$)|(?:^|[.-])(?:www)?gov-?my(?:[.-]|$)|(?:^|[.-])gov[.-]my[.-]|[a-z]-gov-my|gov-my",
    re.ASCII,
)
_EVERYWHERE = frozenset({"google", "shopee", "lazada"})  # who hold their name in most countries
_COUNTRY = re.compile(r"\.[a-z]{2}\Z", re.ASCII)
_LEET = str.maketrans("0135", "oles")
_LEAST_TYPO = 6  # letters of a name in which one wrong letter is no other word


def _look_alikes(text: str) -> list[Span]:
    return [link.span for link in links(text) if imitates(link.host, link.registered)]


def imitates(host: str, registered: str) -> bool:
    """Tell whether a host shows the name of a bank, a platform or the government that it does not belong to."""
    if registered.endswith(".gov.my") or registered == "gov.my":
        return False
    shown = _shown(host)
    if _GOV.search(shown) or (shown != host and shown.endswith(".gov.my")):
        return True
    if any(registered in owned for owned in _BRANDS.values()):
        return False
    own = _shown(registered)
    if own != registered and any(own in owned for owned in _BRANDS.values()):
        return True
    below = shown.removesuffix(own.partition(".")[2])
    tokens = [token for token in re.split(r"[.-]", below) if token]
    if _is_weak(own, tokens):
        return True
    return any(_resembles(token, own) for token in tokens)


def _is_weak(registered: str, tokens: Sequence[str]) -> bool:
    """Tell whether an office's name stands under a suffix that costs next to nothing."""
    return registered.rpartition(".")[2] in _CHEAP and any(token in _OFFICES for token in tokens)


def _resembles(token: str, registered: str) -> bool:
    plain = token.replace("rn", "m").replace("vv", "w").translate(_LEET)
    if token in _EVERYWHERE and registered.startswith(f"{token}.") and _COUNTRY.search(registered):
        return False
    for brand, owned in _BRANDS.items():
        if token == brand or (plain == brand.translate(_LEET) and token != brand):
            return registered not in owned
        if len(brand) >= _LEAST_TYPO and _one_letter_off(token, brand):
            return True
    return False


def _one_letter_off(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, others = one[same:], other[same:]
    return (
        rest[1:] == others[1:]
        or rest[1:] == others
        or rest == others[1:]
        or (rest[:2] == others[1::-1] and rest[2:] == others[2:])
    )


@lru_cache(maxsize=4096)
def _shown(host: str) -> str:
    """Return the host as a reader sees it: punycode read, letters of other scripts as the Latin ones they look like."""
    return ".".join(map(_shown_label, host.split(".")))


def _shown_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return Text(label[4:].encode().decode("punycode")).folded
    except UnicodeError:
        return label


def _look_alikes_shown(text: Text) -> list[Span]:
    """Return look-alikes, those among them that fold into the very name: a Cyrillic letter in a Latin host."""
    found = set(_look_alikes(text.folded))
    if not text.original.isascii():
        for link in links(text.folded):
            original = text.original[slice(*text.original_span(*link.host_span))]
            letters = [c for c in original if not c.isascii() and c.isalpha()]
            if letters and any(c.isascii() and c.isalpha() for c in original) and _is_known(link.registered):
                found.add(link.span)
    return sorted(found)


def _is_known(registered: str) -> bool:
    return registered.endswith(".gov.my") or any(registered in owned for owned in _BRANDS.values())


LINK = Detector("link", _TRIGGER, lambda text: [link.span for link in links(text)])
SHORT_LINK = Detector(
    "short-link",
    rf"{DOT}(?:{'|'.join(sorted({name.rpartition('.')[2] for name in SHORTENERS}))})\b",
    lambda text: [link.span for link in links(text) if link.registered in SHORTENERS],
)
LOOK_ALIKE_LINK = Detector("look-alike-link", _TRIGGER, _look_alikes, _look_alikes_shown)
