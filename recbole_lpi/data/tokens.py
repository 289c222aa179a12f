"""Tokens by id, and ids by token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

PADDING = "[PAD]"  # RecBole's token of id 0


class Tokens:
    """Text by id: what RecBole keeps in ``field2id_token``, read in the way of a numpy array.

    Arrow keeps it end to end. Numpy's text is as wide as the longest of all, so that one token of
    100,000 characters among 20,000 takes 7.5 GiB, and loses zero bytes at a token's end.
    """

    def __init__(self, text: pa.Array | Iterable[str]) -> None:
        made = isinstance(text, pa.Array)
        self.text: pa.Array = text if made else pa.array(list(text), pa.large_string())

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, index: Any) -> Any:
        """Return the token of one id; of several, of a mask or of a slice, an array of objects."""
        if isinstance(index, slice):
            index = np.arange(len(self))[index]
        place = np.asarray(index)
        if place.dtype == bool:
            place = np.flatnonzero(place)
        place = np.where(place < 0, place + len(self), place)
        if (place < 0).any():
            raise IndexError(f"index {index} of {len(self)} tokens")
        if not place.ndim:
            return self.text[int(place)].as_py()
        found = self.text.take(pa.array(place.ravel()))
        return np.array(found.to_pylist(), dtype=object).reshape(place.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.tolist(), dtype=dtype or object)

    def take(self, index: np.ndarray) -> Tokens:
        """Return the tokens of ids [N], as a column of their own."""
        return Tokens(self.text.take(pa.array(index)))

    def tolist(self) -> list[str]:
        """Return all tokens, by id."""
        return list(self.text.to_pylist())


class TokenIds(Mapping[str, int]):
    """Id by token, the inverse of ``field2id_token[field]``; made when first asked for.

    As a dictionary that of millions of sessions takes seconds and most of a gigabyte, and a run
    does not look into it.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens  # by id

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens.tolist())}

    def __getitem__(self, token: str) -> int:
        return self._ids[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def write_tokens(path: Path, tokens: Tokens) -> None:
    """Write tokens by id as an Arrow file, which can be mapped."""
    table = pa.table({"token": tokens.text})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def map_tokens(path: Path) -> Tokens:
    """Map the tokens of such a file; ValueError, or one of Arrow's, unless it is one."""
    with pa.memory_map(str(path)) as file:
        text = pa.ipc.open_file(file).read_all()["token"].combine_chunks()
    text.validate(full=True)
    if text.type != pa.large_string() or text.null_count:
        raise ValueError(f"{path.name} is not a column of text")
    return Tokens(text)
