"""Which items are recommended, given log π of all: the best, or drawn; of all, or of some."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from recbole_lpi.data.tokens import Tokens


class Chosen(NamedTuple):
    """k items for each of n sessions, the best or the first drawn first, [n, k] each.

    Attributes:
        place: of the item in the catalogue, 0 … A − 1.
        scores: log π(a | x), float32; −∞ where there is no item.
        propensities: float64, as of ``Recommendations``.
    """

    place: np.ndarray
    scores: np.ndarray
    propensities: np.ndarray


@dataclass(frozen=True)
class Choice:
    """What is asked for of each session.

    Attributes:
        k: how many items, ≥ 1.
        exclude_seen: leave out what the history has.
        allowed: the items to choose from, bool [A]; None: all.
        draws: what items are drawn with; None: the best are taken.
    """

    k: int
    exclude_seen: bool = False
    allowed: np.ndarray | None = None
    draws: np.random.Generator | None = None

    @property
    def of_the_best(self) -> bool:
        """Whether simply the best of all items are asked for."""
        return not self.exclude_seen and self.allowed is None and self.draws is None

    def of(self, log_pi: np.ndarray, items: np.ndarray) -> Chosen:
        """Choose from log π [n, A], for histories of ``items`` [n, L], 1 … A and 0 for padding.

        Draws are Gumbel's: the k largest of log π + noise are k items drawn one after another, each
        from what is left (Kool, van Hoof & Welling 2019).
        """
        log_pi = self._left(log_pi, items)
        k = min(self.k, log_pi.shape[1])
        if self.draws is None:
            index = best(log_pi, k)
            scores = np.take_along_axis(log_pi, index, 1)
            return Chosen(index, scores, np.exp(scores, dtype=np.float64))
        noisy = self.draws.standard_exponential(log_pi.shape, np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):  # noise 0: the item comes first
            np.subtract(log_pi, np.log(noisy, out=noisy), out=noisy)
        noisy[np.isneginf(log_pi)] = -np.inf  # whatever the noise: it may not be chosen
        index = best(noisy, k)
        scores = np.take_along_axis(log_pi, index, 1)
        chance = np.exp(scores, dtype=np.float64)
        left = 1 - (np.cumsum(chance, 1) - chance)
        left = np.maximum(left, np.finfo(np.float64).tiny)
        return Chosen(index, scores, np.minimum(chance / left, 1))

    def _left(self, log_pi: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return log π of the items that may be chosen, [n, A]; −∞ of the others."""
        if not self.exclude_seen and self.allowed is None:
            return log_pi
        log_pi = log_pi.copy()
        if self.allowed is not None:
            log_pi[:, ~self.allowed] = -np.inf
        if self.exclude_seen:
            row, place = items.nonzero()
            log_pi[row, items[row, place] - 1] = -np.inf
        top = log_pi.max(1, keepdims=True)
        top[~np.isfinite(top)] = 0  # nothing is left
        with np.errstate(divide="ignore"):
            total = np.log(np.exp(log_pi - top).sum(1, keepdims=True))
        total[~np.isfinite(total)] = 0
        return np.asarray(log_pi - top - total)


def best(values: np.ndarray, k: int) -> np.ndarray:
    """Return where the k largest of each row are, largest first, [n, A] -> int64 [n, k]."""
    n_items = values.shape[1]
    if k < n_items:
        index = np.argpartition(values, n_items - k, axis=1)[:, n_items - k :]
    else:
        index = np.arange(n_items)[None].repeat(len(values), 0)
    order = np.argsort(-np.take_along_axis(values, index, 1), axis=1, kind="stable")
    return np.take_along_axis(index, order, 1)


@dataclass(frozen=True)
class Recommendations:
    """k items for each of S sessions, the best or the first drawn first.

    Attributes:
        session_ids: what each session is called, [S].
        ids: of the items, int64 [S, k]; 0 where there are fewer items than k.
        scores: log π(a | x), float32 [S, k]; −∞ where there is no item.
        propensities: of what is the best, π(a | x); of what is drawn, the probability with which
            this item was drawn for this slot, given those of the slots before: float64 [S, k].
        unknown: how many events of the histories were left out, for the policy does not know their
            items.
        names: of the items by id.
    """

    session_ids: pl.Series
    ids: np.ndarray
    scores: np.ndarray
    propensities: np.ndarray
    unknown: int
    names: Tokens

    @cached_property
    def items(self) -> np.ndarray:
        """The names of the items, [S, k]; None where there are fewer items than k."""
        found = np.asarray(self.names[self.ids], dtype=object)
        found[self.ids == 0] = None
        return found

    def table(self) -> pl.DataFrame:
        """Return a row for each recommendation: session_id, slot from 1, item_id, log_pi, …"""
        n, k = self.ids.shape
        there = (self.ids > 0).ravel()
        names = self.names.text.take(pa.array(self.ids.ravel()[there]))
        return pl.DataFrame(
            {
                "session_id": self.session_ids.gather(np.repeat(np.arange(n), k)[there]),
                "slot": np.tile(np.arange(1, k + 1), n)[there],
                "item_id": pl.Series(pl.from_arrow(names), dtype=pl.String),
                "log_pi": self.scores.ravel()[there],
                "propensity": self.propensities.ravel()[there],
            }
        )
