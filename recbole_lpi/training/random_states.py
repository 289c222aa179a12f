"""States of torch's random generators: kept with an epoch, and gone on with when it is resumed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recbole_lpi.training.distributed import Ranks


def random_states(
    ranks: Ranks, device: torch.device, draws: torch.Generator | None
) -> dict[str, Any]:
    """Return the random states of this process; of several ``draws``, and each one's own."""
    cuda = torch.cuda.is_available()
    if not ranks.several:
        every = torch.cuda.get_rng_state_all() if cuda else []
        return {"rng": torch.get_rng_state(), "rng_cuda": every}
    own = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if cuda else [])]
    assert draws is not None
    return {"rng": draws.get_state(), "rng_ranks": ranks.gather(own)}


def set_random_states(
    state: dict[str, Any] | None, ranks: Ranks, device: torch.device, seed: list[int]
) -> torch.Generator | None:
    """Go on with the random states of a resume file, or of this process.

    Several processes draw alike which Q head chooses and which items are candidates; dropout and
    negatives are each one's own, of the file if it has as many processes, else of ``seed``.

    Returns: what several processes draw from alike, or None.
    """
    if state is not None:
        torch.set_rng_state(state["rng"])
        if state.get("rng_cuda") and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["rng_cuda"])
    if not ranks.several:
        return None
    draws = torch.Generator()
    draws.set_state(ranks.from_first(torch.get_rng_state))
    every = (state or {}).get("rng_ranks", ())
    if len(every) == ranks.size:
        cpu, *cuda = every[ranks.rank]
        torch.set_rng_state(cpu)
        for found in cuda:
            torch.cuda.set_rng_state(found, device)
    else:
        own = np.random.SeedSequence([*seed, ranks.rank])
        torch.manual_seed(int(own.generate_state(1)[0]))
    return draws
