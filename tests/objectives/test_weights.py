"""Policy weights against values worked by hand, and the cut gradient."""

import math
from dataclasses import replace

import pytest
import torch

from recbole_lpi.objectives import ObjectiveSettings, weights
from recbole_lpi.objectives.estimates import Estimates


def estimates(**given: list[float]) -> Estimates:
    base = {"reward": [1.0, 0.2], "discount": [0.5, 0.0], "log_pi": [-1.0, -2.0]}
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in (base | given).items()}
    return Estimates(**tensors)


S = ObjectiveSettings(beta=0.5)


def close(weight, *expected):
    assert not weight.requires_grad
    torch.testing.assert_close(weight, torch.tensor(expected))


def test_weights_from_the_logs():
    e = estimates(return_=[1.1, 0.2], max_reward=[1.0, 1.0])
    close(weights.uniform(e, S), 1.0, 1.0)
    close(weights.reward(e, S), 1.0, 0.2)
    close(weights.exp_reward(e, S), 1.0, math.exp((0.2 - 1.0) / 0.5))
    close(weights.return_to_go(e, S), 1.1, 0.2)


def test_with_two_rewards_reward_weighting_is_lpi_at_one_temperature():
    """1.0 and 0.2: exp((r − 1)/β) is r at β = 0.8 / log 5."""
    e = estimates(max_reward=[1.0, 1.0])
    beta = 0.8 / math.log(5)
    assert beta == pytest.approx(0.497, abs=1e-3)
    close(weights.exp_reward(e, replace(S, beta=beta)), *weights.reward(e, S).tolist())


def test_weights_by_q_and_by_advantage():
    e = estimates(q=[0.7, 0.1], v=[0.4, 0.3])
    close(weights.q_value(e, S), 0.7, 0.1)
    close(weights.estimate_advantage(e, S), 0.3, -0.2)
    close(weights.advantage(e, S), 0.3, 0.0)
    close(weights.exp_of_advantage(e, S), math.exp(0.3 / 0.5), math.exp(-0.2 / 0.5))


def test_td_residual_does_not_read_beyond_the_end():
    e = estimates(v=[0.4, 0.3], v_tp1=[0.6, math.nan])
    residual = replace(S, advantage_estimator="td_residual")
    close(weights.estimate_advantage(e, residual), 1.0 + 0.5 * 0.6 - 0.4, 0.2 - 0.3)


def test_an_advantage_summed_along_the_session_is_taken_as_it_is():
    gae = replace(S, advantage_estimator="gae")
    close(weights.estimate_advantage(estimates(advantage=[0.9, -0.1]), gae), 0.9, -0.1)


def test_importance_ratios_are_clipped_before_they_meet_the_reward():
    e = estimates(log_mu=[-2.0, -1.0], return_=[1.1, 0.2])
    clipped = replace(S, weight_clip=2.0)  # e¹ is above, e⁻¹ below
    close(weights.ratio_times_reward(e, S), math.e * 1.0, 0.2 / math.e)
    close(weights.ratio_times_reward(e, clipped), 2.0 * 1.0, 0.2 / math.e)
    close(weights.ratio_times_return(e, clipped), 2.0 * 1.1, 0.2 / math.e)
    of_three = replace(clipped, slate_size=3)
    close(
        weights.top_k_ratio_times_return(e, of_three),
        3 * (1 - math.exp(-1)) ** 2 * 2.0 * 1.1,
        3 * (1 - math.exp(-2)) ** 2 * 0.2 / math.e,
    )


def test_a_slate_of_one_needs_no_correction():
    e = estimates(log_mu=[-2.0, -1.0], return_=[1.1, 0.2])
    one = replace(S, slate_size=1)
    close(weights.top_k_ratio_times_return(e, one), *weights.ratio_times_return(e, S).tolist())


def test_exp_limits():
    e = estimates(q=[1e6, 0.1], v=[0.0, 0.3])
    close(weights.exp_of_advantage(e, replace(S, beta=1e-3, weight_clip=20.0)),
          20.0, math.exp(-200))  # fmt: skip
    close(weights.exp_of_advantage(e, replace(S, beta=1e12)), 1.0, 1.0)


def test_clip_bounds_every_other_weight():
    e = estimates(q=[0.7, 0.1], return_=[1.1, 0.2])
    clipped = replace(S, weight_clip=0.5)
    close(weights.reward(e, clipped), 0.5, 0.2)
    close(weights.return_to_go(e, clipped), 0.5, 0.2)
    close(weights.q_value(e, clipped), 0.5, 0.1)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"q must have the shape of reward, \(2,\)"):
        estimates(q=[0.1, 0.2, 0.3])


def test_a_missing_estimate_is_named():
    with pytest.raises(ValueError, match="needs 'q'"):
        weights.q_value(estimates(), S)
