"""What TensorBoard shows of a run: losses and metrics of validation by epoch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from recbole_lpi.training.run_log import label


def write_epoch(
    folder: Path, epoch: int, losses: Mapping[str, float], found: Mapping[str, float]
) -> None:
    """Write an epoch into ``folder``: ``train/policy loss``, ``valid/ndcg@20``.

    A run inside a run, such as that of the logging policy, has a group of its own:
    ``logging_policy/train/policy loss``.
    """
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import

    group = "_".join(re.findall(r"\w+", label.get()))
    parts = {"train": losses, "valid": found}
    with SummaryWriter(str(folder)) as writer:
        for part, values in parts.items():
            for name, value in values.items():
                writer.add_scalar("/".join(filter(None, (group, part, name))), value, epoch)
