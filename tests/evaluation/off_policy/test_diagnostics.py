import numpy as np
import pytest

from recbole_lpi.evaluation.off_policy import LoggedEvents
from recbole_lpi.evaluation.off_policy.diagnostics import diagnose, of_choices


def events(**more):
    columns = {
        "reward": np.array([1.0, 0, 2, 0]), "log_pi": np.log([0.8, 0.2, 0.4, 0.1]),
        "log_mu": np.log([0.4, 0.4, 0.01, 0.2]), "session": np.array([0, 0, 1, 1]),
        "position": np.array([0, 1, 0, 1]),
    }  # fmt: skip
    return LoggedEvents(**{**columns, **more})


def test_weights_by_hand():
    found = diagnose(events(unsupported=np.array([0.1, 0, 0, 0.1])), clip=30, floor=0.02).weights
    assert found is not None
    weights = np.array([2, 0.5, 40, 0.5])
    assert found.mean.mean == pytest.approx(weights.mean())
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert (found.largest, found.largest_share) == pytest.approx((40, 40 / 43))
    assert (found.clipped, found.below_floor) == pytest.approx((0.25, 40 / 43))
    assert (found.unseen, found.unsupported) == pytest.approx((0, 0.05))


def test_what_the_log_has_nothing_of():
    half = events(log_pi=np.log([0.2, 0.2, 0.005, 0.1]))
    found = diagnose(half).weights
    assert found is not None and found.unseen == pytest.approx(0.5)


def test_rewards_by_hand():
    found = diagnose(events()).rewards  # w r = 2, 0, 80, 0
    assert (found.rewarded, found.zero, found.of_half) == (2, 2, 1)
    assert found.effective == pytest.approx(82**2 / (4 + 6400))
    nothing = diagnose(events(reward=np.zeros(4))).rewards
    assert (nothing.rewarded, nothing.effective, nothing.of_half) == (0, 0.0, 0)


def test_first_choices_by_hand():
    found = of_choices(np.array([5, 5, 5, 7]))
    assert (found.distinct, found.top_ten) == (2, 1.0)
    assert found.gini == pytest.approx(0.25)  # of 1 and 3
    assert of_choices(np.arange(20)).gini == pytest.approx(0)
    assert of_choices(np.arange(20)).top_ten == pytest.approx(0.5)


def test_an_estimate_beside_what_was_logged():
    log_mu = np.log([0.4, 0.4, 0.01, 0.2])
    found = diagnose(events(log_propensity=log_mu - np.log(2))).propensities
    assert found is not None
    assert found.log_error == pytest.approx(np.log(2))
    assert found.ratio.mean == pytest.approx(2)
    assert diagnose(events()).propensities is None


def test_calibration_of_first_choices():
    found = diagnose(
        events(greedy_log_mu=np.log(np.full(4, 0.5)), greedy_is_logged=np.arange(4) < 2)
    ).calibration
    assert found is not None
    assert found.excess.mean == pytest.approx(0)
    assert diagnose(events()).calibration is None


def test_without_mu_there_are_no_weights():
    found = diagnose(events(log_mu=np.full(4, np.nan)))
    assert found.weights is None
    assert found.rewards.effective == pytest.approx(9 / 5)
    assert found.plain()["weights"] is None
