"""The mean size of the policy weights, which ``weight_normalize`` divides them by."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TINY = 1e-12  # of weights that are all 0, which have no scale


class MeanWeightSize(nn.Module):
    """Mean of |w| over an epoch; every event of the next epoch is divided by it.

    Divided by one number, two events' weights stand to one another as the objective says, whatever
    batches they are in. A batch's own mean would not do: batches hold sessions of like length, and
    the share of purchases, and so the mean, changes with the length. In the first epoch of weights
    the mean over its batches so far stands in.

    Means are over draws: Σ s|w| / Σ s with sample weights s. They are part of the model's state, so
    that a resumed run goes on with them.
    """

    def __init__(self) -> None:
        super().__init__()
        # Σ s|w| and Σ s: of the epoch before, and of this one so far; 0 and 0 where there is none.
        self.register_buffer("before", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("so_far", torch.zeros(2, dtype=torch.float64))
        self.before: Tensor
        self.so_far: Tensor

    def begin_epoch(self) -> None:
        """What was counted since the last call becomes what is divided by."""
        self.before.copy_(self.so_far)
        self.so_far.zero_()

    @torch.no_grad()
    def forward(self, size: Tensor, drawn: Tensor) -> Tensor:
        """The mean to divide a batch by, a scalar; in training mode the batch is counted.

        Args:
            size: Σ s|w| over the events of the batch, a scalar.
            drawn: Σ s over them, a scalar.
        """
        so_far = self.so_far + torch.stack([size, drawn]).to(self.so_far)
        if self.training:
            self.so_far.copy_(so_far)
        total = torch.where(self.before[1] > 0, self.before, so_far)
        return (total[0] / total[1]).clamp_min(TINY).to(size)
