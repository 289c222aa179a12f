"""The recurrent encoder of GRU4Rec."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GRU4Rec(nn.Module):
    """Encoder by gated recurrent units (Hidasi et al. 2016), in the form that RecBole gives it.

    Dropout of the embeddings, GRU layers without biases, and a linear map back to D.

    Args:
        hidden_size: D, of the embeddings and of the states.
        units: of each GRU layer.
        n_layers: the number of GRU layers.
        dropout_prob: dropout of the embeddings.
    """

    def __init__(self, *, hidden_size: int, units: int, n_layers: int, dropout_prob: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout_prob)
        self.gru = nn.GRU(hidden_size, units, n_layers, bias=False, batch_first=True)
        self.output = nn.Linear(units, hidden_size)
        for name, weight in self.gru.named_parameters():
            if name.endswith("_l0"):  # as RecBole has it; later layers keep torch's
                nn.init.xavier_uniform_(weight)

    def forward(self, items: Tensor) -> Tensor:
        """Encode item embeddings [B, L, D] to the state after each item [B, L, D]."""
        states, _ = self.gru(self.dropout(items))
        return torch.as_tensor(self.output(states))
