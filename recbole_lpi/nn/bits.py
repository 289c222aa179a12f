"""Logarithms in bits, which the passes over the catalogue use: 2^x is faster than e^x."""

from __future__ import annotations

import math

from torch import Tensor

LOG_2 = math.log(2)
LOG2_E = 1 / LOG_2


def nats(bits: Tensor) -> Tensor:
    """Logarithms of probabilities [c, 1] in bits to [c] in nats, rounding above 0 cut off."""
    return (bits * LOG_2).clamp(max=0).squeeze(1)
