"""``MeanWeightSize``: the number by which ``weight_normalize`` divides the policy weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TINY = 1e-12  # the least size that is divided by: weights that are all 0 have none


class MeanWeightSize(nn.Module):
    """The mean of |w| over the epoch before, which the policy weights of this epoch are divided by.

    One number for all batches keeps the ratio of any two events' weights as the objective has it. A
    batch's own mean would not: batches hold sessions of like length, and the share of purchases,
    and so the mean, changes with the length. In the first epoch of weights the mean over its
    batches so far stands in.

    The mean is Σ s|w| / Σ s with sample weights s. Both sums are part of the model's state, so that
    a resumed run goes on with them.
    """

    def __init__(self) -> None:
        super().__init__()
        # Σ s|w| and Σ s: of the epoch before, and of this one so far; 0 and 0 where there is none.
        self.register_buffer("before", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("so_far", torch.zeros(2, dtype=torch.float64))
        self.before: Tensor
        self.so_far: Tensor

    def begin_epoch(self) -> None:
        """Divide from now on by the mean over the batches counted since the last call."""
        self.before.copy_(self.so_far)
        self.so_far.zero_()

    @torch.no_grad()
    def forward(self, size: Tensor, drawn: Tensor) -> Tensor:
        """The mean to divide a batch's weights by, a scalar; in training mode the batch is counted.

        Args:
            size: Σ s|w| over the events of the batch, a scalar.
            drawn: Σ s over them, a scalar.
        """
        so_far = self.so_far + torch.stack([size, drawn]).to(self.so_far)
        if self.training:
            self.so_far.copy_(so_far)
        total = torch.where(self.before[1] > 0, self.before, so_far)
        return (total[0] / total[1]).clamp_min(TINY).to(size)
