"""Raw logs as the user has them: checked, and as plain rows, taken out of what holds them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_prep import archives, plain_text
from dataset_prep.inputs import InputError, reading

__all__ = ["InputError", "Source", "reading"]
DEEPEST = 3  # compressed files and archives within each other


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
    """The log in ``path``; what is compressed or in an archive goes into ``folder`` first.

    ``member`` is the base name of the wanted file in an archive; None takes the only one there is.
    Raises InputError for a file that is missing, empty, a folder, damaged, or lacks the member, and
    for one that is neither text nor Parquet.
    """
    return taken_out(decompressed(path, folder), member, folder)


def decompressed(path: Path, folder: Path) -> Source:
    """The file at ``path``; a gzip, bzip2 or xz file is decompressed into ``folder`` first."""
    with reading(str(path)):
        if path.is_dir():
            raise InputError(f"{path} is a folder: name the file in it")
        if "\0" in str(path) or not path.is_file():
            raise InputError(f"{path} does not exist: check the path")
        rows = archives.decompressed(path, new_file(folder))
        return Source(path.name, path.stat().st_size, rows, str(path))


def taken_out(source: Source, member: str | None, folder: Path) -> Source:
    """``source``, or the file in it where it is an archive, as plain rows."""
    for _ in range(DEEPEST):
        with reading(source.label):
            if not archives.is_archive(source.rows):
                break
            rows = new_file(folder)
            name = archives.take_out(source.rows, source.label, member, rows)
            source = replace(source, rows=rows, label=f"{source.label} ({name})")
            source = replace(source, rows=archives.decompressed(rows, new_file(folder)))
    with reading(source.label):
        if archives.beginning(source.rows).startswith(b"PAR1"):
            return replace(source, parquet=True)
        rows = plain_text.utf8_lines(source.rows, source.label, new_file(folder))
        if not rows.stat().st_size:
            raise InputError(f"{source.label} is empty: download it again")
        return replace(source, rows=rows)


def zipped_names(path: Path) -> list[str]:
    """Base names of the files in a zip archive; none where ``path`` is no such archive."""
    with reading(str(path)):
        return archives.zipped_names(path)


def new_file(folder: Path) -> Path:
    """A file that is not there yet; two logs may share a name."""
    return Path(tempfile.mkdtemp(prefix="unpacked.", dir=folder), "rows")
