"""What glibc does with memory that is freed, and RE2 with what texts lead it to, each in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import re2

from monitor.rules.parts import MEMORY, compiled

INFO = """
import ctypes, sys

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
"""
RETURNED = """
from monitor.memory import return_what_is_freed

if "set" in sys.argv:
    return_what_is_freed()
large = bytes(20 << 20)
del large  # from here on glibc would keep what is smaller
before = libc.mallinfo2().hblkhd
smaller = bytes(5 << 20)
print(libc.mallinfo2().hblkhd - before)
"""


GIVEN_BACK = """
from pathlib import Path
from monitor.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

kept = [bytes(5_000) for _ in range(20_000)]
kept = kept[::100]  # what is left lies between holes
before = resident()
if "give" in sys.argv:
    give_back()
print((before - resident()) * 4_096)
"""
LED_ON = """
import random
from monitor.rules.sieve import pattern_set

letters, dice = "abcdefghijklmnopqrstuvwxyz", random.Random(1)
counting = pattern_set(f"{a}.{{40,60}}{b}" for a, b in zip(letters, reversed(letters)))
before, most = libc.mallinfo2().uordblks, 0
for _ in range(100):
    counting.Match("".join(dice.choices(letters, k=2000)).encode())
    most = max(most, libc.mallinfo2().uordblks - before)
print(most)
"""
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="no glibc, or an old one")


def told_by(program: str, *arguments: str) -> int:
    """Return the number that a program prints, of a process of its own."""
    command = [sys.executable, "-c", INFO + program, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@glibc
def test_what_a_large_answer_took_is_returned_once_it_is_freed():
    """I13. The other half shows that it would not be: the check can fail."""
    assert told_by(RETURNED) == 0
    assert told_by(RETURNED, "set") >= 5 << 20


@glibc
def test_what_lies_free_between_things_in_use_is_given_back():
    """I13. The first half shows that it is not by itself."""
    assert told_by(GIVEN_BACK) < 1 << 20
    assert told_by(GIVEN_BACK, "give") > 80 << 20


@glibc
def test_what_texts_lead_the_patterns_to_has_a_bound():
    """I13. These need 100 MB to keep what so few texts lead them to; a year's posts are many."""
    assert told_by(LED_ON) < MEMORY * 1.1


def test_a_pattern_that_does_not_fit_into_the_usual_memory_gets_more():
    found = compiled(r"(?:\pL[^\pN]\pL){1000} ends")
    with pytest.raises(re2.error):
        re2.compile(found.pattern, narrow())
    assert found.search(f"{'a' * 3000} ends") is not None


def narrow() -> re2.Options:
    options = re2.Options()
    options.log_errors, options.max_mem = False, MEMORY
    return options
