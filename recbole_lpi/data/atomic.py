"""Reading RecBole's interaction file quickly, with errors that name the line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pandas as pd
import polars as pl

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
    tokens = {name: _Tokens() for name, kind in keep.items() if kind == "token"}
    numbers: dict[str, list[np.ndarray]] = {n: [] for n, kind in keep.items() if kind == "float"}
    line = 2
    with open(path, "rb") as file:
        file.readline()
        for piece, last in _pieces(file):
            raw = _parsed(piece, last, path, separator, list(kinds))
            for name, column in tokens.items():
                column.add(raw[name])
            for name, columns in numbers.items():
                columns.append(_numbers(raw[name], path, line))
            line += len(raw)
    if line == 2:
        raise SettingError(f"{path} holds no event")
    columns = {
        name: tokens[name].column() if kind == "token" else np.concatenate(numbers.pop(name))
        for name, kind in keep.items()
    }
    return Atomic(pd.DataFrame(columns, copy=False), keep)


def _header(path: str, separator: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as file:
        head = file.readline().rstrip("\r\n")
    kinds: dict[str, str] = {}
    for column in head.split(separator):
        name, colon, kind = column.rpartition(":")
        if not colon:
            raise SettingError(f"{path}, line 1: '{column}' is not NAME:token or NAME:float")
        kinds[name] = kind
    return kinds


def _pieces(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The rest of the file by pieces of whole lines, and whether a piece is the last."""
    piece = file.read(PIECE) + file.readline()
    while piece:
        following = file.read(PIECE) + file.readline()
        yield piece, not following
        piece = following


def _parsed(
    piece: bytes, last: bool, path: str, separator: str, names: list[str]
) -> pl.DataFrame:
    """Every field as text; SettingError for a line with more or fewer."""
    try:
        raw = pl.read_csv(
            piece, separator=separator, has_header=False, quote_char=None, new_columns=names,
            schema_overrides=[pl.String] * len(names),
        )  # fmt: skip
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    except pl.exceptions.PolarsError as error:
        ragged = _first_ragged(path, separator, len(names))
        raise SettingError(ragged or f"{path}: {error}") from None
    if last and len(raw) and all(value is None for value in raw.row(-1)):  # a blank line
        raw = raw.head(-1)
    # A row with too few fields comes as empty ones at its end.
    if raw.width != len(names) or raw[:, -1].null_count():
        ragged = _first_ragged(path, separator, len(names))
        if ragged:
            raise SettingError(ragged)
    return raw


def _numbers(raw: pl.Series, path: str, line: int) -> np.ndarray:
    """float64; ``line`` is that of the first."""
    number = raw.str.strip_chars().cast(pl.Float64, strict=False)
    bad = (number.is_null() & raw.is_not_null()).arg_true()
    if len(bad):
        raise SettingError(
            f"{path}, line {line + bad[0]}: {raw.name} is '{raw[int(bad[0])]}', not a number"
        )
    return number.fill_null(float("nan")).to_numpy()


class _Tokens:
    """A column of text, coded piece by piece: each with the names it has, in their order."""

    def __init__(self) -> None:
        self.names: list[pl.Series] = []
        self.codes: list[np.ndarray] = []

    def add(self, raw: pl.Series) -> None:
        names = raw.drop_nulls().unique(maintain_order=True)
        codes = raw.cast(pl.Enum(names)).to_physical().cast(pl.Int32).fill_null(-1)
        self.names.append(names)
        self.codes.append(codes.to_numpy())

    def column(self) -> pd.Categorical:
        """All of it; its categories stand in order of first appearance. Empty is −1."""
        names = pl.concat(self.names).unique(maintain_order=True)
        whole, codes = pl.Enum(names), []
        for own, code in zip(self.names, self.codes, strict=True):
            place = own.cast(whole).to_physical().cast(pl.Int32).to_numpy()
            codes.append(np.append(place, np.int32(-1))[code])
        return pd.Categorical.from_codes(np.concatenate(codes), categories=names.to_pandas())


def _first_ragged(path: str, separator: str, width: int) -> str | None:
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip("\r\n").split(separator)
            if len(fields) != width:
                return (
                    f"{path}, line {number}: {len(fields)} fields where the header has {width}: "
                    f"{line.rstrip()[:80]!r}"
                )
    return None
