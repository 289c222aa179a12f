"""Trackers that follow a run beside TensorBoard where they are asked for: MLflow and W&B.

Each run is one run of the tracker. Its id is kept in the run folder, so that a run that is resumed
goes on there as well. Where a tracker keeps its runs its own environment variables say, such as
MLFLOW_TRACKING_URI and WANDB_MODE.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from recbole_lpi.files import write_json
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.training.observers import Observer, Scalars
from recbole_lpi.training.run_folder import RunFolder

PROJECT = "recbole_lpi"  # unless MLFLOW_EXPERIMENT_NAME or WANDB_PROJECT says another
MOST_PARAMS, LONGEST = 100, 6000  # that MLflow takes at once, and the characters of one


class MLflow(Observer):
    """A run of MLflow; names have ``_at_`` for ``@``, which MLflow does not take."""

    def begin(self, folder: RunFolder, config: Mapping[str, Any]) -> None:
        """Begin a run with these settings as its parameters, or go on with it."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client, self.status = MlflowClient(), "KILLED"
        kept = _read_ids(folder).get("mlflow")
        if kept is not None:
            self.run = kept
            self.client.update_run(kept, status="RUNNING")
            return
        self.run = self.client.create_run(self._experiment(), run_name=str(folder.path)).info.run_id
        params = [Param(name, str(value)[:LONGEST]) for name, value in config.items()]
        for begin in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(self.run, params=params[begin : begin + MOST_PARAMS])
        _keep_id(folder, "mlflow", self.run)

    def epoch(self, number: int, scalars: Scalars) -> None:
        """Log the scalars of an epoch; those that are finite."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [
            Metric(name.replace("@", "_at_"), value, now, number)
            for name, value in scalars.items()
            if math.isfinite(value)
        ]
        self.client.log_batch(self.run, metrics=metrics)

    def finish(self, number: int, scalars: Scalars) -> None:
        """Log the scalars of the test part."""
        self.epoch(number, scalars)
        self.status = "FINISHED"

    def close(self) -> None:
        """End the run, as finished or as killed."""
        if hasattr(self, "run"):
            self.client.set_terminated(self.run, self.status)

    def _experiment(self) -> str:
        """The id of the experiment, which is made if need be."""
        from mlflow.exceptions import MlflowException

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        for _ in range(2):
            found = self.client.get_experiment_by_name(name)
            if found is not None:
                return str(found.experiment_id)
            try:
                return str(self.client.create_experiment(name))
            except MlflowException:  # another process has just made it
                continue
        raise SettingError(f"MLflow has no experiment {name}, and will not make it")


class WeightsAndBiases(Observer):
    """A run of Weights & Biases; offline, what a resumed run adds is synchronised into the same."""

    def begin(self, folder: RunFolder, config: Mapping[str, Any]) -> None:
        """Begin a run with these settings, or go on with it."""
        import wandb

        self.exit_code = 1
        kept = _read_ids(folder).get("wandb")
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=kept,
            name=str(folder.path),
            config=dict(config),
            resume=None if kept is None else "allow",
            reinit="create_new",  # another run of this process, of whoever's, stays as it is
        )
        if kept is None:
            _keep_id(folder, "wandb", self.run.id)

    def epoch(self, number: int, scalars: Scalars) -> None:
        """Log the scalars of an epoch."""
        self.run.log(scalars, step=number)

    def finish(self, number: int, scalars: Scalars) -> None:
        """Log the scalars of the test part, as the summary of the run."""
        self.run.summary.update(scalars)
        self.exit_code = 0

    def close(self) -> None:
        """End the run, as finished or as failed."""
        if hasattr(self, "run"):
            self.run.finish(exit_code=self.exit_code)


TRACKERS: dict[str, Callable[[], Observer]] = {"mlflow": MLflow, "wandb": WeightsAndBiases}


def check_installed(names: Sequence[str]) -> None:
    """Raise SettingError for the first tracker that is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise SettingError(
                f"trackers: {name} is not installed: pip install 'recbole-lpi[{name}]'"
            )


def trackers(names: Sequence[str]) -> Iterator[Observer]:
    """Make the trackers of these names, each to follow one run."""
    return (TRACKERS[name]() for name in names)


def _read_ids(folder: RunFolder) -> dict[str, str]:
    """The ids that the run has, by tracker; SettingError if the file holds something else."""
    if not folder.tracked.is_file():
        return {}
    try:
        return dict(coerce("ids", json.loads(folder.tracked.read_text("utf-8")), dict[str, str]))
    except ValueError as error:  # of JSON, or of what it holds
        raise SettingError(
            f"{folder.tracked} does not hold the ids of trackers ({error}): remove it, and the run "
            "is tracked as a new one"
        ) from None


def _keep_id(folder: RunFolder, name: str, run: str) -> None:
    write_json(folder.tracked, {**_read_ids(folder), name: run})
