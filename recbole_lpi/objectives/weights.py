"""Policy weights w(x, a) of the loss  −(1/N) Σ w(xᵢ, aᵢ) log π(aᵢ | xᵢ).

Each takes the numbers of an event and returns a detached tensor [N]: the paper cuts the gradient
at the weight (section 3.3), so that it steers the policy head without being steered by it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_lpi.objectives.advantage_estimators import ADVANTAGE_ESTIMATORS
from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.settings import ObjectiveSettings


def uniform(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = 1: maximum likelihood, the estimate μ̂ of the logging policy (section 4.1)."""
    return torch.ones_like(estimates.need("log_pi"))


def reward(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = r: the lower bound L_μ(π) of the importance-weighted reward (Eq. 4, 6)."""
    return capped(estimates.need("reward"), settings)


def exp_reward(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = exp((r − max r)/β): the plain form of local policy improvement (section 3.1)."""
    gap = estimates.need("reward") - estimates.need("max_reward")
    return capped_exp(gap / settings.beta, settings)


def return_to_go(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = Σ_k γᵏ r_{t+k}: policy gradient on the logs, as if they were its own (section 4.2)."""
    return capped(estimates.need("return_"), settings)


def q_value(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = Q(x, a): the actor of self-supervised actor-critic (Xin et al. 2020)."""
    return capped(estimates.need("q"), settings)


def advantage(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = max(A(x, a), 0), as the authors' code has it (Xin et al. 2022)."""
    return capped(estimate_advantage(estimates, settings).clamp(min=0), settings)


def exp_of_advantage(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = exp(A(x, a)/β): local policy improvement (Eq. 8)."""
    return capped_exp(estimate_advantage(estimates, settings) / settings.beta, settings)


def ratio_times_reward(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = min(π/μ̂, c) · r: importance-weighted reward (Eq. 9)."""
    return importance_ratio(estimates, settings) * estimates.need("reward")


def ratio_times_return(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = min(π/μ̂, c) · return: policy gradient, one-step corrected (section 4.2)."""
    return importance_ratio(estimates, settings) * estimates.need("return_")


def top_k_ratio_times_return(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = min(π/μ̂, c) · K (1 − π)^(K−1) · return, for slates of K (Chen et al. 2019, Eq. 6)."""
    k, pi = settings.slate_size, estimates.need("log_pi").exp()
    return k * (1 - pi) ** (k - 1) * ratio_times_return(estimates, settings)


def estimate_advantage(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """A(x, a), [N], by the row of ``ADVANTAGE_ESTIMATORS`` that ``advantage_estimator`` names."""
    return ADVANTAGE_ESTIMATORS[settings.advantage_estimator].advantage(estimates)


def importance_ratio(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """The importance ratio of the logged action, at most ``weight_clip``: min(π/μ̂, c), [N]."""
    return capped_exp(estimates.need("log_pi") - estimates.need("log_mu"), settings)


def capped_exp(exponent: Tensor, settings: ObjectiveSettings) -> Tensor:
    """exp(x), at most ``weight_clip`` c, [N]; x is cut at log c first, so exp cannot overflow."""
    clip = settings.weight_clip
    return (exponent if clip is None else exponent.clamp(max=math.log(clip))).exp()


def capped(weight: Tensor, settings: ObjectiveSettings) -> Tensor:
    """w, at most ``weight_clip`` c: min(w, c), [N]."""
    return weight if settings.weight_clip is None else weight.clamp(max=settings.weight_clip)
