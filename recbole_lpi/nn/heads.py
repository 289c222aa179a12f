"""Heads on the state of the encoder: a table of items for Q and for μ̂, one number for V."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_lpi.nn.catalogue import Table


class QHead(nn.Module):
    """Q(x, a) of every item, s · wₐ + bₐ, as a table [A, D] whose rows can be gathered.

    ``sparse``: their gradient is, as that of ``nn.Embedding``.
    """

    def __init__(
        self, n_items: int, hidden_size: int, std: float = 0.02, sparse: bool = False
    ) -> None:
        super().__init__()
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(n_items, hidden_size).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(n_items))

    @property
    def table(self) -> Table:
        """The head as rows for the catalogue pass."""
        return Table(self.weight, self.bias, self.sparse)


class ValueHead(nn.Module):
    """V(x), one number per state: [..., D] -> [...]."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.Linear(hidden_size, 1)
        )

    def forward(self, state: Tensor) -> Tensor:
        """[..., D] -> [...]."""
        return torch.as_tensor(self.net(state)).squeeze(-1)


class PropensityHead(nn.Module):
    """μ̂(a | x) ∝ exp(s · wₐ), learnt on states it sends no gradient to (Chen et al. 2019).

    ``sparse``: the gradient of its rows is, as that of ``nn.Embedding``.
    """

    def __init__(
        self, n_items: int, hidden_size: int, std: float = 0.02, sparse: bool = False
    ) -> None:
        super().__init__()
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(n_items, hidden_size).normal_(std=std))

    @property
    def table(self) -> Table:
        """The head as rows for the catalogue pass."""
        return Table(self.weight, sparse=self.sparse)
