"""Many things asked for in portions that a call can hold, and one account's answer among those to many. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from connectors.base import ConnectorError
from monitor.model import Account

T = TypeVar("T")


def portions(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for begin in range(0, len(things), size):
        yield things[begin : begin + size]


def answer_for(account: Account, answers: Mapping[int, T | ConnectorError]) -> T:
    """Return what was found for an account. Raises the ConnectorError that was."""
    found = answers[account.id]
    if isinstance(found, ConnectorError):
        raise found
    return found
