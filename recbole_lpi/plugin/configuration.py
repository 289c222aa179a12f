"""RecBole's ``Config``, with our property files, safe values, and no unknown settings."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any

import torch

from recbole_lpi import settings
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.objectives import OBJECTIVES, ObjectiveSettings
from recbole_lpi.plugin import recbole_settings
from recbole_lpi.plugin.models import FLOORS, PolicyRecommender
from recbole_lpi.plugin.names import recbole_folder, recboles_models
from recbole_lpi.plugin.properties import (
    defaults,
    file_beside,
    kind_of_file,
    policies_alone,
    settings_of_the_data,
)
from recbole_lpi.policy import encoders
from recbole_lpi.policy.encoders import make_encoder, unread_settings
from recbole_lpi.policy.settings import NetworkSettings, SoftmaxSettings
from recbole_lpi.settings import SettingError, brief, refused, suggest
from recbole_lpi.training import distributed
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.settings import SPARSE, RunSettings, TrainingSettings
from recbole_lpi.yaml_values import SettingsLoader, parse, read_file

# Of RecBole's programs and its distributed runs; no property file names them.
OF_PROGRAMS = {
    "model", "dataset", "config_files", "nproc", "ip", "port", "world_size", "group_offset",
    "offset", "local_rank", "single_spec", "verbose", "device", "gpu_id", "data_path", "url",
    "wandb_project",
}  # fmt: skip
UNREAD = {
    "checkpoint_dir", "encoding", "loss_decimal_place", "metric_decimal_place", "shuffle", "worker",
    "repeatable", "transform", "require_pow", "valid_metric_bigger",
}  # fmt: skip
# What a policy does not read and a model of RecBole's does.
READ_BY_RECBOLES = {"transform", "require_pow"}
# What only training reads, and a floor has none.
OF_TRAINING = {
    "epochs", "train_batch_size", "learner", "learning_rate", "weight_decay", "clip_grad_norm",
    "eval_step", "stopping_step", "train_neg_sample_args", "enable_amp", "amp_dtype",
    "enable_scaler", "float32_matmul_precision", "compile",
}  # fmt: skip
SHIPPED = "ml-100k"  # RecBole reads its own, whatever data_path says
# RecBole unpickles saved data that it finds in checkpoint_dir: a folder that cannot be.
NO_FOLDER = os.path.join(os.devnull, "checkpoints")


@contextmanager
def hidden_argv() -> Iterator[None]:
    """While a Config is made: it takes the program's command line for its own."""
    kept, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = kept


def amend(config_class: Any) -> None:
    """Amend RecBole's ``Config``; what concerns policies alone leaves other models as they were."""
    if getattr(config_class, "_reads_policies", False):
        return
    load_internal = config_class._load_internal_config_dict
    set_defaults = config_class._set_default_parameters
    init_device = config_class._init_device
    init = config_class.__init__

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

    def load_config_files(config: Any, files: Iterable[str] | None) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for file in files or ():
            merged.update(read_file(file))
        return merged

    def convert_config_dict(config: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {key: parse(v) if isinstance(v, str) else v for key, v in given.items()}

    def load_variable_config_dict(config: Any, given: Mapping[str, Any] | None) -> dict[str, Any]:
        config.as_given = dict(given or {})
        return config._convert_config_dict(given or {})  # type: ignore[no-any-return]

    def load_internal_config_dict(config: Any, model: str, model_class: Any, dataset: str) -> None:
        refuse_subclass(model, model_class)
        if _is_ours(config, model):
            refuse_path(dataset)
        load_internal(config, model, model_class, dataset)
        if _is_ours(config, model):
            _load_ours(config, model, dataset)

    def set_default_parameters(config: Any) -> None:
        if _is_ours(config, config.model):
            check(config.model, config.final_config_dict)
            config.final_config_dict["checkpoint_dir"] = NO_FOLDER
        set_defaults(config)

    def init_own_device(config: Any) -> None:
        values = config.final_config_dict
        ours = _is_ours(config, config.model)
        if ours:
            values["gpu_id"] = distributed.visible_gpus(values["gpu_id"])
        if ours and "local_rank" in values and not torch.cuda.is_available():
            distributed.init_recboles(values)
            return
        init_device(config)
        if ours:
            values["device"] = distributed.own_device(values["device"], values["gpu_id"])

    config_class._build_yaml_loader = lambda config: SettingsLoader
    config_class._load_config_files = load_config_files
    config_class._convert_config_dict = convert_config_dict
    config_class._load_variable_config_dict = load_variable_config_dict
    config_class._load_internal_config_dict = load_internal_config_dict
    config_class._set_default_parameters = set_default_parameters
    config_class._init_device = init_own_device
    config_class.__init__ = checked_init
    config_class._reads_policies = True


def _load_ours(config: Any, model: str, dataset: str) -> None:
    """Our defaults, what lies beside the data, and what was given, every name of it checked."""
    internal = config.internal_config_dict
    internal.update(defaults(model, dataset))
    internal["gpu_id"] = distributed.default_gpus() or internal["gpu_id"]
    known = set(internal) | known_settings() | policies_alone()
    config.external_config_dict = external = _given(config, known)
    named = getattr(config, "named_by_user", None)
    encoders.allow((external if named is None else named).get("encoder"))
    where = settings.coerce("data_path", {**internal, **external}["data_path"], str)
    if external.get("loss_type", internal.get("loss_type")) == "CE":
        internal["train_neg_sample_args"] = None
    beside = file_beside(dataset, where)
    if beside.is_file():
        if dataset == SHIPPED:
            raise SettingError(
                f"{dataset} is what RecBole ships, and read in place of {beside.parent}: "
                f"convert into a folder of another name, such as {dataset}-raw"
            )
        read = read_file(beside)
        refuse_unknown(read, known, internal, f"{beside}: ")
        refuse_of_others(read, beside)
        internal.update(read)
    refuse_unknown(external, known, internal)
    _say_unread(model, external, internal)


def _given(config: Any, known: set[str]) -> dict[str, Any]:
    """Settings of files, of the caller and of the program's command line, the last the strongest.

    Only text of a command line is parsed. A script's command line is its own: what is no setting
    there is left to it, and said.
    """
    command_line = config.cmd_config_dict
    for name in [name for name in command_line if name not in known]:
        near = suggest(name, config.internal_config_dict) or suggest(name, known)
        hint = f"; should it have been {near}?" if near else ""
        logging.getLogger().warning(
            f"--{name} of the program's command line is no setting, and left to the program{hint}"
        )
        del command_line[name]
    if command_line:
        names = ", ".join(f"--{name}" for name in command_line)
        logging.getLogger().info(f"settings from the program's command line: {names}")
    given = {**config.file_config_dict, **config.as_given, **command_line}
    return {key: os.fspath(v) if isinstance(v, os.PathLike) else v for key, v in given.items()}


def refuse_path(dataset: str) -> None:
    """SettingError unless it is a name: property files of that name are read, wherever it leads."""
    if not dataset.isprintable() or {"/", "\\"}.intersection(dataset) or dataset in ("", ".", ".."):
        raise SettingError(
            f"dataset must be the name of a folder, not a path, got {dataset!r}: --data_path says "
            "where that folder lies"
        )


def refuse_of_others(read: Iterable[str], beside: Path) -> None:
    """SettingError for a setting that is not of the data: others may have written that file."""
    for name in read:
        if name not in settings_of_the_data():
            raise SettingError(
                f"{beside}: {name} is no setting of the data, and a file beside data holds no "
                f"other: give it as --{name}=…, or in a file of your own by --config_files"
            )


def refuse_subclass(model: str, model_class: Any) -> None:
    """SettingError for a class made from one of ours that OBJECTIVES does not know."""
    if issubclass(model_class, PolicyRecommender) and model not in OBJECTIVES:
        raise SettingError(
            f"{model} is no policy: OBJECTIVES has no row of that name, which says what it learns; "
            f"add OBJECTIVES['{model}'] = OBJECTIVES['{model_class.__mro__[1].__name__}'] and "
            f"MODELS['{model}'] = {model} (docs/adding-a-policy.md)"
        )


def _is_ours(config: Any, model: str) -> bool:
    return model in OBJECTIVES or getattr(config, "under_protocol", False)


def make(
    model: str,
    dataset: str | None,
    given: Mapping[str, Any],
    named: Mapping[str, Any] | None = None,
) -> Any:
    """Config of any model under our protocol, without RecBole's look at the command line.

    It is its class that tells a model of RecBole's under our protocol from a stock one: whatever
    else makes a Config of that model gets RecBole's.

    Args:
        given: the settings.
        named: those of them that the user named in this call; None: all. A module that only another
            file names is not imported.
    """
    from recbole.config import Config

    class UnderProtocol(Config):  # type: ignore[misc]
        under_protocol = True
        named_by_user = named

    with hidden_argv():
        return UnderProtocol(FLOORS.get(model, model), dataset, config_dict=dict(given))


def check(model: str, values: Mapping[str, Any]) -> None:
    """Read every setting of a model once, so that a wrong one is refused before any work."""
    config = _Known(values)
    recbole_settings.check(values, config)
    _check_processes(model, values)
    DataSettings.of(config)
    TrainingSettings.of(config)
    acceleration = settings.read(AccelerationSettings, config)
    settings.read(RunSettings, config)
    if model not in OBJECTIVES and values.get("reward_sampling"):
        raise SettingError(f"reward_sampling is for policies; {model} learns from every event")
    if model not in OBJECTIVES and acceleration.compile:
        raise SettingError(f"compile: {model} has no encoder of this package; set compile: false")
    if model in OBJECTIVES:
        network = settings.read(NetworkSettings, config)
        with torch.random.fork_rng(devices=[]):  # tried here, made where the model is
            make_encoder(network, DataSettings.of(config).max_length)
        _check_softmax(config)
        _check_objective(model, config)
    elif model in FLOORS:
        for kind in FLOORS[model].read:
            settings.read(kind, config)
    elif str(values.get("learner")).lower() == SPARSE:
        raise SettingError(
            f"learner: sparse_adam is for policies with softmax: sampled; {model} of RecBole has "
            "dense gradients: set learner: adam"
        )
    elif values.get("evaluate_first_event"):
        raise SettingError(
            f"evaluate_first_event: {model} of RecBole cannot predict from an empty history; "
            "policies and floors can"
        )


def _check_softmax(config: _Known) -> None:
    given = settings.read(SoftmaxSettings, config)
    sampling = given.candidate_sampling
    if sampling and sampling.distribution == "in_batch" and config["reward_sampling"]:
        raise SettingError(
            "candidate_sampling: distribution cannot be in_batch with reward_sampling: how often "
            "an item comes up in a batch drawn by reward is not known; set popularity"
        )


def _check_processes(model: str, values: Mapping[str, Any]) -> None:
    """SettingError if the run is to be one of several processes and cannot be."""
    for name in ("nproc", "world_size"):
        if int(values.get(name) or 1) > 1 and "local_rank" not in values:
            raise SettingError(
                f"{name} starts no processes: torchrun --nproc_per_node={values[name]} does, given "
                "the program and its settings; or recbole.quick_start.run, given nproc"
            )
    several = distributed.launched() or "local_rank" in values
    if several and model not in OBJECTIVES and model not in FLOORS:
        raise SettingError(
            f"{model} of RecBole trains in one process: its loss need not be a mean over rows that "
            "several could share; policies and floors run in several"
        )


def _check_objective(model: str, config: _Known) -> None:
    given, objective = settings.read(ObjectiveSettings, config), OBJECTIVES[model]
    try:
        objective.check(model, given)
    except ValueError as error:
        raise SettingError(str(error)) from None
    training = TrainingSettings.of(config)
    if training.logging_policy == "none" and objective.needs_logging_policy(given):
        asked = "propensity: checkpoint" if objective.learns == "propensity" else (
            "advantage_baseline: logging"
        )  # fmt: skip
        raise SettingError(f"{asked} needs a logging policy, and logging_policy is none")
    if given.warmup_epochs >= training.epochs:
        raise SettingError(
            f"warmup_epochs {given.warmup_epochs} leaves no epoch of {training.epochs} to "
            f"{model}'s own weight: lower it, or raise epochs"
        )


class _Known(dict[str, Any]):
    """A dictionary that gives None for what it lacks, as ``Config`` does."""

    def __missing__(self, key: str) -> None:
        return None


def refuse_unknown(
    given: Iterable[str], known: set[str], preferred: Iterable[str] = (), where: str = ""
) -> None:
    """SettingError for the first setting that nothing reads, naming the nearest known."""
    for key in given:
        if key not in known:
            near = suggest(key, preferred) or suggest(key, known)
            hint = f"; did you mean {near}?" if near else ""
            raise SettingError(f"{where}unknown setting '{key}'{hint}")


def _say_unread(model: str, given: Mapping[str, Any], internal: Mapping[str, Any]) -> None:
    unread = UNREAD | OF_TRAINING if model in FLOORS else UNREAD
    if kind_of_file(model) == "recbole":
        unread = UNREAD - READ_BY_RECBOLES
    read = (set(internal) | OF_PROGRAMS | _arguments()) - unread
    # A configuration that comes back from a run's own file repeats RecBole's defaults.
    named = [key for key in sorted(given) if given[key] != internal.get(key)]
    readers = [(model, [key for key in named if key not in read], ", which other models do")]
    if model in OBJECTIVES:
        merged = _Known({**internal, **given})
        of_others = OBJECTIVES[model].unread(settings.read(ObjectiveSettings, merged))
        encoder = merged["encoder"]
        readers += [
            (model, [key for key in named if key in of_others], ", which other policies do"),
            (f"encoder {encoder}", [k for k in named if k in unread_settings(encoder)], ""),
        ]
    for reader, names, why in readers:
        if names:
            logging.getLogger().warning(f"{reader} does not read {', '.join(names)}{why}")


@cache
def known_settings() -> frozenset[str]:
    """Settings that RecBole itself knows, for any of its models and programs."""
    keys = set(OF_PROGRAMS) | _arguments()
    for file in (recbole_folder() / "properties").rglob("*.yaml"):
        if file.name != "url.yaml":
            keys |= set(read_file(file))
    return frozenset(keys)


@cache
def _arguments() -> frozenset[str]:
    from recbole.utils import argument_list

    return frozenset(
        name for part in vars(argument_list).values() if isinstance(part, list) for name in part
    )


def known_models() -> list[str]:
    """The policies, the floors, then RecBole's sequential models."""
    return [*OBJECTIVES, *FLOORS, *recboles_models()]
