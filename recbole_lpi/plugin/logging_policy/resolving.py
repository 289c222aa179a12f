"""Resolve the setting ``logging_policy`` to the policy that a learned one is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.input_files import check_data, check_files
from recbole_lpi.plugin.logging_policy.loading import load
from recbole_lpi.plugin.logging_policy.making import (
    Places,
    found_or_trained,
    own_config,
    own_random_numbers,
)
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.training.run_log import log_to_screen
from recbole_lpi.training.settings import TrainingSettings

NAME = "logging policy"


def resolve(
    setting: str,
    config: Any,
    train: PolicyDataset,
    valid: PolicyDataset | None,
    beside: Path | None = None,
) -> PolicyNetwork | None:
    """Find or train the logging policy that ``logging_policy`` names, frozen, on the CPU.

    Args:
        setting: ``none``, ``auto``, a checkpoint or a run folder.
        beside: the folder that holds the run that is started; ``auto`` looks there first.

    Raises:
        SettingError: no checkpoint there, or one of another catalogue or of shorter inputs.
    """
    if setting == "none":
        return None
    with own_random_numbers(config):  # so that the run itself draws the same, whichever it is
        if setting != "auto":
            return load(setting, train, valid)
        return load(_by_auto(config, train, valid, beside), train, valid)


def find(config: Any, beside: Path | None = None) -> str:
    """Name the logging policy of a run with these settings, whatever else is changed in them.

    For several runs that are to be compared with one: that of ``auto`` follows the network of the
    run, and is found or trained here.
    """
    setting = TrainingSettings.of(config).logging_policy
    if setting != "auto":
        return setting
    check_files(config)
    check_data(config)
    log_to_screen()
    train, valid, _ = PolicyDataset(config).build()
    with own_random_numbers(config):
        return str(_by_auto(config, train, valid, beside))


def _by_auto(
    config: Any, train: PolicyDataset, valid: PolicyDataset | None, beside: Path | None
) -> Path:
    """The folder of the logging policy that ``auto`` finds or trains."""
    own, places = own_config(config, train), Places.of(config, beside)
    return found_or_trained(own, train, valid, places, NAME, bool(config["show_progress"]))
