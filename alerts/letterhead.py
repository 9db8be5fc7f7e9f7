"""What every letter begins and ends with: the day, the slogans, to whom it is written."""

from __future__ import annotations

from datetime import datetime

from alerts import wording
from alerts.envelope import Envelope
from monitor.disclosure import one_line
from monitor.model import (
    Agency,
    Language,
)


def letterhead(language: Language, envelope: Envelope, now: datetime) -> dict[str, object]:
    """Return the words that every letter has."""
    return {
        "today": wording.date(now, language),
        "written_at": wording.moment(now, language),
        "slogans": tuple(one_line(slogan) for slogan in envelope.slogans),
    }


def office(agency: Agency | None, recipient: str, language: Language) -> dict[str, object]:
    """Return salutation and address lines: the head's as the register has them, for anyone else the general ones."""
    head = agency.contacts if agency else None
    if agency is None or head is None or recipient.casefold() != head.head_email.casefold():
        return {"salutation": nobody_in_particular(language), "address_lines": (), "to_agency": False}
    lines = [one_line(part) for part in (head.head_name, head.head_title, agency.name)]
    salutation = one_line(head.head_salutation).rstrip(",") or nobody_in_particular(language)
    return {"salutation": salutation, "address_lines": tuple(filter(None, lines)), "to_agency": True}


def nobody_in_particular(language: Language) -> str:
    return "Tuan/Puan" if language is Language.MS else "Sir/Madam"
