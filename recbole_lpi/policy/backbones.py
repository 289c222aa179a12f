"""Encoders beside SASRec by their names, each with the arguments that ``encoder_args`` can give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from torch import nn

from recbole_lpi import settings
from recbole_lpi.nn.gru4rec import GRU4Rec
from recbole_lpi.nn.nextitnet import NextItNet
from recbole_lpi.policy.settings import NetworkSettings
from recbole_lpi.settings import SettingError

T = TypeVar("T")


@dataclass(frozen=True)
class GRU4RecArguments:
    """``encoder_args`` of gru4rec: the units of its GRU, those of the network if None."""

    hidden_size: int | None = None

    def __post_init__(self) -> None:
        if self.hidden_size is not None and self.hidden_size < 1:
            raise ValueError(f"hidden_size must be > 0, got {self.hidden_size}")


def _gru4rec(network: NetworkSettings) -> nn.Module:
    units = _arguments(GRU4RecArguments, network).hidden_size or network.hidden_size
    return GRU4Rec(
        hidden_size=network.hidden_size,
        units=units,
        n_layers=network.n_layers,
        dropout_prob=network.hidden_dropout_prob,
    )


@dataclass(frozen=True)
class NextItNetArguments:
    """``encoder_args`` of nextitnet, with RecBole's names and defaults."""

    block_num: int = 5
    dilations: tuple[int, ...] = (1, 4)
    kernel_size: int = 3

    def __post_init__(self) -> None:
        if min(self.block_num, self.kernel_size, *self.dilations, len(self.dilations)) < 1:
            raise ValueError(f"block_num, dilations and kernel_size must be > 0, got {self}")


def _nextitnet(network: NetworkSettings) -> nn.Module:
    own = _arguments(NextItNetArguments, network)
    return NextItNet(hidden_size=network.hidden_size, **vars(own))


BACKBONES: dict[str, Callable[[NetworkSettings], nn.Module]] = {
    "gru4rec": _gru4rec,
    "nextitnet": _nextitnet,
}


def _arguments(cls: type[T], network: NetworkSettings) -> T:
    """Read ``encoder_args`` as ``cls``; SettingError for another name, type or range."""
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
