"""Objectives: every policy is  weight × cross-entropy + λ × TD error  (paper, Eq. 10).

    loss = −(1/N) Σ w(xᵢ, aᵢ) log π(aᵢ | xᵢ)  +  λ · (1/N) Σ (value(xᵢ) − targetᵢ)²

A row of ``OBJECTIVES`` says which weight w, and what an auxiliary head must learn for it. What such
a head learns, and what the weight makes of it, are rows too, which settings choose by name:
``VALUE_ESTIMATORS``, ``ADVANTAGE_ESTIMATORS`` and ``BASELINES``.
"""

from __future__ import annotations

from recbole_lpi.objectives import weights
from recbole_lpi.objectives.advantage_estimators import ADVANTAGE_ESTIMATORS, AdvantageEstimator
from recbole_lpi.objectives.baselines import BASELINES, Baseline
from recbole_lpi.objectives.critics import Critics
from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.objective import Objective
from recbole_lpi.objectives.settings import ObjectiveSettings
from recbole_lpi.objectives.value_estimators import VALUE_ESTIMATORS, ValueEstimator

__all__ = [
    "ADVANTAGE_ESTIMATORS",
    "BASELINES",
    "OBJECTIVES",
    "VALUE_ESTIMATORS",
    "AdvantageEstimator",
    "Baseline",
    "Critics",
    "Estimates",
    "Objective",
    "ObjectiveSettings",
    "ValueEstimator",
]

OBJECTIVES: dict[str, Objective] = {
    # Weights from the logs alone.
    "LoggingPolicy": Objective(weights.uniform),
    "RewardWeighted": Objective(weights.reward, rewards="all >= 0"),
    "LPI": Objective(weights.exp_reward, reads=("beta",)),
    "PG": Objective(weights.return_to_go, reads=("gamma",), rewards="some > 0"),
    # Weights by the importance ratio π/μ̂.
    "IPS": Objective(weights.ratio_times_reward, learns="propensity", rewards="some > 0"),
    "IPSPG": Objective(
        weights.ratio_times_return, learns="propensity", reads=("gamma",), rewards="some > 0"
    ),
    "TopKIPS": Objective(
        weights.top_k_ratio_times_return,
        learns="propensity",
        reads=("gamma", "slate_size"),
        rewards="some > 0",
    ),
    # With Q(x, a), by the TD error.
    "SQN": Objective(weights.uniform, learns="q"),
    "SNQN": Objective(weights.uniform, learns="q"),
    "SAC": Objective(weights.q_value, learns="q", rewards="some > 0"),
    # With an advantage.
    "SA2C": Objective(weights.advantage, learns="advantage"),
    "LPICB": Objective(weights.exp_of_advantage, learns="advantage", reads=("beta",), bandit=True),
    "LPIRL": Objective(weights.exp_of_advantage, learns="advantage", reads=("beta",)),
    "IQL": Objective(weights.exp_of_advantage, learns="advantage", reads=("beta",)),
}
