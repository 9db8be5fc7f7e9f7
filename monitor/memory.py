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
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGE)
