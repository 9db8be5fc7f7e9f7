"""What glibc does with memory that is freed, seen from outside: a process of its own, for the setting is for good."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

ALONE = """
import ctypes, sys
from monitor.memory import return_what_is_freed

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
if "set" in sys.argv:
    return_what_is_freed()
large = bytes(20 << 20)
del large  # from here on glibc would keep what is smaller
before = libc.mallinfo2().hblkhd
smaller = bytes(5 << 20)
print(libc.mallinfo2().hblkhd - before)
"""


def mapped(*arguments: str) -> int:
    """Return how much of a large answer's memory is mapped by itself, after a larger one was freed."""
    ran = subprocess.run([sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="no glibc, or an old one")
def test_what_a_large_answer_took_is_returned_once_it_is_freed():
    """I13. The other half shows that it would not be: the check can fail."""
    assert mapped() == 0
    assert mapped("set") >= 5 << 20
