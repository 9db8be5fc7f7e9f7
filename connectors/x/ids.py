"""X's ids, which count milliseconds since its beginning (snowflakes). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH_MS = 1_288_834_974_657  # a snowflake id counts milliseconds from here
FIRST_SNOWFLAKE = 1 << 40
AHEAD = timedelta(minutes=5)  # how far another clock may be before ours


def as_number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,25}", text) else 0


def is_ahead(native_id: str, now: datetime) -> bool:
    """Say whether an id is one of the future: as the newest it would hide everything that comes before its time."""
    latest = int((now + AHEAD).timestamp() * 1000) - EPOCH_MS
    return as_number(native_id) >> 22 > latest


def first_id_of(moment: datetime) -> int:
    """Return an id that is below those of the moment and later, and above those of before."""
    return max(1, (int(moment.timestamp() * 1000) - EPOCH_MS) << 22)


def time_of(native_id: str) -> datetime | None:
    """Return when an id was given; None for ids of no date."""
    number = as_number(native_id)
    return datetime.fromtimestamp(((number >> 22) + EPOCH_MS) / 1000, UTC) if number >= FIRST_SNOWFLAKE else None
