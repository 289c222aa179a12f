"""Scratch space beside what is written, of which a process that was killed leaves nothing for long.

Its folder holds a lock while its owner lives; what has a lock that nobody holds is cleared away by
the next conversion to the same place.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "lock"
REPLACED = "replaced"  # in scratch: what was at the place before, until the new is there


@contextmanager
def beside(output: Path) -> Iterator[Path]:
    """A folder of its own beside ``output``, gone afterwards."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        lock = FileLock(folder / LOCK)
        try:
            with suppress(FileNotFoundError):  # another start took it for a dead owner's
                lock.acquire()
            if (folder / LOCK).exists():
                yield folder
                return
        finally:
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)


def clear(output: Path) -> None:
    """Remove the scratch of dead owners; what one had moved away from ``output`` goes back."""
    ours = re.compile(re.escape(f".{output.name}.") + "[a-z0-9_]{8}")  # as tempfile names it
    for folder in [path for path in output.parent.iterdir() if ours.fullmatch(path.name)]:
        if not (folder / LOCK).is_file():
            continue
        lock = FileLock(folder / LOCK)
        with suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            if (folder / REPLACED).is_dir() and not output.exists():
                (folder / REPLACED).rename(output)
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
