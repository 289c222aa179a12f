"""Policies from checkpoints, as they are served: networks, and what was counted."""

from __future__ import annotations

import os

import numpy as np
import torch

from recbole_lpi.data.batches import History
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.policy.checkpoint import build_policy, read_checkpoint, vocabulary
from recbole_lpi.policy.counted import COUNTED, LoadedCounts, build_counted
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.serving.encoding import Encoded, Vocabulary
from recbole_lpi.serving.recommender import Recommender
from recbole_lpi.serving.served_policy import ServedPolicy
from recbole_lpi.settings import SettingError


def load_policy(path: str | os.PathLike[str]) -> Recommender:
    """Load a policy to recommend with, from its checkpoint or the folder of its run.

    Neither RecBole nor the data are needed. Besides the policies, the baselines that only count
    are served: Popularity, SessionPopularity and SessionKNN.

    Raises:
        SettingError: there is none, it is not whole, it is a model of RecBole's, or of an earlier
            version that did not keep the names of its items.
    """
    state = read_checkpoint(path)
    items = vocabulary(state, path)
    if state["model"] in COUNTED and items is not None:
        return Recommender(CountingPolicy(build_counted(state, path)), Vocabulary(items))
    return recommender_of(build_policy(state, path), items, path)


def recommender_of(network: PolicyNetwork, items: Tokens | None, path: object) -> Recommender:
    """Return what recommends with a network; SettingError where its items have no names."""
    if items is None:
        raise SettingError(
            f"{path} is of an earlier version, which did not keep the names of its items: train it "
            "again"
        )
    return Recommender(NetworkPolicy(network), Vocabulary(items, network.event_names))


class NetworkPolicy(ServedPolicy):
    """A network's policy, with the network in evaluation mode."""

    def __init__(self, network: PolicyNetwork) -> None:
        settings = network.settings
        super().__init__(
            network.n_items, settings.max_length, settings.network.inputs,
            settings.evaluate_first_event,
        )  # fmt: skip
        self.network = network.eval()

    @torch.no_grad()
    def log_pi(self, histories: Encoded) -> np.ndarray:
        """Return log π of every item after each of n histories, float32 [n, A]."""
        items, kinds, gaps, length = (
            None if field is None else torch.from_numpy(field) for field in histories
        )
        assert items is not None and length is not None
        factors = self.network.last_factors(History(items, kinds, gaps), length)
        return np.asarray(factors.outputs().float().log_softmax(-1))


class CountingPolicy(ServedPolicy):
    """A policy that was counted from a log."""

    def __init__(self, loaded: LoadedCounts) -> None:
        super().__init__(loaded.n_items, loaded.max_length)
        self.counted = loaded.policy

    def log_pi(self, histories: Encoded) -> np.ndarray:
        """Return log π of every item after each of n histories, float32 [n, A]."""
        probabilities = self.counted.probabilities(histories.items, histories.length)
        return np.asarray(np.log(probabilities), np.float32)
