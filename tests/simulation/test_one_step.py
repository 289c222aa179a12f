import numpy as np
import pytest
import torch

from recbole_lpi.simulation import Shop, ShopSettings
from recbole_lpi.simulation.histories import Histories
from recbole_lpi.simulation.one_step import one_step
from recbole_lpi.simulation.rollout import roll_out
from recbole_lpi.simulation.shop import PURCHASE, REWARDS

SHOP = Shop(ShopSettings(n_items=12, max_events=8, dimension=2, pause_chance=0.3))


def test_expected_rewards_are_those_of_the_responses():
    draws = torch.Generator().manual_seed(1)
    users, luck = SHOP.newcomers(30, draws), SHOP.luck(30, draws)
    items = torch.randint(1, 13, (30, 5), generator=draws)
    kinds = torch.randint(1, 4, (30, 5), generator=draws)
    lengths = torch.randint(0, 6, (30,), generator=draws)
    shown = torch.arange(5) < lengths[:, None]
    histories = Histories(items * shown, kinds * shown, torch.zeros(30, 5).double(), lengths)
    found = SHOP.expected_rewards(users, histories, luck)
    assert ((histories.kinds == PURCHASE + 1).any(1)).any()
    intent = torch.where(luck.paused[:, None], luck.intent, users.intent)
    for item in range(1, 13):
        chances = SHOP.responses(users._replace(intent=intent), histories, torch.full((30,), item))
        np.testing.assert_allclose(found[:, item - 1], chances @ torch.tensor(REWARDS), atol=1e-6)


def test_mu_earns_what_its_log_has_and_does_not_differ_from_itself():
    mu, found = one_step(SHOP, {"μ": SHOP.logging_policy}, 8000, seed=3)
    itself = found["μ"]
    assert itself.gain.mean == pytest.approx(0, abs=1e-12)
    assert itself.kl.mean == pytest.approx(0, abs=1e-9) and itself.js.mean == pytest.approx(
        0, abs=1e-9
    )
    assert itself.bound(0.5) == pytest.approx(mu.mean)
    log = roll_out(SHOP, SHOP.logging_policy, 8000, seed=1)
    rewards = log.sessions.rewards.astype(float)
    logged, error = rewards.mean(), float(rewards.std()) / 8000**0.5
    assert mu.mean == pytest.approx(logged, abs=4 * error)


def test_importance_weights_find_the_same_value():
    def uniform(histories):
        return torch.zeros(len(histories.items), 12)

    _, found = one_step(SHOP, {"uniform": uniform}, 8000, seed=3)
    log = roll_out(SHOP, SHOP.logging_policy, 20_000, seed=5)
    weighted = log.sessions.rewards * np.exp(np.log(1 / 12) - log.log_probabilities)
    truth, error = found["uniform"].value, weighted.std() / len(weighted) ** 0.5
    assert truth.mean == pytest.approx(weighted.mean(), abs=4 * (error + truth.stderr))
    assert found["uniform"].gain.mean == pytest.approx(
        truth.mean - one_step(SHOP, {}, 8000, 3)[0].mean
    )
    assert 0 < found["uniform"].js.mean < np.log(2) < np.log(2) + found["uniform"].kl.mean
    assert found["uniform"].bound(0.1) < truth.mean


def test_too_few_sessions_are_refused():
    with pytest.raises(ValueError, match="n_sessions must be >= 20"):
        one_step(SHOP, {}, 19, seed=0)
