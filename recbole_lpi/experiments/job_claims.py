"""Who makes which run of a sweep, by a storage that several machines share."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_lpi.experiments.trial_queue import TrialQueue, folder_id, machine
from recbole_lpi.experiments.trial_storage import open_storage, optuna
from recbole_lpi.locks import Busy
from recbole_lpi.text import visible
from recbole_lpi.training.run_folder import RunFolder

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

POLL = 5.0  # seconds between looks at a run that is waited for


class JobClaims:
    """Gives each run of a sweep to one worker. A run is a study of one trial.

    Args:
        where: the URL of a database, or a journal file.
        root: the folder of the sweep, which all its workers share.
    """

    def __init__(self, where: str, root: Path) -> None:
        self.where, self.root = where, root

    @cached_property
    def storage(self) -> BaseStorage:
        """The storage, opened once; SettingError if it cannot be."""
        return open_storage(self.where)

    @contextmanager
    def claimed(self, folder: RunFolder, waiting: str | None) -> Iterator[None]:
        """Hold a run, against every worker of this storage; it is done if the block gets through.

        Args:
            waiting: said where another worker holds it, which is then waited for; None: Busy.

        Raises:
            Busy: another worker is at it, or has done it where its folder cannot be seen.
        """
        queue = self._queue(folder)
        with ExitStack() as held:
            taken = queue.take(held)
            if taken is None and waiting is not None:
                print(visible(waiting), file=sys.stderr, flush=True)
            while taken is None and waiting is not None and not self._done(queue):
                time.sleep(POLL)
                taken = queue.take(held)
            if taken is None and not self._done(queue):
                raise Busy(f"another worker is at {folder.path}")
            if taken is None and not folder.finished:
                say = f"{folder.path}: done by another worker, and not here: all share one --runs"
                print(visible(say), file=sys.stderr, flush=True)
                raise Busy(say)
            yield
            if taken is not None:
                queue.study.tell(taken.trial, 0.0)

    def _queue(self, folder: RunFolder) -> TrialQueue:
        name = f"{folder_id(self.root)}/{folder.path.relative_to(self.root)}"
        study = optuna().create_study(study_name=name, storage=self.storage, load_if_exists=True)
        return TrialQueue(study, self.storage, 1, lambda number: folder, machine(self.root))

    def _done(self, queue: TrialQueue) -> bool:
        """Whether a worker has done the run, or given it up."""
        return all(trial.state.is_finished() for trial in queue.counted())
