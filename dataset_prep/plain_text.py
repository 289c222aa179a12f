"""What is no text in UTF-8 with a line per event: re-encoded where that loses nothing, or named."""

from __future__ import annotations

import mmap
import re
import shutil
from collections import deque
from pathlib import Path

from dataset_prep.archives import beginning
from dataset_prep.inputs import InputError

# First bytes, what they begin, and what makes text of it.
KINDS = (
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it by unzstd"),
    (b"\x04\x22\x4d\x18", "an LZ4 file", "unpack it by unlz4"),
    (b"\x1f\x9d", "a file of compress", "unpack it by uncompress"),
    (b"Rar!\x1a\x07", "a rar archive", "unpack it, name the file in it"),
    (b"PK\x05\x06", "an empty zip archive", "download it again"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel", "save its sheet as CSV"),
    (b"SQLite format 3", "an SQLite database", "export its table as CSV"),
    (b"\x89HDF", "an HDF5 file", "export its table as CSV or Parquet"),
    (b"ARROW1", "an Arrow or Feather file", "write it as Parquet"),
    (b"Obj\x01", "an Avro file", "write it as Parquet"),
    (b"ORC", "an ORC file", "write it as Parquet"),
    (b"PARE", "an encrypted Parquet file", "write it without a key"),
    (b"%PDF", "a PDF file", "export its table as CSV"),
    (b"<", "HTML or XML", "download or export the log again"),
    (b"{", "JSON", "write it as CSV or Parquet"),
    (b"[{", "JSON", "write it as CSV or Parquet"),
)
MARKS = {  # of byte order; UTF-32's begins as UTF-16's does
    b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
BLOCK = 1 << 20
JOINT = b"\x02"  # in the place of a line end within a field: no name may hold either
MOST_LINES = 1000  # of a field


def utf8_lines(path: Path, label: str, target: Path) -> Path:
    """``path``, or ``target`` with its text where that is UTF-16, or has the CR of old Macintoshes.

    Raises InputError, with ``label``, for what is another kind of file.
    """
    start = beginning(path, BLOCK)
    for magic, kind, cure in KINDS:
        if start.startswith(magic):
            raise InputError(f"{label} is {kind}: {cure}")
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            with (
                path.open(encoding=encoding, newline="") as text,
                target.open("w", encoding="utf-8", newline="") as file,
            ):
                shutil.copyfileobj(text, file, BLOCK)
            return utf8_lines(target, label, target.with_suffix(".lines"))
    first = start.partition(b"\n")[0]
    if b"\0" in first:
        raise InputError(
            f"{label} is no text in UTF-8: if it is UTF-16, re-encode it by iconv -f UTF-16LE"
        )
    if b"\r" in first and b"\n" not in start:
        with path.open("rb") as text, target.open("wb") as file:
            while block := text.read(BLOCK):
                file.write(block.replace(b"\r", b"\n"))
        return target
    return path


def one_line_each(path: Path, separator: str, width: int, target: Path) -> Path:
    """``path``, or ``target`` with each record in one line where quoted fields hold line ends.

    Such a record is followed by as many blank lines as it lost, so that line numbers stay. A quote
    that opens and does not close to give ``width`` fields within ``MOST_LINES`` joins no lines.
    """
    if not _has_odd_quotes(path):
        return path
    mark = re.escape(separator.encode())
    field = rb'(?:"(?:[^"]|"")*"|[^"' + mark + rb"]*)"
    opens = re.compile(rb"(?:" + field + mark + rb')*"(?:[^"]|"")*')
    record = re.compile(field + rb"(?:" + mark + field + rb"){%d}" % (width - 1))
    with path.open("rb") as file, target.open("wb") as out:
        ahead: deque[bytes] = deque()
        while line := ahead.popleft() if ahead else file.readline():
            lines = [line]
            if line.count(b'"') % 2 and opens.fullmatch(line.rstrip(b"\r\n")):
                while len(lines) < MOST_LINES:
                    following = ahead.popleft() if ahead else file.readline()
                    if not following:
                        break
                    lines.append(following)
                    if following.count(b'"') % 2:
                        break
            joined = JOINT.join(part.rstrip(b"\r\n") for part in lines)
            if len(lines) > 1 and record.fullmatch(joined):
                out.write(joined + b"\n" * len(lines))
            else:
                ahead.extendleft(reversed(lines[1:]))
                out.write(line)
    return target


def has_quotes(path: Path) -> bool:
    """Whether a double quote stands anywhere in the file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held.find(b'"') != -1


def _has_odd_quotes(path: Path) -> bool:
    """Whether there are lines in which one quote has no other: a field may go on in the next."""
    if not has_quotes(path):
        return False
    with path.open("rb") as file:
        return any(line.count(b'"') % 2 for line in file)
