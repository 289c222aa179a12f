"""Find a finished run of ``--model=LoggingPolicy`` that is what ``auto`` would train."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.logging_policy.loading import doubts
from recbole_lpi.policy.checkpoint import read_checkpoint, weights_hash
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import refusing
from recbole_lpi.training.run_folder import RunFolder


def finished_run(
    wanted: str, among: Path | None, train: PolicyDataset, valid: PolicyDataset | None
) -> Path | None:
    """The first by name of the runs in ``among`` that have the identity ``wanted``; None for none.

    With the names that runs get by themselves it is the earliest, so that one that finishes later
    does not take its place. A run that another process is at is passed over, and so is one whose
    files are not those it wrote, with a warning.
    """
    if among is None or not among.is_dir():
        return None
    folders = map(RunFolder, sorted(among.iterdir()))
    return next((f.path for f in folders if _is_the_same(f, wanted, train, valid)), None)


def _is_the_same(
    folder: RunFolder, wanted: str, train: PolicyDataset, valid: PolicyDataset | None
) -> bool:
    """Whether a folder holds a whole run of that identity."""
    try:
        kept = folder.read_metrics() if folder.at_rest else {}
        if kept.get("identity") != wanted:
            return False
        with refusing(folder.model):
            _check(read_checkpoint(folder.model), kept, train, valid)
    except (SettingError, OSError) as error:
        if folder.begun:
            logging.getLogger().warning(f"logging policy: {folder.path} is passed over: {error}")
        return False
    return True


def _check(
    state: dict[str, Any],
    kept: dict[str, Any],
    train: PolicyDataset,
    valid: PolicyDataset | None,
) -> None:
    """Raise SettingError unless a checkpoint is the one whose metrics were written."""
    if (state["model"], state.get("identity")) != ("LoggingPolicy", kept["identity"]):
        raise SettingError("it is of another run than the metrics beside it")
    if weights_hash(state["state_dict"]) != kept.get("weights"):
        raise SettingError("its weights are not those that the run beside it measured")
    for doubt in doubts(state, train, valid):
        raise SettingError(f"it {doubt}")
