"""From raw histories to what a policy reads: ids of its own items, its kinds, bins of time."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recbole_lpi.data.batches import History, gap_bins
from recbole_lpi.data.sessions import ranges
from recbole_lpi.data.times import unit_of
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.serving.raw_histories import EVENT, ITEM, TIME, RawHistories

FEW = 1000  # names that are looked up one by one


class Encoded(NamedTuple):
    """Histories of S sessions as a policy reads them.

    Attributes:
        history: the most recent events, [S, L], padded on the right.
        length: how many each has, int64 [S].
        unknown: how many events were left out, of items that the policy does not know.
    """

    history: History
    length: Tensor
    unknown: int


class Vocabulary:
    """The names that a policy knows.

    Args:
        items: the name of each item by its id, that of padding first.
        event_names: the kinds of event by code; empty where the policy does not tell them apart.
    """

    def __init__(self, items: Tokens, event_names: tuple[str, ...] = ()) -> None:
        self.items, self.event_names = items, event_names

    @cached_property
    def _numbered(self) -> pl.DataFrame:
        names = pl.Series(ITEM, self.items.text.cast("large_string"))[1:]
        return pl.DataFrame({ITEM: names, "id": pl.arange(1, len(names) + 1, eager=True)})

    @cached_property
    def _ids(self) -> dict[str, int]:
        return dict(zip(self._numbered[ITEM], self._numbered["id"], strict=True))

    def ids(self, names: pl.Series) -> np.ndarray:
        """Return the ids of items by their names, int64 [N]; 0 of one that is not known."""
        if len(names) <= FEW:  # a join would go through the whole catalogue
            return np.array([self._ids.get(name, 0) for name in names.cast(pl.String)], np.int64)
        found = pl.DataFrame({ITEM: names.cast(pl.String)}).join(
            self._numbered, on=ITEM, how="left", maintain_order="left"
        )["id"]
        return found.fill_null(0).to_numpy().astype(np.int64)

    def names(self, ids: np.ndarray) -> np.ndarray:
        """Return the names of items by id, of any shape, as text."""
        return np.asarray(self.items[ids])

    def kinds(self, names: pl.Series) -> np.ndarray:
        """Return code + 1 of kinds by their names, int64 [N]; ValueError for another."""
        try:
            codes = names.cast(pl.Enum(self.event_names)).to_physical()
        except pl.exceptions.InvalidOperationError:
            unknown = sorted(set(names.unique().to_list()) - set(self.event_names))
            raise ValueError(
                f"event {unknown[0]!r} is no kind that the policy has learnt: they are "
                f"{', '.join(self.event_names)}"
            ) from None
        return codes.to_numpy().astype(np.int64) + 1


def encode(
    raw: RawHistories, vocabulary: Vocabulary, inputs: tuple[str, ...], limit: int
) -> Encoded:
    """Encode histories.

    Args:
        raw: the histories.
        vocabulary: what the policy knows.
        inputs: what it reads: ``item``, ``event``, ``time_gap``.
        limit: how many of the most recent events are kept.

    Raises:
        ValueError: a column is missing that the policy reads, or there is an event of another kind.
    """
    events = raw.events
    for column, read in ((EVENT, "event"), (TIME, "time_gap")):
        if read in inputs and column not in events.columns and len(events):
            raise ValueError(
                f"the policy reads {column} of each event, and the histories have none: give "
                "(item, event, timestamp), or a table with that column"
            )
    item = vocabulary.ids(events[ITEM])
    known = item > 0
    session = events["session"].to_numpy()[known]
    count = np.bincount(session, minlength=len(raw))
    stop = np.cumsum(count)
    length = np.minimum(count, limit)
    row, place = ranges(stop - length, stop)
    column = place - (stop - length)[row]
    shape = len(raw), max(1, int(length.max(initial=0)))

    def padded(values: np.ndarray) -> Tensor:
        table = np.zeros(shape, np.int64)
        table[row, column] = values[place]
        return torch.from_numpy(table)

    kinds = gaps = None
    if "event" in inputs:
        named = events[EVENT] if EVENT in events.columns else pl.Series([], dtype=pl.String)
        kinds = padded(vocabulary.kinds(named)[known])
    if "time_gap" in inputs:
        time = events[TIME].to_numpy()[known] if TIME in events.columns else np.zeros(0)
        per_second = unit_of(float(time.max(initial=0))) or 1
        gaps = padded(gap_bins(np.diff(time, prepend=time[:1]) / per_second))
        gaps[:, 0] = 0
    history = History(padded(item[known]), kinds, gaps)
    return Encoded(history, torch.from_numpy(length), int((~known).sum()))
