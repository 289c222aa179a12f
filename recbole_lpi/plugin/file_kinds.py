"""Tell by its first bytes what a file is that should be text and is not."""

from __future__ import annotations

from recbole_lpi.settings import SettingError

# First bytes, what they begin, and what makes text of it.
KINDS = (
    (b"\x1f\x8b", "a gzip file", "unpack it (gunzip)"),
    (b"BZh", "a bzip2 file", "unpack it (bunzip2)"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it (unxz)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it (unzstd)"),
    (b"\x04\x22\x4d\x18", "an LZ4 file", "unpack it (unlz4)"),
    (b"PK\x03\x04", "a zip file", "unpack it (unzip); a workbook of Excel is to be saved as text"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file", "unpack it"),
    (b"Rar!\x1a\x07", "a rar file", "unpack it"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel", "save it as text"),
    (b"PAR1", "a Parquet file", "convert it (python dataset_prep/csv.py)"),
    (b"SQLite format 3", "an SQLite database", "export its table as text"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", "re-encode it (iconv -f UTF-32 -t UTF-8)"),
    (b"\x00\x00\xfe\xff", "text in UTF-32", "re-encode it (iconv -f UTF-32 -t UTF-8)"),
    (b"\xff\xfe", "text in UTF-16", "re-encode it (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "text in UTF-16", "re-encode it (iconv -f UTF-16 -t UTF-8)"),
)
MARK = b"\xef\xbb\xbf"  # of UTF-8, which Excel and PowerShell write before the first column's name
READ = 512  # bytes that tell


def check_text(path: str, start: bytes) -> None:
    """Raise SettingError, with the cure, unless ``start`` begins a file of text in UTF-8."""
    for magic, kind, cure in KINDS:
        if start.startswith(magic):
            raise SettingError(f"{path} is {kind}, not text in UTF-8: {cure}")
    if start[257:262] == b"ustar":
        raise SettingError(f"{path} is a tar file, not text in UTF-8: unpack it (tar xf)")
    if b"\0" in start[:2]:
        raise SettingError(
            f"{path} is text in UTF-16, not in UTF-8: re-encode it (iconv -f UTF-16 -t UTF-8)"
        )


def not_utf8(path: str, text: bytes, line: int) -> SettingError | None:
    """Return the error of the first line of ``text`` that is not UTF-8; it begins at ``line``."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line += text.count(b"\n", 0, error.start)
        return SettingError(
            f"{path}, line {line}: not text in UTF-8; re-encode the file, from Latin-1 for example "
            "by iconv -f LATIN1 -t UTF-8"
        )
    return None
