"""A trained network as the policy of a simulated world."""

from __future__ import annotations

import torch
from torch import Tensor

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
    room = torch.zeros_like(histories.lengths)[:, None]  # for the start token
    state = network.last_state(torch.cat([histories.items, room], 1), histories.lengths)
    return network.policy_table.outputs(state)
