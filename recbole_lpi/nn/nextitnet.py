"""The convolutional encoder of NextItNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NextItNet(nn.Module):
    """Encoder by dilated causal convolutions (Yuan et al. 2019), with residual blocks (b).

    Args:
        hidden_size: D, of the embeddings, of the channels and of the states.
        block_num: how often the row of ``dilations`` is repeated.
        dilations: of the first convolution of each block; the second has twice as much.
        kernel_size: events that a convolution reads.
    """

    def __init__(
        self, *, hidden_size: int, block_num: int, dilations: Sequence[int], kernel_size: int
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(_Block(hidden_size, kernel_size, d) for d in [*dilations] * block_num)
        )
        self.output = nn.Linear(hidden_size, hidden_size)
        nn.init.xavier_normal_(self.output.weight)
        nn.init.constant_(self.output.bias, 0.1)

    def forward(self, items: Tensor) -> Tensor:
        """Encode item embeddings [B, L, D] to the state after each item [B, L, D]."""
        return torch.as_tensor(self.output(self.blocks(items)))


class _Block(nn.Module):
    """Two convolutions, each with layer norm and ReLU after it, and what came in added."""

    def __init__(self, size: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, size, kernel_size, dilation=d) for d in (dilation, 2 * dilation)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size, eps=1e-8) for _ in range(2))

    def forward(self, items: Tensor) -> Tensor:
        found = items
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            assert isinstance(convolution, nn.Conv1d)
            reach = (convolution.kernel_size[0] - 1) * convolution.dilation[0]
            past = F.pad(found.transpose(1, 2), (reach, 0))  # zeros before the session, none after
            found = F.relu(norm(convolution(past).transpose(1, 2)))
        return items + found
