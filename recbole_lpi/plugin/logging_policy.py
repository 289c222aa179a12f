"""Find, train or refuse the logging policy μ̂ that a learned policy is compared with."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from recbole_lpi import settings
from recbole_lpi.data.identity import data_hash, part_hash
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.plugin import configuration
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.models import MODELS, LoggingPolicy
from recbole_lpi.plugin.recbole_table import unread
from recbole_lpi.plugin.run_description import describe_run, plain_config
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.policy.checkpoint import (
    build_policy,
    check_catalogue,
    policy_values,
    read_checkpoint,
    vocabulary,
)
from recbole_lpi.policy.encoders import code_hash
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import NetworkSettings, SoftmaxSettings
from recbole_lpi.roles import OF_DATA, Role
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import refusing
from recbole_lpi.training import distributed
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.run_log import labelled
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.surroundings import Surroundings
from recbole_lpi.training.training import Training

# Of TrainingSettings: what is measured, with what, and how; it makes no other policy.
OF_MEASURING = frozenset(names(Role.MEASURING, Role.MADE, Role.CACHE, Role.MACHINE))


def resolve(
    setting: str, config: Any, train: PolicyDataset, valid: PolicyDataset | None
) -> PolicyNetwork | None:
    """Load or train the logging policy that ``logging_policy`` names, frozen, on the CPU.

    Args:
        setting: ``none``, ``auto``, a checkpoint or a run folder.

    Raises:
        SettingError: no checkpoint there, or one of another catalogue or of shorter inputs.
    """
    if setting == "none":
        return None
    own_gpu = [config["device"]] if torch.device(config["device"]).type == "cuda" else []
    with torch.random.fork_rng(own_gpu):  # so that the run itself draws the same, whichever it is
        if setting != "auto":
            return _load(setting, train, valid)
        root = Path(config["logging_policy_dir"] or "runs/logging_policy")
        own = _own_config(config, train)
        folder, ranks = RunFolder(root / identity(own, train, valid)), distributed.ranks()
        waiting = f"logging policy: waiting for the run that makes {folder.path}"
        if not ranks.from_first(lambda: folder.at_rest):
            with folder.exclusive(waiting) if ranks.first else nullcontext():
                if not ranks.from_first(lambda: _recovered(folder).finished):
                    _train(folder, own, train, valid, show_progress=bool(config["show_progress"]))
        return _load(folder.path, train, valid)


def identity(config: Any, train: PolicyDataset, valid: PolicyDataset | None) -> str:
    """Hash everything that makes a logging policy what it is.

    These are the events and which of them train and validate; inputs, encoder and softmax; how it
    is trained, and by what its epoch is picked.
    """
    network = asdict(settings.read(NetworkSettings, config))
    network["code"] = code_hash(network["encoder"])
    s, how = train.settings, asdict(TrainingSettings.of(config))
    content = {
        "network": network,
        "softmax": asdict(settings.read(SoftmaxSettings, config)),
        "training": {name: value for name, value in how.items() if name not in OF_MEASURING},
        "inputs": [s.max_length, s.loss_on_last, s.evaluate_first_event, s.training_windows],
        "data": [
            data_hash(train),
            list(train.sessions.event_names),
            None if valid is None else part_hash(valid),
        ],
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load(path: str | Path, train: PolicyDataset, valid: PolicyDataset | None) -> PolicyNetwork:
    """Load the logging policy of a checkpoint; SettingError if it holds another model."""
    state = distributed.ranks().from_first(lambda: read_checkpoint(path))
    if state["model"] != "LoggingPolicy":
        raise SettingError(
            f"{path} holds a {state['model']}, not a LoggingPolicy; train one by "
            "--model=LoggingPolicy or use --logging_policy=auto"
        )
    with refusing(path):
        return _made(state, path, train, valid)


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
    for doubt in _doubts(state, train, valid):
        logging.getLogger().warning(f"{path} {doubt}")
    return policy


def _doubts(
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


def _own_config(config: Any, train: PolicyDataset) -> Any:
    """Make the Config of a LoggingPolicy with its own defaults, for the data at hand.

    A policy is compared with one of its own encoder and softmax, any other model with the default
    one.
    """
    given, s = plain_config(config), train.settings
    taken = _shared()
    if config["model"] in MODELS:
        taken |= {field.name for field in (*fields(NetworkSettings), *fields(SoftmaxSettings))}
        if not settings.read(SoftmaxSettings, config).sparse:
            taken -= {"learner"}
    data = {key: given[key] for key in taken if key in given}
    data |= {
        "split_seed": s.seed if s.split_seed is None else s.split_seed,
        "logging_policy": "none",
        "gpu_id": config["gpu_id"],
    }
    return configuration.make("LoggingPolicy", config["dataset"], data)


def _recovered(folder: RunFolder) -> RunFolder:
    """Repair a folder whose run was killed, and return it."""
    folder.recover()
    return folder


def _train(
    folder: RunFolder,
    own: Any,
    train: PolicyDataset,
    valid: PolicyDataset | None,
    show_progress: bool,
) -> None:
    """Train a logging policy into ``folder``, from where an earlier run broke off."""
    from recbole.utils import init_seed  # RecBole takes seconds to import

    logger = logging.getLogger()
    logger.info(f"logging policy: training one for this data into {folder.path}")
    init_seed(own["seed"], own["reproducibility"])
    network = LoggingPolicy(own, train).to(own["device"]).network
    begun = distributed.ranks().from_first(lambda: folder.begun)
    training = Training(
        PolicyLearner(network),
        TrainingSettings.of(own),
        describe_run(own, policy_values(network)),
        Surroundings(
            torch.device(own["device"]),
            settings.read(AccelerationSettings, own),
            lambda held: folder,
            begun,
        ),
    )
    with labelled("logging policy: "):
        training.fit(train, valid, show_progress=show_progress)
        training.finish()
    logger.info(f"logging policy: trained, {folder.path}")


def _shared() -> set[str]:
    """List the settings that the logging policy takes over: of the data and the machine."""
    of_machine = names(Role.PLACE, Role.MACHINE, Role.HOUSEKEEPING)
    taken = {*names(*OF_DATA), *names(Role.CACHE, of=DataSettings), *of_machine}
    return taken - unread(by_recboles=False)
