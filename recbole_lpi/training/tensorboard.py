"""What TensorBoard shows of a run: losses and metrics of validation by epoch, and of the test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recbole_lpi.training.observers import Observer, Scalars
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.run_log import label


class TensorBoard(Observer):
    """Writes scalars into the folder ``tensorboard`` of the run.

    A run inside a run, such as that of the logging policy, has a group of its own:
    ``logging_policy/train/policy loss``.
    """

    def begin(self, folder: RunFolder, config: Mapping[str, Any]) -> None:
        """Write into this run's folder."""
        self.folder = folder.tensorboard

    def epoch(self, number: int, scalars: Scalars) -> None:
        """Write the scalars of an epoch."""
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        group = "_".join(re.findall(r"\w+", label.get()))
        with SummaryWriter(str(self.folder)) as writer:
            for name, value in scalars.items():
                writer.add_scalar("/".join(filter(None, (group, name))), value, number)

    def finish(self, number: int, scalars: Scalars) -> None:
        """Write the scalars of the test part."""
        if scalars:
            self.epoch(number, scalars)
