"""Do the work of a sweep: make whatever run is missing, once.

Stopped and started again, a sweep goes on where it was; started twice, the two processes share the
work.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.experiments.plans import Row, Settings
from recbole_lpi.experiments.sweep import MAY_DIFFER, Sweep, diverged
from recbole_lpi.files import write_text
from recbole_lpi.locks import Busy
from recbole_lpi.plugin import stored_settings as stored
from recbole_lpi.plugin.run_description import plain_config
from recbole_lpi.settings import SettingError, Values
from recbole_lpi.text import visible
from recbole_lpi.training.run_folder import RunFolder


def check(sweep: Sweep) -> None:
    """Raise SettingError for a try that cannot be run, or a folder made with other settings."""
    from recbole_lpi.plugin.runner import make_config

    for row in sweep.rows:
        for settings in row.tries:
            given = {**sweep.shared, **row.fixed, **settings}
            try:
                made = plain_config(make_config(row.model, sweep.dataset, (), given))
            except SettingError as error:
                raise SettingError(f"row {row.name}, {dict(settings)}: {error}") from None
            _refuse_other_splits(sweep, row, made)
            for seed in range(1, sweep.seeds_of(row) + 1):
                refuse_other(sweep.folder(row, settings, seed), made, given)


def _refuse_other_splits(sweep: Sweep, row: Row, made: Settings) -> None:
    """Raise SettingError if the seeds of a row would not be tested on the same sessions."""
    data = DataSettings.of(Values(made))
    if sweep.seeds_of(row) > 1 and data.split == "random" and data.split_seed is None:
        raise SettingError(
            f"row {row.name}: split_seed is empty, so the random split would be another for "
            f"each of the {sweep.seeds_of(row)} seeds, and they could not stand in one table: "
            "give one to all, such as --split_seed=2020"
        )


def refuse_other(folder: RunFolder, made: Settings, given: Settings) -> None:
    """Raise SettingError if the run in ``folder`` was given something else."""
    kept = folder.read_config() if folder.begun else made
    for name in given:
        if name not in MAY_DIFFER and kept.get(name) != made.get(name):
            raise SettingError(
                f"{folder.path} was run with {name} {kept.get(name)!r}, and now it is to "
                f"be {made.get(name)!r}: give another --runs, or remove that folder"
            )


def work(sweep: Sweep) -> None:
    """Run whatever is missing and nobody else is at; returns when nothing is left to begin."""
    check(sweep)
    reference = sweep.reference
    while sweep.best(reference) is None:
        free = any(_make(sweep, reference, s, 1) for s in reference.tries)
        if not free and not any(_make(sweep, reference, s, 1, wait=True) for s in reference.tries):
            break
    while any(_make(sweep, *job) for job in _jobs(sweep)):
        pass


def _jobs(sweep: Sweep) -> Iterator[tuple[Row, Settings, int]]:
    for row in sweep.rows:
        for settings in row.tries:
            yield row, settings, 1
    for row in sweep.rows:
        if (best := sweep.best(row)) is not None:
            for seed in range(2, sweep.seeds_of(row) + 1):
                yield row, best, seed


def _make(sweep: Sweep, row: Row, settings: Settings, seed: int, wait: bool = False) -> bool:
    """Make one run, unless it is made or another process is at it; say whether it was made."""
    folder = sweep.folder(row, settings, seed)
    if folder.finished or diverged(folder).is_file():
        return False
    waiting = f"waiting for the process that is at {folder.path}" if wait else None
    try:
        with sweep.claimed(folder, waiting):
            if folder.finished or diverged(folder).is_file():
                return True
            done, all_ = sweep.progress
            say = f"run {done + 1} of {all_}: {folder.path}"
            print(visible(say), file=sys.stderr, flush=True)
            _run(sweep, row, settings, seed, folder)
            return True
    except Busy:
        return False


def _run(sweep: Sweep, row: Row, settings: Settings, seed: int, folder: RunFolder) -> None:
    from recbole_lpi.plugin.runner import run

    try:
        given = {**sweep.shared, **row.fixed, **settings, "seed": seed}
        if folder.begun:
            here = {name: given[name] for name in stored.OF_THE_PLACE & given.keys()}
            run(config_dict={"resume": str(folder.path), **here})
            return
        mu = _logging_policy(sweep, row, seed)
        given |= {"logging_policy": mu, "run_dir": str(folder.path)}
        run(row.model, sweep.dataset, (), given)
    except FloatingPointError as error:
        write_text(diverged(folder), f"{error}\n")


def _logging_policy(sweep: Sweep, row: Row, seed: int) -> str:
    """Name what a run is compared with; other seeds of that with itself, for the noise floor."""
    reference = sweep.reference
    if row == reference and seed == 1:
        return "none"
    best = sweep.best(reference)
    if best is None:
        raise SettingError(f"no run of {reference.name} has finished, the logging policy of all")
    return str(sweep.folder(reference, best, 1).path)
