"""RecBole's way back from a checkpoint to config, model, data set and loaders."""

from __future__ import annotations

from typing import Any

from recbole.data import data_preparation
from recbole.utils import init_logger, init_seed

from recbole_lpi.plugin import configuration, stored_settings
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.input_files import check_data
from recbole_lpi.plugin.model_factory import make_model
from recbole_lpi.plugin.runner import check_model
from recbole_lpi.policy.checkpoint import check_catalogue, read_checkpoint
from recbole_lpi.settings import brief
from recbole_lpi.stored_tensors import load_weights


@brief
def load_data_and_model(path: str, **given: Any) -> tuple[Any, ...]:
    """Make config, model, data set and the three loaders from a checkpoint of ours.

    Args:
        path: the checkpoint, or the folder of its run.
        given: settings of the machine that are others here, such as ``data_path``; and ``encoder``,
            where it is a module of the user's own, which nothing but this call has imported.

    Raises:
        SettingError: the checkpoint is none of ours, or of another catalogue than the data.
    """
    state = read_checkpoint(path)
    kept = stored_settings.again(state["config"], given, path)
    check_model(kept.get("model"))
    config = configuration.make(kept["model"], kept["dataset"], kept, given)
    check_data(config)
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    dataset = PolicyDataset(config)
    loaders = data_preparation(config, dataset)
    check_catalogue(state, dataset, path)
    model = make_model(config, loaders[0]._dataset)
    load_weights(getattr(model, "network", model), state["state_dict"], path)
    return (config, model, dataset, *loaders)
