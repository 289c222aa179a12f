"""The file that keeps a fitted imputation: plain tensors, refused in one line unless they fit."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from recbole_lpi.evaluation.imputation.imputed_rewards import Imputation
from recbole_lpi.evaluation.imputation.rated_log import RatedLog
from recbole_lpi.evaluation.imputation.settings import ImputationSettings
from recbole_lpi.files import write_tensors
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.stored_tensors import check_kinds, check_tensor, load_plain, refusing

FORMAT = "recbole_lpi imputation"
KINDS: dict[str, type] = {"catalogue": str, "settings": dict, "items": Tensor, "report": dict}
MODEL = "model.pth"


def read_model(path: Path) -> dict[str, Any]:
    """What the file or folder of an imputation holds; SettingError if it is none of ours."""
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise SettingError(f"no imputation model at {file}")
    state = load_plain(file)
    if state.get("format") != FORMAT:
        raise SettingError(f"{file} is not an imputation model of recbole_lpi")
    check_kinds(state, KINDS, file)
    with refusing(file):
        json.dumps(state["report"])  # it goes into metrics.json
    return state


def write_model(folder: Path, imputation: Imputation, log: RatedLog) -> None:
    """Keep an imputation in ``folder``, with what it was fitted to."""
    write_tensors(
        folder / MODEL,
        {
            "format": FORMAT,
            "catalogue": log.catalogue,
            "data": log.data,
            "settings": asdict(imputation.settings),
            "items": imputation.items,
            "report": imputation.report,
        },
    )


def load(path: Path, log: RatedLog) -> Imputation:
    """The imputation in a file or folder, with the rewards that ratings have in this log.

    SettingError where the log has no ratings, and for an imputation of another catalogue; a warning
    for one of other events or another split.
    """
    scale = log.scale
    state = read_model(path)
    if state["catalogue"] != log.catalogue:
        raise SettingError(
            f"{path} is of another catalogue: it imputes rewards of {len(state['items'])} items, "
            f"the data set '{log.name}' has {log.item_num - 1}; use one fitted to this "
            "data set and its filters, or imputation_model: auto"
        )
    if state.get("data", log.data) != log.data:
        logging.getLogger().warning(
            f"{path} was fitted to other events or another split of {log.name}: it may "
            "have seen what this run is tested on"
        )
    with refusing(path):
        settings = coerce("settings", state["settings"], ImputationSettings)
        (rank,) = settings.rank
        check_tensor(state["items"], "items", path, (log.item_num - 1, rank))
        return Imputation(state["items"].to(settings.dtype), settings, scale, state["report"])
