"""A check that a network can be an encoder: no later item changes an earlier state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TOLERANCE = 1e-5


def check_causal(encoder: nn.Module, hidden_size: int, max_length: int) -> None:
    """Try ``encoder`` on random sessions of several lengths, in eval mode. ValueError says a fault.

    Three sessions [3, L, D]: whole, padded on the left, and on the right (with zeros, as padding
    is embedded). One item changes at a time, and the states before it must stay.
    """
    training = encoder.training
    random = torch.Generator().manual_seed(0)
    encoder.eval()
    try:
        with torch.no_grad():
            for length in sorted({1, (max_length + 1) // 2, max_length}):
                _try(encoder, torch.randn(3, length, hidden_size, generator=random), random)
    finally:
        encoder.train(training)


def _try(encoder: nn.Module, items: Tensor, random: torch.Generator) -> None:
    length = items.shape[1]
    items[1, : length // 3] = 0
    items[2, length - length // 3 :] = 0
    before = _states(encoder, items)
    alone = torch.cat([_states(encoder, session[None]) for session in items])
    if not _same(before, alone).all():
        raise ValueError(
            "the states of a session change with the other sessions of its batch; it must read "
            "[B, L, D], the batch first"
        )
    for changed in sorted({1, length // 2, length - 1} - {0}):
        if changed >= length:
            continue
        other = items.clone()
        other[:, changed] = torch.randn(items[:, changed].shape, generator=random)
        moved = ~_same(_states(encoder, other), before)[:, :changed].all(-1).all(0)
        if moved.any():
            raise ValueError(
                f"not causal: another item at position {changed + 1} of {length} changes the "
                f"state at position {int(moved.nonzero()[0]) + 1}; hide later positions from it, "
                "by a causal mask, a recurrence in one direction or convolutions padded on the left"
            )


def _states(encoder: nn.Module, items: Tensor) -> Tensor:
    try:
        states = encoder(items)
    except Exception as error:  # whatever the network of a user raises
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"it fails on embeddings {list(items.shape)}: {said}") from error
    if not isinstance(states, Tensor) or states.shape != items.shape:
        got = list(states.shape) if isinstance(states, Tensor) else type(states).__name__
        raise ValueError(
            f"embeddings {list(items.shape)} must give a state at every position, of that shape; "
            f"got {got}"
        )
    if not states.isfinite().all():
        at = int((~states.isfinite()).nonzero()[0, 1]) + 1
        raise ValueError(f"the state at position {at} of {items.shape[1]} is not finite")
    return states


def _same(a: Tensor, b: Tensor) -> Tensor:
    return torch.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
