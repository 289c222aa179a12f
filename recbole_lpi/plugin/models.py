"""Define the policies as RecBole models, each a subclass of ``PolicyRecommender`` without code.

What tells them apart is their row of ``OBJECTIVES`` and their file in ``properties/``. Beside them
stand the baselines of ``counting_models``, which train nothing.
"""

from recbole_lpi.plugin.counting_models import (
    BASELINES,
    Popularity,
    SessionKNN,
    SessionPopularity,
)
from recbole_lpi.plugin.policy_recommender import PolicyRecommender


class LoggingPolicy(PolicyRecommender):
    """μ̂: the policy that made the logs, estimated by maximum likelihood (section 4.1)."""


class RewardWeighted(PolicyRecommender):
    """L_μ(π): cross-entropy weighted by the reward, a lower bound of J(π) (Eq. 4, 6)."""


class LPI(PolicyRecommender):
    """The plain form of local policy improvement: weighted by exp((r − max r)/β) (section 3.1)."""


class LPICB(PolicyRecommender):
    """LPI-CB: weighted by exp((r − V(x))/β), V regressed on r; a contextual bandit (Eq. 8)."""


class LPIRL(PolicyRecommender):
    """LPI-RL: cross-entropy weighted by exp(A/β), with λ × TD error (Eq. 8, 10, 11)."""


class PG(PolicyRecommender):
    """Policy gradient on the logs: weighted by the reward-to-go (section 4.2)."""


class IPS(PolicyRecommender):
    """Importance-weighted reward: weighted by min(π/μ̂, c) · r (Eq. 9)."""


class IPSPG(PolicyRecommender):
    """Off-policy policy gradient: weighted by min(π/μ̂, c) · reward-to-go (section 4.2)."""


class TopKIPS(PolicyRecommender):
    """Off-policy policy gradient with the top-K correction for slates (Chen et al. 2019)."""


class SQN(PolicyRecommender):
    """Self-supervised Q-learning: plain cross-entropy beside a Q head (Xin et al. 2020)."""


class SAC(PolicyRecommender):
    """Self-supervised actor-critic: weighted by Q(x, a) after a warm-up (Xin et al. 2020)."""


class SNQN(PolicyRecommender):
    """Q-learning as in SQN, whose Q head also learns from sampled negatives (Xin et al. 2022)."""


class SA2C(PolicyRecommender):
    """SAC weighted by the advantage over sampled negatives, after a warm-up (Xin et al. 2022)."""


class IQL(PolicyRecommender):
    """Implicit Q-learning: exp(A/β), V by expectile regression (Kostrikov et al. 2022)."""


MODELS: dict[str, type[PolicyRecommender]] = {
    model.__name__: model
    for model in (
        LoggingPolicy, RewardWeighted, LPI, LPICB, LPIRL, PG, IPS, IPSPG, TopKIPS, SQN, SAC, SNQN,
        SA2C, IQL,
    )
}  # fmt: skip

__all__ = [
    "BASELINES",
    "MODELS",
    "PolicyRecommender",
    "Popularity",
    "SessionKNN",
    "SessionPopularity",
    *MODELS,
]
