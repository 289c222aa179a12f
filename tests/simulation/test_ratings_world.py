"""The planted rating matrix: what is given of it, and the values of its policies."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_lpi.simulation import RatingsWorld
from recbole_lpi.simulation.ratings_world import GIVEN, SHARES


@pytest.fixture(scope="module")
def world():
    return RatingsWorld.drawn(seed=1)


def test_what_is_given_are_ratings_of_the_matrix(world):
    log = world.sessions
    user = np.repeat(np.arange(600), log.lengths)
    np.testing.assert_array_equal(log.ratings, world.ratings[user, log.items - 1])
    np.testing.assert_array_equal(log.rewards, world.rewards[user, log.items - 1])
    assert len(np.unique(user * 120 + log.items)) == len(log.items) and log.lengths.min() >= 1


def test_higher_ratings_are_given_more_often(world):
    shares = np.diff([0, *SHARES, 1])
    for rating, (share, chance) in enumerate(zip(shares, GIVEN, strict=True), 1):
        there = (world.ratings == rating).sum()
        assert there / world.ratings.size == pytest.approx(share, abs=1e-3)
        given = (world.sessions.ratings == rating).sum()
        assert abs(given - chance * there) < 4 * (chance * there) ** 0.5 + 20  # who had none
    assert world.mean_given > world.ratings.mean() + 1


def test_values_are_means_over_the_part(world):
    for name, chosen in world.policies.items():
        users = range(480, 600)
        rewards = [world.rewards[u, a] for u, a in zip(users, chosen[:, 0], strict=True)]
        assert world.value(name) == pytest.approx(np.mean(rewards))
    assert world.value("each user's 5th best") > 0.95 > 0.1 > world.value("each user's 5th worst")
