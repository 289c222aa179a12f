"""Check the files that a run reads before any work is done, and fetch a published log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from recbole_lpi.evaluation.imputation.imputation_file import read_model
from recbole_lpi.plugin.download import ARCHIVES, download, forget
from recbole_lpi.policy.checkpoint import read_checkpoint
from recbole_lpi.policy.warm_start import source_of
from recbole_lpi.settings import SettingError

# How each raw log becomes a data set, by how its name begins; any other log goes through the last.
CONVERTER = {
    "retailrocket": "python dataset_prep/retailrocket.py --events events.csv",
    "yoochoose": (
        "python dataset_prep/yoochoose.py --clicks yoochoose-clicks.dat --buys yoochoose-buys.dat"
    ),
    "netflix": "python dataset_prep/netflix.py --ratings FOLDER",
    "obd": "python dataset_prep/open_bandit.py --log POLICY/CAMPAIGN/CAMPAIGN.csv",
    "ml-": "python dataset_prep/movielens.py --ratings FILE",
    "": (
        "python dataset_prep/csv.py --input FILE --session COLUMN --item COLUMN --time COLUMN "
        "--event COLUMN --reward NAME=VALUE"
    ),
}


class DatasetMissing(SettingError):
    """An error: a data set's file is not where it was looked for. Says how to get it."""

    def __init__(self, dataset: str, path: Path) -> None:
        converter = next(way for name, way in CONVERTER.items() if dataset.startswith(name))
        if not Path("dataset_prep").is_dir():  # installed, and not in a checkout
            converter = re.sub(
                r"python dataset_prep/(\w+)\.py", r"recbole-lpi prepare \1", converter
            )
        ways = [f"convert the raw log: {converter} --output {path.parent}"]
        if dataset in ARCHIVES:
            ways.append("fetch the files RecBole publishes: the same command with --download")
        cures = "".join(f"\n  {number}. {way}" for number, way in enumerate(ways, 1))
        super().__init__(
            f"data set '{dataset}' is not there: looked for {path} (--data_path sets the folder "
            f"that holds {dataset}/). To get it:{cures}"
        )
        self.dataset, self.path = dataset, path


def check_files(config: Any, resume: bool = False) -> None:
    """Raise SettingError for a file that is not what a setting says it is, or is missing.

    A log that is not there is fetched first where ``download`` asks for it. ``resume``: the run has
    begun, and does not read again what it began from.
    """
    if config["init_from"] and not resume:
        source_of(read_checkpoint(config["init_from"]), config["init_from"])
    if config["logging_policy"] not in ("auto", "none"):
        read_checkpoint(config["logging_policy"])
    if config["imputation_model"] not in ("auto", None):
        read_model(Path(config["imputation_model"]))
    data = _data_file(config)
    if data.is_file():
        forget(config["dataset"], data.parent)
    elif config["download"]:
        download(config["dataset"], data.parent)
    check_data(config)


def check_data(config: Any) -> None:
    """Raise DatasetMissing unless the data set's file is there."""
    if not _data_file(config).is_file():
        raise DatasetMissing(config["dataset"], _data_file(config))


def _data_file(config: Any) -> Path:
    """Name the interaction file of the data set."""
    return Path(config["data_path"]) / f"{config['dataset']}.inter"
