"""The logging policy μ̂ that a learned policy is compared with: found, trained or refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from recbole_lpi.data.dataset import PolicyDataset
from recbole_lpi.host import checkpoints
from recbole_lpi.host.configuration import hidden_argv
from recbole_lpi.host.run_folder import RunFolder
from recbole_lpi.models import LoggingPolicy, PolicyRecommender
from recbole_lpi.settings import SettingError

# What must be the same for a logging policy to be an estimate of these logs, besides the data.
SHARED = [
    "n_layers",
    "n_heads",
    "hidden_size",
    "inner_size",
    "hidden_dropout_prob",
    "attn_dropout_prob",
    "hidden_act",
    "layer_norm_eps",
    "initializer_range",
    "MAX_ITEM_LIST_LENGTH",
    "loss_on_last",
    "evaluate_first_event",
]


def resolve(
    setting: str, config: Any, train: PolicyDataset, valid_data: Any
) -> LoggingPolicy | None:
    """The logging policy that ``logging_policy`` names, frozen, on the CPU.

    Args:
        setting: ``none``, ``auto``, a checkpoint or a run folder.

    Raises:
        SettingError: no checkpoint there, or one of another catalogue.
    """
    if setting == "none":
        return None
    if setting != "auto":
        return _load(setting, train)
    wanted = checkpoints.logging_policy_hash(config, train)
    root = Path(config["logging_policy_dir"] or "runs/logging_policy")
    folder = RunFolder(root / wanted)
    if not folder.finished:
        with torch.random.fork_rng():  # training it, or finding it, leads to the same run
            _train(folder, config, train, valid_data)
    return _load(folder.path, train)


def _load(path: str | Path, train: PolicyDataset) -> LoggingPolicy:
    from recbole.config import Config

    state = checkpoints.read_checkpoint(path)
    if state["model"] != "LoggingPolicy":
        raise SettingError(
            f"{path} holds a {state['model']}, not a LoggingPolicy; train one by "
            "--model=LoggingPolicy or use --logging_policy=auto"
        )
    checkpoints.check_catalogue(state, train, path)
    given = state["config"]
    with hidden_argv():
        config = Config(model=given["model"], dataset=given["dataset"], config_dict=given)
    if config["evaluate_first_event"] != train.settings.evaluate_first_event:
        raise SettingError(f"{path} was trained with another evaluate_first_event")
    policy = LoggingPolicy(config, train)
    policy.load_state_dict(state["state_dict"])
    policy.requires_grad_(False).eval()
    return policy


def _train(folder: RunFolder, config: Any, train: PolicyDataset, valid_data: Any) -> None:
    """A LoggingPolicy run with its own defaults on the data objects at hand."""
    from recbole.config import Config
    from recbole.utils import init_seed

    from recbole_lpi.host.trainer import PolicyTrainer

    logger = logging.getLogger()
    given = checkpoints.plain_config(config)
    data = {key: given[key] for key in given if key in _data_keys() or key in SHARED}
    data |= {key: given[key] for key in ("seed", "reproducibility", "use_gpu", "state")}
    data |= {"logging_policy": "none", "run_dir": str(folder.path), "gpu_id": config["gpu_id"]}
    with hidden_argv():
        own = Config(model="LoggingPolicy", dataset=config["dataset"], config_dict=data)
    logger.info(f"logging policy: training one for this data into {folder.path}")
    init_seed(own["seed"], own["reproducibility"])
    model = LoggingPolicy(own, train).to(own["device"])
    trainer = PolicyTrainer(own, model, resume=folder.begun)
    trainer.fit(train, valid_data, show_progress=bool(config["show_progress"]))
    trainer.finish()
    logger.info(f"logging policy: trained, {folder.path}")


def _data_keys() -> set[str]:
    from dataclasses import fields

    from recbole.config.configurator import Config  # noqa: F401  (RecBole has to be importable)
    from recbole.utils.argument_list import dataset_arguments

    from recbole_lpi.data.settings import DataSettings

    return {*dataset_arguments, *(f.name for f in fields(DataSettings)), "data_path", "eval_args"}


def attach(policy: PolicyRecommender, mu: LoggingPolicy | None) -> None:
    """Give ``policy`` its logging policy, on the device where it is."""
    if mu is None and policy.needs_logging_policy:
        raise SettingError("advantage_baseline: logging needs a logging policy, not none")
    device = next(policy.parameters()).device
    policy.compare_with(None if mu is None else mu.to(device))
