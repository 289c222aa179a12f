"""Outputs over the catalogue a tile at a time, and what is kept of the tiles gone by."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.nn.tiling import even, parts

LOGGED_EVENTS = 256  # of a square product; of many more its square would be large


class Outputs(Protocol):
    """An [N, A] matrix that is read in tiles."""

    @property
    def n_items(self) -> int:
        """A."""

    @property
    def source(self) -> Tensor:
        """Any tensor of its dtype and device."""

    def tile(self, events: slice | Tensor, items: slice, out: Tensor) -> Tensor:
        """Write a tile [c, t] into ``out``, in its precision."""

    def logged(self, events: slice, item: Tensor) -> Tensor:
        """Output of an item per event, [c] -> [c, 1], rounded as in a tile where that can be."""


class Product(NamedTuple):
    """state @ weight.T + bias, [N, A]: state [N, D], weight [A, D], bias [A] or None, one dtype."""

    state: Tensor
    weight: Tensor
    bias: Tensor | None

    @property
    def n_items(self) -> int:
        """A."""
        return len(self.weight)

    @property
    def source(self) -> Tensor:
        """The states."""
        return self.state

    def tile(self, events: slice | Tensor, items: slice, out: Tensor) -> Tensor:
        """Compute a tile [c, t] into ``out``."""
        state, weight = self.state[events], self.weight[items]
        bias = None if self.bias is None else self.bias[items]
        if out.dtype != state.dtype:
            return out.copy_(F.linear(state, weight, bias))
        if bias is None:
            return torch.mm(state, weight.t(), out=out)
        return torch.addmm(bias, state, weight.t(), out=out)

    def logged(self, events: slice, item: Tensor) -> Tensor:
        """Output of an item per event, [c] -> [c, 1]: the diagonal of products.

        Of some rows on, a product rounds as a tile does; a sum of its own, as in ``gather``, would
        not.
        """
        state, (weight, bias) = self.state[events], (self.weight, self.bias)
        found = [
            F.linear(state[at], weight[item[at]], None if bias is None else bias[item[at]])
            for at in parts(len(item), even(len(item), LOGGED_EVENTS))
        ]
        return torch.cat([square.diagonal() for square in found])[:, None]

    def gather(self, item: Tensor, dtype: torch.dtype) -> Tensor:
        """Output of one item per state, [N] -> [N], in the precision of a tile."""
        output = (self.state.to(dtype) * self.weight[item].to(dtype)).sum(-1)
        if self.bias is not None:
            output = output + self.bias[item].to(dtype)
        return output.to(self.state.dtype).to(dtype)


class Matrix(NamedTuple):
    """Outputs [N, A] that are written down."""

    values: Tensor

    @property
    def n_items(self) -> int:
        """A."""
        return self.values.shape[1]

    @property
    def source(self) -> Tensor:
        """The matrix."""
        return self.values

    def tile(self, events: slice | Tensor, items: slice, out: Tensor) -> Tensor:
        """Copy a tile [c, t] into ``out``."""
        return out.copy_(self.values[events, items])

    def logged(self, events: slice, item: Tensor) -> Tensor:
        """Output of an item per event, [c] -> [c, 1]."""
        return self.values[events].gather(1, item[:, None])


class RunningSum:
    """log₂ Σ 2^x over the tiles of a chunk of events, without overflow (Milakov & Gimelshein 2018).

    Attributes:
        peak: the largest x so far, [c, 1].
        total: Σ 2^(x − peak), [c, 1].
    """

    def __init__(self, like: Tensor) -> None:
        """``like`` [c, ...] gives number of events, dtype and device."""
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
        """Raise the peak [c, 1] to it where that is lower; what former sums shrink by."""
        before, self.peak = self.peak, torch.maximum(self.peak, largest)
        return (before - self.peak).exp2_()

    def _count(self, below: Tensor, shrink: Tensor) -> None:
        """Add up 2^x of what is told as below the peak, in place."""
        self.total.mul_(shrink).add_(below.exp2_().sum(1, keepdim=True))

    @property
    def log_total(self) -> Tensor:
        """log₂ Σ 2^x, [c, 1]."""
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
        """A tile [c, t] of the items from ``begin`` on; returns the largest of it, [c]."""
        if self.value is None or self.item is None:
            self.value, self.item = values.max(1)
            return self.value.clone()
        largest = values.amax(1)
        larger = (~(largest <= self.value)).nonzero().squeeze(1)  # NaN is larger, too
        if len(larger):
            value, place = values[larger].max(1)
            self.value[larger], self.item[larger] = value, place + begin
        return largest
