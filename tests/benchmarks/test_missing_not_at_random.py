"""Imputed rewards of a planted full matrix, whose ratings are not missing at random."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmarks.missing_not_at_random import NAIVE, WEIGHTED, fitted, rewards_of_policies
from recbole_lpi.evaluation.imputation.fit_report import held_apart
from recbole_lpi.evaluation.imputation.rated_log import session_ratings
from recbole_lpi.simulation import RatingsWorld
from recbole_lpi.simulation.ratings_world import SCALE


@pytest.fixture(scope="module")
def world():
    return RatingsWorld.drawn()


def test_imputed_rewards_rank_policies_as_the_truth_does(world):
    """On users that the factorisation has not seen, from ratings that favour what is liked."""
    rewards = rewards_of_policies(world, fitted(world, WEIGHTED))
    ranked = sorted(rewards.values(), reverse=True)
    assert [true for true, _ in ranked] == sorted((true for true, _ in ranked), reverse=True)
    for (more, imputed_more), (less, imputed_less) in pairwise(ranked):
        assert more - less > 0.1 and imputed_more - imputed_less > 0.05


def test_naive_imputation_finds_too_many_positives(world):
    truth = float((world.rewards >= SCALE.positive).mean())
    ordinary = replace(NAIVE, missing_rating=world.mean_given)
    weighted, naive, mean = (
        fitted(world, settings).report["imputed_positive"]
        for settings in (WEIGHTED, NAIVE, ordinary)
    )
    assert abs(weighted - truth) < 0.08  # 0.19 of 0.25
    assert naive > truth + 0.08 and mean > truth + 0.3  # 0.35 and 0.65


def test_what_was_trained_on_is_given_and_not_predicted(world):
    """As in leave-one-out, where the events before a part's start are another part's."""
    start = (world.part.start + world.part.stop) // 2
    whole, known = (
        session_ratings(world.sessions, one, 121, 2.0, torch.float64)
        for one in (world.part, replace(world.part, stop=start))
    )
    given, hidden = held_apart(whole, known, seed=0)
    later = np.concatenate(
        [np.arange(a, b) for a, b in zip(start, world.part.stop, strict=True)]
    ) - int(world.part.start[0])
    assert np.isin(hidden.entries, whole.entries[later]).all()
    assert 0.4 < len(hidden.value) / len(later) < 0.6
    both = torch.cat([given.entries, hidden.entries]).sort().values
    assert torch.equal(both, whole.entries.sort().values)
