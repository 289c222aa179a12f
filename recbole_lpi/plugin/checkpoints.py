"""Checkpoints: tensors and plain values only, read with ``weights_only=True``, never unpickled."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.policy.stored_tensors import check_kinds, load_plain, load_weights
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError, brief
from recbole_lpi.training.run_folder import RunFolder

FORMAT = "recbole_lpi"
KINDS: dict[str, type] = {
    "model": str, "config": dict, "catalogue": str, "data": str, "n_items": int, "epoch": int,
    "valid_score": float, "state_dict": dict,
}  # fmt: skip

# Settings that say where and how a run goes, not what it is. Those of the call are kept nowhere,
# those of the machine are kept for the run's own resuming, but not in a checkpoint.
OF_THE_CALL = frozenset(names(Role.FOLDER, Role.CALL))
OF_THE_MACHINE = frozenset(names(Role.MACHINE))
PATHS = names(Role.MADE, Role.CACHE)
# What RecBole adds to a Config by itself; given back, it would be unknown.
DERIVED = names(Role.DERIVED, Role.LAUNCH)


def plain_config(config: Any, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """RecBole's final settings as plain values, fit for YAML and for ``Config(config_dict=…)``.

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


def data_hash(train: PolicyDataset) -> str:
    """Hash of the catalogue, the events, and which of them are trained on."""
    digest, store = hashlib.sha256(catalogue_hash(train).encode()), train.sessions
    for array in (store.items, store.events, store.rewards, store.offsets, *_of_part(train)):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def part_hash(part: PolicyDataset) -> str:
    """Hash of which events of the log a part has."""
    digest = hashlib.sha256()
    for array in _of_part(part):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _of_part(dataset: PolicyDataset) -> tuple[np.ndarray, ...]:
    return dataset.part.session, dataset.part.start, dataset.part.stop


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
    state = load_plain(found)
    if state.get("format") != FORMAT:
        raise SettingError(f"{found} is not a recbole_lpi checkpoint")
    check_kinds(state, KINDS, found)
    return state


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether it is for ``read_checkpoint`` to read, or to refuse."""
    try:
        return bool(load_plain(checkpoint_path(path)).get("format") == FORMAT)
    except SettingError:
        return False


def check_catalogue(state: Mapping[str, Any], dataset: PolicyDataset, path: object) -> None:
    """SettingError if a checkpoint ranks another catalogue than the data set's."""
    if state["catalogue"] != catalogue_hash(dataset):
        raise SettingError(
            f"{path} is of another catalogue: it ranks {state['n_items'] - 1} items of "
            f"'{state['config'].get('dataset')}', the data set '{dataset.dataset_name}' has "
            f"{dataset.item_num - 1}; use a checkpoint trained on this data set and its filters"
        )


@brief
def load_data_and_model(path: str, **given: Any) -> tuple[Any, ...]:
    """As RecBole's: config, model, data set and the three loaders, from a checkpoint of ours.

    ``given``: settings of the machine that are others here, such as ``data_path``; and ``encoder``,
    where it is a module of the user's own, which nothing but this call has imported.
    """
    from recbole.data import data_preparation
    from recbole.utils import init_logger, init_seed

    from recbole_lpi.plugin import configuration, runner
    from recbole_lpi.plugin import stored_settings as stored
    from recbole_lpi.plugin.baselines import make_model

    state = read_checkpoint(path)
    kept = stored.again(state["config"], given, path)
    runner.check_model(kept.get("model"))
    config = configuration.make(kept["model"], kept["dataset"], kept, given)
    runner.check_data(config)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    dataset = PolicyDataset(config)
    loaders = data_preparation(config, dataset)
    check_catalogue(state, dataset, path)
    model = make_model(config, loaders[0]._dataset)
    load_weights(model, state["state_dict"], path)
    return (config, model, dataset, *loaders)
