"""Advantage estimators: what A(x, a) is.

An advantage estimator is a row of ``ADVANTAGE_ESTIMATORS``, and its name there is a value of the
setting ``advantage_estimator``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.requirements import Requirement
from recbole_lpi.objectives.td import bootstrap_target, discounted_sum, next_event

if TYPE_CHECKING:
    from recbole_lpi.objectives.settings import ObjectiveSettings

Critic = Literal["q", "value"]  # the head that learns values by the TD error


@dataclass(frozen=True)
class AdvantageEstimator:
    """One way to say how much better the logged action was than the average one.

    Attributes:
        critic: the head it is computed from: ``q``, whose baseline is a row of ``BASELINES``, or
            ``value``, which is its own baseline.
        advantage: A(x, a) of each event, [N], from the event's own estimates.
        along_session: A(x, a), [N], where other events of the session take part in it. It is given
            rewards, discounts and V(x), all of them [N] in the order of their sessions, and the
            settings; ``advantage`` finds the result as ``Estimates.advantage``.
        reads: the settings that it alone reads.
        requires: what it asks of other settings.
    """

    critic: Critic
    advantage: Callable[[Estimates], Tensor]
    along_session: Callable[[Tensor, Tensor, Tensor, ObjectiveSettings], Tensor] | None = None
    reads: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()


def analytic(estimates: Estimates) -> Tensor:
    """A = Q(x, a) − V(x), [N] (section 4.2)."""
    return estimates.need("q") - estimates.need("v")


def td_residual(estimates: Estimates) -> Tensor:
    """A = r + γ V(x') − V(x), [N].

    Its expectation over r and x' is A_μ(x, a) where V = V_μ (Sutton & Barto 2018, section 13.5).
    """
    discount = estimates.need("discount")
    bootstrap = torch.where(discount > 0, discount * estimates.need("v_tp1"), 0.0)
    return estimates.need("reward") + bootstrap - estimates.need("v")


def summed(estimates: Estimates) -> Tensor:
    """A as it was summed along the session, [N]."""
    return estimates.need("advantage")


def generalised_advantage(
    reward: Tensor, discount: Tensor, v: Tensor, settings: ObjectiveSettings
) -> Tensor:
    """A = Σ_k (γλ)ᵏ (r_{t+k} + γ V(x_{t+k+1}) − V(x_{t+k})), [N] (Schulman et al. 2016, Eq. 16)."""
    residual = bootstrap_target(reward, discount, next_event(v)) - v
    return discounted_sum(residual, discount * settings.gae_lambda)


ADVANTAGE_ESTIMATORS: dict[str, AdvantageEstimator] = {
    "analytic": AdvantageEstimator("q", analytic),
    "td_residual": AdvantageEstimator("value", td_residual),
    "gae": AdvantageEstimator("value", summed, generalised_advantage, reads=("gae_lambda",)),
}
