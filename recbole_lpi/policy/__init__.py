"""A policy: an encoder, a softmax over the items, auxiliary heads, their losses, and its file."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.policy.checkpoint import LoadedPolicy, load_policy
    from recbole_lpi.policy.network import PolicyNetwork
    from recbole_lpi.policy.settings import NetworkSettings, PolicySettings, SoftmaxSettings

__all__ = [
    "LoadedPolicy",
    "NetworkSettings",
    "PolicyNetwork",
    "PolicySettings",
    "SoftmaxSettings",
    "load_policy",
]

__getattr__ = lazily(
    __name__,
    {
        "LoadedPolicy": "checkpoint",
        "NetworkSettings": "settings",
        "PolicyNetwork": "network",
        "PolicySettings": "settings",
        "SoftmaxSettings": "settings",
        "load_policy": "checkpoint",
    },
)
