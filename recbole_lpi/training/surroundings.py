"""Where a model is trained, where it is kept, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.imputation import Imputation
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.observers import Observer
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.tensorboard import TensorBoard

FindPolicy = Callable[[SessionData, SessionData | None], PolicyNetwork | None]
FindNoiseFloor = Callable[
    [PolicyNetwork, SessionData, SessionData | None, SessionData], dict[str, Estimate] | None
]
FindImputation = Callable[[SessionData, SessionData, bool], Imputation]


@dataclass(frozen=True)
class Surroundings:
    """Where a model is trained, and what it is compared with.

    Attributes:
        device: where the model is.
        acceleration: half precision, TF32 and compilation.
        folder: what claims and returns the folder of the run when training begins; None: nothing
            is kept.
        resume: go on from the last epoch in that folder.
        logging_policy: finds the policy to compare with, given training and validation part.
        noise_floor: finds how far two seeds of that policy are apart, given it, both parts, and
            the part that is measured; it may know of none.
        imputation: finds what imputes rewards, given both and whether to show a bar.
        observer: follows the run.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    acceleration: AccelerationSettings = field(default_factory=AccelerationSettings)
    folder: Callable[[ExitStack], RunFolder] | None = None
    resume: bool = False
    logging_policy: FindPolicy | None = None
    noise_floor: FindNoiseFloor | None = None
    imputation: FindImputation | None = None
    observer: Observer = field(default_factory=TensorBoard)
