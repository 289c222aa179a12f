"""What the files of a run keep of RecBole's settings, as plain values."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from recbole_lpi.plugin.setting_names import names
from recbole_lpi.roles import Role
from recbole_lpi.training.recorder import Identify, RunDescription

# Settings that say where and how a run goes, not what it is. Those of the call are kept nowhere,
# those of the machine are kept for the run's own resuming, but not in a checkpoint.
OF_THE_CALL = frozenset(names(Role.FOLDER, Role.CALL))
OF_THE_MACHINE = frozenset(names(Role.MACHINE))
PATHS = names(Role.MADE, Role.CACHE)
# What RecBole adds to a Config by itself; given back, it would be unknown.
DERIVED = names(Role.DERIVED, Role.LAUNCH)


def plain_config(config: Any, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return RecBole's final settings as plain values, for YAML and ``Config(config_dict=…)``.

    Paths are made absolute, so that they mean the same from another folder.
    """
    values = {
        key: value
        for key, value in config.final_config_dict.items()
        if _is_plain(value) and key not in OF_THE_CALL | left_out
    }
    for name in PATHS:
        if values.get(name) not in (None, "auto", "none"):
            values[name] = os.path.abspath(values[name])
    # RecBole appended the data set's name; given back, it would append it again.
    values["data_path"] = os.path.abspath(os.path.dirname(os.path.normpath(config["data_path"])))
    for derived in DERIVED:
        values.pop(derived, None)
    if values["train_neg_sample_args"]["distribution"] == "none":  # how RecBole spells its None
        del values["train_neg_sample_args"]
    return copy.deepcopy(values)


def _is_plain(value: Any) -> bool:
    """Tell whether YAML holds a value as it is: a number, a text, nothing, or a list of those."""
    if isinstance(value, Mapping):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return type(value) in (type(None), bool, int, float, str)


def describe_run(
    config: Any, policy: Mapping[str, Any] | None, identify: Identify | None = None
) -> RunDescription:
    """Describe a run for its own files; ``policy`` builds its network again, or is None.

    ``identify`` gives the identity that a logging policy is found by, and is None of other models.
    """
    return RunDescription(
        config["model"],
        config["dataset"],
        int(config["seed"]),
        plain_config(config),
        plain_config(config, OF_THE_MACHINE),
        policy,
        identify,
    )
