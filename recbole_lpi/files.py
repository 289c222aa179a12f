"""Files and folders that are never half: written beside, then renamed into place."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def beside(path: Path) -> Path:
    """Name where ``path`` is written before it is renamed; left there if its writer was killed."""
    return path.with_name(path.name + ".part")


def linked(path: Path) -> bool:
    """Whether what is written to ``path`` would go elsewhere too: a symbolic or a hard link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write to, which replaces ``path`` when all is written, or is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = beside(path)
    scratch.unlink(missing_ok=True)  # it may be a link to somewhere else
    try:
        yield scratch
        scratch.replace(path)
    except BaseException:  # such as a full disk: what was written may be much of it
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes ``folder`` when all is written, or is removed.

    One writer at a time: what an earlier one that was killed left half is removed.
    """
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file and, where it is missing, make its folder."""
    with replacing(path) as scratch, open(scratch, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write the file in UTF-8 and, where it is missing, make its folder."""
    write_bytes(path, text.encode())


def write_tensors(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values, loadable with ``weights_only=True``."""
    import torch  # takes a second: those who only look for files need not wait

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_bytes(path, buffer.getvalue())


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as JSON; what is no finite number is null, for JSON has no word for it."""
    write_bytes(path, json.dumps(_jsonable(values), indent=1, allow_nan=False).encode())


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
