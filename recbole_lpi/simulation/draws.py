"""Drawing items by inverse CDF: one uniform number a session, whatever the number of items."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.simulation.histories import Histories, Policy
from recbole_lpi.simulation.world import DrawingPolicy

ELEMENTS = 2**21  # weights that are passed over at a time: they stay in the processor's last cache
FEWEST = 64  # rows, however many columns there are: each call of torch has a price


class Mixture(NamedTuple):
    """What is mixed with probabilities proportional to weights, for S rows.

        p(a) = share · weight(a) / Σ weight + floor + extra · [a = column]

    Attributes:
        share: float64 [S], of the weights.
        floor: >= 0, what every column has besides.
        column: int64 [S], which column has more.
        extra: float64 [S], >= 0, how much more.
    """

    share: Tensor
    floor: float
    column: Tensor
    extra: Tensor

    def take(self, index: Tensor) -> Mixture:
        """Return the rows at ``index``."""
        share, floor, column, extra = self
        return Mixture(share[index], floor, column[index], extra[index])


def rows_at_once(columns: int) -> int:
    """Return how many rows of weights are best passed over together."""
    return max(FEWEST, ELEMENTS // columns)


def draw(weight: Tensor, uniform: Tensor, mixture: Mixture | None = None) -> tuple[Tensor, Tensor]:
    """Draw a column of each row, with a probability proportional to its weight.

    The column is the first whose cumulative probability exceeds the uniform number, so the same
    number draws alike from weights that are alike. Sums are taken over blocks of about √A columns
    first, and within one block after that, which spares the cumulative sum of the whole row.

    Args:
        weight: float [S, A], >= 0, some of each row > 0.
        uniform: float64 [S], in [0, 1).
        mixture: what is mixed with the weights; None: nothing.

    Returns: columns int64 [S], of probability > 0, and their log-probabilities, float64 [S].
    """
    number, size = weight.shape[1], _block_size(weight.shape[1])
    missing = -number % size
    if missing:
        weight = torch.nn.functional.pad(weight, (0, missing))
    rows, blocks = torch.arange(len(weight)), weight.view(len(weight), -1, size)
    sums = blocks.sum(-1).double()
    scale = (1.0 if mixture is None else mixture.share) / sums.sum(-1)
    sums *= scale[:, None]
    if mixture is not None:
        sums += mixture.floor * size
        sums[:, -1] -= mixture.floor * missing
        sums[rows, mixture.column // size] += mixture.extra
    until = sums.cumsum(-1)
    sought = uniform[:, None] * until[:, -1:]
    block = _first_above(until, sought)
    before = until.gather(1, block) - sums.gather(1, block)
    share = (sought - before) / sums.gather(1, block)
    block = block.squeeze(1)
    chosen = blocks[rows, block].double() * scale[:, None]
    if mixture is not None:
        real = block[:, None] * size + torch.arange(size) < number
        chosen += mixture.floor * real
        there = (mixture.column // size == block) * mixture.extra
        chosen[rows, mixture.column % size] += there
    within = chosen.cumsum(-1)
    place = _first_above(within, share * within[:, -1:]).squeeze(1)
    return block * size + place, chosen[rows, place].log()


@cache
def _block_size(number: int) -> int:
    """Return about √number; what divides it, if such a size is there, spares a copy."""
    root = math.isqrt(number - 1) + 1
    return next((size for size in range(root, 2 * root) if number % size == 0), root)


def _first_above(cumulative: Tensor, sought: Tensor) -> Tensor:
    """Return the first place above ``sought`` [S, 1]; what rounds to the sum is of the last rise.

    A place that adds nothing is never the first above anything.
    """
    last = (cumulative < cumulative[:, -1:]).sum(-1, keepdim=True)
    return torch.minimum((cumulative <= sought).sum(-1, keepdim=True), last)


def draw_items(policy: Policy, histories: Histories, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw an item from a policy for each history.

    Args:
        policy: whose softmax is drawn from, or that draws by itself (``DrawingPolicy``).
        histories: of S sessions.
        uniform: float64 [S], in [0, 1).

    Returns: items int64 [S], 1 … A, and their log-probabilities, float64 [S].
    """
    if isinstance(policy, DrawingPolicy):
        return policy.draw(histories, uniform)
    logits = policy(histories)
    size = rows_at_once(logits.shape[1])
    pieces = [
        draw((rows - rows.amax(-1, keepdim=True)).exp_(), numbers)
        for rows, numbers in zip(torch.split(logits, size), torch.split(uniform, size), strict=True)
    ]
    column, log_probability = (torch.cat(list(part)) for part in zip(*pieces, strict=True))
    return column + 1, log_probability
