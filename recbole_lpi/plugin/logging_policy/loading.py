"""Load a logging policy from its checkpoint: refused where it is no estimate, doubted elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recbole_lpi.data.identity import data_hash, part_hash
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.policy.checkpoint import (
    build_policy,
    check_catalogue,
    read_checkpoint,
    vocabulary,
)
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import refusing
from recbole_lpi.training import distributed
from recbole_lpi.training.run_folder import RunFolder


def load(path: str | Path, train: PolicyDataset, valid: PolicyDataset | None) -> PolicyNetwork:
    """Load the logging policy of a checkpoint or run folder, frozen, on the CPU.

    Warns where it is of other data, or its epoch is at an end of its training. SettingError if it
    is another model, of another catalogue or of shorter inputs.
    """
    state = distributed.ranks().from_first(lambda: read_checkpoint(path))
    if state["model"] != "LoggingPolicy":
        raise SettingError(
            f"{path} holds a {state['model']}, not a LoggingPolicy; train one by "
            "--model=LoggingPolicy or use --logging_policy=auto"
        )
    with refusing(path):
        policy = _made(state, path, train, valid)
        if distributed.ranks().first and (doubt := _end_of_training(state, Path(path))):
            logging.getLogger().warning(f"logging policy: {path} {doubt}")
    return policy


def _made(
    state: dict[str, Any], path: str | Path, train: PolicyDataset, valid: PolicyDataset | None
) -> PolicyNetwork:
    """Make the logging policy of a checkpoint, frozen; warn where it is of other data."""
    check_catalogue(state, train, path)
    vocabulary(state, path)  # refused where it is broken, as all of the file is
    policy = build_policy(state, path)
    if policy.settings.evaluate_first_event != train.settings.evaluate_first_event:
        raise SettingError(f"{path} was trained with another evaluate_first_event")
    if policy.settings.max_length < train.settings.max_length:
        raise SettingError(
            f"{path} reads {policy.settings.max_length} events at most, this run "
            f"{train.settings.max_length}: give both the same MAX_ITEM_LIST_LENGTH"
        )
    for doubt in doubts(state, train, valid):
        logging.getLogger().warning(f"{path} {doubt}")
    return policy


def doubts(
    state: dict[str, Any], train: PolicyDataset, valid: PolicyDataset | None
) -> Iterator[str]:
    """Say why a checkpoint may be no estimate of what made the log, or have seen the test part."""
    name = train.dataset_name
    if state["data"] != data_hash(train):
        yield (
            f"was trained on other events or another split of {name}: it may have seen what this "
            "run is tested on"
        )
    elif valid is not None and "validation" not in state:
        yield (
            f"does not say which sessions of {name} it was validated on, for it is of an earlier "
            "version: they may be some that this run is tested on"
        )
    elif valid is not None and state["validation"] not in (None, part_hash(valid)):
        yield (
            f"was validated on other sessions of {name}: its epoch may have been picked by what "
            "this run is tested on"
        )
    if not (state["config"].get("reward_sampling") or {"correct": True}).get("correct"):
        yield (
            "was trained with reward_sampling, uncorrected: it is drawn towards rewards, and no "
            "estimate of the policy that made the logs"
        )


def _end_of_training(state: dict[str, Any], path: Path) -> str | None:
    """Say that the epoch kept is the first or the last that was trained; None where it is neither.

    Where no validation chose it, or no finished run is beside the checkpoint, nothing is known.
    """
    folder = RunFolder(path if path.is_dir() else path.parent)
    if state.get("validation") is None or not folder.finished:
        return None
    trained = folder.read_metrics().get("epochs", 0)
    if folder.read_metrics().get("best_epoch") != state["epoch"] or trained < 1:
        return None
    named = "train it by --model=LoggingPolicy with {}, and name its folder by --logging_policy"
    if state["epoch"] == trained - 1:
        was, cure = f"the last of {trained}, still improving", "more --epochs"
    elif state["epoch"] == 0:
        was, cure = f"the first of {trained}", "a lower --learning_rate or another --valid_metric"
    else:
        return None
    return (
        f"kept an epoch that is {was}: it may be fitted too little, and divergences from it come "
        f"out inverted, larger for policies that are nearer to the log; {named.format(cure)}"
    )
