"""Temporal-difference targets and losses. All tensors [N]; ``discount`` is 0 at a session's end.

Every target is  y = r + γ · (value of the next state); a value estimator says what that value is:

    double_q        Q₂(x', argmax_a Q₁(x', a)): Eq. 11 without its maximisation bias (van Hasselt 2010)
    q_learning      max_a Q(x', a): Eq. 11 itself, with one head
    sarsa           Q(x', a') of the action that was logged next, or V(x'): the value of μ
    expected_sarsa  E_{a~π}[Q(x', a)]: the value of the policy being trained
    monte_carlo     the return from x' on: no bootstrap
    state_value     V(x') of a value head regressed on Q(x, a) (Kostrikov et al. 2022)
"""  # noqa: E501

from __future__ import annotations

import torch
from torch import Tensor


def bootstrap_target(reward: Tensor, discount: Tensor, value_tp1: Tensor) -> Tensor:
    """y = r + γ v(x'), detached; the value of a state that does not exist is not read. [N]"""
    if not reward.shape == discount.shape == value_tp1.shape or reward.dim() != 1:
        raise ValueError(
            "reward, discount and value_tp1 must share one shape [N], got "
            f"{tuple(reward.shape)}, {tuple(discount.shape)}, {tuple(value_tp1.shape)}"
        )
    return (reward + torch.where(discount > 0, discount * value_tp1, 0.0)).detach()


def squared_error(value: Tensor, target: Tensor) -> Tensor:
    """(value − target)², per event (Eq. 11). [N]; the target carries no gradient."""
    if value.shape != target.shape:
        raise ValueError(f"value {tuple(value.shape)} and target {tuple(target.shape)} differ")
    return (value - target.detach()).square()


def expectile_error(value: Tensor, target: Tensor, expectile: float) -> Tensor:
    """2 s (value − target)², s = τ below the target and 1 − τ above, per event. [N]

    Twice Eq. 5 of Kostrikov et al. (2022): its minimum over the distribution of the target is the
    τ-expectile, and τ = 0.5 is ``squared_error``.
    """
    error = squared_error(value, target)
    side = torch.where(target.detach() < value.detach(), 1 - expectile, expectile)
    return 2 * side * error


def discounted_sum(value: Tensor, decay: Tensor) -> Tensor:
    """S_i = value_i + decay_i · S_{i+1}, [N], where decay is 0 at the last event of a session.

    With decay γ and rewards it is the return, with decay γλ and TD residuals the generalised
    advantage. By doubling: after k rounds each sum reaches 2ᵏ events ahead.
    """
    total, reach, step = value, decay, 1
    while step < len(value) and bool(reach.any()):
        ahead = torch.zeros_like(total)
        ahead[:-step] = total[step:]
        total = total + torch.where(reach != 0, reach * ahead, 0.0)
        further = torch.zeros_like(reach)
        further[:-step] = reach[step:]
        reach, step = reach * further, 2 * step
    return total
