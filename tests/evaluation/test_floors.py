"""Ranks of the floors against scores that are written down, and ``ranking_of_logits`` of them."""

import time

import numpy as np
import pytest
import torch

from recbole_lpi.data.sessions import flat_sessions, ranges
from recbole_lpi.evaluation import floors
from recbole_lpi.evaluation.floors import last_item_ranks, session_popularity_ranks
from recbole_lpi.nn.ranking import ranking_of_logits
from recbole_lpi.policy.popularity import SessionPopularityPolicy, SessionPopularitySettings
from tests.support.tiny import listed_sessions

ALPHA = 0.1


def random_log(seed, sessions=60, items=12, longest=15):
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), rng.integers(1, longest, sessions))
    n, zeros = len(session), np.zeros(len(session))
    item = np.minimum(rng.geometric(0.25, n), items)
    log = flat_sessions(session, item, np.arange(n), zeros, zeros, ("click",))
    counts = np.bincount(rng.integers(0, items, 20), minlength=items)  # with many ties
    places = np.flatnonzero(rng.random(n) < 0.7)
    return log, places, (counts + 1.0) / (counts + 1.0).sum()


def histories(log, places):
    begin = log.offsets[np.searchsorted(log.offsets, places, side="right") - 1]
    return [log.items[a:b].astype(int) for a, b in zip(begin, places, strict=True)]


def ranked(log, places, scores):
    action = torch.from_numpy(log.items[places].astype(np.int64) - 1)
    return ranking_of_logits(torch.from_numpy(np.stack(scores)), action).rank.numpy()


def test_by_hand():
    """Popularity 3 > 1 > 2 = 4; of the session 1 2 2 3 the last three events."""
    log, _ = listed_sessions([[1, 2, 2, 3]], [9.0])
    popularity, places = np.array([0.3, 0.1, 0.5, 0.1]), np.array([1, 2, 3])
    # 2 after 1: first 1, then 3, then 2 and 4. 2 after 2: first. 3 after 2: second.
    assert last_item_ranks(log, places, popularity).tolist() == [3.5, 1, 2]
    # 2 after 1: 1, 3, and 2 and 4. 2 after 1 2: 1 is more popular. 3 after 1 2 2: 2, 1, 3.
    assert session_popularity_ranks(log, places, popularity, ALPHA).tolist() == [3.5, 2, 3]
    first = np.array([0])  # no history: popularity alone
    for ranks in (
        last_item_ranks(log, first, popularity),
        session_popularity_ranks(log, first, popularity, ALPHA),
    ):
        assert ranks.tolist() == [2]


@pytest.mark.parametrize("seed", range(8))
def test_the_last_item_against_scores_written_down(seed):
    log, places, popularity = random_log(seed)
    scores = []
    for history in histories(log, places):
        score = popularity.copy()
        if len(history):
            score[history[-1] - 1] = 1
        scores.append(score)
    np.testing.assert_array_equal(
        last_item_ranks(log, places, popularity), ranked(log, places, scores)
    )


@pytest.mark.parametrize("pairs", [1, 17, 2**21])
@pytest.mark.parametrize("seed", range(8))
def test_session_popularity_against_the_policy_written_down(seed, pairs, monkeypatch):
    """With a share of popularity so large that it outweighs what a session has had, at times."""
    monkeypatch.setattr(floors, "PAIRS", pairs)
    log, places, popularity = random_log(seed)
    for alpha in (ALPHA, 0.9):
        policy = SessionPopularityPolicy(popularity, SessionPopularitySettings(smoothing=alpha))
        scores = [
            policy.probabilities(history[None, :], np.array([len(history)]))[0]
            for history in histories(log, places)
        ]
        np.testing.assert_array_equal(
            session_popularity_ranks(log, places, popularity, alpha), ranked(log, places, scores)
        )


def test_of_no_event():
    log, _, popularity = random_log(0)
    none = np.zeros(0, np.int64)
    assert last_item_ranks(log, none, popularity).shape == (0,)
    assert session_popularity_ranks(log, none, popularity, ALPHA).shape == (0,)


@pytest.mark.slow
def test_a_hundred_thousand_events_of_twenty_thousand_items_take_seconds():
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(5_000), rng.integers(2, 80, 5_000))
    n, zeros = len(session), np.zeros(len(session))
    item = rng.zipf(1.2, n) % 20_000 + 1
    log = flat_sessions(session, item, np.arange(n), zeros, zeros, ("click",))
    popularity = np.bincount(item - 1, minlength=20_000) + 1.0
    popularity /= popularity.sum()
    places = ranges(log.offsets[:-1] + 1, log.offsets[1:])[1][:100_000]
    began = time.process_time()
    last_item_ranks(log, places, popularity)
    session_popularity_ranks(log, places, popularity, ALPHA)
    assert time.process_time() - began < 10  # a matrix of them would take minutes
