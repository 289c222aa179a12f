"""What a resume file says of its run, checked against itself and the run's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import check_kinds, load_plain

KINDS: dict[str, type] = {
    "data": str, "next_epoch": int, "waited": int, "stopped": bool, "best_epoch": int,
    "best_valid_score": float, "best_valid_result": dict, "state_dict": dict, "optimizer": dict,
    "scaler": dict, "rng": Tensor,
}  # fmt: skip


def read_resume_file(path: Path, epochs: int) -> dict[str, Any]:
    """Read the state after the last epoch of a run; SettingError if no run can be there."""
    state = load_plain(path)
    check_kinds(state, KINDS, path)
    done, best, waited = state["next_epoch"], state["best_epoch"], state["waited"]
    if not 1 <= done <= epochs:
        raise SettingError(
            f"{path} says that {done} epochs are done, and the run has {epochs}: it is of another "
            "run, or config.yaml was changed; start a new run"
        )
    if not (-1 <= best < done and 0 <= waited <= done):
        raise SettingError(
            f"{path} says that after {done} epochs the best is epoch {best}, and that {waited} "
            "validations went without a better one: no run is there; start a new run"
        )
    results = [state["best_valid_score"], *state["best_valid_result"].values()]
    if not all(isinstance(value, (int, float)) for value in results) or math.isnan(results[0]):
        raise SettingError(f"{path} holds validation scores that are no numbers; start a new run")
    for name, value in state["scaler"].items():
        if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise SettingError(f"{path}: the gradient scaler's {name} is {value}; start a new run")
    return state


def check_best(
    best: Mapping[str, Any], best_path: Path, state: Mapping[str, Any], path: Path
) -> None:
    """Raise SettingError unless the checkpoint is of the best epoch that the resume file names."""
    for name, other in (
        ("data", "data"), ("epoch", "best_epoch"), ("valid_score", "best_valid_score"),
    ):  # fmt: skip
        if best[name] != state[other]:
            raise SettingError(
                f"{best_path} and {path} are not of one run: {name} is {best[name]} in the one, "
                f"{state[other]} in the other; start a new run"
            )
