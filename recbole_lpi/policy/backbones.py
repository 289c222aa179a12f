"""RecBole's own causal backbones as encoders: item embeddings to the state at every position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from recbole_lpi import settings
from recbole_lpi.policy.settings import NetworkSettings
from recbole_lpi.settings import SettingError

T = TypeVar("T")


class RecBoleEncoder(nn.Module):
    """A backbone of RecBole's, its code untouched, that gives the state at every position.

    Args:
        model: its model. Embeddings come in, so its item table, which would be trained by nothing,
            is taken out, and ``gather_indexes``, by which it keeps the last state, keeps all.
        states: (model, item embeddings [B, L, D]) to states [B, L, D].
    """

    def __init__(self, model: Any, states: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        model.item_embedding = nn.Identity()
        model.gather_indexes = _every_position
        self.model, self.states = model, states

    def forward(self, items: Tensor) -> Tensor:
        """Item embeddings [B, L, D] to states [B, L, D]."""
        return self.states(self.model, items)


def _every_position(output: Tensor, last: Tensor) -> Tensor:
    return output


class _Catalogue:
    """A data set as far as RecBole's models ask: how large is the item table, soon taken out."""

    def num(self, field: str) -> int:
        return 1


def _config(network: NetworkSettings, max_length: int, **own: Any) -> dict[str, Any]:
    """RecBole's ``Config`` as far as its models ask; names of columns and the loss go unused."""
    return {
        "USER_ID_FIELD": "", "ITEM_ID_FIELD": "", "ITEM_LIST_LENGTH_FIELD": "", "NEG_PREFIX": "",
        "LIST_SUFFIX": "", "MAX_ITEM_LIST_LENGTH": max_length, "device": "cpu", "loss_type": "CE",
        "reg_weight": 0.0, "embedding_size": network.hidden_size, **own,
    }  # fmt: skip


@dataclass(frozen=True)
class GRU4RecArguments:
    """``encoder_args`` of gru4rec: the units of its GRU, those of the network if None."""

    hidden_size: int | None = None

    def __post_init__(self) -> None:
        if self.hidden_size is not None and self.hidden_size < 1:
            raise ValueError(f"hidden_size must be > 0, got {self.hidden_size}")


def _gru4rec(network: NetworkSettings, max_length: int) -> nn.Module:
    from recbole.model.sequential_recommender.gru4rec import GRU4Rec

    units = _arguments(GRU4RecArguments, network).hidden_size or network.hidden_size
    config = _config(
        network, max_length,
        hidden_size=units, num_layers=network.n_layers, dropout_prob=network.hidden_dropout_prob,
    )  # fmt: skip
    return RecBoleEncoder(GRU4Rec(config, _Catalogue()), _gru4rec_states)


def _gru4rec_states(model: Any, items: Tensor) -> Tensor:
    no_lengths = 0  # they are for gather_indexes alone
    return torch.as_tensor(model(items, no_lengths))


@dataclass(frozen=True)
class NextItNetArguments:
    """``encoder_args`` of nextitnet, with RecBole's names and defaults."""

    block_num: int = 5
    dilations: tuple[int, ...] = (1, 4)
    kernel_size: int = 3

    def __post_init__(self) -> None:
        if min(self.block_num, self.kernel_size, *self.dilations, len(self.dilations)) < 1:
            raise ValueError(f"block_num, dilations and kernel_size must be > 0, got {self}")


def _nextitnet(network: NetworkSettings, max_length: int) -> nn.Module:
    from recbole.model.sequential_recommender.nextitnet import NextItNet

    own = _arguments(NextItNetArguments, network)
    model = NextItNet(_config(network, max_length, **vars(own)), _Catalogue())
    return RecBoleEncoder(model, _nextitnet_states)


def _nextitnet_states(model: Any, items: Tensor) -> Tensor:
    # Its forward is this for the last position, which it picks without gather_indexes.
    return torch.as_tensor(model.final_layer(model.residual_blocks(items)))


BACKBONES: dict[str, Callable[[NetworkSettings, int], nn.Module]] = {
    "gru4rec": _gru4rec,
    "nextitnet": _nextitnet,
}


def _arguments(cls: type[T], network: NetworkSettings) -> T:
    """``encoder_args`` as the dataclass ``cls``; SettingError for another name, type or range."""
    given: Mapping[str, Any] = network.encoder_args
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise SettingError(
                f"encoder_args of {network.encoder} can be {', '.join(known)}, not '{name}'"
            )
    try:
        return settings.read(cls, defaultdict(lambda: None, given))
    except SettingError as error:
        raise SettingError(f"encoder_args of {network.encoder}: {error}") from None
