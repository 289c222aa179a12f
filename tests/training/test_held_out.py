"""What the objective makes of held-out events, against the loss of the same events in one batch."""

import numpy as np
import pytest
import torch

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import flat_sessions
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import NetworkSettings, PolicySettings
from recbole_lpi.training.held_out import held_out_events

LENGTHS, ITEMS, GAMMA = (3, 9, 2, 6), 5, 0.5
NETWORK = NetworkSettings(hidden_size=8, inner_size=8, inputs=("item",), repeat_head=False)


def held(max_length=10):
    draws = np.random.default_rng(5)
    session = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    n = len(session)
    store = flat_sessions(
        session, draws.integers(1, ITEMS + 1, n), np.arange(n, dtype=float), draws.random(n),
        np.zeros(n), ("click",),
    )  # fmt: skip
    return SessionData(store, item_num=ITEMS + 1, reading=Reading(max_length, gamma=GAMMA))


def network(name, **given):
    torch.manual_seed(2)
    settings = PolicySettings(NETWORK, objective=ObjectiveSettings(gamma=GAMMA, **given))
    return PolicyNetwork(name, settings, ITEMS, 1.0).eval()


@pytest.mark.parametrize(
    "name, given",
    [
        ("LPIRL", {"advantage_estimator": "td_residual", "beta": 0.3}),
        ("LPIRL", {"advantage_estimator": "analytic", "beta": 0.3}),
        ("LPI", {"beta": 0.5}),
        ("PG", {}),
    ],
)
def test_weights_are_those_of_a_step_of_training(name, given):
    policy, part = network(name, **given), held()
    found = held_out_events(policy, part, batch_size=2)
    policy.draws = torch.Generator().manual_seed(0)
    whole = part.batch(part.training_windows)
    with torch.no_grad():
        events, losses = policy.step_losses(whole)
    order = np.argsort(whole.place[whole.counts].numpy())
    if given.get("advantage_estimator") != "analytic":  # whose two Q heads are drawn by the batch
        np.testing.assert_allclose(found.weight, losses.policy.weight.numpy()[order], rtol=1e-5)
    np.testing.assert_allclose(found.return_, events.return_.numpy()[order], rtol=1e-6)
    assert np.isnan(found.value).all() == (name != "LPIRL")


def test_each_event_is_beside_the_next_one_of_its_session_however_long_that_is():
    """In windows of an event each, as evaluation cuts them, γ V of another one would be next."""
    policy, part = network("LPIRL", advantage_estimator="td_residual", beta=0.3), held(4)
    found = held_out_events(policy, part)
    v, reward = found.value, part.sessions.rewards[part.places]
    advantage = 0.3 * np.log(found.weight)
    alone = np.isclose(advantage, reward - v, atol=1e-5)
    followed = np.isclose(advantage[:-1], (reward + GAMMA * np.append(v[1:], 0) - v)[:-1], atol=0.2)
    last = np.isin(part.places, np.cumsum(LENGTHS) - 1)
    assert alone[last].all() and not alone[~last].all()
    assert followed[~last[:-1]].all()


def test_a_policy_that_is_still_warming_up_is_measured_with_its_own_weights():
    policy = network("LPI", beta=0.5, warmup_epochs=3)
    assert held_out_events(policy, held()).weight.std() > 0
