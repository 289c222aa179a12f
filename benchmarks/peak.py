"""Peak memory of a piece of work, by Linux's account of the process."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROCESS = Path("/proc/self")


def added_memory(work: Callable[[], Any]) -> float:
    """GiB by which ``work`` raises what the process holds, at most, above what it held before.

    What the C library keeps of freed memory is given back first, or it would be used unseen.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    (PROCESS / "clear_refs").write_text("5")  # the peak begins anew
    before = kib("VmRSS")
    work()
    return (kib("VmHWM") - before) / 2**20


def kib(field: str) -> int:
    """VmRSS, resident now; VmHWM, at most."""
    found = re.search(rf"{field}:\s+(\d+) kB", (PROCESS / "status").read_text())
    assert found is not None
    return int(found[1])
