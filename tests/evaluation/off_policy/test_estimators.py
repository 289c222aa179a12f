"""Estimators against the Open Bandit Pipeline, against their formulas, and against the truth."""

import math
from dataclasses import fields

import numpy as np
import pytest

from benchmarks.peers.off_policy_values import (
    CLIP,
    CLUSTER,
    ROUNDS,
    SHRINKAGE,
    SWITCH,
    random_log,
)
from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
from recbole_lpi.evaluation.off_policy.event_estimators import logged_reward
from recbole_lpi.evaluation.off_policy.logged_events import ColumnError, LoggedEvents
from recbole_lpi.evaluation.off_policy.settings import EstimationSettings

OBP = {  # sb-obp 0.5.10, by benchmarks/peers/off_policy_values.py
    "ips": 0.389999967080694,
    "clipped_ips": 0.3521625968395334,
    "snips": 0.4685421131987084,
    "dm": 0.4863608814232305,
    "dr": 0.4675324397029283,
    "sndr": 0.4637405772783231,
    "switch_dr": 0.43497896262259217,
    "dros": 0.46066299445311837,
    "mips": 0.41999056412625324,
}
HOW = EstimationSettings(
    clip=CLIP, switch=SWITCH, shrinkage=SHRINKAGE, smoothing=0.6, exploration=0.02,
    log_smoothing=0.1,
)  # fmt: skip
ROWS = np.arange(ROUNDS)


def events(sessions=ROUNDS, **changes):
    """The log of the Pipeline as columns; with fewer sessions, several events in each."""
    log = random_log()
    a, mu, pi = log["action"], log["mu"], log["pi"]
    same = CLUSTER[None] == CLUSTER[a][:, None]
    columns = dict(
        reward=log["reward"], log_pi=np.log(pi[ROWS, a]), log_mu=np.log(mu[ROWS, a]),
        session=ROWS % sessions, position=ROWS // sessions,
        q=log["model"][ROWS, a], v_pi=(pi * log["model"]).sum(1), v_mu=(mu * log["model"]).sum(1),
        log_pi_cluster=np.log((pi * same).sum(1)), log_mu_cluster=np.log((mu * same).sum(1)),
        action_value=log["model"][ROWS, a], state_value=(pi * log["model"]).sum(1),
        expected_advantage=((pi - mu) * log["model"]).sum(1),
    )  # fmt: skip
    return LoggedEvents(**{**columns, **changes})


@pytest.mark.parametrize("name", OBP)
@pytest.mark.parametrize("sessions", [ROUNDS, 50])
def test_estimates_are_those_of_the_open_bandit_pipeline(name, sessions):
    found = ESTIMATORS[name].sums(events(sessions), HOW).value
    assert found == pytest.approx(OBP[name], abs=1e-10)


def by_loops(name, log):
    """The formulas once more, event by event."""
    total = 0.0
    w = [math.exp(p - m) for p, m in zip(log.log_pi, log.log_mu, strict=True)]
    n, r, q = len(w), log.reward, log.q
    b = sum((x - 1) ** 2 * y for x, y in zip(w, r, strict=True)) / sum((x - 1) ** 2 for x in w)
    for i in range(n):
        pi, mu = math.exp(log.log_pi[i]), math.exp(log.log_mu[i])
        wc = math.exp(log.log_pi_cluster[i] - log.log_mu_cluster[i])
        total += {
            "exponential_smoothing": pi / mu**HOW.smoothing * r[i],
            "implicit_exploration": pi / (mu + HOW.exploration) * r[i],
            "logarithmic_smoothing": (
                math.log(1 + HOW.log_smoothing * w[i] * r[i]) / HOW.log_smoothing
            ),
            "offcem": log.v_pi[i] + wc * (r[i] - q[i]),
            "delta_ips": (w[i] - 1) * (r[i] - b),
            "delta_snips": w[i] * r[i] * n / sum(w) - r[i],
            "delta_dr": log.v_pi[i] - log.v_mu[i] + (w[i] - 1) * (r[i] - q[i]),
            # Of sessions of one event,
            "pdis": w[i] * r[i],
            "wpdis": w[i] * r[i] * n / sum(w),
            "sequential_dr": log.v_pi[i] + w[i] * (r[i] - q[i]),
            "fqe": log.state_value[i],
            "first_order": r[i] + log.expected_advantage[i],
            "delta_wpdis": w[i] * r[i] * n / sum(w) - r[i],
            "delta_sequential_dr": log.v_pi[i] + w[i] * (r[i] - q[i]) - r[i],
            "delta_first_order": log.expected_advantage[i],
        }[name]
    return total / n


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - set(OBP)))
def test_the_others_equal_their_formulas(name):
    log = events()
    assert ESTIMATORS[name].sums(log, HOW).value == pytest.approx(by_loops(name, log), abs=1e-12)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_the_policy_that_logged_is_worth_what_was_logged(name):
    """With π = μ weights are 1; the models alone are not bound to that, and smoothing is biased."""
    log, row = events(), ESTIMATORS[name]
    same = events(
        log_pi=log.log_mu, log_pi_cluster=log.log_mu_cluster, v_pi=log.v_mu,
        state_value=log.v_mu, expected_advantage=np.zeros(ROUNDS),
    )  # fmt: skip
    found = row.sums(same, EstimationSettings(clip=9, switch=9, shrinkage=1e12, smoothing=1.0,
                                              exploration=1e-12, log_smoothing=1e-9))  # fmt: skip
    if name in ("dm", "fqe"):
        assert found.value == pytest.approx(log.v_mu.mean())
    elif row.improvement:
        assert found.value == pytest.approx(0, abs=1e-9 if name != "delta_sequential_dr" else 0.1)
    elif "q" in row.needs or "action_value" in row.needs:
        assert found.value == pytest.approx((log.v_mu + log.reward - log.q).mean(), abs=1e-6)
    else:
        assert found.value == pytest.approx(log.reward.mean(), abs=1e-6)


UNBIASED = ("ips", "dr", "mips", "delta_dr", "pdis", "sequential_dr")


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased_estimates_are_right_on_average(name):
    """Every action of every context, as likely as μ draws it: the mean is exact."""
    draws = np.random.default_rng(3)
    contexts, actions = 5, 4
    mu, pi = draws.dirichlet(np.ones(actions), (2, contexts))
    reward = np.repeat(draws.normal(size=(contexts, 1)), actions, 1)  # the same within a cluster
    if name != "mips":
        reward = draws.normal(size=(contexts, actions))
    model = draws.normal(size=(contexts, actions))
    truth = (pi * reward).sum(1).mean()
    expected = 0.0
    for x in range(contexts):
        for a in range(actions):
            one = LoggedEvents(
                reward=reward[x, [a]], log_pi=np.log(pi[x, [a]]), log_mu=np.log(mu[x, [a]]),
                session=np.array([0]), position=np.array([0]), q=model[x, [a]],
                v_pi=(pi[x] * model[x]).sum()[None], v_mu=(mu[x] * model[x]).sum()[None],
                action_value=model[x, [a]], state_value=(pi[x] * model[x]).sum()[None],
                log_pi_cluster=np.zeros(1), log_mu_cluster=np.zeros(1),
            )  # fmt: skip
            expected += mu[x, a] / contexts * ESTIMATORS[name].sums(one, HOW).value
    if name == "delta_dr":
        truth -= (mu * reward).sum(1).mean()
    assert expected == pytest.approx(truth, abs=1e-12)


def test_sessions_are_what_errors_are_over():
    one, many = (ESTIMATORS["snips"].sums(events(n), HOW) for n in (ROUNDS, 20))
    assert one.value == pytest.approx(many.value, abs=1e-12)
    assert (len(one), len(many)) == (ROUNDS, 20)
    twice = events(
        session=np.repeat(np.arange(ROUNDS // 2), 2), position=np.tile([0, 1], ROUNDS // 2)
    )
    doubled = {name: np.repeat(getattr(events(), name)[::2], 2) for name in ("reward", "log_pi")}
    copies = events(
        session=twice.session, position=twice.position, **doubled,
        log_mu=np.repeat(events().log_mu[::2], 2),
    )  # fmt: skip
    half = events().log_mu[::2]
    single = LoggedEvents(
        events().reward[::2], events().log_pi[::2], half, np.arange(len(half)),
        np.zeros(len(half), int),
    )  # fmt: skip
    assert ESTIMATORS["ips"].sums(copies, HOW).stderr == pytest.approx(
        ESTIMATORS["ips"].sums(single, HOW).stderr
    )


def test_order_of_rows_makes_no_difference():
    shuffled = np.random.default_rng(0).permutation(ROUNDS)
    log = events(50)
    columns = {
        field.name: getattr(log, field.name)[shuffled]
        for field in fields(log)
        if isinstance(getattr(log, field.name), np.ndarray)
    }
    other = LoggedEvents(**columns)
    for name, row in ESTIMATORS.items():
        assert row.sums(other, HOW).value == pytest.approx(row.sums(log, HOW).value, abs=1e-12), (
            name
        )


def test_the_reward_of_the_log_is_its_mean():
    assert logged_reward(events(50)).value == pytest.approx(random_log()["reward"].mean())


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"log_pi": np.full(ROUNDS, np.nan)}, "column log_pi, row 0: it is missing"),
        ({"log_mu": np.full(ROUNDS, 0.1)}, "a log-probability is at most 0"),
        ({"reward": np.full(ROUNDS, np.inf)}, "column reward, row 0: it must be a finite number"),
        ({"position": np.zeros(ROUNDS, int), "session": np.zeros(ROUNDS, int)}, "there twice"),
        ({"session": np.full(ROUNDS, 3)}, "ids must be 0"),
        ({"q": np.zeros(3)}, "column q: its shape is"),
        ({"state_value": np.full(ROUNDS, np.nan)}, "column state_value, row 0"),
    ],
)
def test_columns_that_cannot_be_are_refused(changes, wrong):
    with pytest.raises(ColumnError, match=wrong):
        events(**changes)


def test_a_column_that_is_asked_for_and_not_there_is_named():
    with pytest.raises(ColumnError, match="column q: this estimate needs it"):
        ESTIMATORS["dr"].sums(events(q=None), HOW)
