"""Histories as a policy reads them: no longer than its inputs, opened where they begin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.data.batches import History


def most_recent(history: History, length: Tensor, limit: int) -> tuple[History, Tensor]:
    """Keep the last ``limit`` events of each history [B, L], of ``length`` [B].

    As in a window that begins there, nothing is known of the time before the first of them.
    """
    if history.items.shape[1] <= limit:
        return history, length
    first = (length - limit).clamp_min(0)
    place = first[:, None] + torch.arange(limit, device=length.device)
    items, kinds, gaps = history
    if kinds is not None:
        kinds = kinds.gather(1, place)
    if gaps is not None:
        gaps = gaps.gather(1, place)
        gaps[:, 0] = 0
    return History(items.gather(1, place), kinds, gaps), length.clamp_max(limit)


def opened(history: History, length: Tensor, start: int, limit: int) -> tuple[History, Tensor]:
    """Put ``start`` before every history shorter than ``limit``, which begins with its session."""
    short = length < limit

    def moved(field: Tensor, first: int) -> Tensor:
        if field.shape[1] < limit:
            field = F.pad(field, (0, 1))
        later = torch.cat([torch.full_like(field[:, :1], first), field[:, :-1]], 1)
        return torch.where(short[:, None], later, field)

    items, kinds, gaps = history
    kinds = None if kinds is None else moved(kinds, 0)
    gaps = None if gaps is None else moved(gaps, 0)
    return History(moved(items, start), kinds, gaps), length + short.long()
