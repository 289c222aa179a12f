import numpy as np
import pytest

from recbole_lpi.evaluation.off_policy import ESTIMATORS, EstimatorSettings, SessionSums
from recbole_lpi.evaluation.off_policy.session_sums import mean_of
from tests.support.bandits import bandit_log


def loop_stderr(log, name):
    """Clustered standard error by a jackknife over sessions, in plain loops."""
    events = log.events()
    values = []
    for left_out in range(int(events.session.max()) + 1):
        keep = events.session != left_out
        w, r = events.weight[keep], events.reward[keep]
        values.append({
            "ips": (w * r).mean(), "snips": (w * r).sum() / w.sum(),
            "delta_snips": (w * r).sum() / w.sum() - r.mean(),
        }[name])  # fmt: skip
    left = np.array(values)
    number = len(left)
    return np.sqrt((number - 1) / number * np.square(left - left.mean()).sum())


@pytest.mark.parametrize(("name", "rel"), [("ips", 1e-9), ("snips", 0.02), ("delta_snips", 0.02)])
def test_the_error_is_that_of_a_jackknife(name, rel):
    log = bandit_log(2000)
    log.pi = 0.5 * log.pi + 0.5 * log.mu
    sums = ESTIMATORS[name].terms(log.events(), EstimatorSettings())
    assert sums.stderr == pytest.approx(loop_stderr(log, name), rel=rel)


def test_pulls_sum_to_nothing():
    for row in ESTIMATORS.values():
        sums = row.terms(bandit_log().events(), EstimatorSettings())
        assert sums.pulls.sum() == pytest.approx(0, abs=1e-12)


def test_a_difference_is_paired():
    sums = mean_of(np.array([1.0, 2, 4]), np.array([1.0, 1, 2]))
    assert (sums - sums).stderr == 0
    assert (sums + sums).stderr == pytest.approx(2 * sums.stderr)


def test_of_no_weight_at_all_there_is_no_estimate():
    sums = mean_of(np.zeros(3), np.zeros(3))
    assert np.isnan(sums.value) and np.isnan(sums.stderr)
    assert sums.effective_sessions == 0


def test_carrying_sessions():
    equal = mean_of(np.tile([0.0, 2.0], 50), np.ones(100))
    assert equal.effective_sessions == pytest.approx(100)
    rare = mean_of(np.eye(1, 10_000)[0], np.ones(10_000))
    assert rare.effective_sessions == pytest.approx(1, rel=1e-3)
    assert mean_of(np.ones(5), np.ones(5)).effective_sessions == 0


def test_groups_keep_the_value_and_about_the_error():
    draw = np.random.default_rng(0)
    sums = mean_of(draw.exponential(size=50_000), 1.0 + draw.integers(3, size=50_000))
    joined = sums.grouped(5_000)
    assert len(joined) == 5_000
    assert joined.value == pytest.approx(sums.value)
    assert joined.stderr == pytest.approx(sums.stderr, rel=0.05)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"shape \[S\]"):
        SessionSums((np.ones(2),), (np.ones(3),))
