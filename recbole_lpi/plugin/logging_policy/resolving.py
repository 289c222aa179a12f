"""Resolve the setting ``logging_policy`` to the policy that a learned one is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.logging_policy.loading import load
from recbole_lpi.plugin.logging_policy.making import (
    Places,
    found_or_trained,
    own_config,
    own_random_numbers,
)
from recbole_lpi.policy.network import PolicyNetwork

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
        own, places = own_config(config, train), Places.of(config, beside)
        show = bool(config["show_progress"])
        return load(found_or_trained(own, train, valid, places, NAME, show), train, valid)
