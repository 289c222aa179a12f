"""A process that is killed at its n-th file operation, without a process: nothing it does later
reaches the disk, not even what it would clean up."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHANGES = frozenset(["os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"])
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    pass


class _Clock:
    """Counts operations of the main thread that change files, and lets ``left`` of them be."""

    left: float | None = None
    done: list[str]


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if _Clock.left is None or threading.current_thread() is not threading.main_thread():
        return
    if event == "open":
        flags = arguments[2]
        if not isinstance(flags, int) or not flags & WRITES:
            return
    elif event not in CHANGES:
        return
    if _Clock.left < 1:
        _Clock.left = 0
        raise Killed(event)
    _Clock.left -= 1
    _Clock.done.append(f"{event} {arguments[0]}")


sys.addaudithook(_listen)  # for good: it cannot be taken away


@contextmanager
def killed_after(operations: float) -> Iterator[list[str]]:
    """End the block when it has done so many file operations; what they were, if it got through."""
    _Clock.left, _Clock.done = operations, []
    try:
        with suppress(Killed):
            yield _Clock.done
    finally:
        _Clock.left = None
