"""Popularities, of items over all training sessions and within the session so far.

    popularity(a)  = (events of a + ε) / Σ_b (events of b + ε)         ε: ``pseudo_count``
    S-POP(a | x)   = (1 − α) Σ_{i: x_i = a} δ^(L − i) / Σ_i δ^(L − i) + α popularity(a)

x is the prefix of a session, of L events; δ is ``decay``, α is ``smoothing``. S-POP is of Hidasi et
al. 2016, section 4; its share α of popularity ranks what the session has not seen, and parts items
with equal counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recbole_lpi.data.sessions import Part, Sessions, ranges
from recbole_lpi.roles import Role


@dataclass(frozen=True)
class PopularitySettings:
    """Settings of the popularity over all sessions; ValueError names what is wrong.

    Attributes:
        pseudo_count: events that every item is given beyond its own, > 0.
    """

    ROLE: ClassVar[Role] = Role.MODEL

    pseudo_count: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.pseudo_count < float("inf"):
            raise ValueError(f"pseudo_count must be > 0, got {self.pseudo_count}")


@dataclass(frozen=True)
class SessionPopularitySettings:
    """Settings of the popularity within a session; ValueError names what is wrong.

    Attributes:
        decay: in (0, 1], what an event counts for each later one; 1: all alike.
        smoothing: α in (0, 1), the share of the popularity over all sessions.
    """

    ROLE: ClassVar[Role] = Role.MODEL

    decay: float = 1.0
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
        if not 0 < self.smoothing < 1:
            raise ValueError(f"smoothing must be in (0, 1), got {self.smoothing}")


def popularity(
    store: Sessions, part: Part, n_items: int, settings: PopularitySettings
) -> np.ndarray:
    """Count the events of a part by item: (count(a) + ε) / Σ, [A]."""
    places = ranges(part.start, part.stop)[1]
    counts = np.bincount(store.items[places] - 1, minlength=n_items) + settings.pseudo_count
    return np.asarray(counts / counts.sum())


@dataclass(frozen=True)
class PopularityPolicy:
    """The policy π(a) = popularity(a), the same for every context.

    Attributes:
        popularity: of the items, [A].
    """

    popularity: np.ndarray

    @classmethod
    def of(cls, settings: None, arrays: Mapping[str, np.ndarray]) -> PopularityPolicy:
        """Build the policy from what ``arrays`` returned."""
        return cls(arrays["popularity"])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what it is built from."""
        return {"popularity": self.popularity}

    def probabilities(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return π [N, A] of prefixes ``items`` [N, L], 1 … A, 0 after ``length`` [N]."""
        return np.broadcast_to(self.popularity, (len(items), len(self.popularity)))


@dataclass(frozen=True)
class SessionPopularityPolicy:
    """The policy S-POP: π(a | x) ∝ events of a in the session so far, smoothed.

    Attributes:
        popularity: of the items over all sessions, [A].
    """

    popularity: np.ndarray
    settings: SessionPopularitySettings

    @classmethod
    def of(
        cls, settings: SessionPopularitySettings, arrays: Mapping[str, np.ndarray]
    ) -> SessionPopularityPolicy:
        """Build the policy from its settings and what ``arrays`` returned."""
        return cls(arrays["popularity"], settings)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what it is built from besides its settings."""
        return {"popularity": self.popularity}

    def probabilities(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return π [N, A] of prefixes ``items`` [N, L], 1 … A, 0 after ``length`` [N].

        π is the popularity alone for an empty prefix.
        """
        later = length[:, None] - 1 - np.arange(items.shape[1])  # events after each
        weight = np.where(later >= 0, self.settings.decay ** np.maximum(later, 0), 0.0)
        counts = np.zeros((len(items), len(self.popularity) + 1))
        np.add.at(counts, (np.arange(len(items))[:, None], items), weight)
        counts = counts[:, 1:]
        total = counts.sum(1, keepdims=True)
        own = np.divide(counts, total, where=total > 0, out=np.zeros_like(counts))
        share = np.where(total > 0, self.settings.smoothing, 1.0)
        return np.asarray((1 - share) * own + share * self.popularity)
