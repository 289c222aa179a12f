"""The one file that is wanted of a compressed file or an archive, in scratch space.

Of an archive only bytes are used: a name in it is compared and shown, and no path is made of it.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, BinaryIO, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from dataset_prep.inputs import InputError, printable

ZIP, SEVEN_ZIP = b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c"
COMPRESSED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


def decompressed(path: Path, target: Path) -> Path:
    """``path``, or ``target`` with its bytes where it is a gzip, bzip2 or xz file."""
    start = beginning(path)
    for magic, opened in COMPRESSED.items():
        if start.startswith(magic):
            with (
                _progress() as progress,
                progress.open(path, "rb", description=_reading(path.name)) as packed,
                opened(packed) as stream,
            ):
                return _copy(stream, target)
    return path


def is_archive(path: Path) -> bool:
    """Whether it is a zip, 7z or tar file."""
    return beginning(path).startswith((ZIP, SEVEN_ZIP)) or tarfile.is_tarfile(path)


def take_out(path: Path, label: str, member: str | None, target: Path) -> str:
    """Write to ``target`` the file of an archive whose base name is ``member``, and return it.

    None takes the only file there is. Raises InputError, with ``label``, where that is not one.
    """
    start = beginning(path)
    if start.startswith(SEVEN_ZIP):
        return _out_of_7z(path, label, member, target)
    with (
        _out_of_zip(path, label, member)
        if start.startswith(ZIP)
        else _out_of_tar(path, label, member) as (name, size, opened),
        _progress() as progress,
    ):
        with progress.wrap_file(opened, size, description=_reading(name)) as stream:
            _copy(stream, target)
        return name


def beginning(path: Path, size: int = 512) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(size)


def zipped_names(path: Path) -> list[str]:
    """Base names of the files in a zip archive; none where ``path`` is no such archive."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return [Path(name).name for name in archive.namelist() if not name.endswith("/")]


@contextmanager
def _out_of_zip(path: Path, label: str, member: str | None) -> Iterator[tuple[str, int, BinaryIO]]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        info = archive.getinfo(_wanted(label, names, member))
        name = Path(info.filename).name
        try:
            opened = archive.open(info)
        except (RuntimeError, NotImplementedError) as error:  # a password, an odd compression
            raise InputError(f"{label}: {error}: unpack it, name {name}") from error
        with opened:
            yield name, info.file_size, cast(BinaryIO, opened)


@contextmanager
def _out_of_tar(path: Path, label: str, member: str | None) -> Iterator[tuple[str, int, BinaryIO]]:
    with tarfile.open(path) as archive:
        files = {info.name: info for info in archive if info.isreg()}
        info = files[_wanted(label, list(files), member)]
        with cast(IO[bytes], archive.extractfile(info)) as opened:
            yield Path(info.name).name, info.size, cast(BinaryIO, opened)


def _out_of_7z(path: Path, label: str, member: str | None, target: Path) -> str:
    try:
        py7zr = importlib.import_module("py7zr")
    except ImportError:
        raise InputError(f"{label} is a 7z archive: pip install py7zr") from None
    errors = py7zr.exceptions
    folder = target.with_suffix(".7z")
    try:
        with py7zr.SevenZipFile(path) as archive, _progress() as progress:
            names = [info.filename for info in archive.list() if not info.is_directory]
            name = _wanted(label, names, member)
            if _is_outside(name):
                raise InputError(
                    f"{label} holds {name!r}, a path that leads out of it: it is not what it "
                    "seems, get it from elsewhere"
                )
            progress.add_task(_reading(Path(name).name), total=None)
            archive.extract(path=folder, targets=[name])
    except (errors.PasswordRequired, errors.UnsupportedCompressionMethodError) as error:
        reason = type(error).__name__
        raise InputError(f"{label}: {reason}: unpack it, name the file in it") from error
    except errors.ArchiveError as error:
        raise lzma.LZMAError(f"{type(error).__name__} {error}") from error
    found = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    if len(found) != 1:
        raise InputError(f"{label}: {name} is no plain file: unpack it, name the file in it")
    found[0].rename(target)
    return Path(name).name


def _is_outside(name: str) -> bool:
    paths = PurePosixPath(name), PureWindowsPath(name)
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)


def _wanted(label: str, names: Sequence[str], member: str | None) -> str:
    files = [name for name in names if not name.startswith("__MACOSX/")]
    matches = [name for name in files if member is None or Path(name).name == member]
    if len(matches) == 1:
        return matches[0]
    if "xl/workbook.xml" in files:
        raise InputError(f"{label} is an Excel workbook: save its sheet as CSV in UTF-8")
    asked = f"exactly one {member}" if member else "a single file"
    held = ", ".join(files[:5]) or "nothing"
    raise InputError(f"{label} does not hold {asked} but {held}: unpack it, name the file")


def _copy(stream: Any, target: Path) -> Path:
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return target


def _reading(name: str) -> str:
    """What a bar says; a name is no markup, and commands no terminal."""
    return f"reading {escape(printable(name))}"


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
