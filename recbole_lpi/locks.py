"""Exclusive locks between processes: one makes what others wait for, a run folder has one run.

The system frees a lock when its holder ends, however it ends. The file of a lock is removed by
whoever held it last; a file that a killed process leaves is the next one's.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from recbole_lpi.files import linked
from recbole_lpi.settings import SettingError

BESIDE = ".lock"
INSIDE = ".lock"  # the lock of a folder; in it, for a folder's parent may not be ours to write to


class Busy(SettingError):
    """Another process holds the lock."""


@contextmanager
def exclusive_beside(path: Path, what: str | None) -> Iterator[None]:
    """Hold a lock file beside ``path``, a file or folder that may not be there yet.

    Args:
        what: is being made; where another process holds the lock, the log says that it is waited
            for. None does not wait: Busy.
    """
    file = path.with_name(path.name + BESIDE)
    with _held(file, what and f"{what}: waiting for the run that makes {path}"):
        yield


def remove_left_behind(folder: Path) -> list[Path]:
    """Remove the locks and ``.NAME.part`` folders of killed processes in ``folder``.

    Returns: the ``.NAME.part`` folders that were there.
    """
    names = {lock.name.removesuffix(BESIDE) for lock in folder.glob("?*" + BESIDE)}
    names |= {part.name[1:].removesuffix(".part") for part in folder.glob(".?*.part")}
    removed = []
    for name in sorted(names - {""}):
        with suppress(SettingError, OSError), _held(folder / f"{name}{BESIDE}", None):
            part = folder / f".{name}.part"
            if part.is_dir():
                shutil.rmtree(part)
                removed.append(part)
    return removed


@contextmanager
def exclusive(folder: Path, waiting: str | None = None) -> Iterator[None]:
    """Hold ``folder``, which is made if need be, and removed if it is empty afterwards.

    A thread that holds it already may hold it again.

    Args:
        waiting: said where another process holds it, which is then waited for; None: Busy.
    """
    folder = folder.resolve()
    try:
        with _held(folder / INSIDE, waiting):
            yield
    finally:
        with suppress(OSError):  # something is in it, or another process is about to be
            folder.rmdir()


@contextmanager
def _held(file: Path, waiting: str | None) -> Iterator[None]:
    """Hold a lock file; ``waiting`` is logged where another process holds it, and None is Busy."""
    if linked(file):  # which some versions of filelock empty
        raise SettingError(f"{file} is a link to another file, and no lock: remove it")
    lock = FileLock(file, is_singleton=True)
    try:
        _acquire(lock, file, 0)
    except Timeout:
        if waiting is None:
            raise Busy(
                f"another process is at the run in {file.parent}: wait until it ends, stop it, or "
                "give another --run_dir"
            ) from None
        logging.getLogger().info(waiting)
        _acquire(lock, file, -1)
    try:
        yield
    finally:
        try:
            if lock.lock_counter == 1:  # while it is held: who waits for it finds another file
                file.unlink(missing_ok=True)
        finally:
            lock.release()


def _acquire(lock: FileLock, file: Path, timeout: float) -> None:
    """Acquire a lock and make the folder of its file, which its last user may remove meanwhile."""
    for attempt in range(100):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=timeout)
            return
        except FileNotFoundError:
            if attempt == 99:
                raise
