"""What one value may be: how it is read by its type, and in which words it is refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from typing import Any

from monitor.settings import IPNetwork

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION_FLOOR, DURATION_CEILING = timedelta(seconds=1), timedelta(days=3650)


def duration(words: str) -> timedelta:
    """Read "90s", "15m", "24h" or "7d". Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", words.strip().lower())
    if match is None:
        raise ValueError(f'\'{words}\': expected a duration such as "30s", "15m", "24h" or "7d"')
    number = min(float(match[1]), 9e8)  # far above the ceiling, and just below where Python gives up
    value = timedelta(**{UNITS[match[2]]: number})
    if not DURATION_FLOOR <= value <= DURATION_CEILING:
        raise ValueError("a duration is at least 1s and at most 3650d")
    return value


def shown_duration(length: timedelta) -> str:
    """Return a duration as `duration` reads it, in the largest unit that it is whole in."""
    unit = next((name for name in "dhm" if not length % timedelta(**{UNITS[name]: 1})), "s")
    return f"{length / timedelta(**{UNITS[unit]: 1}):.15g}{unit}"


def is_loopback(host: str) -> bool:
    if host.lower() in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_mail_address(address: str) -> bool:
    """Say whether `address` is one bare mail address: local part, "@", domain; no display name, no white space."""
    return bool(re.fullmatch(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,253}", address))


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    if "\r" in value or "\n" in value:
        raise ValueError("a line break is not allowed here")
    return value


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d+", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("expected a whole number")
    if value < 0:
        raise ValueError("a negative number makes no sense here")
    return value


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false", "1", "0", "yes", "no"}:
        return value.lower() in {"true", "1", "yes"}
    raise TypeError("expected true or false")


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(text(part) for part in value)
    raise TypeError("expected a list of texts")


def _clock(value: object) -> time:
    if isinstance(value, time):
        return value
    try:
        return time.fromisoformat(text(value))
    except ValueError:
        raise ValueError('expected a time of day such as "08:00"') from None


def _spans(value: object) -> tuple[timedelta, ...]:
    found = tuple(duration(part) for part in _texts(value))
    if not found:
        raise ValueError('expected at least one duration, such as ["10m", "1h", "1d"]')
    return found


def _networks(value: object) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in _texts(value))
    except ValueError as error:
        raise ValueError(f'expected networks such as "10.1.0.0/16" ({error})') from None


def _span(value: object) -> timedelta:
    return duration(text(value))


READERS: Mapping[Any, Callable[[object], Any]] = {
    str: text,
    int: _whole,
    bool: _switch,
    timedelta: _span,
    timedelta | None: _span,
    time: _clock,
    tuple[str, ...]: _texts,
    tuple[timedelta, ...]: _spans,
    tuple[IPNetwork, ...]: _networks,
}
