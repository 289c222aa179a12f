"""Policy weights w(x, a) of the loss  −(1/N) Σ w(xᵢ, aᵢ) log π(aᵢ | xᵢ).

Each takes the numbers of an event and returns a detached tensor [N]: the paper cuts the gradient
at the weight (section 3.3), so that it steers the policy head without being steered by it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_lpi.objectives.estimates import Estimates


def uniform(estimates: Estimates) -> Tensor:
    """w = 1: maximum likelihood, the estimate μ̂ of the logging policy (section 4.1)."""
    return torch.ones_like(estimates.log_pi.detach())


def advantage_analytic(estimates: Estimates) -> Tensor:
    """A(x, a) = Q(x, a) − V(x), computed analytically from the Q head (section 4.2). [N]"""
    return (estimates.need("q") - estimates.need("v")).detach()


def advantage_td_residual(estimates: Estimates) -> Tensor:
    """A(x, a) = r + γ V(x') − V(x): the one-step TD residual under a state-value head. [N]

    Its expectation over r and x' is A_μ(x, a) when V = V_μ (Sutton & Barto 2018, section 13.5).
    """
    bootstrap = torch.where(
        estimates.discount > 0, estimates.discount * estimates.need("v_tp1"), 0.0
    )
    return (estimates.reward + bootstrap - estimates.need("v")).detach()


def exp_advantage(advantage: Tensor, beta: float, clip: float | None = None) -> Tensor:
    """w = min(exp(A/β), clip)  (Eq. 8). ``advantage`` [N]; β > 0 or ValueError; clip None: no clip.

    The exponent is bounded by log(clip) before exp is taken, so a large A/β does not overflow.
    """
    if not beta > 0:
        raise ValueError(f"beta must be > 0, got {beta}")
    exponent = advantage.detach() / beta
    if clip is not None:
        if not clip > 0:
            raise ValueError(f"weight_clip must be > 0, got {clip}")
        exponent = exponent.clamp(max=math.log(clip))
    return exponent.exp()
