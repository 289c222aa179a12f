"""The allocator of the C library, told to keep what a training step frees for the next one."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


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
