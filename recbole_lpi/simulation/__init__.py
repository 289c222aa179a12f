"""Worlds whose truth is known: what a policy logs in them, and what it is worth."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.simulation.draws import draw, draw_items
    from recbole_lpi.simulation.histories import Histories, Policy, log_probabilities
    from recbole_lpi.simulation.networks import policy_of
    from recbole_lpi.simulation.rollout import Rollout, roll_out, session_rewards, simulate, value
    from recbole_lpi.simulation.shop import Shop
    from recbole_lpi.simulation.shop_settings import ShopSettings
    from recbole_lpi.simulation.world import DrawingPolicy, Response, World

__all__ = [
    "DrawingPolicy",
    "Histories",
    "Policy",
    "Response",
    "Rollout",
    "Shop",
    "ShopSettings",
    "World",
    "draw",
    "draw_items",
    "log_probabilities",
    "policy_of",
    "roll_out",
    "session_rewards",
    "simulate",
    "value",
]

__getattr__ = lazily(
    __name__,
    {
        "DrawingPolicy": "world",
        "Histories": "histories",
        "Policy": "histories",
        "Response": "world",
        "Rollout": "rollout",
        "Shop": "shop",
        "ShopSettings": "shop_settings",
        "World": "world",
        "draw": "draws",
        "draw_items": "draws",
        "log_probabilities": "histories",
        "policy_of": "networks",
        "roll_out": "rollout",
        "session_rewards": "rollout",
        "simulate": "rollout",
        "value": "rollout",
    },
)
