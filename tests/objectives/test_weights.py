"""Policy weights against values worked by hand, and the cut gradient."""

import math

import pytest
import torch

from recbole_lpi.objectives import weights
from recbole_lpi.objectives.estimates import Estimates


def estimates(**given: list[float]) -> Estimates:
    base = {"reward": [1.0, 0.2], "discount": [0.5, 0.0], "log_pi": [-1.0, -2.0]}
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in (base | given).items()}
    return Estimates(**tensors)


def test_uniform_is_one():
    assert weights.uniform(estimates()).tolist() == [1.0, 1.0]


def test_analytic_advantage():
    a = weights.advantage_analytic(estimates(q=[0.7, 0.1], v=[0.4, 0.3]))
    torch.testing.assert_close(a, torch.tensor([0.3, -0.2]))
    assert not a.requires_grad


def test_td_residual_does_not_read_beyond_the_end():
    a = weights.advantage_td_residual(estimates(v=[0.4, 0.3], v_tp1=[0.6, math.nan]))
    torch.testing.assert_close(a, torch.tensor([1.0 + 0.5 * 0.6 - 0.4, 0.2 - 0.3]))
    assert not a.requires_grad


def test_exp_advantage_and_its_limits():
    a = torch.tensor([0.3, -0.2], requires_grad=True)
    w = weights.exp_advantage(a, beta=0.5)
    torch.testing.assert_close(w, torch.tensor([math.exp(0.6), math.exp(-0.4)]))
    assert not w.requires_grad
    torch.testing.assert_close(weights.exp_advantage(a, beta=1e9), torch.ones(2))
    assert weights.exp_advantage(torch.tensor([1e6]), beta=1e-3, clip=20.0).item() == pytest.approx(
        20
    )


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match="beta must be > 0"):
        weights.exp_advantage(torch.zeros(1), beta=beta)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"q must have the shape of reward, \(2,\)"):
        estimates(q=[0.1, 0.2, 0.3])


def test_a_missing_estimate_is_named():
    with pytest.raises(ValueError, match="needs 'q'"):
        weights.advantage_analytic(estimates())
