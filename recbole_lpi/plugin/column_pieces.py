"""Put together the columns of a file that is read by pieces: numbers, and codes of text."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from recbole_lpi.data.tokens import PADDING
from recbole_lpi.settings import SettingError

NO_TOKEN = "\\x00|^" + re.escape(PADDING) + "$"


class NumberPieces:
    """A column of numbers that is parsed piece by piece; an empty field is NaN."""

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
        """Return all numbers, float64 [E]."""
        return np.concatenate(self.pieces)


class TokenPieces:
    """A column of text that is coded piece by piece, each with its own names in their order.

    Arrow codes by one pass over a hash table; polars' way, ``unique`` and a cast, is three.
    """

    def __init__(self) -> None:
        self.names: list[pa.Array] = []
        self.codes: list[np.ndarray] = []

    def add(self, raw: pl.Series, path: str, line: int) -> None:
        """Code a piece, whose first row is at ``line``; SettingError for what is no token.

        The code of an empty field is −1.
        """
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
        """Return all codes [E]; their categories stand in order of first appearance."""
        every = pa.concat_arrays(self.names).dictionary_encode()
        place, ends = every.indices.to_numpy(), np.cumsum([len(own) for own in self.names])
        codes = [
            np.append(own, np.int32(-1))[code]  # of an empty one, the last
            for own, code in zip(np.split(place, ends[:-1]), self.codes, strict=True)
        ]
        names = every.dictionary.to_pandas()
        return pd.Categorical.from_codes(np.concatenate(codes), categories=names)
