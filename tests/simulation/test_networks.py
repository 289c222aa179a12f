"""A network rolled out in a world: what it reads, and that it can begin a session."""

from __future__ import annotations

import pytest
import torch

from recbole_lpi.data import Reading, SessionData
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.simulation import (
    Shop,
    ShopSettings,
    log_probabilities,
    networks,
    policy_of,
    simulate,
)
from recbole_lpi.simulation.shop import KINDS as EVENT_NAMES

WORLD = Shop(ShopSettings(n_items=9, dimension=2, max_events=6))


def network(first: bool = True, max_length: int = 6) -> PolicyNetwork:
    torch.manual_seed(0)
    of_network = NetworkSettings(
        hidden_size=8, inner_size=16, initializer_range=0.5, inputs=("item", "event", "time_gap")
    )
    settings = PolicySettings(of_network, max_length=max_length, evaluate_first_event=first)
    return PolicyNetwork("LoggingPolicy", settings, 9, event_names=EVENT_NAMES)


@pytest.mark.parametrize("max_length", [6, 3])
def test_it_reads_each_history_as_the_log_is_collated(monkeypatch, max_length):
    monkeypatch.setattr(networks, "AT_ONCE", 3)
    log, mine = simulate(WORLD, WORLD.logging_policy, 8, 0), network(max_length=max_length)
    data = SessionData(log, None, 10, Reading(max_length, evaluate_first_event=True))
    found = log_probabilities(policy_of(mine), log)
    assert len(found) == len(log.items)
    batch = data.batch(data.windows)
    with torch.no_grad():
        expected = mine.eval().factors(batch.history, batch.counts).outputs().log_softmax(-1)
    chosen = expected.gather(1, batch.action[batch.counts][:, None] - 1).squeeze(1)
    assert found[batch.place[batch.counts]] == pytest.approx(chosen.numpy(), abs=1e-5)


def test_it_rolls_out_from_an_empty_history_if_it_reads_a_start_token():
    assert len(simulate(WORLD, policy_of(network()), 5, 0)) == 5
    with pytest.raises(ValueError, match="evaluate_first_event"):
        simulate(WORLD, policy_of(network(first=False)), 5, 0)
