"""Baselines V(x), which the analytic advantage  A(x, a) = Q(x, a) − V(x)  subtracts (section 4.2).

A baseline is a row of ``BASELINES``, and its name there is a value of the setting
``advantage_baseline``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_lpi.objectives.critics import Critics, given, value_of_state
from recbole_lpi.objectives.requirements import Requirement


@dataclass(frozen=True)
class Baseline:
    """One V(x), either a statistic of Q over the catalogue or a function of what the heads say.

    Attributes:
        statistic: the name in ``CatalogueStatistics`` of a mean, maximum or the like of Q over the
            items. The pass takes it of what tells the items apart, and the part of Q that all
            items share is added to it.
        of: V(x) of each event, [N], where it is no statistic of the catalogue.
        value_head: whether it needs a value head beside Q, which is then regressed on Q(x, a).
        logging_policy: whether it is taken under the logging policy of the run.
        requires: what it asks of other settings.

    Raises:
        ValueError: both or neither of ``statistic`` and ``of`` are given.
    """

    statistic: str | None = None
    of: Callable[[Critics], Tensor] | None = None
    value_head: bool = False
    logging_policy: bool = False
    requires: tuple[Requirement, ...] = ()

    def __post_init__(self) -> None:
        if (self.statistic is None) == (self.of is None):
            raise ValueError("a baseline is either a statistic of the catalogue or a function")


def mean_of_sampled(critics: Critics) -> Tensor:
    """Mean of Q over the logged item and its n sampled negatives, [N] (Xin et al. 2022)."""
    q, negative = given(critics.q, "q"), given(critics.q_negative, "q_negative")
    return torch.cat([q[:, None], negative], 1).mean(1)


BASELINES: dict[str, Baseline] = {
    "policy": Baseline("expected_q"),  # E_{a~π}[Q(x, a)]
    "logging": Baseline("logging_q", logging_policy=True),  # E_{a~μ̂}[Q(x, a)]
    "max": Baseline("max_q"),  # max_a Q(x, a)
    "value": Baseline(of=value_of_state, value_head=True),  # Kostrikov et al. 2022
    "negatives": Baseline(
        of=mean_of_sampled,
        requires=(
            Requirement(
                "negative_samples", lambda number: number > 0, (1, 10), "no negatives are drawn"
            ),
        ),
    ),
}
