"""Worlds whose truth is known: what a policy logs in them, and what it is worth."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.simulation.histories import Histories, Policy, log_probabilities
    from recbole_lpi.simulation.networks import policy_of
    from recbole_lpi.simulation.response_world import ResponseWorld, Shop
    from recbole_lpi.simulation.rollout import session_rewards, simulate, value

__all__ = [
    "Histories",
    "Policy",
    "ResponseWorld",
    "Shop",
    "log_probabilities",
    "policy_of",
    "session_rewards",
    "simulate",
    "value",
]

__getattr__ = lazily(
    __name__,
    {
        "Histories": "histories",
        "Policy": "histories",
        "ResponseWorld": "response_world",
        "Shop": "response_world",
        "log_probabilities": "histories",
        "policy_of": "networks",
        "session_rewards": "rollout",
        "simulate": "rollout",
        "value": "rollout",
    },
)
