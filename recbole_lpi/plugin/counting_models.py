"""Offer baselines that count and train nothing as models of RecBole's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_lpi import settings
from recbole_lpi.policy.counted import COUNTED, CountedPolicy, counted_values, tensors
from recbole_lpi.policy.popularity import (
    PopularityPolicy,
    PopularitySettings,
    SessionPopularityPolicy,
    SessionPopularitySettings,
    popularity,
)
from recbole_lpi.policy.session_knn import (
    Neighbours,
    NeighbourSettings,
    SessionKNNPolicy,
    training_sessions,
)


class CountingModel(SequentialRecommender):  # type: ignore[misc]
    """A RecBole model whose policy is counted from the training part when it is made.

    What was counted stands in buffers, so that a checkpoint keeps it.

    Args:
        config: RecBole's.
        dataset: the training part.
    """

    input_type = InputType.PAIRWISE  # what RecBole calls a model that brings its own loss
    setting_classes: tuple[type[Any], ...] = (PopularitySettings,)  # which settings it reads

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        own = COUNTED[type(self).__name__].settings
        self.settings: Any = None if own is None else settings.read(own, config)
        given = settings.read(PopularitySettings, config)
        counted = popularity(dataset.sessions, dataset.part, self.n_items - 1, given)
        self.policy = self.count(dataset, counted)
        for name, value in tensors(self.policy).items():
            self.register_buffer(name, value)

    def count(self, dataset: Any, popularity: np.ndarray) -> CountedPolicy:
        """Count the policy from the training part, whose items have this ``popularity`` [A]."""
        raise NotImplementedError

    def checkpoint_values(self) -> dict[str, Any]:
        """Return what builds the policy again besides its buffers, for a checkpoint."""
        return counted_values(self.settings, self.max_seq_length)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take the counts of a checkpoint in the place of those of the training part."""
        found = super().load_state_dict(state_dict, *args, **kwargs)
        arrays = {name: value.cpu().numpy() for name, value in self.named_buffers()}
        self.policy = COUNTED[type(self).__name__].policy.of(self.settings, arrays)
        return found

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return log π of all ids [N, A + 1]; padding, id 0, gets −∞."""
        items, length = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        scores = np.log(self.policy.probabilities(items.cpu().numpy(), length.cpu().numpy()))
        found = torch.from_numpy(scores.astype(np.float32)).to(items.device)
        return torch.nn.functional.pad(found, (1, 0), value=float("-inf"))


class Popularity(CountingModel):
    """The policy π(a) ∝ training events of a, + ε: the same for every context."""

    def count(self, dataset: Any, popularity: np.ndarray) -> CountedPolicy:
        """Take the popularity as it is."""
        return PopularityPolicy(popularity)


class SessionPopularity(CountingModel):
    """The policy S-POP: π(a | x) ∝ events of a in the session so far, smoothed."""

    setting_classes = (PopularitySettings, SessionPopularitySettings)

    def count(self, dataset: Any, popularity: np.ndarray) -> CountedPolicy:
        """Add to the popularity how a session's own items are counted."""
        return SessionPopularityPolicy(popularity, self.settings)


class SessionKNN(CountingModel):
    """The policy V-SkNN: π(a | x) ∝ how often similar training sessions have a, smoothed."""

    setting_classes = (PopularitySettings, NeighbourSettings)

    def count(self, dataset: Any, popularity: np.ndarray) -> CountedPolicy:
        """Index the training sessions by their items."""
        sessions = training_sessions(dataset.sessions, dataset.part, self.n_items - 1)
        return SessionKNNPolicy(Neighbours(sessions, self.settings), popularity)


BASELINES: dict[str, type[CountingModel]] = {
    model.__name__: model for model in (Popularity, SessionPopularity, SessionKNN)
}
