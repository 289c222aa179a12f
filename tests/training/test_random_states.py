"""What several processes draw alike, and what each draws for itself."""

from types import SimpleNamespace
from typing import Any

import torch

from recbole_lpi.training.random_states import random_states, set_random_states

CPU = torch.device("cpu")


def drawn(rank, size=2, state=None, seed=(1, 2)):
    """First numbers of what process ``rank`` shares and of its own, and the states then."""
    shared = torch.Generator().manual_seed(5).get_state()
    ranks: Any = SimpleNamespace(
        several=True, rank=rank, size=size, from_first=lambda _: shared, gather=lambda own: [own]
    )
    draws = set_random_states(state, ranks, CPU, list(seed))
    found = float(torch.rand(1, generator=draws)), float(torch.rand(1))
    return *found, random_states(ranks, CPU, draws)


def test_processes_share_one_generator_and_have_one_each():
    (alike, own, _), (same, other, _) = drawn(0), drawn(1)
    assert alike == same and own != other
    assert drawn(1)[:2] == (same, other)
    assert drawn(1, seed=(1, 3))[1] != other  # another epoch


def test_as_many_processes_go_on_with_their_own_states():
    states = [drawn(rank)[2]["rng_ranks"][0] for rank in (0, 1)]
    torch.set_rng_state(states[1][0])
    following = float(torch.rand(1))
    state = {"rng": torch.get_rng_state(), "rng_ranks": states}
    assert drawn(1, state=state)[1] == following
    assert drawn(1, size=3, state=state)[1] == drawn(1, size=3)[1]  # others than it was kept by
