import math
from dataclasses import replace

import numpy as np
import pytest

from recbole_lpi.evaluation.off_policy.selection import OfflineNumber, judge, rank_correlation

TRUTH = np.array([1.0, 2.0, 3.0, 4.0])


def test_the_truth_itself_finds_the_best_policy():
    found = judge(OfflineNumber("J", TRUTH), TRUTH, live=1.5)
    assert (found.rank_correlation, found.regret, found.careful_regret) == (1.0, 0.0, 0.0)
    assert found.usable == 4 and math.isnan(found.held)


def test_its_opposite_finds_the_worst():
    found = judge(OfflineNumber("−J", -TRUTH), TRUTH, live=1.5)
    assert (found.rank_correlation, found.regret) == (-1.0, 3.0)


def test_refusing_saves_what_an_unusable_number_would_have_cost():
    value = np.array([9.0, 1.0, 2.0, 1.5])  # the first by a few huge weights
    number = OfflineNumber("IPS", value, usable=np.array([False, True, True, True]))
    found = judge(number, TRUTH, live=1.5)
    assert (found.regret, found.careful_regret, found.usable) == (3.0, 1.0, 3)


def test_what_is_live_stays_where_everything_is_refused():
    number = OfflineNumber("IPS", TRUTH, usable=np.zeros(4, bool))
    found = judge(number, TRUTH, live=2.5)
    assert found.careful_regret == 1.5 and found.usable == 0
    assert judge(number, TRUTH, live=5.0).regret == 1.0


def test_what_is_live_stays_where_nothing_is_said_to_be_better():
    number = OfflineNumber("Δ", np.array([-3.0, -2.0, 0.5, -1.0]), live=0.0)
    assert judge(number, TRUTH, live=2.5).careful_regret == 1.0
    number = OfflineNumber("Δ", np.array([-3.0, -2.0, -0.5, -1.0]), live=0.0)
    assert judge(number, TRUTH, live=2.5).careful_regret == 1.5
    assert judge(number, TRUTH, live=2.5).regret == 1.0


def test_intervals_hold_their_own_target():
    low, high = TRUTH - 0.5, TRUTH + np.array([0.5, 0.5, -0.1, 0.5])
    usable = np.array([True, True, False, True])
    number = OfflineNumber("DR", TRUTH, low, high, usable)
    found = judge(number, TRUTH, live=0.0)
    assert (found.held, found.held_usable) == (0.75, 1.0)
    elsewhere = OfflineNumber("DR", TRUTH, low, high, usable, target=TRUTH + 10)
    assert judge(elsewhere, TRUTH, live=0.0).held == 0.0


def test_a_target_that_was_measured_itself_is_held_95_times_in_100():
    draw = np.random.default_rng(0)
    truth, error = np.zeros(4000), draw.choice([0.0, 0.5, 2.0], 4000)
    value, target = draw.normal(0, 1, 4000), draw.normal(0, 1, 4000) * error
    number = OfflineNumber("DR", value, value - 1.96, value + 1.96, None, target, None, error)
    assert number.held(truth).mean() == pytest.approx(0.95, abs=0.012)
    exact = OfflineNumber("DR", value, value - 1.96, value + 1.96, None, target)
    assert exact.held(truth).mean() < 0.85
    skewed = OfflineNumber("DR", truth, truth - 1, truth + 3, None, truth + 2.0, None, truth)
    assert skewed.held(truth).all() and not replace(skewed, target=truth - 2.0).held(truth).any()


def test_an_interval_that_is_not_there_holds_nothing_and_misses_nothing():
    low, high = np.array([np.nan, 1.5, 2.5, 9.0]), np.array([np.nan, 2.5, 3.5, 9.5])
    found = judge(OfflineNumber("DR", TRUTH, low, high), TRUTH, live=0.0)
    assert found.held == pytest.approx(2 / 3)


def test_a_policy_without_a_number_is_not_picked_and_not_ordered():
    value = np.array([1.0, 2.0, 3.0, np.nan])
    found = judge(OfflineNumber("AR@1", value), TRUTH, live=0.0)
    assert (found.rank_correlation, found.regret) == (1.0, 1.0)


@pytest.mark.parametrize("value", [np.zeros(4), np.array([1.0, np.nan, np.nan, np.nan])])
def test_there_is_no_order_of_equals(value):
    assert math.isnan(rank_correlation(value, TRUTH))
