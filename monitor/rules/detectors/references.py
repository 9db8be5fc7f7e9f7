"""References of government files. Pure. Their shape, as seen in nine real ones (see the tests): agency, class
letter in brackets, groups of digits, volume (`Jld.`, `Jrd.`), and the enclosure in brackets.
"""

from __future__ import annotations

import re

from monitor.rules.detectors.detector import Detector
from monitor.rules.text import Span

_REFERENCE = re.compile(
    r"(?<![\w/.-])(?=[a-z])"
    r"(?P<office>[a-z]{2,12}(?:[./][a-z]{1,12}){0,4})"
    r"(?P<mark> ?\((?:s|r|rb|t|td|x)\)|\.(?:s|r|rb|t)(?=\.))?"
    r"(?P<digits>[ ./-]{0,2}(?:[a-z]{3,6} )?-?\d{1,5}(?:[-/.]\d{1,5}){0,7})"
    r"(?P<volume>[ ./]{0,3}j[lr]d\.? ?[0-9ivx]{1,4})?"
    r"(?P<enclosure> ?\( ?\d{1,4} ?\))?"
    r"(?![\w])",
    re.ASCII,
)


def _file_references(text: str) -> list[Span]:
    """Return spans such as `jpa.bk(s)223/8/2-3 jld.4 (56)`: two of mark, volume and enclosure, or groups and one.

    Tenders (`KKR/PER/2025/014`) and the gazette (`P.U.(A) 395/1993`) have none of the three.
    """
    found = []
    for match in _REFERENCE.finditer(text):
        signs = sum(match[name] is not None for name in ("mark", "volume", "enclosure"))
        groups = len(re.findall(r"\d+", match["digits"]))
        if signs >= 2 or (signs == 1 and groups >= 3):
            found.append(match.span())
    return found


FILE_REFERENCE = Detector(
    "file-reference",
    r"\((?:s|r|rb|t|td|x)\)|j[lr]d\.? ?[0-9ivx]|\d ?\( ?\d{1,4} ?\)|[a-z]\.(?:s|r|rb|t)\.",
    _file_references,
)
