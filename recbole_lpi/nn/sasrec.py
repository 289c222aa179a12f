"""Encoders: a session of item embeddings [B, L, D] to the state after each of them [B, L, D]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "swish": nn.SiLU}
INITIALIZERS = ("normal", "xavier_normal")


class SASRec(nn.Module):
    """Self-attentive sequential encoder (Kang & McAuley 2018) with RecBole's post-norm layers.

    A session is padded on the right, so that the causal mask alone keeps padding out of every
    state that counts, and ``scaled_dot_product_attention`` needs no mask tensor.

    Args:
        hidden_size: D. n_heads must divide it, or ValueError.
        n_layers, n_heads, inner_size: shape of the transformer.
        hidden_dropout_prob, attn_dropout_prob: dropout of activations and of attention weights.
        hidden_act: gelu, relu or swish.
        layer_norm_eps: ε of the layer norms.
        max_length: the longest input, in events.
        initializer_range: standard deviation of the initial weights.
        initializer: ``normal``; or ``xavier_normal``, by which linear layers begin with weights of
            √(2 / (inputs + outputs)) instead (Glorot & Bengio 2010).
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        n_layers: int,
        n_heads: int,
        inner_size: int,
        hidden_dropout_prob: float,
        attn_dropout_prob: float,
        hidden_act: str,
        layer_norm_eps: float,
        max_length: int,
        initializer_range: float = 0.02,
        initializer: str = "normal",
    ) -> None:
        super().__init__()
        if hidden_size % n_heads:
            raise ValueError(f"hidden_size {hidden_size} is not a multiple of n_heads {n_heads}")
        if hidden_act not in ACTIVATIONS:
            raise ValueError(f"hidden_act must be one of {', '.join(ACTIVATIONS)}: {hidden_act!r}")
        if initializer not in INITIALIZERS:
            known = ", ".join(INITIALIZERS)
            raise ValueError(f"initializer must be one of {known}: {initializer!r}")
        self.position_embedding = nn.Embedding(max_length, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.dropout = nn.Dropout(hidden_dropout_prob)
        self.layers = nn.ModuleList(
            _Layer(hidden_size, n_heads, inner_size, hidden_dropout_prob, attn_dropout_prob,
                   ACTIVATIONS[hidden_act](), layer_norm_eps)
            for _ in range(n_layers)
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Linear) and initializer == "xavier_normal":
                nn.init.xavier_normal_(module.weight)
            elif isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.data.normal_(std=initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, items: Tensor) -> Tensor:
        """Item embeddings [B, L, D], padded on the right, to states [B, L, D]."""
        if items.dim() != 3 or items.shape[1] > self.position_embedding.num_embeddings:
            raise ValueError(
                f"items must be [B, L <= {self.position_embedding.num_embeddings}, D], "
                f"got {tuple(items.shape)}"
            )
        position = torch.arange(items.shape[1], device=items.device)
        hidden = self.dropout(self.norm(items + self.position_embedding(position)))
        for layer in self.layers:
            hidden = layer(hidden)
        return torch.as_tensor(hidden)


class _Layer(nn.Module):
    """Causal multi-head attention and a position-wise feed-forward, each with a post-norm."""

    def __init__(
        self,
        hidden_size: int,
        n_heads: int,
        inner_size: int,
        hidden_dropout: float,
        attention_dropout: float,
        activation: nn.Module,
        eps: float,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_dropout = attention_dropout
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.inner = nn.Linear(hidden_size, inner_size)
        self.outer = nn.Linear(inner_size, hidden_size)
        self.activation = activation
        self.norm_attention = nn.LayerNorm(hidden_size, eps=eps)
        self.norm_feed_forward = nn.LayerNorm(hidden_size, eps=eps)
        self.dropout = nn.Dropout(hidden_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        b, length, d = hidden.shape
        heads = self.query_key_value(hidden).view(b, length, 3, self.n_heads, d // self.n_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [B, heads, L, D / heads]
        context = F.scaled_dot_product_attention(
            query, key, value,
            dropout_p=self.attention_dropout if self.training else 0.0,
            is_causal=True,
        )  # fmt: skip
        context = context.transpose(1, 2).reshape(b, length, d)
        hidden = self.norm_attention(hidden + self.dropout(self.output(context)))
        inner = self.outer(self.activation(self.inner(hidden)))
        return torch.as_tensor(self.norm_feed_forward(hidden + self.dropout(inner)))
