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
    """The items that histories hold at some places, each once, at its latest position.

    Attributes:
        item: int64 [N, L], 0 … A−1; −1 where there is none.
        age: int64 [N, L], how many events were read since it was last seen; 0: it is the last one.
        times: int64 [N, L], how often it was seen so far.
        kinds: bool [K, N, L], whether it was ever seen in an event of each kind.
    """

    item: Tensor
    age: Tensor
    times: Tensor
    kinds: Tensor


def items_seen(items: Tensor, kinds: Tensor, at: Tensor, n_items: int, n_kinds: int) -> Seen:
    """Return what histories [B, L] hold at the places ``at``, bool [B, L] with N of them true.

    Args: items 1 … A, anything else is none; kinds 1 … K, 0 for none. At a place its own event has
    been read, and no later one.

    All but the age is known of a position, whatever the place: an item counts from where it stands
    to before it stands again, with what was so far.
    """
    length = items.shape[1]
    of_kinds = kinds == torch.arange(1, n_kinds + 1, device=kinds.device)[:, None, None]
    again, times, ever = _along_repeats(items, of_kinds)
    row, place = at.nonzero(as_tuple=True)
    position = torch.arange(length, device=items.device)
    item = torch.where((items > 0) & (items <= n_items), items - 1, -1)
    age = place[:, None] - position
    there = (age >= 0) & (place[:, None] < again[row])
    item = item[row].masked_fill_(~there, -1)
    return Seen(item, age.clamp_min_(0), times[row], ever[:, row])


def _along_repeats(items: Tensor, of_kinds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return of each position [B, L] where its item stands again, and what it was so far.

    These are the position of the item's next occurrence, L if it has none; how often it occurs up
    to here; and whether it did in an event of each kind, [K, B, L].
    """
    length = items.shape[1]
    ordered, order = items.sort(dim=1, stable=True)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = torch.arange(length, device=items.device).expand_as(order)
    first = torch.where(begins, rank, 0).cummax(1).values  # where the run of the item begins
    again = torch.full_like(order, length)
    again[:, :-1] = torch.where(begins[:, 1:], length, order[:, 1:])
    found = of_kinds.gather(2, order.expand(len(of_kinds), -1, -1))
    so_far = found.cumsum(2, dtype=torch.int32)
    before = (so_far - found.int()).gather(2, first.expand_as(so_far))
    back = order.argsort(1)
    return (
        again.gather(1, back),
        (rank - first + 1).gather(1, back),
        (so_far > before).gather(2, back.expand_as(so_far)),
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
        step = steps(torch.arange(1, seen.age.shape[1] + 1, device=state.device))
        value = of_age.gather(1, step[seen.age]) + of_count.gather(1, step[seen.times - 1])
        for kind, ever in enumerate(seen.kinds):
            value = value + ever * of_kind[:, kind, None]
        return Additions(seen.item, value)


def steps(number: Tensor) -> Tensor:
    """Return the place of numbers ≥ 1 on a logarithmic scale, int64 in 0 … STEPS − 1."""
    return (2 * number.float().log2()).floor().long().clamp_max(STEPS - 1)
