"""Reading RecBole's interaction file quickly, with errors that name the line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

from recbole_lpi.settings import SettingError


@dataclass(frozen=True)
class Atomic:
    """An interaction file: its columns, and their RecBole types by name."""

    frame: pd.DataFrame
    kinds: dict[str, str]


def read_atomic(
    path: str, separator: str, wanted: set[str] | None = None, unwanted: set[str] | None = None
) -> Atomic:
    """Columns of a ``.inter`` file: float as float64 (empty is NaN), token as categorical.

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
    try:
        raw = pl.read_csv(
            path, separator=separator, has_header=False, skip_rows=1, quote_char=None,
            new_columns=list(kinds), schema_overrides=[pl.String] * len(kinds),
        )  # fmt: skip
    except pl.exceptions.NoDataError:
        raise SettingError(f"{path} holds no event") from None
    except pl.exceptions.PolarsError as error:
        ragged = _first_ragged(path, separator, len(kinds))
        raise SettingError(ragged or f"{path}: {error}") from None
    if len(raw) and all(value is None for value in raw.row(-1)):  # a blank line at the end
        raw = raw.head(-1)
    # A row with too few fields comes as empty ones at its end.
    if raw.width != len(kinds) or raw[:, -1].null_count():
        ragged = _first_ragged(path, separator, len(kinds))
        if ragged:
            raise SettingError(ragged)
    columns = {name: _column(path, raw[name], kind) for name, kind in keep.items()}
    return Atomic(pd.DataFrame(columns), keep)


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


def _column(path: str, raw: pl.Series, kind: str) -> pd.Categorical | np.ndarray:
    if kind == "float":
        number = raw.str.strip_chars().cast(pl.Float64, strict=False)
        bad = (number.is_null() & raw.is_not_null()).arg_true()
        if len(bad):
            raise SettingError(
                f"{path}, line {bad[0] + 2}: {raw.name} is '{raw[int(bad[0])]}', not a number"
            )
        return number.fill_null(float("nan")).to_numpy()
    names = raw.drop_nulls().unique(maintain_order=True)
    codes = raw.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(-1)
    return pd.Categorical.from_codes(codes.to_numpy(), categories=names.to_list())


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
