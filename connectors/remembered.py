"""What was looked up or learnt lately, so that the same is not asked for at every check. In memory, thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 20_000


class Remembered(Generic[T]):
    """Answers by key, each for `lasts`; that there was no answer is remembered as well (None). Bounded."""

    def __init__(self, lasts: timedelta) -> None:
        self._lasts = lasts
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[datetime, T | None]] = {}

    def known(self, keys: Iterable[str], now: datetime) -> Mapping[str, T | None]:
        """Return what is remembered of the keys; those that must be asked for are left out."""
        with self._lock:
            kept = {key: self._kept[key] for key in keys if key in self._kept}
        return {key: answer for key, (at, answer) in kept.items() if timedelta() <= now - at < self._lasts}

    def keep(self, keys: Iterable[str], answers: Mapping[str, T], now: datetime) -> None:
        """Remember the answers to the keys; the longest kept go when there are too many."""
        with self._lock:
            for key in keys:
                self._kept.pop(key, None)
                self._kept[key] = (now, answers.get(key))
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]


class Belief:
    """Something taken for true of a server, which a passing fault may have caused: it is asked again after a while."""

    LASTS = timedelta(hours=1)

    def __init__(self) -> None:
        self._until: datetime | None = None

    def take(self, now: datetime) -> None:
        self._until = now + self.LASTS

    def holds(self, now: datetime) -> bool:
        """A belief of the future was taken before the clock stepped back."""
        return self._until is not None and now < self._until <= now + self.LASTS
