"""Objectives: every policy is  weight × cross-entropy + λ × TD error  (paper, Eq. 10).

    loss = −(1/N) Σ w(xᵢ, aᵢ) log π(aᵢ | xᵢ)  +  λ · (1/N) Σ (value(xᵢ) − targetᵢ)²

A row of ``OBJECTIVES`` says which weight w, and which auxiliary head learns the values it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from recbole_lpi.objectives import weights
from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.settings import ObjectiveSettings

__all__ = ["OBJECTIVES", "Estimates", "Objective", "ObjectiveSettings", "sampled"]


@dataclass(frozen=True)
class Objective:
    """One policy of the paper.

    Attributes:
        weight: policy weight [N] from the estimates of an event, detached.
        head: name of the auxiliary head for given settings: ``q``, ``value`` or None.
    """

    weight: Callable[[Estimates, ObjectiveSettings], Tensor]
    head: Callable[[ObjectiveSettings], str | None]


def sampled(objective: Objective) -> Objective:
    """The objective over a weighted sample: its policy weight times the event's sample weight."""
    return replace(
        objective,
        weight=lambda estimates, settings: (
            objective.weight(estimates, settings) * estimates.need("sample_weight")
        ),
    )


def _lpi_weight(estimates: Estimates, settings: ObjectiveSettings) -> Tensor:
    """w = exp(A/β), Eq. 8."""
    analytic = settings.advantage_estimator == "analytic"
    advantage = weights.advantage_analytic if analytic else weights.advantage_td_residual
    return weights.exp_advantage(advantage(estimates), settings.beta, settings.weight_clip)


OBJECTIVES: dict[str, Objective] = {
    "LoggingPolicy": Objective(
        weight=lambda estimates, settings: weights.uniform(estimates),
        head=lambda settings: None,
    ),
    "LPIRL": Objective(
        weight=_lpi_weight,
        head=lambda settings: "q" if settings.advantage_estimator == "analytic" else "value",
    ),
}
