"""Floors that train nothing, each fitted in one pass: two popularities, and session-kNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_lpi import settings
from recbole_lpi.data.sessions import Part, Sessions, ranges
from recbole_lpi.policy.session_knn import Neighbours, NeighbourSettings
from recbole_lpi.roles import Role


@dataclass(frozen=True)
class PopularitySettings:
    """``pseudo_count``: events that every item is given beyond its own, > 0."""

    ROLE: ClassVar[Role] = Role.MODEL

    pseudo_count: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.pseudo_count < float("inf"):
            raise ValueError(f"pseudo_count must be > 0, got {self.pseudo_count}")


@dataclass(frozen=True)
class SessionPopularitySettings:
    """Of what a session has seen. ValueError names the setting and what it may be.

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


def popularity(store: Sessions, part: Part, n_items: int, pseudo_count: float) -> np.ndarray:
    """(count(a) + ε) / Σ over the events of a part, [A]."""
    places = ranges(part.start, part.stop)[1]
    counts = np.bincount(store.items[places] - 1, minlength=n_items) + pseudo_count
    return np.asarray(counts / counts.sum())


class Popularity(SequentialRecommender):  # type: ignore[misc]
    """π(a) ∝ training events of a, + ε; the same for every context.

    Args:
        config: RecBole's.
        dataset: the training part.
    """

    input_type = InputType.PAIRWISE  # what RecBole calls a model that brings its own loss
    read: tuple[type[Any], ...] = (PopularitySettings,)  # what it reads of the settings

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        given = settings.read(PopularitySettings, config)
        self.popularity = popularity(
            dataset.sessions, dataset.part, self.n_items - 1, given.pseudo_count
        )

    def policy(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """π [N, A] of prefixes ``items`` [N, L] of ``length`` [N]."""
        return np.broadcast_to(self.popularity, (len(items), len(self.popularity)))

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """log π of all ids [N, A + 1]; padding, id 0, gets −∞."""
        items, length = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        scores = np.log(self.policy(items.cpu().numpy(), length.cpu().numpy()))
        found = torch.from_numpy(scores.astype(np.float32)).to(items.device)
        return torch.nn.functional.pad(found, (1, 0), value=float("-inf"))


class SessionPopularity(Popularity):
    """π(a | x) ∝ events of a in the session so far: S-POP (Hidasi et al. 2016, section 4).

    The share α of the popularity over all sessions ranks what the session has not seen, and parts
    items with equal counts.
    """

    read = (PopularitySettings, SessionPopularitySettings)

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.given = settings.read(SessionPopularitySettings, config)

    def policy(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """π [N, A]; popularity alone for an empty history."""
        later = length[:, None] - 1 - np.arange(items.shape[1])  # events after each
        weight = np.where(later >= 0, self.given.decay ** np.maximum(later, 0), 0.0)
        counts = np.zeros((len(items), len(self.popularity) + 1))
        np.add.at(counts, (np.arange(len(items))[:, None], items), weight)
        counts = counts[:, 1:]
        total = counts.sum(1, keepdims=True)
        own = np.divide(counts, total, where=total > 0, out=np.zeros_like(counts))
        share = np.where(total > 0, self.given.smoothing, 1.0)
        return np.asarray((1 - share) * own + share * self.popularity)


class SessionKNN(Popularity):
    """π(a | x) = (1 − α) score(a | x) / Σ score + α popularity(a), scores by V-SkNN.

    The share α of popularity gives every item a probability, and parts items with equal scores.
    """

    read = (PopularitySettings, NeighbourSettings)

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        given = settings.read(NeighbourSettings, config)
        self.smoothing = given.smoothing
        self.neighbours = Neighbours(dataset.sessions, dataset.part, self.n_items - 1, given)

    def policy(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """π [N, A]; popularity alone where no training session shares an item."""
        scores = self.neighbours.scores(items, length)
        total = np.asarray(scores.sum(1)).reshape(-1, 1)
        known = np.divide(1 - self.smoothing, total, where=total > 0, out=np.zeros_like(total))
        share = np.where(total > 0, self.smoothing, 1.0)
        return np.asarray(scores.toarray() * known + share * self.popularity)


FLOORS: dict[str, type[Popularity]] = {
    floor.__name__: floor for floor in (Popularity, SessionPopularity, SessionKNN)
}
