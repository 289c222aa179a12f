"""One run from settings to metrics, as the command line and scripts start it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_lpi.host.configuration import hidden_argv

from recbole_lpi import settings
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.host import checkpoints
from recbole_lpi.host.logs import log_to
from recbole_lpi.host.run_folder import RunFolder, new_run_folder
from recbole_lpi.host.training import TrainingSettings
from recbole_lpi.models import MODELS
from recbole_lpi.models.settings import NetworkSettings
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.settings import SettingError


class DatasetMissing(SettingError):
    """The data set's files are not where they were looked for."""

    def __init__(self, dataset: str, path: Path) -> None:
        super().__init__(f"data set '{dataset}' is not there: looked for {path}")
        self.dataset, self.path = dataset, path


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        config: RecBole's, as it was used.
        folder: where everything is kept.
        results: estimates by part, ``valid`` and ``test``, and name.
    """

    config: Any
    folder: RunFolder
    results: dict[str, dict[str, Estimate]]


def run(
    model: str | None = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    config_dict: Mapping[str, Any] | None = None,
) -> Run:
    """Train, evaluate and keep a policy. ``resume`` in ``config_dict`` goes on with a run instead.

    Raises:
        SettingError: a setting or the data is wrong; before any work is done where that can be.
        DatasetMissing: there is no such data set.
    """
    given = dict(config_dict or {})
    resume = given.pop("resume", None)
    if resume:
        if model or dataset or config_files or given:
            raise SettingError("--resume goes on with a run as it was; it takes no other setting")
        folder = RunFolder(resume)
        given = folder.read_config()
        if folder.finished:
            raise SettingError(f"{resume} holds a finished run: there is nothing to resume")
        config = make_config(given["model"], given["dataset"], (), given)
    else:
        config = make_config(model, dataset, config_files, given)
    check(config)
    if not resume:
        folder = _folder(config)
    with log_to(folder.log):
        return _train(config, folder, resume=bool(resume))


def make_config(
    model: str | None, dataset: str | None, files: Sequence[str], given: Mapping[str, Any]
) -> Any:
    """RecBole's Config, without its look at the command line. SettingError as ``run`` says."""
    from recbole.config import Config

    for name in files:
        if not os.path.isfile(name):
            raise SettingError(f"no settings file at {name}")
    with hidden_argv():
        return Config(
            model=model, dataset=dataset, config_file_list=list(files) or None,
            config_dict=dict(given),
        )  # fmt: skip


def check(config: Any) -> None:
    """Refuse what cannot work, before any data is read."""
    if config["model"] not in MODELS:
        raise SettingError(
            f"'{config['model']}' is a model of RecBole itself; the policies are "
            f"{', '.join(sorted(MODELS))}"
        )
    DataSettings.of(config)
    TrainingSettings.of(config)
    settings.read(NetworkSettings, config)
    settings.read(ObjectiveSettings, config)
    if config["logging_policy"] not in (None, "auto", "none"):
        checkpoints.read_checkpoint(config["logging_policy"])
    data = Path(config["data_path"]) / f"{config['dataset']}.inter"
    if not data.is_file():
        raise DatasetMissing(config["dataset"], data)


def _folder(config: Any) -> RunFolder:
    if config["run_dir"] is None:
        folder = new_run_folder(config["model"], config["dataset"])
    else:
        folder = RunFolder(config["run_dir"])
        folder.claim(bool(config["overwrite"]))
    folder.write_config(checkpoints.plain_config(config))
    return folder


def _train(config: Any, folder: RunFolder, resume: bool) -> Run:
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    from recbole_lpi.host.trainer import PolicyTrainer

    init_seed(config["seed"], config["reproducibility"])
    _log_to_screen()
    logger = logging.getLogger()
    dataset = create_dataset(config)
    logger.info(dataset)
    train_data, valid_data, test_data = data_preparation(config, dataset)
    for loader in (train_data, valid_data, test_data):
        logger.info(loader.dataset.summary)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train_data.dataset).to(config["device"])
    trainer = PolicyTrainer(config, model, folder, resume)
    show = bool(config["show_progress"]) and sys.stderr.isatty()
    trainer.fit(train_data, valid_data, show_progress=show)
    trainer.evaluate(test_data, show_progress=show)
    return Run(config, folder, trainer.results)


def _log_to_screen() -> None:
    """RecBole's log lines on standard error, once."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    if not any(type(handler) is logging.StreamHandler for handler in root.handlers):
        screen = logging.StreamHandler()
        screen.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        root.addHandler(screen)
