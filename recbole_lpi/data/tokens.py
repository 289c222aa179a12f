"""Ids of tokens, looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np


class TokenIds(Mapping[str, int]):
    """Id by token, the inverse of ``field2id_token[field]``; made when first asked for.

    As a dictionary that of millions of sessions takes seconds and most of a gigabyte, and a run
    does not look into it.
    """

    def __init__(self, tokens: np.ndarray) -> None:
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
