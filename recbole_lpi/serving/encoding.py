"""From raw histories to what a policy reads: ids of its own items, its kinds, bins of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from recbole_lpi.data.sessions import ranges
from recbole_lpi.data.times import gap_bins, unit_of
from recbole_lpi.data.tokens import TokenIds, Tokens
from recbole_lpi.serving.raw_histories import EVENT, ITEM, TIME, RawHistories


class Encoded(NamedTuple):
    """The most recent events of S sessions as a policy reads them, padded on the right.

    Attributes:
        items: int64 [S, L], 1 … A; 0 is padding.
        kinds: the code of each event's kind, plus 1, [S, L]; None where it is not read.
        gaps: the bin of the time since the event before, [S, L]; None as above.
        length: how many events each has, int64 [S].
    """

    items: np.ndarray
    kinds: np.ndarray | None
    gaps: np.ndarray | None
    length: np.ndarray

    def take(self, sessions: slice | np.ndarray) -> Encoded:
        """Return some of the sessions."""
        fields = (None if field is None else field[sessions] for field in self)
        return Encoded(*fields)  # type: ignore[arg-type]


class Vocabulary:
    """The names that a policy knows.

    Args:
        items: the name of each item by its id, that of padding first.
        event_names: the kinds of event by code; empty where the policy does not tell them apart.
    """

    def __init__(self, items: Tokens, event_names: tuple[str, ...] = ()) -> None:
        self.items, self.event_names = items, event_names
        self._ids = TokenIds(items)

    def ids(self, names: pl.Series) -> np.ndarray:
        """Return the ids of items by their names, int64 [N]; 0 of one that is not known."""
        known = (self._ids.get(name, 0) for name in names.cast(pl.String).to_list())
        return np.fromiter(known, np.int64, len(names))

    def kinds(self, names: pl.Series) -> np.ndarray:
        """Return code + 1 of kinds by their names, int64 [N]; ValueError for another."""
        codes = {name: code for code, name in enumerate(self.event_names, 1)}
        unknown = sorted(set(names.unique().to_list()) - set(codes))
        if unknown:
            raise ValueError(
                f"event {unknown[0]!r} is no kind that the policy has learnt: they are "
                f"{', '.join(self.event_names)}"
            )
        return np.fromiter((codes[name] for name in names.to_list()), np.int64, len(names))


def encode(
    raw: RawHistories, vocabulary: Vocabulary, inputs: tuple[str, ...], limit: int
) -> tuple[Encoded, int]:
    """Encode histories; also return how many events were left out, of items that are not known.

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

    def padded(values: np.ndarray) -> np.ndarray:
        table = np.zeros(shape, np.int64)
        table[row, column] = values[place]
        return table

    kinds = gaps = None
    if "event" in inputs:
        named = events[EVENT] if EVENT in events.columns else pl.Series([], dtype=pl.String)
        kinds = padded(vocabulary.kinds(named)[known])
    if "time_gap" in inputs:
        time = events[TIME].to_numpy()[known] if TIME in events.columns else np.zeros(0)
        per_second = unit_of(float(time.max(initial=0))) or 1
        gaps = padded(gap_bins(np.diff(time, prepend=time[:1]) / per_second))
        gaps[:, 0] = 0
    return Encoded(padded(item[known]), kinds, gaps, length), int((~known).sum())
