import json
from pathlib import Path

import numpy as np
import pytest

from recbole_lpi.evaluation.off_policy import ESTIMATORS, EstimatorSettings, LoggedEvents
from recbole_lpi.evaluation.off_policy.improvement import optimal_baseline
from tests.support.bandits import bandit_log

OBP = json.loads((Path(__file__).parent / "obp.json").read_text())
SETTINGS = EstimatorSettings(
    clip=3.0, switch=2.0, shrinkage=9.0, exponent=0.7, exploration=0.05, smoothing=0.4
)


def two_events(**more) -> LoggedEvents:
    """w = 2 and 1/2, rewards 1 and 3, one session."""
    return LoggedEvents(
        reward=np.array([1.0, 3.0]), log_pi=np.log([0.8, 0.2]), log_mu=np.log([0.4, 0.4]),
        session=np.array([0, 0]), position=np.array([0, 1]), **more,
    )  # fmt: skip


MODEL = {
    "q": np.array([0.5, 2.0]), "v_pi": np.array([1.0, 1.5]), "v_mu": np.array([0.9, 1.2]),
}  # fmt: skip
VALUES = {
    "action_value": np.array([0.5, 2.0]), "state_value": np.array([1.0, 1.5]),
    "expected_advantage": np.array([0.2, -0.1]),
}  # fmt: skip
CLUSTERS = {"log_pi_cluster": np.log([0.9, 0.3]), "log_mu_cluster": np.log([0.6, 0.6])}
WORKED = {
    "ips": (2 * 1 + 0.5 * 3) / 2,
    "clipped_ips": (2 * 1 + 0.5 * 3) / 2,
    "snips": (2 * 1 + 0.5 * 3) / (2 + 0.5),
    "dm": (1.0 + 1.5) / 2,
    "dr": (1.0 + 2 * 0.5 + 1.5 + 0.5 * 1.0) / 2,
    "sndr": (1.0 + 1.5) / 2 + (2 * 0.5 + 0.5 * 1.0) / 2.5,
    "switch_dr": (1.0 + 2 * 0.5 + 1.5 + 0.5 * 1.0) / 2,
    "dros": (1.0 + 9 * 2 / 13 * 0.5 + 1.5 + 9 * 0.5 / 9.25 * 1.0) / 2,
    "exponential": (0.8 / 0.4**0.7 * 1 + 0.2 / 0.4**0.7 * 3) / 2,
    "implicit_exploration": (0.8 / 0.45 * 1 + 0.2 / 0.45 * 3) / 2,
    "logarithmic": (np.log(1 + 0.4 * 2) + np.log(1 + 0.4 * 1.5)) / 0.4 / 2,
    "mips": (1.5 * 1 + 0.5 * 3) / 2,
    "offcem": (1.0 + 1.5 * 0.5 + 1.5 + 0.5 * 1.0) / 2,
    "delta_ips": (1 * 1 - 0.5 * 3 - (1 * 1 - 0.5 * 3) / 0.5 * 0.5) / 2,
    "delta_snips": (2 * 1 + 0.5 * 3) / 2.5 - (1 + 3) / 2,
    "delta_dr": (1.0 - 0.9 + 1 * 0.5 + 1.5 - 1.2 - 0.5 * 1.0) / 2,
    # Of the session: ρ = 2 and 2 · 1/2.
    "pdis": 2 * 1 + 1 * 3,
    "wpdis": 1 + 3,
    "sequential_dr": 1.0 + 2 * (1 - 0.5) + 2 * 1.5 + 1 * (3 - 2.0),
    "fqe": 1.0,
    "first_order": 1 + 3 + 0.2 - 0.1,
    "delta_wpdis": 0.0,
    "delta_sequential_dr": 1.0 + 2 * (1 - 0.5) + 2 * 1.5 + 1 * (3 - 2.0) - 4,
    "delta_first_order": 0.2 - 0.1,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_two_events_by_hand(name):
    sums = ESTIMATORS[name].terms(two_events(**MODEL, **VALUES, **CLUSTERS), SETTINGS)
    assert sums.value == pytest.approx(WORKED[name], abs=1e-12)


@pytest.mark.parametrize("seed", OBP["estimates"])
@pytest.mark.parametrize("name", OBP["estimates"]["0"])
def test_equals_open_bandit_pipeline(name, seed):
    sums = ESTIMATORS[name].terms(
        bandit_log(seed=int(seed)).events(), EstimatorSettings(**OBP["settings"])
    )
    assert sums.value == pytest.approx(OBP["estimates"][seed][name], abs=1e-10)


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr", "mips", "offcem"])
def test_the_log_s_own_policy_is_worth_its_rewards(name):
    log = bandit_log(100)
    log.pi = log.mu
    log.q = np.zeros_like(log.q)
    sums = ESTIMATORS[name].terms(log.events(), EstimatorSettings())
    assert sums.value == pytest.approx(log.reward.mean(), abs=1e-12)


@pytest.mark.parametrize("name", ["delta_ips", "delta_snips", "delta_dr"])
def test_it_does_not_improve_on_itself(name):
    log = bandit_log(100)
    log.pi = log.mu
    sums = ESTIMATORS[name].terms(log.events(), EstimatorSettings())
    assert sums.value == pytest.approx(0, abs=1e-12)
    assert sums.stderr == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "limit", "settings"),
    [
        ("clipped_ips", "ips", {"clip": 1e9}),
        ("switch_dr", "dr", {"switch": 1e9}),
        ("switch_dr", "dm", {"switch": 0.0}),
        ("dros", "dr", {"shrinkage": 1e14}),
        ("dros", "dm", {"shrinkage": 1e-14}),
        ("exponential", "ips", {"exponent": 1.0}),
        ("implicit_exploration", "ips", {"exploration": 0.0}),
        ("logarithmic", "ips", {"smoothing": 1e-9}),
    ],
)
def test_limits_of_what_regularises(name, limit, settings):
    events, s = bandit_log().events(), EstimatorSettings(**settings)
    found, expected = (ESTIMATORS[n].terms(events, s).value for n in (name, limit))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_baseline_makes_the_variance_least():
    events = bandit_log().events()
    gain = events.per_session((events.weight - 1) * events.reward)
    surplus = events.per_session(events.weight - 1)
    best = optimal_baseline(gain, surplus)
    spread = [np.square(gain - beta * surplus).sum() for beta in (best, best - 0.01, best + 0.01)]
    assert spread[0] < min(spread[1:])


def test_the_baseline_of_single_events_is_the_paper_s():
    log = bandit_log()
    w = log.at(log.pi) / log.at(log.mu) - 1
    assert optimal_baseline(w * log.reward, w) == pytest.approx(
        (w**2 * log.reward).mean() / (w**2).mean()
    )


def test_missing_columns_are_named():
    assert ESTIMATORS["dr"].missing(two_events()) == ("q", "v_pi")
    assert ESTIMATORS["offcem"].missing(two_events(**CLUSTERS)) == ("q", "v_pi")
    assert ESTIMATORS["ips"].missing(two_events()) == ()
