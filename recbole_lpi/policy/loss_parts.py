"""The loss of a batch by part, of all processes together or of the share that one of them takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.data.batches import Batch
from recbole_lpi.nn.candidates import Candidates, LoggedItems, Sampler
from recbole_lpi.policy.losses import Events, StepLosses


class LossParts(NamedTuple):
    """The loss of a batch by part, and numbers that tell how training goes.

    Attributes:
        parts: ``policy loss`` and, by auxiliary head, ``td loss`` and ``value loss`` (λ included)
            and ``propensity loss``; scalars, whose sum is the loss.
        diagnostics: ``mean weight`` of the policy, Σsw / Σs with sample weights s; and
            ``effective fraction``, (Σs|w|)² / (N Σ(sw)²): the share of the events that both
            weights together leave to speak.
    """

    parts: dict[str, Tensor]
    diagnostics: dict[str, Tensor]


class GlobalBatch(NamedTuple):
    """The batch of a step as all processes have it, of which this one takes the losses of a share.

    Attributes:
        logged: its events that carry loss.
        total: sums a tensor of each share over all of them.
    """

    logged: LoggedItems
    total: Callable[[Tensor], Tensor]


def events_of(batch: Batch, state: Tensor, max_reward: float) -> Events:
    """Return the N events of a batch that carry loss; ``state`` [N, D] is that of each."""
    counts, reward = batch.counts, batch.reward[batch.counts]
    return Events(
        state,
        batch.action[counts] - 1,
        reward,
        batch.discount[counts],
        batch.return_[counts],
        torch.full_like(reward, max_reward),
        batch.sample_weight[counts],
        None if batch.propensity is None else batch.propensity[counts],
    )


def loss_parts(
    found: StepLosses, td_weight: float, share: float, scale: Tensor | None
) -> dict[str, Tensor]:
    """Return the loss by part; the policy's is divided by ``scale``, the mean size of weights."""
    policy_loss = found.policy.loss * share
    parts = {"policy loss": policy_loss if scale is None else policy_loss / scale}
    for name, error in found.td_errors.items():
        parts[name] = td_weight * error.mean() * share
    if found.propensity is not None:
        parts["propensity loss"] = found.propensity * share
    return parts


def draw_candidates(
    sampler: Sampler,
    batch: Batch,
    events: Events,
    whole: GlobalBatch | None,
    draws: torch.Generator | None,
) -> Candidates:
    """Draw the candidates of a sampled softmax for the whole batch, the same for every share."""
    session = batch.session[:, None].expand_as(batch.counts)[batch.counts]
    logged = LoggedItems(events.action, session)
    if whole is not None:
        logged = LoggedItems(*(column.to(events.state.device) for column in whole.logged))
    return sampler.draw(logged, session, draws)
