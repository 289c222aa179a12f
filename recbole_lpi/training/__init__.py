"""Training: the loop over epochs, one step of it, and what a run keeps."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.training.loop import TrainingLoop
    from recbole_lpi.training.policy_training import train_policy
    from recbole_lpi.training.run_folder import RunFolder
    from recbole_lpi.training.selection import Selector
    from recbole_lpi.training.settings import TrainingSettings
    from recbole_lpi.training.step import TrainingStep
    from recbole_lpi.training.training import Training

__all__ = [
    "RunFolder",
    "Selector",
    "Training",
    "TrainingLoop",
    "TrainingSettings",
    "TrainingStep",
    "train_policy",
]

__getattr__ = lazily(
    __name__,
    {
        "RunFolder": "run_folder",
        "Selector": "selection",
        "Training": "training",
        "TrainingLoop": "loop",
        "TrainingSettings": "settings",
        "TrainingStep": "step",
        "train_policy": "policy_training",
    },
)
