"""Freed memory goes back to the system, also where the C library would rather keep it."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 128 * 1024  # bytes; what glibc begins with


def return_what_is_freed() -> None:
    """Keep glibc from raising the size above which memory is mapped, and so returned, by itself.

    It raises that with each large answer that is freed, up to 32 MB: from then on every thread's arena keeps as much as
    its largest answer took. A C library without `mallopt` has no such habit.
    """
    _call("mallopt", M_MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """Give the system what lies free between things in use: each thread's arena keeps it, and the holes grow.

    Only the end of an arena is returned by itself. It takes a few milliseconds.
    """
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    """Call a function of glibc, where there is one."""
    try:
        found = getattr(ctypes.CDLL(None), function)
    except (AttributeError, OSError, TypeError):
        return
    found(*arguments)
