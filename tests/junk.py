"""What no documentation promises: every value of a recorded answer, one after the other, replaced by something else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

JUNK = (None, 7, True, [], {}, "", "x", [None], [{}], "\ud800")


def spoiled(answer: Any) -> Iterator[Any]:
    """Yield copies of an answer, each with one value replaced."""
    for path in places_in(answer):
        for value in JUNK:
            yield with_junk(answer, path, value)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*path, key)
        yield from places_in(part, (*path, key))


def with_junk(answer: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.copy(answer)
    changed[path[0]] = value if len(path) == 1 else with_junk(answer[path[0]], path[1:], value)
    return changed
