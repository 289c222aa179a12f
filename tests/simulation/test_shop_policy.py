"""The logging policy of a shop: by hand, in the log, and as importance weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from recbole_lpi.simulation import (
    Histories,
    Shop,
    ShopSettings,
    log_probabilities,
    roll_out,
    session_rewards,
    simulate,
    value,
)
from recbole_lpi.simulation.shop import CLICK, IGNORED, PURCHASE
from tests.support.shops import RICH, SMALL
from tests.support.shops import log as log  # fixtures
from tests.support.shops import world as world


def by_hand(world, items, kinds, times):
    """μ after one session that logs all that is shown: items 1 … A, kinds as codes."""
    s, policy = world.settings, world.logging_policy
    v, g = policy.seen.double().tolist(), world.appeal.tolist()
    bought = {item for item, kind in zip(items, kinds, strict=True) if kind == PURCHASE}
    clicked = [item for item, kind in zip(items, kinds, strict=True) if kind == CLICK]
    weights = []
    for a in range(s.n_items):
        score = s.popular * g[a]
        for item, kind, time in zip(items, kinds, times, strict=True):
            like = sum(x * y for x, y in zip(v[item - 1], v[a], strict=True))
            age = (times[-1] - time) / s.memory
            score += s.signal[kind] * math.exp(-age) * like / s.temperature
        weights.append(0.0 if a + 1 in bought else math.exp(score))
    reminds = s.remind if clicked and clicked[-1] not in bought else 0.0
    found = [
        (1 - reminds - s.explore) * weight / sum(weights) + s.explore / s.n_items
        for weight in weights
    ]
    if reminds:
        found[clicked[-1] - 1] += reminds
    return found


@pytest.mark.parametrize("settings", [SMALL, RICH, replace(RICH, explore=0.0)])
def test_the_logging_policy_is_its_formula(settings):
    world = Shop(settings, seed=4)
    items, kinds, times = (
        [3, 7, 3, 9],
        [IGNORED, PURCHASE, CLICK, IGNORED],
        [0.0, 30.0, 31.0, 400.0],
    )
    padded = torch.zeros(2, 6, dtype=torch.int64), torch.zeros(2, 6, dtype=torch.int64)
    padded[0][0, :4], padded[1][0, :4] = torch.tensor(items), torch.tensor(kinds) + 1
    padded[0][1, :1], padded[1][1, :1] = 5, CLICK + 1
    seconds = torch.zeros(2, 6, dtype=torch.float64)
    seconds[0, :4] = torch.tensor(times)
    mu = world.logging_policy(Histories(*padded, seconds, torch.tensor([4, 1]))).exp()
    for row, session in enumerate([(items, kinds, times), ([5], [CLICK], [0.0])]):
        assert mu[row].tolist() == pytest.approx(by_hand(world, *session), abs=1e-6)
    assert mu[0, 6] == pytest.approx(settings.explore / 12)  # bought
    nothing = Histories(*padded, seconds, torch.tensor([4, 1])).first(0)
    assert world.logging_policy(nothing).exp()[1].tolist() == pytest.approx(
        by_hand(world, [], [], []), abs=1e-6
    )


def test_another_kind_makes_another_policy(world):
    item, when = torch.tensor([[2]] * 3), torch.zeros(3, 1, dtype=torch.float64)
    kinds = torch.tensor([[IGNORED], [CLICK], [PURCHASE]]) + 1
    mu = world.logging_policy(Histories(item, kinds, when, torch.ones(3, dtype=torch.int64))).exp()
    assert mu[0, 1] < 1 / 12 < mu[1, 1] and mu[2, 1] == 0


def test_probabilities_of_the_log_are_those_of_each_session_alone(world, log):
    found = log_probabilities(world.logging_policy, log)
    assert len(found) == len(log.items) and np.isfinite(found).all()
    for session in range(20):
        begin, stop = log.offsets[session : session + 2]
        items, kinds = log.items[begin:stop].tolist(), log.events[begin:stop].tolist()
        times = log.timestamps[begin:stop].tolist()
        for place in range(1, len(items)):
            mu = by_hand(world, items[:place], kinds[:place], times[:place])
            assert math.exp(found[begin + place]) == pytest.approx(mu[items[place] - 1], rel=1e-4)


def test_propensities_of_a_roll_out_are_those_of_the_policy():
    world = Shop(RICH, seed=4)
    found = roll_out(world, world.logging_policy, 200, seed=1)
    expected = log_probabilities(world.logging_policy, found.sessions)
    assert found.log_probabilities == pytest.approx(expected, abs=1e-5)
    assert found.shown == len(found.sessions.items)
    assert np.exp(found.log_probabilities).min() >= RICH.explore / 12 - 1e-6


def test_what_is_shown_is_drawn_from_the_policy(world, log):
    """The chance of what was drawn averages Σ μ², and no item is drawn twice once bought."""
    p = np.exp(log_probabilities(world.logging_policy, log))
    first = log.offsets[:-1]
    counts = np.bincount(log.items[first], minlength=13)[1:]
    assert ((counts - 400 / 12) ** 2 / (400 / 12)).sum() < 40  # χ² of 11, beyond 0.9999
    assert p[first] == pytest.approx(1 / 12)
    later = np.setdiff1d(np.arange(len(p)), first)
    assert p[later].mean() > 1.2 / 12
    for session in range(len(log)):
        events = slice(*log.offsets[session : session + 2])
        bought = log.items[events][log.events[events] == PURCHASE]
        assert len(set(bought)) == len(bought)


def test_an_importance_weight_is_one_on_average_and_carries_the_value_over(world):
    other = Shop(ShopSettings(**{**vars(SMALL), "temperature": 0.4}), seed=4)
    log = simulate(world, world.logging_policy, 20_000, seed=2)
    ratio = log_probabilities(other.logging_policy, log) - log_probabilities(
        world.logging_policy, log
    )
    weight = np.exp(np.add.reduceat(ratio, log.offsets[:-1]))

    def within(found, truth, stderr=0.0):
        error = found.std() / len(found) ** 0.5
        return abs(found.mean() - truth) < 4 * math.hypot(error, stderr)

    assert 0.1 < weight.std() < 5 and within(weight, 1.0)
    truth = value(world, other.logging_policy, 20_000, seed=3)
    assert within(weight * session_rewards(log), truth.mean, truth.stderr)
    assert not within(session_rewards(log), truth.mean, truth.stderr)
