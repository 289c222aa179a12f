"""Drawing items by inverse CDF: one uniform number a session, whatever the number of items."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_lpi.simulation.histories import Histories, Policy
from recbole_lpi.simulation.world import DrawingPolicy

AT_ONCE = 256  # rows of weights that are passed over while they are in the processor's cache


def draw(weight: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a column of each row, with a probability proportional to its weight.

    The column is the first whose cumulative probability exceeds the uniform number, so the same
    number draws alike from weights that are alike. Sums are taken over blocks of about √A columns
    first, and within one block after that, which spares the cumulative sum of the whole row.

    Args:
        weight: float [S, A], >= 0, some of each row > 0.
        uniform: float64 [S], in [0, 1).

    Returns: columns int64 [S], of weight > 0, and their log-probabilities, float64 [S].
    """
    size = math.isqrt(weight.shape[1] - 1) + 1  # of a block
    missing = -weight.shape[1] % size
    if missing:
        weight = torch.nn.functional.pad(weight, (0, missing))
    blocks = weight.view(len(weight), -1, size)
    until = blocks.sum(-1).double().cumsum(-1)
    total = until[:, -1:]
    sought = uniform[:, None] * total
    block = _first_above(until, sought)
    before = until.gather(1, (block - 1).clamp_min(0)) * (block > 0)
    share = (sought - before) / (until.gather(1, block) - before)
    chosen = blocks[torch.arange(len(weight)), block.squeeze(1)].double()
    within = chosen.cumsum(-1)
    place = _first_above(within, share * within[:, -1:])
    log_probability = (chosen.gather(1, place) / total).log()
    return (block * size + place).squeeze(1), log_probability.squeeze(1)


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
    pieces = [
        draw((rows - rows.amax(-1, keepdim=True)).exp_(), numbers)
        for rows, numbers in zip(logits.split(AT_ONCE), uniform.split(AT_ONCE), strict=True)
    ]
    column, log_probability = (torch.cat(list(part)) for part in zip(*pieces, strict=True))
    return column + 1, log_probability
