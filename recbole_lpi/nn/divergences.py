"""Divergences of two policies that are written down, row by row."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def jensen_shannon(log_pi: Tensor, log_mu: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of each row, [n, A] twice -> [n], in nats.

    Args: log-probabilities, −∞ where one is 0.
    """
    middle = torch.logaddexp(log_pi, log_mu) - math.log(2)
    left, right = (
        (log.exp() * (log - middle).nan_to_num(0.0, neginf=0.0)).sum(-1) for log in (log_pi, log_mu)
    )
    return torch.as_tensor((left + right) / 2)
