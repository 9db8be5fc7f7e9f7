"""How long a token lasts, as OAuth answers tell it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

LONGEST = 100_000_000  # seconds: three years; more is no lifetime of a token


def in_seconds(told: object, now: datetime) -> datetime | None:
    """Return the end that `expires_in` and its like tell; None where they tell none."""
    seconds = told if isinstance(told, int) and not isinstance(told, bool) else 0
    return now + timedelta(seconds=seconds) if 0 < seconds < LONGEST else None
