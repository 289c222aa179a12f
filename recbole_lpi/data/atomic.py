"""Reading RecBole's interaction file quickly, with errors that name the line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from recbole_lpi.settings import SettingError

PIECE = 2**26  # bytes that are parsed at once: their text takes several times as much


@dataclass(frozen=True)
class Atomic:
    """An interaction file: its columns, and their RecBole types by name."""

    frame: pd.DataFrame
    kinds: dict[str, str]


def read_atomic(
    path: str, separator: str, wanted: set[str] | None = None, unwanted: set[str] | None = None
) -> Atomic:
    """Columns of a ``.inter`` file: float as float64 (empty is NaN), token as categorical.

    It is read by pieces of whole lines, of which numbers and codes are kept: a column of text takes
    16 bytes a row and more, its codes four.

    Args:
        path: the file; its header is name:type per column.
        separator: one character.
        wanted: columns to read, None for all; unwanted: columns to leave.

    Raises:
        SettingError: no header, a sequence column that is wanted, a row with another number of
            fields, or a float that does not parse; with the line.
    """
    kinds = _header(path, separator)
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
            for name, column in columns.items():
                column.add(raw[name], path, line)
            line += len(raw)
    if line == 2:
        raise SettingError(f"{path} holds no event")
    whole = {name: columns.pop(name).whole() for name in keep}
    return Atomic(pd.DataFrame(whole, copy=False), keep)


def _header(path: str, separator: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as file:
        try:
            head = file.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SettingError(
                f"{path} is not text in UTF-8; if it is compressed, unpack it"
            ) from None
    kinds: dict[str, str] = {}
    for column in head.split(separator):
        name, colon, kind = column.rpartition(":")
        if not colon or ":" in name:
            raise SettingError(
                f"{path}, line 1: '{column}' is not NAME:token or NAME:float; columns are "
                f"separated by {separator!r}, as field_separator says"
            )
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
    ragged = partial(_first_ragged, piece.removesuffix(b"\n"), path, line, separator, len(names))
    try:
        raw = pl.read_csv(
            piece, separator=separator, has_header=False, quote_char=None, new_columns=names,
            schema_overrides=[pl.String] * len(names),
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        raise SettingError(ragged() or f"{path}: {error}") from None
    # A row with too few fields comes as empty ones at its end.
    if raw.width != len(names) or raw[:, -1].null_count():
        found = ragged()
        if found:
            raise SettingError(found)
    return raw


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
                f"{path}, line {line + bad[0]}: {raw.name} is '{raw[int(bad[0])]}', not a number"
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
        """Code a piece; empty is −1."""
        coded = raw.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        self.names.append(coded.dictionary)
        self.codes.append(coded.indices.fill_null(-1).to_numpy())

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


def _first_ragged(piece: bytes, path: str, line: int, separator: str, width: int) -> str | None:
    for number, text in enumerate(piece.decode(errors="replace").split("\n"), start=line):
        fields = text.rstrip("\r").split(separator)
        if len(fields) != width:
            return (
                f"{path}, line {number}: {len(fields)} fields where the header has {width}: "
                f"{text.rstrip()[:80]!r}"
            )
    return None
