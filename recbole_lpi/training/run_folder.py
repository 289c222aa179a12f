"""One folder per run: who may write to it, and the run there that it replaces."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from recbole_lpi.files import beside
from recbole_lpi.locks import INSIDE, exclusive
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_files import RunFiles
from recbole_lpi.yaml_values import read_file


class RunFolder(RunFiles):
    """The folder of a run: its files, a lock, and for a while the run that it replaces.

    Whoever writes here holds it (``exclusive``) from its claim or its resuming to its end.

    replaced/   the run that --overwrite replaces, until an epoch of the new one is kept
    .lock       held by the process that is at the run
    """

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
        """The file config.yaml, in replaced/ where a run that is being put back lacks it alone."""
        own, replaced = self.config, self._replaced.config
        return own if own.is_file() or not replaced.is_file() else replaced

    def read_config(self) -> dict[str, Any]:
        """Read the settings; SettingError if this is no run folder, or the file is no YAML."""
        if not self.begun:
            raise SettingError(f"{self.path} is no run folder: it has no config.yaml")
        return read_file(self._settings)

    def exclusive(self, waiting: str | None = None) -> AbstractContextManager[None]:
        """Hold the folder against every other process, as ``locks.exclusive`` does."""
        return exclusive(self.path, waiting)

    def check_free(self, overwrite: bool) -> None:
        """Raise SettingError if another run lives here and is not to be overwritten."""
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
            self.move_to(self._replaced)
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)

    def recover(self) -> None:
        """Undo what a process that was killed left half; the folder must be held.

        Settings are the last that is moved or removed of a run, and the first that is written. So a
        run whose settings are in one place alone is whole there, or on its way there or from there.
        SettingError if a folder in it is a link: files would be moved and removed elsewhere.
        """
        for folder in (self._replaced.path, self.tensorboard, self._replaced.tensorboard):
            if folder.is_symlink():
                raise SettingError(f"{folder} leads out of the run folder: remove that link")
        for name in self.FILES:
            beside(self.path / name).unlink(missing_ok=True)
        if self.config.is_file() != self._replaced.config.is_file():
            self._replaced.move_to(self)
            self._replaced.clear()

    def settle(self) -> None:
        """Remove the run that is replaced, since something of the new one is kept."""
        self._replaced.clear()

    def give_up(self) -> None:
        """Remove the new run, of which nothing came, and put the earlier one where it was."""
        self.clear()
        self._replaced.move_to(self)
        self._replaced.clear()

    @property
    def _replaced(self) -> RunFiles:
        return RunFiles(self.path / "replaced")


def claimed(
    model: str, dataset: str, run_dir: str | None, overwrite: bool, held: ExitStack
) -> RunFolder:
    """Claim the folder of a new run, ``run_dir`` or one of its own, until ``held`` is closed.

    Raises:
        SettingError: a run is there and is not to be overwritten, or another process is at it.
    """
    folder = new_run_folder(model, dataset) if run_dir is None else RunFolder(run_dir)
    held.enter_context(folder.exclusive())
    folder.claim(overwrite)
    return folder


def run_path(model: str, dataset: str, run_dir: str | None, root: str = "runs") -> Path:
    """Name the folder of a new run: ``run_dir``, or ``runs/<dataset>/<model>-<time>``."""
    if run_dir is not None:
        return Path(run_dir)
    return Path(root) / dataset / f"{model}-{time.strftime('%Y%m%d-%H%M%S')}"


def new_run_folder(model: str, dataset: str, root: str = "runs") -> RunFolder:
    """Make a folder nobody else has, ``runs/<dataset>/<model>-<time>``; at once, so it is ours."""
    wanted = run_path(model, dataset, None, root)
    for attempt in range(1000):
        path = wanted if not attempt else wanted.with_name(f"{wanted.name}-{attempt}")
        try:
            path.mkdir(parents=True)
            return RunFolder(path)
        except FileExistsError:
            continue
    raise SettingError(f"no free run folder under {Path(root) / dataset}; give --run_dir")
