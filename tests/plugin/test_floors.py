"""The floors against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recbole_lpi.data.sequences import Part, Sessions, flat_sessions
from recbole_lpi.plugin.floors import SessionPopularity, SessionPopularitySettings, popularity
from recbole_lpi.policy.session_knn import DECAYS, Neighbours, NeighbourSettings

ITEMS = 7


def log(lists: list[list[int]], ends: list[float]) -> tuple[Sessions, Part]:
    """Sessions of items, each event at the session's end but for its place, and all of them."""
    lengths = [len(x) for x in lists]
    session, item = np.repeat(np.arange(len(lists)), lengths), np.concatenate(lists)
    time = np.repeat(ends, lengths) + np.concatenate([np.arange(1 - n, 1) for n in lengths])
    zeros = np.zeros(len(item))
    store = flat_sessions(session, item, time, zeros, zeros, ("click",))
    part = Part(np.arange(len(lists)), store.offsets[:-1], store.offsets[1:])
    return store, part


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
    store, part = log([[1, 2, 3], [2, 4], [1, 5], [6, 7]], [10, 20, 30, 40])
    found = Neighbours(store, part, ITEMS, NeighbourSettings(k=2))
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
    store, part = log(lists, ends)
    length = rng.integers(0, 6, 40)
    prefixes = np.where(np.arange(5) < length[:, None], rng.integers(1, ITEMS + 1, (40, 5)), 0)
    scores = Neighbours(store, part, ITEMS, settings).scores(prefixes, length).toarray()
    for row, prefix, n in zip(scores, prefixes, length, strict=True):
        wanted = loop_scores(lists, ends, prefix[:n].tolist(), settings)
        np.testing.assert_allclose(row, wanted, atol=1e-12)
    assert scores.any()


def test_every_decay_is_tried():
    assert set(DECAYS) == {"linear", "quadratic", "reciprocal", "same"}


def test_only_the_training_part_is_looked_at():
    store, _ = log([[1, 2], [1, 3], [4, 4, 5]], [10, 20, 30])
    part = Part(np.array([0, 2]), np.array([0, 4]), np.array([2, 6]))  # without 1 and the last 5
    np.testing.assert_allclose(
        popularity(store, part, ITEMS, 0.5), np.array([1.5, 1.5, 0.5, 2.5, 0.5, 0.5, 0.5]) / 7.5
    )
    found = Neighbours(store, part, ITEMS, NeighbourSettings())
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


def session_popularity(**given):
    """S-POP over 7 items of the planted log, without RecBole."""
    floor = SessionPopularity.__new__(SessionPopularity)
    store, part = log([[1, 2, 3], [2, 4], [1, 5], [6, 7]], [10, 20, 30, 40])
    floor.popularity = popularity(store, part, ITEMS, 1.0)
    floor.given = SessionPopularitySettings(**given)
    return floor


def test_session_popularity_by_hand():
    items = np.array([[2, 5, 2, 0], [4, 0, 0, 0], [0, 0, 0, 0]])
    floor = session_popularity(decay=0.5, smoothing=0.2)
    got = floor.policy(items, np.array([3, 1, 0]))
    twice, once = 1 + 0.25, 0.5
    assert got[0, 1] == pytest.approx(0.8 * twice / (twice + once) + 0.2 * floor.popularity[1])
    assert got[0, 4] == pytest.approx(0.8 * once / (twice + once) + 0.2 * floor.popularity[4])
    assert got[0, 0] == pytest.approx(0.2 * floor.popularity[0])
    assert got[1, 3] == pytest.approx(0.8 + 0.2 * floor.popularity[3])
    np.testing.assert_allclose(got[2], floor.popularity)
    np.testing.assert_allclose(got.sum(1), 1)


def test_session_popularity_without_decay_counts():
    got = session_popularity().policy(np.array([[3, 3, 6, 0, 0]]), np.array([3]))
    ranked = np.argsort(-got[0]) + 1
    assert ranked[:2].tolist() == [3, 6] and set(ranked[2:4].tolist()) == {1, 2}


@pytest.mark.parametrize("given", [{"decay": 0.0}, {"decay": 1.1}, {"smoothing": 1.0}])
def test_session_popularities_that_are_none(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} must be in"):
        SessionPopularitySettings(**given)
