"""Checkpoints: tensors and plain values only, read with ``weights_only=True``, never unpickled."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_lpi import settings
from recbole_lpi.data.dataset import PolicyDataset
from recbole_lpi.host.run_folder import RunFolder
from recbole_lpi.models.settings import NetworkSettings
from recbole_lpi.settings import SettingError

FORMAT = "recbole_lpi"

# Settings that say where and how a run goes, not what it is: they never come back from a file.
OF_THE_CALL = frozenset(
    [
        "run_dir",
        "overwrite",
        "resume",
        "device",
        "config_files",
        "gpu_id",
        "show_progress",
        "download",
    ]
)


def plain_config(config: Any) -> dict[str, Any]:
    """RecBole's final settings as plain values, fit for YAML and for ``Config(config_dict=…)``."""
    values = {
        key: value
        for key, value in config.final_config_dict.items()
        if _is_plain(value) and key not in OF_THE_CALL
    }
    # RecBole appended the data set's name; given back, it would append it again.
    values["data_path"] = os.path.abspath(os.path.dirname(os.path.normpath(config["data_path"])))
    for derived in ("MODEL_TYPE", "MODEL_INPUT_TYPE", "eval_type", "train_neg_sample_args",
                    "valid_neg_sample_args", "test_neg_sample_args", "single_spec", "local_rank",
                    "valid_metric_bigger"):  # fmt: skip
        values.pop(derived, None)
    return copy.deepcopy(values)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return type(value) in (type(None), bool, int, float, str)


def catalogue_hash(dataset: PolicyDataset) -> str:
    """Hash of the item tokens in the order of their ids: two catalogues with one hash are one."""
    digest = hashlib.sha256()
    for token in dataset.field2id_token[dataset.iid_field]:
        digest.update(str(token).encode() + b"\0")
    return digest.hexdigest()[:16]


def logging_policy_hash(config: Any, train: PolicyDataset) -> str:
    """Hash of what a logging policy is an estimate of: events, split, inputs and encoder."""
    digest = hashlib.sha256()
    store, part = train.sessions, train.part
    for array in (store.items, store.events, store.offsets, part.session, part.start, part.stop):
        digest.update(np.ascontiguousarray(array).tobytes())
    network = asdict(settings.read(NetworkSettings, config))
    del network["double_q"]
    s = train.settings
    inputs = [s.max_length, s.loss_on_last, s.evaluate_first_event, catalogue_hash(train)]
    digest.update(json.dumps([network, inputs], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def checkpoint_path(path: str | os.PathLike[str]) -> Path:
    """The checkpoint itself, given it or its run folder; SettingError if it is not there."""
    found = Path(path)
    if found.is_dir():
        found = RunFolder(found).model
    if not found.is_file():
        raise SettingError(f"no checkpoint at {found}")
    return found


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A checkpoint of ours, on the CPU. SettingError for anything else; nothing is unpickled."""
    found = checkpoint_path(path)
    try:
        state = torch.load(found, map_location="cpu", weights_only=True)
    except Exception:  # whatever a hostile or broken file provokes, it is not a checkpoint
        raise SettingError(
            f"{found} is not a recbole_lpi checkpoint: it does not load as plain tensors, "
            "and nothing else is unpickled"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise SettingError(f"{found} is not a recbole_lpi checkpoint")
    return state


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether ``read_checkpoint`` would read it."""
    try:
        read_checkpoint(path)
    except SettingError:
        return False
    return True


def check_catalogue(state: Mapping[str, Any], dataset: PolicyDataset, path: object) -> None:
    """SettingError if a checkpoint ranks another catalogue than the data set's."""
    if state["catalogue"] != catalogue_hash(dataset):
        raise SettingError(
            f"{path} is of another catalogue: it ranks {state['n_items'] - 1} items of "
            f"'{state['config'].get('dataset')}', the data set '{dataset.dataset_name}' has "
            f"{dataset.item_num - 1}; use a checkpoint trained on this data set and its filters"
        )


def load_data_and_model(path: str) -> tuple[Any, ...]:
    """As RecBole's: config, model, data set and the three loaders, from a checkpoint of ours."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_logger, init_seed

    from recbole_lpi.host.configuration import hidden_argv

    state = read_checkpoint(path)
    given = state["config"]
    with hidden_argv():
        config = Config(model=given["model"], dataset=given["dataset"], config_dict=given)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    check_catalogue(state, dataset, path)
    model = get_model(config["model"])(config, loaders[0]._dataset).to(config["device"])
    model.load_state_dict(state["state_dict"])
    return (config, model, dataset, *loaders)
