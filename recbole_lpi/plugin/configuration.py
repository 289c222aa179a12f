"""Amend RecBole's ``Config``: our property files, safe values, and no unknown settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin.given_settings import load_ours, refuse_path, refuse_subclass
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.names import recboles_models
from recbole_lpi.plugin.setting_checks import check
from recbole_lpi.settings import brief, refused
from recbole_lpi.training import devices, distributed
from recbole_lpi.yaml_values import SettingsLoader, parse, read_file

# RecBole unpickles saved data that it finds in checkpoint_dir: a folder that cannot be.
NO_FOLDER = os.path.join(os.devnull, "checkpoints")


@contextmanager
def hidden_argv() -> Iterator[None]:
    """Hide the program's command line from a Config that is made meanwhile, and would take it."""
    kept, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = kept


def amend(config_class: Any) -> None:
    """Amend RecBole's ``Config``; what concerns policies alone leaves other models as they were."""
    if getattr(config_class, "_reads_policies", False):
        return
    config_class._build_yaml_loader = lambda config: SettingsLoader
    config_class._load_config_files = _load_config_files
    config_class._convert_config_dict = _convert_config_dict
    config_class._load_variable_config_dict = _load_variable_config_dict
    for name, amended in (
        ("_load_internal_config_dict", _with_our_settings),
        ("_set_default_parameters", _with_checks),
        ("_init_device", _with_own_device),
        ("__init__", _with_brief_errors),
    ):
        setattr(config_class, name, amended(getattr(config_class, name)))
    config_class._reads_policies = True


def _load_config_files(config: Any, files: Iterable[str] | None) -> dict[str, Any]:
    """Read the files of settings that a caller gives, the later over the earlier."""
    merged: dict[str, Any] = {}
    for file in files or ():
        merged.update(read_file(file))
    return merged


def _convert_config_dict(config: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the values that are text, as YAML and nothing else."""
    return {key: parse(v) if isinstance(v, str) else v for key, v in given.items()}


def _load_variable_config_dict(config: Any, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keep the settings as the caller gave them, beside the parsed ones."""
    config.as_given = dict(given or {})
    return config._convert_config_dict(given or {})  # type: ignore[no-any-return]


def _with_our_settings(recboles: Callable[..., None]) -> Callable[..., None]:
    """Make RecBole's loading of defaults load ours too, those of the data and of the user."""

    def load_internal_config_dict(config: Any, model: str, model_class: Any, dataset: str) -> None:
        refuse_subclass(model, model_class)
        if _is_ours(config, model):
            refuse_path(dataset)
        recboles(config, model, model_class, dataset)
        if _is_ours(config, model):
            load_ours(config, model, dataset)

    return load_internal_config_dict


def _with_checks(recboles: Callable[..., None]) -> Callable[..., None]:
    """Make RecBole's completion of settings begin once every one of them is checked."""

    def set_default_parameters(config: Any) -> None:
        if _is_ours(config, config.model):
            check(config.model, config.final_config_dict)
            config.final_config_dict["checkpoint_dir"] = NO_FOLDER
        recboles(config)

    return set_default_parameters


def _with_own_device(recboles: Callable[..., None]) -> Callable[..., None]:
    """Make RecBole's choice of a device know of several processes, for a model of ours."""

    def init_device(config: Any) -> None:
        values = config.final_config_dict
        ours = _is_ours(config, config.model)
        if ours:
            values["gpu_id"] = devices.visible_gpus(values["gpu_id"])
        if ours and "local_rank" in values and not torch.cuda.is_available():
            distributed.init_recboles(values)
            return
        recboles(config)
        if ours:
            values["device"] = devices.own_device(values["device"], values["gpu_id"])

    return init_device


def _with_brief_errors(init: Callable[..., None]) -> Callable[..., None]:
    """Make the errors of a Config one line where a model of ours is asked for."""

    @brief
    @wraps(init)
    def checked_init(config: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(config, *args, **kwargs)
        except Exception as error:
            if not _is_ours(config, getattr(config, "model", "")):
                raise
            with refused("RecBole refuses the settings"):
                raise error

    return checked_init


def _is_ours(config: Any, model: str) -> bool:
    """Tell whether a Config is of a policy, or of a model under our protocol."""
    return model in OBJECTIVES or getattr(config, "under_protocol", False)


def make(
    model: str,
    dataset: str | None,
    given: Mapping[str, Any],
    named: Mapping[str, Any] | None = None,
) -> Any:
    """Make the Config of any model under our protocol, apart from the command line.

    It is its class that tells a model of RecBole's under our protocol from a stock one: whatever
    else makes a Config of that model gets RecBole's.

    Args:
        given: the settings.
        named: those of them that the user named in this call; None: all. A module that only another
            file names is not imported.
    """
    from recbole.config import Config

    class UnderProtocol(Config):  # type: ignore[misc]
        """A Config of any model that runs under the protocol of the policies."""

        under_protocol = True
        named_by_user = named

    with hidden_argv():
        return UnderProtocol(BASELINES.get(model, model), dataset, config_dict=dict(given))


def known_models() -> list[str]:
    """List the policies, the baselines that count, then RecBole's sequential models."""
    return [*OBJECTIVES, *BASELINES, *recboles_models()]
