"""A search for the best settings of one model: what it is asked, and what it has found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.search_space import Choices, Space
from recbole_lpi.experiments.sweep import MAY_DIFFER, default_criterion
from recbole_lpi.experiments.trial_queue import TrialQueue, machine
from recbole_lpi.experiments.trial_storage import open_storage, optuna
from recbole_lpi.plugin.properties import defaults
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder

if TYPE_CHECKING:
    from optuna import Study

JS = "js_divergence"
ASKED = "asked"  # the attribute of a study that says what it was begun with


@dataclass(frozen=True)
class Tuning:
    """A search over ``space`` for settings of a model on one data set.

    SettingError for a setting that a search gives to each of its trials.

    Attributes:
        root: the folder of the search, which holds a run folder for each trial.
        study: what the search is called in its storage.
        given: settings of every trial.
        trials: how many are to be made, all workers together.
        front: with two objectives, the criterion and the JS divergence from the logging policy.
        objective: the metric of validation that is improved; None: the one that picks epochs.
        storage: the URL of a database, or a journal file; None: a journal in ``root``.
    """

    model: str
    dataset: str
    root: Path
    study: str
    given: Mapping[str, Any]
    space: Space
    trials: int = 20
    front: bool = False
    objective: str | None = None
    storage: str | None = field(default=None, repr=False)  # it may hold a password

    def __post_init__(self) -> None:
        for name in names(Role.FOLDER):
            if name in self.given:
                raise SettingError(f"{name} is for one run; a search sets it for each of its own")
        if self.criterion.neutral:
            raise SettingError(
                f"--objective={self.criterion} is neither better nor worse: give --front, which "
                "weighs it against another"
            )

    @property
    def criterion(self) -> Metric:
        """The metric of validation that is improved."""
        own = self.given.get("valid_metric") or default_criterion(self.model, self.dataset)
        return Metric.parse(str(self.objective or own))

    @property
    def objectives(self) -> dict[str, str]:
        """The metrics of validation that trials are judged by, and where each is to go."""
        towards = "minimize" if self.criterion.smaller_is_better else "maximize"
        return {str(self.criterion): towards, **({JS: "minimize"} if self.front else {})}

    def folder(self, number: int) -> RunFolder:
        """Name the run folder of a trial, there or not."""
        return RunFolder(self.root / f"trial-{number:04}")

    @cached_property
    def queue(self) -> TrialQueue:
        """Open the storage and, in it, the trials; SettingError if they are of another search."""
        storage = open_storage(self.storage or self.root / "trials.journal")
        return TrialQueue(
            self._study(storage), storage, self.trials, self.folder, machine(self.root)
        )

    def _study(self, storage: Any) -> Study:
        """Load the study, or make it, with a first trial of the model's own defaults."""
        found = optuna()
        what = {"study_name": self.study, "storage": storage}
        try:
            study: Study = found.create_study(**what, directions=list(self.objectives.values()))
            study.set_user_attr(ASKED, self._asked)
            study.enqueue_trial(self._defaults())
        except found.exceptions.DuplicatedStudyError:
            study = found.load_study(**what)
            self._refuse_another(study.user_attrs.get(ASKED, self._asked))
        return study

    @property
    def _asked(self) -> dict[str, Any]:
        """What all workers of a search share, as plain values."""
        given = {name: value for name, value in self.given.items() if name not in MAY_DIFFER}
        space = {
            name: list(values.values) if isinstance(values, Choices) else vars(values)
            for name, values in self.space.items()
        }
        asked = {
            "model": self.model, "dataset": self.dataset, "objectives": self.objectives,
            "space": space, "settings": given,
        }  # fmt: skip
        return dict(json.loads(json.dumps(asked)))

    def _refuse_another(self, earlier: Mapping[str, Any]) -> None:
        """Raise SettingError if the study was begun with something else."""
        for what, now in self._asked.items():
            before = earlier.get(what)
            if before != now:
                raise SettingError(
                    f"the search '{self.study}' was begun with {what} {before}, and now it is "
                    f"{now}: go on as it was begun, or give another --study"
                )

    def _defaults(self) -> dict[str, Any]:
        """The model's own defaults, as far as they are in the space."""
        own, found = {**defaults(self.model, self.dataset)}, {}
        for name, values in self.space.items():
            try:
                found[name] = values.enqueued(own.get(name))
            except LookupError:
                continue
        return found
