"""The logging policy μ̂ that a learned policy is compared with: found, trained or refused.

resolving      the one that the setting ``logging_policy`` names
identities     by what one of ``auto`` is found again
searching      finished runs of the user's own that are the same
making         one that is trained into ``logging_policy_dir``, once
loading        a checkpoint, refused or doubted where it is no estimate for the data at hand
noise_floors   how far two seeds of it are apart
"""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.plugin.logging_policy.identities import identity
    from recbole_lpi.plugin.logging_policy.noise_floors import noise_floor
    from recbole_lpi.plugin.logging_policy.resolving import find, resolve

__all__ = ["find", "identity", "noise_floor", "resolve"]

__getattr__ = lazily(
    __name__,
    {
        "find": "resolving",
        "identity": "identities",
        "noise_floor": "noise_floors",
        "resolve": "resolving",
    },
)
