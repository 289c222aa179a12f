"""Temporal-difference targets and losses. All tensors [N]; ``discount`` is 0 at a session's end."""

from __future__ import annotations

import torch
from torch import Tensor


def bootstrap_target(reward: Tensor, discount: Tensor, value_tp1: Tensor) -> Tensor:
    """y = r + γ v(x'), detached; the value of a state that does not exist is not read. [N]

    With value_tp1 = Q_B(x', argmax Q_A(x', ·)) this is double Q-learning (van Hasselt 2010), the
    paper's Eq. 11 with its maximisation bias removed; with V(x') it is TD(0).
    """
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
