"""Temporal-difference targets and losses, all of them tensors [N].

``discount`` is 0 at the last event of a session. Every target is  y = r + γ · (value of the next
state); the rows of ``VALUE_ESTIMATORS`` say what that value is.
"""

from __future__ import annotations

import torch
from torch import Tensor


def bootstrap_target(reward: Tensor, discount: Tensor, value_tp1: Tensor) -> Tensor:
    """y = r + γ v(x'), [N], detached; where the discount is 0 no value is read, it may be NaN."""
    if not reward.shape == discount.shape == value_tp1.shape or reward.dim() != 1:
        raise ValueError(
            "reward, discount and value_tp1 must share one shape [N], got "
            f"{tuple(reward.shape)}, {tuple(discount.shape)}, {tuple(value_tp1.shape)}"
        )
    return (reward + torch.where(discount > 0, discount * value_tp1, 0.0)).detach()


def next_event(value: Tensor) -> Tensor:
    """``value`` of the event after each, [N], where events stand in the order of their sessions.

    The last event gets that of the first; its discount is 0, so that nothing reads it.
    """
    return value.roll(-1, 0)


def squared_error(value: Tensor, target: Tensor) -> Tensor:
    """(value − target)² of each event, [N] (Eq. 11); the target carries no gradient."""
    if value.shape != target.shape:
        raise ValueError(f"value {tuple(value.shape)} and target {tuple(target.shape)} differ")
    return (value - target.detach()).square()


def expectile_error(value: Tensor, target: Tensor, expectile: float) -> Tensor:
    """2 s (value − target)² of each event, [N], with s = τ below the target and 1 − τ above it.

    Twice Eq. 5 of Kostrikov et al. (2022): its minimum over the distribution of the target is the
    τ-expectile, and τ = 0.5 is ``squared_error``.
    """
    error = squared_error(value, target)
    side = torch.where(target.detach() < value.detach(), 1 - expectile, expectile)
    return 2 * side * error


def discounted_sum(value: Tensor, decay: Tensor) -> Tensor:
    """S_i = value_i + decay_i · S_{i+1}, [N], where decay is 0 at the last event of a session.

    With decay γ and rewards it is the return, with decay γλ and TD residuals the generalised
    advantage. It is summed by doubling: after k rounds each sum reaches 2ᵏ events ahead.
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
