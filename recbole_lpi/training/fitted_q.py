"""Fitted Q evaluation: what an item leads to, if a given policy recommends from then on.

    Q(x, a) ← r + γ E_{a' ~ π}[Q(x', a')]          Le, Voloshin & Yue 2019

π is fixed, and is not trained. The Q network has π's architecture and weights of its own: it learns
what is logged next, so that its encoder has something to say, and the Q head learns the TD error
(``value_estimator: logging``, with π in the place of the logging policy). Of γ = 0 it is a model of
the reward, whatever π is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.batches import Batch
from recbole_lpi.data.prefetch import prefetched
from recbole_lpi.data.session_data import SessionData, item_counts
from recbole_lpi.data.windows import evaluation_batches
from recbole_lpi.nn.catalogue import CatalogueStatistics, Factors
from recbole_lpi.nn.tiled_catalogue import catalogue_pass
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.policy.auxiliary_heads import heads_of_step
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings
from recbole_lpi.training.policy_training import train_policy
from recbole_lpi.training.settings import TrainingSettings


@dataclass(frozen=True)
class FitSettings:
    """How a Q network is fitted. ValueError names the setting and what it may be.

    Attributes:
        gamma: the discount γ, in [0, 1]; 0: a model of the reward.
        epochs: passes over the training sessions, ≥ 1; the last is kept.
        learning_rate: of Adam, > 0; the last third of the epochs has a tenth of it.
        batch_size: sessions of a step, ≥ 1.
        seed: of the initial weights and of the order of sessions.
    """

    gamma: float = 0.5
    epochs: int = 10
    learning_rate: float = 0.001
    batch_size: int = 256
    seed: int = 2020

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], got {self.gamma}")
        for name in ("epochs", "learning_rate", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")


class ValueColumns(NamedTuple):
    """Values of the N targets of a part, in the order of its places, float64 [N].

    Attributes:
        q: Q(x, a) of the logged item.
        v_pi: E_{a ~ π} Q(x, a).
        v_mu: E_{a ~ μ̂} Q(x, a).
    """

    q: np.ndarray
    v_pi: np.ndarray
    v_mu: np.ndarray


def fit_q(
    policy: PolicyNetwork,
    architecture: PolicySettings,
    train: SessionData,
    settings: FitSettings | None = None,
    show_progress: bool = False,
) -> PolicyNetwork:
    """Fit a Q network of ``policy`` to training sessions.

    Args:
        policy: π, which is left as it is.
        architecture: of the Q network; its objective is not read.
        train: the training part alone: values of the sessions that it learnt from flatter it.
        settings: how it is fitted; None: the defaults.
        show_progress: whether bars are shown, on a terminal.

    Raises:
        ValueError: the policy reads other kinds of event than the log has.
        FloatingPointError: the loss is not finite.
    """
    how = settings or FitSettings()
    data = discounted(train, how.gamma)
    objective = ObjectiveSettings(gamma=how.gamma, value_estimator="logging")
    torch.manual_seed(how.seed)
    network = PolicyNetwork(
        "SQN", replace(architecture, objective=objective), policy.n_items, data.max_reward,
        item_counts(data), event_names=data.sessions.event_names,
    ).to(policy.item_embedding.weight.device)  # fmt: skip
    last = how.epochs // 3
    for epochs, rate in (
        (how.epochs - last, how.learning_rate), (last, how.learning_rate / 10),
    ):  # fmt: skip
        if epochs:
            training = TrainingSettings(
                epochs=epochs, learning_rate=rate, train_batch_size=how.batch_size, seed=how.seed
            )
            train_policy(network, data, None, training, policy, show_progress=show_progress)
    return network.eval()


def discounted(data: SessionData, gamma: float) -> SessionData:
    """Return a part whose rewards are discounted by γ."""
    reading = replace(data.reading, gamma=gamma)
    return SessionData(
        data.sessions, data.part, data.item_num, reading, data.part_name, data.dataset_name,
        data.item_tokens, data.session_tokens,
    )  # fmt: skip


@torch.no_grad()
def value_columns(
    network: PolicyNetwork,
    policy: PolicyNetwork,
    logging: PolicyNetwork,
    held: SessionData,
    batch_size: int = 1024,
) -> ValueColumns:
    """Measure the targets of a part: one pass over the catalogue, for all three.

    Args:
        network: what ``fit_q`` returned.
        policy, logging: π and μ̂.
        held: a part that the network was not fitted to.
        batch_size: windows of a pass of the encoders.
    """
    for model in (network, policy, logging):
        model.eval()
    place, windows = held.places, held.windows
    columns = np.empty((3, len(place)))
    batches = evaluation_batches(windows, batch_size)
    for batch in prefetched(lambda index: held.batch(windows.take(index)), batches):
        rows = np.searchsorted(place, batch.place[batch.counts].numpy())
        found = _values(network, policy, logging, batch)
        columns[:, rows] = torch.stack(found).double().cpu().numpy()
    return ValueColumns(*columns)


def _values(
    network: PolicyNetwork, policy: PolicyNetwork, logging: PolicyNetwork, batch: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """Q of the logged items of a batch, and its means under π and μ̂, [N] each."""
    device = network.item_embedding.weight.device
    history, at = batch.history.to(device), batch.counts.to(device)
    action = batch.action.to(device)[at] - 1

    def unweighted(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        return torch.ones_like(catalogue.log_pi)

    heads = heads_of_step(network.heads, None)
    assert heads.q is not None
    q = heads.q[0](network(history)[at], network.policy_table)
    pi: Factors = policy.factors(history, at)
    mu: Factors = logging.factors(history, at)
    found = catalogue_pass(
        pi.state, action, pi.table, unweighted, q.factors, mu, pi.added
    ).statistics
    assert found.expected_q is not None and found.logging_q is not None
    return q.of(action), q.value + found.expected_q, q.value + found.logging_q
