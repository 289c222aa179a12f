"""Worlds whose truth is known: what a policy logs in them, and what it is worth."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.simulation.comparison import PolicyValue, WorldComparison, compare_policies
    from recbole_lpi.simulation.draws import draw, draw_items
    from recbole_lpi.simulation.histories import Histories, Policy, log_probabilities
    from recbole_lpi.simulation.known_logging_policy import KnownLoggingPolicy
    from recbole_lpi.simulation.networks import policy_of
    from recbole_lpi.simulation.ratings_world import RatingsWorld
    from recbole_lpi.simulation.rollout import (
        Rollout,
        roll_out,
        session_rewards,
        simulate,
        value,
    )
    from recbole_lpi.simulation.sardine_world import SardineSettings, SardineWorld
    from recbole_lpi.simulation.saved_policies import TranslatedPolicy, saved_policy
    from recbole_lpi.simulation.saved_worlds import (
        SavedWorld,
        WorldDescription,
        load_world,
        make_world,
        save_world,
    )
    from recbole_lpi.simulation.shop import Shop
    from recbole_lpi.simulation.shop_fitting import (
        LogShape,
        fitted_shop,
        shape_of,
        shape_of_shop,
    )
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
    "KnownLoggingPolicy",
    "LogShape",
    "Policy",
    "PolicyValue",
    "RatingsWorld",
    "Response",
    "Rollout",
    "SardineSettings",
    "SardineWorld",
    "SavedWorld",
    "Shop",
    "ShopSettings",
    "TabularLog",
    "TabularWorld",
    "TranslatedPolicy",
    "World",
    "WorldComparison",
    "WorldDescription",
    "compare_policies",
    "draw",
    "draw_items",
    "exact_lpi",
    "fitted_shop",
    "load_world",
    "log_probabilities",
    "make_world",
    "policy_of",
    "random_policy",
    "random_world",
    "roll_out",
    "save_world",
    "saved_policy",
    "session_rewards",
    "shape_of",
    "shape_of_shop",
    "simulate",
    "value",
]

__getattr__ = lazily(
    __name__,
    {
        "DrawingPolicy": "world",
        "Histories": "histories",
        "KnownLoggingPolicy": "known_logging_policy",
        "LogShape": "shop_fitting",
        "Policy": "histories",
        "PolicyValue": "comparison",
        "RatingsWorld": "ratings_world",
        "Response": "world",
        "Rollout": "rollout",
        "SardineSettings": "sardine_world",
        "SardineWorld": "sardine_world",
        "SavedWorld": "saved_worlds",
        "Shop": "shop",
        "ShopSettings": "shop_settings",
        "TabularLog": "tabular_world",
        "TabularWorld": "tabular_world",
        "TranslatedPolicy": "saved_policies",
        "World": "world",
        "WorldComparison": "comparison",
        "WorldDescription": "saved_worlds",
        "compare_policies": "comparison",
        "draw": "draws",
        "draw_items": "draws",
        "exact_lpi": "tabular_world",
        "fitted_shop": "shop_fitting",
        "load_world": "saved_worlds",
        "log_probabilities": "histories",
        "make_world": "saved_worlds",
        "policy_of": "networks",
        "random_policy": "tabular_world",
        "random_world": "tabular_world",
        "roll_out": "rollout",
        "save_world": "saved_worlds",
        "saved_policy": "saved_policies",
        "session_rewards": "rollout",
        "shape_of": "shop_fitting",
        "shape_of_shop": "shop_fitting",
        "simulate": "rollout",
        "value": "rollout",
    },
)
