"""The world as a Gymnasium environment: its checkers, its episodes, and values in it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env, data_equivalence  # noqa: E402
from gymnasium.vector import AutoresetMode  # noqa: E402

from recbole_lpi.simulation import Shop, ShopSettings, draw_items, roll_out  # noqa: E402
from recbole_lpi.simulation.environment import (  # noqa: E402
    WorldEnv,
    WorldVectorEnv,
    histories_of_observations,
)

SETTINGS = ShopSettings(n_items=30, dimension=3, max_events=6, leave=0.1)
WORLD = Shop(SETTINGS, seed=1)
ENGAGED = Shop(replace(SETTINGS, exposures="engaged"), seed=1)


@pytest.mark.parametrize("world", [WORLD, ENGAGED])
def test_gymnasiums_checker_finds_nothing(world):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Box observation space.*infinity.*")
        warnings.filterwarnings("ignore", message=".*Box observation space m.*value is.*infinity.*")
        warnings.simplefilter("error", append=True)
        check_env(WorldEnv(world), skip_render_check=True)


def acted(env, seed, steps):
    """Observations, rewards and ends of random actions."""
    first, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    found = [(first, None, None, None)]
    for _ in range(steps):
        found.append(env.step(env.action_space.sample())[:4])
    return found


@pytest.mark.parametrize("world", [WORLD, ENGAGED])
def test_a_vector_environment_keeps_the_rules_of_next_step(world):
    env = WorldVectorEnv(world, 5)
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    ended, resets = np.zeros(5, bool), 0
    for observation, reward, terminated, truncated in acted(env, 3, 40):
        assert observation in env.observation_space
        if reward is None:
            assert not observation["items"].any()
            continue
        assert reward.shape == terminated.shape == truncated.shape == (5,) and not truncated.any()
        assert (reward[ended] == 0).all() and not terminated[ended].any()
        assert not observation["items"][ended].any() and not observation["times"][ended].any()
        resets += ended.sum()
        ended = terminated
    assert resets > 10
    one, two, other = (acted(WorldVectorEnv(world, 5), seed, 20) for seed in (3, 3, 4))
    assert data_equivalence(one, two) and not data_equivalence(one, other)


def test_a_history_grows_by_what_was_shown():
    env = WorldEnv(WORLD)
    before, _ = env.reset(seed=0)
    for place in range(6):
        after, reward, terminated, _, _ = env.step(np.int64(place + 3))
        assert after["items"][place] == place + 3
        assert (after["items"][:place] == before["items"][:place]).all()
        assert reward == [0.0, 0.2, 1.0][after["kinds"][place] - 1]
        assert after["times"][place] > (after["times"][place - 1] if place else 0)
        if terminated:
            break
        before = after
    assert terminated


@pytest.mark.parametrize("world", [WORLD, ENGAGED])
def test_a_policy_is_worth_in_it_what_a_roll_out_says(world):
    env, mu = WorldVectorEnv(world, 500), world.logging_policy
    observation, _ = env.reset(seed=0)
    draws, running = torch.Generator().manual_seed(1), np.zeros(500)
    first = np.ones(500, bool)
    finished: list[float] = []
    while first.any():  # of each the first session alone, or short ones would count more often
        uniform = torch.rand(500, generator=draws, dtype=torch.float64)
        items, _ = draw_items(mu, histories_of_observations(observation), uniform)
        observation, reward, terminated, _, _ = env.step(items.numpy())
        running += reward * first
        finished.extend(running[terminated & first])
        first &= ~terminated
    truth = roll_out(world, mu, 8000, 3).rewards
    error = np.hypot(np.std(finished) / 500**0.5, truth.std() / 8000**0.5)
    assert len(finished) == 500 and abs(np.mean(finished) - truth.mean()) < 4 * error


def test_a_seed_for_each_session_is_refused():
    with pytest.raises(ValueError, match="seed must be one number"):
        WorldVectorEnv(WORLD, 2).reset(seed=[1, 2])
