"""The files of a run: where each is, how settings and metrics are written and read."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from recbole_lpi.files import beside, write_bytes, write_json
from recbole_lpi.settings import SettingError, coerce

SCHEMA = 1
ESTIMATES = dict[str, dict[str, float | None]]
METRICS: dict[str, Any] = {
    "model": str, "dataset": str, "data": str, "seed": int, "imputation": dict[str, Any] | None,
    "logging_policy_quality": dict[str, Any] | None,
    "best_epoch": int, "epochs": int, "identity": str, "weights": str,
    "noise_floor": dict[str, dict[str, float | None]] | None,
    "valid": ESTIMATES, "test": ESTIMATES,
    "floors": dict[str, ESTIMATES],
}  # fmt: skip


class RunFiles:
    """The files of a run. Each is written beside and renamed into place, so none is ever half.

    config.yaml     every setting of the run
    log.txt         what was logged
    model.pth       the best epoch
    resume.pth      the last epoch, with optimiser and random state
    metrics.json    validation and test metrics; there once the run has finished
    events.parquet  the event table of the test part
    trackers.json   what MLflow and Weights & Biases call the run, where they follow it
    tensorboard/    metrics and losses by epoch
    policy.onnx     the policy for other runtimes, and policy.json, once it was exported
    """

    FILES = (
        "config.yaml", "log.txt", "model.pth", "resume.pth", "metrics.json", "events.parquet",
        "trackers.json",
    )  # fmt: skip

    EXPORTED = ("policy.onnx", "policy.json")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        files = (self.path / name for name in self.FILES)
        self.config, self.log, self.model, self.resume, self.metrics, self.events = islice(files, 6)
        self.tracked = next(files)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.metrics.is_file()

    @property
    def tensorboard(self) -> Path:
        """The folder of what TensorBoard shows."""
        return self.path / "tensorboard"

    def clear(self) -> None:
        """Remove what a run wrote, its settings last, and the folder if it holds nothing else."""
        if not self.path.is_dir():
            return
        for old in self.tensorboard.glob("events.out.*"):
            old.unlink()
        _remove_if_empty(self.tensorboard)
        for name in (*self.EXPORTED, *reversed(self.FILES)):
            beside(self.path / name).unlink(missing_ok=True)
            (self.path / name).unlink(missing_ok=True)
        _remove_if_empty(self.path)

    def move_to(self, other: RunFiles) -> None:
        """Move the run, its settings last: as long as they are here, the run is here."""
        for name in ("tensorboard", *self.EXPORTED, *reversed(self.FILES)):
            if (self.path / name).exists():
                other.path.mkdir(parents=True, exist_ok=True)
                (self.path / name).rename(other.path / name)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write settings as plain YAML."""
        write_bytes(self.config, yaml.safe_dump(dict(config), sort_keys=True).encode())

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics by schema 1; NaN is null, and so is what is infinite, which is warned of.

        ``{"data": hash, "seed": …, "valid": {name: {"mean", "stderr", "count"}}, "test": …,
        "floors": {"last_item": {name: …}, "session_popularity": …}}``, the floors of the test part.
        """
        infinite = [
            f"{name} ({part})"
            for part in ("valid", "test")
            for name, estimate in metrics.get(part, {}).items()
            if any(isinstance(value, float) and math.isinf(value) for value in estimate.values())
        ]
        if infinite:
            logging.getLogger().warning(
                f"not finite, and null in {self.metrics.name}: {', '.join(infinite)}; look at the "
                "rewards"
            )
        write_json(self.metrics, {"schema": SCHEMA, **metrics})

    def read_metrics(self) -> dict[str, Any]:
        """Read what ``write_metrics`` wrote; SettingError if the file holds something else."""
        try:
            found = json.loads(self.metrics.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise SettingError(
                f"{self.metrics} is not the JSON of a run's metrics, schema {SCHEMA}"
            )
        try:
            for name, kind in METRICS.items():
                if name in found:
                    coerce(name, found[name], kind)
            for part in ("valid", "test"):
                for name, estimate in found.get(part, {}).items():
                    coerce(f"{part}: {name}: mean", estimate.get("mean", ""), float | None)
        except SettingError as error:
            raise SettingError(f"{self.metrics}: {str(error)[:300]}") from None
        return found


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
