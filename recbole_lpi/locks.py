"""Of several runs that need the same thing made, one makes it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def lock_of(path: Path) -> Path:
    """The file that is locked by whoever makes ``path``."""
    return path.with_suffix(".lock")


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """A lock beside ``path``; says that it waits, for ``what``, where another run holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_of(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logging.getLogger().info(f"{what}: waiting for the run that makes {path}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
