"""Imputed rewards, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.evaluation.imputation import (
    Imputation,
    ImputationSettings,
    ImputedRewards,
    imputed_rewards,
)
from recbole_lpi.evaluation.imputation.fit_report import fit_report, held_apart, held_out_error
from recbole_lpi.evaluation.imputation.rated_log import RewardScale, reward_scale, session_ratings
from recbole_lpi.settings import SettingError

SCALE = RewardScale(np.arange(1.0, 6.0), np.array([0.0, 0.0, 0.5, 1.0, 1.0]))


def log():
    """Three sessions; the second rates item 3 twice."""
    return Sessions(
        items=np.array([1, 2, 3, 2, 3, 1], np.int32),
        rewards=np.zeros(6, np.float32),
        events=np.zeros(6, np.uint8),
        timestamps=np.arange(6.0),
        offsets=np.array([0, 2, 5, 6]),
        event_names=("rated",),
        ratings=np.array([5, 1, 4, 3, 2, 4], np.float32),
    )


def part(*sessions):
    chosen, store = np.array(sessions), log()
    return Part(chosen, store.offsets[chosen], store.offsets[chosen + 1])


def test_ratings_of_sessions_are_the_last_of_each_item():
    got = session_ratings(log(), part(1, 2), 5, 2.0, torch.float64)
    assert got.offsets.tolist() == [0, 2, 3]
    assert got.column.tolist() == [1, 2, 0]
    assert got.value.tolist() == [1.0, 0.0, 2.0]
    assert got.columns == 4
    cut = Part(np.array([1]), np.array([2]), np.array([3]))  # up to its stop
    assert session_ratings(log(), cut, 5, 2.0, torch.float64).value.tolist() == [2.0]


def test_rewards_lie_between_those_of_the_ratings_that_occur():
    scale = reward_scale(np.array([4, 2, 3, 4, 1.0]), np.array([1, 0, 0.5, 1, 0.0]))
    assert scale.ratings.tolist() == [1, 2, 3, 4]
    got = scale(np.array([-1.0, 2.0, 2.5, 3.0, 3.2, 9.0]))
    np.testing.assert_allclose(got, [0, 0, 0.25, 0.5, 0.6, 1])
    assert scale.positive == 0.5


def hand_made(**settings):
    """One factor: item a is liked a times as much as a session's factor says."""
    items = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    given = dict(rank=(1,), regularization=(0.5,), missing_weight=0.25, float64=True)
    return Imputation(items, ImputationSettings(**{**given, **settings}), SCALE, {})


def test_rewards_of_a_held_out_session_come_from_its_own_ratings():
    """(0.25 · 14 + 0.75 · Σ a² + 0.5 · (0.75 n + 0.25 · 3)) p = Σ a (r − 2), then r̂ = 2 + a p."""
    first = (5.0 - 2) * 1 + (1 - 2) * 2  # items 1 and 2, rated 5 and 1
    first /= 0.25 * 14 + 0.75 * (1 + 4) + 0.5 * (0.75 * 2 + 0.75)
    third = (4.0 - 2) * 1
    third /= 0.25 * 14 + 0.75 * 1 + 0.5 * (0.75 + 0.75)
    imputed = ImputedRewards(hand_made(), log(), part(0, 2), 4)
    got = imputed(np.array([2, 0, 2]), torch.tensor([[1, 3], [2, 2], [2, 1]]))
    reward = lambda p, a: min(max((2 + a * p - 2) / 2, 0), 1)  # noqa: E731  (SCALE, from 2 to 4)
    expected = [
        [reward(third, 1), reward(third, 3)],
        [reward(first, 2), reward(first, 2)],
        [reward(third, 2), reward(third, 1)],
    ]
    np.testing.assert_allclose(got, expected)


def test_chunks_change_nothing(monkeypatch):
    imputed = ImputedRewards(hand_made(), log(), part(0, 1, 2), 4)
    session, items = (
        np.array([0, 1, 2, 1, 0]),
        torch.tensor([[1, 2], [3, 1], [2, 2], [1, 3], [3, 3]]),
    )
    whole = imputed(session, items)
    monkeypatch.setattr(imputed_rewards, "MATRIX_ELEMENTS", 3)
    np.testing.assert_array_equal(imputed(session, items), whole)


def halves(sessions, part, start, seed):
    """The part's ratings held apart, those before ``start`` being known."""
    whole, known = (
        session_ratings(sessions, one, 121, 2.0, torch.float64)
        for one in (part, replace(part, stop=start))
    )
    return whole, *held_apart(whole, known, seed)


def test_held_out_error_predicts_the_hidden_half():
    chosen = part(0, 2)
    _, given, hidden = halves(log(), chosen, chosen.start, seed=8)
    assert given.value.tolist() == [5 - 2, 4 - 2] and hidden.value.tolist() == [1 - 2]
    p = (5 - 2) / (0.25 * 14 + 0.75 + 0.5 * (0.75 + 0.75))
    got = held_out_error(hand_made(), *(half._replace(columns=3) for half in (given, hidden)))
    error = (2 + 2 * p) - 1  # of the rating 1 of item 2
    assert got["rmse"] == pytest.approx(error) and got["mae"] == pytest.approx(error)
    assert got["rmse_of_mean"] == pytest.approx(abs((3 + 2) / 2 - -1)) and got["ratings"] == 1


def test_report_of_a_fit_by_hand():
    ratings = session_ratings(log(), part(0, 1, 2), 4, 2.0, torch.float64)
    made = hand_made()
    p = made.sessions(ratings).squeeze(1).numpy()
    rewards = SCALE(2 + p[:, None] * np.array([1.0, 2.0, 3.0]))
    report = fit_report(made, ratings, np.array([0, 0.5, 1, 1.0]))
    assert report["imputed_mean"] == pytest.approx(rewards.mean())
    assert report["imputed_positive"] == pytest.approx((rewards >= 0.5).mean())
    assert report["observed_positive"] == 0.75 and report["observed_mean"] == 0.625
    assert sum(report["imputed"]) == pytest.approx(1)
    assert report["observed"] == [0.25, 0, 0, 0, 0, 0.25, 0, 0, 0, 0.5]


def test_missing_rating_beyond_the_scale_is_refused():
    scale = RewardScale(np.array([0.5, 5.0]), np.array([0.0, 1.0]))
    scale.check(0.5)
    with pytest.raises(SettingError, match=r"missing_rating must lie among the ratings, 0.5 to 5"):
        scale.check(5.5)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"rank": ()}, "rank"), ({"rank": (0,)}, "rank"), ({"sweeps": 0}, "sweeps"),
     ({"missing_weight": 2.0}, "missing_weight"),
     ({"regularization": (0.1, -1.0)}, "regularization")],
)  # fmt: skip
def test_settings_that_are_none(given, words):
    with pytest.raises(ValueError, match=f"{words} must be"):
        ImputationSettings(**given)
