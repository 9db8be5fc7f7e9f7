"""When to look at a known post again: often while it is fresh, seldom later, never after the window. Pure.

Most edits and deletions come soon; each look costs a call, and on X money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.settings import RECHECK_WAITS, Polling


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecks:
    """`waits` are the pauses between looks, one after the other; the last one repeats until the post is `window` old.

    A post that is missing is looked for again after `confirm`, and only then believed to be deleted.
    """

    window: timedelta
    waits: Sequence[timedelta] = RECHECK_WAITS
    confirm: timedelta = timedelta()

    def after(self, since: datetime, now: datetime) -> datetime | None:
        """Return when to look next at a post that is there since then. None: no more."""
        age = max(now - since, timedelta())
        wait = self._wait(age)
        return now + wait if age + wait < self.window else None

    def _wait(self, age: timedelta) -> timedelta:
        passed = timedelta()
        for wait in self.waits:
            passed += wait
            if age < passed:
                return wait
        return self.waits[-1]


def rechecks_of(polling: Polling) -> Rechecks:
    return Rechecks(window=polling.recheck_window, waits=polling.recheck_waits, confirm=polling.recheck_confirm)
