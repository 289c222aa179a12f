"""One folder per run, with everything the run made."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import yaml

from recbole_lpi.files import beside, write_bytes, write_json
from recbole_lpi.locks import INSIDE, exclusive
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.yaml_values import read_file

SCHEMA = 1
ESTIMATES = dict[str, dict[str, float | None]]
METRICS: dict[str, Any] = {
    "model": str, "dataset": str, "data": str, "seed": int, "imputation": dict[str, Any] | None,
    "best_epoch": int, "epochs": int, "valid": ESTIMATES, "test": ESTIMATES,
}  # fmt: skip


class RunFolder:
    """The files of a run. Each is written beside and renamed into place, so none is ever half.

    Whoever writes here holds it (``exclusive``) from its claim or its resuming to its end.

    config.yaml     every setting of the run
    log.txt         what was logged
    model.pth       the best epoch
    resume.pth      the last epoch, with optimiser and random state
    metrics.json    validation and test metrics; there once the run has finished
    events.parquet  the event table of the test part
    replaced/       the run that --overwrite replaces, until an epoch of the new one is kept
    .lock           held by the process that is at the run
    """

    FILES = (
        "config.yaml", "log.txt", "model.pth", "resume.pth", "metrics.json", "events.parquet",
    )  # fmt: skip

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config, self.log, self.model, self.resume, self.metrics, self.events = (
            self.path / name for name in self.FILES
        )

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.metrics.is_file()

    @property
    def at_rest(self) -> bool:
        """Whether the run came to its end, and its process too."""
        return self.finished and not (self.path / INSIDE).exists()

    @property
    def begun(self) -> bool:
        """Whether a run ever began here."""
        return self._settings.is_file()

    @property
    def _settings(self) -> Path:
        """config.yaml, where it is the last that is missing of a run that is being put back too."""
        own, replaced = self.config, self._replaced.config
        return own if own.is_file() or not replaced.is_file() else replaced

    def exclusive(self, waiting: str | None = None) -> AbstractContextManager[None]:
        """Hold the folder against every other process, as ``locks.exclusive`` does."""
        return exclusive(self.path, waiting)

    def check_free(self, overwrite: bool) -> None:
        """SettingError if another run lives here and is not to be overwritten."""
        if self.begun and not overwrite:
            state = "a finished run" if self.finished else "a run that did not finish"
            resume = "" if self.finished else f"go on with it by --resume={self.path}, "
            raise SettingError(
                f"{self.path} holds {state}: {resume}choose another --run_dir or give --overwrite"
            )

    def claim(self, overwrite: bool) -> None:
        """Make the folder, held; an earlier run is put aside, until ``settle`` or ``give_up``."""
        self.recover()
        self.check_free(overwrite)
        if self.begun and (self.resume.is_file() or self.finished):
            self._replaced.clear()
            self._move_to(self._replaced)
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)

    def recover(self) -> None:
        """Undo what a process that was killed left half, of the folder, held.

        Settings are the last that is moved or removed of a run, and the first that is written. So a
        run whose settings are in one place alone is whole there, or on its way there or from there.
        SettingError if a folder in it is a link: files would be moved and removed elsewhere.
        """
        for folder in (self._replaced.path, self._tensorboard, self._replaced._tensorboard):
            if folder.is_symlink():
                raise SettingError(f"{folder} leads out of the run folder: remove that link")
        for name in self.FILES:
            beside(self.path / name).unlink(missing_ok=True)
        if self.config.is_file() != self._replaced.config.is_file():
            self._replaced._move_to(self)
            self._replaced.clear()

    def settle(self) -> None:
        """Something of the new run is kept: remove the one it replaces."""
        self._replaced.clear()

    def give_up(self) -> None:
        """Nothing came of the new run: leave no trace of it, and the earlier one where it was."""
        self.clear()
        self._replaced._move_to(self)
        self._replaced.clear()

    def clear(self) -> None:
        """Remove what a run wrote, its settings last, and the folder if it holds nothing else."""
        if not self.path.is_dir():
            return
        for old in self._tensorboard.glob("events.out.*"):
            old.unlink()
        _remove_if_empty(self._tensorboard)
        for name in reversed(self.FILES):
            beside(self.path / name).unlink(missing_ok=True)
            (self.path / name).unlink(missing_ok=True)
        _remove_if_empty(self.path)

    @property
    def _tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def _replaced(self) -> RunFolder:
        return RunFolder(self.path / "replaced")

    def _move_to(self, other: RunFolder) -> None:
        """Its settings last: as long as they are here, the run is."""
        for name in ("tensorboard", *reversed(self.FILES)):
            if (self.path / name).exists():
                other.path.mkdir(parents=True, exist_ok=True)
                (self.path / name).rename(other.path / name)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Settings as plain YAML."""
        write_bytes(self.config, yaml.safe_dump(dict(config), sort_keys=True).encode())

    def read_config(self) -> dict[str, Any]:
        """The settings; SettingError if this is no run folder, or the file is no YAML."""
        if not self.begun:
            raise SettingError(f"{self.path} is no run folder: it has no config.yaml")
        return read_file(self._settings)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Schema 1; NaN is null, and so is what is infinite, which is said.

        ``{"data": hash, "seed": …, "valid": {name: {"mean", "stderr", "count"}}, "test": …}``
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
        """What ``write_metrics`` wrote; SettingError if it is something else."""
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


def claimed(
    model: str, dataset: str, run_dir: str | None, overwrite: bool, held: ExitStack
) -> RunFolder:
    """The folder of a new run, ``run_dir`` or one of its own, exclusive until ``held`` is closed.

    Raises:
        SettingError: a run is there and is not to be overwritten, or another process is at it.
    """
    folder = new_run_folder(model, dataset) if run_dir is None else RunFolder(run_dir)
    held.enter_context(folder.exclusive())
    folder.claim(overwrite)
    return folder


def new_run_folder(model: str, dataset: str, root: str = "runs") -> RunFolder:
    """A folder nobody else has, ``runs/<dataset>/<model>-<time>``; made at once, so it is ours."""
    name = f"{model}-{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in range(1000):
        path = Path(root) / dataset / (name if not attempt else f"{name}-{attempt}")
        try:
            path.mkdir(parents=True)
            return RunFolder(path)
        except FileExistsError:
            continue
    raise SettingError(f"no free run folder under {Path(root) / dataset}; give --run_dir")
