"""Reductions over the catalogue that are kept up to date tile by tile: log-sum-exp, maximum."""

from __future__ import annotations

import torch
from torch import Tensor


class RunningSum:
    """log₂ Σ 2^x over the tiles of a chunk of events, without overflow (Milakov & Gimelshein 2018).

    Attributes:
        peak: the largest x so far, [c, 1].
        total: Σ 2^(x − peak), [c, 1].
    """

    def __init__(self, like: Tensor) -> None:
        """Begin with no tile; ``like`` [c, ...] gives number of events, dtype and device."""
        self.peak = like.new_full((len(like), 1), torch.finfo(like.dtype).min)
        self.total = like.new_zeros(len(like), 1)

    def take(self, x: Tensor) -> Tensor:
        """Make a tile x [c, t] 2^(x − peak), in place.

        Returns: [c, 1], the factor that brings sums over former tiles to the present peak.
        """
        shrink = self._reach(x.amax(1, keepdim=True))
        self._count(x.sub_(self.peak), shrink)
        return shrink

    def read(self, x: Tensor, largest: Tensor, scale: float, out: Tensor) -> None:
        """Take scale · x of a tile [c, t], which stays; its ``largest`` x [c, 1] is known."""
        shrink = self._reach(largest * scale)
        self._count(torch.add(-self.peak, x, alpha=scale, out=out), shrink)

    def _reach(self, largest: Tensor) -> Tensor:
        """Raise the peak [c, 1] to ``largest`` at least; return what former sums shrink by."""
        before, self.peak = self.peak, torch.maximum(self.peak, largest)
        return (before - self.peak).exp2_()

    def _count(self, below: Tensor, shrink: Tensor) -> None:
        """Add Σ 2^below of a tile to the total; ``below``, x − peak, is overwritten."""
        self.total.mul_(shrink).add_(below.exp2_().sum(1, keepdim=True))

    @property
    def log_total(self) -> Tensor:
        """log₂ Σ 2^x of all tiles so far, [c, 1]."""
        return self.peak + self.total.log2()


class RunningMax:
    """Maximum and first argmax over the tiles of a chunk of events, [c] each.

    Only rows in which a tile has something larger are searched for its place: a maximum alone is
    vectorised, one with its place is not, and the largest so far is seldom surpassed.
    """

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self.item: Tensor | None = None

    def take(self, values: Tensor, begin: int) -> Tensor:
        """Take a tile [c, t] of the items from ``begin`` on; return the largest of it, [c]."""
        if self.value is None or self.item is None:
            self.value, self.item = values.max(1)
            return self.value.clone()
        largest = values.amax(1)
        larger = (~(largest <= self.value)).nonzero().squeeze(1)  # NaN is larger, too
        if len(larger):
            value, place = values[larger].max(1)
            self.value[larger], self.item[larger] = value, place + begin
        return largest
