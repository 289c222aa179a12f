"""Lists of items as a policy reads them: no longer than its inputs, opened where they begin."""

from __future__ import annotations

import torch
from torch import Tensor


def most_recent(item_seq: Tensor, length: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Keep the last ``limit`` items of each list of ``item_seq`` [B, L], padded on the right."""
    if item_seq.shape[1] <= limit:
        return item_seq, length
    first = (length - limit).clamp_min(0)
    place = first[:, None] + torch.arange(limit, device=item_seq.device)
    return item_seq.gather(1, place), length.clamp_max(limit)


def opened(item_seq: Tensor, length: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Put ``start`` before every list that is not full, and so begins with its session."""
    short = length < item_seq.shape[1]
    moved = torch.cat([torch.full_like(item_seq[:, :1], start), item_seq[:, :-1]], 1)
    return torch.where(short[:, None], moved, item_seq), length + short.long()
