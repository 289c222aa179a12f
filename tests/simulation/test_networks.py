"""A network rolled out in a world: what it reads, and that it can begin a session."""

from __future__ import annotations

import pytest
import torch

from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.simulation import ResponseWorld, WorldSettings, networks, policy_of, simulate
from recbole_lpi.simulation.histories import histories_of

WORLD = ResponseWorld(WorldSettings(n_items=9, dimension=2, max_events=6))


def network(first: bool = True, max_length: int = 6) -> PolicyNetwork:
    torch.manual_seed(0)
    settings = NetworkSettings(hidden_size=8, inner_size=16, initializer_range=0.5)
    return PolicyNetwork(
        "LoggingPolicy", PolicySettings(settings, max_length=max_length, evaluate_first_event=first), 9
    )  # fmt: skip


@pytest.mark.parametrize("max_length", [6, 3])
def test_it_is_asked_about_each_history_alone_and_without_dropout(monkeypatch, max_length):
    monkeypatch.setattr(networks, "AT_ONCE", 3)
    histories = histories_of(simulate(WORLD, WORLD.logging_policy, 8, 0))
    mine = network(max_length=max_length)
    logits = policy_of(mine)(histories)
    assert logits.shape == (8, 9) and not logits.requires_grad
    for row, length in enumerate(histories.lengths.tolist()):
        read = histories.items[row, :length][-max_length:]
        if length < max_length:
            read = torch.cat([torch.tensor([10]), read])
        state = mine.forward(read[None])[0, -1]
        torch.testing.assert_close(logits[row], mine.policy_table.outputs(state[None])[0])


def test_it_rolls_out_from_an_empty_history_if_it_reads_a_start_token():
    assert len(simulate(WORLD, policy_of(network()), 5, 0)) == 5
    with pytest.raises(ValueError, match="evaluate_first_event"):
        simulate(WORLD, policy_of(network(first=False)), 5, 0)
