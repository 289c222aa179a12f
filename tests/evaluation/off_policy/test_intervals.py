import numpy as np
import pytest
from scipy import stats

from recbole_lpi.evaluation.off_policy import ESTIMATORS, EstimatorSettings, LoggedEvents
from recbole_lpi.evaluation.off_policy import bounds as bounds_room
from recbole_lpi.evaluation.off_policy.bounds import (
    empirical_bernstein_bound,
    improvement_bound,
    logarithmic_smoothing_bound,
    session_values,
)
from recbole_lpi.evaluation.off_policy.intervals import (
    bootstrap_interval,
    poisson_weights,
    resampled_values,
    t_interval,
)
from recbole_lpi.evaluation.off_policy.session_sums import mean_of
from tests.support.bandits import bandit_log


def means(values):
    return mean_of(np.asarray(values, float), np.ones(len(values)))


def test_t_interval_is_scipy_s_of_single_events():
    values = np.random.default_rng(0).exponential(size=40)
    found = t_interval(means(values), 0.9)
    expected = stats.t.interval(0.9, 39, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.lower == pytest.approx(values.mean() - stats.t.ppf(0.9, 39) * stats.sem(values))


def test_of_one_session_there_is_no_interval():
    for interval in (t_interval, bootstrap_interval):
        assert np.isnan(interval(means([1.0])).low)


def test_bootstrap_of_a_mean_of_many_is_the_t_interval():
    sums = means(np.random.default_rng(0).exponential(size=5000))
    t, boot = t_interval(sums), bootstrap_interval(sums, resamples=4000)
    width = t.high - t.low
    for name in ("low", "high", "lower"):
        assert getattr(boot, name) == pytest.approx(getattr(t, name), abs=0.05 * width)


def test_bootstrap_follows_a_skewed_error():
    values = np.random.default_rng(0).pareto(2.5, size=200)
    boot = bootstrap_interval(means(values), resamples=4000)
    assert boot.high - values.mean() > 1.05 * (values.mean() - boot.low)


def test_resamples_in_chunks_equal_resamples_by_a_loop():
    sums = ESTIMATORS["delta_snips"].terms(bandit_log(20_000).events(), EstimatorSettings())
    found = resampled_values(sums, 5, np.random.default_rng(3))
    draw, weights = np.random.default_rng(3), []
    for start in range(0, len(sums), 4096):
        weights.append(poisson_weights((5, min(4096, len(sums) - start)), draw))
    for value, times in zip(found, np.concatenate(weights, 1), strict=True):
        looped = sum(
            (times * n).sum() / (times * d).sum()
            for n, d in zip(sums.numerators, sums.denominators, strict=True)
        )
        assert value == pytest.approx(looped)


def test_poisson_weights_have_its_moments():
    drawn = poisson_weights((1000, 1000), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(1, abs=0.005)
    assert drawn.var() == pytest.approx(1, abs=0.01)
    for k in range(6):
        assert (drawn == k).mean() == pytest.approx(stats.poisson.pmf(k, 1), abs=0.002)


def test_empirical_bernstein_by_hand():
    values = np.array([0.0, 1, 1, 5])  # 5 counts as 2
    log = np.log(2 / 0.1)
    mean, variance = 1.0, (1 + 0 + 0 + 1) / 3
    expected = mean - np.sqrt(2 * variance * log / 4) - 7 * 2 * log / 9
    assert empirical_bernstein_bound(values, 2.0, 0.9) == pytest.approx(expected)


def test_logarithmic_smoothing_by_hand(monkeypatch):
    monkeypatch.setattr(bounds_room, "STRENGTHS", (3.0,))
    values, lam = np.array([0.0, 2.0]), 3 / np.sqrt(2)
    product = (1 + 2 * lam) * 0.1  # Π (1 + λ Z) δ
    expected = (product ** (1 / 2) - 1) / lam
    assert logarithmic_smoothing_bound(values, 1.0, 0.9) == pytest.approx(expected)


@pytest.mark.parametrize("tail", [1.2, 2.0, 5.0])
def test_bounds_of_heavy_tails_err_rarely(tail):
    draw = np.random.default_rng(0)
    truth = 1 / (tail - 1)
    errors = np.zeros(2)
    for _ in range(400):
        values = draw.pareto(tail, size=100)
        errors += (
            logarithmic_smoothing_bound(values, 1.0, 0.9) > truth,
            empirical_bernstein_bound(values, 30.0, 0.9) > truth,
        )
    assert (errors / 400 <= 0.1).all()


def test_a_large_improvement_is_shown_and_a_loss_is_not():
    draw = np.random.default_rng(0)
    good = draw.random(40_000) < 0.5  # μ takes each of two items equally often
    reward = good & (draw.random(40_000) < 0.4)

    def events(log_pi):
        return LoggedEvents(
            reward=reward.astype(float), log_pi=log_pi, log_mu=np.full(40_000, np.log(0.5)),
            session=np.arange(40_000) // 2, position=np.arange(40_000) % 2,
        )  # fmt: skip

    better = events(np.log(np.where(good, 0.9, 0.1)))
    assert 0.05 < improvement_bound(better, 1.0) < 0.16
    worse = events(np.log(np.where(good, 0.1, 0.9)))
    assert improvement_bound(worse, 1.0) < -0.16


def test_session_values_average_to_ips():
    events = bandit_log().events()
    ips = ESTIMATORS["ips"].terms(events, EstimatorSettings())
    assert session_values(events).mean() == pytest.approx(ips.value)


def test_bounds_are_for_rewards_from_0_to_the_largest():
    log = bandit_log()
    with pytest.raises(ValueError, match="above the largest"):
        improvement_bound(log.events(), 0.5)
    log.reward = log.reward - 1
    with pytest.raises(ValueError, match="rewards ≥ 0"):
        session_values(log.events())
