"""What the objective of a policy makes of events that it was not trained on: weights and values."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from recbole_lpi.data.batches import Batch
from recbole_lpi.data.prefetch import prefetched
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.data.windows import (
    covering_training_windows,
    evaluation_batches,
    target_places,
)
from recbole_lpi.policy.network import PolicyNetwork


class HeldOutEvents(NamedTuple):
    """The N targets of a part, in the order of its places; float64 [N].

    Attributes:
        weight: w(x, a) that the event would have in the loss, if it were trained on.
        value: Q(x, a) of the logged item, the mean of the two Q heads where there are two; V(x) of
            a policy that has a value head alone; NaN of one that has neither.
        return_: what the log earned from the event on, Σ_k γᵏ r_{t+k}.
    """

    weight: np.ndarray
    value: np.ndarray
    return_: np.ndarray


@torch.no_grad()
def held_out_events(
    network: PolicyNetwork, held: SessionData, batch_size: int = 256, seed: int = 0
) -> HeldOutEvents:
    """Measure the targets of a part as a step of training would, without training.

    Args:
        network: the policy; it needs its logging policy (``compare_with``) where the objective
            does.
        held: a part that the policy was not trained on.
        batch_size: windows of a pass of the encoder.
        seed: of which of two Q heads judges the other's choice.

    Raises:
        ValueError: the objective needs a logging policy or propensities, and there are none.
    """
    network.eval()
    network.begin_epoch(network.settings.objective.warmup_epochs)
    network.draws = torch.Generator().manual_seed(seed)
    device = network.item_embedding.weight.device
    reading = held.reading
    windows = covering_training_windows(  # each target once, and the event after it beside it
        held.sessions, held.part, reading.max_length, reading.evaluate_first_event
    )
    place = np.sort(target_places(windows))
    columns = np.empty((3, len(place)))
    batches = evaluation_batches(windows, batch_size)
    for batch in prefetched(lambda index: held.batch(windows.take(index)), batches):
        rows = np.searchsorted(place, batch.place[batch.counts].numpy())
        found = _measured(network, batch.to(device))
        columns[:, rows] = torch.stack(found).double().cpu().numpy()
    return HeldOutEvents(*columns)


def _measured(network: PolicyNetwork, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, value and return of the events of a batch, [N] each."""
    events, found = network.step_losses(batch)
    heads = dict(network.heads.items())
    if "q" in heads:
        table = network.policy_table
        each = [
            head(events.state, table).of(events.action) for head in cast(nn.ModuleList, heads["q"])
        ]
        value = torch.stack(each).mean(0)
    elif "value" in heads:
        value = heads["value"](events.state)
    else:
        value = torch.full_like(found.policy.weight, torch.nan)
    return found.policy.weight, value, events.return_
