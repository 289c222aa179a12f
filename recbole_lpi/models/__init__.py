"""The policies, a class of a few lines each over one ``PolicyRecommender``, and the floors."""

from recbole_lpi.models.floors import FLOORS, Popularity, SessionKNN
from recbole_lpi.models.policy import PolicyRecommender

__all__ = [
    "FLOORS", "LPIRL", "MODELS", "LoggingPolicy", "PolicyRecommender", "Popularity", "SessionKNN",
]  # fmt: skip


class LoggingPolicy(PolicyRecommender):
    """μ̂: the policy that made the logs, estimated by maximum likelihood (section 4.1)."""


class LPIRL(PolicyRecommender):
    """LPI-RL: cross-entropy weighted by exp(A/β), with λ × TD error (Eq. 8, 10, 11)."""


MODELS: dict[str, type[PolicyRecommender]] = {
    model.__name__: model for model in (LoggingPolicy, LPIRL)
}
