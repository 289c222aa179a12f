"""Raw logs as the user has them: checked, and taken out of gzip, zip and 7z files."""

from __future__ import annotations

import errno
import gzip
import importlib
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO, cast

import polars as pl
from rich.console import Console
from rich.progress import Progress

DAMAGED = (
    EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
LONGEST_REASON = 200  # characters


class InputError(ValueError):
    """What the user gave is wrong: one line that names it and the cure."""


@dataclass(frozen=True)
class Source:
    """A raw log: what the user named (``name``, ``size`` in bytes) and where its plain rows are."""

    name: str
    size: int
    rows: Path
    label: str  # how messages call it
    parquet: bool = False
    parts: Sequence[tuple[int, str]] = ()  # of files joined into one: first row and label of each

    def place(self, row: int) -> str:
        """What messages call a row, which counts from 0: its file and line."""
        start, label = max((part for part in self.parts if part[0] <= row), default=(0, self.label))
        return f"{label}, {'row' if self.parquet else 'line'} {row - start + 1}"


def unpack(path: Path, member: str | None, folder: Path) -> Source:
    """The log in ``path``; a gzip, zip or 7z file is decompressed into ``folder`` first.

    ``member`` is the base name of the wanted file in an archive; None takes the only one there is.
    Raises InputError for a file that is missing, empty, a folder, damaged, or lacks the member.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the file in it")
    if not path.is_file():
        raise InputError(f"{path} does not exist: check the path")
    source = Source(path.name, path.stat().st_size, path, str(path))
    folder = Path(tempfile.mkdtemp(prefix="unpacked.", dir=folder))  # two logs may share a name
    with path.open("rb") as file:
        start = file.read(6)
    with reading(str(path)):
        if start.startswith(b"\x1f\x8b"):
            source = replace(source, rows=_gunzip(path, folder))
        elif start.startswith(b"PK\x03\x04"):
            source = _unzip(source, member, folder)
        elif start == b"7z\xbc\xaf\x27\x1c":
            source = _un7z(source, member, folder)
    with source.rows.open("rb") as file:
        start = file.read(4)
    if not start:
        raise InputError(f"{source.label} is empty: download it again")
    return replace(source, parquet=start == b"PAR1")


@contextmanager
def reading(label: str) -> Iterator[None]:
    """InputError, with ``label``, for whatever a parser of foreign bytes fails with.

    What such a parser raises on a broken or lying file is not listed anywhere. A full disk is not
    the file's fault, and goes on to whoever writes.
    """
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{label} is cut off or damaged ({reason}): download it again") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{label} is not UTF-8: re-encode it with iconv") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{label} cannot be read ({error.strerror or error})") from error
    except (Exception, pl.exceptions.PanicException) as error:
        reason = f"{type(error).__name__} {' '.join(str(error).split())}"[:LONGEST_REASON].strip()
        raise InputError(f"{label} cannot be read ({reason}): unpack or export it again") from error


def zipped_names(path: Path) -> list[str]:
    """Base names of the files in a zip archive; none where ``path`` is no such archive."""
    with reading(str(path)):
        if not zipfile.is_zipfile(path):
            return []
        with zipfile.ZipFile(path) as archive:
            return [Path(name).name for name in archive.namelist() if not name.endswith("/")]


def _copy(stream: IO[bytes], target: Path) -> Path:
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return target


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _gunzip(path: Path, folder: Path) -> Path:
    with (
        _progress() as progress,
        progress.open(path, "rb", description=f"reading {path.name}") as packed,
        gzip.GzipFile(fileobj=packed) as stream,
    ):
        return _copy(stream, folder / f"{path.name}.plain")  # type: ignore[arg-type]


def _unzip(source: Source, member: str | None, folder: Path) -> Source:
    with zipfile.ZipFile(source.rows) as archive, _progress() as progress:
        info = archive.getinfo(_wanted(source, archive.namelist(), member))
        base = Path(info.filename).name
        try:
            opened = archive.open(info)
        except (RuntimeError, NotImplementedError) as error:  # a password, an odd compression
            raise InputError(f"{source.label}: {error}: unpack it, name {base}") from error
        packed = cast(BinaryIO, opened)
        with progress.wrap_file(packed, info.file_size, description=f"reading {base}") as stream:
            rows = _copy(stream, folder / f"{base}.plain")
    return replace(source, rows=rows, label=f"{source.label} ({base})")


def _un7z(source: Source, member: str | None, folder: Path) -> Source:
    try:
        py7zr = importlib.import_module("py7zr")
    except ImportError:
        raise InputError(f"{source.label} is a 7z archive: pip install py7zr") from None
    errors = py7zr.exceptions
    try:
        with py7zr.SevenZipFile(source.rows) as archive, _progress() as progress:
            name = _wanted(source, archive.getnames(), member)
            progress.add_task(f"reading {Path(name).name}", total=None)
            archive.extract(path=folder, targets=[name])
    except (errors.PasswordRequired, errors.UnsupportedCompressionMethodError) as error:
        reason = type(error).__name__
        raise InputError(f"{source.label}: {reason}: unpack it, name the file in it") from error
    except errors.ArchiveError as error:
        raise lzma.LZMAError(f"{type(error).__name__} {error}") from error
    label = f"{source.label} ({Path(name).name})"
    return replace(source, rows=folder / name, label=label)


def _wanted(source: Source, names: Sequence[str], member: str | None) -> str:
    files = [name for name in names if not name.startswith("__MACOSX/") and not name.endswith("/")]
    matches = [name for name in files if member is None or Path(name).name == member]
    if len(matches) == 1:
        return matches[0]
    asked = f"exactly one {member}" if member else "a single file"
    held = ", ".join(files[:5]) or "nothing"
    raise InputError(f"{source.label} does not hold {asked} but {held}: unpack it, name the file")
