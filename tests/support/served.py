"""Checkpoints of small policies that nothing was trained for, and histories to ask them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recbole_lpi.data.identity import catalogue_hash
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.policy.checkpoint import policy_values, vocabulary_tensors

ITEMS, LENGTH, KINDS = 40, 6, ("click", "purchase")
TOKENS = Tokens(["[PAD]", *(f"item {number}" for number in range(1, ITEMS + 1))])


def network(first: bool = False, module: Any = None, **given: Any) -> PolicyNetwork:
    """A network whose every part says something."""
    torch.manual_seed(3)
    settings = PolicySettings(
        NetworkSettings(hidden_size=8, **given), max_length=LENGTH, evaluate_first_event=first
    )
    made = PolicyNetwork("LPI", settings, ITEMS, event_names=KINDS, encoder=module)
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(torch.randn_like(weights) * 0.3)
        if made.temperature is not None:
            made.temperature.fill_(1.7)
    return made.eval()


def checkpoint(folder: Path, model: str, values: dict[str, Any], weights: dict[str, Any]) -> Path:
    """The folder of a run that holds a checkpoint and nothing else."""
    folder.mkdir(exist_ok=True)
    state = {
        "format": "recbole_lpi", "schema": 2, "model": model, "config": {"dataset": "shop"},
        "policy": values, "items": vocabulary_tensors(TOKENS), "data": "",
        "catalogue": catalogue_hash(TOKENS), "n_items": ITEMS + 1, "epoch": 0, "valid_score": 0.0,
        "state_dict": weights,
    }  # fmt: skip
    torch.save(state, folder / "model.pth")
    return folder


def kept(made: PolicyNetwork, folder: Path) -> Path:
    """The network as the folder of its run."""
    return checkpoint(folder, made.name, policy_values(made), made.state_dict())


def histories(number: int = 40, seed: int = 1) -> list[list[tuple[str, str, float]]]:
    """Short ones with repeats, and longer ones than are read."""
    draws = np.random.default_rng(seed)
    return [
        [
            (f"item {draws.integers(1, 12)}", KINDS[draws.integers(2)], 1.6e9 + 40.0 * i * i)
            for i in range(draws.integers(1, LENGTH + 3))
        ]
        for _ in range(number)
    ]


class StepByStep(nn.Module):
    """An encoder that an exporter unrolls for the length that it is traced with."""

    def __init__(self, hidden_size: int, max_length: int) -> None:
        super().__init__()
        self.map = nn.Linear(hidden_size, hidden_size)

    def forward(self, items: Tensor) -> Tensor:
        states, state = [], torch.zeros_like(items[:, 0])
        for step in range(items.shape[1]):
            state = torch.tanh(self.map(state) + items[:, step])
            states.append(state)
        return torch.stack(states, 1)
