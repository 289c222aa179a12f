"""Worlds whose truth is known: what a policy logs in them, and what it is worth."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.simulation.draws import draw, draw_items
    from recbole_lpi.simulation.histories import Histories, Policy, log_probabilities
    from recbole_lpi.simulation.networks import policy_of
    from recbole_lpi.simulation.rollout import (
        Rollout,
        roll_out,
        session_rewards,
        simulate,
        value,
    )
    from recbole_lpi.simulation.shop import Shop
    from recbole_lpi.simulation.shop_settings import ShopSettings
    from recbole_lpi.simulation.tabular_world import (
        TabularLog,
        TabularWorld,
        exact_lpi,
        random_policy,
        random_world,
    )
    from recbole_lpi.simulation.world import DrawingPolicy, Response, World

__all__ = [
    "DrawingPolicy",
    "Histories",
    "Policy",
    "Response",
    "Rollout",
    "Shop",
    "ShopSettings",
    "TabularLog",
    "TabularWorld",
    "World",
    "draw",
    "draw_items",
    "exact_lpi",
    "log_probabilities",
    "policy_of",
    "random_policy",
    "random_world",
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
        "TabularLog": "tabular_world",
        "TabularWorld": "tabular_world",
        "World": "world",
        "draw": "draws",
        "draw_items": "draws",
        "exact_lpi": "tabular_world",
        "log_probabilities": "histories",
        "policy_of": "networks",
        "random_policy": "tabular_world",
        "random_world": "tabular_world",
        "roll_out": "rollout",
        "session_rewards": "rollout",
        "simulate": "rollout",
        "value": "rollout",
    },
)
