"""Copies of a logging policy, by what they read of each earlier event, and how they are rolled out.

All that depends on how a network is told what to read is here.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recbole_lpi.data.batches import Batch
from recbole_lpi.data.sessions import Sessions
from recbole_lpi.policy import PolicyNetwork, PolicySettings
from recbole_lpi.policy.loss_parts import GlobalBatch, LossParts
from recbole_lpi.simulation import Histories, Policy, policy_of

GAP_BINS = 32


def make_copy(
    inputs: tuple[str, ...], settings: PolicySettings, log: Sessions, n_items: int
) -> PolicyNetwork:
    """A network to be trained on ``log``, that reads ``item``, and ``event`` or ``time_gap``."""
    if inputs == ("item",):
        return PolicyNetwork("LoggingPolicy", settings, n_items)
    return ResponseNetwork(inputs, settings, log, n_items)


def as_policy(network: PolicyNetwork) -> Policy:
    """The policy that rolls ``network`` out."""
    return network.logits if isinstance(network, ResponseNetwork) else policy_of(network)


def gap_bins(seconds: np.ndarray) -> np.ndarray:
    """Bins of the time since an event, which double in width, 1 … GAP_BINS."""
    bins = np.floor(np.log2(np.maximum(seconds, 0.5))).astype(np.int64) + 2
    return np.asarray(bins.clip(1, GAP_BINS))


class ResponseNetwork(PolicyNetwork):
    """A network whose encoder reads the sum of the embeddings of item, kind and time gap."""

    def __init__(
        self, inputs: tuple[str, ...], settings: PolicySettings, log: Sessions, n_items: int
    ) -> None:
        super().__init__("LoggingPolicy", settings, n_items)
        sizes = {"event": len(log.event_names) + 1, "time_gap": GAP_BINS + 1}
        width, std = settings.network.hidden_size, settings.network.initializer_range
        self.tables = nn.ModuleDict(
            {name: nn.Embedding(sizes[name], width, padding_idx=0) for name in inputs[1:]}
        )
        for table in self.tables.values():
            with torch.no_grad():
                table.weight[1:].normal_(std=std)
        gaps = gap_bins(np.diff(log.timestamps, prepend=0.0))
        gaps[log.offsets[:-1]] = 0
        self.logged = {"event": log.events.astype(np.int64) + 1, "time_gap": gaps}
        self.read: dict[str, Tensor] = {}  # what the next pass reads beside the items

    def losses(self, batch: Batch, whole: GlobalBatch | None = None) -> LossParts:
        real = (batch.item_seq > 0) & (batch.item_seq <= self.n_items)
        before = np.maximum(batch.place.numpy() - 1, 0)
        self.read = {
            name: torch.from_numpy(values[before]) * real for name, values in self.logged.items()
        }
        return super().losses(batch, whole)

    def forward(self, item_seq: Tensor) -> Tensor:
        embedded = self.item_embedding(item_seq)
        for name, table in self.tables.items():
            embedded = embedded + table(self.read[name])
        return torch.as_tensor(self.encoder(embedded))

    @torch.no_grad()
    def logits(self, histories: Histories) -> Tensor:
        self.eval()
        pieces = torch.split(torch.arange(len(histories.items)), 2048)
        return torch.cat([self._outputs(histories.take(piece)) for piece in pieces])

    def _outputs(self, histories: Histories) -> Tensor:
        items, kinds, times, lengths = histories
        none = torch.zeros_like(lengths)[:, None]  # of the start token
        gaps = torch.from_numpy(gap_bins(np.diff(times.numpy(), axis=1)))
        first = none[:, : times.shape[1]]
        self.read = {
            "event": torch.cat([none, kinds], 1),
            "time_gap": torch.cat([none, first, gaps], 1),
        }
        state = self.forward(torch.cat([none + self.n_items + 1, items], 1))
        return self.policy_table.outputs(state[torch.arange(len(items)), lengths])
