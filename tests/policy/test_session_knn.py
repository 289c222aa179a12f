"""Session-kNN against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recbole_lpi.data.sessions import Part
from recbole_lpi.policy.session_knn import (
    DECAYS,
    Neighbours,
    NeighbourSettings,
    SessionKNNPolicy,
    training_sessions,
)
from tests.support.tiny import listed_sessions

ITEMS = 7


def neighbours(store, part, settings):
    return Neighbours(training_sessions(store, part, ITEMS), settings)


def loop_scores(lists, ends, prefix, s: NeighbourSettings) -> np.ndarray:
    """V-SkNN as it is told: sets, sorted lists, one item at a time."""

    def decay(kind: str, place: int) -> float:
        back = len(prefix) - place
        n = len(prefix)
        return {"linear": (n - back + 1) / n, "quadratic": ((n - back + 1) / n) ** 2,
                "reciprocal": 1 / back, "same": 1.0}[kind]  # fmt: skip

    sharing = [i for i, x in enumerate(lists) if set(x) & set(prefix)]
    sharing.sort(key=lambda i: -ends[i])
    sample = sharing[: s.sample_size]
    last = {item: place for place, item in enumerate(prefix)}
    similarity = {
        i: sum(decay(s.weighting, last[a]) for a in set(lists[i]) & set(prefix)) for i in sample
    }
    near = sorted(sample, key=lambda i: (-round(similarity[i], 9), -ends[i]))[: s.k]
    scores = np.zeros(ITEMS)
    for i in near:
        latest = max(last[a] for a in set(lists[i]) & set(prefix))
        for item in set(lists[i]):
            idf = math.log(len(lists) / sum(item in x for x in lists))
            scores[item - 1] += (
                similarity[i] * decay(s.weighting_score, latest) * (1 + s.idf_weighting * idf)
            )
    return scores


def test_session_knn_by_hand():
    """[1, 2 | 3] shares 1/2 + 1 with [1, 2], [2 | 4] shares 1, [1 | 5] is third of two."""
    store, part = listed_sessions([[1, 2, 3], [2, 4], [1, 5], [6, 7]], [10, 20, 30, 40])
    found = neighbours(store, part, NeighbourSettings(k=2))
    scores = found.scores(np.array([[1, 2, 0], [6, 0, 0]]), np.array([2, 1])).toarray()
    assert scores.tolist() == [[1.5, 2.5, 1.5, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize("given", [
    {}, {"k": 3}, {"sample_size": 4}, {"k": 2, "sample_size": 5, "idf_weighting": 2.0},
    {"weighting": "quadratic", "weighting_score": "linear"},
    {"weighting": "same", "weighting_score": "quadratic", "k": 4},
    {"weighting": "reciprocal", "weighting_score": "same", "k": 4},
])  # fmt: skip
def test_session_knn_equals_plain_loops(given):
    rng = np.random.default_rng(1)
    lists = [rng.integers(1, ITEMS + 1, rng.integers(1, 6)).tolist() for _ in range(30)]
    ends = rng.permutation(30).astype(float).tolist()
    settings = NeighbourSettings(**given)
    store, part = listed_sessions(lists, ends)
    length = rng.integers(0, 6, 40)
    prefixes = np.where(np.arange(5) < length[:, None], rng.integers(1, ITEMS + 1, (40, 5)), 0)
    scores = neighbours(store, part, settings).scores(prefixes, length).toarray()
    for row, prefix, n in zip(scores, prefixes, length, strict=True):
        wanted = loop_scores(lists, ends, prefix[:n].tolist(), settings)
        np.testing.assert_allclose(row, wanted, atol=1e-12)
    assert scores.any()


def test_what_shares_nothing_gets_the_popularity_and_every_row_is_a_distribution():
    store, part = listed_sessions([[1, 2, 3], [2, 4], [1, 5]], [10, 20, 30])
    popularity = np.arange(1, ITEMS + 1) / 28
    given = NeighbourSettings(smoothing=0.1)
    policy = SessionKNNPolicy(neighbours(store, part, given), popularity)
    got = policy.probabilities(np.array([[4], [6], [0]]), np.array([1, 1, 0]))
    np.testing.assert_allclose(got[0], 0.9 * np.array([0, 1, 0, 1, 0, 0, 0]) / 2 + popularity / 10)
    np.testing.assert_allclose(got[1:], [popularity, popularity])


def test_every_decay_is_tried():
    assert set(DECAYS) == {"linear", "quadratic", "reciprocal", "same"}


def test_only_the_training_part_is_looked_at():
    store, _ = listed_sessions([[1, 2], [1, 3], [4, 4, 5]], [10, 20, 30])
    part = Part(np.array([0, 2]), np.array([0, 4]), np.array([2, 6]))  # without 1 and the last 5
    found = neighbours(store, part, NeighbourSettings())
    scores = found.scores(np.array([[1], [4]]), np.array([1, 1])).toarray()
    assert scores.tolist() == [[1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(("given", "said"), [
    ({"k": 0}, "k must be >= 1"), ({"sample_size": 0}, "sample_size must be >= 1"),
    ({"weighting": "log"}, "weighting must be one of linear"),
    ({"smoothing": 0.0}, r"smoothing must be in \(0, 1\)"),
    ({"idf_weighting": -1.0}, "idf_weighting must be >= 0"),
])  # fmt: skip
def test_wrong_settings(given, said):
    with pytest.raises(ValueError, match=said):
        NeighbourSettings(**given)
