"""The auxiliary heads that an objective asks for: made with the network, and drawn for a step."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from recbole_lpi.nn.heads import Q_HEADS, PropensityHead, QHead, ValueHead
from recbole_lpi.nn.repeats import RepeatHead
from recbole_lpi.objectives import Objective
from recbole_lpi.policy.losses import Heads
from recbole_lpi.policy.settings import PolicySettings


def make_head(
    name: str, objective: Objective, settings: PolicySettings, n_items: int, n_kinds: int = 0
) -> nn.Module:
    """Make the auxiliary head ``value``, ``propensity`` or ``q``, of a policy over A items.

    ``n_kinds``: the kinds of event that a repeat head tells apart.
    """
    network, given = settings.network, settings.objective
    size, std, sparse = network.hidden_size, network.initializer_range, settings.softmax.sparse
    if name == "value":
        return ValueHead(size)
    if name == "propensity":
        repeats = RepeatHead(size, n_kinds) if network.repeat_head else None
        return PropensityHead(n_items, size, std, sparse, repeats)
    kind, number = Q_HEADS[given.q_head], objective.q_heads(given)
    return nn.ModuleList(kind(n_items, size, std, sparse) for _ in range(number))


def heads_of_step(heads: nn.ModuleDict, draws: torch.Generator | None) -> Heads:
    """Return the heads of a step: of two Q heads, which one chooses is drawn from ``draws``."""
    named = dict(heads.items())
    q = None
    if "q" in named:
        pair = cast(nn.ModuleList, named["q"])
        first = int(torch.randint(len(pair), (), generator=draws))
        q = cast(QHead, pair[first]), cast(QHead, pair[first - 1])
    value, propensity = named.get("value"), named.get("propensity")
    return Heads(q, cast("ValueHead | None", value), cast("PropensityHead | None", propensity))
