"""What must hold of propensities: it holds of right ones, and fails of wrong ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.propensity_quality import (
    best_temperature,
    calibration,
    differs,
    importance_weights,
    mean_over_sessions,
)

EVENTS, ITEMS = 20_000, 8


def softmax(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@pytest.fixture
def world():
    """Logits of μ [N, A], the items that it chose, and sessions of five events."""
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.standard_normal((EVENTS, ITEMS))
    item = (softmax(logits).cumsum(1) < rng.random((EVENTS, 1))).sum(1).clip(max=ITEMS - 1)
    return logits, item, np.arange(EVENTS) // 5


def log_of(logits, item):
    return np.log(softmax(logits))[np.arange(len(item)), item]


def calibrated(logits, item, session, bins=10):
    p = softmax(logits)
    return calibration(np.log(p.max(1)), p.argmax(1) == item, session, bins)


def test_weights_by_hand():
    found = importance_weights(
        np.log([0.2, 0.3, 0.1]), np.log([0.1, 0.6, 0.1]), np.array([4, 4, 9])
    )
    assert found.mean.mean == pytest.approx((2 + 0.5 + 1) / 3) and found.mean.count == 3
    pulls = [(2 + 0.5 - 7 / 3) / 3, (1 - 7 / 6) / 3]
    assert found.mean.stderr == pytest.approx(math.sqrt(2 * sum(x * x for x in pulls)))
    assert found.of_largest == pytest.approx(2 / 3.5)
    assert found.effective == pytest.approx(3.5**2 / (4 + 0.25 + 1))


def test_the_largest_hundredth_is_of_the_events():
    weight = np.ones(200)
    weight[[3, 7, 9]] = 50
    found = importance_weights(np.log(weight), np.zeros(200), np.arange(200))
    assert found.of_largest == pytest.approx(100 / (197 + 150))


def test_events_of_one_session_are_one_draw():
    values = np.random.default_rng(0).random(100)
    alone = mean_over_sessions(values, np.arange(100))
    assert alone.stderr == pytest.approx(values.std(ddof=1) / 10)
    doubled = mean_over_sessions(np.repeat(values, 4), 7 * np.repeat(np.arange(100), 4))
    assert doubled.stderr == pytest.approx(alone.stderr) and doubled.count == 400


def test_weights_average_one_under_the_right_propensities_whatever_the_policy(world):
    logits, item, session = world
    rng = np.random.default_rng(1)
    for scale in (0.3, 1.0):
        policy = logits + scale * rng.standard_normal(logits.shape)
        found = importance_weights(log_of(policy, item), log_of(logits, item), session)
        assert found.average_one and 0 < found.mean.stderr < 0.02
        assert found.effective < EVENTS


def test_weights_do_not_average_one_under_wrong_propensities(world):
    logits, item, session = world
    sharp = log_of(2 * logits, item)
    found = importance_weights(log_of(logits, item), sharp, session)
    assert not found.average_one and found.mean.mean > 1.5
    assert found.of_largest > 0.1


def test_a_policy_equal_to_the_estimate_has_weights_of_one_but_for_rounding():
    log_pi = np.log(np.random.default_rng(0).random(50))
    found = importance_weights(log_pi + 1e-6, log_pi, np.arange(50))
    assert found.average_one and found.effective == pytest.approx(50)


def test_weights_beyond_all_numbers_are_numbers():
    found = importance_weights(np.array([0.0, -1.0]), np.array([-1000.0, -1.0]), np.arange(2))
    values = [found.mean.mean, found.mean.stderr, found.of_largest, found.effective]
    assert np.isfinite(values).all()


def test_what_differs_is_two_errors_away():
    assert differs(Estimate(1.3, 0.1, 5), 1.0) and differs(Estimate(0.7, 0.1, 5), 1.0)
    assert not differs(Estimate(1.19, 0.1, 5), 1.0)
    assert not differs(Estimate(1.5, math.nan, 1), 1.0)  # of one session nothing is known


def test_bins_by_hand():
    given, logged = np.array([0.9, 0.1, 0.5, 0.3]), np.array([True, False, False, True])
    found = calibration(np.log(given), logged, np.arange(4), bins=2)
    np.testing.assert_allclose(found.given, [0.2, 0.7])
    np.testing.assert_allclose(found.logged, [0.5, 0.5])
    assert found.count.tolist() == [2, 2]
    assert found.error == pytest.approx((0.3 + 0.2) / 2)
    assert found.excess.mean == pytest.approx(0.45 - 0.5)
    assert found.table == ["  given  0.200 0.700", "  logged 0.500 0.500"]
    assert len(calibration(np.log(given), logged, np.arange(4)).given) == 4  # of one event each


def test_right_probabilities_are_calibrated_but_for_chance(world):
    found = calibrated(*world)
    assert found.count.tolist() == [EVENTS // 10] * 10 and (np.diff(found.given) > 0).all()
    assert found.error < 2 * found.by_chance and not differs(found.excess, 0)


def test_what_chance_makes_of_the_error_is_about_right():
    rng, errors = np.random.default_rng(0), []
    for _ in range(200):
        given = rng.random(300)
        found = calibration(np.log(given), rng.random(300) < given, np.arange(300))
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(found.by_chance, rel=0.05)


@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_probabilities_too_sharp_or_too_flat_are_told(world, scale):
    logits, item, session = world
    found = calibrated(scale * logits, item, session)
    assert differs(found.excess, 0) and (found.excess.mean > 0) == (scale > 1)
    assert found.error > 5 * found.by_chance
    assert found.error == pytest.approx(abs(found.excess.mean), rel=0.1)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_planted_is_found(world, scale):
    logits, item, _ = world
    asked = []

    def nll(temperature):
        asked.append(temperature)
        return -log_of(scale * logits[:5000] / temperature, item[:5000]).mean()

    found = best_temperature(nll)
    assert found == pytest.approx(scale, rel=0.06)
    near = min(nll(found * change) for change in (0.99, 1.01))
    assert nll(found) < near
    assert len(asked) < 25


def test_a_temperature_beyond_those_looked_at_is_at_the_end():
    assert best_temperature(lambda t: t) == pytest.approx(0.25, rel=1e-3)
    assert best_temperature(lambda t: -t) == pytest.approx(4, rel=1e-3)
