"""Repeats: what is added to the logits of the items that a session has already seen.

A score that is a product of a state and an item's row cannot tell whether the item is in the
session: a session that returns to what it has seen must be learnt once for every item. Here one
score, learnt from the state and from how an item was seen, is added to the logits of those items
(RepeatNet, Ren et al., AAAI 2019, mixes two softmaxes to the same end).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recbole_lpi.nn.catalogue import Additions

STEPS = 16  # of a logarithmic scale: half powers of 2, the last one from 2^7.5 = 181 on


class Seen(NamedTuple):
    """The items that histories hold at some places, each once, at its latest position. [N, L] each.

    Attributes:
        item: int64, 0 … A−1; −1 where there is none.
        age: int64, how many events were read since it was last seen; 0: it is the last one.
        times: int64, how often it was seen so far.
        kinds: bool [N, L, K], whether it was ever seen in an event of each kind.
    """

    item: Tensor
    age: Tensor
    times: Tensor
    kinds: Tensor


def items_seen(items: Tensor, kinds: Tensor, at: Tensor, n_items: int, n_kinds: int) -> Seen:
    """Return what histories [B, L] hold at the places ``at``, bool [B, L] with N of them true.

    Args: items 1 … A, anything else is none; kinds 1 … K, 0 for none. At a place its own event has
    been read, and no later one.
    """
    length = items.shape[1]
    real = (items > 0) & (items <= n_items)
    same = (items[:, :, None] == items[:, None, :]) & real[:, None, :]  # [B, when, what]
    row, place = at.nonzero(as_tuple=True)
    position = torch.arange(length, device=items.device)
    so_far = same.cumsum(1, dtype=torch.int32)
    count = so_far[row, place]  # [N, L]
    own = so_far.diagonal(dim1=1, dim2=2)[row]  # up to where it stands
    latest = (count == own) & real[row]  # beyond a place ``own`` is more than ``count``
    ever = []
    for kind in range(1, n_kinds + 1):
        of_kind = same & (kinds == kind)[:, :, None]
        ever.append(of_kind.cumsum(1, dtype=torch.int32)[row, place] > 0)
    return Seen(
        torch.where(latest, items[row] - 1, -1),
        (place[:, None] - position).clamp_min(0),
        count.long().clamp_min(1),
        torch.stack(ever, -1) if ever else latest.new_zeros(*latest.shape, 0),
    )


class RepeatHead(nn.Module):
    """c(x, a) = u · f(a) + D b(a), of the state u and of how the session has seen item a.

    f and b are sums of a row and a bias each for how recently, how often and in which kinds of
    event it was seen. All begin at 0, and so does c. To say that an item of 20,000 comes next once
    in ten times takes a logit of 8. A step of Adam moves a bias by its learning rate, so that it
    would take thousands of steps; times D it moves as fast as the D products of u · f together.

    Args:
        hidden_size: D, the width of states.
        n_kinds: K, the kinds of event that are told apart; 0: none are.
    """

    def __init__(self, hidden_size: int, n_kinds: int = 0) -> None:
        super().__init__()
        self.n_kinds, self.scale = n_kinds, hidden_size
        self.weight = nn.Parameter(torch.zeros(2 * STEPS + n_kinds, hidden_size))
        self.bias = nn.Parameter(torch.zeros(2 * STEPS + n_kinds))

    def forward(self, state: Tensor, seen: Seen) -> Additions:
        """Score the items seen [N, L] from states [N, D]."""
        scores = nn.functional.linear(state, self.weight, self.bias * self.scale)
        of_age, of_count, of_kind = torch.split(scores, [STEPS, STEPS, self.n_kinds], 1)
        value = of_age.gather(1, steps(seen.age + 1)) + of_count.gather(1, steps(seen.times))
        if self.n_kinds:
            value = value + (seen.kinds * of_kind[:, None]).sum(-1)
        return Additions(seen.item, value)


def steps(number: Tensor) -> Tensor:
    """Return the place of numbers ≥ 1 on a logarithmic scale, int64 in 0 … STEPS − 1."""
    return (2 * number.float().log2()).floor().long().clamp_max(STEPS - 1)
