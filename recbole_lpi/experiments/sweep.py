"""A sweep: every row of a plan tuned on validation with one budget, then trained with more seeds.

Each run is a folder that is made once; what a sweep has found is read from those folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.job_claims import JobClaims
from recbole_lpi.experiments.plans import Plan, Row, Settings
from recbole_lpi.plugin.properties import defaults
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.settings import TrainingSettings

SET_BY_SWEEP = ("seed", "logging_policy", *names(Role.FOLDER))  # of each run, whatever is given
MAY_DIFFER = frozenset(  # between runs of one sweep
    names(Role.PLACE, Role.MACHINE, Role.CALL, Role.CACHE, Role.HOUSEKEEPING)
)


@dataclass(frozen=True)
class Sweep:
    """The runs of a plan on one data set, under one folder. SettingError if there are none such.

    Attributes:
        root: the folder that holds a folder for each row.
        given: settings of every run, stronger than those the plan gives to all rows.
        seeds: how many seeds the best settings are trained with, 1 … seeds; tries use seed 1.
        only: names of the rows to run; empty: all.
        storage: the URL of a database, or a journal file, by which workers share the runs; None:
            by the locks of their folders, which all of them must see.
    """

    plan: Plan
    dataset: str
    root: Path
    given: Settings
    seeds: int = 3
    only: Sequence[str] = ()
    storage: str | None = field(default=None, repr=False)  # it may hold a password

    def __post_init__(self) -> None:
        for name in SET_BY_SWEEP:
            if name in self.shared:
                raise SettingError(f"{name} is for one run; a sweep sets it for each of its own")
        unknown = set(self.only) - {row.name for row in self.plan.rows}
        if unknown:
            raise SettingError(f"the plan has no row {', '.join(sorted(unknown))}")

    @property
    def shared(self) -> Settings:
        """Settings of every run: what was given, and where it says nothing, the plan's."""
        return {**self.plan.shared, **self.given}

    def criterion(self, row: Row) -> Metric:
        """The validation metric that picks among the tries of a row, as it picks their epochs."""
        given = {**self.shared, **row.fixed}
        own = given.get("valid_metric") or default_criterion(row.model, self.dataset)
        return Metric.parse(str(own))

    @property
    def rows(self) -> list[Row]:
        """The rows to run, in the order of the plan."""
        return [row for row in self.plan.rows if not self.only or row.name in self.only]

    @property
    def reference(self) -> Row:
        """The row whose best run, of seed 1, is the logging policy of all others."""
        return next(row for row in self.plan.rows if row.name == self.plan.reference)

    def folder(self, row: Row, settings: Settings, seed: int) -> RunFolder:
        """Name the folder of the run of ``row`` with ``settings`` and ``seed``, there or not."""
        words = [f"{key}={value}" for key, value in sorted(settings.items())] or ["defaults"]
        return RunFolder(self.root / row.name / ",".join(words) / f"seed={seed}")

    def claimed(self, folder: RunFolder, waiting: str | None) -> AbstractContextManager[None]:
        """Hold a run against every other worker; ``waiting`` is as of ``RunFolder.exclusive``."""
        if self._claims is None:
            return folder.exclusive(waiting)
        return self._claims.claimed(folder, waiting)

    @cached_property
    def _claims(self) -> JobClaims | None:
        return None if self.storage is None else JobClaims(self.storage, self.root)

    def score(self, row: Row, settings: Settings) -> float | None:
        """Read the validation criterion of a try; None while it has not run.

        It is the worst there is, −∞ or ∞, if the try diverged.
        """
        folder, criterion = self.folder(row, settings, 1), self.criterion(row)
        worst = _worst(criterion)
        if diverged(folder).is_file():
            return worst
        if not folder.finished:
            return None
        found = folder.read_metrics().get("valid", {}).get(str(criterion))
        if found is None:
            raise SettingError(
                f"{folder.metrics} has no {criterion} of validation, by which the plan picks: "
                "it is of another plan; give another --runs"
            )
        return worst if found["mean"] is None else float(found["mean"])

    def best(self, row: Row) -> Settings | None:
        """Pick the try that ranked best on validation; None until all have run, or all diverged."""
        scores = [self.score(row, settings) for settings in row.tries]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores):
            return None
        criterion = self.criterion(row)
        best = min(known) if criterion.smaller_is_better else max(known)
        return None if best == _worst(criterion) else row.tries[known.index(best)]

    def runs(self, row: Row) -> list[RunFolder]:
        """List finished runs of the best settings, one per seed."""
        best = self.best(row)
        if best is None:
            return []
        folders = [self.folder(row, best, seed) for seed in range(1, self.seeds_of(row) + 1)]
        return [folder for folder in folders if folder.finished]

    def seeds_of(self, row: Row) -> int:
        """Say how many seeds the best settings of a row are trained with."""
        return self.seeds if row.seeded else 1

    @property
    def progress(self) -> tuple[int, int]:
        """Count the runs that are made, and those there are to be."""
        tried = [self.score(row, s) is not None for row in self.rows for s in row.tries]
        more = [len(self.runs(row)) - 1 for row in self.rows if self.runs(row)]
        return sum(tried) + sum(more), len(tried) + sum(self.seeds_of(r) - 1 for r in self.rows)


@cache
def default_criterion(model: str, dataset: str) -> str:
    """The ``valid_metric`` of a model that is not given another."""
    return str(defaults(model, dataset).get("valid_metric", TrainingSettings.valid_metric))


def _worst(criterion: Metric) -> float:
    """The worst that a criterion can be."""
    return float("inf") if criterion.smaller_is_better else float("-inf")


def diverged(folder: RunFolder) -> Path:
    """Name the file that says that a run ended in a loss that is no number."""
    return folder.path / "diverged.txt"
