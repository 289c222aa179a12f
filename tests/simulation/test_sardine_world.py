"""SARDINE as a world, where its package is installed; its settings in any case."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from recbole_lpi.data import Reading, SessionData, Tokens
from recbole_lpi.data.sessions import whole_of
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation import (
    SardineSettings,
    SardineWorld,
    log_probabilities,
    policy_of,
    roll_out,
    value,
)
from recbole_lpi.simulation.sardine_world import ENVIRONMENTS
from recbole_lpi.training import TrainingSettings, train_policy


@pytest.fixture(scope="module")
def world():
    pytest.importorskip("sardine")
    return SardineWorld()


@pytest.fixture(scope="module")
def log(world):
    return roll_out(world, world.logging_policy, 60, 0)


def test_a_log_has_the_episodes_and_the_propensities(world, log):
    sessions = log.sessions
    assert (sessions.lengths == 100).all() and sessions.event_names == ("ignored", "click")
    assert 0.05 < (sessions.events == 1).mean() < 0.95
    np.testing.assert_array_equal(sessions.rewards, sessions.events)
    expected = log_probabilities(world.logging_policy, sessions)
    assert log.log_probabilities == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_expected_rewards_are_the_chances_that_sardine_draws_clicks_with(world, environment):
    world = SardineWorld(SardineSettings(environment))
    draws = torch.Generator().manual_seed(2)
    users, nothing = world.newcomers(5, draws), world.luck(5, draws)
    seen: list[tuple[float, float]] = []
    bored = False
    for _ in range(30):
        found = world.expected_rewards(users, nothing, nothing)
        assert found.shape == (5, 1000)
        item = found.argmax(1) if len(seen) % 3 else torch.randint(1000, (5,), generator=draws)
        for row, (one, shown) in enumerate(zip(users.environments, item.tolist(), strict=True)):
            drawn = RecordedClicks(one)
            one.step(np.array([shown]))
            drawn.forget()
            seen.append((found[row, shown].item(), drawn.chance))
            bored = bored or bool(one.bored.any())
    ours, theirs = np.array(seen).T
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert len(np.unique(theirs)) > 20 and (bored or environment != ENVIRONMENTS[1])


class RecordedClicks:
    """What probability an environment of SARDINE's draws its next click with."""

    def __init__(self, environment):
        self.environment, self.own = environment, environment.np_random
        self.chance = np.nan
        environment.np_random = self

    def binomial(self, n, p):
        (self.chance,) = p
        return self.own.binomial(n=n, p=p)

    def forget(self):
        self.environment.np_random = self.own


def test_a_seed_decides_all_and_users_are_the_same_for_another_policy(world, log):
    again = roll_out(world, world.logging_policy, 60, 0)
    np.testing.assert_array_equal(again.sessions.items, log.sessions.items)
    np.testing.assert_array_equal(again.rewards, log.rewards)
    users = [world.newcomers(3, torch.Generator().manual_seed(5)) for _ in range(2)]
    for one, two in zip(*(u.environments for u in users), strict=True):
        np.testing.assert_array_equal(one.user_embedd, two.user_embedd)
        assert one is not two and one.item_embedd is two.item_embedd


def test_the_policy_that_responds_earns_more_than_items_at_random(world, log):
    uniform = value(world, lambda h: torch.zeros(len(h.items), 1000), 60, 0)
    mu = log.rewards
    assert mu.mean() - uniform.mean > 4 * np.hypot(uniform.stderr, mu.std() / 60**0.5)


@pytest.mark.slow
def test_a_policy_is_trained_on_its_log_and_rolled_out_in_it(world, log):
    reading = Reading(max_length=20, evaluate_first_event=True)
    tokens = Tokens(["[PAD]", *map(str, range(1, 1001))])
    data = SessionData(log.sessions, whole_of(log.sessions), 1001, reading, "t", "s", tokens)
    settings = PolicySettings(
        NetworkSettings(hidden_size=8, inner_size=8), max_length=20, evaluate_first_event=True
    )
    torch.manual_seed(0)
    network = PolicyNetwork("LPI", settings, 1000, 1.0, event_names=log.sessions.event_names)
    train_policy(network, data, settings=TrainingSettings(epochs=2, train_batch_size=8))
    found = value(world, policy_of(network), 20, 1)
    assert found.count == 20 and 0 <= found.mean <= 100


def test_without_the_package_its_name_and_the_cure_are_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sardine", None)
    with pytest.raises(SettingError, match=r"sardine needs the package \w+: pip install sardine"):
        SardineWorld()


@pytest.mark.parametrize(
    ("name", "wrong"), [("environment", "Slate"), ("temperature", 0), ("explore", 2.0)]
)
def test_settings_that_make_no_sense_are_named(name, wrong):
    with pytest.raises(ValueError, match=rf"^{name} must be .* got '?{wrong}"):
        SardineSettings(**{name: wrong})
