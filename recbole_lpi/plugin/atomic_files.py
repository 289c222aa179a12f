"""Read RecBole's interaction file quickly, with errors that name the line."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import pandas as pd
import polars as pl

from recbole_lpi.plugin.column_pieces import NumberPieces, TokenPieces
from recbole_lpi.plugin.file_kinds import MARK, READ, check_text, not_utf8
from recbole_lpi.settings import SettingError

PIECE = 2**26  # bytes that are parsed at once: their text takes several times as much
LONGEST_HEADER = 2**20
QUOTED = '^"(?:[^"]|"")*"$'


@dataclass(frozen=True)
class Atomic:
    """The content of an interaction file: its columns, and their RecBole types by name.

    Attributes:
        frame: the columns that were read.
        kinds: the types of those columns.
        every: the types of all columns that the file has.
    """

    frame: pd.DataFrame
    kinds: dict[str, str]
    every: dict[str, str]


def read_atomic(
    path: str, separator: str, wanted: set[str] | None = None, unwanted: set[str] | None = None
) -> Atomic:
    """Read columns of a ``.inter`` file: float as float64 (empty is NaN), token as categorical.

    The file is read by pieces of whole lines, of which numbers and codes are kept: a column of text
    takes 16 bytes a row and more, its codes four. Tokens are what pandas, and so RecBole, reads:
    without the quotes around a field. A byte order mark is no part of the first column's name.

    Args:
        path: the file; its header is name:type per column.
        separator: one character.
        wanted: columns to read, None for all; unwanted: columns to leave.

    Raises:
        SettingError: not text in UTF-8, no header, a sequence column that is wanted, a row with
            another number of fields, a float that does not parse, or a token that cannot be one;
            with the line.
    """
    kinds = read_header(path, separator)
    keep = {
        name: kind
        for name, kind in kinds.items()
        if (wanted is None or name in wanted) and name not in (unwanted or ())
    }
    for name, kind in keep.items():
        if kind not in ("token", "float"):
            raise SettingError(
                f"{path}, line 1: '{name}:{kind}' is neither {name}:token nor {name}:float, the "
                "columns a .inter file of sessions may have; leave it out by load_col"
            )
    columns = {
        name: TokenPieces() if kind == "token" else NumberPieces() for name, kind in keep.items()
    }
    line = 2
    with open(path, "rb") as file:
        file.readline()
        for piece in _pieces(file):
            raw = _parsed(piece, path, line, separator, list(kinds))
            if b'"' in piece:
                raw = raw.with_columns(_unquoted(raw[name], path, line) for name in keep)
            for name, column in columns.items():
                column.add(raw[name], path, line)
            line += len(raw)
    if line == 2:
        raise SettingError(f"{path} holds no event")
    whole = {name: columns.pop(name).whole() for name in keep}
    _warn_of_spaces(path, whole)
    return Atomic(pd.DataFrame(whole, copy=False), keep, kinds)


def read_header(path: str, separator: str) -> dict[str, str]:
    """Read RecBole's type of each column by its name; SettingError as ``read_atomic`` says."""
    if not isinstance(separator, str) or len(separator.encode()) != 1 or separator in '"\r\n':
        raise SettingError(
            f"field_separator must be one character, and no quote or line end, got {separator!r}"
        )
    with open(path, "rb") as file:
        head = file.readline(LONGEST_HEADER)
        check_text(path, head[:READ] if len(head) >= READ else head + file.read(READ))
    head = head.removeprefix(MARK).removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in head:
        raise SettingError(
            f"{path} has the line ends of an old Macintosh (CR): convert them, by "
            "tr '\\r' '\\n' for example"
        )
    error = not_utf8(path, head, 1)
    if error is not None:
        raise error
    kinds: dict[str, str] = {}
    for column in head.decode().split(separator):
        name, _, kind = column.removeprefix('"').removesuffix('"').rpartition(":")
        if not name or ":" in name or not kind:
            raise SettingError(
                f"{path}, line 1: {column[:80]!r} is not NAME:token or NAME:float; columns are "
                f"separated by {separator!r}, as field_separator says"
            )
        if name in kinds:
            raise SettingError(f"{path}, line 1: the column '{name}' stands there twice")
        kinds[name] = kind
    return kinds


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Read the rest of a file by pieces of whole lines, without blank lines at its end."""
    piece = file.read(PIECE) + file.readline()
    while piece:
        following = file.read(PIECE) + file.readline()
        if not following.strip(b"\r\n"):
            piece, following = piece.rstrip(b"\r\n"), b""
        if piece:
            yield piece
        piece = following


def _parsed(piece: bytes, path: str, line: int, separator: str, names: list[str]) -> pl.DataFrame:
    """Split a piece into its fields, as text; SettingError for a line with more or fewer."""
    if piece.count(b"\r") != piece.count(b"\r\n"):  # polars drops it where it ends a field
        number = line + re.split(b"\r(?!\n)", piece, maxsplit=1)[0].count(b"\n")
        raise SettingError(f"{path}, line {number}: a CR within the line; end lines by LF or CRLF")
    ragged = partial(_first_ragged, piece.removesuffix(b"\n"), path, line, separator, len(names))
    try:
        raw = pl.read_csv(
            piece, separator=separator, has_header=False, quote_char=None, new_columns=names,
            schema_overrides=[pl.String] * len(names),
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        raise not_utf8(path, piece, line) or SettingError(ragged() or f"{path}: {error}") from None
    lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
    # A row with too few fields comes as empty ones at its end.
    if raw.width != len(names) or len(raw) != lines or raw[:, -1].null_count():
        found = ragged()
        if found:
            raise SettingError(found)
        if len(raw) != lines:
            raise SettingError(f"{path}: {lines} lines from line {line} on, and {len(raw)} rows")
    return raw


def _unquoted(text: pl.Series, path: str, line: int) -> pl.Series:
    """Take the quotes from around fields: "5"" pipe" is 5" pipe; "" is an empty one."""
    opens = text.str.starts_with('"').fill_null(False)
    if not opens.any():
        return text
    bad = (opens & ~text.str.contains(QUOTED).fill_null(False)).arg_true()
    if len(bad):
        raise SettingError(
            f"{path}, line {line + bad[0]}: {text.name} is {text[int(bad[0])][:80]!r}, which opens "
            "a quote and does not close it: a name with quotes in it is written in quotes, and "
            'each of its own twice, as pandas writes it ("""name""")'
        )
    within = (
        text.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    )
    within = within.set(within == "", None)
    return within.zip_with(opens, text)


def _warn_of_spaces(path: str, columns: Mapping[str, Any]) -> None:
    """Warn of names that only spaces around them tell apart: as to RecBole, these are two names."""
    for name, column in columns.items():
        if isinstance(column, pd.Categorical):
            stripped = pl.Series(column.categories.to_list(), dtype=pl.String).str.strip_chars()
            alike = len(stripped) - stripped.n_unique()
            if alike:
                logging.getLogger().warning(
                    f"{path}: {alike} of {len(stripped)} names in {name} differ from another by "
                    "spaces around them alone; they are kept apart"
                )


def _first_ragged(piece: bytes, path: str, line: int, separator: str, width: int) -> str | None:
    """Describe the first line of a piece that has another number of fields than ``width``."""
    for number, text in enumerate(piece.decode(errors="replace").split("\n"), start=line):
        fields = text.rstrip("\r").split(separator)
        if len(fields) != width:
            within = (
                "; a field in quotes may hold neither the separator nor the end of a line"
                if '"' in text
                else ""
            )
            return (
                f"{path}, line {number}: {len(fields)} fields where the header has {width}: "
                f"{text.rstrip()[:80]!r}{within}"
            )
    return None
