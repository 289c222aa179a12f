"""The allocator of the C library, told to keep what a training step frees for the next one."""

from __future__ import annotations

import ctypes
import sys
import time

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
HELD_FOR = 30.0  # seconds, long beside what it takes to get the pages again


def keep_freed_memory() -> bool:
    """Let glibc reuse large blocks, for the whole process; False where there is no glibc.

    By default it maps every block above some megabytes anew and gives it back when it is freed, so
    each large tensor costs a page fault per 4 KiB.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


class FreedMemory:
    """Memory that is kept for the next step, and given back to the system now and then.

    Batches of many lengths leave gaps of many sizes between them, and what is kept would creep up.
    """

    def __init__(self) -> None:
        linux = sys.platform.startswith("linux")
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if linux else None  # glibc's
        self._since = time.monotonic()

    def give_back(self) -> None:
        """Give back all that is free, if it was last done ``HELD_FOR`` seconds ago."""
        if self._trim is not None and time.monotonic() - self._since > HELD_FOR:
            self._trim(0)
            self._since = time.monotonic()
