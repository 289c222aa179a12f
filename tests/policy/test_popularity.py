"""Popularities worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_lpi.data.sessions import Part
from recbole_lpi.policy.popularity import (
    PopularityPolicy,
    PopularitySettings,
    SessionPopularityPolicy,
    SessionPopularitySettings,
    popularity,
)
from tests.support.tiny import listed_sessions

ITEMS = 7


def session_popularity(**given) -> SessionPopularityPolicy:
    """S-POP over 7 items of four sessions."""
    store, part = listed_sessions([[1, 2, 3], [2, 4], [1, 5], [6, 7]], [10, 20, 30, 40])
    counted = popularity(store, part, ITEMS, PopularitySettings())
    return SessionPopularityPolicy(counted, SessionPopularitySettings(**given))


def test_popularity_is_of_the_training_part_and_the_same_for_every_prefix():
    store, _ = listed_sessions([[1, 2], [1, 3], [4, 4, 5]], [10, 20, 30])
    part = Part(np.array([0, 2]), np.array([0, 4]), np.array([2, 6]))  # without 1 and the last 5
    expected = np.array([1.5, 1.5, 0.5, 2.5, 0.5, 0.5, 0.5]) / 7.5
    found = popularity(store, part, ITEMS, PopularitySettings(pseudo_count=0.5))
    np.testing.assert_allclose(found, expected)
    got = PopularityPolicy(found).probabilities(np.array([[3, 0], [0, 0]]), np.array([1, 0]))
    np.testing.assert_allclose(got, [expected, expected])


def test_session_popularity_by_hand():
    items = np.array([[2, 5, 2, 0], [4, 0, 0, 0], [0, 0, 0, 0]])
    policy = session_popularity(decay=0.5, smoothing=0.2)
    got = policy.probabilities(items, np.array([3, 1, 0]))
    twice, once = 1 + 0.25, 0.5
    assert got[0, 1] == pytest.approx(0.8 * twice / (twice + once) + 0.2 * policy.popularity[1])
    assert got[0, 4] == pytest.approx(0.8 * once / (twice + once) + 0.2 * policy.popularity[4])
    assert got[0, 0] == pytest.approx(0.2 * policy.popularity[0])
    assert got[1, 3] == pytest.approx(0.8 + 0.2 * policy.popularity[3])
    np.testing.assert_allclose(got[2], policy.popularity)
    np.testing.assert_allclose(got.sum(1), 1)


def test_session_popularity_without_decay_counts():
    got = session_popularity().probabilities(np.array([[3, 3, 6, 0, 0]]), np.array([3]))
    ranked = np.argsort(-got[0]) + 1
    assert ranked[:2].tolist() == [3, 6] and set(ranked[2:4].tolist()) == {1, 2}


@pytest.mark.parametrize("given", [0.0, -1.0, float("inf")])
def test_a_pseudo_count_that_is_none(given):
    with pytest.raises(ValueError, match="pseudo_count must be > 0"):
        PopularitySettings(given)


@pytest.mark.parametrize("given", [{"decay": 0.0}, {"decay": 1.1}, {"smoothing": 1.0}])
def test_session_popularities_that_are_none(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} must be in"):
        SessionPopularitySettings(**given)
