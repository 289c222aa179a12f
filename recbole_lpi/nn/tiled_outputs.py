"""Outputs over the catalogue, [N, A], that are read a tile at a time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.nn.tile_sizes import even, parts

LOGGED_EVENTS = 256  # of a square product; of many more its square would be large


class Outputs(Protocol):
    """An [N, A] matrix that is read in tiles."""

    @property
    def n_items(self) -> int:
        """A, the number of items."""

    @property
    def source(self) -> Tensor:
        """A tensor that has the dtype and device of the matrix."""

    def tile(self, events: slice | Tensor, items: slice, out: Tensor) -> Tensor:
        """Write a tile [c, t] into ``out``, in its precision."""

    def logged(self, events: slice, item: Tensor) -> Tensor:
        """Output of an item per event, [c] -> [c, 1], rounded as in a tile where that can be."""


class Product(NamedTuple):
    """Outputs state @ weight.T + bias, [N, A], computed tile by tile.

    All are of one dtype: state [N, D], weight [A, D], bias [A] or None.
    """

    state: Tensor
    weight: Tensor
    bias: Tensor | None

    @property
    def n_items(self) -> int:
        """A, the number of items."""
        return len(self.weight)

    @property
    def source(self) -> Tensor:
        """The states, which have the dtype and device of the outputs."""
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
        """A, the number of items."""
        return self.values.shape[1]

    @property
    def source(self) -> Tensor:
        """The matrix itself."""
        return self.values

    def tile(self, events: slice | Tensor, items: slice, out: Tensor) -> Tensor:
        """Copy a tile [c, t] into ``out``."""
        return out.copy_(self.values[events, items])

    def logged(self, events: slice, item: Tensor) -> Tensor:
        """Output of an item per event, [c] -> [c, 1]."""
        return self.values[events].gather(1, item[:, None])


def product_dtype(state: Tensor) -> torch.dtype:
    """The precision that matrix products with ``state`` run in: its own, or that of autocast."""
    kind = state.device.type
    if torch.is_autocast_enabled(kind) and state.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return state.dtype
