"""Serving: a trained policy put to use, from raw histories to items with propensities."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.serving.choosing import Recommendations
    from recbole_lpi.serving.mixture import Mixture
    from recbole_lpi.serving.onnx_policy import load_onnx
    from recbole_lpi.serving.raw_histories import RawHistories, read_histories
    from recbole_lpi.serving.recommender import Recommender
    from recbole_lpi.serving.saved_policies import load_policy
    from recbole_lpi.serving.served_policy import ServedPolicy

__all__ = [
    "Mixture",
    "RawHistories",
    "Recommendations",
    "Recommender",
    "ServedPolicy",
    "load_onnx",
    "load_policy",
    "read_histories",
]

__getattr__ = lazily(
    __name__,
    {
        "Mixture": "mixture",
        "RawHistories": "raw_histories",
        "Recommendations": "choosing",
        "Recommender": "recommender",
        "ServedPolicy": "served_policy",
        "load_onnx": "onnx_policy",
        "load_policy": "saved_policies",
        "read_histories": "raw_histories",
    },
)
