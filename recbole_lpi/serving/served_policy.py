"""What gives π of every item for a history: a network, counts, or whatever a user brings."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from recbole_lpi.serving.choosing import best
from recbole_lpi.serving.encoding import Encoded


class ServedPolicy(ABC):
    """A policy as ``Recommender`` asks it.

    Args:
        n_items: A; items are 1 … A.
        max_length: how many of the most recent events it is given at most.
        inputs: what it reads of them: ``item``, ``event``, ``time_gap``.
        opens: whether it gives π for an empty history.
    """

    def __init__(
        self, n_items: int, max_length: int, inputs: tuple[str, ...] = ("item",), opens: bool = True
    ) -> None:
        self.n_items, self.max_length, self.inputs = n_items, max_length, inputs
        self.opens = opens

    @abstractmethod
    def log_pi(self, histories: Encoded) -> np.ndarray:
        """Return log π of every item after each of n histories, float32 [n, A]."""

    def best(self, histories: Encoded, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the index, 0 … A − 1, and log π of the k ≤ A best items, [n, k], best first."""
        log_pi = self.log_pi(histories)
        index = best(log_pi, k)
        return index, np.take_along_axis(log_pi, index, 1)
