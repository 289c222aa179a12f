"""Reading RecBole's interaction file quickly, with errors that name the line."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from recbole_lpi.data.tokens import PADDING
from recbole_lpi.plugin.file_kinds import MARK, READ, check_text, not_utf8
from recbole_lpi.settings import SettingError

PIECE = 2**26  # bytes that are parsed at once: their text takes several times as much
LONGEST_HEADER = 2**20
QUOTED = '^"(?:[^"]|"")*"$'
NO_TOKEN = "\\x00|^" + re.escape(PADDING) + "$"


@dataclass(frozen=True)
class Atomic:
    """An interaction file: its columns, and their RecBole types by name.

    Attributes:
        frame: the columns that were read. kinds: of those. every: of all that the file has.
    """

    frame: pd.DataFrame
    kinds: dict[str, str]
    every: dict[str, str]


def read_atomic(
    path: str, separator: str, wanted: set[str] | None = None, unwanted: set[str] | None = None
) -> Atomic:
    """Columns of a ``.inter`` file: float as float64 (empty is NaN), token as categorical.

    It is read by pieces of whole lines, of which numbers and codes are kept: a column of text takes
    16 bytes a row and more, its codes four. Tokens are what pandas, and so RecBole, reads: without
    the quotes around a field. A byte order mark is no part of the first column's name.

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
    columns = {name: _Tokens() if kind == "token" else _Numbers() for name, kind in keep.items()}
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
    """RecBole's type of each column by its name. SettingError as ``read_atomic`` says."""
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
    """The rest of the file by pieces of whole lines, without blank lines at its end."""
    piece = file.read(PIECE) + file.readline()
    while piece:
        following = file.read(PIECE) + file.readline()
        if not following.strip(b"\r\n"):
            piece, following = piece.rstrip(b"\r\n"), b""
        if piece:
            yield piece
        piece = following


def _parsed(piece: bytes, path: str, line: int, separator: str, names: list[str]) -> pl.DataFrame:
    """Every field as text; SettingError for a line with more or fewer."""
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
    """Fields without the quotes around them: "5"" pipe" is 5" pipe; "" is an empty one."""
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


class _Numbers:
    """A column of numbers, piece by piece; float64, empty is NaN."""

    def __init__(self) -> None:
        self.pieces: list[np.ndarray] = []

    def add(self, raw: pl.Series, path: str, line: int) -> None:
        """Parse a piece, whose first row is at ``line``; SettingError for what is no number."""
        number = raw.str.strip_chars().cast(pl.Float64, strict=False)
        bad = (number.is_null() & raw.is_not_null()).arg_true()
        if len(bad):
            raise SettingError(
                f"{path}, line {line + bad[0]}: {raw.name} is {raw[int(bad[0])][:80]!r}, not a "
                "number"
            )
        self.pieces.append(number.fill_null(float("nan")).to_numpy())

    def whole(self) -> np.ndarray:
        return np.concatenate(self.pieces)


class _Tokens:
    """A column of text, coded piece by piece: each with the names it has, in their order.

    Arrow codes by one pass over a hash table; polars' way, ``unique`` and a cast, is three.
    """

    def __init__(self) -> None:
        self.names: list[pa.Array] = []
        self.codes: list[np.ndarray] = []

    def add(self, raw: pl.Series, path: str, line: int) -> None:
        """Code a piece, whose first row is at ``line``; empty is −1. SettingError: no token."""
        coded = raw.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy()
        bad = np.flatnonzero(pc.match_substring_regex(coded.dictionary, NO_TOKEN))
        if len(bad):
            row = np.flatnonzero(codes == bad[0])[0]
            name = coded.dictionary[int(bad[0])].as_py()
            what = (
                "what stands for none; name it otherwise"
                if name == PADDING
                else "with a zero byte in it; remove that"
            )
            raise SettingError(f"{path}, line {line + row}: {raw.name} is {name[:80]!r}, {what}")
        self.names.append(coded.dictionary)
        self.codes.append(codes)

    def whole(self) -> pd.Categorical:
        """All of it; its categories stand in order of first appearance."""
        every = pa.concat_arrays(self.names).dictionary_encode()
        place, ends = every.indices.to_numpy(), np.cumsum([len(own) for own in self.names])
        codes = [
            np.append(own, np.int32(-1))[code]  # of an empty one, the last
            for own, code in zip(np.split(place, ends[:-1]), self.codes, strict=True)
        ]
        names = every.dictionary.to_pandas()
        return pd.Categorical.from_codes(np.concatenate(codes), categories=names)


def _warn_of_spaces(path: str, columns: Mapping[str, np.ndarray | pd.Categorical]) -> None:
    """They are part of a name, as to RecBole, and seldom meant to be."""
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
