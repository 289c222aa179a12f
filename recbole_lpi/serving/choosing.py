"""Which items are recommended, given log π of all: the likeliest, or some that are drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_lpi.data.batches import History


def generator(seed: int | None) -> torch.Generator:
    """Return what items are drawn from; without a seed, others each time."""
    draws = torch.Generator()
    draws.seed() if seed is None else draws.manual_seed(seed)
    return draws


def left(log_pi: Tensor, history: History, exclude_seen: bool, allowed: Tensor | None) -> Tensor:
    """Return log π of the items that may be chosen, [n, A]; −∞ of the others."""
    if not exclude_seen and allowed is None:
        return log_pi
    if allowed is not None:
        log_pi = log_pi.masked_fill(~allowed, -torch.inf)
    if exclude_seen:
        padded = torch.cat([log_pi.new_full((len(log_pi), 1), -torch.inf), log_pi], 1)
        log_pi = padded.scatter(1, history.items, -torch.inf)[:, 1:]
    return log_pi.log_softmax(-1).nan_to_num(-torch.inf, neginf=-torch.inf)


def chosen(log_pi: Tensor, k: int, draws: torch.Generator | None) -> tuple[Tensor, ...]:
    """Return index, log π and propensity of k items of each row, [n, k] each.

    Draws are Gumbel's: the k largest of log π + noise are k items drawn one after another, each
    from what is left (Kool, van Hoof & Welling 2019).
    """
    if draws is None:
        scores, index = log_pi.topk(k)
        return index, scores, scores.double().exp()
    noise = -torch.empty_like(log_pi).exponential_(generator=draws).log()
    index = (log_pi + noise).topk(k).indices
    scores = log_pi.gather(1, index)
    chance = scores.double().exp()
    left = 1 - (chance.cumsum(1) - chance)
    return index, scores, (chance / left.clamp_min(torch.finfo(torch.float64).tiny)).clamp_max(1)
