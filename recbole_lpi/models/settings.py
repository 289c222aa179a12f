"""Settings of the network, named as RecBole names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recbole_lpi.nn.encoder import ACTIVATIONS


@dataclass(frozen=True)
class NetworkSettings:
    """One architecture for every policy, SASRec in the paper (4.2). ValueError names what is wrong.

    Attributes:
        encoder: sasrec, gru4rec, nextitnet, or the import path of a module (``encoders.Encoder``).
        encoder_args: what the encoder takes beyond the settings below; none for sasrec.
        n_layers, n_heads, hidden_size, inner_size: shape of the transformer.
        hidden_dropout_prob, attn_dropout_prob: in [0, 1).
        hidden_act: gelu, relu or swish.
        layer_norm_eps: ε of the layer norms.
        initializer_range: standard deviation of the initial weights.
        tie_weights: whether the policy scores items by the embedding that the encoder reads.
    """

    encoder: str = "sasrec"
    encoder_args: dict[str, Any] = field(default_factory=dict)
    n_layers: int = 1
    n_heads: int = 1
    hidden_size: int = 64
    inner_size: int = 256
    hidden_dropout_prob: float = 0.2
    attn_dropout_prob: float = 0.2
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    tie_weights: bool = True

    def __post_init__(self) -> None:
        for name in ("n_layers", "n_heads", "hidden_size", "inner_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.hidden_size % self.n_heads:
            raise ValueError(
                f"hidden_size must be a multiple of n_heads, got {self.hidden_size} and "
                f"{self.n_heads}"
            )
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(
                f"hidden_act must be one of {', '.join(ACTIVATIONS)}, got {self.hidden_act!r}"
            )
        for name in ("hidden_dropout_prob", "attn_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
