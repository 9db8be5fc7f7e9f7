"""All detectors by name."""

from __future__ import annotations

from monitor.rules.detectors.detector import Detector
from monitor.rules.detectors.identity import MYKAD, PASSPORT, SERVICE_NUMBER, TIN
from monitor.rules.detectors.links import LINK, LOOK_ALIKE_LINK, SHORT_LINK
from monitor.rules.detectors.money import BANK_ACCOUNT
from monitor.rules.detectors.network import INTERNAL_HOST, PRIVATE_ADDRESS
from monitor.rules.detectors.persons import PERSON_LIST, PERSON_NAME, PRIVATE_EMAIL
from monitor.rules.detectors.places import CAR_PLATE, HOME_ADDRESS
from monitor.rules.detectors.references import FILE_REFERENCE
from monitor.rules.detectors.secrets import SECRET
from monitor.rules.detectors.telephone import mobile_number, phone_number


def detectors(known_numbers: frozenset[str] = frozenset()) -> dict[str, Detector]:
    """Return the detectors. `known_numbers` are the agencies' own telephones, in any spelling: never a leak."""
    found = (
        MYKAD,
        PASSPORT,
        SERVICE_NUMBER,
        TIN,
        mobile_number(known_numbers),
        phone_number(known_numbers),
        SECRET,
        PRIVATE_ADDRESS,
        INTERNAL_HOST,
        FILE_REFERENCE,
        BANK_ACCOUNT,
        HOME_ADDRESS,
        CAR_PLATE,
        PERSON_NAME,
        PERSON_LIST,
        PRIVATE_EMAIL,
        LINK,
        SHORT_LINK,
        LOOK_ALIKE_LINK,
    )
    return {detector.name: detector for detector in found}


DETECTORS = detectors()
