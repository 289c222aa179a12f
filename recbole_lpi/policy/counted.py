"""Policies that were counted from a log, and what a checkpoint keeps of them.

``COUNTED`` has a row for each: Popularity, SessionPopularity, SessionKNN. Their files are those of
``policy.checkpoint``, schema 2. In the place of weights stand the counts, and of SessionKNN the
items of every training session, by number, without their names and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.policy.popularity import (
    PopularityPolicy,
    SessionPopularityPolicy,
    SessionPopularitySettings,
)
from recbole_lpi.policy.session_knn import NeighbourSettings, SessionKNNPolicy
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.stored_tensors import check_kinds, check_tensor, refusing


class CountedPolicy(Protocol):
    """A policy that was counted from a log."""

    def probabilities(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return π [N, A] of prefixes ``items`` [N, L], 1 … A, 0 after ``length`` [N]."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what it is built from besides its settings."""
        ...


class Row(NamedTuple):
    """A kind of counted policy.

    Attributes:
        policy: its class, whose ``of`` builds one from settings and arrays.
        settings: the class of those settings; None: it has none that its counts do not hold.
    """

    policy: Any
    settings: Any = None


COUNTED: dict[str, Row] = {
    "Popularity": Row(PopularityPolicy),
    "SessionPopularity": Row(SessionPopularityPolicy, SessionPopularitySettings),
    "SessionKNN": Row(SessionKNNPolicy, NeighbourSettings),
}


class LoadedCounts(NamedTuple):
    """A counted policy from its file.

    Attributes:
        policy: the policy.
        max_length: how many events it reads at most.
        n_items: A.
    """

    policy: CountedPolicy
    max_length: int
    n_items: int


def counted_values(settings: Any, max_length: int) -> dict[str, Any]:
    """Return what builds a counted policy again, besides its arrays, as values for a checkpoint.

    Args:
        settings: of its own; None where it has none.
        max_length: how many events it reads at most.
    """
    own = {} if settings is None else asdict(settings)
    kept = {"counted": own, "max_length": max_length}
    return {"settings": kept, "max_reward": 0.0, "event_names": []}


def build_counted(state: Mapping[str, Any], path: object) -> LoadedCounts:
    """Build the counted policy of a checkpoint that was read; SettingError if it is not whole."""
    row, n_items = COUNTED[state["model"]], state["n_items"] - 1
    check_kinds(state, {"policy": dict}, path)
    check_kinds(state["policy"], {"settings": dict}, path)
    given = state["policy"]["settings"]
    check_kinds(given, {"counted": dict, "max_length": int}, path)
    with refusing(path):
        settings = (
            None if row.settings is None else coerce("counted", given["counted"], row.settings)
        )
        arrays = {name: _array(value, name, path) for name, value in state["state_dict"].items()}
        check_tensor(state["state_dict"]["popularity"], "popularity", path, (n_items,))
        if not (arrays["popularity"] > 0).all() or abs(arrays["popularity"].sum() - 1) > 1e-6:
            raise SettingError("its popularity is no distribution over the items")
        return LoadedCounts(row.policy.of(settings, arrays), max(1, given["max_length"]), n_items)


def tensors(policy: CountedPolicy) -> dict[str, Tensor]:
    """Return the arrays of a policy as tensors, which share their memory where they can."""
    return {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in policy.arrays().items()}


def _array(value: object, name: str, path: object) -> np.ndarray:
    check_tensor(value, name, path)
    assert isinstance(value, Tensor)
    return value.cpu().numpy()
