"""Where people live, and what they drive. Pure."""

from __future__ import annotations

import re

from monitor.rules.detectors.detector import Context, Detector, context, words
from monitor.rules.detectors.persons import PERSON_NAME
from monitor.rules.lexicon import word_set
from monitor.rules.text import Span

_STREETS = (
    r"jalan|jln|lorong|lrg|taman|tmn|kampung|kg|persiaran|lebuh|lebuhraya|pangsapuri|apartment|flat|ppr|blok|felda|desa"
)
_HOUSE = r"(?:no\.?|lot|unit|rumah no\.?) ?[a-z]?-?\d{1,5}[a-z]?(?:[-/]\d{1,4}){0,3}"
_POSTCODE = re.compile(r"(?<![\w.-])(?:0[1-9]|[1-9]\d)\d{3}(?![\w-]|[.,]\d)(?P<town>(?: [a-z]{3,20}){0,2})", re.ASCII)
_COUNTED = re.compile(
    r" (?:orang|penduduk|kenderaan|unit|rumah|keluarga|penerima|pelajar|mangsa|peserta|pengunjung|undi|people|units)\b",
    re.ASCII,
)  # what follows a number that is no postcode
_SENTENCE = re.compile(r"[a-z]{4,}[.!?]\s", re.ASCII)
_STREET = re.compile(rf"(?<![\w/])(?:{_HOUSE}|(?:{_STREETS})\b)", re.ASCII)
_HOUSE_THEN_STREET = re.compile(rf"(?<![\w/]){_HOUSE}[, ]{{1,3}}(?:{_STREETS})\b\.?[a-z0-9 /.]{{2,40}}", re.ASCII)
_HOME = words(
    r"rumah(?! ?(?:terbuka|ibadat|kedai|tetamu|api|rehat|anak yatim|sakit|kebajikan|jagaan"
    r"|tumpangan|mampu milik|mesra rakyat|pangsa|pam|selamat|kelab|sewa kerajaan))", "kediaman",
    r"(?:ber)?tinggal(?! (?:masa|sehari|beberapa|hari))", "menetap", "bermastautin", "duduk (?:di|kat|dkt)",
    "alamat dia", "alamat beliau", "home address", "lives? (?:at|in)", "resid(?:es|ing) at", "her house",
    "his house", "nama",
)  # fmt: skip
_PUBLIC = words(
    "pejabat", "kedai", "dewan", "klinik", "sekolah", "sk", "smk", "sjkc?", "sjkt", "masjid", "surau", "hospital",
    "balai", "pusat", "perpustakaan", "stadium", "restoran", "kompleks", "wisma", "menara", "plaza", "mall",
    "majlis", "jabatan", "office", "shop", "clinic", "school", "hall", "kaunter", "gerai", "bank", "hotel", "tapak",
    "dataran", "muzium", "kementerian", "padang",
)  # fmt: skip
_LINE = 100  # characters of one address
_HOME_REACH, _PUBLIC_REACH = 100, 50


def _home_addresses(text: str) -> list[Span]:
    """Return addresses that somebody lives at: a word for home or a person's name near, no office, shop or hall."""
    spans = _addresses(text)
    if not spans:
        return []
    home, public = context(_HOME, text), context(_PUBLIC, text)
    names = Context(PERSON_NAME.find(text))
    return [
        span
        for span in spans
        if not public.near(span, before=_PUBLIC_REACH, after=_PUBLIC_REACH // 2)
        and any(near.near(span, before=_HOME_REACH, after=_HOME_REACH) for near in (home, names))
    ]


def _addresses(text: str) -> list[Span]:
    """Return spans from house or street to postcode and town, or of a house number and its street."""
    found: list[Span] = []
    for code in _POSTCODE.finditer(text):
        begin = max(0, code.start() - _LINE)
        begin += max((sentence.end() for sentence in _SENTENCE.finditer(text[begin : code.start()])), default=0)
        street = _STREET.search(text, begin, code.start())
        if street and not _COUNTED.match(code["town"]):
            found.append((street.start(), code.end()))
    found += [match.span() for match in _HOUSE_THEN_STREET.finditer(text)]
    taken: list[Span] = []
    for span in sorted(found, key=lambda span: (span[0], -span[1])):
        if not taken or span[0] >= taken[-1][1]:
            taken.append(span)
    return taken


HOME_ADDRESS = Detector("home-address", rf"\b(?:{_STREETS})\b|\b{_HOUSE}", _home_addresses)

# ---------------------------------------------------------------- car plates

_VEHICLE = (
    r"(?:no\.? |nombor )?plat|plate|pendaftaran kenderaan|kereta|keta|motosikal|motor|kenderaan|lori|"
    r"van|proton|perodua|myvi|"
    r"saga|axia|bezza|honda|toyota|yamaha|car|vehicle"
)
_CALLED_VEHICLE = words(_VEHICLE)
_PLATE = re.compile(
    r"(?<![\w/.-])(?P<letters>[abcdfhjklmnpqrstvwz][a-z]{0,2}) ?\d{1,4}(?: ?[a-hj-np-y])?(?![\w/-]|[.,:]\d)", re.ASCII
)
_NO_PLATE = word_set(
    "api ev ets suv mpv van saga "
    "jan feb mac mar apr mei jun jul aug sep okt oct nov dis dec rm km cm mm kg ml jam bil no tel hp fb sk smk lot "
    "pkl hb cc top ke di dan dgn via abt at to by for jln pm am ppr blk tmn kod pin had ada nak dah bas lrt mrt kes "
    "mph"
)


def _car_plates(text: str) -> list[Span]:
    """Return plates near a word for a car: letters by region, then one to four digits (unverified)."""
    called = context(_CALLED_VEHICLE, text)
    return [
        match.span()
        for match in _PLATE.finditer(text)
        if match["letters"] not in _NO_PLATE and called.near(match.span(), before=50, after=30)
    ]


CAR_PLATE = Detector("car-plate", rf"\b(?:{_VEHICLE})\b", _car_plates)
