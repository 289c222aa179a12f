"""Sessions so far, as a policy of a simulated world reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.sessions import Sessions, ranges


class Histories(NamedTuple):
    """S sessions so far, padded on the right to one length t.

    Attributes:
        items: int64 [S, t], 1 … A; 0 is padding.
        kinds: int64 [S, t], the code of what the user did with each item, plus 1; 0 is padding.
        times: float64 [S, t], seconds.
        lengths: int64 [S], how many events each has, 0 … t.
    """

    items: Tensor
    kinds: Tensor
    times: Tensor
    lengths: Tensor

    @property
    def real(self) -> Tensor:
        """Which places hold an event, bool [S, t]."""
        place = torch.arange(self.items.shape[1], device=self.items.device)
        return place < self.lengths[:, None]

    def first(self, number: int) -> Histories:
        """Return the first ``number`` events of each session, or all that it has."""
        items, kinds, times, lengths = self
        return Histories(
            items[:, :number], kinds[:, :number], times[:, :number], lengths.clamp_max(number)
        )

    def keep(self, kept: Tensor) -> Histories:
        """Return the events at which ``kept``, bool [S, t], is true, each session's moved up."""
        kept = kept & self.real
        lengths = kept.sum(1)
        row, place = kept.nonzero(as_tuple=True)
        moved = kept.cumsum(1)[row, place] - 1
        shape = len(kept), int(lengths.max()) if len(kept) else 0

        def column(values: Tensor) -> Tensor:
            table = values.new_zeros(shape)
            table[row, moved] = values[row, place]
            return table

        return Histories(column(self.items), column(self.kinds), column(self.times), lengths)

    def take(self, index: Tensor) -> Histories:
        """Return the sessions at ``index``, numbers or a mask."""
        return Histories(*(column[index] for column in self))


Policy = Callable[[Histories], Tensor]  # histories of S sessions -> logits of the items, [S, A]


def histories_of(sessions: Sessions) -> Histories:
    """Pad whole sessions to the longest of them."""
    lengths = sessions.lengths
    row, place = ranges(np.zeros_like(lengths), lengths)
    shape = len(sessions), int(lengths.max(initial=0))

    def padded(values: np.ndarray, dtype: type[np.generic]) -> Tensor:
        table = np.zeros(shape, dtype)
        table[row, place] = values
        return torch.from_numpy(table)

    return Histories(
        padded(sessions.items, np.int64),
        padded(sessions.events.astype(np.int64) + 1, np.int64),
        padded(sessions.timestamps, np.float64),
        torch.from_numpy(lengths.astype(np.int64)),
    )


@torch.no_grad()
def log_probabilities(policy: Policy, sessions: Sessions) -> np.ndarray:
    """Return log π(a | x) of every logged item given the events before it, float64 [E]."""
    whole = histories_of(sessions)
    found = torch.zeros(whole.items.shape, dtype=torch.float64)
    for place in range(whole.items.shape[1]):
        there = whole.lengths > place
        chosen = whole.items[there, place, None] - 1
        log_pi = policy(whole.take(there).first(place)).double().log_softmax(-1)
        found[there, place] = log_pi.gather(1, chosen).squeeze(1)
    return found[whole.real].numpy()
