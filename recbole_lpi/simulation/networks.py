"""A trained network as the policy of a simulated world."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_lpi.data.batches import History
from recbole_lpi.data.times import gap_bins
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.simulation.histories import Histories, Policy

AT_ONCE = 2048  # sessions of one pass of the encoder


def policy_of(network: PolicyNetwork) -> Policy:
    """Return the policy that shows items by the softmax of ``network``, without dropout.

    Raises, when called: ValueError, a history is empty and the network reads no start token.
    """

    @torch.no_grad()
    def logits(histories: Histories) -> Tensor:
        network.eval()
        if not network.settings.evaluate_first_event and bool((histories.lengths == 0).any()):
            raise ValueError("the first item of a session needs evaluate_first_event: True")
        pieces = torch.split(torch.arange(len(histories.items)), AT_ONCE)
        return torch.cat([_outputs(network, histories.take(piece)) for piece in pieces])

    return logits


def _outputs(network: PolicyNetwork, histories: Histories) -> Tensor:
    items, kinds, times, lengths = histories
    none = torch.zeros_like(lengths)[:, None]
    gaps = torch.from_numpy(gap_bins(times.diff(dim=1).numpy())) * histories.real[:, 1:]
    gaps = torch.cat([none[:, : times.shape[1]], gaps], 1)
    # With room for the start token.
    read = History(*(torch.cat([column, none], 1) for column in (items, kinds, gaps)))
    return network.last_factors(read, lengths).outputs()
