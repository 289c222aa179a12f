"""What a policy reads of each earlier event besides its item: its kind, the time before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_lpi.data.batches import History
from recbole_lpi.data.times import GAP_BINS
from recbole_lpi.policy.settings import NetworkSettings

FIELDS = {"event": "kinds", "time_gap": "gaps"}  # of a history, by the name of the input


class EventEmbedding(nn.Module):
    """The sum of a learnt row [D] for the kind and for the time gap of each event of a history.

    Args:
        network: says which of them are read.
        n_kinds: K, the kinds of event.
    """

    def __init__(self, network: NetworkSettings, n_kinds: int) -> None:
        super().__init__()
        sizes = {"event": n_kinds + 1, "time_gap": GAP_BINS + 1}
        self.tables = nn.ModuleDict()
        for name in network.inputs:
            if name != "item":
                table = nn.Embedding(sizes[name], network.hidden_size, padding_idx=0)
                with torch.no_grad():
                    table.weight[1:].normal_(std=network.initializer_range)
                self.tables[name] = table

    def forward(self, items: Tensor, history: History) -> Tensor:
        """Add what is known of each event to embeddings of its item, [B, L, D].

        Raises:
            ValueError: the history lacks what is read.
        """
        for name, table in self.tables.items():
            field: Tensor | None = getattr(history, FIELDS[name])
            if field is None:
                raise ValueError(
                    f"this policy reads inputs {['item', *self.tables]}: a history needs "
                    f"{FIELDS[name]} beside its items"
                )
            items = items + table(field)
        return items
