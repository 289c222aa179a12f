"""Which trial a worker is to work at: none is lost, and none is worked at by two.

A trial belongs to the machine that began it, and while a worker is at it, it holds the lock of the
trial's run folder, which the system frees when the worker ends, however it ends. So a trial that
runs, of this machine, whose lock is free is one whose worker is gone: it goes on in its own folder.
Of another machine a database knows when it was last heard of, and queues the trial again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from recbole_lpi.experiments.trial_storage import beating, optuna
from recbole_lpi.locks import Busy
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

MACHINE = "machine"  # attributes of a trial: whose it is,
ATTEMPTS = "attempts"  # how often, and since which state of its folder, it was begun,
SURPLUS = "surplus"  # and that more was asked for than there is to do
MOST_ATTEMPTS = 3  # workers that a trial may take down before it gets any further
UNCLAIMED = timedelta(minutes=1)  # after which a trial of no machine is one whose worker is gone


class Taken(NamedTuple):
    """A trial, and the folder of its run, which is held."""

    trial: Trial
    folder: RunFolder


@dataclass(frozen=True)
class TrialQueue:
    """The trials of a study.

    Attributes:
        storage: of the study.
        wanted: how many trials there are to be in all.
        folder: names the run folder of the trial of a number.
        machine: what tells this machine, and its folder of runs, from others (``machine``).
    """

    study: Study
    storage: BaseStorage
    wanted: int
    folder: Callable[[int], RunFolder]
    machine: str

    def take(self, held: ExitStack) -> Taken | None:
        """Take a trial to work at, first of those whose worker is gone; None: none is left.

        Its folder is held, and signs of life are given, until ``held`` is closed. It is for the
        caller to tell the study what came of it; where that is not done, it will be taken again.
        """
        found = optuna()
        found.storages.fail_stale_trials(self.study)
        for frozen in self._trials(found.trial.TrialState.RUNNING):
            if self._is_ours(frozen) and (
                taken := self._hold(frozen._trial_id, frozen.number, held)
            ):
                return taken
        while self._trials(found.trial.TrialState.WAITING) or self._left():
            asked = self.study.ask()
            if self._left(asked.number):
                asked.set_user_attr(MACHINE, self.machine)
                if taken := self._hold(asked._trial_id, asked.number, held):
                    return taken
            else:  # two asked for the last one
                asked.set_user_attr(SURPLUS, True)
                self.study.tell(asked, state=found.trial.TrialState.FAIL)
        return None

    def counted(self) -> list[FrozenTrial]:
        """List the trials that there are, each once: none that another stands for, or too many."""
        trials = self._trials()
        again = {n for trial in trials for n in trial.system_attrs.get("retry_history", ())}
        return [t for t in trials if t.number not in again and SURPLUS not in t.user_attrs]

    def folder_of(self, trial: FrozenTrial) -> RunFolder:
        """Name the folder of a trial, which is that of the one that it stands for."""
        return self.folder(trial.system_attrs.get("failed_trial", trial.number))

    def _left(self, before: int | None = None) -> bool:
        """Whether more are wanted than there are, or than there were ``before`` a number."""
        trials = [t for t in self.counted() if before is None or t.number < before]
        return len(trials) < self.wanted

    def _trials(self, *states: Any) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _hold(self, trial_id: int, number: int, held: ExitStack) -> Taken | None:
        """Hold the folder of a trial that runs; None if somebody does, or it has ended."""
        found = optuna()
        with ExitStack() as mine:
            folder = self.folder_of(self._trials()[number])
            try:
                mine.enter_context(folder.exclusive())
            except Busy:
                return None
            mine.enter_context(beating(self.storage, trial_id))
            if self._trials()[number].state is not found.trial.TrialState.RUNNING:
                return None
            trial: Trial = found.trial.Trial(self.study, trial_id)
            if not self._attempt(trial, folder):
                trial.set_user_attr("error", "its worker was killed, time and again")
                self.study.tell(trial, state=found.trial.TrialState.FAIL)
                return None
            held.push(mine.pop_all())
            return Taken(trial, folder)

    def _attempt(self, trial: Trial, folder: RunFolder) -> bool:
        """Count an attempt at a trial; False if there were too many that got no further."""
        state = folder.resume.stat().st_mtime if folder.resume.is_file() else 0.0
        since, number = trial.user_attrs.get(ATTEMPTS, (state, 0))
        number = number + 1 if since == state else 1
        trial.set_user_attr(ATTEMPTS, (state, number))
        return number <= MOST_ATTEMPTS

    def _is_ours(self, frozen: FrozenTrial) -> bool:
        """Whether a trial is of this machine, or of a worker that ended before it said whose."""
        machine = frozen.user_attrs.get(MACHINE)
        if machine is not None or frozen.datetime_start is None:
            return bool(machine == self.machine)
        return datetime.now() - frozen.datetime_start > UNCLAIMED


def interrupted(trial: Trial) -> None:
    """Take back the last attempt at a trial, whose worker was told to stop."""
    state, number = trial.user_attrs[ATTEMPTS]
    trial.set_user_attr(ATTEMPTS, (state, number - 1))


def machine(root: Path) -> str:
    """Name this machine and the folder ``root`` on it: where two have one name, folders differ."""
    return f"{socket.gethostname()} {folder_id(root)}"


def folder_id(root: Path) -> str:
    """What the folder ``root`` is called by every machine that sees it, wherever; made once."""
    root.mkdir(parents=True, exist_ok=True)
    file = root / "folder-id.txt"
    with suppress(FileExistsError), open(file, "x", encoding="utf-8") as made:
        made.write(f"{uuid4().hex}\n")
    for _ in range(50):
        if found := file.read_text(encoding="utf-8").strip():
            return found
        time.sleep(0.1)  # another process has just made it, and is about to write
    raise SettingError(f"{file} is empty: remove it, and start again")
