"""Outputs over the catalogue, [N, A], that are read a tile at a time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.nn.catalogue import Additions, Factors
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

    def at(self, events: slice | Tensor, width: int) -> Outputs:
        """Return the rows of some events, to be read in tiles of ``width`` items."""

    def tile(self, items: slice, out: Tensor) -> Tensor:
        """Write a tile [N, t] into ``out``, in its precision."""

    def logged(self, item: Tensor) -> Tensor:
        """Output of an item per event, [N] -> [N, 1], rounded as in a tile where that can be."""


class Spread:
    """Additions by the tile that their item lies in.

    Args:
        added: to the outputs of N events.
        n_items: A.
        width: items in a tile; the last one may have fewer.

    Attributes:
        row, place: where each stands in ``added``, in the order of the tiles, [E].
    """

    def __init__(self, added: Additions, n_items: int, width: int) -> None:
        row, place = (added.item >= 0).nonzero(as_tuple=True)
        item, tiles, sizes = added.item[row, place], -(-n_items // width), [len(row)]
        if tiles > 1:
            kind = torch.uint8 if tiles < 256 else torch.int16 if tiles < 2**15 else torch.int32
            tile, order = (item // width).to(kind).sort()  # the shorter, the faster
            row, place, item = row[order], place[order], item[order]
            sizes = tile.int().bincount(minlength=tiles).tolist()
        self.row, self.place, self._width = row, place, width
        value = added.value[row, place]
        columns = (torch.split(each, sizes) for each in (row, item % width, value))
        self._tiles: list[tuple[Tensor, Tensor, Tensor]] = list(zip(*columns, strict=True))

    def within(self, items: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return row, column and value of what is added to a tile."""
        return self._tiles[int(items.start) // self._width]

    def add(self, items: slice, tile: Tensor) -> None:
        """Add to a tile [N, t] of ``items``, in place."""
        row, column, value = self.within(items)
        if len(row):
            tile.index_put_((row, column), value.to(tile.dtype), accumulate=True)


class Product(NamedTuple):
    """Outputs state @ weight.T + bias, [N, A], computed tile by tile, and what is added to some.

    State [N, D], weight [A, D] and bias [A] or None are of one dtype.
    """

    state: Tensor
    weight: Tensor
    bias: Tensor | None
    added: Additions | None = None
    spread: Spread | None = None

    @property
    def n_items(self) -> int:
        """A, the number of items."""
        return len(self.weight)

    @property
    def source(self) -> Tensor:
        """The states, which have the dtype and device of the outputs."""
        return self.state

    def at(self, events: slice | Tensor, width: int) -> Product:
        """Return the rows of some events, to be read in tiles of ``width`` items."""
        state, (_, weight, bias, added, _) = self.state[events], self
        if added is None:
            return Product(state, weight, bias)
        added = added.at(events)
        return Product(state, weight, bias, added, Spread(added, len(weight), width))

    def tile(self, items: slice, out: Tensor) -> Tensor:
        """Compute a tile [N, t] into ``out``."""
        state, weight = self.state, self.weight[items]
        bias = None if self.bias is None else self.bias[items]
        if out.dtype != state.dtype:
            out.copy_(F.linear(state, weight, bias))
        elif bias is None:
            torch.mm(state, weight.t(), out=out)
        else:
            torch.addmm(bias, state, weight.t(), out=out)
        if self.spread is not None:
            self.spread.add(items, out)
        return out

    def logged(self, item: Tensor) -> Tensor:
        """Output of an item per event, [N] -> [N, 1]: the diagonal of products.

        Of some rows on, a product rounds as a tile does; a sum of its own, as in ``gather``, would
        not.
        """
        state, weight, bias = self.state, self.weight, self.bias
        found = [
            F.linear(state[at], weight[item[at]], None if bias is None else bias[item[at]])
            for at in parts(len(item), even(len(item), LOGGED_EVENTS))
        ]
        outputs = torch.cat([square.diagonal() for square in found])
        if self.added is not None:
            outputs = outputs.to(self.added.value.dtype) + self.added.of(item)
        return outputs[:, None]

    def gather(self, item: Tensor, dtype: torch.dtype) -> Tensor:
        """Output of one item per state, [N] -> [N], in the precision of a tile."""
        output = (self.state.to(dtype) * self.weight[item].to(dtype)).sum(-1)
        if self.bias is not None:
            output = output + self.bias[item].to(dtype)
        output = output.to(self.state.dtype).to(dtype)
        return output if self.added is None else output + self.added.of(item).to(dtype)


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

    def at(self, events: slice | Tensor, width: int) -> Matrix:
        """Return the rows of some events."""
        return Matrix(self.values[events])

    def tile(self, items: slice, out: Tensor) -> Tensor:
        """Copy a tile [N, t] into ``out``."""
        return out.copy_(self.values[:, items])

    def logged(self, item: Tensor) -> Tensor:
        """Output of an item per event, [N] -> [N, 1]."""
        return self.values.gather(1, item[:, None])


def product_of(factors: Factors, dtype: torch.dtype, scale: float = 1.0) -> Product:
    """Return what computes ``factors``, times ``scale``, with products in ``dtype``."""
    state, (weight, bias, _), added = factors
    if scale != 1.0:
        state, bias = state * scale, None if bias is None else bias * scale
    if added is not None:
        value = added.value.to(torch.promote_types(dtype, torch.float32)) * scale
        added = added._replace(value=value.detach())
    return Product(
        state.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype), added
    )


def product_dtype(state: Tensor) -> torch.dtype:
    """The precision that matrix products with ``state`` run in: its own, or that of autocast."""
    kind = state.device.type
    if torch.is_autocast_enabled(kind) and state.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return state.dtype
