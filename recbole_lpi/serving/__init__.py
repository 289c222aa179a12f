"""Serving: a trained policy put to use, from raw histories to items with propensities."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.serving.mixture import Mixture
    from recbole_lpi.serving.raw_histories import RawHistories, read_histories
    from recbole_lpi.serving.recommender import Recommendations, Recommender, load_policy

__all__ = [
    "Mixture",
    "RawHistories",
    "Recommendations",
    "Recommender",
    "load_policy",
    "read_histories",
]

__getattr__ = lazily(
    __name__,
    {
        "Mixture": "mixture",
        "RawHistories": "raw_histories",
        "Recommendations": "recommender",
        "Recommender": "recommender",
        "load_policy": "recommender",
        "read_histories": "raw_histories",
    },
)
