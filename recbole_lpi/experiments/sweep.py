"""A sweep: every row of a plan tuned on validation with one budget, then trained with more seeds.

Each run is a folder that is made once. Stopped and started again, a sweep goes on where it was;
started twice, the two processes share the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recbole_lpi.host.properties import properties_folder
from recbole_lpi.host.run_folder import RunFolder
from recbole_lpi.host.values import read_file
from recbole_lpi.settings import SettingError

Settings = Mapping[str, Any]


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
        shared: settings of every run.
        criterion: the validation metric that picks among the tries.
        reference: name of the row whose best run is the logging policy of all others.
        rows: in the order of the table.
    """

    shared: Settings
    criterion: str
    reference: str
    rows: tuple[Row, ...]


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
    try:
        rows = tuple(
            Row(row, given.get("model", row), given.get("fixed") or {},
                tuple(given.get("tries") or ({},)), given.get("seeded", True))
            for row, given in content["rows"].items()
        )  # fmt: skip
        plan = Plan(content["shared"], content["criterion"], content["reference"], rows)
    except (KeyError, AttributeError, TypeError) as error:
        raise SettingError(
            f"{path}: not a plan of shared, criterion, reference, rows: {error}"
        ) from None
    if plan.reference not in {row.name for row in rows}:
        raise SettingError(f"{path}: reference is {plan.reference}, which is not one of its rows")
    return plan


class Sweep:
    """The runs of a plan on one data set, under one folder.

    Args:
        given: settings of every run, stronger than the plan's.
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
        unknown = set(only) - {row.name for row in plan.rows}
        if unknown:
            raise SettingError(f"the plan has no row {', '.join(sorted(unknown))}")
        self.rows = [row for row in plan.rows if not only or row.name in only]

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
        found = folder.read_metrics()["valid"][self.plan.criterion]["mean"]
        return float("-inf") if found is None else float(found)

    def best(self, row: Row) -> Settings | None:
        """The try that ranked best on validation; None until every one has run."""
        scores = [self.score(row, settings) for settings in row.tries]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores):
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

    def work(self) -> None:
        """Run whatever is missing and nobody else is at; returns when nothing is left to begin."""
        reference = next(row for row in self.plan.rows if row.name == self.plan.reference)
        while self.best(reference) is None:
            if not any(self._make(reference, s, 1, wait=True) for s in reference.tries):
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
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder.path.with_suffix(".lock"), timeout=-1 if wait else 0):
                if folder.finished:
                    return True
                print(f"-- {folder.path}", flush=True)
                self._run(row, settings, seed, folder)
                return True
        except Timeout:
            return False

    def _run(self, row: Row, settings: Settings, seed: int, folder: RunFolder) -> None:
        from recbole_lpi.host.runner import run

        try:
            if folder.begun:
                run(config_dict={"resume": str(folder.path)})
                return
            given = {**self.given, **row.fixed, **settings, "seed": seed}
            given |= {"logging_policy": self._logging_policy(row), "run_dir": str(folder.path)}
            run(row.model, self.dataset, (), given)
        except FloatingPointError as error:
            diverged(folder).write_text(f"{error}\n")

    def _logging_policy(self, row: Row) -> str:
        if row.name == self.plan.reference:
            return "none"
        reference = next(r for r in self.plan.rows if r.name == self.plan.reference)
        best = self.best(reference)
        if best is None:
            raise SettingError(
                f"no run of {reference.name} has finished, the logging policy of all"
            )
        return str(self.folder(reference, best, 1).path)


def diverged(folder: RunFolder) -> Path:
    """The note that a run ended in a loss that is no number."""
    return folder.path / "diverged.txt"
