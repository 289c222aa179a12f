"""A sweep: every row of a plan tuned on validation with one budget, then trained with more seeds.

Each run is a folder that is made once. Stopped and started again, a sweep goes on where it was;
started twice, the two processes share the work.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.locks import Busy
from recbole_lpi.plugin import checkpoints
from recbole_lpi.plugin import stored_settings as stored
from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.settings import SettingError
from recbole_lpi.text import visible
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.yaml_values import read_file

Settings = Mapping[str, Any]
OF_ONE_RUN = frozenset({"seed", "logging_policy", "run_dir", "resume", "overwrite"})
INCIDENTAL = frozenset(
    {"data_path", "show_progress", "gpu_id", "use_gpu", "download", "collective_timeout"}
)


@dataclass(frozen=True)
class Row:
    """One row of the table: a model, what it is always given, and what is tried on validation."""

    name: str
    model: str
    fixed: Settings
    tries: tuple[Settings, ...]
    seeded: bool = True  # a model that draws nothing is run once


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        shared: settings of every run; its ``valid_metric`` also picks among the tries.
        reference: name of the row whose best run is the logging policy of all others.
        rows: in the order of the table.
        title: what the table is of; the name of the plan's file if it does not say.
    """

    shared: Settings
    reference: str
    rows: tuple[Row, ...]
    title: str


def read_plan(name: str) -> Plan:
    """A plan from a YAML file, or from ``properties/experiment/<name>.yaml``.

    SettingError names the file and what is wrong.
    """
    path = Path(name)
    if not path.is_file():
        path = properties_folder() / "experiment" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise SettingError(f"there is no plan '{name}': give a YAML file or one of {known}")
    content = read_file(path)
    needed = {"shared", "reference", "rows"}
    if set(content) - {"title"} != needed or not isinstance(content["rows"], Mapping):
        raise SettingError(
            f"{path}: not a plan, which has the keys shared, reference, rows and perhaps title"
        )
    rows = tuple(_row(path, name, given or {}) for name, given in content["rows"].items())
    title = str(content.get("title") or path.stem)
    plan = Plan(content["shared"] or {}, content["reference"], rows, title)
    if plan.reference not in {row.name for row in rows}:
        raise SettingError(f"{path}: reference is {plan.reference}, which is not one of its rows")
    return plan


def _row(path: Path, name: str, given: Any) -> Row:
    known = ("model", "fixed", "tries", "seeded")
    try:
        unknown = [key for key in given if key not in known]
        fixed, tries = dict(given.get("fixed") or {}), [dict(t) for t in given.get("tries") or [{}]]
    except (AttributeError, TypeError, ValueError):
        raise SettingError(f"{path}: row {name} is no mapping of {', '.join(known)}") from None
    if unknown:
        raise SettingError(
            f"{path}: row {name} has {', '.join(unknown)}; known are {', '.join(known)}"
        )
    return Row(name, given.get("model", name), fixed, tuple(tries), given.get("seeded", True))


class Sweep:
    """The runs of a plan on one data set, under one folder.

    Args:
        given: settings of every run, stronger than those the plan gives to all rows.
        seeds: how many seeds the best settings are trained with, 1 … seeds; tries use seed 1.
        only: names of the rows to run; empty: all.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: str,
        root: Path,
        given: Settings,
        seeds: int = 3,
        only: Sequence[str] = (),
    ) -> None:
        self.plan, self.dataset, self.root, self.seeds = plan, dataset, root, seeds
        self.given = {**plan.shared, **given}
        for name in OF_ONE_RUN.intersection(self.given):
            raise SettingError(f"{name} is for one run; a sweep sets it for each of its own")
        self.criterion = str(self.given.get("valid_metric", TrainingSettings.valid_metric)).lower()
        unknown = set(only) - {row.name for row in plan.rows}
        if unknown:
            raise SettingError(f"the plan has no row {', '.join(sorted(unknown))}")
        self.rows = [row for row in plan.rows if not only or row.name in only]

    @property
    def reference(self) -> Row:
        """The row whose best run, of seed 1, is the logging policy of all others."""
        return next(row for row in self.plan.rows if row.name == self.plan.reference)

    def folder(self, row: Row, settings: Settings, seed: int) -> RunFolder:
        """Where the run of ``row`` with ``settings`` and ``seed`` is or will be."""
        words = [f"{key}={value}" for key, value in sorted(settings.items())] or ["defaults"]
        return RunFolder(self.root / row.name / ",".join(words) / f"seed={seed}")

    def score(self, row: Row, settings: Settings) -> float | None:
        """Validation criterion of a try; None while it has not run, −∞ if it diverged."""
        folder = self.folder(row, settings, 1)
        if diverged(folder).is_file():
            return float("-inf")
        if not folder.finished:
            return None
        found = folder.read_metrics().get("valid", {}).get(self.criterion)
        if found is None:
            raise SettingError(
                f"{folder.metrics} has no {self.criterion} of validation, by which the plan picks: "
                "it is of another plan; give another --runs"
            )
        return float("-inf") if found["mean"] is None else float(found["mean"])

    def best(self, row: Row) -> Settings | None:
        """The try that ranked best on validation; None until all have run, or if all diverged."""
        scores = [self.score(row, settings) for settings in row.tries]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores) or max(known) == float("-inf"):
            return None
        return row.tries[known.index(max(known))]

    def runs(self, row: Row) -> list[RunFolder]:
        """Finished runs of the best settings, one per seed."""
        best = self.best(row)
        if best is None:
            return []
        folders = [self.folder(row, best, seed) for seed in range(1, self.seeds_of(row) + 1)]
        return [folder for folder in folders if folder.finished]

    def seeds_of(self, row: Row) -> int:
        """How many seeds the best settings of a row are trained with."""
        return self.seeds if row.seeded else 1

    @property
    def progress(self) -> tuple[int, int]:
        """How many runs are made, and how many there are to be."""
        tried = [self.score(row, s) is not None for row in self.rows for s in row.tries]
        more = [len(self.runs(row)) - 1 for row in self.rows if self.runs(row)]
        return sum(tried) + sum(more), len(tried) + sum(self.seeds_of(r) - 1 for r in self.rows)

    def check(self) -> None:
        """SettingError for a try that cannot be run, or a folder made with other settings."""
        from recbole_lpi.plugin.runner import make_config

        for row in self.rows:
            for settings in row.tries:
                given = {**self.given, **row.fixed, **settings}
                try:
                    made = checkpoints.plain_config(make_config(row.model, self.dataset, (), given))
                except SettingError as error:
                    raise SettingError(f"row {row.name}, {dict(settings)}: {error}") from None
                self._refuse_other_splits(row, made)
                for seed in range(1, self.seeds_of(row) + 1):
                    self._refuse_other(self.folder(row, settings, seed), made, given)

    def _refuse_other_splits(self, row: Row, made: Settings) -> None:
        """SettingError if the seeds of a row would not be tested on the same sessions."""
        data = DataSettings.of(defaultdict(lambda: None, made))
        if self.seeds_of(row) > 1 and data.split == "random" and data.split_seed is None:
            raise SettingError(
                f"row {row.name}: split_seed is empty, so the random split would be another for "
                f"each of the {self.seeds_of(row)} seeds, and they could not stand in one table: "
                "give one to all, such as --split_seed=2020"
            )

    def _refuse_other(self, folder: RunFolder, made: Settings, given: Settings) -> None:
        """SettingError if the run in ``folder`` was given something else."""
        kept = folder.read_config() if folder.begun else made
        for name in given:
            if name not in INCIDENTAL and kept.get(name) != made.get(name):
                raise SettingError(
                    f"{folder.path} was run with {name} {kept.get(name)!r}, and this sweep asks "
                    f"for {made.get(name)!r}: give another --runs, or remove that folder"
                )

    def work(self) -> None:
        """Run whatever is missing and nobody else is at; returns when nothing is left to begin."""
        self.check()
        reference = self.reference
        while self.best(reference) is None:
            free = any(self._make(reference, s, 1) for s in reference.tries)
            if not free and not any(
                self._make(reference, s, 1, wait=True) for s in reference.tries
            ):
                break
        while any(self._make(*job) for job in self._jobs()):
            pass

    def _jobs(self) -> Iterator[tuple[Row, Settings, int]]:
        for row in self.rows:
            for settings in row.tries:
                yield row, settings, 1
        for row in self.rows:
            if (best := self.best(row)) is not None:
                for seed in range(2, self.seeds_of(row) + 1):
                    yield row, best, seed

    def _make(self, row: Row, settings: Settings, seed: int, wait: bool = False) -> bool:
        """Make one run, unless it is made or another process is at it; whether it was made."""
        folder = self.folder(row, settings, seed)
        if folder.finished or diverged(folder).is_file():
            return False
        waiting = f"waiting for the process that is at {folder.path}" if wait else None
        try:
            with folder.exclusive(waiting):
                if folder.finished or diverged(folder).is_file():
                    return True
                done, all_ = self.progress
                say = f"run {done + 1} of {all_}: {folder.path}"
                print(visible(say), file=sys.stderr, flush=True)
                self._run(row, settings, seed, folder)
                return True
        except Busy:
            return False

    def _run(self, row: Row, settings: Settings, seed: int, folder: RunFolder) -> None:
        from recbole_lpi.plugin.runner import run

        try:
            given = {**self.given, **row.fixed, **settings, "seed": seed}
            if folder.begun:
                here = {name: given[name] for name in stored.OF_THE_PLACE & given.keys()}
                run(config_dict={"resume": str(folder.path), **here})
                return
            given |= {"logging_policy": self._logging_policy(row), "run_dir": str(folder.path)}
            run(row.model, self.dataset, (), given)
        except FloatingPointError as error:
            folder.path.mkdir(exist_ok=True)  # of a run that came to nothing none is left
            diverged(folder).write_text(f"{error}\n")

    def _logging_policy(self, row: Row) -> str:
        reference = self.reference
        if row == reference:
            return "none"
        best = self.best(reference)
        if best is None:
            raise SettingError(
                f"no run of {reference.name} has finished, the logging policy of all"
            )
        return str(self.folder(reference, best, 1).path)


def diverged(folder: RunFolder) -> Path:
    """The note that a run ended in a loss that is no number."""
    return folder.path / "diverged.txt"
